# SPDX-License-Identifier: MIT
"""One row a line, and what is left of it when the writing was cut short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

#: Every row begins with its id, so that a row glued to the torn one before it (by ``cat``) is found again.
START = b'{"id":"'


class Line(NamedTuple):
    """A line of a results file: its row, or None where it is torn or foreign."""

    number: int
    row: dict[str, Any] | None
    text: bytes


def encode(row: Mapping[str, Any]) -> bytes:
    """Return the row as one line, the id first."""
    return msgspec.json.encode({"id": row["id"], **row}) + b"\n"


def decode(data: bytes) -> Iterator[Line]:
    """Yield the lines that hold anything; a row behind a torn one in the same line is a line of its own."""
    for number, text in enumerate(data.split(b"\n"), 1):
        place = 0
        while text[place:].strip():
            row, end = _row(text[place:]), len(text)
            if row is None and (following := text.find(START, place + 1)) >= 0:
                row, end = _row(text[place:following]), following
            yield Line(number, row, text[place:end])
            place = end


def looks_torn(text: bytes) -> bool:
    """Whether a line that is no row can be the beginning of one (or what a power cut leaves: zeros)."""
    return text.startswith(START) or START.startswith(text) or not text.strip(b"\0")


def _row(text: bytes) -> dict[str, Any] | None:
    try:
        row = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("id"), str) and "spec" in row else None
