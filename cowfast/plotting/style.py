# SPDX-License-Identifier: MIT
"""Colours, hatches, sizes and number formats, once for every figure.

Colours are Okabe and Ito's; each filled area also has a hatch of its own, each line a marker of
its own, so that a figure printed in grey says the same. Hatches are lines: dots make an SVG of megabytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, INK = "#C8C8C8", "#333333"
EDGE = "#262626"  # of filled areas and their hatches; unlike ink it stays dark on dark pages


class Fill(NamedTuple):
    """How one kind of area looks: its name in the legend, colour and hatch."""

    label: str
    color: str
    hatch: str = ""


#: Suffix of ``needless_by_cause.*`` -> look; the order is the order of the stack.
CAUSES = {
    "swap_cache": Fill("swap cache", ORANGE, "////"),
    "lru_batch": Fill("LRU batch", SKY, r"\\\\"),
    "transient_get": Fill("transient get", GREEN, "xxxx"),
    "lock": Fill("lock", YELLOW, "||||"),
    "pre_check": Fill("pre-check", VERMILION, "++++"),
    "lost_exclusivity": Fill("lost exclusivity", PURPLE, "----"),
    "ksm": Fill("ksm", BLUE, "//--"),
}

#: Suffix of ``removals_by_cause.*`` -> look. Reclaim is what a swap cache is for: it is grey.
REMOVALS = {
    "reclaim": Fill("freed by reclaim", GREY),
    "write_fault": Fill("write fault", VERMILION, "////"),
    "swap_in": Fill("swap-in", SKY, r"\\\\"),
    "copy": Fill("after a copy", ORANGE, "xxxx"),
    "unmap": Fill("unmap", GREEN, "----"),
    "zap": Fill("last entry gone", YELLOW, "++++"),
    "merge": Fill("merge", BLUE, "||||"),
    "activate": Fill("swap full", PURPLE, "//--"),
    "writepage": Fill("slot not needed", "#8C8C8C", "||--"),
}

#: Name of a size -> (width in inches, height factor, font scale).
SIZES = {"paper": (3.5, 0.8, 0.9), "page": (7.2, 1.0, 1.0), "slide": (10.0, 1.2, 1.8)}

LINE_MARKERS = "osD^vPX*<>"
LINE_STYLES = ("-", "--", "-.", ":")


@contextmanager
def styled(size: str = "page") -> Iterator[None]:
    """Draw and save in the style of ``cowfast.mplstyle``; outside, matplotlib is as the caller has set it."""
    import matplotlib

    scale = SIZES[size][2]
    with resources.as_file(resources.files(__package__) / "cowfast.mplstyle") as path:
        style = matplotlib.rc_params_from_file(path, use_default_template=False)
    # Sizes in points follow the scale; everything else is as the style file says.
    for key in [key for key in style if key.endswith(("size", "linewidth", "titlepad")) and key != "figure.figsize"]:
        style[key] = style[key] * scale
    with matplotlib.rc_context(style):
        yield


def new_figure(rows: float = 5.0, size: str = "page") -> tuple[Figure, Axes]:
    """Return an empty figure: ``rows`` is how tall it wants to be, in lines of about 0.3 inch."""
    from matplotlib.figure import Figure

    width, stretch, _ = SIZES[size]
    figure = Figure(figsize=(width, stretch * (1.3 + 0.3 * rows)))
    return figure, figure.add_subplot()


def compact(value: float) -> str:
    """Return 950, 12.3k, 4.56M: three digits, as axis labels and bar ends want them."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def compact_axis(axis: object, signed: bool = False) -> None:
    """Let an axis count in k and M; ``signed=False`` shows the size of negative numbers."""
    from matplotlib.ticker import FuncFormatter

    formatter: FuncFormatter = FuncFormatter(lambda value, _: compact(value if signed else abs(value)))
    axis.set_major_formatter(formatter)  # type: ignore[attr-defined]


def policy_axis(ax: Axes, policies: list[str]) -> None:
    """One line a policy from the top down, on the y axis."""
    ax.set_yticks(range(len(policies)), policies)
    ax.set_ylim(len(policies) - 0.4, -0.6)
    ax.grid(axis="x")


def stack(ax: Axes, values: Sequence[float], left: Sequence[float], fill: Fill) -> list[float]:
    """Add one kind of area to horizontal bars (line ``i`` from ``left[i]``) and return where the bars end now.

    Empty pieces are not drawn, and a kind that is empty everywhere is not in the legend.
    """
    drawn = [(place, value, start) for place, (value, start) in enumerate(zip(values, left, strict=True)) if value]
    if drawn:
        places, widths, starts = zip(*drawn, strict=True)
        edge = EDGE if fill.hatch else fill.color
        ax.barh(places, widths, 0.66, starts, color=fill.color, hatch=fill.hatch, edgecolor=edge, label=fill.label)
    return [start + value for start, value in zip(left, values, strict=True)]


def letters(ax: Axes) -> float:
    """Return about how many letters of small text fit side by side over the width of the figure."""
    import matplotlib

    figure = ax.get_figure(root=True)
    assert figure is not None
    return float(figure.get_figwidth() * 72 / (matplotlib.rcParams["font.size"] * 0.5))


def room_for(ax: Axes, count: int) -> float:
    """Return by how much an axis must be longer than its bars for ``count`` letters to fit behind them."""
    wide = letters(ax) - 24  # policy names are left of the axis
    return wide / max(wide - count, 0.3 * wide)


def legend_below(ax: Axes) -> None:
    """Put the legend where it covers no data: under a figure of one Axes, inside one of several."""
    handles, labels = ax.get_legend_handles_labels()
    figure = ax.get_figure(root=True)
    if not handles or figure is None:
        return
    if len(figure.axes) == 1:
        columns = int(letters(ax) / (max(map(len, labels)) + 8)) or 1
        figure.legend(handles, labels, loc="outside lower left", ncols=min(columns, len(labels)))
    else:
        ax.legend(handles, labels, loc="best")
