# SPDX-License-Identifier: MIT
"""A check in words, with the numbers that made it true or false: ``refs 3 != 1 (map 1, swap cache 1, LRU batch 1)``.

Every command that tells why something was decided takes its sentences from here.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from cowfast._checks import COMPARES, MEASURES, PREDICATES, Check
from cowfast._layout import CheckOp, Compare, Measure, Number, Plus, Predicate
from cowfast.reference.decision import Situation

PIN = int(Number.PIN_BIAS)
"""What one pin adds to a page's reference count (GUP_PIN_COUNTING_BIAS)."""

_MEASURE = {value: name for name, value in MEASURES.items()}
_COMPARE = {value: name for name, value in COMPARES.items()}
_OPPOSITE = {
    Compare.CMP_EQ: Compare.CMP_NE,
    Compare.CMP_NE: Compare.CMP_EQ,
    Compare.CMP_GT: Compare.CMP_LE,
    Compare.CMP_LE: Compare.CMP_GT,
    Compare.CMP_LT: Compare.CMP_GE,
    Compare.CMP_GE: Compare.CMP_LT,
}
_VERDICT = {
    CheckOp.CHECK_COPY: "copy",
    CheckOp.CHECK_LOCK_OR_COPY: "copy",
    CheckOp.CHECK_REUSE: "reuse",
    CheckOp.CHECK_LEAVE_AND_REUSE: "leave swap cache and reuse",
    CheckOp.CHECK_MAP: "map",
    CheckOp.CHECK_MAP_WRITABLE: "map writable",
}


class Holders(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that refers to one page: what its reference count is made of, and what is counted elsewhere."""

    maps: tuple[int, ...] = ()
    """processes that have a present pte of it"""
    slot: int = 0
    """its swap slot while it is in the swap cache, else 0"""
    batch: int | None = None
    """the CPU in whose LRU batch it is"""
    gets: tuple[int, ...] = ()
    """reference numbers"""
    pins: tuple[int, ...] = ()
    """reference numbers"""
    fault: int = 0
    """references of the fault under way that are no mapping yet"""
    entries: tuple[int, ...] = ()
    """processes whose swap pte names its slot (no reference of the page; the slot's swap count)"""
    locks: tuple[int, ...] = ()
    """reference numbers (no reference of the page)"""

    @property
    def refs(self) -> int:
        """The sum that the page's reference count must be."""
        return (
            len(self.maps) + bool(self.slot) + (self.batch is not None) + len(self.gets) + PIN * len(self.pins) + self.fault
        )  # fmt: skip


def counted(holders: Holders) -> str:
    """What a reference count is made of: ``map 1, swap cache 1, LRU batch 1``."""
    parts = [
        (len(holders.maps), "map", ""),
        (bool(holders.slot), "swap cache", ""),
        (holders.batch is not None, "LRU batch", ""),
        (len(holders.gets), "get", ""),
        (len(holders.pins), "pin", f" x {PIN}"),
        (holders.fault, "this fault", ""),
    ]
    return ", ".join(f"{name} {int(n)}{rest}" for n, name, rest in parts if n) or "nobody"


def changed(action: str, because: str, did: str) -> str:
    """The sentence of an action: ``drain: off lru, refs 3 -> 2``."""
    return f"{action}: " + ", ".join(filter(None, (because, did)))


def processes(pids: tuple[int, ...]) -> str:
    """``process 0``, ``processes 0, 3``, ``9 processes``."""
    if not pids:
        return "no process"
    if len(pids) > 8:
        return f"{len(pids)} processes"
    return ("process " if len(pids) == 1 else "processes ") + ", ".join(map(str, pids))


def condition(check: Check, now: Situation, holders: Holders) -> str:
    """Why the condition of *check* held, or which of its terms did not: true sentences only.

    ``exclusive``; ``refs 3 != 1 (map 1, swap cache 1, LRU batch 1)``; of a check that did not hold the opposite of what
    failed: ``refs 1 == 1 (map 1)``.  Empty for a check without condition.
    """
    return " and ".join(_terms(check, now, holders, now.holds(check)))


def _terms(check: Check, now: Situation, holders: Holders, held: bool) -> Iterator[str]:
    for name, bit in PREDICATES.items():
        true = bool(now.predicates & bit)
        if (check.must | check.mustnot) & bit and (held or true != bool(check.must & bit)):
            yield ("" if true else "not ") + name
    if not check.measure:
        return
    alone = Check(check.op, 0, 0, check.measure, check.compare, check.n, check.plus)
    true = now.holds(alone)
    if held or not true:
        compare = _COMPARE[Compare(check.compare if true else _OPPOSITE[Compare(check.compare)])]
        yield f"{_measured(check, now)} {compare} {_limit(check, now)} ({_made_of(check, holders)})"


def _measured(check: Check, now: Situation) -> str:
    value = {
        Measure.MEASURE_REFS: now.refs,
        Measure.MEASURE_MAPS: now.maps,
        Measure.MEASURE_SWAP_COUNT: now.swap_count,
        Measure.MEASURE_MAPS_PLUS_SWAP_COUNT: now.maps + now.swap_count,
    }[Measure(check.measure)]
    return f"{_MEASURE[Measure(check.measure)]} {value}"


def _limit(check: Check, now: Situation) -> str:
    """``1``; ``1 + cached 1``: what is added to the number, and how much that is now."""
    text = str(check.n)
    for plus, bit, name in ((Plus.PLUS_CACHED, Predicate.IS_CACHED, "cached"), (Plus.PLUS_OFF_LRU, Predicate.IS_OFF_LRU, "off lru")):  # fmt: skip
        if check.plus & plus:
            text += f" + {name} {int(bool(now.predicates & bit))}"
    return text


def _made_of(check: Check, holders: Holders) -> str:
    maps, entries = processes(holders.maps), processes(holders.entries)
    return {
        Measure.MEASURE_REFS: counted(holders),
        Measure.MEASURE_MAPS: maps,
        Measure.MEASURE_SWAP_COUNT: entries,
        Measure.MEASURE_MAPS_PLUS_SWAP_COUNT: ", ".join(
            [f"mapped by {maps}"] * bool(holders.maps) + [f"swapped out for {entries}"] * bool(holders.entries)
        )
        or "nobody",
    }[Measure(check.measure)]


def verdict_of(check: Check) -> str:
    """``copy``, ``reuse``, ``leave swap cache and reuse``, ``map``, ``map writable``; empty for an action."""
    return _VERDICT.get(CheckOp(check.op), "")


def decided(check: Check, now: Situation, holders: Holders, before: list[tuple[Check, Situation, Holders]]) -> str:
    """The sentence: ``copy: refs 3 != 1 (map 1, swap cache 1, LRU batch 1)``.

    A verdict without condition is told by the question before it that was answered with no: ``reuse: refs 1 == 1 (map 1)``.

    Parameters
    ----------
    check, now, holders : the check that decided, and the page when it did
    before : the checks above it, from the top, with the page when each was asked
    """
    word = verdict_of(check)
    if check.op == CheckOp.CHECK_LOCK_OR_COPY:
        return f"{word}: locked by {references('lock', holders.locks)}"
    if not check.unconditional:
        return f"{word}: {condition(check, now, holders)}"
    for asked, then, held_by in reversed(before):
        if verdict_of(asked) and not then.holds(asked):
            return f"{word}: {condition(asked, then, held_by)}"
    return f"{word}: always"


def references(kind: str, numbers: tuple[int, ...]) -> str:
    """``pin 3``, ``gets 0, 1``."""
    return f"{kind}{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}" if numbers else f"no {kind}"
