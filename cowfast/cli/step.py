# SPDX-License-Identifier: MIT
"""``cowfast step FILE --policy A,B``: a scenario told event by event."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from cowfast.cli.options import format_option
from cowfast.cli.output import print_json

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from cowfast.story import Story

EPILOG = """\b
Examples
  cowfast step tests/litmus/swap-read-write.litmus --policy linux-5.16
  cowfast step vmsplice-swap-leak.litmus --policy linux-5.10,linux-6.1
  cowfast explore --policy my.toml -o hole.litmus; cowfast step hole.litmus --policy my.toml
  cowfast step my.litmus --policy linux-7.2 --on zram --format json

A store is called by the number of the line that made it (#3); what an event did not change is not said again.
With two policies, lines after which they differ are marked: ~ in refs, maps, flags or counts, # in what happened or
what somebody sees.
"""


@click.command(epilog=EPILOG)
@click.argument("file", metavar="FILE")
@click.option("-p", "--policy", required=True, help="A policy, or two separated by a comma: names or .toml files.")
@click.option("--on", "machine", default=None, metavar="MACHINE",
              help="disk, disk-readahead, zram or zram-no-readahead.  [default: the first that FILE has expectations for, "
              "else disk]")  # fmt: skip
@format_option(rows=False)
def step(file: str, policy: str, machine: str | None, format: str) -> None:
    """Tell a scenario file event by event.

    After each event: refs, maps, flags and swap counts of the pages, who sees which store, and the check that decided,
    with the references that made it true.
    """
    from cowfast.litmus import load_scenario
    from cowfast.policy import load_policy
    from cowfast.story import first_difference
    from cowfast.story import step as tell

    names = [name.strip() for name in policy.split(",")]
    if not 1 <= len(names) <= 2:
        raise click.UsageError(f"{len(names)} policies; write one, or two to see them side by side")
    scenario = load_scenario(file)
    stories = [tell(scenario, load_policy(name), machine) for name in names]
    tables, noticed = first_difference(stories[0], stories[-1])
    if format == "json":
        document: dict[str, Any] = {"scenario": scenario.name, "about": scenario.about, "stories": stories}
        if len(stories) == 2:
            document["first_difference"] = {"tables": tables, "noticed": noticed}
        print_json(document)
        return
    _print(_drawn(scenario.about, stories, tables, noticed))


_COLOURS = {"check": "bold", "action": "", "page": "dim", "sees": "cyan"}
_WRONG = ("LEAK", "LOST", "APART")
_INDENT = 5


def _print(parts: Iterator[RenderableType]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))


def _drawn(about: str, stories: Sequence[Story], tables: int | None, noticed: int | None) -> Iterator[RenderableType]:
    """The title, a head line and a block for each event, and of two policies where they part."""
    from rich.text import Text

    first = stories[0]
    yield Text(f"{first.scenario}: {about}" if about else first.scenario, "bold")
    yield Text(f"{first.policy} on {first.machine}\n" if len(stories) == 1 else f"on {first.machine}\n")
    if len(stories) > 1:
        yield _beside([Text(story.policy, "bold") for story in stories])
    for number in range(1, len(first.steps) + 1):
        now = [story.steps[number - 1] for story in stories]
        differs = now[0].outcome != now[-1].outcome or now[0].sees != now[-1].sees
        apart = (now[0].pages, now[0].slots) != (now[-1].pages, now[-1].slots)
        mark = "#" if differs else "~" if apart else " "
        here = "   <-- first difference" if number == (noticed or tables) and len(stories) > 1 else ""
        yield Text(f"{mark}{number:>3}  {'!' * now[0].marked}{now[0].event}{here}", "bold yellow" if here else "bold")
        yield _beside([_Cell(story, number) for story in stories])
    if len(stories) > 1:
        yield Text("\n" + _where(stories, tables, noticed))


def _beside(cells: Sequence[RenderableType]) -> RenderableType:
    """Cells of equal width beside each other, a line between them."""
    from rich import box
    from rich.padding import Padding
    from rich.table import Table

    table = Table(box=box.MINIMAL, show_header=False, show_edge=False, expand=True, pad_edge=False)
    for _ in cells:
        table.add_column(ratio=1)
    table.add_row(*cells)
    return Padding(table, (0, 0, 0, _INDENT))


class _Cell:
    """What one policy does in one event; wraps to its column with a hanging indent."""

    def __init__(self, story: Story, number: int) -> None:
        self.story, self.number = story, number

    def __rich_console__(self, console: object, options: object) -> Iterator[Text]:

        from cowfast.story.lines import lines

        width: int = options.max_width  # type: ignore[attr-defined]
        step = self.story.steps[self.number - 1]
        right = step.expected is None or step.expected == step.outcome
        text = step.outcome if right else f"{step.outcome} (the file expects {step.expected})"
        wrong = not right or any(word in text for word in _WRONG)
        yield from _wrapped(
            text if len(text) <= width else text.replace("+", " + "), width, "bold red" if wrong else "green"
        )
        for line in lines(self.story, self.number):
            wrong = any(word in line.text for word in _WRONG)
            yield from _wrapped(line.text, width, "bold red" if wrong else _COLOURS[line.kind])


def _wrapped(text: str, width: int, style: str) -> Iterator[Text]:
    from rich.text import Text

    for part in wrap(text, max(width, 20), subsequent_indent="    ", break_on_hyphens=False):
        yield Text(part, style)


def _where(stories: Sequence[Story], tables: int | None, noticed: int | None) -> str:
    names = " and ".join(story.policy for story in stories)
    if tables is None and noticed is None:
        return f"{names} do the same throughout."
    parts = [f"the tables from event {tables}" if tables else "", f"what happens or is seen from event {noticed}" if noticed else ""]  # fmt: skip
    return f"{names} differ: " + ", ".join(filter(None, parts)) + "."
