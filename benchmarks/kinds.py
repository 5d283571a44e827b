#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where the time goes by kind of outcome, from mixes of one kind and their differences; JSON to stdout.

    python benchmarks/kinds.py > benchmarks/figures/kinds.json

A kind is timed where nearly nothing else happens: reads that hit; writes that hit; the same writes with 5 % page-outs, each of
which costs a swap-out and, later, a swap-in; reads with forks, from which the time of fork and exit for each pte follows;
writes with forks, from which the time that a write-protect fault adds follows. All mixes take turns on one CPU, thread
CPU time, the least of the rounds counts.
"""

from __future__ import annotations

import argparse
import sys

import msgspec

from cowfast import Simulator
from cowfast.bench.mixes import SCALES, mix, segments
from cowfast.bench.run import conditions
from cowfast.bench.timing import in_turns, pin
from cowfast.simulate.setup import machine_for

POLICY = "linux-6.18"
NOTHING = {"read": 0.0, "write": 0.0, "pageout": 0.0, "fork_weight": 0.0}
FULL = "full mix"

#: name -> what is drawn
MIXES: dict[str, dict[str, float]] = {
    "read": {"read": 1.0},
    "write": {"write": 1.0},
    "read or write": {"read": 0.5, "write": 0.5},
    "write, pageout": {"write": 0.95, "pageout": 0.05},
    "read, fork": {"read": 1.0, "fork_weight": 0.4},
    "write, fork": {"write": 1.0, "fork_weight": 0.4},
    FULL: {"read": 0.475, "write": 0.475, "pageout": 0.05, "fork_weight": 0.4},
}


def at(processes: int, pages: int, rounds: int) -> dict[str, object]:
    """Return nanoseconds per event of each mix, what happened in it, and what follows for each kind."""
    size = 1 << 20 if processes * pages < 1 << 20 else 1 << 22
    sims, streams = {}, {}
    for name, drawn in MIXES.items():
        source = mix(processes, pages, **(NOTHING | drawn))
        memory = "75%" if name == FULL else "110%"
        sims[name] = Simulator(POLICY, machine_for(source, {"swap_slots": processes * pages}, memory))
        streams[name], before = segments(source, size)
        sims[name].run(before)
        still = drawn.get("write", 0.0) and not drawn.get("fork_weight")  # its pages are to be private before it counts
        warm = round((10 / drawn["write"] if still else 2) * processes * pages)
        for _ in range(warm // size + 1):
            sims[name].run(next(streams[name]))
    was = {name: sim.counters.to_dict() for name, sim in sims.items()}
    least = in_turns(
        rounds,
        {name: (lambda given, name=name: sims[name].run(given[name])) for name in sims},
        lambda: {name: next(stream) for name, stream in streams.items()},
    )
    ns = {name: value / size * 1e9 for name, value in least.items()}
    happened = {name: per_event(was[name], sim.counters.to_dict()) for name, sim in sims.items()}
    return {"processes": processes, "pages": pages, "ns": ns, "per_event": happened, "kinds": kinds(ns, happened)}


def per_event(before: dict[str, int], after: dict[str, int]) -> dict[str, float]:
    """Return how often things happened, for each event."""
    names = ("faults", "copies", "reuses", "swap_ins", "swap_writes", "pages_reclaimed", "ptes_copied", "ptes_zapped")
    events = after["events"] - before["events"]
    return {name: (after[name] - before[name]) / events for name in names}


def kinds(ns: dict[str, float], happened: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return nanoseconds of each kind of outcome."""
    forked = happened["read, fork"]
    pte = (ns["read, fork"] - ns["read"]) / (forked["ptes_copied"] + forked["ptes_zapped"])
    written = happened["write, fork"]
    tables = pte * (written["ptes_copied"] + written["ptes_zapped"])
    swapped = happened["write, pageout"]
    return {
        "read that hits": ns["read"],
        "write that hits": ns["write"],
        "read or write that hits, at random": ns["read or write"],
        "swap-out and the swap-in that follows": (ns["write, pageout"] - ns["write"]) / swapped["swap_ins"],
        "fork or exit, for each pte": pte,
        "write-protect fault (copy or reuse), more than a write": (ns["write, fork"] - ns["write"] - tables)
        / (written["copies"] + written["reuses"]),
        "any event of the full mix": ns[FULL],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scales", type=int, default=3, help="how many of the scales, small ones first")
    options = parser.parse_args()
    pin()
    found = {
        "conditions": conditions() | {"policy": POLICY, "rounds": options.rounds},
        "scales": [at(*scale, options.rounds) for scale in SCALES[: options.scales]],
    }
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(found, enc_hook=float)).decode() + "\n")


if __name__ == "__main__":
    main()
