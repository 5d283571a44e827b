# SPDX-License-Identifier: MIT
"""Memory: what all tables together take for each mapped virtual page."""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import sys

import numpy as np

from cowfast.bench.mixes import mix, segments, simulator
from cowfast.bench.rows import Figure, Figures, Measurement, NotMeasured, Promise, Setting
from cowfast.bench.timing import free_memory
from cowfast.events import EVENT, Op
from cowfast.machine import Machine
from cowfast.simulate import Simulator

BUDGET = 40  # bytes a page
MANY, EACH, SPACE, LIMIT = 10_000, 4096, 1 << 30, 2.5


def table_bytes(sim: Simulator) -> int:
    """Return the bytes that all tables of a simulator (fast engine) take.

    A table is as long as it may ever have to be; the system gives memory to what was touched, and that is counted.
    """
    return sum(resident(array) for array in sim._engine.tables().values())


def resident(array: np.ndarray) -> int:
    """Return how many bytes of an array are in memory: mincore(2), in whole pages of the system but for both ends."""
    first = array.ctypes.data // mmap.PAGESIZE * mmap.PAGESIZE
    length = array.ctypes.data + array.nbytes - first
    here = np.zeros(-(-length // mmap.PAGESIZE), np.uint8)
    try:
        mincore = ctypes.CDLL(None, use_errno=True).mincore
    except (AttributeError, TypeError):
        raise NotMeasured("this system does not tell which memory is used (no mincore)") from None
    where = (ctypes.c_void_p(first), ctypes.c_size_t(length), here.ctypes.data_as(ctypes.c_void_p))
    if mincore(*where):
        raise NotMeasured(f"mincore: {os.strerror(ctypes.get_errno())}")
    return min(int(np.count_nonzero(here & 1)) * mmap.PAGESIZE, array.nbytes)


def mapped_pages(sim: Simulator) -> int:
    """Return how many virtual pages have a pte that is not empty, all processes together."""
    return int(sum(int(sim.procs[name].sum()) for name in ("present", "swapped", "zeros")))


def bytes_per_page() -> float:
    """Return the bytes that a private resident page takes, all tables together."""
    processes, pages = 16, 4096
    sim = all_private(processes, pages)
    return table_bytes(sim) / mapped_pages(sim)


def all_private(processes: int, pages: int) -> Simulator:
    """Return a simulator whose processes have each written all their pages, with room for no more."""
    sim = Simulator("linux-6.18", Machine(swap="none", memory=processes * pages, space=pages, processes=processes))
    forks = np.zeros(processes - 1, EVENT)
    forks["op"], forks["arg"] = Op.FORK, np.arange(1, processes)
    sim.run(forks)
    writes = np.zeros(pages, EVENT)
    writes["op"], writes["page"] = Op.WRITE, np.arange(pages)
    for pid in range(processes):
        writes["pid"] = pid
        sim.run(writes)
    return sim


def after_the_mix(setting: Setting) -> Figures:
    """Return bytes per page after a while of the full mix."""
    processes, pages = 64, 4096
    source = mix(processes, pages)
    sim = simulator("linux-6.18", source)
    stream, before = segments(source, processes * pages)
    sim.run(before)
    for _ in range(32):  # until the LRU rings have gone round
        sim.run(next(stream))
    private = bytes_per_page()
    figure = Figure(table_bytes(sim) / mapped_pages(sim), BUDGET, f"pages that are private and resident: {private:.1f}")
    return {"bytes-64x4096": figure}


def many_processes(setting: Setting) -> Figures:
    """Return the peak of memory of a process that simulates very many processes in a wide address space."""
    if (free := free_memory()) < 4 << 30:
        raise NotMeasured(f"needs 4 GiB to try, {free / 2**30:.1f} GiB are free")
    sim = Simulator(
        "linux-6.18", Machine(swap="none", memory=MANY * EACH, space=SPACE, processes=MANY, references=0, swap_slots=0)
    )
    forks = np.zeros(MANY - 1, EVENT)
    forks["op"], forks["arg"] = Op.FORK, np.arange(1, MANY)
    sim.run(forks)
    writes = np.zeros(EACH, EVENT)
    writes["op"] = Op.WRITE
    bases = np.random.default_rng(1).integers(0, SPACE // EACH, MANY) * EACH
    for pid in range(MANY):
        writes["pid"], writes["page"] = pid, bases[pid] + np.arange(EACH)
        sim.run(writes)
    mapped = mapped_pages(sim)
    if mapped != MANY * EACH:
        raise NotMeasured(f"{mapped} pages are mapped, not {MANY * EACH}")
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
    note = f"peak of the whole process, interpreter and all; {peak * 2**30 / mapped:.1f} bytes a page"
    return {f"memory-{MANY}x{EACH}": Figure(peak, LIMIT, note)}


MEASUREMENTS = [
    Measurement(
        [Promise("bytes-64x4096", "bytes/page", 1.0, cost=True)],
        after_the_mix,
        "what all tables take in memory, with swap slots for every pte, by the virtual pages that are mapped, after the full mix",
        own=True,
    ),
    Measurement(
        [Promise(f"memory-{MANY}x{EACH}", "GiB", 1.0, cost=True)],
        many_processes,
        f"{MANY:,} processes with {EACH:,} pages of their own each, somewhere in 2^30 pages",
        own=True,
        long=True,
    ),
]
