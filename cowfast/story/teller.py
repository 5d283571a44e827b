# SPDX-License-Identifier: MIT
"""The reference model with an ear: every check that it asks is written down, with who held the page at that moment."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from cowfast._checks import Check, format_check
from cowfast._layout import CheckOp, Predicate, RefKind
from cowfast.machine import Machine
from cowfast.policy import Policy
from cowfast.reference import Reference
from cowfast.reference.decision import Situation
from cowfast.reference.objects import Page, Process, Pte, Slot
from cowfast.story.words import Holders, condition, decided, verdict_of

Rules = Literal["write_fault", "swap_in"]


class Asked(msgspec.Struct, kw_only=True):
    """One check of a list, and how the page answered it."""

    number: int
    """its place in the list, counted from 1 as ``cowfast policies show`` does"""
    check: str
    """in the words of the policy"""
    holds: bool
    because: str
    """the condition with its numbers; of a check that does not hold, what is true instead"""
    did: str = ""
    """what an action changed: ``refs 3 -> 2``"""
    refs: int
    maps: int
    swap_count: int


class Telling(msgspec.Struct, kw_only=True):
    """One walk through a policy's list for one page: what was asked, what decided."""

    rules: Rules
    unshare: bool
    """a get or pin asked whether the page is its owner's alone"""
    pid: int
    page: int
    vpage: int
    asked: list[Asked]
    number: int
    """the check that decided, counted from 1"""
    check: str
    verdict: str
    """copy, reuse, leave swap cache and reuse; of a swap-in map, map writable"""
    words: str
    """the sentence: ``copy: refs 3 != 1 (map 1, swap cache 1, LRU batch 1)``"""
    refs: int
    maps: int
    swap_count: int
    exclusive: bool
    cached: bool
    off_lru: bool
    holders: Holders
    """at the moment of the decision"""
    dropped: bool = False
    """nothing came of it: making room for the copy took the page away, and the access began again"""


class Teller(Reference):
    """A reference model that tells: ``told`` has a :class:`Telling` for each list that the last event went through."""

    def __init__(self, policy: Policy, machine: Machine) -> None:
        super().__init__(policy, machine)
        self.told: list[Telling] = []
        self.added: list[Page] = []
        self._walk: _Walk | None = None

    # ---- what Reference calls

    def situation(self, page: Page, pid: int, write: bool, **rest: Any) -> Situation:
        """What a check can ask; written down for the list that is being walked."""
        now = super().situation(page, pid, write, **rest)
        if self._walk is not None:
            self._walk.look(now, self.holders(page))
        return now

    def decide_write_fault(self, page: Page, pid: int, write: bool) -> tuple[bool, int, Situation]:
        """The write-fault list."""
        self._end()
        self._walk = _Walk(self, "write_fault", page, pid, not write)
        decision = super().decide_write_fault(page, pid, write)
        self._end()
        return decision

    def write_fault(self, process: Process, v: int, pte: Pte, store: bool, unshare: bool = False) -> bool:
        """One write fault; of one that has to begin again the decision is dropped."""
        self._end()
        mine = len(self.told)
        done = super().write_fault(process, v, pte, store, unshare)
        self.told[mine].dropped = not done
        return done

    def map_swapped(
        self, process: Process, v: int, pte: Pte, slot: Slot, page: Page, write: bool, store: bool, past_cache: bool
    ) -> bool:
        """The swap-in list; a write fault may follow in the same breath."""
        self._end()
        self._walk = _Walk(self, "swap_in", page, process.number, False)
        done = super().map_swapped(process, v, pte, slot, page, write, store, past_cache)
        self._end()
        return done

    def do(self, event: Any) -> tuple[int, int] | None:
        """One event; ``told`` is about it."""
        self.told, self.added, self._walk = [], [], None
        return super().do(event)

    def batch_add(self, page: Page) -> None:
        """A page goes to the LRU batch; ``added`` has those of the last event."""
        self.added.append(page)
        super().batch_add(page)

    # ---- who holds a page

    def holders(self, page: Page) -> Holders:
        """Everything that refers to the page now."""
        held = {
            kind: tuple(sorted(n for n, r in self.references.items() if r.page is page and r.kind == kind))
            for kind in (RefKind.REF_GET, RefKind.REF_PIN, RefKind.REF_LOCK)
        }
        batch = next((cpu for cpu, pages in enumerate(self.batches) if page in pages), None) if page.batched else None
        found = Holders(
            maps=tuple(sorted(page.mappers)),
            slot=page.slot.number if page.slot else 0,
            batch=batch,
            gets=held[RefKind.REF_GET],
            pins=held[RefKind.REF_PIN],
            entries=self.entries(page.slot, page.vpage),
            locks=held[RefKind.REF_LOCK],
        )
        return msgspec.structs.replace(found, fault=page.refs - found.refs)

    def entries(self, slot: Slot | None, vpage: int) -> tuple[int, ...]:
        """Processes whose swap pte names the slot; a page has the same address in every process."""
        if slot is None:
            return ()
        ptes = ((process.number, process.ptes.get(vpage)) for process in self.processes)
        return tuple(pid for pid, pte in ptes if pte is not None and pte.slot is slot)

    def _end(self) -> None:
        walk, self._walk = self._walk, None
        if walk is not None:
            self.told.append(walk.telling())


