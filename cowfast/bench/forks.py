# SPDX-License-Identifier: MIT
"""fork, for each pte, against the copy of a page table that counts a new owner of each page (``forkc.c``, or own)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial

import numpy as np

from cowfast.bench._yardstick import ENTRY, RECORD, copy_table
from cowfast.bench.rows import Figure, Figures, Measurement, NotMeasured, Promise, Setting
from cowfast.bench.sources import function, load_library
from cowfast.bench.timing import always, free_memory, in_turns
from cowfast.events import EVENT, Op
from cowfast.machine import Machine
from cowfast.simulate import Simulator

SIZES = {"4Ki": 1 << 12, "64Ki": 1 << 16, "1Mi": 1 << 20, "16Mi": 1 << 24}
ORDERS = ("sequential", "random")

_FORKC = """
#define main yardstick_main
#include "forkc.c"
#undef main
void yardstick_fork(uint32_t *c, uint32_t *p, void *f, size_t n, size_t times) {
    for (size_t i = 0; i < times; i++) f_p32(c, p, f, n);
}
void *yardstick_memory(size_t n) { return balloc(n, 1); }
"""


def measure(setting: Setting, size: str, order: str) -> Figures:
    """Return the nanoseconds that fork takes for each pte."""
    ptes = SIZES[size]
    if (free := free_memory()) < ptes * 200:
        raise NotMeasured(f"needs {ptes * 200 / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free")
    children = max(1, min(32, (1 << 17) // ptes))
    times = max(1, (1 << 20) // ptes)
    numbers = np.arange(ptes) if order == "sequential" else np.random.default_rng(9).permutation(ptes)
    forks = Forks(numbers, children)
    works: dict[str, Callable[[object], object]] = {"fork": forks.fork, "call": forks.call}
    works["yardstick"] = yardstick(setting, numbers, times)
    least = in_turns(setting.rounds, works, forks.exit)
    ours = (least["fork"] - least["call"]) / ptes / children * 1e9
    theirs = least["yardstick"] / ptes / times * 1e9
    return {f"fork-{size}-{order}": Figure(ours, theirs, f"{children} forks a round, less a call with as many events")}


class Forks:
    """A process that has written all its pages in an order that gives them these page numbers, and its children."""

    def __init__(self, numbers: np.ndarray, children: int) -> None:
        machine = Machine(swap="none", memory=len(numbers) + 64, space=len(numbers), processes=children + 1)
        self._sim = Simulator("linux-6.18", machine)
        writes = np.zeros(len(numbers), EVENT)
        writes["op"], writes["page"] = Op.WRITE, np.argsort(numbers)
        self._sim.run(writes)
        self._events = {op: self._all(op, children) for op in (Op.FORK, Op.EXIT, Op.CPU)}
        self._alive = False

    @staticmethod
    def _all(op: Op, children: int) -> np.ndarray:
        events = np.zeros(children, EVENT)
        events["op"] = op
        events["arg" if op == Op.FORK else "pid"] = np.arange(1, children + 1) if op != Op.CPU else 0
        return events

    def fork(self, _: object = None) -> None:
        """Fork all children."""
        self._sim.run(self._events[Op.FORK])
        self._alive = True

    def exit(self) -> None:
        """Let them exit."""
        if self._alive:
            self._sim.run(self._events[Op.EXIT])

    def call(self, _: object = None) -> None:
        """Process as many events that do nothing: the process stays on its CPU."""
        self._sim.run(self._events[Op.CPU])


def yardstick(setting: Setting, numbers: np.ndarray, times: int) -> Callable[[object], object]:
    """Return what copies a table of these page numbers so many times."""
    n = len(numbers)
    if setting.sources is None:
        parent, child, records = np.zeros(n, ENTRY), np.zeros(n, ENTRY), np.zeros(n, RECORD)
        parent["number"], parent["flags"] = numbers, 5
        return always(copy_table, child, parent, records, times)
    library = load_library(setting, "forkc.c", to="forkc.so", text=_FORKC)
    pointer, number = ctypes.c_void_p, ctypes.c_size_t
    memory = function(library, "yardstick_memory", pointer, number)
    fork = function(library, "yardstick_fork", None, pointer, pointer, pointer, number, number)
    parent_at, child_at, frames = memory(4 * n), memory(4 * n), memory(16 * n)
    view = np.ctypeslib.as_array(ctypes.cast(parent_at, ctypes.POINTER(ctypes.c_uint32)), (n,))
    view[:] = numbers.astype(np.uint32) | 0xC000_0000  # present, writable
    return always(fork, child_at, parent_at, frames, n, times)


def _at(size: str, order: str) -> Measurement:
    return Measurement(
        [Promise(f"fork-{size}-{order}", "ns/pte", round(1 / 1.4, 4), cost=True)],
        partial(measure, size=size, order=order),
        "fork of a process whose pages are all resident, numbered in the order of their addresses or at random",
        needs=("forkc.c",),
        own=True,
        long=SIZES[size] > 1 << 20,
    )


MEASUREMENTS = [_at(size, order) for size in SIZES for order in ORDERS]
