# SPDX-License-Identifier: MIT
"""What changed between two results files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from cowfast.compare.statistics import labels
from cowfast.compare.table import Column, Table

Row = Mapping[str, Any]


def changed(before: Iterable[Row], after: Iterable[Row], metrics: Sequence[str] = ()) -> Table:
    """Return one line for each counter of each run that differs between two results, runs matched by what was run.

    Where runs of one source differ in more than policy and seed, a column says in what.  Policies are matched by name, so
    that a changed policy file shows as changed counters.  Notes count runs that only one side has.
    """
    old, new = ({_key(row): row for row in rows} for rows in (before, after))
    both = sorted(old.keys() & new.keys())
    told = labels([new[key] for key in both])
    varied = any(told)
    lines, differ = [], 0
    for key, label in zip(both, told, strict=True):
        one, other, row = old[key]["counters"], new[key]["counters"], new[key]
        run = [row["policy"], row["source"], *([label] if varied else []), str(row["seed"])]
        found = []
        for name in metrics or {**one, **other}:
            was, now = one.get(name, 0), other.get(name, 0)
            if was != now:
                ratio = f"{now / was:,.3f}" if was else "from none"
                found.append([*run, name, f"{was:,}", f"{now:,}", ratio])
        lines += found
        differ += bool(found)
    same = len(both) - differ
    notes = [f"{same:,} runs are the same in both"] if same > 0 else []
    for rows, others, side in ((old, new, "first"), (new, old, "second")):
        if alone := len(rows.keys() - others.keys()):
            notes.append(f"{alone:,} runs are in the {side} only")
    columns = [Column(name, "left") for name in ("policy", "source", *(["where"] if varied else []))]
    columns += [Column(name) for name in ("seed", "counter", "before", "after", "× before")]
    return Table(columns, sorted(lines), "what changed", notes)


def _key(row: Row) -> bytes:
    spec = {key: value for key, value in row["spec"].items() if key not in ("policy_hash", "sample_every")}
    return msgspec.json.encode([spec, row["policy"], row["seed"]], order="deterministic")