class _Walk:
    """One walk through a list, as it goes on."""

    def __init__(self, model: Teller, rules: Rules, page: Page, pid: int, unshare: bool) -> None:
        self.model, self.rules, self.page, self.pid, self.unshare = model, rules, page, pid, unshare
        self.checks = model.write_fault_checks if rules == "write_fault" else model.swap_in_checks
        self.moments: list[tuple[Situation, Holders]] = []

    def look(self, now: Situation, holders: Holders) -> None:
        self.moments.append((now, holders))

    def telling(self) -> Telling:
        """What was asked so far, told."""
        page, moments = self.page, self.moments
        after = [*moments[1:], (_counts(page), self.model.holders(page))]
        asked = [
            Asked(
                number=i + 1,
                check=format_check(check, self.rules),
                holds=now.holds(check),
                because=condition(check, now, holders),
                did=_did(check, now, holders, *after[i]) if now.holds(check) else "",
                refs=now.refs,
                maps=now.maps,
                swap_count=now.swap_count,
            )
            for i, (check, (now, holders)) in enumerate(zip(self.checks, moments, strict=False))
        ]
        at = self._deciding()
        check, (now, holders) = self.checks[at], moments[at]
        before = [(c, *m) for c, m in zip(self.checks[:at], moments[:at], strict=True)]
        return Telling(
            rules=self.rules,
            unshare=self.unshare,
            pid=self.pid,
            page=page.number,
            vpage=page.vpage,
            asked=asked,
            number=at + 1,
            check=asked[at].check,
            verdict=verdict_of(check),
            words=decided(check, now, holders, before),
            refs=now.refs,
            maps=now.maps,
            swap_count=now.swap_count,
            exclusive=bool(now.predicates & Predicate.IS_EXCLUSIVE),
            cached=bool(now.predicates & Predicate.IS_CACHED),
            off_lru=bool(now.predicates & Predicate.IS_OFF_LRU),
            holders=holders,
        )

    def _deciding(self) -> int:
        """The last one asked; of a swap-in the first map that held."""
        if self.rules == "write_fault":
            return len(self.moments) - 1
        held = (i for i, (c, (now, _)) in enumerate(zip(self.checks, self.moments, strict=True)) if now.holds(c))
        return next(i for i in held if verdict_of(self.checks[i]))


def _counts(page: Page) -> Situation:
    """What the page's numbers are when the list is done; nothing is asked of it."""
    predicates = (Predicate.IS_CACHED if page.slot else 0) | (Predicate.IS_WRITEBACK if page.writeback else 0)
    return Situation(page.refs, page.maps, page.slot.swap_count if page.slot else 0, predicates)


def _did(check: Check, now: Situation, holders: Holders, then: Situation, later: Holders) -> str:
    """What a check that is an action did to the page."""
    refs = f"refs {now.refs} -> {then.refs}" if then.refs != now.refs else f"refs stay {now.refs}"
    if check.op == CheckOp.CHECK_DRAIN:
        return refs if holders.batch is not None else "the page was in no batch"
    if check.op == CheckOp.CHECK_LEAVE_SWAP_CACHE:
        if holders.slot and not later.slot:
            return f"left slot {holders.slot}, {refs}"
        if not holders.slot:
            return "it was not in the swap cache"
        return "stays: under writeback" if now.predicates & Predicate.IS_WRITEBACK else f"stays: swap count {now.swap_count}"  # fmt: skip
    if check.op == CheckOp.CHECK_FREE_ENTRY:
        return f"swap count {now.swap_count} -> {now.swap_count - 1}" if now.predicates & Predicate.IS_CACHED else ""
    if check.op == CheckOp.CHECK_LOCK_OR_WAIT:
        return "waited for the page lock" if holders.locks else "lock taken"
    if check.op == CheckOp.CHECK_LOCK_OR_COPY:
        return "" if holders.locks else "lock taken"
    return ""


__all__ = ["Asked", "Teller", "Telling"]
