# SPDX-License-Identifier: MIT
"""Results to stdout, in the form that was asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from textwrap import wrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from cowfast.compare import Table

# What prints is loaded when something is printed: `--help` must not wait for numpy.

#: A file or a pipe has no edge to wrap at.
_NO_EDGE = 10_000

#: Width of a heading above numbers, and of the gap between columns.
_HEADING, _BETWEEN = 11, 3


def print_table(table: Table, format: str = "table") -> None:
    """Print a table for the terminal, or as ``csv``, ``markdown`` or ``latex``."""
    if format == "table":
        _terminal(table)
    else:
        sys.stdout.write({"csv": table.csv, "markdown": table.markdown, "latex": table.latex}[format]())


def print_json(document: Any) -> None:
    """Print one JSON document; NaN does not occur in it."""
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document, enc_hook=str)).decode() + "\n")


def records_table(records: list[dict[str, Any]], title: str = "") -> Table:
    """Return records that have the same keys as a table; numbers stand to the right."""
    from cowfast.compare import Column, Table

    names = list(dict.fromkeys(name for record in records for name in record))
    numeric = {name for name in names if all(isinstance(record.get(name, 0), (int, float)) for record in records)}
    columns = [Column(name.replace("_", " "), "right" if name in numeric else "left") for name in names]
    return Table(columns, [[_text(record.get(name, "")) for name in names] for record in records], title)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if isinstance(value, float) else str(value)


def _terminal(table: Table) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _NO_EDGE
    if table.title:
        console.print(Text(table.title, "bold"), soft_wrap=True)
    for part in _parts(table, console.width):
        _draw(console, part)
    for note in table.notes:
        console.print(Text(f"  {note}"), soft_wrap=not console.is_terminal)


def _draw(console: Console, table: Table) -> None:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        heading = _folded(column.heading) if column.align == "right" else column.heading
        drawn.add_column(
            heading, justify=column.align, no_wrap=column.align == "right", overflow="fold", vertical="top"
        )
    for row in table.rows:
        drawn.add_row(*map(Text, row))
    console.print(drawn)


def _parts(table: Table, width: int) -> Iterator[Table]:
    """Yield the table in parts that fit beside each other's first column; cutting numbers short would falsify them."""
    from cowfast.compare import Table

    texts = [[_folded(column.heading), *(row[i] for row in table.rows)] for i, column in enumerate(table.columns)]
    widths = [max(len(line) for text in each for line in text.split("\n")) + _BETWEEN for each in texts]
    if any(column.align == "left" for column in table.columns[1:]):
        yield table  # texts can be folded
        return
    start = 1
    while start < len(widths):
        stop = start + 1
        while stop < len(widths) and widths[0] + sum(widths[start : stop + 1]) <= width:
            stop += 1
        if stop < len(widths) and stop - start > 1 and table.columns[stop].heading.startswith("×"):
            stop -= 1  # a ratio stays beside its number
        places = [0, *range(start, stop)]
        yield Table([table.columns[i] for i in places], [[row[i] for i in places] for row in table.rows])
        start = stop


def _folded(heading: str) -> str:
    """Return a heading in lines about as wide as the numbers below it."""
    return "\n".join(wrap(heading, _HEADING, break_long_words=False, break_on_hyphens=False))
