# SPDX-License-Identifier: MIT
"""Short programs whose outcome tells policies apart, and how an outcome is written in a cell.

Used twice: :mod:`vectors` and :mod:`policies` print what the fast engine computes, ``tests/test_facts.py`` holds the
reference, kernel records and the published tables against the same cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cowfast import Machine, Simulator, load_policy
from cowfast._layout import CONTENT, Outcome
from cowfast.events import make_events, parse_event

DEVICES = {
    "sync": Machine(swap="sync", stable_writes=True, page_cluster=0, swap_slots=4095),
    "async": Machine(swap="async", page_cluster=0, swap_slots=4095),
    "async+readahead": Machine(swap="async", page_cluster=3, swap_slots=4095),
}
"""zram; a disk without readahead (window 1); a disk with the default window of 8."""

SLOW = Machine(swap="async", page_cluster=0, swap_slots=4095, swap_latency=100)
BEING_WRITTEN = {"async": SLOW, "async, stable writes": SLOW.replace(stable_writes=True)}
"""Disks on which the write is still under way when the page is touched again."""


@dataclass(frozen=True)
class Told:
    """One program run to its end."""

    marked: tuple[int, ...]
    outcomes: np.ndarray
    """uint32[events], outcome bits"""
    drains: tuple[int, ...]
    """local drains inside each event, the one that ends a readahead left out"""
    values: np.ndarray
    """CONTENT[events]: what each event read, 0 for zeros, i + 1 for what event i stored"""
    written: tuple[int, ...]
    """pages that each event wrote to the device"""
    slots_before: tuple[int, ...]
    """slots in use before each event"""
    slots: int
    """slots in use at the end"""
    allocated: int
    """slots allocated in all"""

    def letter(self, event: int) -> str:
        """``R`` reuse, ``C`` copy, ``RW`` mapped writable at swap-in, ``–`` no fault, ``F`` another fault."""
        bits = int(self.outcomes[event])
        for bit, word in ((Outcome.COPIED, "C"), (Outcome.REUSED, "R"), (Outcome.MAPPED_WRITABLE, "RW")):
            if bits & bit:
                return word
        return "F" if bits & Outcome.FAULT else "–"

    def verdict(self, event: int) -> str:
        """The letter, and ``+d`` if the fault drained the LRU batch."""
        return self.letter(event) + ("+d" if self.drains[event] else "")


@dataclass(frozen=True)
class Scenario:
    """A program, the devices on which it says something, and what its cell shows."""

    name: str
    section: str
    """of the rules' document, where the outcome is stated"""
    about: str
    program: str
    """events separated by ``;``, those that the cell shows marked with ``!``"""
    cell: Callable[[Told], str]
    devices: tuple[str, ...] = tuple(DEVICES)
    record: str = ""
    """script of the kernel records with the same events"""
    switches: str = ""
    """added to the policy's name: what the machine of the scenario does that no event says"""
    machines: tuple[tuple[str, Machine], ...] = tuple({**DEVICES, **BEING_WRITTEN}.items())

    @cached_property
    def texts(self) -> list[str]:
        return [each.strip() for each in self.program.split(";")]

    @property
    def marked(self) -> tuple[int, ...]:
        return tuple(i for i, text in enumerate(self.texts) if text.startswith("!"))

    def compute(self, policy: str, device: str, engine: str = "fast") -> str:
        """Return the cell."""
        return self.cell(self.tell(policy, device, engine))

    def tell(self, policy: str, device: str, engine: str = "fast") -> Told:
        """Run the program event by event."""
        machine = dict(self.machines)[device].replace(space=8, processes=4, references=4)
        return tell(policy + self.switches, machine, self.texts, engine)


def tell(policy: str, machine: Machine, texts: Iterable[str], engine: str = "fast") -> Told:
    """Run a program (``!`` marks an event) and note after each event what it did."""
    texts = list(texts)
    rule = load_policy(policy)
    simulator = Simulator(rule, machine, engine=engine, contents=True)
    outcomes, values = np.zeros(len(texts), np.uint32), np.zeros(len(texts), CONTENT)
    drains, written, slots = [], [], []
    for i, text in enumerate(texts):
        before = simulator.counters
        slots.append(before["slot_allocs"] - before["slot_frees"])
        simulator.run(make_events([parse_event(text.removeprefix("!"))]), outcomes[i : i + 1], values[i : i + 1])
        counted = simulator.counters - before
        drains.append(counted["drains"] - drains_of_readahead(rule.switches, machine, int(outcomes[i])))
        written.append(counted["swap_writes"])
    total = simulator.counters
    return Told(
        marked=tuple(i for i, text in enumerate(texts) if text.startswith("!")),
        outcomes=outcomes,
        drains=tuple(drains),
        values=values,
        written=tuple(written),
        slots_before=tuple(slots),
        slots=total["slot_allocs"] - total["slot_frees"],
        allocated=total["slot_allocs"],
    )


