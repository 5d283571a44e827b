# SPDX-License-Identifier: MIT
"""Results to stdout, in the form that was asked for."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from cowfast.compare import Table

#: A file or a pipe has no edge to wrap at.
_NO_EDGE = 10_000


def print_table(table: Table, format: str = "table") -> None:
    """Print a table for the terminal, or as ``csv``, ``markdown`` or ``latex``."""
    if format == "table":
        _terminal(table)
    else:
        sys.stdout.write({"csv": table.csv, "markdown": table.markdown, "latex": table.latex}[format]())


def print_json(document: Any) -> None:
    """Print one JSON document; NaN does not occur in it."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document, enc_hook=str)).decode() + "\n")


def records_table(records: list[dict[str, Any]], title: str = "") -> Table:
    """Return records that have the same keys as a table; numbers stand to the right."""
    from cowfast.compare import Column

    names = list(dict.fromkeys(name for record in records for name in record))
    numeric = {name for name in names if all(isinstance(record.get(name, 0), (int, float)) for record in records)}
    columns = [Column(name.replace("_", " "), "right" if name in numeric else "left") for name in names]
    return Table(columns, [[_text(record.get(name, "")) for name in names] for record in records], title)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if isinstance(value, float) else str(value)


def _terminal(table: Table) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _NO_EDGE
    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        drawn.add_column(column.heading, justify=column.align, no_wrap=column.align == "right", overflow="fold")
    for row in table.rows:
        drawn.add_row(*map(Text, row))
    if table.title:
        console.print(Text(table.title, "bold"), soft_wrap=True)
    console.print(drawn)
    for note in table.notes:
        console.print(Text(f"  {note}"), soft_wrap=not console.is_terminal)
