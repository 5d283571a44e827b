# SPDX-License-Identifier: MIT
"""``cowfast explain SOURCE --event N``: why one event of a run was decided as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cowfast.cli.options import format_option, policy_option, quiet_options, source_options, with_events
from cowfast.cli.output import print_json, print_table
from cowfast.cli.progress import progress, say

if TYPE_CHECKING:
    from cowfast.story import Explanation, Telling

EPILOG = """\b
Examples
  cowfast explain random-mix --event 123456 --policy linux-5.16 --memory 75%
  cowfast explain service.cow --event 9000000 --memory 64MiB --machine swap=sync
  cowfast explain random-mix --event 5000 --seed 3 --format json

Give the options of the `cowfast run` that is to be explained.  Events are counted from 0, as in error messages.  The run
is replayed twice by the fast engine; ten million events take some seconds.
"""

AGAIN = " (begins again: making room for the copy took the page away)"
MOST = 32  # references that are listed


@click.command(epilog=EPILOG)
@click.argument("source")
@click.option("--event", "index", type=click.IntRange(0), required=True, metavar="N",
              help="The event that is to be explained, counted from 0.")  # fmt: skip
@policy_option
@source_options
@format_option(rows=False)
@quiet_options
def explain(
    source: str,
    index: int,
    policy: str,
    events: int | None,
    parameters: dict[str, Any],
    seed: int,
    memory: str | None,
    machine: dict[str, Any],
    engine: str,
    format: str,
    quiet: bool,
    verbose: bool,
) -> None:
    """Tell why event N of a run was decided as it was.

    Which checks were asked and which one decided, which references hold the page, and since which event each is there.
    """
    from cowfast.story import explain as find

    with progress(quiet) as report:
        found = find(
            source,
            index,
            policy,
            machine,
            seed,
            memory=memory,
            parameters=with_events(parameters, events),
            engine=engine,
            progress=lambda one: report(f"{policy} on {one.label}", one.done, one.total),
        )
    if verbose:
        say(f"machine {found.machine.to_dict()}", quiet)
    if format == "json":
        print_json(found)
    else:
        _tell(found)


def _tell(found: Explanation) -> None:
    from rich.console import Console
    from rich.text import Text

    from cowfast.compare import Column, Table

    console = Console(highlight=False, soft_wrap=True)
    last = found.told[-1]
    memory = f"{found.machine.memory:,} pages of memory" if found.machine.memory else "memory without limit"
    console.print(Text(f"event {found.index:,} of {found.source} under {found.policy}: {found.event}", "bold"))
    console.print(Text(f"{found.outcome}; {memory}, swap {found.machine.swap}"))
    for telling in found.told:
        console.print(Text(f"\n{telling.words}{AGAIN * telling.dropped}", "bold cyan"))
        print_table(_asked(telling))
    console.print(Text(f"page {last.page} at {last.vpage}, there since event {found.born.since:,} ({found.born.event}: {found.born.outcome})"))  # fmt: skip
    columns = [Column("refers to it", "left"), Column("who", "left"), Column("since event"), Column("events ago"), Column("event", "left"), Column("did", "left")]  # fmt: skip
    rows = [
        [came.what, came.who, f"{came.since:,}", f"{found.index - came.since:,}", came.event, came.outcome]
        for came in found.came[:MOST]
    ]
    left = len(found.came) - MOST
    notes = [f"and {left:,} more; --format json has all"] if left > 0 else []
    print_table(Table(columns, rows, notes=notes))


def _asked(telling: Telling) -> Any:
    """The list of checks, as far as it was asked."""
    from cowfast.compare import Column, Table

    rows = [
        [
            str(asked.number),
            asked.check,
            "decides" if asked.number == telling.number else "yes" if asked.holds else "no",
            ", ".join(
                filter(
                    None,
                    (
                        asked.because or (telling.words.partition(": ")[2] if asked.number == telling.number else ""),
                        asked.did,
                    ),
                )
            ),
        ]
        for asked in telling.asked
    ]
    rules = (
        "swap-in check" if telling.rules == "swap_in" else "unshare check" if telling.unshare else "write-fault check"
    )
    columns = [Column(""), Column(rules, "left"), Column("", "left"), Column("because", "left")]
    return Table(columns, rows)
