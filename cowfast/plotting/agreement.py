# SPDX-License-Identifier: MIT
"""How often cowfast said what the kernel did."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cowfast.plotting.rows import Row
from cowfast.plotting.style import BLUE, GREY, VERMILION, Fill, legend_below, policy_axis, stack

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RIGHT = Fill("as the kernel", BLUE)
WRONG = Fill("otherwise", VERMILION, "////")
UNDECIDED = Fill("ambiguous in the trace: not counted", GREY, "----")


def agreement(ax: Axes, files: Sequence[Row]) -> None:
    """One bar a file of ``cowfast verify``: its events or faults, by whether policy and kernel agreed."""
    names = [f"{Path(file['file']).name.split('.jsonl')[0].split('.txt')[0]}  ({file['policy']})" for file in files]
    right, wrong, undecided = zip(*(_shares(file) for file in files), strict=True)
    left = stack(ax, right, [0.0] * len(files), RIGHT)
    left = stack(ax, wrong, left, WRONG)
    stack(ax, undecided, left, UNDECIDED)
    for place, file in enumerate(files):
        ax.annotate(_in_words(file), (101, place), va="center", fontsize="small", annotation_clip=False)
    policy_axis(ax, names)
    ax.set_xlim(0, 145)
    ax.spines.bottom.set_bounds(0, 100)
    ax.set_xticks(range(0, 101, 25))
    ax.set_xlabel("events of a kernel record, or write-protection faults of a trace [%]", loc="left")
    legend_below(ax)


def _shares(file: Row) -> tuple[float, float, float]:
    if "events" in file:
        total, right, undecided = file["events"], file["events_right"], 0
    else:
        total, right, undecided = file["faults"], file["agree"], file["ambiguous"]
    per = 100 / (total or 1)
    return right * per, (total - right - undecided) * per, undecided * per


def _in_words(file: Row) -> str:
    if "events" in file:
        return f"{file['events_right']:,} of {file['events']:,}"
    decided = file["faults"] - file["ambiguous"]
    share = 100 * file["agree"] / (decided or 1)
    return f"{file['agree']:,} of {decided:,} ({share:.2f} %)"
