# SPDX-License-Identifier: MIT
"""The paired table of ``cowfast compare``, with the values to sort by."""

from __future__ import annotations

from typing import NamedTuple

from cowfast.compare import METRICS, Condition, Estimate, estimate
from cowfast.compare.words import heading, legend, number, standing

#: Beyond what a terminal has room for.
COLUMNS = (*METRICS, "reuses", "swap_cache_adds", "swap_cache_readds", "avoidable_writes", "drains", "pages_peak")


class Cell(NamedTuple):
    """One number: the mean over seeds, and how it stands to the baseline on the same seeds."""

    value: float
    shown: str
    change: str
    alarm: bool


class Line(NamedTuple):
    """One policy."""

    policy: str
    cells: list[Cell]


class Table(NamedTuple):
    """Headings (counter, words, what they mean) and a line a policy."""

    columns: list[tuple[str, str, str]]
    lines: list[Line]
    baseline: str


def paired_table(condition: Condition, baseline: str) -> Table:
    """Compare policies pair by pair of equal seeds with ``baseline`` (a point without it: the first).

    Columns in which every run has 0 are left out.
    """
    policies = condition.policies
    base = baseline if baseline in policies else next(iter(policies))
    found = {
        metric: [estimate(name, metric, rows, policies[base]) for name, rows in policies.items()] for metric in COLUMNS
    }
    shown = [metric for metric, each in found.items() if any(one.mean for one in each)]
    lines = [
        Line(name, [_cell(found[metric][place], is_baseline=name == base) for metric in shown])
        for place, name in enumerate(policies)
    ]
    return Table([(metric, heading(metric), legend(metric)) for metric in shown], lines, base)


def _cell(one: Estimate, is_baseline: bool) -> Cell:
    change = "" if is_baseline else standing(one)
    if change[:1].isdigit():
        change = f"\N{MULTIPLICATION SIGN} {change}"
    return Cell(one.mean, number(one.mean), change, bool(one.mean) and one.metric in ("missed_copies", "broken_pins"))
