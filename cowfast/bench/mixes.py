# SPDX-License-Identifier: MIT
"""The full mix against a bare loop that does a simpler version of the same job (``cow.c``, or the project's own)."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from cowfast.bench._yardstick import Plain
from cowfast.bench.rows import Figure, Figures, Measurement, NotMeasured, Promise, Setting
from cowfast.bench.sources import function, load_library
from cowfast.bench.timing import free_memory, in_turns
from cowfast.events import EVENT, Op
from cowfast.simulate import Simulator
from cowfast.simulate.setup import machine_for
from cowfast.workloads import Workload, workload

POLICIES = ("linux-5.16", "linux-6.18")
SCALES = ((16, 1024), (64, 4096), (64, 32_768), (64, 1_048_576))

WHAT = (
    "random-mix of 47.5 % read, 47.5 % write, 5 % pageout (MADV_PAGEOUT of one page; in cow.c one page that CLOCK"
    " chooses, in the plain loop one that nobody shares), one exit and fork (one event of cow.c) every pages / 0.4 events, memory for 75 % of all ptes; both sides"
    " get the same events; the slower of linux-5.16 and linux-6.18, the faster of the yardstick's prefetch on and off"
)

COW_EVENT = np.dtype([("op", "u1"), ("pid", "u4"), ("page", "u4")], align=True)
_COW_OPS = np.zeros(256, np.uint8)
_COW_OPS[[Op.READ, Op.WRITE, Op.PAGEOUT, Op.FORK]] = (0, 1, 2, 3)

#: Bytes of all tables per pte that a scale needs at most: one simulator, two yardsticks.
_BYTES = 3 * 64


def mix(processes: int, pages: int, *, events: int = 1 << 40, **others: float) -> Workload:
    """Return the mix of events, without end for all that matters; ``others`` are parameters that differ."""
    parameters: dict[str, Any] = {"references": 0, **others}
    return workload("random-mix", preset="plain", processes=processes, pages=pages, events=events, **parameters)


def simulator(policy: str, source: Workload, **machine: int) -> Simulator:
    """Return a simulator with memory for 75 % of the ptes, and swap for all that may be swapped out."""
    slots = min(source.processes * source.space, (1 << 26) - 1)
    return Simulator(policy, machine_for(source, {"swap_slots": slots} | machine, "75%"))


def for_cow(events: np.ndarray) -> np.ndarray:
    """Return events as ``cow.c`` has them: shape (n,), dtype ``COW_EVENT``; its fork is exit and fork in one."""
    events = events[events["op"] != Op.EXIT]
    forks = events["op"] == Op.FORK
    out = np.zeros(len(events), COW_EVENT)
    out["op"] = _COW_OPS[events["op"]]
    out["pid"] = np.where(forks, events["arg"], events["pid"])
    out["page"] = np.where(forks, events["pid"], events["page"])
    return out


class Loop(Protocol):
    """A yardstick with a state of its own."""

    def events(self, events: np.ndarray) -> np.ndarray:
        """Return events as this loop takes them."""

    def run(self, events: np.ndarray) -> None:
        """Process what :meth:`events` returned."""


class Own(Plain):
    """The project's own loop."""

    def events(self, events: np.ndarray) -> np.ndarray:
        """Return the events as they are."""
        return events


class Cow:
    """``cow.c``, in a library of its own."""

    def __init__(self, setting: Setting, processes: int, pages: int, prefetch: int) -> None:
        library = load_library(setting, "cow.c", "-DLIBRARY", f"-DPF={prefetch}", to=f"cow{prefetch}.so")
        number, pointer = ctypes.c_uint32, ctypes.c_void_p
        new = function(library, "sim_new", pointer, number, number, number, ctypes.c_int)
        self._run = function(library, "sim_run", None, pointer, pointer, ctypes.c_size_t)
        self._state = new(processes, pages, 2, 1)  # its default policy (exclusive pages), on huge pages

    def events(self, events: np.ndarray) -> np.ndarray:
        """Return them as dtype ``COW_EVENT``."""
        return for_cow(events)

    def run(self, events: np.ndarray) -> None:
        """Process events of dtype ``COW_EVENT``."""
        self._run(self._state, events.ctypes.data, len(events))


