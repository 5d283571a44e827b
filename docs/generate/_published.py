# SPDX-License-Identifier: MIT
"""Figures that others published, and the programs that compute them here.

Each function takes a policy and returns what the model counts; :mod:`facts` prints it, ``tests/test_facts.py`` holds it
against what was published.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from _scenarios import DEVICES
from cowfast import Simulator, load_policy
from cowfast._layout import Op, Outcome
from cowfast.events import make_events, parse_event

PAGES_OF_2_MB = 512
FORCESWAP_ROUNDS = 1_000_000


def events(texts: Iterable[str], times: int = 1) -> np.ndarray:
    """Return the events of a program, repeated."""
    return np.tile(make_events(map(parse_event, texts)), times)


@dataclass(frozen=True)
class Faults:
    """Faults of the accesses that were asked about."""

    minor: int
    major: int


def paged_out_then_read_and_written(
    policy: str, device: str = "sync", out: str = f"pageout 0 0 n={PAGES_OF_2_MB}", engine: str = "fast"
) -> Faults:
    """Return the faults when 2 MB are written, paged out by the event ``out``, and each page is then read and written."""
    pages = range(PAGES_OF_2_MB)
    simulator = Simulator(policy, DEVICES[device].replace(space=PAGES_OF_2_MB, processes=2), engine=engine)
    simulator.run([f"write 0 {page}" for page in pages])
    simulator.run(["drain", out])
    before = simulator.counters
    simulator.run([f"{access} 0 {page}" for page in pages for access in ("read", "write")])
    counted = simulator.counters - before
    return Faults(counted["faults"] - counted["major_faults"], counted["major_faults"])


@dataclass(frozen=True)
class Loop:
    """What ``rounds`` rounds of {page out, read, write} on one page came to."""

    rounds: int
    reuses: int
    copies: int
    drains: int
    """inside the write faults; the one that every pageout makes is left out"""
    slots_allocated: int
    slots_held: int
    """in the end"""
    leaked: int
    """of these, held by pages that nobody maps and no swap entry names: only reclaim finds them"""
    device_writes: int
    early_copies: int
    """copies that an optimistic check decided, before the page lock was taken"""
    no_fault: int
    """rounds whose write took no write fault"""

    @property
    def copies_under_lock(self) -> int:
        """Copies that were decided with the page lock held."""
        return self.copies - self.early_copies


def forced_swap(policy: str, device: str, rounds: int, *, engine: str = "fast", drain_every: int = 0,
                move_every: int = 0, lru_batch: int = -1) -> Loop:  # fmt: skip
    """Run the loop.

    ``drain_every=k`` empties the LRU batch between read and write in every k-th round, as something else on that CPU
    might; ``move_every=k`` moves the process to the other of two CPUs after every k rounds; ``lru_batch=0`` is a kernel
    without batches.
    """
    machine = DEVICES[device].replace(space=1, processes=2, cpus=2, lru_batch=lru_batch, swap_slots=4 * rounds + 64)
    rule = load_policy(policy)
    simulator = Simulator(rule, machine, engine=engine)
    simulator.run(["write 0 0"])
    before = simulator.counters
    quiet = ["pageout 0 0", "read 0 0", "write 0 0"]
    disturbed = [*quiet[:2], "drain", quiet[2]]
    if drain_every:
        program = events(quiet * (drain_every - 1) + disturbed, rounds // drain_every)
    elif move_every:
        program = events([*quiet * move_every, "cpu 0 1", *quiet * move_every, "cpu 0 0"], rounds // (2 * move_every))
    else:
        program = events(quiet, rounds)
    outcomes = np.zeros(len(program), np.uint32)
    simulator.run(program, outcomes)
    counted = simulator.counters - before
    faults = outcomes[program["op"] == Op.WRITE]
    decided_by = check_number(faults[(faults & Outcome.COPIED) > 0])
    lock = next((i for i, text in enumerate(rule.write_fault) if text.startswith("lock")), len(rule.write_fault))
    return Loop(
        rounds=len(faults),
        reuses=counted["reuses"],
        copies=counted["copies"],
        drains=int(np.count_nonzero(faults & Outcome.DRAINED)),
        slots_allocated=counted["slot_allocs"],
        slots_held=simulator.counters["slot_allocs"] - simulator.counters["slot_frees"],
        leaked=idle_slots(simulator),
        device_writes=counted["swap_writes"],
        early_copies=int(np.count_nonzero(decided_by <= lock)),
        no_fault=int(np.count_nonzero((faults & Outcome.WRITE_FAULT) == 0)),
    )


def idle_slots(simulator: Simulator) -> int:
    """Return how many slots belong to pages that are in the swap cache and of no use to anybody."""
    state = simulator.state()
    maps = {number: page[4] for number, page in state["pages"].items()}
    return sum(kind == "cached" and not count and not maps[page] for kind, page, count, _ in state["slots"].values())


def check_number(outcomes: np.ndarray) -> np.ndarray:
    """Return the place, from 1, of the check of ``write_fault`` that decided."""
    number: np.ndarray = (outcomes >> Outcome.CHECK_SHIFT) & ((1 << (Outcome.CAUSE_SHIFT - Outcome.CHECK_SHIFT)) - 1)
    return number


@dataclass(frozen=True)
class SwapIns:
    """Swap-ins by writes, and how many of them drained the LRU batch."""

    swap_ins: int
    drained: int


def write_pageout_write(policy: str, device: str, rounds: int = 512, engine: str = "fast") -> SwapIns:
    """Write a page, page it out, write it again, and so on.

    One page: with more of them a swap-in may also be the one that fills the batch, which empties it as well.
    """
    simulator = Simulator(policy, DEVICES[device].replace(space=1, processes=2), engine=engine)
    simulator.run(["write 0 0"])
    program = events(["pageout 0 0", "write 0 0"], rounds)
    outcomes = np.zeros(len(program), np.uint32)
    simulator.run(program, outcomes)
    swapped_in = outcomes[(outcomes & Outcome.SWAP_IN) > 0]
    return SwapIns(len(swapped_in), int(np.count_nonzero(swapped_in & Outcome.DRAINED)))
