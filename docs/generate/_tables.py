# SPDX-License-Identifier: MIT
"""Markdown tables in which rows that say the same are one row."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def table(heads: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[int] = ()) -> str:
    """Return a table; numbers get thousands separators, columns in ``right`` are aligned to the right."""
    lines = [heads, ["---:" if i in right else "---" for i in range(len(heads))], *rows]
    return "".join("| " + " | ".join(map(said, line)) + " |\n" for line in lines)


def said(value: object) -> str:
    """Return a cell's text; a bar in it is no border."""
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", r"\|")


def by_outcome(names: Sequence[str], cells: Callable[[str], Sequence[object]]) -> list[list[object]]:
    """Return one row for all names with the same cells, names joined, in the order of the first of them."""
    groups: dict[tuple[object, ...], list[str]] = {}
    for name in names:
        groups.setdefault(tuple(cells(name)), []).append(name)
    return [[", ".join(f"`{name}`" for name in members), *row] for row, members in groups.items()]
