# SPDX-License-Identifier: MIT
"""A scenario told event by event: refs, maps, flags, swap counts, who sees what, and the check that decided."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import numpy as np

from cowfast._layout import Op
from cowfast.errors import SpecError
from cowfast.events import format_event
from cowfast.litmus import MACHINES, Scenario
from cowfast.machine import Machine
from cowfast.policy import Policy
from cowfast.reference.objects import Page, Slot
from cowfast.story.sight import Watcher
from cowfast.story.teller import Teller, Telling
from cowfast.story.words import Holders, counted, processes

FLAGS = ("exclusive", "ksm", "locked", "dirty", "writeback", "stale", "active", "referenced", "workingset", "readahead", "unmovable")  # fmt: skip
"""Flags of a page that are told; the others only count, or are said in other words (LRU batch, swap cache, contents)."""


class PageFacts(msgspec.Struct, kw_only=True):
    """One page in use, after an event."""

    page: int
    vpage: int
    store: int
    """the line that made the store that is in it; 0 is zeros"""
    refs: int
    maps: int
    swap_count: int
    slot: int
    """0: not in the swap cache"""
    on_lru: bool
    flags: list[str]
    ptes: dict[str, str]
    """process -> ``rw``, ``ro`` and ``dirty``"""
    holders: Holders

    def words(self, several: bool) -> str:
        """One sentence; *several* addresses: say which one this is."""
        where = f" at {self.vpage}" if several else ""
        mapped = ", ".join(f"{pid} ({bits})" for pid, bits in self.ptes.items()) or "nobody"
        cached = f", slot {self.slot} with swap count {self.swap_count}" if self.slot else ""
        flags = [*self.flags, *([] if self.on_lru else ["off lru"])]
        return (
            f"page {self.page}{where}: {store(self.store)}, refs {self.refs} ({counted(self.holders)}), maps {self.maps}{cached}; "
            f"mapped by {mapped}" + (f"; {', '.join(flags)}" if flags else "")
        )


class SlotFacts(msgspec.Struct, kw_only=True):
    """One swap slot in use whose page is not in memory."""

    slot: int
    store: int
    swap_count: int
    entries: tuple[int, ...]
    """processes whose swap pte names it"""
    marked: tuple[int, ...]
    """those of them whose swap pte has the exclusive marker"""

    def words(self) -> str:
        """One sentence."""
        marked = f", exclusive for {processes(self.marked)}" if self.marked else ""
        return f"slot {self.slot}: {store(self.store)}, swap count {self.swap_count} (swapped out: {processes(self.entries)}{marked})"


class Step(msgspec.Struct, kw_only=True):
    """One event and what is so after it."""

    number: int
    """of its line, counted from 1; a store is called by it"""
    event: str
    marked: bool
    """the scenario is about this event"""
    outcome: str
    expected: str | None
    """what the scenario file says; None: nothing"""
    told: list[Telling]
    pages: list[PageFacts]
    slots: list[SlotFacts]
    sees: dict[str, str]
    """process, get or pin -> the store it sees, and what is wrong with it"""


class Story(msgspec.Struct, kw_only=True):
    """A scenario under one policy on one machine."""

    scenario: str
    policy: str
    machine: str
    several: bool
    """more than one address is touched"""
    steps: list[Step]


def step(scenario: Scenario, policy: Policy, machine: str | None = None) -> Story:
    """Run a scenario on the reference model and tell it.

    Parameters
    ----------
    scenario : Scenario
    policy : Policy
    machine : a name in ``cowfast.litmus.MACHINES``; the first that the file has expectations for, else ``disk``

    Raises
    ------
    SpecError
        no such machine
    EventError
        an event that cannot be done
    """
    machine = machine or next(iter(scenario.expect), "disk")
    if machine not in MACHINES:
        raise SpecError(f"no machine {machine!r}; there are {', '.join(MACHINES)}")
    pages = touched(scenario.events, scenario.machine(machine))
    watcher = Watcher(policy, scenario.machine(machine), Teller, pages)
    said = scenario.expect.get(machine, {}).get(policy.name)
    expected = dict(zip(scenario.marked, said.split(", "), strict=True)) if said else {}
    steps = []
    for i, event in enumerate(scenario.events):
        outcome = watcher.do(event)
        model = watcher.model
        assert isinstance(model, Teller)
        steps.append(
            Step(
                number=i + 1,
                event=format_event(event),
                marked=i in scenario.marked,
                outcome=outcome,
                expected=expected.get(i),
                told=model.told,
                pages=[page_facts(model, page) for _, page in sorted(model.pages.items())],
                slots=[slot_facts(model, slot) for _, slot in sorted(model.slots.items()) if slot.page is None],
                sees={who: text for who, text, _ in watcher.views()},
            )
        )
    return Story(scenario=scenario.name, policy=policy.name, machine=machine, several=len(pages) > 1, steps=steps)


def touched(events: np.ndarray, machine: Machine) -> list[int]:
    """Return the addresses that single-page events name: what is worth looking at, sorted."""
    named = np.isin(events["op"], [Op.READ, Op.WRITE, Op.GET, Op.PIN, Op.LOCK, Op.MERGE])
    return [int(v) for v in np.unique(events["page"][named]) if v < machine.space]


def page_facts(model: Teller, page: Page) -> PageFacts:
    """Return what there is to say about a page now."""
    return PageFacts(
        page=page.number,
        vpage=page.vpage,
        store=page.contents[0],
        refs=page.refs,
        maps=page.maps,
        swap_count=page.slot.swap_count if page.slot else 0,
        slot=page.slot.number if page.slot else 0,
        on_lru=page.lru,
        flags=[name for name in FLAGS if getattr(page, name)],
        ptes={
            str(pid): ("rw" if pte.write else "ro") + (" dirty" if pte.dirty else "")
            for pid, pte in sorted(page.mappers.items())
        },
        holders=model.holders(page),
    )


def slot_facts(model: Teller, slot: Slot) -> SlotFacts:
    """Return what there is to say about a slot now."""
    ptes = [(p.number, pte) for p in model.processes for pte in p.ptes.values() if pte.slot is slot]
    return SlotFacts(
        slot=slot.number,
        store=slot.contents[0] if slot.contents else 0,
        swap_count=slot.swap_count,
        entries=tuple(pid for pid, _ in ptes),
        marked=tuple(pid for pid, pte in ptes if pte.marked),
    )


def store(number: int) -> str:
    """``holds #3``: what is in a page or slot."""
    return f"holds #{number}" if number else "holds zeros"


def first_difference(a: Story, b: Story) -> tuple[int | None, int | None]:
    """Return the first events (counted from 1) after which two stories differ: in the tables, and in what anybody notices.

    What is noticed is an event's outcome and what processes, gets and pins see.  None: they never differ.
    """

    def first(facts: Callable[[Step], Any]) -> int | None:
        pairs: Iterable[tuple[Step, Step]] = zip(a.steps, b.steps, strict=True)
        return next((x.number for x, y in pairs if facts(x) != facts(y)), None)

    return first(lambda s: (s.pages, s.slots)), first(lambda s: (s.outcome, s.sees))