def yardsticks(setting: Setting, processes: int, pages: int) -> dict[str, Loop]:
    """Return the loops to measure against, without and with prefetch, after the family of processes has been forked."""
    if setting.sources is not None:
        return {f"cow.c, prefetch {ahead}": Cow(setting, processes, pages, ahead) for ahead in (0, 32)}
    loops: dict[str, Loop] = {}
    _, before = segments(mix(processes, pages), 1)
    for ahead in (False, True):
        loops[f"plain loop{', prefetch' if ahead else ''}"] = own = Own(processes, pages, ahead)
        own.run(before)
    return loops


def segments(source: Workload, size: int) -> tuple[Iterator[np.ndarray], np.ndarray]:
    """Return the stream in arrays of ``size`` from the first event of the mix on, and what comes before."""
    start = source.space + source.processes - 1
    generator = source.generator(0)
    before = np.zeros(start, EVENT)
    generator.fill(before)

    def chunks() -> Iterator[np.ndarray]:
        while True:
            events = np.zeros(size, EVENT)
            generator.fill(events)
            yield events

    return chunks(), before


def measure(setting: Setting, processes: int, pages: int) -> Figures:
    """Return the figure of one scale, in million events per second."""
    source = mix(processes, pages)
    ptes = processes * pages
    if (free := free_memory()) < ptes * _BYTES:
        raise NotMeasured(f"needs {ptes * _BYTES / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free")
    size = 1 << 20 if setting.quick else 1 << 22 if ptes > 1 << 24 else 1 << 21
    cows = yardsticks(setting, processes, pages)
    least = dict.fromkeys([*cows, *POLICIES], float("inf"))
    shares = {}
    for policy in POLICIES:
        sim = simulator(policy, source)
        stream, before = segments(source, size)
        sim.run(before)
        fresh = policy == POLICIES[0]
        for _ in range(2 * ptes // size + 1):
            events = next(stream)
            sim.run(events)
            if fresh:
                for cow in cows.values():
                    cow.run(cow.events(events))
        was = sim.counters.to_dict()
        for name, value in _in_turns(setting.rounds, cows, policy, sim, stream).items():
            least[name] = min(least[name], value)
        now = sim.counters.to_dict()
        shares[policy] = {
            name: now[name] - was[name] for name in ("events", "faults", "copies", "reuses", "swap_writes")
        }
        del sim
        gc.collect()
    rate = {name: size / value / 1e6 for name, value in least.items()}
    note = "; ".join(
        [f"{name} {value:.1f}" for name, value in rate.items()]
        + [f"{policy} per 1000 events: {_shares(counts)}" for policy, counts in shares.items()]
    )
    slower = min(rate[policy] for policy in POLICIES)
    return {f"mix-{processes}x{pages}": Figure(slower, max(rate[name] for name in cows), note)}


def _in_turns(
    rounds: int, yardsticks: Mapping[str, Loop], policy: str, sim: Simulator, stream: Iterator[np.ndarray]
) -> dict[str, float]:
    def theirs(name: str) -> Callable[[Mapping[str, np.ndarray]], None]:
        return lambda events: yardsticks[name].run(events[name])

    works: dict[str, Callable[[Mapping[str, np.ndarray]], object]] = {name: theirs(name) for name in yardsticks}
    works[policy] = lambda events: sim.run(events[policy])

    def prepare() -> dict[str, np.ndarray]:
        events = next(stream)
        return {policy: events} | {name: loop.events(events) for name, loop in yardsticks.items()}

    return in_turns(rounds, works, prepare)


def _shares(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {counts[name] * 1000 / counts['events']:.0f}" for name in counts if name != "events")


def _at(processes: int, pages: int) -> Measurement:
    return Measurement(
        [Promise(f"mix-{processes}x{pages}", "M events/s", 0.8, own_goal=0.5)],
        lambda setting: measure(setting, processes, pages),
        WHAT,
        needs=("cow.c",),
        own=True,
        long=processes * pages > 1 << 24,
    )


MEASUREMENTS = [_at(*scale) for scale in SCALES]
