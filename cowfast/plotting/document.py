# SPDX-License-Identifier: MIT
"""Reads what other commands wrote: the JSON of ``run``, ``compare`` and ``verify``, or result lines of ``sweep``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from cowfast.errors import ResultsError
from cowfast.plotting.rows import Row


class Document(NamedTuple):
    """A results file, as figures and reports want it."""

    rows: list[Row]
    #: ``files`` of ``cowfast verify --format json``.
    files: list[Row]
    #: Everything else that was in the file: source, machine, provenance.
    about: Mapping[str, Any]

    @property
    def title(self) -> str:
        """What was run, in one line: the source and the parts of the machine that matter to a reader."""
        machine = self.about.get("machine") or {}
        source = Path(str(self.about.get("source") or "")).name.removesuffix(".cow")
        memory = machine.get("memory")
        parts = [
            source,
            f"memory {memory:,} pages" if memory else "",
            f"{machine['swap']} swap" if "swap" in machine else "",
        ]
        return ", ".join(part for part in parts if part)


def read_document(path: str | Path) -> Document:
    """Read a results file: one JSON document, or JSON lines with a result row each.

    Raises ``ResultsError`` naming the file and line of what is neither.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror}") from error
    try:
        whole = msgspec.json.decode(data)
    except msgspec.DecodeError:
        whole = {"rows": _lines(path, data)}
    if isinstance(whole, dict) and "counters" in whole:
        whole = {"rows": [whole]}
    if not isinstance(whole, dict) or not ("rows" in whole or "files" in whole):
        raise ResultsError(f"{path}: no rows in it; write it with: cowfast compare ... --format json > {path.name}")
    about = {key: value for key, value in whole.items() if key not in ("rows", "files")}
    rows: list[Row] = whole.get("rows", [])
    if rows and "source" not in about:
        about = _common(rows)
    return Document(rows, whole.get("files", []), about)


def _lines(path: Path, data: bytes) -> list[Row]:
    rows: list[Row] = []
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line)
        except msgspec.DecodeError as error:
            raise ResultsError(f"{path}, line {number}: not JSON ({error})") from error
        if not isinstance(row, dict) or "counters" not in row:
            raise ResultsError(f"{path}, line {number}: not a result row (it has no counters)")
        rows.append(row)
    return rows


def _common(rows: list[Row]) -> dict[str, Any]:
    """What all rows say alike, for the title."""
    return {
        key: rows[0][key]
        for key in ("source", "machine")
        if key in rows[0] and all(r.get(key) == rows[0][key] for r in rows)
    }
