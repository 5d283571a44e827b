# SPDX-License-Identifier: MIT
"""Simulated faults against the real ones of the kernel that runs this (``kernel_cow.c``)."""

from __future__ import annotations

import re
import subprocess

import numpy as np

from cowfast.bench.rows import Figure, Figures, Measurement, NotMeasured, Promise, Setting
from cowfast.bench.sources import compile_source
from cowfast.bench.timing import seconds
from cowfast.events import EVENT, Op
from cowfast.machine import Machine
from cowfast.simulate import Simulator

PAGES = 65_536
GOALS = {"kernel-copy": 60.0, "kernel-reuse": 25.0, "kernel-fork": 6.0}
LINES = {"kernel-copy": "COW copy fault", "kernel-reuse": "reuse fault", "kernel-fork": "fork, per mapped PTE"}


#: Its clock is the wall's; faults and forks are the thread's own time, which other tasks cannot add to.
_THREAD_TIME = """
#define _GNU_SOURCE
#include <time.h>
#undef CLOCK_MONOTONIC
#define CLOCK_MONOTONIC CLOCK_THREAD_CPUTIME_ID
#include "kernel_cow.c"
"""


def measure(setting: Setting) -> Figures:
    """Return nanoseconds per page of both."""
    program = compile_source(setting, "kernel_cow.c", to="kernel_cow", text=_THREAD_TIME)
    ours, theirs = dict.fromkeys([*GOALS, "call"], float("inf")), dict.fromkeys(GOALS, float("inf"))
    sim = Simulator("linux-6.18", Machine(swap="none", memory=2 * PAGES + 64, space=PAGES, processes=2))
    writes, other = np.zeros(PAGES, EVENT), np.zeros(1, EVENT)
    writes["op"], writes["page"] = Op.WRITE, np.arange(PAGES)
    sim.run(writes)
    for _ in range(setting.rounds):
        for name, value in _simulated(sim, writes, other).items():
            ours[name] = min(ours[name], value / PAGES * 1e9)
        for name, value in _real(str(program)).items():
            theirs[name] = min(theirs[name], value)
    ours["kernel-fork"] -= ours["call"]
    return {name: Figure(ours[name], theirs[name]) for name in GOALS}


def _simulated(sim: Simulator, writes: np.ndarray, one: np.ndarray) -> dict[str, float]:
    """Do what the program does and return seconds: fork, write while the child lives, fork again, write after its exit."""

    def event(op: Op, **fields: int) -> float:
        one[:] = 0
        one["op"] = op
        for name, value in fields.items():
            one[name] = value
        return seconds(sim.run, one)

    found = {"call": event(Op.CPU), "kernel-fork": event(Op.FORK, arg=1)}
    before = sim.counters.to_dict()
    found["kernel-copy"] = seconds(sim.run, writes)
    event(Op.EXIT, pid=1)
    event(Op.FORK, arg=1)
    event(Op.EXIT, pid=1)
    found["kernel-reuse"] = seconds(sim.run, writes)
    now = sim.counters
    for name in ("copies", "reuses"):
        if now[name] - before[name] != PAGES:
            raise NotMeasured(f"{now[name] - before[name]} {name}, not {PAGES}")
    return found


def _real(program: str) -> dict[str, float]:
    done = subprocess.run([program, str(PAGES), "1"], capture_output=True, text=True, check=False)
    found = {}
    for name, line in LINES.items():
        match = re.search(rf"{line}.*?min\s+([\d.]+)", done.stdout)
        if match is None or done.returncode:
            raise NotMeasured(f"kernel_cow says nothing of {line!r}: {done.stderr.strip() or done.stdout.strip()}")
        found[name] = float(match[1])
    return found


MEASUREMENTS = [
    Measurement(
        [Promise(name, "ns/page", goal, cost=True) for name, goal in GOALS.items()],
        measure,
        f"{PAGES:,} pages: forked, written while the child lives, written after its exit",
        needs=("kernel_cow.c",),
    )
]
