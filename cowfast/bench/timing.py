# SPDX-License-Identifier: MIT
"""Clocks: thread CPU time, taken in turns, the least of many rounds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def pin() -> bool:
    """Keep this process on one of its CPUs; False where the system has no such thing."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    return True


def seconds(work: Callable[..., Any], *given: Any) -> float:
    """Return the CPU time of this thread that ``work(*given)`` takes, in seconds; time lost to other tasks is not in it."""
    start = time.thread_time()
    work(*given)
    return time.thread_time() - start


def in_turns(
    rounds: int, works: Mapping[str, Callable[[Any], Any]], prepare: Callable[[], Any] = lambda: None
) -> dict[str, float]:
    """Do all works once in every round, on what ``prepare`` made for it, and return the least seconds of each.

    Who begins changes from round to round.
    """
    least = dict.fromkeys(works, float("inf"))
    names = list(works)
    for turn in range(rounds):
        given = prepare()
        for place in range(len(names)):
            name = names[(turn + place) % len(names)]
            least[name] = min(least[name], seconds(works[name], given))
    return least


def always(work: Callable[..., Any], *arguments: Any) -> Callable[[Any], Any]:
    """Return a work for :func:`in_turns` that is the same in every round, whatever was prepared."""
    return lambda _: work(*arguments)


def free_memory() -> int:
    """Return the bytes that may be used without harm to others (a large number where the system does not say)."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 1 << 62
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), 1 << 62)
