# SPDX-License-Identifier: MIT
"""What figures are made of: rows ``{"policy": ..., "seed": ..., "counters": {name: int}, ...}``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Row = Mapping[str, Any]


class Estimate(NamedTuple):
    """A mean over seeds and half the width of its 95 % confidence interval (0 for a single run)."""

    mean: float
    half: float


def counter(row: Row, name: str) -> int:
    """Return a counter of a row; one that an older results file does not have counts as 0."""
    return int(row["counters"].get(name, 0))


def by_policy(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return policy -> its rows, in the order in which policies first appear."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["policy"], []).append(row)
    if not groups:
        raise ValueError("no rows to plot")
    return groups


def mean(rows: Sequence[Row], name: str) -> float:
    """Return the mean of a counter over rows (one a seed)."""
    return sum(counter(row, name) for row in rows) / len(rows)


def estimate(rows: Sequence[Row], value: Callable[[Row], float]) -> Estimate:
    """Return the mean of ``value(row)`` with its 95 % interval (Student's t over the seeds)."""
    values = [value(row) for row in rows]
    centre = sum(values) / len(values)
    if len(values) < 2:
        return Estimate(centre, 0.0)
    from scipy.stats import t

    variance = sum((each - centre) ** 2 for each in values) / (len(values) - 1)
    return Estimate(centre, float(t.ppf(0.975, len(values) - 1)) * (variance / len(values)) ** 0.5)


def parameters(row: Row) -> dict[str, Any]:
    """Return what a row was made with, flat: ``{"machine.memory": 3000, "spec.source.parameters.zipf": 0.9, ...}``."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else str(key), inner)
        else:
            flat[prefix] = value

    walk(
        "",
        {key: value for key, value in row.items() if key not in ("counters", "samples", "policy", "seed", "seconds")},
    )
    return flat


def parameter(rows: Sequence[Row], name: str) -> Callable[[Row], Any]:
    """Return the function that reads the parameter ``name`` (or the end of its dotted name) from a row.

    Raises ``ResultsError`` naming the parameters that vary when there is none of that name in every row.
    """
    from cowfast.errors import ResultsError

    flats = [parameters(row) for row in rows]
    found = [key for key in flats[0] if key == name or key.endswith(f".{name}")]
    found = [key for key in found if all(key in flat for flat in flats)]
    varying = [key for key in found if len({repr(flat[key]) for flat in flats}) > 1]
    # The same value is often recorded in two places (the machine, and the spec that asked for it).
    candidates = varying or found
    if not candidates:
        differ = sorted({key for flat in flats for key in flat if len({repr(each.get(key)) for each in flats}) > 1})
        raise ResultsError(f"no parameter {name!r} in these results; what varies: {', '.join(differ) or 'nothing'}")
    chosen = candidates[0]
    return lambda row: parameters(row)[chosen]
