# SPDX-License-Identifier: MIT
"""``cowfast trace``: real traces in, and a look at them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cowfast.cli.options import format_option, quiet_options
from cowfast.cli.output import print_json, print_table, records_table
from cowfast.cli.progress import say

if TYPE_CHECKING:
    from cowfast.traces import Trace

IMPORT_EPILOG = """\b
Examples
  cowfast trace import perf recording.txt.xz -o service.cow
  cowfast trace import lackey run.*.log -o program.cow
  cowfast trace import csv events.csv -o events.cow
"""


def span(_ctx: click.Context, _parameter: click.Parameter, given: str | None) -> tuple[float, float] | None:
    """Return the two ends of ``A:B``; either may be left out."""
    if given is None:
        return None
    low, colon, high = given.replace("_", "").partition(":")
    try:
        ends = float(low or 0), float(high or "inf")
    except ValueError:
        ends = 0.0, -1.0
    if not colon or not 0 <= ends[0] <= ends[1]:
        raise click.BadParameter(f"{given!r}; write START:STOP, such as 1000:2000")
    return ends


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
    _say_made(output, made, quiet)


@trace.command(epilog="""\b
Examples
  cowfast trace info service.cow
  cowfast trace info service.cow --format json
""")  # fmt: skip
@click.argument("file")
@format_option()
@quiet_options
def info(file: str, format: str, quiet: bool, verbose: bool) -> None:
    """Say what a trace holds: sizes, events by kind, pages, sharing, what was lost."""
    from cowfast.traces import load_trace, trace_info

    found = trace_info(load_trace(file))
    if format == "json":
        print_json(found)
        return
    named = ["events", "bytes", "processes", "cpus", "space", "footprint", "pages_touched", "seconds"]
    rows = [(name.replace("_", " "), found[name]) for name in named if found.get(name) is not None]
    rows += [(f"{name} events", n) for name, n in found["events_by_op"].items()]
    rows += [(f"pages with {low:,} to {2 * low - 1:,} accesses", n) for low, n in found.get("accesses_per_page", [])]
    rows += [
        (f"pages touched by {who:,} process{'es' if who > 1 else ''}", n) for who, n in found.get("shared_pages", [])
    ]
    rows += [(f"found: {name}", n) for name, n in found["found"].items()]
    title = f"{file} ({found['semantics']} trace)"
    print_table(records_table([{"what": name, "number": value} for name, value in rows], title), format)
    for note in found["notes"]:
        say(f"note: {note}", quiet)


@trace.command(epilog="""\b
Examples
  cowfast trace cat service.cow --first 1000 --count 20
  cowfast trace cat service.cow --extra | grep copied
""")  # fmt: skip
@click.argument("file")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="Number of the first event.")
@click.option("--count", type=click.IntRange(0), default=None, help="How many (default: all that follow).")
@click.option("--extra", is_flag=True, help="Number, time, line and the kernel's verdict beside each event.")
def cat(file: str, first: int, count: int | None, extra: bool) -> None:
    """Print events as text, one a line."""
    from cowfast.traces import cat as lines
    from cowfast.traces import load_trace

    stop = None if count is None else first + count
    sys.stdout.writelines(f"{line}\n" for line in lines(load_trace(file), first, stop, extra=extra))


@trace.command(epilog="""\b
Examples
  cowfast trace cut service.cow --events 0:100000 -o start.cow
  cowfast trace cut service.cow --seconds 2.5:4 -o snapshot.cow
  cowfast trace cut service.cow --process 3 --process 7 -o two.cow
  cowfast trace cut broken.cow --partial -o good.cow
""")  # fmt: skip
@click.argument("file")
@click.option("-o", "--output", required=True, help="The trace to write (.cow).")
@click.option("--events", callback=span, metavar="START:STOP", help="Only these events.")
@click.option("--seconds", callback=span, metavar="FROM:TO", help="Only this time of the recording (perf).")
@click.option("--process", "processes", type=click.IntRange(0), multiple=True, help="Only this process; repeatable.")
@click.option("--partial", is_flag=True, help="Take a file that was cut off: what is whole of it.")
@quiet_options
def cut(
    file: str,
    output: str,
    events: tuple[float, float] | None,
    seconds: tuple[float, float] | None,
    processes: tuple[int, ...],
    partial: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Write a part of a trace, so that it can be run by itself."""
    from cowfast.traces import cut as write
    from cowfast.traces import load_trace

    source = load_trace(file, partial=partial)
    end = float(source.events)
    made = write(
        source,
        output,
        events=None if events is None else (int(events[0]), int(min(events[1], end))),
        processes=processes or None,
        seconds=seconds,
    )
    _say_made(output, made, quiet)


@trace.command(epilog="""\b
Examples
  cowfast trace convert service.cow service.parquet
  cowfast trace convert service.cow mapped.cow --compression none
""")  # fmt: skip
@click.argument("file")
@click.argument("output")
@click.option("--compression", type=click.Choice(["zstd", "none"]), help="Of a .cow; none is read by memory map.")
def convert(file: str, output: str, compression: str | None) -> None:
    """Write a trace as .csv, .parquet or .cow, by the name of OUTPUT."""
    from cowfast.traces import convert as write
    from cowfast.traces import load_trace

    write(load_trace(file), output, **({"compression": compression} if compression else {}))


@trace.command(epilog="""\b
Examples
  cowfast trace merge web.cow database.cow -o both.cow --by time
""")  # fmt: skip
@click.argument("files", nargs=-1, required=True)
@click.option("-o", "--output", required=True, help="The trace to write (.cow).")
@click.option("--by", type=click.Choice(["turns", "time", "end"]), default="turns", show_default=True,
              help="Evenly by event, by time of recording, or one after the other.")  # fmt: skip
@quiet_options
def merge(files: tuple[str, ...], output: str, by: str, quiet: bool, verbose: bool) -> None:
    """Put several traces on one machine: processes and pages of each get numbers of their own."""
    from cowfast.traces import load_trace
    from cowfast.traces import merge as write

    _say_made(output, write([load_trace(file) for file in files], output, by=by), quiet)


def _say_made(output: str, made: Trace, quiet: bool) -> None:
    say(f"{output}: {made.events:,} events of {made.processes:,} processes", quiet)
    for note in made.notes:
        say(f"note: {note}", quiet)
