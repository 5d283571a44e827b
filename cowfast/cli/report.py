# SPDX-License-Identifier: MIT
"""``cowfast report RESULTS -o report.html``."""

from __future__ import annotations

from pathlib import Path

import click

EPILOG = """\b
Examples
  cowfast compare random-mix --policy all --seeds 5 --format json > results.json
  cowfast report results.json -o report.html
  cowfast report results.json --baseline linux-6.18 -o report.html
"""


@click.command(epilog=EPILOG, short_help="Write a self-contained page about a results file.")
@click.argument("results", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", "page", required=True, type=click.Path(dir_okay=False, path_type=Path),
              help="HTML file to write.")  # fmt: skip
@click.option("--baseline", metavar="POLICY", help="Policy the others are compared with [default: linux-5.16].")
@click.option("--title", help="Title of the page [default: what was run].")
def report(results: Path, page: Path, baseline: str | None, title: str | None) -> None:
    """Write a page about RESULTS that needs no network and no other file: table, figures, policies, provenance."""
    from cowfast.report import write_report

    write_report(results, page, baseline=baseline, title=title)