def drains_of_readahead(switches: object, machine: Machine, outcome: int) -> int:
    """Return 1 if the event read ahead with a first window (above 1) and the policy drains at its end."""
    read_in = outcome & Outcome.MAJOR and not outcome & Outcome.PAST_CACHE
    through_readahead = machine.swap == "async" or switches.swap_bypass  # type: ignore[attr-defined]
    return int(bool(read_in and through_readahead and machine.page_cluster and switches.readahead_drains))  # type: ignore[attr-defined]


def verdicts(told: Told) -> str:
    """Return the verdict of each marked event."""
    return ", ".join(told.verdict(event) for event in told.marked)


def verdicts_and_slot(told: Told) -> str:
    """Return the same, and whether a slot is still held (``s``) or free (``f``) in the end."""
    return f"{verdicts(told)} {'s' if told.slots else 'f'}"


def second_write(told: Told) -> str:
    """Return whether the marked reclaim wrote the page again, and whether it needed a new slot for it."""
    (event,) = told.marked
    slot = "same slot" if told.slots_before[event] else "new slot"
    return f"{slot}, {'write' if told.written[event] else 'no write'}"


def shows_device(told: Told) -> str:
    """Return whether the last read saw what the device stored through its reference in the event before."""
    return "coherent" if int(told.values["first"][-1]) == len(told.values) - 1 else "lost"


def child_sees_old(told: Told) -> str:
    """Return whether the last event saw the first store and not the overwrite."""
    return "ok" if int(told.values["first"][-1]) == 1 else "LEAK"


def pin_sees_new(told: Told) -> str:
    """Return whether the last event saw the overwrite, which is marked."""
    return "ok" if int(told.values["first"][-1]) == told.marked[-1] + 1 else "STALE"


VECTORS = (
    Scenario(
        "read-write", "6.1", "reclaimed, read in, then written by the same process",
        "write 0 0; drain; reclaim; read 0 0; !write 0 0", verdicts_and_slot, record="swap-read-write-fresh",
    ),
    Scenario(
        "write", "6.2", "reclaimed, then written directly",
        "write 0 0; drain; reclaim; !write 0 0", verdicts_and_slot, record="swap-write",
    ),
    Scenario(
        "refault", "6.3", "written again while the write to the device is under way",
        "write 0 0; drain; pageout 0 0; drain; !write 0 0", verdicts, tuple(BEING_WRITTEN),
    ),
    Scenario(
        "fork-write-write", "6.3", "swapped, forked; the parent writes, then the child",
        "write 0 0; drain; reclaim; fork 0 1; !write 0 0; !write 1 0", verdicts, record="swap-then-fork-write",
    ),
    Scenario(
        "fork-exit-read-write", "6.3", "swapped, forked, the child exits; the parent reads, then writes",
        "write 0 0; drain; reclaim; fork 0 1; exit 1; read 0 0; !write 0 0", verdicts_and_slot, ("sync", "async"),
    ),
    Scenario(
        "fork-exit-write-fresh", "6.3", "forked, the child exits, the parent writes; the page is still in the LRU batch",
        "write 0 0; fork 0 1; exit 1; !write 0 0", verdicts, ("async",), record="fork-child-exits-fresh",
    ),
    Scenario(
        "fork-write-write-fresh", "6.3", "forked, the parent writes, the child writes; the page is still in the LRU batch",
        "write 0 0; fork 0 1; !write 0 0; !write 1 0", verdicts, ("async",),
    ),
    Scenario(
        "clean-again", "6.3", "reclaimed, read in, reclaimed again",
        "write 0 0; drain; reclaim; read 0 0; drain; !reclaim", second_write, ("sync", "async"), record="reclaim-clean",
    ),
    Scenario(
        "get-reclaim", "6.3", "a read-write get (a device that fills a buffer), reclaim tries, the owner reads, then writes",
        "write 0 0; drain; get 0 0 ref=0 write; reclaim; read 0 0; write 0 0; pinwrite ref=0; read 0 0", shows_device,
        ("sync", "async"),
    ),
)  # fmt: skip
"""The outcome vectors: one program a row."""

