# SPDX-License-Identifier: MIT
"""What changed between two results files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from cowfast.compare.table import Column, Table

Row = Mapping[str, Any]


def changed(before: Iterable[Row], after: Iterable[Row], metrics: Sequence[str] = ()) -> Table:
    """Return one line for each counter of each run that differs between two results, runs matched by what was run.

    Policies are matched by name, so that a changed policy file shows as changed counters.  Notes count runs that only
    one side has.
    """
    old, new = ({_key(row): row for row in rows} for rows in (before, after))
    lines = []
    for key in old.keys() & new.keys():
        one, other = old[key]["counters"], new[key]["counters"]
        for name in metrics or {**one, **other}:
            was, now = one.get(name, 0), other.get(name, 0)
            if was != now:
                ratio = f"{now / was:,.3f}" if was else "from none"
                row = new[key]
                lines.append([row["policy"], row["source"], str(row["seed"]), name, f"{was:,}", f"{now:,}", ratio])
    same = len(old.keys() & new.keys()) - len({tuple(line[:3]) for line in lines})
    notes = [f"{same:,} runs are the same in both"] if same > 0 else []
    for rows, others, side in ((old, new, "first"), (new, old, "second")):
        if alone := len(rows.keys() - others.keys()):
            notes.append(f"{alone:,} runs are in the {side} only")
    columns = [Column(name, "left") for name in ("policy", "source")]
    columns += [Column(name) for name in ("seed", "counter", "before", "after", "× before")]
    return Table(columns, sorted(lines), "what changed", notes)


def _key(row: Row) -> bytes:
    spec = {key: value for key, value in row["spec"].items() if key not in ("policy_hash", "sample_every")}
    return msgspec.json.encode([spec, row["policy"], row["seed"]], order="deterministic")
