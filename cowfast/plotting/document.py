# SPDX-License-Identifier: MIT
"""Reads what other commands wrote: results of ``run``, ``compare`` and ``sweep``, or the JSON of ``verify``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from cowfast.errors import CowfastError, ResultsError
from cowfast.files import read_whole
from cowfast.plotting.rows import Row

_MAX_VERIFIED = 1 << 26


class _Record(msgspec.Struct):
    """What a figure needs of a kernel record's line of ``cowfast verify``."""

    file: str
    policy: str
    events: int
    events_right: int


class _Recording(msgspec.Struct):
    """The same of a perf recording."""

    file: str
    policy: str
    faults: int
    agree: int
    ambiguous: int


class Document(NamedTuple):
    """A results file, as figures and reports want it."""

    rows: Sequence[Row]
    #: ``files`` of ``cowfast verify --format json``.
    files: Sequence[Row] = ()
    #: Runs that ended early: they have no place in a comparison, but in its footnotes.
    failed: Sequence[Row] = ()

    @property
    def title(self) -> str:
        """What was run, in one line: the source and the parts of the machine that matter to a reader."""
        sources = {str(row.get("source") or "") for row in self.rows}
        machine = common([row.get("spec", {}).get("machine", {}) for row in self.rows])
        parts = [Path(sources.pop()).name.removesuffix(".cow")] if len(sources) == 1 else []
        if "memory" in machine:
            parts.append(f"memory {machine['memory']:,} pages" if machine["memory"] else "unlimited memory")
        if machine.get("memory") and "swap" in machine:
            parts.append(f"{machine['swap']} swap")
        return ", ".join(part for part in parts if part)


def read_document(path: str | Path) -> Document:
    """Read a results file: JSON of run, compare or verify, or the lines of a sweep.

    Raises ``ResultsError`` naming the file (and line) of what is none of these.
    """
    from cowfast.results import load_results

    files = _verified(Path(path))
    if files is not None:
        return Document((), files)
    results = load_results(path)
    return Document(results, (), results.failed)


def _verified(path: Path) -> Sequence[Row] | None:
    try:
        whole = msgspec.json.decode(read_whole(path, _MAX_VERIFIED))
    except (CowfastError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # load_results says what is wrong with it
    files = whole.get("files") if isinstance(whole, dict) else None
    if not isinstance(files, list):
        return None
    try:
        for file in files:
            msgspec.convert(file, _Record if isinstance(file, dict) and "events" in file else _Recording)
    except msgspec.ValidationError as error:
        raise ResultsError(f"{path}: files: not what `cowfast verify --format json` prints: {error}") from None
    return files


def common(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the keys on which all records agree."""
    first, *others = records or [{}]
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
