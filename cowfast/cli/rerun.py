# SPDX-License-Identifier: MIT
"""``cowfast rerun RESULTS ID``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cowfast.cli.options import format_option
from cowfast.cli.output import print_json, print_table

EPILOG = """\b
Examples
  cowfast rerun churn.jsonl 5d0c6f0e2f9a1b7c
  cowfast rerun churn.jsonl 5d0c --engine reference
"""


@click.command(epilog=EPILOG)
@click.argument("results", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("identity", metavar="ID")
@click.option("--engine", type=click.Choice(["fast", "reference"]), default="fast", show_default=True,
              help="The engine to run it with; every counter is the same with either.")  # fmt: skip
@click.option("--source", type=click.Path(exists=True, dir_okay=False), help="Where the trace of the row is now.")
@format_option()
def rerun(results: Path, identity: str, engine: str, source: str | None, format: str) -> int:
    """Make the run ID in RESULTS again from its own row and say whether every counter is the same.

    The beginning of an ID is enough where it is the only one. Exit code 1 if a counter differs.
    """
    from cowfast.compare import Column, Table
    from cowfast.results import load_results
    from cowfast.results import rerun as again

    row = _find(results, load_results(results), identity)
    result = again(row, engine=engine, path=source)
    was, now = row["counters"], result.counters.to_dict()
    different = {
        name: (was.get(name, 0), now.get(name, 0)) for name in {**was, **now} if was.get(name) != now.get(name)
    }
    if format == "json":
        print_json(result.row() | {"identical": not different})
    else:
        verdict = f"{len(different)} counters differ" if different else f"all {len(was)} counters are identical"
        columns = [Column("counter", "left"), Column("in the row"), Column("now")]
        lines = [[name, f"{before:,}", f"{after:,}"] for name, (before, after) in different.items()]
        table = Table(columns, lines, f"{result.policy} on {result.source}, seed {result.seed}: {verdict}")
        if different or format == "csv":
            print_table(table, format)
        else:
            click.echo(table.title)
    return 1 if different else 0


def _find(path: Path, rows: Any, identity: str) -> dict[str, Any]:
    found = [row for row in [*rows, *rows.failed] if row["id"].startswith(identity)]
    if len(found) == 1:
        row: dict[str, Any] = found[0]
        return row
    few = ", ".join(row["id"] for row in (found or list(rows))[:3])
    problem = "more than one row begins with" if found else "no row begins with"
    raise click.UsageError(f"{path}: {problem} {identity!r}; ids are like {few}")
