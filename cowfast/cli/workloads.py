# SPDX-License-Identifier: MIT
"""``cowfast workloads [NAME]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cowfast.cli.options import format_option
from cowfast.cli.output import print_json, print_table, records_table

if TYPE_CHECKING:
    from cowfast.workloads import Kind

EPILOG = """\b
Examples
  cowfast workloads
  cowfast workloads random-mix
  cowfast run random-mix --set pages=4096,zipf_s=0.9
"""


@click.command(epilog=EPILOG)
@click.argument("name", required=False)
@format_option("markdown")
def workloads(name: str | None, format: str) -> None:
    """List the built-in workloads, or the parameters of NAME."""
    from cowfast.workloads import kinds, workload

    found = {kind.name: kind for kind in kinds()}
    if name is None:
        if format == "json":
            print_json({"workloads": [_describe(kind) for kind in found.values()]})
        else:
            records = [{"workload": kind.name, "what it is": kind.summary} for kind in found.values()]
            print_table(records_table(records), format)
        return
    if name not in found:
        workload(name)  # says what was probably meant
        raise click.UsageError(f"{name} has no parameters")
    kind = found[name]
    if format == "json":
        print_json(_describe(kind))
        return
    records = [
        {"parameter": key, "default": str(value), "meaning": kind.meanings.get(key, "")}
        for key, value in kind.defaults().items()
    ]
    table = records_table(records, f"{kind.name}: {kind.summary}")
    table.notes = [" ".join(kind.notes.split())] if kind.notes else []
    print_table(table, format)


def _describe(kind: Kind) -> dict[str, Any]:
    return {
        "name": kind.name,
        "summary": kind.summary,
        "notes": kind.notes,
        "parameters": {
            key: {"default": value, "meaning": kind.meanings.get(key, "")} for key, value in kind.defaults().items()
        },
    }
