# SPDX-License-Identifier: MIT
"""Reading results files, whole or merged, and handing them to other libraries."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, overload

from cowfast.errors import ResultsError
from cowfast.files import open_regular
from cowfast.results.lines import MAX_LINE, START, decode, looks_torn, problem

#: Of a JSON document, which is decoded in one piece; the rows of a sweep come line by line and may be any number.
MAX_DOCUMENT = 1 << 28

if TYPE_CHECKING:
    import numpy as np


class Results(Sequence[dict[str, Any]]):
    """The finished runs of one or several files, each once, in the order in which they were written.

    ``failed`` are runs that ended early (their rows have ``error``); ``torn`` counts lines that were cut short.
    """

    def __init__(
        self, rows: Sequence[Mapping[str, Any]], failed: Sequence[Mapping[str, Any]] = (), torn: int = 0
    ) -> None:
        self._rows = [dict(row) for row in rows]
        self.failed = [dict(row) for row in failed]
        self.torn = torn

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Results: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | Results:
        return Results(self._rows[index]) if isinstance(index, slice) else self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def flat(self) -> Iterator[dict[str, Any]]:
        """Yield each row without nesting: ``parameter.*`` of the source, ``machine.*`` and counters as columns."""
        return map(flat, self._rows)

    def to_numpy(self) -> np.ndarray:
        """Return a structured array, one record a run: ``policy`` (text), ``seed`` (i8), then every counter (i8).

        A counter that a row does not have is 0.
        """
        import numpy as np

        names = list(dict.fromkeys(name for row in self._rows for name in row["counters"]))
        width = max((len(row["policy"]) for row in self._rows), default=1)
        records = [
            (row["policy"], row["seed"], *(row["counters"].get(name, 0) for name in names)) for row in self._rows
        ]
        return np.array(records, [("policy", f"U{width}"), ("seed", "i8"), *((name, "i8") for name in names)])

    def to_polars(self) -> Any:
        """Return a polars DataFrame of :meth:`flat` (extra ``analysis``)."""
        import polars

        return polars.DataFrame(list(self.flat()), infer_schema_length=None)

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame of :meth:`flat`; pandas is not among the extras."""
        import pandas

        return pandas.DataFrame(list(self.flat()))

    def __repr__(self) -> str:
        policies = dict.fromkeys(row["policy"] for row in self._rows)
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"<Results: {len(self)} runs of {len(policies)} policies{failed}>"

    def _repr_html_(self) -> str:
        from html import escape

        names = ("policy", "source", "seed", "copies", "needless_copies", "swap_writes", "seconds")
        head = "".join(f"<th>{name}</th>" for name in names)
        lines = "".join(
            "<tr>" + "".join(f"<td>{escape(str(row.get(name, '')))}</td>" for name in names) + "</tr>"
            for row, _ in zip(self.flat(), range(50), strict=False)
        )
        return f"<p>{escape(repr(self)[1:-1])}</p><table><tr>{head}</tr>{lines}</table>"


def load_results(*paths: str | os.PathLike[str]) -> Results:
    """Return the rows of results files (JSON lines, or the JSON that ``run`` and ``compare`` print), merged by id.

    Raises ResultsError for a file that cannot be read, holds no results, or has two different rows of one id.
    """
    rows: dict[str, dict[str, Any]] = {}
    torn = 0
    for path in map(Path, paths):
        with open_regular(path, ResultsError) as file:
            for number, row in _rows(path, file):
                if row is None:
                    torn += 1
                elif row["counters"] != rows.setdefault(row["id"], row)["counters"]:
                    raise ResultsError(
                        f"{path}, line {number}: run {row['id']} has other counters than the row before it"
                    )
    good = [row for row in rows.values() if "error" not in row]
    failed = [row for row in rows.values() if "error" in row]
    if not rows:
        raise ResultsError(f"{', '.join(map(str, paths))}: no results in it")
    return Results(good, failed, torn)


def _rows(path: Path, file: BinaryIO) -> Iterator[tuple[int, dict[str, Any] | None]]:
    start = file.read(len(START))
    file.seek(0)
    document = None if start == START else _document(path, file)
    if document is not None:
        yield from enumerate(document, 1)
        return
    file.seek(0)
    for line in decode(file):
        if line.row is None and not (looks_torn(line.text) and len(line.text) < MAX_LINE):
            raise ResultsError(
                f"{path}, line {line.number}: no row of a results file; give a file that `cowfast sweep` wrote"
            )
        yield line.number, line.row


def _document(path: Path, file: BinaryIO) -> list[dict[str, Any]] | None:
    """Return the rows of one JSON document as ``--format json`` prints it."""
    import msgspec

    data = file.read(MAX_DOCUMENT + 1)
    if len(data) > MAX_DOCUMENT:
        return None
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(document, dict) or not isinstance(document.get("rows"), list):
        return None
    common = {"source": document.get("source"), "spec": {"machine": document.get("machine", {})}}
    rows: list[dict[str, Any]] = []
    for place, row in enumerate(document["rows"], 1):
        row = common | {"id": row.get("spec_hash")} | row if isinstance(row, dict) else row
        if wrong := problem(row):
            raise ResultsError(f"{path}, row {place}: no row of results: {wrong}")
        rows.append(row)
    return rows


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row without nesting."""
    spec = row.get("spec", {})
    parameters = spec.get("source", {}).get("parameters", {}) if isinstance(spec.get("source"), dict) else {}
    record = {name: row.get(name) for name in ("id", "source", "policy", "seed", "seconds", "error")}
    record |= {f"parameter.{name}": value for name, value in parameters.items()}
    record |= {f"machine.{name}": value for name, value in spec.get("machine", {}).items()}
    return record | dict(row["counters"])
