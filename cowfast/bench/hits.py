# SPDX-License-Identifier: MIT
"""Accesses that hit, against a random pte and its page record read and written (``sol.c``, or the project's own)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np

from cowfast.bench._yardstick import ENTRY, RECORD, random_access
from cowfast.bench.rows import Figure, Figures, Measurement, NotMeasured, Promise, Setting
from cowfast.bench.sources import function, load_library
from cowfast.bench.tables import all_private, bytes_per_page
from cowfast.bench.timing import always, free_memory, in_turns
from cowfast.events import EVENT

#: As sol.c has them: bytes of its tables; it has 24 bytes a page.
STATES = {"hits-L2": 786_432, "hits-memory": 24 * (64 << 20)}
AHEAD = (16, 24, 32, 64, 96)

_SOL = """
#define main yardstick_main
#include "sol.c"
#undef main
void yardstick_naive(void *pt, void *ft, const uint32_t *ev, size_t n) { naive(pt, ft, ev, n); }
void yardstick_ahead(void *pt, void *ft, const uint32_t *ev, size_t n, size_t d) { pref(pt, ft, ev, n, d); }
void *yardstick_memory(size_t n) { return balloc(n, 1); }
"""


def measure(setting: Setting, name: str) -> Figures:
    """Return the figure of one size of state, in million events per second."""
    state = STATES[name]
    if (free := free_memory()) < 4 * state:
        raise NotMeasured(f"needs {4 * state / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free")
    processes = 16 if state < 1 << 24 else 64
    pages = int(state / bytes_per_page() / processes)
    size = 1 << 21 if state < 1 << 24 else 1 << 23
    rng = np.random.default_rng(1)
    events = np.zeros(size, EVENT)
    events["op"] = rng.integers(0, 2, size, np.uint8)
    events["pid"] = rng.integers(0, processes, size, np.uint16)
    events["page"] = rng.integers(0, pages, size, np.uint32)
    sim = all_private(processes, pages)
    before = sim.counters["faults"]
    works = {"cowfast": always(sim.run, events)} | yardsticks(setting, state // 24, size)
    least = in_turns(setting.rounds, works)
    if sim.counters["faults"] != before:
        raise NotMeasured(f"{sim.counters['faults'] - before} of the accesses were no hits")
    rate = {each: size / value / 1e6 for each, value in least.items()}
    own = rate.pop("cowfast")
    best = max(rate, key=lambda each: rate[each])
    return {name: Figure(own, rate[best], f"{processes} x {pages:,} pages; yardstick: {best}")}


def yardsticks(setting: Setting, pages: int, size: int) -> dict[str, Callable[[object], object]]:
    """Return ``size`` random accesses to tables of ``pages`` records, without prefetch and at several distances."""
    rng = np.random.default_rng(2)
    events = rng.integers(0, pages, size, np.uint32)
    if setting.sources is None:
        entries, records = np.zeros(pages, ENTRY), np.zeros(pages, RECORD)
        entries["number"] = rng.permutation(pages)
        names = {ahead: f"random access, prefetch {ahead}" for ahead in (0, *AHEAD)}
        return {name: always(random_access, entries, records, events, ahead) for ahead, name in names.items()}
    library = load_library(setting, "sol.c", to="sol.so", text=_SOL)
    pointer, number = ctypes.c_void_p, ctypes.c_size_t
    naive = function(library, "yardstick_naive", None, pointer, pointer, pointer, number)
    ahead_of = function(library, "yardstick_ahead", None, pointer, pointer, pointer, number, number)
    memory = function(library, "yardstick_memory", pointer, number)
    ptes, frames = memory(8 * pages), memory(16 * pages)
    view = np.ctypeslib.as_array(ctypes.cast(ptes, ctypes.POINTER(ctypes.c_uint32)), (2 * pages,))
    view[::2] = rng.permutation(pages)
    works = {"sol.c": always(naive, ptes, frames, events.ctypes, size)}  # `ctypes` keeps the array
    for ahead in AHEAD:
        works[f"sol.c, prefetch {ahead}"] = always(ahead_of, ptes, frames, events.ctypes, size, ahead)
    return works


WHAT = "random reads and writes of resident private pages, against a random pte and its page record in tables as large"

MEASUREMENTS = [
    Measurement(
        [Promise("hits-L2", "M events/s", 0.70)],
        lambda setting: measure(setting, "hits-L2"),
        WHAT,
        needs=("sol.c",),
        own=True,
    ),
    Measurement(
        [Promise("hits-memory", "M events/s", 0.75)],
        lambda setting: measure(setting, "hits-memory"),
        WHAT,
        needs=("sol.c",),
        own=True,
        long=True,
    ),
]
