# SPDX-License-Identifier: MIT
"""``cowfast bench``: what this machine does, beside yardsticks measured in turns with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cowfast.cli.options import format_option, quiet_options
from cowfast.cli.output import print_json, print_table
from cowfast.cli.progress import say

if TYPE_CHECKING:
    from cowfast.bench import Bench
    from cowfast.compare import Table

EPILOG = """\b
Examples
  cowfast bench
  cowfast bench --quick --rows mix-16x1024
  cowfast bench --yardstick yardstick --format json > bench.json

\b
A row is left out, with the reason on stderr, where it cannot be measured:
no compiler, no such source, too little memory, a package not installed.
"""


@click.command(epilog=EPILOG)
@click.option("--yardstick", metavar="DIR", type=click.Path(path_type=Path),
              help="Folder of C sources to compile with $CC and measure against.  [default: cowfast's own loops]")  # fmt: skip
@click.option("--rows", multiple=True, metavar="NAME,..", help="Rows to measure.  [default: all]")
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True,
              help="Turns of each side; the best of them counts.")  # fmt: skip
@click.option("--quick", is_flag=True, help="Leave out what takes gigabytes or minutes.")
@click.option("--check", is_flag=True, help="Exit with 1 if a row is below its goal.")
@format_option()
@quiet_options
def bench(
    yardstick: Path | None,
    rows: tuple[str, ...],
    rounds: int,
    quick: bool,
    check: bool,
    format: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Measure rates beside yardsticks, in turns on one CPU, and say how far each is from its goal.

    The ratio says how many times better cowfast is than the yardstick: more is better, and the goal is the least that
    will do.
    """
    from cowfast.bench import bench as measure

    names = [name.strip() for each in rows for name in each.split(",") if name.strip()]
    found = measure(
        names,
        yardstick=yardstick,
        rounds=rounds,
        quick=quick,
        progress=lambda label, done, total: say(f"{done + 1} of {total}: {label}", quiet or not label),
    )
    for name, reason in found.missing.items():
        say(f"{name} is left out: {reason}")
    if format == "json":
        print_json(found._asdict())
    else:
        print_table(_table(found, verbose), format)
    return 1 if check and any(row.ratio < row.goal for row in found.rows) else 0


def _table(found: Bench, verbose: bool) -> Table:
    from cowfast.compare import Column, Table

    columns = [Column("row", "left"), *map(Column, ("cowfast", "yardstick", "unit", "ratio", "goal"))]
    rows = [
        [row.name, f"{row.cowfast:.2f}", f"{row.yardstick:.2f}", row.unit, f"{row.ratio:.2f}", f"≥ {row.goal:.2f}"]
        for row in found.rows
    ]
    notes = [f"{name}: {note}" for name, note in found.notes.items()] if verbose else []
    return Table(columns, rows, "" if rows else "nothing was measured", notes)
