# SPDX-License-Identifier: MIT
"""Swap-cache churn per policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cowfast.plotting.rows import Row, by_policy, mean
from cowfast.plotting.style import (
    BLACK,
    BLUE,
    INK,
    REMOVALS,
    VERMILION,
    Fill,
    compact_axis,
    legend_below,
    policy_axis,
    stack,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ADDED = Fill("added", "#9CC9E3")
ADDED_AGAIN = Fill("added again after a removal", BLUE, "////")


def swap_cache_churn(ax: Axes, rows: Sequence[Row]) -> None:
    """To the left what left the swap cache, by cause; to the right what entered it, and writes to the device.

    Re-additions are pages that a policy had taken out of the swap cache alive; avoidable writes wrote what the device
    had held already. Means over seeds.
    """
    groups = by_policy(rows)
    zero = [0.0] * len(groups)
    adds, readds, writes, avoidable = (
        [mean(group, name) for group in groups.values()]
        for name in ("swap_cache_adds", "swap_cache_readds", "swap_writes", "avoidable_writes")
    )
    first = stack(ax, [total - again for total, again in zip(adds, readds, strict=True)], zero, ADDED)
    stack(ax, readds, first, ADDED_AGAIN)
    left = zero
    for cause, fill in REMOVALS.items():
        values = [-mean(group, f"removals_by_cause.{cause}") for group in groups.values()]
        left = stack(ax, values, left, fill._replace(label=f"removed: {fill.label}"))
    places = range(len(groups))
    ax.plot(writes, places, "D", color=BLACK, mfc="white", label="device writes")
    worse = [(count, place) for count, place in zip(avoidable, places, strict=True) if count >= 1]
    if worse:
        ax.plot(*zip(*worse, strict=True), "X", color=VERMILION, ms=6, label="avoidable device writes")
    ax.axvline(0, color=INK, lw=0.8)
    policy_axis(ax, list(groups))
    compact_axis(ax.xaxis)
    ax.set_xlabel("\N{LEFTWARDS ARROW} left swap cache [pages]\N{EM SPACE}entered [pages] \N{RIGHTWARDS ARROW}")
    legend_below(ax)
