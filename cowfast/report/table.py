# SPDX-License-Identifier: MIT
"""The paired table: every policy against a baseline, on the same events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cowfast.plotting.rows import Row, by_policy, counter, estimate

#: Counter -> heading; what the words mean is under the table, from the registry of counters.
COLUMNS = {
    "copies": "copies",
    "needless_copies": "needless",
    "missed_copies": "missed",
    "broken_pins": "broken pins",
    "reuses": "reuses",
    "swap_cache_adds": "swap-cache adds",
    "swap_cache_removals": "removals",
    "swap_cache_readds": "re-adds",
    "swap_writes": "device writes",
    "avoidable_writes": "avoidable",
    "drains": "drains",
    "pages_peak": "peak pages",
}


class Cell(NamedTuple):
    """One number: the mean over seeds, and how it differs from the baseline on the same seeds."""

    value: float
    shown: str
    change: str = ""
    alarm: bool = False


class Line(NamedTuple):
    """One policy."""

    policy: str
    runs: int
    cells: list[Cell]


class Table(NamedTuple):
    """Headings (counter, heading) and a line a policy."""

    columns: list[tuple[str, str]]
    lines: list[Line]
    baseline: str


def paired_table(rows: Sequence[Row], baseline: str | None = None) -> Table:
    """Compare policies pair by pair of equal seeds with ``baseline`` (default: the first).

    Columns in which every run has 0 are left out.
    """
    groups = by_policy(rows)
    base = baseline if baseline in groups else next(iter(groups))
    reference = {row.get("seed"): row for row in groups[base]}
    columns = [(name, heading) for name, heading in COLUMNS.items() if any(counter(row, name) for row in rows)]
    lines = [
        Line(policy, len(group), [_cell(name, group, {} if policy == base else reference) for name, _ in columns])
        for policy, group in groups.items()
    ]
    return Table(columns, lines, base)


def _cell(name: str, group: Sequence[Row], reference: dict[object, Row]) -> Cell:
    value = estimate(group, lambda row: counter(row, name)).mean
    alarm = bool(value) and name in ("missed_copies", "broken_pins")
    shown = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.1f}"
    pairs = [row for row in group if row.get("seed") in reference]
    if not pairs:
        return Cell(value, shown, alarm=alarm)
    before = estimate(pairs, lambda row: counter(reference[row.get("seed")], name)).mean
    difference = estimate(pairs, lambda row: counter(row, name) - counter(reference[row.get("seed")], name))
    if not before:
        return Cell(value, shown, "", alarm)
    return Cell(value, shown, _change(1 + difference.mean / before, difference.half / before), alarm)


def _change(ratio: float, half: float) -> str:
    """Say a ratio to the baseline: in per cent while that can be read, else as a factor."""
    if ratio == 1 and not half:
        return "="
    if ratio < 3:
        return f"{100 * (ratio - 1):+.1f} %" + (f" \N{PLUS-MINUS SIGN} {100 * half:.1f}" if half else "")
    return f"\N{MULTIPLICATION SIGN} {ratio:.3g}" + (f" \N{PLUS-MINUS SIGN} {half:.2g}" if half else "")
