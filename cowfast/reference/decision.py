# SPDX-License-Identifier: MIT
"""Runs a policy's lists of checks, and says who is to blame for a needless copy (docs/model.md sections 4, 8)."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace

import numpy as np

from cowfast._checks import Check
from cowfast._layout import Cause, CheckOp, Compare, Measure, Outcome, Plus, Predicate
from cowfast.machine import Machine
from cowfast.policy import Policy
from cowfast.reference.objects import Page
from cowfast.reference.reclaim import Reclaim

COMPARE = {
    Compare.CMP_EQ: operator.eq,
    Compare.CMP_NE: operator.ne,
    Compare.CMP_GT: operator.gt,
    Compare.CMP_LT: operator.lt,
    Compare.CMP_GE: operator.ge,
    Compare.CMP_LE: operator.le,
}


@dataclass(frozen=True)
class Situation:
    """What a check can ask about a page, at one moment."""

    refs: int
    maps: int
    swap_count: int
    predicates: int

    def holds(self, check: Check) -> bool:
        """Is the condition of this check true?"""
        if check.must & ~self.predicates or check.mustnot & self.predicates:
            return False
        measure = check.measure
        if measure == Measure.MEASURE_NONE:
            return True
        value = {
            Measure.MEASURE_REFS: self.refs,
            Measure.MEASURE_MAPS: self.maps,
            Measure.MEASURE_SWAP_COUNT: self.swap_count,
            Measure.MEASURE_MAPS_PLUS_SWAP_COUNT: self.maps + self.swap_count,
        }[measure]
        limit = int(check.n)
        if check.plus & Plus.PLUS_CACHED and self.predicates & Predicate.IS_CACHED:
            limit += 1
        if check.plus & Plus.PLUS_OFF_LRU and self.predicates & Predicate.IS_OFF_LRU:
            limit += 1
        return bool(COMPARE[check.compare](value, limit))


@dataclass
class Decision:
    """One verdict of a write fault, as ``step`` and ``explain`` tell it."""

    index: int
    reuse: bool
    page: int
    situation: Situation
    cached: bool
    batched: bool
    gets: int
    pins: int


def unpack(records: np.ndarray) -> list[Check]:
    """Compiled checks as tuples of plain integers, without the end mark."""
    return [Check(*(int(record[name]) for name in Check._fields)) for record in records[:-1]]  # type: ignore[arg-type]


class Decide(Reclaim):
    """Evaluates checks against pages."""

    story: list[Decision] | None = None  # collects decisions when it is a list

    def __init__(self, policy: Policy, machine: Machine) -> None:
        super().__init__(policy, machine)
        self.write_fault_checks = unpack(policy.write_fault_checks)
        self.swap_in_checks = unpack(policy.swap_in_checks)
        # looking at every pte for every check is too slow even for a reference
        self.asks_who_sees = any(
            (check.must | check.mustnot) & Predicate.IS_VISIBLE
            for check in (*self.write_fault_checks, *self.swap_in_checks)
        )

    def situation(
        self,
        page: Page,
        pid: int,
        write: bool,
        *,
        exclusive: bool,
        marked: bool = False,
        past_cache: bool = False,
        refs: int | None = None,
    ) -> Situation:
        slot = page.slot
        stable = page.writeback and self.machine.stable_writes
        true = (
            (page.ksm, Predicate.IS_KSM),
            (exclusive, Predicate.IS_EXCLUSIVE),
            (slot is not None, Predicate.IS_CACHED),
            (not page.lru, Predicate.IS_OFF_LRU),
            (write, Predicate.IS_WRITE),
            (past_cache, Predicate.IS_PAST_CACHE),
            (marked and not stable, Predicate.IS_MARKED),
            (self.swap_full, Predicate.IS_SWAP_FULL),
            (self.machine.swap == "sync", Predicate.IS_SYNC),
            (stable, Predicate.IS_STABLE_WRITEBACK),
            (page.writeback, Predicate.IS_WRITEBACK),
            (self.asks_who_sees and self.visible_to_others(page, pid), Predicate.IS_VISIBLE),
            (page in self.batches[self.cpu], Predicate.IS_FRESH),
        )
        return Situation(
            page.refs if refs is None else refs,
            page.maps,
            slot.swap_count if slot else 0,
            sum(bit for on, bit in true if on),
        )

    def decide_write_fault(self, page: Page, pid: int, write: bool) -> tuple[bool, int, Situation]:
        """do_wp_page: run the list; (reuse?, index of the deciding check, situation at the verdict)."""
        checks = self.write_fault_checks
        for index, check in enumerate(checks):
            now = self.situation(page, pid, write, exclusive=page.exclusive)
            if not now.holds(check):
                continue
            op = check.op
            if op == CheckOp.CHECK_COPY:
                return self.tell(page, False, index, now)
            if op == CheckOp.CHECK_REUSE:
                return self.tell(page, True, index, now)
            if op == CheckOp.CHECK_LEAVE_AND_REUSE:
                if self.leave_swap_cache(page, "write_fault"):
                    self.left = page
                return self.tell(page, True, index, now)
            if op == CheckOp.CHECK_LOCK_OR_COPY:
                if page.locked:
                    self.count("lock_failures")
                    self.note(Outcome.LOCK_FAILED)
                    return self.tell(page, False, index, now)
            elif op == CheckOp.CHECK_LOCK_OR_WAIT:
                if page.locked:
                    self.count("lock_waits")
            elif op == CheckOp.CHECK_DRAIN:
                self.drain(self.cpu)
            elif op == CheckOp.CHECK_LEAVE_SWAP_CACHE and self.leave_swap_cache(page, "write_fault"):
                self.left = page
        raise AssertionError("a policy without a verdict")

    left: Page | None = None  # the page that left the swap cache in this access

    def tell(self, page: Page, reuse: bool, index: int, now: Situation) -> tuple[bool, int, Situation]:
        if self.story is not None:
            self.story.append(
                Decision(index, reuse, page.number, now, page.slot is not None, page.batched, page.gets, page.pins)
            )
        return reuse, index, now

    # ---- attribution

    def blame(self, page: Page, pid: int, index: int, now: Situation) -> Cause:
        """Why a needless copy was made: exactly one cause."""
        check = self.write_fault_checks[index]
        if check.op == CheckOp.CHECK_LOCK_OR_COPY:
            return Cause.CAUSE_LOCK
        if page.ksm and check.must & Predicate.IS_KSM:
            return Cause.CAUSE_KSM
        conditional = check.must or check.mustnot or check.measure
        if conditional and self.would_reuse(page, index + 1, now):
            return Cause.CAUSE_PRE_CHECK
        if page.ksm:
            return Cause.CAUSE_KSM
        if page.slot is not None:
            return Cause.CAUSE_SWAP_CACHE
        if page.batched:
            return Cause.CAUSE_LRU_BATCH
        if page.gets or page.pins:
            return Cause.CAUSE_TRANSIENT_GET
        return Cause.CAUSE_LOST_EXCLUSIVITY

    def would_reuse(self, page: Page, start: int, now: Situation) -> bool:
        """The rest of the list on paper: drains, the lock and leaving the swap cache have their effect, nothing changes.

        It must still ask: what is followed by nothing but an unconditional reuse is the question itself, not a pre-check.
        """
        asked = False
        batched_here = page in self.batches[self.cpu]
        for check in self.write_fault_checks[start:]:
            op = check.op
            if not now.holds(check):
                asked = asked or op == CheckOp.CHECK_COPY
                continue
            if op == CheckOp.CHECK_COPY:
                return False
            if op in (CheckOp.CHECK_REUSE, CheckOp.CHECK_LEAVE_AND_REUSE):
                return asked or not check.unconditional
            if op == CheckOp.CHECK_LOCK_OR_COPY and page.locked:
                return False
            if op == CheckOp.CHECK_DRAIN and batched_here:
                batched_here = False
                now = replace(
                    now, refs=now.refs - 1, predicates=now.predicates & ~(Predicate.IS_OFF_LRU | Predicate.IS_FRESH)
                )
            elif (
                op == CheckOp.CHECK_LEAVE_SWAP_CACHE
                and now.predicates & Predicate.IS_CACHED
                and not page.writeback
                and now.swap_count == 0
            ):
                now = replace(now, refs=now.refs - 1, predicates=now.predicates & ~Predicate.IS_CACHED)
        return False
