# SPDX-License-Identifier: MIT
"""Progress on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

#: ``report(what, done, total)`` in events (or the unit given); ``total`` None where it is not known.
Report = Callable[[str, int, int | None], None]

#: Seconds before the first plain line and between two.
_FIRST, _BETWEEN = 2.0, 5.0


@contextmanager
def progress(quiet: bool = False, unit: str = "events") -> Iterator[Report]:
    """Yield the function that reports progress; *unit* says what is counted."""
    if quiet:
        yield lambda _what, _done, _total: None
    elif sys.stderr.isatty():
        with _bar(unit) as report:
            yield report
    else:
        yield _Lines(unit)


def say(message: str, quiet: bool = False) -> None:
    """Print one line for the user beside the results."""
    if not quiet:
        click.echo(f"cowfast: {message}", err=True)


class _Lines:
    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._start = time.monotonic()
        self._next = self._start + _FIRST

    def __call__(self, what: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _BETWEEN
        rate = done / (now - self._start)
        share = left = ""
        if total and rate:
            share, left = f" of {total:,} ({done / total:.0%})", f", {duration((total - done) / rate)} left"
        speed = f"{rate / 1e6:,.1f} M/s" if rate >= 1e6 else f"{rate:,.0f}/s"
        say(f"{what}: {done:,}{share} {self._unit}, {speed}{left}")


@contextmanager
def _bar(unit: str) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text(f"{task.speed:,.0f} {unit}/s" if task.speed else "")

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(*columns, Rate(), TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def duration(seconds: float) -> str:
    """Return 40 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
