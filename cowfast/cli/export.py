# SPDX-License-Identifier: MIT
"""``cowfast export RESULTS... -o FILE``."""

from __future__ import annotations

from pathlib import Path

import click

EPILOG = """\b
Examples
  cowfast export churn.jsonl -o churn.parquet
  cowfast export monday.jsonl tuesday.jsonl -o both.csv
"""


@click.command(epilog=EPILOG)
@click.argument("results", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", "output", required=True, type=click.Path(dir_okay=False, path_type=Path),
              help="File to write: .csv or .parquet by its name.")  # fmt: skip
def export(results: tuple[Path, ...], output: Path) -> None:
    """Write results as one flat table: a line a run, a column for each parameter and counter."""
    from cowfast.results import load_results
    from cowfast.results.export import export as write

    write(load_results(*results), output)
