# SPDX-License-Identifier: MIT
"""What figures are made of: rows ``{"policy": ..., "seed": ..., "counters": {name: int}, "spec": {...}}``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Row = Mapping[str, Any]


class Spread(NamedTuple):
    """A mean over seeds and half the width of its 95 % confidence interval (0 for a single run)."""

    mean: float
    half: float


def counter(row: Row, name: str) -> int:
    """Return a counter of a row; one that an older results file does not have counts as 0."""
    return int(row["counters"].get(name, 0))


def by_policy(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return policy -> its rows: built-in ones in their order (history first), then others as they appear.

    The order must not depend on which run of a sweep finished first.
    """
    from cowfast.policy import policy_names

    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["policy"], []).append(row)
    if not groups:
        raise ValueError("no rows to plot")
    known = {name: groups[name] for name in policy_names() if name in groups}
    return known | groups


def seeds(rows: Iterable[Row]) -> int:
    """Return the number of seeds that rows were made with."""
    return len({row.get("seed") for row in rows})


def mean(rows: Sequence[Row], name: str) -> float:
    """Return the mean of a counter over rows (one a seed)."""
    return sum(counter(row, name) for row in rows) / len(rows)


def spread(rows: Sequence[Row], value: Callable[[Row], float]) -> Spread:
    """Return the mean of ``value(row)`` with its 95 % interval over the seeds."""
    from cowfast.compare.statistics import half_interval

    values = [value(row) for row in rows]
    half = half_interval(values)
    return Spread(math.fsum(values) / len(values), 0.0 if math.isnan(half) else half)


def parameters(row: Row) -> dict[str, Any]:
    """Return what a row was run on, flat: ``{"machine.memory": 3000, "source.parameters.zipf": 0.9, ...}``."""
    from cowfast.compare.statistics import flatten

    spec = row.get("spec", {})
    return flatten({"source": spec.get("source") or row.get("source"), "machine": spec.get("machine")})


def varying(rows: Sequence[Row]) -> list[str]:
    """Return the parameters that are not the same in all rows."""
    flats = [parameters(row) for row in rows]
    return [
        key
        for key in dict.fromkeys(key for flat in flats for key in flat)
        if len({repr(f.get(key)) for f in flats}) > 1
    ]


def parameter(rows: Sequence[Row], name: str) -> Callable[[Row], Any]:
    """Return the function that reads the parameter ``name`` (or the end of its dotted name) from a row.

    Raises ``ResultsError`` naming the parameters that vary when there is none of that name in every row.
    """
    from cowfast.errors import ResultsError

    flats = [parameters(row) for row in rows]
    found = [key for key in flats[0] if key == name or key.endswith(f".{name}")]
    found = [key for key in found if all(key in flat for flat in flats)]
    if not found:
        raise ResultsError(
            f"no parameter {name!r} in these results; what varies: {', '.join(varying(rows)) or 'nothing'}"
        )
    return lambda row: parameters(row)[found[0]]
