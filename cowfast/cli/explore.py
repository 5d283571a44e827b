# SPDX-License-Identifier: MIT
"""``cowfast explore``: is a policy safe?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cowfast.cli.options import format_option, quiet_options
from cowfast.cli.output import print_json, print_table, records_table
from cowfast.cli.progress import progress, say

if TYPE_CHECKING:
    from cowfast.explore import Exploration, Finding

EPILOG = """\b
Examples
  cowfast explore --policy linux-6.1
  cowfast explore --policy my.toml -o hole.litmus
  cowfast explore --policy linux-5.7 --pins 0 --properties no-leak --device sync
  cowfast explore --policy linux-6.12 --device sync --without prefetch
  cowfast explore --policy all --format json

\b
Properties
  no-leak             nobody sees a store that another process made after they separated, by a load, a get or a pin
  pins-coherent       a read-write or long-term read-only pin sees what its owner sees, until the owner unmaps
  no-lost-write       every process reads its own last store, whether a store of its own or one through its pin
  zero-pins-coherent  pins-coherent for a long-term read-only pin of memory that was never written (not asked by default)

The search ends when all states are reached, or when every property has its shortest counter-example.  Each
counter-example is told event by event: who sees which store (#3 is the one that line 3 made).  With -o the shortest
is written as a litmus file, which `cowfast step` and `cowfast litmus` read.

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
@click.option("--without", default=None, metavar="EVENTS",
              help="Events that never happen, separated by commas: prefetch, protect, merge, ...")  # fmt: skip
@click.option("--max-states", type=click.IntRange(1), default=20_000_000, show_default=True,
              help="Give up after this many states.")  # fmt: skip
@click.option("--memory", type=click.IntRange(1), default=2048, show_default=True, metavar="MIB",
              help="Give up when the states take more.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), default=None, metavar="FILE",
              help="Write the shortest counter-example as a litmus file.")  # fmt: skip
@format_option()
@quiet_options
def explore(policy: str, processes: int, pages: int, gets: int, pins: int, locks: int, device: str, properties: str | None,
            without: str | None, max_states: int, memory: int, output: Path | None, format: str, quiet: bool, verbose: bool) -> int:  # fmt: skip
    """Look at every reachable state of a small system: is this list of checks safe?"""
    from cowfast import explore as exploring
    from cowfast.errors import SpecError
    from cowfast.files import replacing
    from cowfast.litmus import format_scenario
    from cowfast.policy import load_policy, policy_names

    names = list(policy_names()) if policy == "all" else list(dict.fromkeys(policy.split(",")))
    system = exploring.System(
        processes=processes, pages=pages, gets=gets, pins=pins, locks=locks, without=_names(without)
    )
    wanted = _names(properties) or list(exploring.DEFAULT)
    results: list[Exploration] = []
    given: dict[int, str] = {}  # what the user called the policy of a result
    for name, loaded in [(name, load_policy(name)) for name in names]:
        for on in exploring.DEVICES if device == "both" else (device,):
            with _progress(f"{loaded.name}, {on}", quiet) as report:
                found = exploring.explore(
                    loaded,
                    on,
                    system,
                    properties=wanted,
                    max_states=max_states,
                    max_bytes=memory << 20,
                    progress=report,
                )
            _summary(found, quiet)
            given[id(found)] = name
            results.append(found)
    examples = [(found, way) for found in results for name in wanted for way in found.ways(name)]
    stories = _stories(examples)
    if format == "json":
        policies = [_verdicts([found for found in results if given[id(found)] == name], wanted) for name in names]
        print_json(
            (policies[0] if len(policies) == 1 else {})
            | {
                "policies": policies,
                "system": system,
                "explorations": [_row(found, name) for found in results for name in wanted],
                "stories": [{"title": t, "lines": lines} for t, lines in stories],
            }
        )
    elif format == "csv":
        print_table(records_table([_row(found, name) for found in results for name in wanted]), "csv")
    else:
        print_table(records_table([_short(found, name) for found in results for name in wanted]))
        for title, lines in stories:
            print("\n".join([f"{title}:", *lines, ""]))
    if output and examples:
        found, worst = min(examples, key=lambda each: len(each[1].events))
        with replacing(output, SpecError) as file:
            file.write(format_scenario(found.scenario(worst)).encode())
        on = exploring.DEVICES[found.device]
        say(f"{output}: written; the story: cowfast step {output} --policy {given[id(found)]} --on {on}", quiet)
    elif output:
        say(f"{output}: not written, there is no counter-example", quiet)
    elif examples and format == "table":
        say("with -o FILE the shortest becomes a litmus file; cowfast step tells it with refs, flags and checks", quiet)
    return 1 if any(found.verdict(name) != "holds" for found in results for name in wanted) else 0


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in (text or "").split(","))))


@contextmanager
def _progress(title: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """How many states there are is known at the end."""
    with progress(quiet, "states") as report:
        yield lambda states, _expanded: report(title, states, None)


def _summary(found: Exploration, quiet: bool) -> None:
    title = f"{found.policy.name}, {found.device}"
    rate = found.transitions / max(found.seconds, 1e-9)
    say(
        f"{title}: {found.states:,} states, {found.transitions:,} transitions, {found.seconds:.1f} s, {rate:,.0f}/s",
        quiet,
    )
    if found.stopped:
        say(f"{title}: not all states: {found.stopped}", quiet)


def _verdicts(results: list[Exploration], wanted: Sequence[str]) -> dict[str, Any]:
    """One policy on all its devices: a property holds if it does on each of them in every state."""
    from cowfast.events import format_event

    properties = {}
    for name in wanted:
        examples = [way.events for found in results if (way := found.shortest(name))]
        verdicts = {found.verdict(name) for found in results}
        properties[name] = {
            "holds": verdicts == {"holds"},  # not where a bound was hit: then nobody knows
            "verdicts": sorted(verdicts),
            "events": [format_event(event) for event in min(examples, key=len, default=[])],
        }
    return {
        "policy": results[0].policy.name,
        "states": sum(found.states for found in results),
        "properties": properties,
    }


def _row(found: Exploration, name: str) -> dict[str, Any]:
    """What was found, for programs."""
    from cowfast.events import format_event

    example = found.shortest(name)
    return {
        "policy": found.policy.name,
        "device": found.device,
        "property": name,
        "verdict": found.verdict(name),
        "states": found.states,
        "all states": found.complete,
        "seconds": round(found.seconds, 3),
        "events": len(example.events) if example else 0,
        "shortest": "; ".join(map(format_event, example.events)) if example else "",
        "by": example.by if example else "",
    }


def _short(found: Exploration, name: str) -> dict[str, Any]:
    """What was found, for a reader: the sequences follow as stories."""
    return {
        "policy": found.policy.name,
        "device": found.device,
        "property": name,
        "verdict": found.verdict(name),
        "seen after events": ", ".join(f"{len(way.events)} ({way.by})" for way in found.ways(name)),
        "states": found.states,
        "all states": found.complete,
    }


def _stories(examples: list[tuple[Exploration, Finding]]) -> list[tuple[str, list[str]]]:
    """Each counter-example with a title; one that is the same on both devices is told once."""
    told: dict[tuple[str, str, str, tuple[str, ...]], list[str]] = {}
    for found, way in examples:
        told.setdefault((found.policy.name, way.property, way.by, tuple(found.story(way))), []).append(found.device)
    return [
        (
            f"{policy}, {' and '.join(devices)} device{'s' * (len(devices) > 1)}: {name} does not hold ({by})",
            list(lines),
        )
        for (policy, name, by, lines), devices in told.items()
    ]
