# SPDX-License-Identifier: MIT
"""Paired statistics of runs of several policies on the same events."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Condition:
    """Rows that differ in policy and seed only: ``policies`` maps a policy to its rows by seed.

    ``label`` says what tells this condition from the others of the same results (empty if there is one).
    """

    label: str
    policies: dict[str, dict[int, Row]]


@dataclass(frozen=True, slots=True)
class Estimate:
    """One metric of one policy against the baseline, over the seeds that both have.

    ``ratio`` is mean / baseline mean (NaN where the baseline is 0 and the policy is not).  ``low`` and ``high`` bound it:
    the 95 % confidence interval of the mean difference (Student's t on the paired differences), as a share of the
    baseline's mean; NaN with fewer than two seeds.  ``verdict`` is ``"less"``, ``"more"``, ``"same"`` (equal in every
    pair), or ``"no difference"`` (the interval includes none).
    """

    policy: str
    metric: str
    mean: float
    baseline_mean: float
    pairs: int
    ratio: float
    low: float
    high: float
    verdict: str


def estimate(policy: str, metric: str, rows: Mapping[int, Row], baseline: Mapping[int, Row]) -> Estimate:
    """Return how a policy's rows compare with the baseline's in a metric; only seeds that both have count."""
    seeds = sorted(rows.keys() & baseline.keys())
    values = [value(rows[seed], metric) for seed in seeds]
    others = [value(baseline[seed], metric) for seed in seeds]
    differences = [mine - other for mine, other in zip(values, others, strict=True)]
    mean, base = _mean(values), _mean(others)
    difference, half = _mean(differences), half_interval(differences)
    if not any(differences):
        verdict = "same"
    elif abs(difference) <= half:
        verdict = "no difference"
    else:
        verdict = "less" if difference < 0 else "more"
    if base:
        ratio, low, high = (1 + shift / base for shift in (difference, difference - half, difference + half))
    else:
        ratio = low = high = math.nan if any(differences) else 1.0
    return Estimate(policy, metric, mean, base, len(seeds), ratio, low, high, verdict)


def half_interval(values: Sequence[float]) -> float:
    """Return half the width of the 95 % confidence interval of the mean; NaN with fewer than two values."""
    if len(values) < 2:
        return math.nan
    from scipy.special import stdtrit  # the quantile of Student's t; scipy.stats takes half a second to import

    mean = _mean(values)
    variance = sum((each - mean) ** 2 for each in values) / (len(values) - 1)
    return float(stdtrit(len(values) - 1, 0.975)) * math.sqrt(variance / len(values))


def value(row: Row, metric: str) -> float:
    """Return a metric of a row: a counter, or ``seconds``."""
    if metric == "seconds":
        return float(row["seconds"])
    return float(row["counters"].get(metric, 0))


def conditions(rows: Iterable[Row]) -> list[Condition]:
    """Return rows sorted by what they were run on, in the order in which they first appear."""
    groups: dict[bytes, tuple[dict[str, Any], dict[str, dict[int, Row]]]] = {}
    for row in rows:
        common = _common(row)
        key = msgspec.json.encode(common, order="deterministic")
        policies = groups.setdefault(key, (common, {}))[1]
        policies.setdefault(row["policy"], {})[row["seed"]] = row
    names = _varying([common for common, _ in groups.values()])
    return [Condition(_label(common, names), policies) for common, policies in groups.values()]


def labels(rows: Sequence[Row]) -> list[str]:
    """Return for each row what is not the same in all rows of its source: "memory = 4096, swap = sync"."""
    commons = [(str(row.get("source")), _common(row)) for row in rows]
    names = {
        source: _varying([common for other, common in commons if other == source])
        for source in {source for source, _ in commons}
    }
    return [_label(common, names[source]) for source, common in commons]


def flatten(spec: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested keys as one, joined by dots."""
    flat: dict[str, Any] = {}
    for key, entry in spec.items():
        flat |= flatten(entry, f"{prefix}{key}.") if isinstance(entry, Mapping) else {prefix + key: entry}
    return flat


def _common(row: Row) -> dict[str, Any]:
    """Return what a run was done on, flat: all of its spec but policy and seed."""
    spec = row.get("spec", {})
    return flatten({"source": spec.get("source") or row.get("source"), "machine": spec.get("machine")})


def _label(common: Mapping[str, Any], names: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {common.get(key)}" for key, name in names.items())


def _varying(specs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the keys that are not the same everywhere -> how to call them."""
    names: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for key in dict.fromkeys(key for spec in specs for key in spec):
        name = key.removeprefix("source.parameters.").removeprefix("machine.")
        here = [repr(spec.get(key)) for spec in specs]
        # A machine that is sized for its source repeats the source's numbers.
        if len(set(here)) > 1 and values.get(name) != here:
            names[key], values[name] = name, here
    return names


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