BASE, OUT = "write 0 0", "write 0 0; drain; reclaim"
SELFTEST_RUNS = {"base page": ("async", BASE), "swapped, disk": ("async", OUT), "swapped, zram": ("sync", OUT)}
"""The runs of one test: the device, and how the page is prepared."""
SOFT_DIRTY = "+switch.protect_restores=never"
"""Soft-dirty tracking is not modelled; what clearing it does here is that mprotect leaves the pte read-only."""


@dataclass(frozen=True)
class Selftest:
    """A test of ``tools/testing/selftests/mm/cow.c``: what happens after the page is prepared."""

    number: str
    about: str
    program: str
    cell: Callable[[Told], str]
    switches: str = ""

    def compute(self, policy: str, run: str, engine: str = "fast") -> str:
        """Return ``ok``, ``LEAK`` (the other side saw the overwrite) or ``STALE`` (the pin did not)."""
        device, prepare = SELFTEST_RUNS[run]
        machine = DEVICES[device].replace(space=8, processes=4, references=4)
        texts = [text.strip() for text in f"{prepare}; {self.program}".split(";")]
        return self.cell(tell(policy + self.switches, machine, texts, engine))

    def row(self, policy: str, engine: str = "fast") -> str:
        """Return the three runs as one cell: ``ok``, ``LEAK ×3`` or ``ok/LEAK/LEAK``."""
        cells = [self.compute(policy, run, engine) for run in SELFTEST_RUNS]
        if len(set(cells)) == 1:
            return cells[0] if cells[0] == "ok" else f"{cells[0]} ×3"
        return "/".join(cells)


PIN = "pin 0 0 ref=0 longterm"
SELFTESTS = (
    Selftest("1", "basic COW", "fork 0 1; read 1 0; !write 0 0; read 1 0", child_sees_old),
    Selftest(
        "2", "the same with mprotect", "fork 0 1; read 1 0; protect 0 0; !write 0 0; read 1 0", child_sees_old
    ),
    Selftest(
        "3", "vmsplice in the child",
        "fork 0 1; read 1 0; get 1 0 ref=0 look; discard 1 0; !write 0 0; pinread ref=0", child_sees_old,
    ),
    Selftest(
        "4", "the same with mprotect",
        "fork 0 1; read 1 0; get 1 0 ref=0 look; discard 1 0; protect 0 0; !write 0 0; pinread ref=0", child_sees_old,
    ),
    Selftest(
        "5", "vmsplice before fork",
        "read 0 0; get 0 0 ref=0 look; fork 0 1; discard 0 0; !write 1 0; exit 1; pinread ref=0", child_sees_old,
    ),
    Selftest(
        "6", "vmsplice after fork",
        "read 0 0; fork 0 1; get 0 0 ref=0 look; discard 0 0; !write 1 0; exit 1; pinread ref=0", child_sees_old,
    ),
    Selftest(
        "7", "read-only mapping of a fixed buffer",
        "pin 0 0 ref=0 write longterm; protect 0 0; !write 0 0; pinread ref=0", pin_sees_new, SOFT_DIRTY,
    ),
    Selftest(
        "8", "fork with a fixed buffer", "pin 0 0 ref=0 write longterm; fork 0 1; !write 0 0; pinread ref=0", pin_sees_new
    ),
    Selftest("9, 10", "read-only pin, shared page", f"fork 0 1; {PIN}; !write 0 0; pinread ref=0", pin_sees_new),
    Selftest(
        "11, 12", "read-only pin, previously shared page",
        f"fork 0 1; exit 1; {PIN}; !write 0 0; pinread ref=0", pin_sees_new,
    ),
    Selftest(
        "13, 14", "read-only pin, exclusive page mapped read-only",
        f"protect 0 0; {PIN}; !write 0 0; pinread ref=0", pin_sees_new, SOFT_DIRTY,
    ),
)  # fmt: skip
"""The anonymous small-page tests, in the order of the source."""

RECORDED_SELFTESTS = {
    "3": ("vmsplice-child-dontneed", "splice_read 0"),
    "5": ("vmsplice-parent-dontneed", "splice_read 0"),
    "7": ("p-pin", "pinread 0"),
    "8": ("pin-fork-parent-writes", "pinread 0"),
}
"""Test -> the recorded script that does the same to a base page that is on the LRU, and the event that shows the verdict."""
