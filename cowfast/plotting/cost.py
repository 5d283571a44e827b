# SPDX-License-Identifier: MIT
"""What the counters cost in time, by a table that the reader may set."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cowfast.plotting.rows import Row, by_policy, mean
from cowfast.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    Fill,
    compact_axis,
    legend_below,
    policy_axis,
    stack,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOOKS = {
    "copies": Fill("copies", ORANGE, "////"),
    "reuses": Fill("reuses", SKY),
    "zero_fills": Fill("zero fills", GREY),
    "ptes_copied": Fill("fork", GREEN, "||||"),
    "ptes_zapped": Fill("exit and discard", YELLOW, r"\\\\"),
    "swap_reads": Fill("swap reads", BLUE, "xxxx"),
    "swap_writes": Fill("swap writes", VERMILION, "++++"),
    "drains": Fill("LRU drains", PURPLE, "----"),
}


class CostTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nanoseconds each counter costs, and the machine they were measured on."""

    machine: str
    ns: dict[str, float]


def cost_table(path: str | Path | None = None) -> CostTable:
    """Return the cost table of a TOML file, or the built-in one (``costs.toml`` beside this module).

    Raises ``ResultsError`` for a file that is not one, or that prices what is no counter of the list above.
    """
    from cowfast.errors import ResultsError

    source: Any = Path(path) if path else resources.files(__package__) / "costs.toml"
    try:
        table = msgspec.toml.decode(source.read_bytes(), type=CostTable)
    except (OSError, msgspec.DecodeError) as error:
        raise ResultsError(f"{path}: not a cost table ({error}); start from a copy of the built-in one") from error
    unknown = set(table.ns) - set(LOOKS)
    if unknown:
        raise ResultsError(f"{path}: ns.{min(unknown)} has no price; what has one: {', '.join(LOOKS)}")
    return table


def cost_in_time(ax: Axes, rows: Sequence[Row], *, costs: str | None = None) -> None:
    """One bar a policy: mean time over seeds, by what it went to, from a table of costs (``costs``: a TOML file)."""
    table = cost_table(costs)
    groups = by_policy(rows)
    left = [0.0] * len(groups)
    for name, fill in LOOKS.items():
        price = table.ns.get(name, 0) / 1e9
        left = stack(ax, [price * mean(group, name) for group in groups.values()], left, fill)
    policy_axis(ax, list(groups))
    compact_axis(ax.xaxis)
    ax.set_xlabel(f"time [s] at the prices of: {table.machine}", loc="left", fontsize="small")
    legend_below(ax)
