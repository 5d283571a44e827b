# SPDX-License-Identifier: MIT
"""inactive_is_low (mm/vmscan.c): how many active pages for an inactive one depends on how much memory there is."""

from math import isqrt

import numpy as np
import pytest

from cowfast import Simulator
from cowfast._layout import PageFlag
from cowfast.events import EVENT, Op


def accesses(op: Op, pid: int, pages: np.ndarray) -> np.ndarray:
    events = np.zeros(len(pages), EVENT)
    events["op"], events["pid"], events["page"] = op, pid, pages
    return events


@pytest.mark.parametrize("memory", [200_000, 300_000, 600_000])  # pages: below 1 GiB, above it, above 2 GiB
def test_active_pages_for_an_inactive_one(memory: int) -> None:
    """The square root of ten times the GiB, 1 below one: docs/model-reclaim.md section 5, point 2."""
    simulator = Simulator("linux-6.18", {"space": 2 * memory, "processes": 2, "memory": memory, "swap_slots": memory})
    shared = np.arange(memory - 1000)
    simulator.run(accesses(Op.WRITE, 0, shared))
    simulator.run(["fork 0 1"])
    simulator.run(accesses(Op.READ, 1, shared))  # young in two processes: the first scan activates every page
    simulator.run(accesses(Op.WRITE, 0, memory + np.arange(60_000)))  # pressure until the lists are in balance
    flags = simulator.pages["flags"]
    listed, active = ((flags & flag) != 0 for flag in (PageFlag.PG_LRU, PageFlag.PG_ACTIVE))
    ratio = np.count_nonzero(listed & active) / np.count_nonzero(listed & ~active)
    wanted = isqrt(10 * (memory >> 18)) if memory >> 18 else 1
    assert 0.9 * wanted < ratio <= wanted
