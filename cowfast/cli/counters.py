# SPDX-License-Identifier: MIT
"""``cowfast counters``."""

from __future__ import annotations

import click

from cowfast.cli.options import format_option
from cowfast.cli.output import print_json, print_table, records_table

EPILOG = """\b
Examples
  cowfast counters
  cowfast counters --format csv
"""


@click.command(epilog=EPILOG)
@format_option("markdown")
def counters(format: str) -> None:
    """List everything that is counted, with its unit and meaning."""
    from cowfast.counters import COUNTERS

    records = [{"counter": info.name, "unit": info.unit, "meaning": info.meaning} for info in COUNTERS]
    if format == "json":
        print_json({"counters": records})
    else:
        print_table(records_table(records), format)
