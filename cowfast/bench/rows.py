# SPDX-License-Identifier: MIT
"""What a row is, and what makes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import msgspec

from cowfast.errors import CowfastError


class Row(msgspec.Struct, frozen=True):
    """One figure beside its yardstick.

    ``ratio`` is ``cowfast / yardstick`` where ``unit`` is a rate and ``yardstick / cowfast`` where it is a cost
    (ns, bytes): more is better.  ``goal`` is the least ratio that will do.
    """

    name: str
    unit: str
    cowfast: float
    yardstick: float
    ratio: float
    goal: float


class NotMeasured(CowfastError):
    """Why a row cannot be measured here."""


@dataclass(frozen=True)
class Setting:
    """What a measurement needs to know: the folder of yardstick sources (None: the project's own), where compiled ones
    go, the compiler, how many rounds at least, whether to be quick."""

    sources: Path | None
    built: Path
    compiler: str
    rounds: int
    quick: bool


@dataclass(frozen=True)
class Figure:
    """What was measured for a row: the two figures, and how to read them."""

    cowfast: float
    yardstick: float
    note: str = ""


@dataclass(frozen=True)
class Promise:
    """A row before it is measured; ``cost`` if less of its unit is better.

    ``own_goal`` is for the project's own yardstick, where that does less work than the one in C.
    """

    name: str
    unit: str
    goal: float
    cost: bool = False
    own_goal: float | None = None

    def row(self, figure: Figure, own: bool) -> Row:
        """Return the row of what was measured, against the project's ``own`` yardstick or another."""
        ratio = figure.yardstick / figure.cowfast if self.cost else figure.cowfast / figure.yardstick
        goal = self.goal if not own or self.own_goal is None else self.own_goal
        return Row(self.name, self.unit, figure.cowfast, figure.yardstick, ratio, goal)


Figures: TypeAlias = dict[str, Figure]


@dataclass(frozen=True)
class Measurement:
    """Rows that are measured together.

    ``run`` gets a :class:`Setting` in a process of its own that is pinned to one CPU (not if it ``spreads``); it returns
    a figure for each row, or raises NotMeasured.  ``needs`` names the yardstick sources without which it
    cannot be, ``own`` says whether it can do without them; ``long`` ones are left out of a quick run.
    """

    promises: Sequence[Promise]
    run: Callable[[Setting], Figures]
    what: str
    needs: tuple[str, ...] = ()
    own: bool = False
    spreads: bool = False
    long: bool = False
