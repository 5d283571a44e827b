# SPDX-License-Identifier: MIT
"""One measure against one parameter: a line a policy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cowfast.plotting.measures import axis_label, measure
from cowfast.plotting.rows import Row, by_policy, parameter, spread, varying
from cowfast.plotting.style import LINE_MARKERS, LINE_STYLES, compact_axis, legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def against_parameter(ax: Axes, rows: Sequence[Row], *, x: str, y: str = "needless_share", log: bool = False) -> None:
    """Draw measure ``y`` over parameter ``x``: means over seeds, with their 95 % intervals as bands.

    Lines of policies that agree everywhere lie on each other; the legend then names them together.
    """
    of, at = measure(y), parameter(rows, x)
    lines: dict[tuple[tuple[float, float, float], ...], list[str]] = defaultdict(list)
    for policy, group in by_policy(rows).items():
        points: dict[float, list[Row]] = defaultdict(list)
        for row in group:
            points[at(row)].append(row)
        lines[tuple((place, *spread(points[place], of.value)) for place in sorted(points))].append(policy)
    for number, (line, policies) in enumerate(lines.items()):
        places, means, halves = zip(*line, strict=True)
        drawn = ax.plot(
            places,
            means,
            LINE_STYLES[number // 8 % 4],
            marker=LINE_MARKERS[number % len(LINE_MARKERS)],
            label=", ".join(policies),
            clip_on=False,
        )
        if any(halves):
            low = [centre - half for centre, half in zip(means, halves, strict=True)]
            high = [centre + half for centre, half in zip(means, halves, strict=True)]
            ax.fill_between(places, low, high, color=drawn[0].get_color(), alpha=0.2, lw=0)
    if log:
        ax.set_xscale("log", base=2)
        ax.minorticks_off()
    ticks = sorted({at(row) for row in rows})
    if len(ticks) <= 8:
        ax.set_xticks(ticks)
    compact_axis(ax.xaxis)
    compact_axis(ax.yaxis)
    ax.set_ylim(bottom=0)
    ax.grid(axis="y")
    ax.set_xlabel(axis_label(x))
    ax.set_ylabel(of.label)
    legend_below(ax)


#: What workloads call the number of processes that share the pages.
FANOUT = ("children", "workers", "processes", "clones", "apps")


def fork_fanout(ax: Axes, rows: Sequence[Row], *, x: str | None = None) -> None:
    """Copies a fork costs, over the number of children that share the pages (``x``; found by itself if it has a usual name)."""
    names = [name.rpartition(".")[2] for name in varying(rows) if not name.startswith("machine.")]
    found = next((name for name in FANOUT if name in names), "children")
    against_parameter(ax, rows, x=x or found, y="copies_per_fork")
