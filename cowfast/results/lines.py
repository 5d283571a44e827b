# SPDX-License-Identifier: MIT
"""One row a line, and what is left of it when the writing was cut short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

import msgspec

#: Every row begins with its id, so that a row glued to the torn one before it (by ``cat``) is found again.
START = b'{"id":"'


#: Of one row; a row of a run that kept a hundred thousand samples has this size.
MAX_LINE = 1 << 27


class Line(NamedTuple):
    """A line of a results file: its row, or None where it is torn or foreign."""

    number: int
    row: dict[str, Any] | None
    text: bytes


def encode(row: Mapping[str, Any]) -> bytes:
    """Return the row as one line, the id first."""
    return msgspec.json.encode({"id": row["id"], **row}) + b"\n"


def decode(file: BinaryIO) -> Iterator[Line]:
    """Yield the lines that hold anything; a row behind a torn one in the same line is a line of its own.

    A line longer than :data:`MAX_LINE` is cut, and so is no row: what a file without newlines claims is not read into memory.
    """
    number = 0
    while text := file.readline(MAX_LINE):
        number += 1
        yield from parts(text, number)
        if len(text) == MAX_LINE and not text.endswith(b"\n"):
            return


def parts(text: bytes, number: int = 1) -> Iterator[Line]:
    """Yield what is in one line: usually one row."""
    text, place = text.removesuffix(b"\n"), 0
    while text[place:].strip():
        row, end = _row(text[place:]), len(text)
        if row is None and (following := text.find(START, place + 1)) >= 0:
            row, end = _row(text[place:following]), following
        yield Line(number, row, text[place:end])
        place = end


def looks_torn(text: bytes) -> bool:
    """Whether a line that is no row can be the beginning of one (or what a power cut leaves: zeros)."""
    return text.startswith(START) or START.startswith(text) or not text.strip(b"\0")


def problem(row: object) -> str:
    """Return what keeps an object from being a row of results that other parts can rely on; empty if nothing does."""
    try:
        msgspec.convert(row, _Shape)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


class _Shape(msgspec.Struct):
    """What every row has; more is allowed, for other versions have more."""

    source: str | None
    policy: str
    seed: int
    spec: _Spec
    counters: dict[str, int]
    id: str | None = None
    seconds: float | None = None
    provenance: dict[str, Any] = {}
    samples: list[dict[str, int]] = []
    error: str | None = None


class _Spec(msgspec.Struct):
    source: _Source | None = None
    machine: dict[str, Any] = {}


class _Source(msgspec.Struct):
    parameters: dict[str, Any] = {}


def _row(text: bytes) -> dict[str, Any] | None:
    try:
        row = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("id"), str) and not problem(row) else None
