# SPDX-License-Identifier: MIT
"""Random events at full speed for as long as you like, every count recomputed every 10^5 events.

    python benchmarks/soak.py --budget 60
    python benchmarks/soak.py --budget 3600 --json docs/data/reliability/soak.json
    python benchmarks/soak.py --budget 1200 --events 1_000_000_000 --json docs/data/reliability/soak.json

Each *shape* is a kind of machine with what happens on it: the adversarial ones of which counts are lost, tables end and
lists run dry.  All pairs of a shape and a policy have a turn; then those shapes have more turns on which more events fit into a second.
The figures in --json are of one build of the engine: those of another are left out.  Events are drawn a hundred thousand at a time, most of
them in order (a simple model knows who is alive and what each reference number holds), some of them not: a refused event
must change nothing, is left out, and the run goes on behind it.

An invariant that does not hold, or a chunk that takes a minute of CPU time, ends it with a traceback; the seed and the shape that were printed
last give the same again (``--seed``, ``--shape``, ``--policy``).
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import json
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from cowfast import Simulator, _engine
from cowfast._layout import CONTENT, EVENT, Op, RefKind
from cowfast.errors import EventError
from cowfast.policy import policy_names

PATIENCE = 1000  # refused events, beside a hundredth of all, until a machine is given up for another
HANG = 60  # seconds of CPU time for a chunk
SAVE = 30  # seconds between two writings of the figures
CHUNK = 100_000  # events, refused ones among them, between two verifications
POLICIES = [*policy_names(), "linux-5.10+write_fault=linux-5.7"]
PAIRED = {Op.GET: Op.PUT, Op.PIN: Op.UNPIN, Op.LOCK: Op.UNLOCK}

LIVES = {Op.FORK: 0.5, Op.EXIT: 0.5}  # together: which of both it is depends on who is alive
ACCESSES = {Op.READ: 30, Op.WRITE: 50}
MEMORY = {Op.DISCARD: 1, Op.PROTECT: 1, Op.PAGEOUT: 1, Op.PREFETCH: 1, Op.MERGE: 2, Op.EXEC: 0.05, Op.CPU: 0.5}
LISTS = {Op.DRAIN: 1, Op.RECLAIM: 0.05, Op.FILLSWAP: 0.2, Op.FREESWAP: 0.1}
HELD = {Op.GET: 8}  # one of the four steps of a reference's life: taken, used twice, dropped
EVERYTHING = ACCESSES | MEMORY | LISTS | HELD | LIVES


@dataclass(frozen=True)
class Shape:
    """Machines, and what happens on them."""

    machine: Callable[[np.random.Generator], dict[str, Any]]
    weights: dict[Op, float] = field(default_factory=lambda: EVERYTHING)
    rude: float = 0.0005  # share of events with random fields
    crowd: float = 0.5  # of the process numbers, how many live in the long run
    chain: bool = False  # the newest process forks, not a random one
    hot: float = 0.3  # share of accesses to the first four pages
    first: Callable[[np.random.Generator, dict[str, Any]], np.ndarray] | None = None  # events to begin with


def _any(draw: np.random.Generator, **fixed: Any) -> dict[str, Any]:
    """Any kind of machine, but for what is fixed."""
    swap = str(draw.choice(["none", "async", "async", "sync"]))
    machine = {
        "memory": int(draw.choice([0, 40, 200, 1000])),  # 40: references and batches alone may fill it
        "swap_slots": int(draw.choice([7, 100, 5000])),
        "swap": swap,
        "stable_writes": bool(draw.integers(2)),
        "swap_latency": int(draw.choice([0, 1, 50])) if swap == "async" else 0,
        "page_cluster": int(draw.choice([0, 3, 5, 31])),
        "cpus": int(draw.choice([1, 2, 5])),
        "lru_batch": int(draw.choice([-1, 0, 1, 2, 31])),
        "stat_flush_events": int(draw.choice([0, 1, 500])),
        "space": int(draw.choice([40, 600, 3000])),
        "processes": int(draw.choice([2, 8, 60, 64, 65, 90])),  # to 64 who maps a page is a bit set, of more a ring
        "references": int(draw.choice([1, 40, 300])),
    }
    machine |= fixed
    if machine["swap"] != "async":
        machine["swap_latency"] = 0
    if machine["memory"] and draw.random() < 0.75:  # else the memory is full most of the time
        machine["references"] = min(machine["references"], machine["memory"] // 3 + 1)
        if machine["swap"] == "none" or machine["swap_slots"] < 1000:
            machine["processes"], machine["space"] = min(machine["processes"], 6), min(machine["space"], 40)
            machine["memory"] = max(machine["memory"], 200) if "memory" not in fixed else machine["memory"]
    return machine


def _at_the_width(draw: np.random.Generator, machine: dict[str, Any]) -> np.ndarray:
    """A page with 65,535 gets but a few, or as many pins: what comes then goes over the limit and back."""
    number = 65_535 - int(draw.integers(0, 40))
    events = np.zeros(number + 1, EVENT)
    events["op"] = Op.GET if draw.random() < 0.8 else Op.PIN
    events["op"][0] = Op.WRITE
    events["arg"][1:] = machine["references"] - 1 - np.arange(number)
    return events


def _everybody(draw: np.random.Generator, machine: dict[str, Any]) -> np.ndarray:
    """Every process number lives."""
    events = np.zeros(machine["processes"], EVENT)
    events["op"] = Op.FORK
    events["op"][0] = Op.WRITE
    events["arg"] = np.arange(machine["processes"])
    events["pid"][1:] = draw.integers(0, np.arange(1, machine["processes"]))
    return events


SHAPES = {
    "any machine": Shape(_any),
    "one page, all share it": Shape(
        lambda draw: _any(draw, space=1, processes=int(draw.choice([64, 300])), memory=int(draw.choice([0, 30]))),
        crowd=0.9,
    ),
    "deep fork chains": Shape(
        lambda draw: _any(draw, processes=int(draw.choice([64, 1000])), space=20, swap_slots=5000),
        chain=True,
        crowd=0.9,
    ),
    "fork bombs at the process limit": Shape(
        lambda draw: _any(draw, processes=int(draw.choice([2, 64, 700])), space=30, swap_slots=5000),
        weights=EVERYTHING | {Op.FORK: 10, Op.EXIT: 10},
        crowd=0.99,
        rude=0.003,
        first=_everybody,
    ),
    "swap full": Shape(
        lambda draw: _any(
            draw, swap=str(draw.choice(["async", "sync"])), swap_slots=int(draw.choice([1, 3, 60])), memory=80, space=90
        ),
        weights=EVERYTHING | {Op.FILLSWAP: 2, Op.FREESWAP: 1, Op.RECLAIM: 0.2, Op.PAGEOUT: 4},
    ),
    "two pages of memory": Shape(
        lambda draw: _any(
            draw, memory=2, space=3, processes=2, references=2, lru_batch=int(draw.choice([0, 1])), swap_slots=100
        ),
        weights=EVERYTHING | {Op.EXIT: 10, Op.FORK: 10, Op.DISCARD: 30},
    ),
    "batches of 0": Shape(lambda draw: _any(draw, lru_batch=0)),
    "batches of 31": Shape(lambda draw: _any(draw, lru_batch=31, memory=400)),
    "64 CPUs": Shape(
        lambda draw: _any(draw, cpus=64, memory=int(draw.choice([0, 3000])), processes=int(draw.choice([50, 100]))),
        EVERYTHING | {Op.CPU: 10},
    ),
    "references at their width": Shape(
        lambda draw: _any(draw, memory=0, references=65_560, space=4, processes=3),
        weights=EVERYTHING | {Op.GET: 80, Op.EXEC: 0, Op.DISCARD: 0.1, Op.EXIT: 0.1, Op.FORK: 0.1},
        hot=1.0,
        first=_at_the_width,
    ),
    "unmovable pages, no limit": Shape(
        lambda draw: _any(draw, memory=0, space=9000, processes=3, references=9000),
        weights=EVERYTHING | {Op.GET: 100, Op.WRITE: 50, Op.EXEC: 0.05, Op.DISCARD: 0.5},
        hot=0.0,
    ),
}


class Events:
    """Chunks of events for one machine, most of them in order; made again from what the simulator says of itself."""

    def __init__(self, shape: Shape, machine: dict[str, Any], draw: np.random.Generator) -> None:
        self.shape, self.machine, self.draw = shape, machine, draw
        weights = {op: weight for op, weight in shape.weights.items() if op not in LIVES}
        self.lives = sum(shape.weights[op] for op in LIVES) / sum(shape.weights.values())
        self.ops = np.array(list(weights), np.uint8)
        self.shares = np.array(list(weights.values())) / sum(weights.values())

    def chunk(self, alive: list[int], kinds: np.ndarray, n: int = CHUNK) -> np.ndarray:
        """*n* events for a machine where these processes live and the reference numbers hold these kinds."""
        draw, machine = self.draw, self.machine
        events = np.zeros(n, EVENT)
        events["op"] = draw.choice(self.ops, n, p=self.shares)
        space = machine["space"]
        page = draw.integers(0, space, n, dtype=np.uint32)
        hot = draw.random(n) < self.shape.hot
        page[hot] %= 4
        events["page"] = page
        op = events["op"]
        ranged = np.isin(op, [Op.DISCARD, Op.PROTECT, Op.PAGEOUT, Op.PREFETCH])
        events["arg"][ranged] = (draw.random(ranged.sum()) ** 4 * (space - page[ranged] + 1)).astype(np.uint32)
        for which, limit in (
            (Op.MERGE, machine["processes"]),
            (Op.CPU, machine["cpus"]),
            (Op.DRAIN, 2),
            (Op.FILLSWAP, 5),
        ):
            here = op == which
            events["arg"][here] = draw.integers(0, limit, here.sum())
        here = op == Op.RECLAIM
        events["arg"][here] = draw.choice([0, 1, 40, 2**32 - 1], here.sum())
        self._references(events, kinds)
        self._processes(events, alive)
        rude = np.flatnonzero(draw.random(n) < self.shape.rude)
        for name, most in (("op", 25), ("flags", 9), ("pid", 70_000), ("page", 2**32), ("arg", 2**32)):
            some = rude[draw.random(len(rude)) < 0.3]
            limit = min(most, 2 ** (8 * EVENT[name].itemsize))
            small = draw.integers(0, min(limit, 2 * machine["processes"] + 30), len(some))
            events[name][some] = np.where(draw.random(len(some)) < 0.7, small, draw.integers(0, limit, len(some)))
        return events

    def _references(self, events: np.ndarray, kinds: np.ndarray) -> None:
        """Each number is taken, used twice and dropped, in turn."""
        draw, numbers = self.draw, self.machine["references"]
        where = np.flatnonzero(events["op"] == Op.GET)
        if not numbers or not len(where):
            events["op"][where] = Op.READ
            return
        number = draw.integers(0, min(numbers, 1 + int(draw.integers(numbers)) * 2), len(where))
        order = np.argsort(number, kind="stable")
        number, where = number[order], where[order]
        begins = np.r_[True, number[1:] != number[:-1]]
        nth = np.arange(len(number)) - np.maximum.accumulate(np.where(begins, np.arange(len(number)), 0))
        held = kinds[number]
        nth += held != RefKind.REF_NONE
        step = nth & 3
        fresh = draw.choice(np.array([Op.GET, Op.PIN, Op.LOCK], np.uint8), len(number), p=[0.5, 0.48, 0.02])
        # what a life began with: its first step in this chunk, or what the simulator holds
        life = np.maximum.accumulate(np.where((step == 0) | begins, np.arange(len(number)), 0))
        began = np.where(step[life] == 0, fresh[life], np.array([0, Op.GET, Op.PIN, Op.LOCK], np.uint8)[held[life]])
        use = draw.choice(np.array([Op.PINREAD, Op.PINWRITE], np.uint8), len(number))
        drop = np.array([PAIRED.get(Op(i), Op.READ) for i in range(Op.NR_OPS)], np.uint8)[began]
        op = np.where(step == 0, began, np.where(step == 3, drop, np.where(began == Op.LOCK, Op.READ, use)))
        events["op"][where] = op
        events["arg"][where] = number
        flags = np.where(
            op == Op.GET, draw.integers(0, 4, len(op)), np.where(op == Op.PIN, draw.integers(0, 4, len(op)) * 2, 0)
        )
        events["flags"][where] = flags

    def _processes(self, events: np.ndarray, alive: list[int]) -> None:
        """Who does each event lives at that time, if nothing was refused; forks and exits in between."""
        draw, processes, n = self.draw, self.machine["processes"], len(events)
        dead = sorted(set(range(processes)) - set(alive))
        draw.shuffle(dead)
        living = np.zeros(processes, np.uint16)  # the first *count* of them
        count, newest = len(alive), alive[-1]
        living[:count] = alive
        wanted = max(1, round(self.shape.crowd * processes))
        who = draw.random(n)
        changes = np.flatnonzero(draw.random(n) < self.lives)
        pid = events["pid"]
        at = 0
        for change, turn in zip(changes.tolist(), draw.random(len(changes)).tolist(), strict=True):
            pid[at : change + 1] = living[(who[at : change + 1] * count).astype(np.intp)]
            at = change + 1
            fork = turn < (0.75 if count < wanted else 0.25)
            if fork and dead:
                child = dead.pop()
                events[change] = (Op.FORK, 0, newest if self.shape.chain else pid[change], 0, child)
                living[count] = newest = child
                count += 1
            elif not fork and count > 1:
                place = int(who[change] * count)
                victim, count = int(living[place]), count - 1
                living[place] = living[count]
                events[change] = (Op.EXIT, 0, victim, 0, 0)
                dead.append(victim)
                newest = int(living[count - 1]) if newest == victim else newest
        pid[at:] = living[(who[at:] * count).astype(np.intp)]


def soak(shape: Shape, policy: str, seed: int, seconds: float) -> tuple[int, int, int]:
    """Run one machine for so long; events done, refused, verifications."""
    draw = np.random.default_rng(seed)
    machine = shape.machine(draw)
    contents = draw.random() < 0.25
    simulator = Simulator(policy, machine, contents=contents)
    outcomes = np.zeros(CHUNK, np.uint32) if draw.random() < 0.3 else None
    values = np.zeros(CHUNK, CONTENT) if contents else None
    source = Events(shape, machine, draw)
    refused, verified, tired = 0, 0, False
    end = time.monotonic() + seconds
    for events in _chunks(source, simulator):
        signal.setitimer(signal.ITIMER_VIRTUAL, HANG)
        at, out = 0, outcomes if len(events) <= CHUNK else None
        while at < len(events):
            before = simulator.done
            try:
                simulator.run(events[at:], out, values if out is not None else None)
                break
            except EventError as error:
                at += error.index - before + 1
                refused += 1
                tired = refused > PATIENCE + simulator.done // 100
                if tired or time.monotonic() > end:
                    break
        simulator.verify()
        verified += 1
        if tired or time.monotonic() > end:
            break
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return simulator.done, refused, verified


def _chunks(source: Events, simulator: Simulator) -> Iterator[np.ndarray]:
    if source.shape.first:
        yield source.shape.first(source.draw, source.machine)
    while True:
        alive = np.flatnonzero(simulator.procs["flags"]).tolist()
        if not alive:  # a rude exit took the last one: nobody can do anything any more
            return
        yield source.chunk(alive, simulator.refs["kind"])


def main() -> int:
    """Soak until the budget is used."""
    options = _options()
    faulthandler.enable()
    faulthandler.register(signal.SIGVTALRM, chain=True)  # says where, then the signal ends the process
    begun = time.monotonic()
    end = begun + options.budget
    shapes = {name: SHAPES[name] for name in options.shape or SHAPES}
    pairs = [(name, policy) for name in shapes for policy in options.policy or POLICIES]
    found = {name: {"events": 0, "refused": 0, "verifications": 0, "machines": 0} for name in shapes}
    seed, spent = options.seed, dict.fromkeys(shapes, 0.0)
    before = _before(options.json)
    slot, saved = min(max(options.budget / len(pairs) * 0.4, 0.05), 5.0), begun
    for turn, (name, policy) in enumerate(_turns(pairs, found, spent, options.seed)):
        left = end - time.monotonic()
        enough = options.events and turn >= len(pairs) and _events(found) >= options.events
        if left <= 0 or enough:
            break
        print(f"{name}, {policy}, seed {seed}:", end=" ", flush=True)
        at = time.monotonic()
        done, refused, verified = soak(shapes[name], policy, seed, min(slot, left))
        spent[name] += time.monotonic() - at
        print(f"{done:,} events, {refused:,} refused", flush=True)
        one = found[name]
        one["events"] += done
        one["refused"] += refused
        one["verifications"] += verified
        one["machines"] += 1
        seed += 1
        if options.json and time.monotonic() > saved + SAVE:
            saved = time.monotonic()
            _write(options.json, before, found, saved - begun, [options.seed, seed])
    seconds = time.monotonic() - begun
    for name, one in found.items():
        print(f"{name}: {one['events']:,} events on {one['machines']} machines, {one['refused']:,} refused")
    print(f"{_events(found):,} events in {seconds:.0f} s; every count was right")
    if options.json:
        _write(options.json, before, found, seconds, [options.seed, seed])
    return 0


def _turns(
    pairs: list[tuple[str, str]], found: dict[str, dict[str, int]], spent: dict[str, float], seed: int
) -> Iterator[tuple[str, str]]:
    """Yield each pair once in any order, then pairs for ever, each shape as often as it does events in a second."""
    draw = np.random.default_rng(seed)
    for place in draw.permutation(len(pairs)):
        yield pairs[place]
    while True:
        rates = np.array([found[name]["events"] / max(spent[name], 1e-3) for name, _ in pairs]) + 1.0
        yield pairs[draw.choice(len(pairs), p=rates / rates.sum())]


def _events(found: dict[str, dict[str, int]]) -> int:
    return sum(one["events"] for one in found.values())


def _build() -> str:
    """The first digits of what the engine is."""
    return hashlib.sha256(Path(_engine.__file__).read_bytes()).hexdigest()[:12]


def _before(path: Path | None) -> dict[str, Any]:
    """Figures that this build of the engine has left there."""
    found = json.loads(path.read_text()) if path and path.exists() else {}
    same = bool(found) and all(run["engine"] == _build() for run in found["runs"])
    return found if same else {"shapes": {}, "runs": []}


def _write(
    path: Path, before: dict[str, Any], found: dict[str, dict[str, int]], seconds: float, seeds: list[int]
) -> None:
    """Write the figures, added to those of earlier runs."""
    shapes = dict(before["shapes"])
    for name, one in found.items():
        last = shapes.get(name, dict.fromkeys(one, 0))
        shapes[name] = {key: last[key] + value for key, value in one.items()}
    run = {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "engine": _build(),
        "profile": _engine.PROFILE,
        "events": _events(found),
        "seconds": round(seconds),
        "seeds": seeds,
    }
    document = {
        "what": "random events, every count recomputed from the page tables at least every 100,000 of them",
        "events": sum(one["events"] for one in shapes.values()),
        "refused": sum(one["refused"] for one in shapes.values()),
        "verifications": sum(one["verifications"] for one in shapes.values()),
        "policies": len(POLICIES),
        "shapes": shapes,
        "runs": [*before["runs"], run],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(document, indent=1) + "\n")
    partial.replace(path)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--budget", type=float, default=60, help="seconds")
    parser.add_argument("--events", type=int, help="stop when so many are done, but not before each pair had its turn")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shape", action="append", choices=SHAPES, help="only this one; may be repeated")
    parser.add_argument("--policy", action="append", help="only this one; may be repeated")
    parser.add_argument("--json", type=Path, help="figures to add to")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
