# SPDX-License-Identifier: MIT
"""A sweep over two parameters as a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cowfast.plotting.measures import axis_label, measure
from cowfast.plotting.rows import Row, by_policy, parameter
from cowfast.plotting.style import compact

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def sweep_map(
    ax: Axes, rows: Sequence[Row], *, x: str, y: str, value: str = "needless_share", policy: str | None = None
) -> None:
    """Draw the mean of measure ``value`` for each pair of parameters ``x`` and ``y``, of one policy.

    Darker is less; each field says its number. Pairs that were not run stay empty.
    """
    from cowfast.errors import ResultsError

    groups = by_policy(rows)
    if policy is None and len(groups) > 1:
        raise ResultsError(f"a map shows one policy; say which: policy={'|'.join(groups)}")
    chosen = policy or next(iter(groups))
    if chosen not in groups:
        raise ResultsError(f"no rows of policy {chosen!r}; there are {', '.join(groups)}")
    of, at_x, at_y = measure(value), parameter(rows, x), parameter(rows, y)
    fields: dict[tuple[float, float], list[float]] = {}
    for row in groups[chosen]:
        fields.setdefault((at_x(row), at_y(row)), []).append(of.value(row))
    columns, lines = (sorted({place[axis] for place in fields}) for axis in (0, 1))
    means = {place: sum(values) / len(values) for place, values in fields.items()}
    grid = [[means.get((column, line), float("nan")) for column in columns] for line in lines]
    mesh = ax.imshow(grid, origin="lower", aspect="auto", cmap="cividis")
    low, high = min(means.values()), max(means.values())
    for (column, line), number in means.items():
        dark = number < low + 0.55 * (high - low)
        place = (columns.index(column), lines.index(line))
        ax.annotate(compact(number), place, ha="center", va="center", color="white" if dark else "black")
    ax.set_xticks(range(len(columns)), [_tick(each) for each in columns])
    ax.set_yticks(range(len(lines)), [_tick(each) for each in lines])
    ax.spines[:].set_visible(False)
    ax.set_xlabel(axis_label(x))
    ax.set_ylabel(axis_label(y))
    figure = ax.get_figure()
    if figure is not None:
        figure.colorbar(mesh, ax=ax, label=f"{chosen}: {of.label}", pad=0.02).outline.set_visible(False)


def _tick(value: object) -> str:
    return compact(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
