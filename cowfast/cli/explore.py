# SPDX-License-Identifier: MIT
"""``cowfast explore``: is a policy safe?"""

from __future__ import annotations

from pathlib import Path

import click

from cowfast.cli.options import format_option, quiet_options
from cowfast.cli.output import print_json, print_table, records_table
from cowfast.cli.progress import say

EPILOG = """\b
Examples
  cowfast explore --policy linux-6.1
  cowfast explore --policy my.toml -o hole.litmus
  cowfast explore --policy linux-5.7 --pins 0 --properties no-leak --device sync
  cowfast explore --policy all --format json

The search ends when all states are reached, or when every property has its shortest counter-example.

A counter-example is written as a litmus file; the story says after each event who sees which store (a store is
named by the line that made it).

\b
Exit codes: 0 every property holds in all states; 1 one does not, or a bound was hit; 2 bad input.
"""


@click.command(epilog=EPILOG)
@click.option("-p", "--policy", required=True, help="Policies, separated by commas: names, .toml files, or all.")
@click.option("--processes", type=click.IntRange(1, 3), default=2, show_default=True, help="Processes.")
@click.option("--pages", type=click.IntRange(1, 2), default=1, show_default=True, help="Pages of each process.")
@click.option(
    "--gets", type=click.IntRange(0, 2), default=1, show_default=True, help="FOLL_GET references (read-only)."
)
@click.option("--pins", type=click.IntRange(0, 2), default=1, show_default=True,
              help="FOLL_PIN references: read-write, and read-only long-term.")  # fmt: skip
@click.option("--locks", type=click.IntRange(0, 1), default=0, show_default=True,
              help="Page locks that somebody else holds.")  # fmt: skip
@click.option("--device", type=click.Choice(["async", "sync", "both"]), default="both", show_default=True,
              help="Swap device: a disk, zram.")  # fmt: skip
@click.option("--properties", default=None, metavar="NAMES",
              help="no-leak, pins-coherent, no-lost-write, zero-pins-coherent.  [default: the first three]")  # fmt: skip
@click.option("--max-states", type=click.IntRange(1), default=20_000_000, show_default=True,
              help="Give up after this many states.")  # fmt: skip
@click.option("--memory", type=click.IntRange(1), default=2048, show_default=True, metavar="MIB",
              help="Give up when the states take more.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), default=None, metavar="FILE",
              help="Write the shortest counter-example as a litmus file.")  # fmt: skip
@format_option()
@quiet_options
def explore(policy: str, processes: int, pages: int, gets: int, pins: int, locks: int, device: str, properties: str | None,
            max_states: int, memory: int, output: Path | None, format: str, quiet: bool, verbose: bool) -> int:  # fmt: skip
    """Look at every reachable state of a small system: is this list of checks safe?"""
    from cowfast import explore as exploring
    from cowfast.errors import SpecError
    from cowfast.events import format_event
    from cowfast.files import replacing
    from cowfast.litmus import format_scenario
    from cowfast.policy import load_policy, policy_names

    names = list(policy_names()) if policy == "all" else policy.split(",")
    system = exploring.System(processes=processes, pages=pages, gets=gets, pins=pins, locks=locks)
    wanted = properties.split(",") if properties else list(exploring.DEFAULT)
    rows, stories, worst = [], [], None
    for loaded in [load_policy(name) for name in names]:
        for on in ("async", "sync") if device == "both" else (device,):
            found = exploring.explore(
                loaded, on, system, properties=wanted, max_states=max_states, max_bytes=memory << 20
            )
            rate = found.transitions / max(found.seconds, 1e-9)
            say(
                f"{loaded.name}, {on}: {found.states:,} states, {found.transitions:,} transitions, {rate:,.0f}/s", quiet
            )
            if found.stopped:
                say(f"{loaded.name}, {on}: not all states: {found.stopped}", quiet)
            for name in wanted:
                example = found.shortest(name)
                rows.append(
                    {
                        "policy": loaded.name,
                        "device": on,
                        "property": name,
                        "verdict": found.verdict(name),
                        "states": found.states,
                        "all states": found.complete,
                        "events": len(example.events) if example else 0,
                        "shortest": "; ".join(map(format_event, example.events)) if example else "",
                    }
                )
                if example:
                    stories.append(
                        (f"{loaded.name}, {on} device: {name} does not hold ({example.by})", found.story(example))
                    )
                    if worst is None or len(example.events) < len(worst[1].events):
                        worst = (found, example)
    if format == "json":
        print_json(
            {"system": system, "explorations": rows, "stories": [{"title": t, "lines": lines} for t, lines in stories]}
        )
    else:
        print_table(records_table(rows), format)
        if format == "table":
            for title, lines in stories:
                print("\n".join([f"{title}:", *lines, ""]))
    if output and worst:
        with replacing(output, SpecError) as file:
            file.write(format_scenario(worst[0].scenario(worst[1])).encode())
        say(f"{output}: written", quiet)
    elif output:
        say(f"{output}: not written, there is no counter-example", quiet)
    return 1 if any(row["verdict"] != "holds" for row in rows) else 0
