# SPDX-License-Identifier: MIT
"""Events from a table: CSV with a header line that names ``op,pid,page,arg,flags``."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cowfast.errors import TraceError
from cowfast.events import EVENT, FLAG_WORDS, FLAGGED, NAMES
from cowfast.traces.files import lines
from cowfast.traces.trace import Trace
from cowfast.traces.writer import TraceWriter

FIELDS = ("op", "pid", "page", "arg", "flags")
_LIMITS = {"pid": 0xFFFE, "page": 0xFFFFFFFF, "arg": 0xFFFFFFFF}


def import_csv(
    path: str | os.PathLike[str], out: str | os.PathLike[str], *, semantics: str = "access", **options: Any
) -> Trace:
    """Write a CSV file (plain or .xz/.zst/.gz) as the trace ``out`` and return that.

    The first line names the columns: ``op`` (a name such as ``write``) and any of ``pid page arg flags`` in any order;
    what is missing or empty is 0, flags are words (``look write longterm``) with blanks between.  ``options`` go to
    :class:`TraceWriter`.  Raises TraceError naming the line.
    """
    source = {"importer": "csv", "file": Path(path).name}
    with TraceWriter(out, semantics=semantics, source=source, renumbering="none", **options) as writer:
        for events in read_csv(path):
            writer.write(events)
    return Trace(out)


def read_csv(path: str | os.PathLike[str]) -> Iterator[np.ndarray]:
    """Yield the events of a CSV file as EVENT arrays."""
    name = Path(path).name
    order: list[str] | None = None
    for number, texts in lines(path):
        rows = []
        for line, text in enumerate(texts, number):
            if not text.strip() or text.startswith("#"):
                continue
            try:
                values = next(csv.reader([text]), [])
            except csv.Error as error:
                raise TraceError(f"{name}, line {line}: {error}") from None
            if order is None:
                order = _header(values, name, line)
            else:
                rows.append(_row(order, values, name, line))
        if rows:
            events = np.zeros(len(rows), EVENT)
            for field, column in zip(FIELDS, zip(*rows, strict=True), strict=True):
                events[field] = column
            yield events
    if order is None:
        raise TraceError(f"{name}: it is empty; the first line names the columns: {','.join(FIELDS)}")


def _header(values: list[str], name: str, line: int) -> list[str]:
    order = [value.strip().lower() for value in values]
    if "op" not in order or set(order) - set(FIELDS) or len(set(order)) != len(order):
        raise TraceError(
            f"{name}, line {line}: the first line must name columns out of {','.join(FIELDS)}, op among them; "
            f"found {','.join(values)[:80]!r}"
        )
    return order


def _row(order: list[str], values: list[str], name: str, line: int) -> tuple[int, int, int, int, int]:
    if len(values) != len(order):
        raise TraceError(f"{name}, line {line}: {len(values)} values, the header names {len(order)} columns")
    row = dict(zip(order, (value.strip() for value in values), strict=True))
    op = NAMES.get(row["op"].lower())
    if op is None:
        raise TraceError(f"{name}, line {line}: unknown event {row['op'][:40]!r}; known are {', '.join(NAMES)}")
    numbers = []
    for field, limit in _LIMITS.items():
        text = row.get(field) or "0"
        if not (text.isascii() and text.isdigit() and len(text) <= 12) or int(text) > limit:
            raise TraceError(f"{name}, line {line}: {field} {text[:40]!r}; write a whole number from 0 to {limit}")
        numbers.append(int(text))
    flags = 0
    for word in row.get("flags", "").split():
        if word not in FLAGGED.get(op, ()):
            allowed = ", ".join(FLAGGED.get(op, ())) or "none"
            raise TraceError(f"{name}, line {line}: flag {word[:40]!r}; {op.name.lower()} has: {allowed}")
        flags |= FLAG_WORDS[word]
    return int(op), numbers[0], numbers[1], numbers[2], int(flags)
