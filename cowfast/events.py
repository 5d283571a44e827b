# SPDX-License-Identifier: MIT
"""Events: the 12-byte record, its text form, and what a source of events is.

What each event means is docs/model.md section 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np

from cowfast._layout import EVENT, EventFlag, Op
from cowfast.errors import SpecError

__all__ = ["EVENT", "EventFlag", "EventSource", "Op", "format_event", "make_events", "parse_event"]

FLAG_WORDS = {"look": EventFlag.EV_LOOK, "write": EventFlag.EV_WRITE, "longterm": EventFlag.EV_LONGTERM}

# op -> the fields written after its name, in order; "n" is arg where it may be left out (1 page, everything, ...)
FIELDS: dict[Op, tuple[str, ...]] = {
    Op.READ: ("pid", "page"),
    Op.WRITE: ("pid", "page"),
    Op.FORK: ("pid", "arg"),
    Op.EXIT: ("pid",),
    Op.EXEC: ("pid",),
    Op.DISCARD: ("pid", "page", "n"),
    Op.PROTECT: ("pid", "page", "n"),
    Op.PAGEOUT: ("pid", "page", "n"),
    Op.RECLAIM: ("n",),
    Op.PREFETCH: ("pid", "page", "n"),
    Op.DRAIN: ("pid?", "n"),
    Op.GET: ("pid", "page", "ref"),
    Op.PUT: ("ref",),
    Op.PIN: ("pid", "page", "ref"),
    Op.UNPIN: ("ref",),
    Op.PINREAD: ("ref",),
    Op.PINWRITE: ("ref",),
    Op.LOCK: ("pid", "page", "ref"),
    Op.UNLOCK: ("ref",),
    Op.MERGE: ("pid", "page", "arg"),
    Op.CPU: ("pid", "arg"),
    Op.FILLSWAP: ("n",),
    Op.FREESWAP: (),
}
FLAGGED = {Op.GET: ("look", "write"), Op.PIN: ("write", "longterm")}
NAMES = {op.name.lower(): op for op in FIELDS}


@runtime_checkable
class EventSource(Protocol):
    """Where events come from: a workload or a trace.

    Attributes
    ----------
    name : str
    processes, space : int
        what a machine must have: process numbers, virtual pages
    events : int or None
        how many there are, if known
    footprint : int or None
        pages that all processes together touch, counted without sharing; memory shares refer to it
    semantics : "access" or "fault"
        whether accesses that hit are in the stream
    """

    @property
    def name(self) -> str: ...  # noqa: D102  # described above
    @property
    def processes(self) -> int: ...  # noqa: D102
    @property
    def space(self) -> int: ...  # noqa: D102
    @property
    def events(self) -> int | None: ...  # noqa: D102
    @property
    def footprint(self) -> int | None: ...  # noqa: D102
    @property
    def semantics(self) -> str: ...  # noqa: D102

    def chunks(self, seed: int = 0, size: int = 1 << 20) -> Iterator[np.ndarray]:
        """Arrays of dtype EVENT, at most *size* long; the same stream whatever the size."""

    def spec(self) -> dict[str, Any]:
        """What the stream is, canonical and JSON-able: this is what gets hashed."""


def make_events(rows: Iterable[tuple[Any, ...]]) -> np.ndarray:
    """An EVENT array from ``(op, pid, page, arg, flags)`` rows; what is left out is 0, ``op`` may be a name ("write").

    Raises
    ------
    SpecError
        a row has a value that does not fit its field
    """
    rows = list(rows)
    events = np.zeros(len(rows), EVENT)
    for i, row in enumerate(rows):
        op, pid, page, arg, flags = (*row, 0, 0, 0, 0)[:5]
        op = NAMES.get(op, op) if isinstance(op, str) else op
        try:
            events[i] = (int(op), int(flags), int(pid), int(page), int(arg))
        except (OverflowError, ValueError, TypeError):
            raise SpecError(
                f"event {i}: {row!r} does not fit an event record (op u1, pid u2, page u4, arg u4, flags u1)"
            ) from None
    return events


def parse_event(text: str) -> tuple[int, int, int, int, int]:
    """An ``(op, pid, page, arg, flags)`` row for :func:`make_events` from text such as ``get 1 0 ref=2 look``.

    Raises
    ------
    SpecError
        naming the word that is wrong and what is written instead
    """
    words = text.split()
    if not words:
        raise SpecError("an empty event; write for example 'write 0 3'")
    op = NAMES.get(words[0])
    if op is None:
        close = difflib.get_close_matches(words[0], NAMES, 1)
        raise SpecError(
            f"unknown event {words[0]!r}; "
            + (f"did you mean {close[0]!r}?" if close else f"known are {', '.join(NAMES)}")
        )
    usage = f"write '{_usage(op)}'"
    values = {"pid": 0, "page": 0, "arg": 0}
    flags = 0
    plain = []
    for word in words[1:]:
        if word in FLAGGED.get(op, ()):
            flags |= FLAG_WORDS[word]
        elif word.startswith("ref=") and "ref" in FIELDS[op]:
            values["arg"] = _number(word[4:], word, usage)
        elif word.startswith("n=") and "n" in FIELDS[op]:
            values["arg"] = _number(word[2:], word, usage)
        else:
            plain.append(_number(word, word, usage))
    wanted = [name for name in FIELDS[op] if name not in ("ref", "n")]
    needed = sum(not name.endswith("?") for name in wanted)
    if not needed <= len(plain) <= len(wanted):
        raise SpecError(f"{text.strip()!r}: {len(plain)} numbers; {usage}")
    for name, value in zip(wanted, plain, strict=False):
        values[name.rstrip("?")] = value
    if "ref" in FIELDS[op] and not any(word.startswith("ref=") for word in words):
        raise SpecError(f"{text.strip()!r}: no reference number; {usage}")
    if values["pid"] > 0xFFFF or max(values.values()) > 0xFFFFFFFF:
        raise SpecError(f"{text.strip()!r}: a number is too large (processes to 65535, the rest to 4294967295)")
    return int(op), values["pid"], values["page"], values["arg"], int(flags)


def format_event(event: Any) -> str:
    """The text of one event record; ``parse_event`` of it gives the record back."""
    try:
        op = Op(int(event["op"]))
        fields = FIELDS[op]
    except (ValueError, KeyError):
        return f"op {int(event['op'])}"
    words = [op.name.lower()]
    for name in fields:
        if name == "n":
            if event["arg"]:
                words.append(f"n={event['arg']}")
        elif name == "ref":
            words.append(f"ref={event['arg']}")
        elif name != "pid?" or event["pid"]:
            words.append(str(event[name.rstrip("?")]))
    words += [word for word in FLAGGED.get(op, ()) if event["flags"] & FLAG_WORDS[word]]
    return " ".join(words)


def _usage(op: Op) -> str:
    shown = {
        "n": "[n=N]",
        "ref": "ref=K",
        "arg": "CHILD" if op is Op.FORK else "CPU" if op is Op.CPU else "OTHER",
        "pid?": "[PID]",
    }
    words = [op.name.lower(), *(shown.get(name, name.upper()) for name in FIELDS[op])]
    return " ".join([*words, *(f"[{word}]" for word in FLAGGED.get(op, ()))])


def _number(digits: str, word: str, usage: str) -> int:
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 12):
        raise SpecError(f"{word!r} is not a number; {usage}")
    return int(digits)
