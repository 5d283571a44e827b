# SPDX-License-Identifier: MIT
"""A run over its events: pages in use, swap cache, copies."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from cowfast.plotting.rows import Row
from cowfast.plotting.style import BLUE, ORANGE, SKY, compact_axis, legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def timeline(ax: Axes, rows: Sequence[Row], *, policy: str | None = None) -> None:
    """Draw one run, from its ``samples``: the counters as they stood after every so many events.

    Pages in use and pages in the swap cache are levels; copies are those since the sample before.
    """
    from cowfast.errors import ResultsError

    runs = [row for row in rows if row.get("samples") and policy in (None, row["policy"])]
    if not runs:
        raise ResultsError(
            "no run with samples in these results; write them with: cowfast run ... --sample every=N --format json"
        )
    samples = [{"events": 0}, *runs[0]["samples"]]
    events = [sample["events"] for sample in samples]
    in_use = [sample.get("pages_in_use", 0) for sample in samples]
    cached = [sample.get("swap_cache_pages", 0) for sample in samples]
    copies = [now.get("copies", 0) - before.get("copies", 0) for before, now in pairwise(samples)]
    step = events[1] - events[0]
    ax.plot(events, in_use, color=BLUE, label="pages in use")
    if any(cached):
        ax.plot(events, cached, "--", color=SKY, label="of these in the swap cache")
    ax.stairs(copies, events, fill=True, color=ORANGE, alpha=0.8, label=f"copies in {step:,} events")
    ax.set_xlim(0, events[-1])
    ax.set_ylim(bottom=0)
    ax.grid(axis="y")
    compact_axis(ax.xaxis)
    compact_axis(ax.yaxis)
    ax.set_xlabel("events")
    ax.set_ylabel(f"under {runs[0]['policy']} [pages]")
    legend_below(ax)
