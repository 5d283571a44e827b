# SPDX-License-Identifier: MIT
"""``cowfast plot RESULTS KIND -o FILE``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cowfast.cli.options import settings

# The figures are loaded when one is drawn: --help must not wait for them.
KINDS = ("copies", "churn", "history", "cost", "lines", "fanout", "map", "timeline", "agreement")

EPILOG = """\b
Kinds of figure
  copies     how many pages each policy copies, and which of them for nothing
  churn      what each policy puts into the swap cache and takes out of it
  history    what each kernel generation did to the same events
  cost       what the counters cost in time            [costs=FILE.toml]
  lines      a measure over a swept parameter          [x=PARAMETER y=MEASURE log=true]
  fanout     copies a fork costs, over the children    [x=PARAMETER]
  map        a sweep over two parameters               [x= y= value=MEASURE policy=]
  timeline   pages and copies along one run            [policy=]
  agreement  how often cowfast said what the kernel did (input: cowfast verify --format json)

\b
Examples
  cowfast compare random-mix --policy all --format json > results.json
  cowfast plot results.json copies -o copies.svg
  cowfast plot sweep.jsonl lines --set x=memory --set y=needless_share -o memory.png
"""


@click.command(epilog=EPILOG, short_help="Draw a figure from a results file.")
@click.argument("results", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("kind", type=click.Choice(KINDS))
@click.option("-o", "--output", "image", required=True, type=click.Path(dir_okay=False, path_type=Path),
              help="Image to write: .png, .svg or .pdf by its name.")  # fmt: skip
@click.option("--set", "options", multiple=True, metavar="KEY=VALUE", callback=settings,
              help="Option of this kind of figure; see below.")  # fmt: skip
@click.option("--size", type=click.Choice(["paper", "page", "slide"]), default="page", show_default=True,
              help="What the figure is for: one column, a page, a slide.")  # fmt: skip
@click.option("--title", help="Title above the figure [default: what was run; '' for none].")
def plot(results: Path, kind: str, image: Path, options: dict[str, Any], size: str, title: str | None) -> None:
    """Draw a figure of one KIND from RESULTS: JSON of run, compare or verify, or results of a sweep."""
    from cowfast.plotting import draw

    chosen = {key: value if isinstance(value, bool) else str(value) for key, value in options.items()}
    draw(kind, results, image, size=size, title=title, **chosen)
