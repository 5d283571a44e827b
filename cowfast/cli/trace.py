# SPDX-License-Identifier: MIT
"""``cowfast trace``: real traces in, and a look at them."""

from __future__ import annotations

import sys

import click

from cowfast.cli.options import format_option, quiet_options
from cowfast.cli.output import print_json, print_table, records_table
from cowfast.cli.progress import say

IMPORT_EPILOG = """\b
Examples
  cowfast trace import perf recording.txt.xz -o service.cow
  cowfast trace import lackey run.*.log -o program.cow
  cowfast trace import csv events.csv -o events.cow
"""


@click.group(epilog=IMPORT_EPILOG)
def trace() -> None:
    """Import real traces and look at them."""


@trace.command("import", epilog=IMPORT_EPILOG)
@click.argument("kind", type=click.Choice(["perf", "lackey", "csv"]))
@click.argument("files", nargs=-1, required=True)
@click.option("-o", "--output", required=True, help="The trace to write (.cow).")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="lackey: who runs when, where the logs leave it open.")  # fmt: skip
@quiet_options
def import_(kind: str, files: tuple[str, ...], output: str, seed: int, quiet: bool, verbose: bool) -> None:
    """Write a recording of another tool as a .cow trace.

    perf: text of perf script, plain or compressed.  lackey: the logs of one run, one for each process.  csv: columns
    op, pid, page, arg, flags.
    """
    if kind != "lackey" and len(files) != 1:
        raise click.UsageError(f"{kind} takes one file, not {len(files)}")
    if kind == "perf":
        from cowfast.traces.perf import import_perf

        made = import_perf(files[0], output)
    elif kind == "csv":
        from cowfast.traces.csv_file import import_csv

        made = import_csv(files[0], output)
    else:
        from cowfast.traces.lackey import import_lackey

        made = import_lackey(files, output, seed=seed)
    say(f"{output}: {made.events:,} events of {made.processes:,} processes", quiet)
    for note in made.notes:
        say(f"note: {note}", quiet)


@trace.command(epilog="""\b
Examples
  cowfast trace info service.cow
  cowfast trace info service.cow --format json
""")  # fmt: skip
@click.argument("file")
@format_option()
@quiet_options
def info(file: str, format: str, quiet: bool, verbose: bool) -> None:
    """Say what a trace holds: sizes, events by kind, what was lost."""
    import numpy as np

    from cowfast.events import Op
    from cowfast.traces import load_trace

    found = load_trace(file)
    kinds = np.zeros(int(Op.NR_OPS), np.int64)
    for events in found.chunks():
        kinds += np.bincount(events["op"], minlength=len(kinds))[: len(kinds)]
    by_kind = {Op(i).name.lower(): int(n) for i, n in enumerate(kinds) if n}
    facts = {
        "events": found.events,
        "processes": found.processes,
        "virtual pages": found.space,
        "footprint": found.footprint,
    }
    if format == "json":
        print_json(
            {"trace": found.name, "semantics": found.semantics, **facts, "by_kind": by_kind, "notes": found.notes}
        )
        return
    rows = [
        {"what": name, "number": value}
        for name, value in (facts | {f"{name} events": n for name, n in by_kind.items()}).items()
    ]
    print_table(records_table(rows, f"{found.name} ({found.semantics} trace)"), format)
    for note in found.notes:
        say(f"note: {note}", quiet)


@trace.command(epilog="""\b
Examples
  cowfast trace cat service.cow --first 1000 --count 20
""")  # fmt: skip
@click.argument("file")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="Number of the first event.")
@click.option("--count", type=click.IntRange(0), default=None, help="How many (default: all that follow).")
def cat(file: str, first: int, count: int | None) -> None:
    """Print events as text, one a line."""
    from cowfast.events import format_event
    from cowfast.traces import load_trace

    found = load_trace(file)
    stop = found.events if count is None else first + count
    for events in found.chunks(start=first, stop=stop):
        sys.stdout.writelines(f"{format_event(event)}\n" for event in events)
