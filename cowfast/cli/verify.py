# SPDX-License-Identifier: MIT
"""``cowfast verify FILE...``: what real kernels did, beside what the policy says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cowfast.cli.options import format_option, quiet_options, settings
from cowfast.cli.output import print_json, print_table, records_table
from cowfast.cli.progress import say

EPILOG = """\b
Examples
  cowfast verify 7.2-disk0.jsonl.xz 5.10-zram.jsonl.xz
  cowfast verify 7.2-disk0.jsonl.xz --policy linux-6.18 --verbose
  cowfast verify legacy-disk0.jsonl.xz --policy linux-5.10+write_fault=linux-5.7
  cowfast verify bulk/*.jsonl.xz --format json
  cowfast verify redis-bgsave.txt.xz --policy linux-6.18

\b
Exit codes: 0 everything compared agrees (totals of streams under memory pressure are
only shown: two boots of a kernel differ in them too); 1 something differs; 2 bad input.
"""


@click.command(epilog=EPILOG)
@click.argument("files", nargs=-1, required=True)
@click.option("-p", "--policy", help="Instead of the one that the file's name says.")
@click.option("-m", "--machine", multiple=True, callback=settings, metavar="NAME=VALUE",
              help="Machine parameters instead of those that the file's name says.")  # fmt: skip
@click.option(
    "--engine",
    type=click.Choice(["fast", "reference"]),
    default="fast",
    show_default=True,
    help="Which engine computes it.",
)
@format_option()
@quiet_options
def verify(files: tuple[str, ...], policy: str | None, machine: dict[str, Any], engine: str, format: str,
           quiet: bool, verbose: bool) -> int:  # fmt: skip
    """Replay what real kernels did and compare.

    FILES are records of scripts (every page, flag, slot and counter is compared after each event), of long streams
    under memory pressure (totals beside the kernel's), or perf recordings with page allocations (the policy's verdict on
    each write-protection fault beside the kernel's; those that could be either are counted apart).  Policy and swap device come from a name such as
    7.2-disk0.jsonl.xz unless the options say otherwise.
    """
    from cowfast.machine import Machine
    from cowfast.oracle import bulk, perf, replay

    given = Machine.from_dict(machine) if machine else None
    rows: list[dict[str, Any]] = []
    wrong = 0
    for name in files:
        path = Path(name)
        if perf.is_perf(path):
            found = perf.verify_perf(path, policy or "linux-6.18", engine)
            row = found.to_dict()
            rows.append(row)
            wrong += row["disagree"]
            say(
                f"{path.name}: {row['agree']:,} of {row['agree'] + row['disagree']:,} decidable write-protection faults agree",
                quiet,
            )
            for disagreement in found.disagreements if verbose else found.disagreements[:1]:
                say(str(disagreement), quiet)
            continue
        if bulk.is_bulk(path):
            rows += [row.to_dict() for row in bulk.verify_bulk(path, policy, given, engine)]
            continue
        agreement = replay.verify_records(path, policy, given, engine)
        rows.append(agreement.to_dict())
        wrong += agreement.scripts - agreement.scripts_right
        say(f"{path.name}: {agreement.scripts_right} of {agreement.scripts} scripts right", quiet)
        for mismatch in agreement.mismatches if verbose else agreement.mismatches[:1]:
            say(str(mismatch), quiet)
    if format == "json":
        print_json({"files": rows})
    else:
        for kind in dict.fromkeys(row["kind"] for row in rows):
            shown = [row | {"file": Path(row["file"]).name} for row in rows if row["kind"] == kind]
            if format == "table":
                shown = [row | _in_percent(row) for row in shown]
            print_table(records_table(shown), format)
    return 1 if wrong else 0


def _in_percent(row: dict[str, Any]) -> dict[str, str]:
    """Return the shares among a row's figures as people write them; 0.99996 must not read as 1."""
    share = row.get("agreement")
    return {} if not isinstance(share, float) else {"agreement": f"{int(share * 1e5) / 1e3:.3f} %"}
