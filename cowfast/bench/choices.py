# SPDX-License-Identifier: MIT
"""cowfast against itself: with and without prefetch, events made in the loop or before, two threads, other policies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np

from cowfast import _engine
from cowfast.bench.mixes import mix, segments, simulator
from cowfast.bench.rows import Figure, Figures, Measurement, NotMeasured, Promise, Setting
from cowfast.bench.timing import in_turns
from cowfast.executors import usable_cpus
from cowfast.policy import policy_names
from cowfast.simulate import Simulator, simulate_policies
from cowfast.simulate.source import CHUNK

BASE = "linux-5.16"
PREFETCH = {(16, 1024): 0.98, (64, 4096): 1.1, (64, 32_768): 1.6}


def warm(policy: str, processes: int, pages: int) -> tuple[Simulator, Iterator[np.ndarray]]:
    """Return a simulator in the middle of the full mix, and the chunks that follow."""
    source = mix(processes, pages)
    sim = simulator(policy, source)
    stream, before = segments(source, CHUNK)
    sim.run(before)
    for _ in range(2 * processes * pages // CHUNK + 1):
        sim.run(next(stream))
    return sim, stream


@contextmanager
def without_prefetch() -> Iterator[None]:
    """Switch the engine's prefetch off."""
    if not hasattr(_engine, "_PREFETCH_ABOVE"):
        raise NotMeasured("this engine has no switch for its prefetch")
    usual = _engine._PREFETCH_ABOVE
    _engine._PREFETCH_ABOVE = 1 << 62
    try:
        yield
    finally:
        _engine._PREFETCH_ABOVE = usual


def prefetch(setting: Setting, processes: int, pages: int) -> Figures:
    """Return rates as the engine chooses, and without prefetch."""
    sims = {name: warm("linux-6.18", processes, pages) for name in ("chosen", "off")}

    def off(events: np.ndarray) -> None:
        with without_prefetch():
            sims["off"][0].run(events)

    least = in_turns(setting.rounds, {"chosen": sims["chosen"][0].run, "off": off}, lambda: next(sims["chosen"][1]))
    rate = {name: CHUNK / value / 1e6 for name, value in least.items()}
    return {f"prefetch-{processes}x{pages}": Figure(rate["chosen"], rate["off"])}


def generation(setting: Setting, processes: int, pages: int) -> Figures:
    """Return rates with events made chunk by chunk, and made before."""
    sim, stream = warm("linux-6.18", processes, pages)
    works = {"made": lambda events: sim.run(next(stream)), "ready": sim.run}
    least = in_turns(setting.rounds, works, lambda: next(stream))
    rate = {name: CHUNK / value / 1e6 for name, value in least.items()}
    return {f"generation-{processes}x{pages}": Figure(rate["made"], rate["ready"])}


def threads(setting: Setting) -> Figures:
    """Return how much more two threads do than one, by the CPU time that each needs."""
    if usable_cpus() < 2:
        raise NotMeasured("needs two CPUs")
    source = mix(64, 4096, events=1 << 20 if setting.quick else 1 << 22)
    spent = {1: float("inf"), 2: float("inf")}
    for _ in range(3 * setting.rounds):  # two CPUs that neighbours leave alone at once are rarer than one
        for number, least in spent.items():
            results = simulate_policies(source, [BASE, "linux-6.18"], memory="75%", threads=number)
            spent[number] = min(least, sum(result.seconds for result in results))
    return {"threads-2": Figure(2 * spent[1] / spent[2], 1.0)}


def policies(setting: Setting) -> Figures:
    """Return the rates of all policies on the same events."""
    names = policy_names()
    _, stream = warm(BASE, 64, 4096)
    sims = {name: warm(name, 64, 4096)[0] for name in names}
    was = {name: sim.counters.to_dict() for name, sim in sims.items()}
    works: dict[str, Callable[[np.ndarray], object]] = {name: sim.run for name, sim in sims.items()}
    least = in_turns(setting.rounds, works, lambda: next(stream))
    rate = {name: CHUNK / value / 1e6 for name, value in least.items()}
    found = {}
    for name in names:
        now = sims[name].counters
        each = ", ".join(
            f"{what} {(now[what] - was[name][what]) * 1000 / (now['events'] - was[name]['events']):.1f}"
            for what in ("copies", "drains", "swap_ins", "swap_writes")
        )
        found[f"policy-{name}"] = Figure(rate[name], rate[BASE], f"per 1000 events: {each}")
    return found


MEASUREMENTS = [
    *(
        Measurement(
            [Promise(f"prefetch-{processes}x{pages}", "M events/s", goal)],
            partial(prefetch, processes=processes, pages=pages),
            "the full mix with prefetch as the engine chooses, against none",
            own=True,
        )
        for (processes, pages), goal in PREFETCH.items()
    ),
    *(
        Measurement(
            [Promise(f"generation-{processes}x{pages}", "M events/s", round(1 / 1.2, 4))],
            partial(generation, processes=processes, pages=pages),
            "the full mix with events made as they are needed, against events that were there before",
            own=True,
        )
        for processes, pages in ((16, 1024), (64, 4096))
    ),
    Measurement(
        [Promise("threads-2", "threads' worth", 1.85)],
        threads,
        "CPU time of two policies one after the other, over that of both at a time in two threads, times two",
        own=True,
        spreads=True,
    ),
    Measurement(
        [Promise(f"policy-{name}", "M events/s", 0.9) for name in policy_names() if name != BASE],
        policies,
        f"the full mix, 64 x 4096, against {BASE}",
        own=True,
    ),
]
