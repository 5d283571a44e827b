# SPDX-License-Identifier: MIT
"""``cowfast run SOURCE --policy P``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cowfast.cli.options import every, format_option, policy_option, quiet_options, source_options, with_events
from cowfast.cli.output import print_json, print_table
from cowfast.cli.progress import progress, say

if TYPE_CHECKING:
    from cowfast.compare import Table
    from cowfast.simulate import Result

EPILOG = """\b
Examples
  cowfast run random-mix --policy linux-6.18 --events 1000000 --memory 75%
  cowfast run service.cow --policy my-policy.toml --memory 64MiB --machine swap=sync
  cowfast run random-mix --sample every=100000 --format csv > timeline.csv
  cowfast run random-mix --set processes=64,pages=4096 --events 1000000000 --snapshot long.npz
"""


@click.command(epilog=EPILOG)
@click.argument("source")
@policy_option
@source_options
@click.option("--sample", callback=every, metavar="every=N", help="Keep the counters every N events (json, csv).")
@click.option("--check-every", type=click.IntRange(0), default=0, metavar="N",
              help="Recompute all counts every N events; slow.")  # fmt: skip
@click.option("--snapshot", type=click.Path(dir_okay=False), metavar="FILE",
              help="Interrupted (Ctrl-C, SIGTERM), the run is kept here; the same command goes on from it.")  # fmt: skip
@format_option()
@quiet_options
def run(
    source: str,
    policy: str,
    events: int | None,
    parameters: dict[str, Any],
    seed: int,
    memory: str | None,
    machine: dict[str, Any],
    engine: str,
    sample: int,
    check_every: int,
    snapshot: str | None,
    format: str,
    quiet: bool,
    verbose: bool,
) -> None:
    """Run SOURCE under one policy and print what was counted.

    SOURCE is a workload's name, a workload TOML file or a trace (.cow).
    """
    from cowfast.simulate import simulate

    if snapshot and Path(snapshot).exists():
        say(f"goes on from {snapshot}", quiet)
    with _told(snapshot, quiet), progress(quiet) as report:
        result = simulate(
            source,
            policy,
            machine,
            seed,
            memory=memory,
            parameters=with_events(parameters, events),
            engine=engine,
            sample_every=sample,
            check_every=check_every,
            progress=lambda one: report(f"{policy} on {one.label}", one.done, one.total),
            snapshot=snapshot,
        )
    say(f"{result.counters['events']:,} events in {result.seconds:.2f} s of engine time", quiet)
    if verbose:
        say(f"run {result.spec_hash}, machine {result.machine.to_dict()}", quiet)
    if format == "json":
        print_json(document([result]))
    elif format == "csv":
        write_csv([result])
    else:
        print_table(counters_table(result))


@contextmanager
def _told(snapshot: str | None, quiet: bool) -> Iterator[None]:
    """If the run is interrupted, say how it can go on."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if snapshot is None:
            say("with --snapshot FILE the run could be gone on with", quiet)
        elif Path(snapshot).exists():
            say(f"the run is kept in {snapshot}; the same command goes on from it", quiet)
        raise


def document(results: list[Result]) -> dict[str, Any]:
    """Return the JSON of ``run`` and ``compare``: one source, one machine, a row a run."""
    first = results[0]
    return {
        "source": first.source,
        "machine": first.machine.to_dict(),
        "rows": [result.row() for result in results],
    }


def write_csv(results: list[Result]) -> None:
    """Print a line a run; if the runs were sampled, a line a sample."""
    from cowfast.results import Results
    from cowfast.results.export import write_csv as write

    rows = [result.row() for result in results]
    sampled = [row | {"counters": sample} for row in rows for sample in row.get("samples", [])]
    write(Results(sampled or rows), sys.stdout)


def counters_table(result: Result) -> Table:
    """Return every counter that is not 0, with its unit and meaning."""
    from cowfast.compare import Column, Table
    from cowfast.counters import COUNTERS

    rows = [
        [info.name, f"{result.counters[info.name]:,}", info.unit, info.meaning]
        for info in COUNTERS
        if result.counters[info.name]
    ]
    columns = [Column("counter", "left"), Column("number"), Column("unit", "left"), Column("what it is", "left")]
    machine = result.machine
    limit = f"{machine.memory:,} pages of memory, swap {machine.swap}" if machine.memory else "memory without limit"
    return Table(columns, rows, f"{result.source} under {result.policy}, seed {result.seed}, {limit}")
