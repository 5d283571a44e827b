# SPDX-License-Identifier: MIT
"""The grammar of policy checks: text to compiled records and back (docs/model.md section 4).

A check is ``ACTION [if CONDITION]``; a condition is terms joined by ``and``: ``[not] PREDICATE``, and at
most one comparison ``MEASURE OP N [+ cached] [+ off lru]``.  Compiled, it is one ``check_t``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from cowfast._layout import CHECK, CheckOp, Compare, Measure, Plus, Predicate
from cowfast.errors import PolicyError

MAX_CHECKS = 30  # the outcome has five bits for 1 + the index of the deciding check

WRITE_FAULT_ACTIONS = {
    "copy": CheckOp.CHECK_COPY,
    "reuse": CheckOp.CHECK_REUSE,
    "leave swap cache and reuse": CheckOp.CHECK_LEAVE_AND_REUSE,
    "lock or copy": CheckOp.CHECK_LOCK_OR_COPY,
    "lock or wait": CheckOp.CHECK_LOCK_OR_WAIT,
    "drain": CheckOp.CHECK_DRAIN,
    "leave swap cache": CheckOp.CHECK_LEAVE_SWAP_CACHE,
}
SWAP_IN_ACTIONS = {
    "drain": CheckOp.CHECK_DRAIN,
    "free swap entry": CheckOp.CHECK_FREE_ENTRY,
    "leave swap cache": CheckOp.CHECK_LEAVE_SWAP_CACHE,
    "mark exclusive": CheckOp.CHECK_MARK_EXCLUSIVE,
    "map writable": CheckOp.CHECK_MAP_WRITABLE,
    "map": CheckOp.CHECK_MAP,
}
ACTIONS = {"write_fault": WRITE_FAULT_ACTIONS, "swap_in": SWAP_IN_ACTIONS}
PREDICATES = {  # in the order in which a condition is written out
    "ksm": Predicate.IS_KSM,
    "write": Predicate.IS_WRITE,
    "exclusive": Predicate.IS_EXCLUSIVE,
    "marked": Predicate.IS_MARKED,
    "past cache": Predicate.IS_PAST_CACHE,
    "cached": Predicate.IS_CACHED,
    "off lru": Predicate.IS_OFF_LRU,
    "fresh": Predicate.IS_FRESH,
    "swap full": Predicate.IS_SWAP_FULL,
    "sync": Predicate.IS_SYNC,
    "writeback": Predicate.IS_WRITEBACK,
    "stable writeback": Predicate.IS_STABLE_WRITEBACK,
    "visible to others": Predicate.IS_VISIBLE,
}
MEASURES = {
    "refs": Measure.MEASURE_REFS,
    "maps": Measure.MEASURE_MAPS,
    "swap count": Measure.MEASURE_SWAP_COUNT,
    "maps + swap count": Measure.MEASURE_MAPS_PLUS_SWAP_COUNT,
}
COMPARES = {
    "==": Compare.CMP_EQ,
    "!=": Compare.CMP_NE,
    ">": Compare.CMP_GT,
    "<": Compare.CMP_LT,
    ">=": Compare.CMP_GE,
    "<=": Compare.CMP_LE,
}
VERDICTS = frozenset({CheckOp.CHECK_COPY, CheckOp.CHECK_REUSE, CheckOp.CHECK_LEAVE_AND_REUSE})
LOCKS = frozenset({CheckOp.CHECK_LOCK_OR_COPY, CheckOp.CHECK_LOCK_OR_WAIT})
MAPS = frozenset({CheckOp.CHECK_MAP, CheckOp.CHECK_MAP_WRITABLE})
_COMPARISON = re.compile(
    r"(?P<measure>[a-z][a-z +]*?) *(?P<compare>==|!=|>=|<=|>|<) *(?P<n>-?[0-9]{1,9})(?P<plus>( *\+ *(cached|off lru))*)"
)


class Check(NamedTuple):
    """One check: what to do, and when.  The fields are those of ``check_t``."""

    op: CheckOp
    must: int = 0
    mustnot: int = 0
    measure: Measure = Measure.MEASURE_NONE
    compare: Compare = Compare.CMP_NONE
    n: int = 0
    plus: int = 0

    @property
    def unconditional(self) -> bool:
        return not (self.must or self.mustnot or self.measure)


def compile_list(texts: Sequence[str], kind: str, file: str) -> np.ndarray:
    """``check_t`` records of a list, ended by ``CHECK_END``.

    Parameters
    ----------
    texts : the checks in the kernel's order
    kind : "write_fault" or "swap_in"
    file : named in errors

    Raises
    ------
    PolicyError
        naming the file, the check (``write_fault[3]``, from 0) and what is allowed
    """
    checks = [parse_check(text, kind, file, f"{kind}[{i}]") for i, text in enumerate(texts)]
    (_validate_write_fault if kind == "write_fault" else _validate_swap_in)(checks, file)
    records = np.zeros(len(checks) + 1, CHECK)
    for record, check in zip(records, checks, strict=False):
        for name, value in check._asdict().items():
            record[name] = int(value)
    return records


def parse_check(text: str, kind: str, file: str, key: str) -> Check:
    """One check from its text; PolicyError says what is allowed."""
    actions = ACTIONS[kind]
    if not text.strip():
        raise PolicyError(
            file, key, f"{text!r} is not a check", f"write ACTION [if CONDITION]; actions are {', '.join(actions)}"
        )
    if text.split()[-1] == "if":
        raise PolicyError(file, key, f"{text!r} has 'if' and no condition", "write a condition or leave out 'if'")
    action, _, condition = (part.strip() for part in re.sub(r"\s+", " ", text.strip()).partition(" if "))
    if action not in actions:
        raise PolicyError(file, key, f"unknown action {action!r}", _suggest(action, actions, "actions"))
    if not condition:
        return Check(actions[action])
    must = mustnot = plus = n = 0
    measure, compare = Measure.MEASURE_NONE, Compare.CMP_NONE
    for term in condition.split(" and "):
        term = term.strip()
        negated = term.startswith("not ")
        word = term.removeprefix("not ").strip()
        if word in PREDICATES:
            bit = PREDICATES[word]
            if bit & (must | mustnot):
                problem = "contradicts itself" if bit & (must if negated else mustnot) else "says it twice"
                raise PolicyError(
                    file, key, f"{text!r} {problem} about {word!r}", "such a check can never or need not be asked"
                )
            if negated:
                mustnot |= bit
            else:
                must |= bit
            continue
        found = _COMPARISON.fullmatch(word)
        if not found or negated:
            raise PolicyError(
                file,
                key,
                f"unknown condition {term!r}",
                _suggest(word, [*PREDICATES, *MEASURES], "predicates") + "; comparisons are like 'refs > 1 + cached'",
            )
        name = " ".join(found["measure"].split())
        if name not in MEASURES:
            raise PolicyError(file, key, f"unknown measure {name!r}", _suggest(name, MEASURES, "measures"))
        if measure:
            raise PolicyError(file, key, f"{text!r} compares twice", "one comparison a check; write a second check")
        measure, compare, n = MEASURES[name], COMPARES[found["compare"]], int(found["n"])
        for addend in re.findall(r"cached|off lru", found["plus"]):
            more = Plus.PLUS_CACHED if addend == "cached" else Plus.PLUS_OFF_LRU
            if plus & more:
                raise PolicyError(file, key, f"{text!r} adds {addend!r} twice", "write it once")
            plus |= more
    return Check(actions[action], must, mustnot, measure, compare, n, plus)


def format_check(record: np.void | Check, kind: str) -> str:
    """The canonical text of a compiled check; ``parse_check`` of it gives the check back."""
    check = record if isinstance(record, Check) else Check(*(int(record[name]) for name in Check._fields))  # type: ignore[arg-type]
    terms = [name for name, bit in PREDICATES.items() if check.must & bit]
    terms += [f"not {name}" for name, bit in PREDICATES.items() if check.mustnot & bit]
    if check.measure:
        addends = "".join(
            f" + {name}"
            for name, bit in (("cached", Plus.PLUS_CACHED), ("off lru", Plus.PLUS_OFF_LRU))
            if check.plus & bit
        )
        terms.append(f"{_name_of(MEASURES, check.measure)} {_name_of(COMPARES, check.compare)} {check.n}{addends}")
    return _name_of(ACTIONS[kind], check.op) + (" if " + " and ".join(terms) if terms else "")


def _validate_length(checks: list[Check], kind: str, file: str) -> None:
    if not checks:
        raise PolicyError(
            file,
            kind,
            "no checks",
            "a list needs at least a verdict" if kind == "write_fault" else "a list needs 'free swap entry' and 'map'",
        )
    if len(checks) > MAX_CHECKS:
        raise PolicyError(file, f"{kind}[{MAX_CHECKS}]", f"{len(checks)} checks", f"at most {MAX_CHECKS} are allowed")


def _validate_write_fault(checks: list[Check], file: str) -> None:
    _validate_length(checks, "write_fault", file)
    locked = False
    for i, check in enumerate(checks):
        if check.op in LOCKS:
            if not check.unconditional:
                raise PolicyError(
                    file,
                    f"write_fault[{i}]",
                    "a lock with a condition",
                    "the page lock is taken or not; write it without 'if'",
                )
            locked = True
        if check.op in (CheckOp.CHECK_LEAVE_SWAP_CACHE, CheckOp.CHECK_LEAVE_AND_REUSE) and not locked:
            raise PolicyError(
                file,
                f"write_fault[{i}]",
                "leaves the swap cache without the page lock",
                "write 'lock or copy' or 'lock or wait' before it",
            )
        if check.op in VERDICTS and check.unconditional and i + 1 < len(checks):
            raise PolicyError(
                file,
                f"write_fault[{i + 1}]",
                "unreachable: the check before it always decides",
                "remove one of the two",
            )
        if any(
            check == earlier and check.op in VERDICTS and earlier_plain
            for earlier, earlier_plain in _unchanged_since(checks, i)
        ):
            raise PolicyError(
                file,
                f"write_fault[{i}]",
                "unreachable: the same check stands above and nothing changed since",
                "remove it",
            )
    last = checks[-1]
    if last.op not in VERDICTS or not last.unconditional:
        raise PolicyError(
            file,
            f"write_fault[{len(checks) - 1}]",
            "missing verdict: the last check must always decide",
            "end the list with 'copy' or 'reuse'",
        )


def _unchanged_since(checks: list[Check], i: int) -> list[tuple[Check, bool]]:
    """Checks above *i* with nothing but other verdicts between: a repetition of one of these can never decide."""
    found = []
    for earlier in reversed(checks[:i]):
        if earlier.op not in VERDICTS:
            break
        found.append((earlier, True))
    return found


def _validate_swap_in(checks: list[Check], file: str) -> None:
    _validate_length(checks, "swap_in", file)
    frees = [i for i, check in enumerate(checks) if check.op is CheckOp.CHECK_FREE_ENTRY]
    if len(frees) != 1 or not checks[frees[0]].unconditional:
        raise PolicyError(
            file,
            "swap_in",
            f"'free swap entry' stands {len(frees)} times or with a condition",
            "write it exactly once, without 'if'",
        )
    mapped = [i for i, check in enumerate(checks) if check.op in MAPS and check.unconditional]
    if not mapped:
        raise PolicyError(
            file,
            "swap_in",
            "missing map: the page may stay unmapped",
            "write an unconditional 'map' (or 'map writable')",
        )
    for i, check in enumerate(checks):
        if check.op in (*MAPS, CheckOp.CHECK_MARK_EXCLUSIVE) and i > mapped[0]:
            raise PolicyError(
                file,
                f"swap_in[{i}]",
                "unreachable: the page is mapped by then",
                f"write it before swap_in[{mapped[0]}]",
            )


def _suggest(word: str, known: Iterable[str], what: str) -> str:
    close = difflib.get_close_matches(word, list(known), 1)
    return (f"did you mean {close[0]!r}? " if close else "") + f"{what} are {', '.join(known)}"


def _name_of(table: Mapping[str, int], value: int) -> str:
    return next(name for name, known in table.items() if known == value)
