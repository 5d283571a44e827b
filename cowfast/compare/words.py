# SPDX-License-Identifier: MIT
"""A comparison in words: headings, legends and numbers that need no manual."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cowfast.compare.statistics import Condition, Estimate, estimate
from cowfast.compare.table import Column, Table
from cowfast.counters import COUNTERS
from cowfast.errors import SpecError

#: What a comparison shows unless asked otherwise -> heading.  Any counter can be asked for.
METRICS = {
    "copies": "pages copied",
    "needless_copies": "of these needless",
    "missed_copies": "copies missed (leaks)",
    "broken_pins": "pins broken",
    "swap_cache_removals": "left swap cache",
    "futile_removals": "of these in vain",
    "swap_reads": "read from swap",
    "swap_writes": "written to swap",
}

#: Metrics that show how they stand to the baseline where nothing was asked for: more would not fit on a screen.
_STANDINGS = ("copies", "needless_copies", "swap_writes")

#: One line each, for a reader who knows what a page fault is and nothing of this program.
_LEGENDS = {
    "copies": "writes to a shared or protected page that made a new page and copied the old one into it",
    "needless_copies": "copies although nobody else could have read the old page any more; the kernel could have reused it",
    "missed_copies": "pages reused although somebody else could still see them: a leak, so the policy is unsafe",
    "broken_pins": "pages replaced under a device that had pinned them: its reads and writes go to the wrong page",
    "swap_cache_removals": "pages that lost the tie to their copy on the swap device; going out again, they are written again",
    "futile_removals": "taken out of the swap cache by a fault that then copied the page anyway",
    "swap_reads": "pages read from the swap device",
    "swap_writes": "pages written to the swap device",
    "seconds": "processor time of the simulation itself, in seconds",
}
_MEANINGS = {info.name: info.meaning for info in COUNTERS}


def heading(metric: str) -> str:
    """Return the words for a metric at the head of a column."""
    return METRICS.get(metric) or metric.replace("_", " ").replace(".", ": ")


def legend(metric: str) -> str:
    """Return one line that says what a metric counts."""
    return f"{heading(metric)}: {_LEGENDS.get(metric) or _MEANINGS[metric]}"


def check_metrics(metrics: Sequence[str]) -> list[str]:
    """Return the metrics if all are known; SpecError names the nearest one otherwise."""
    import difflib

    known = [*_MEANINGS, "seconds"]
    for metric in metrics:
        if metric not in known:
            close = difflib.get_close_matches(metric, known, 3, 0.4)
            raise SpecError(
                f"unknown metric {metric!r}; {'did you mean ' + ', '.join(close) if close else 'see `cowfast counters`'}"
            )
    return list(metrics)


def comparison_table(
    condition: Condition, baseline: str, metrics: Sequence[str] = (), errors: Mapping[str, str] | None = None
) -> Table:
    """Return one line a policy: the mean of each metric, and how it stands to the baseline's.

    Without ``metrics`` it shows ``METRICS``, but for those that are 0 everywhere, and the standing of the most important
    ones.  ``errors``: policy -> why it has no numbers.
    """
    policies, base = condition.policies, condition.policies[baseline]
    found = {
        metric: [estimate(name, metric, rows, base) for name, rows in policies.items()] for metric in metrics or METRICS
    }
    shown = list(metrics) or [metric for metric, each in found.items() if any(one.mean for one in each)]
    absent = [heading(metric) for metric in found if metric not in shown]
    standings = set(metrics or _STANDINGS)
    columns = [Column("policy", "left")]
    for metric in shown:
        columns += [Column(heading(metric))] + [Column("× baseline")] * (metric in standings)
    rows = []
    for place, name in enumerate(policies):
        line = [f"{name} (baseline)" if name == baseline else name]
        for metric in shown:
            one = found[metric][place]
            line += [number(one.mean)] + ["" if name == baseline else standing(one)] * (metric in standings)
        rows.append(line)
    rows += [[name, "failed", *[""] * (len(columns) - 2)] for name in errors or {}]
    return Table(columns, rows, condition.label, _notes(shown, absent, found, errors or {}))


def standing(one: Estimate) -> str:
    """Return how a policy stands to the baseline: ``0.87``, ``0.87 ± 0.02``, ``same`` or ``no difference``."""
    if one.verdict in ("same", "no difference"):
        return one.verdict
    if math.isnan(one.ratio):
        return "from none"
    if math.isnan(one.low):
        return factor(one.ratio)
    digits = max(_digits(one.ratio), _digits(one.high - one.ratio))
    return f"{one.ratio:,.{digits}f} ± {one.high - one.ratio:,.{digits}f}"


def factor(ratio: float) -> str:
    """Return a ratio with the digits that matter: ``0.9993`` is not ``1.00``."""
    return f"{ratio:,.{_digits(ratio)}f}"


def _digits(ratio: float) -> int:
    """Return how many digits it takes to tell a ratio from 0 and from 1, but not more than five."""
    return next((digits for digits in (2, 3, 4) if round(ratio, digits) not in (0.0, 1.0)), 5 if ratio % 1 else 2)


def number(mean: float) -> str:
    """Return a mean: whole where it is whole or large."""
    return f"{mean:,.0f}" if mean == int(mean) or abs(mean) >= 100 else f"{mean:,.2f}"


def _notes(
    shown: Sequence[str], absent: Sequence[str], found: Mapping[str, Sequence[Estimate]], errors: Mapping[str, str]
) -> list[str]:
    notes = [legend(metric) for metric in shown]
    if absent:
        notes.append(f"none under any policy: {', '.join(absent)}")
    pairs = max((one.pairs for each in found.values() for one in each), default=0)
    if pairs > 1:
        notes.append(
            f"means over {pairs} seeds; × baseline with the 95 % confidence interval of the paired difference; "
            f"'no difference': the interval includes none; 'same': equal under every seed; 'from none': the baseline has none"
        )
    else:
        notes.append(
            "× baseline: how many times the baseline's number; 'same': equal; 'from none': the baseline has none"
        )
    return notes + [f"{name} failed: {error}" for name, error in errors.items()]


def records(condition: Condition, baseline: str, metrics: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the same as JSON-able records; NaN becomes null."""
    from dataclasses import asdict

    base = condition.policies[baseline]
    each = [
        estimate(name, metric, rows, base) for name, rows in condition.policies.items() for metric in metrics or METRICS
    ]
    return [
        {"condition": condition.label, "baseline": baseline}
        | {key: None if isinstance(entry, float) and math.isnan(entry) else entry for key, entry in asdict(one).items()}
        for one in each
    ]
