# SPDX-License-Identifier: MIT
"""Copies by cause per policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cowfast.plotting.rows import Row, by_policy, counter, mean, spread
from cowfast.plotting.style import (
    CAUSES,
    GREY,
    INK,
    VERMILION,
    Fill,
    compact,
    compact_axis,
    legend_below,
    policy_axis,
    room_for,
    stack,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEEDED = Fill("needed: somebody else sees the page", GREY)


def copies_by_cause(ax: Axes, rows: Sequence[Row]) -> None:
    """One bar a policy: first the copies nobody needed, by their cause, then in grey those somebody did.

    The number at the end is all copies (mean over seeds; the whisker is its 95 % interval) and the needless share.
    A policy that let somebody see another's writes is marked: it copied too little.
    """
    groups = by_policy(rows)
    left = [0.0] * len(groups)
    for cause, fill in CAUSES.items():
        values = [mean(group, f"needless_by_cause.{cause}") for group in groups.values()]
        left = stack(ax, values, left, fill._replace(label=f"needless: {fill.label}"))
    needed = [mean(group, "copies") - mean(group, "needless_copies") for group in groups.values()]
    left = stack(ax, needed, left, NEEDED)
    for place, group in enumerate(groups.values()):
        copies = spread(group, lambda row: counter(row, "copies"))
        if copies.half:
            ax.errorbar(copies.mean, place, xerr=copies.half, color=INK, capsize=2, lw=0.8)
        _mark(ax, place, copies.mean + copies.half, group)
    policy_axis(ax, list(groups))
    unsafe = any(mean(group, "missed_copies") for group in groups.values())
    ax.set_xlim(0, (max(left) or 1) * room_for(ax, 30 if unsafe else 16))
    compact_axis(ax.xaxis)
    ax.set_xlabel("copies [pages] (share needless)", loc="left")
    legend_below(ax)


def _mark(ax: Axes, place: int, end: float, group: Sequence[Row]) -> None:
    copies, needless, missed = (mean(group, name) for name in ("copies", "needless_copies", "missed_copies"))
    share = "0" if not needless else "<0.1%" if needless < 0.001 * copies else f"{needless / copies:.1%}"
    beside: dict[str, Any] = {"va": "center", "fontsize": "small"}
    text = ax.annotate(f"{copies:,.0f} ({share})", (end, place), (4, 0), textcoords="offset points", **beside)
    if missed:
        warning = f"\N{EN SPACE}{compact(missed)} leak{'s' * (missed != 1)}!"
        ax.annotate(warning, (1, 0.5), xycoords=text, color=VERMILION, fontweight="bold", **beside)
