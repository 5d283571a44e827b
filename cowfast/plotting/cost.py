# SPDX-License-Identifier: MIT
"""What the counters cost in time, by a table that the reader may set."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import msgspec

from cowfast.plotting.rows import Row, by_policy, mean
from cowfast.plotting.style import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    YELLOW,
    Fill,
    compact_axis,
    legend_below,
    letters,
    policy_axis,
    stack,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOOKS = {
    "copies": Fill("copy", ORANGE, "////"),
    "reuses": Fill("reuse", BLUE, "xxxx"),
    "zero_fills": Fill("zero fill", "#8C8C8C", "++++"),
    "ptes_copied": Fill("fork, a pte", GREEN, "||||"),
    "ptes_zapped": Fill("exit, a pte", YELLOW, r"\\\\"),
    "swap_reads": Fill("swap read", SKY, r"\\"),
    "swap_writes": Fill("swap write", "#F2C3A0", "//"),
    "drains": Fill("LRU drain", PURPLE, "---"),
}


class CostTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nanoseconds each counter costs, the machine they were measured on, and which of them were not measured but assumed."""

    machine: str
    ns: dict[str, float]
    assumed: tuple[str, ...] = ()


def cost_table(path: str | Path | None = None) -> CostTable:
    """Return the cost table of a TOML file, or the built-in one (``costs.toml`` beside this module).

    Raises ``ResultsError`` for a file that is not one, or that prices what is no counter of the list above.
    """
    from cowfast.errors import ResultsError
    from cowfast.files import read_toml

    with resources.as_file(resources.files(__package__) / "costs.toml") as built_in:
        values = read_toml(path or built_in, 1 << 16, ResultsError)
    try:
        table = msgspec.convert(values, CostTable)
    except msgspec.ValidationError as error:
        raise ResultsError(f"{path}: not a cost table ({error}); start from a copy of the built-in one") from error
    unknown = (set(table.ns) | set(table.assumed)) - set(LOOKS)
    if unknown:
        raise ResultsError(f"{path}: ns.{min(unknown)} has no price; what has one: {', '.join(LOOKS)}")
    return table


def cost_in_time(ax: Axes, rows: Sequence[Row], *, costs: str | None = None) -> None:
    """One bar a policy: mean time over seeds, by what it went to, from a table of costs (``costs``: a TOML file).

    Measured prices are filled areas; assumed ones are hatched and say so in the legend, with every price.
    """
    table = cost_table(costs)
    groups = by_policy(rows)
    left = [0.0] * len(groups)
    for name, usual in LOOKS.items():
        price = table.ns.get(name, 0)
        word = ", assumed" if name in table.assumed else ""
        look = Fill(f"{usual.label} [{duration(price)}{word}]", usual.color, usual.hatch if word else "")
        left = stack(ax, [price / 1e9 * mean(group, name) for group in groups.values()], left, look)
    policy_axis(ax, list(groups))
    compact_axis(ax.xaxis)
    said = f"time [s]; prices measured on: {table.machine}"
    ax.set_xlabel(fill(said, max(24, int(letters(ax)) - 24)), loc="left", fontsize="small")
    legend_below(ax)


def duration(ns: float) -> str:
    """Return a price as people write it: 72 ns, 2.36 µs, 100 µs."""
    return f"{ns:.3g} ns" if ns < 1000 else f"{ns / 1000:.3g} µs" if ns < 1e6 else f"{ns / 1e6:.3g} ms"
