# SPDX-License-Identifier: MIT
"""One line a kernel: what each generation of the policy did to the same events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cowfast.plotting.rows import Row, by_policy, mean
from cowfast.plotting.style import BLUE, GREEN, INK, ORANGE, PURPLE, SKY, VERMILION, compact, letters

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Counter -> (heading, colour): the columns, each with a scale of its own; where there is no room for all, the last ones go.
COLUMNS = {
    "copies": ("copies\n[pages]", BLUE),
    "needless_copies": ("needless copies\n[pages]", ORANGE),
    "missed_copies": ("missed copies\n[leaks]", VERMILION),
    "broken_pins": ("broken pins\n[pages]", VERMILION),
    "drains": ("LRU drains\n[drains]", PURPLE),
    "swap_writes": ("device writes\n[pages]", BLUE),
    "swap_cache_removals": ("left swap cache\n[pages]", SKY),
    "swap_cache_readds": ("added again\n[pages]", GREEN),
}
#: Length of the longest bar; its number stands behind it.
BAR = 0.54


def policy_history(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw a table of bars: kernels from old to new, one column a counter, the longest bar its largest value.

    Means over seeds. Policies that are no kernel (proposals, bounds) are left out, unless there is nothing else.
    """
    groups = by_policy(rows)
    kernels = sorted((name for name in groups if name.startswith("linux-")), key=version) or list(groups)
    columns = list(COLUMNS.items())[: max(3, int(letters(ax) - 12) // 13)]
    for column, (name, (heading, color)) in enumerate(columns):
        values = [mean(groups[kernel], name) for kernel in kernels]
        longest = max(values) or 1.0
        places = range(len(kernels))
        ax.barh(places, [BAR * value / longest for value in values], 0.62, left=column, color=color)
        ax.axvline(column, color=INK, lw=0.6)
        for place, value in enumerate(values):
            ax.annotate(
                compact(value),
                (column + BAR * value / longest, place),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize="small",
            )
        ax.annotate(
            heading,
            (column, -0.5),
            (0, 3),
            textcoords="offset points",
            va="bottom",
            fontsize="small",
            annotation_clip=False,
        )
    ax.set_yticks(range(len(kernels)), kernels)
    ax.set_ylim(len(kernels) - 0.4, -0.5)
    ax.set_xlim(-0.02, len(columns))
    ax.set_xticks([])
    ax.spines[:].set_visible(False)


def version(policy: str) -> tuple[int, ...]:
    """Return the sort key of a kernel's name: ``linux-5.10`` is (5, 10)."""
    return tuple(int(part) for part in policy.removeprefix("linux-").split(".") if part.isdigit())
