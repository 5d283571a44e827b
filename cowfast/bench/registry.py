# SPDX-License-Identifier: MIT
"""The list of measurements, in the order in which they are taken and printed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from cowfast.bench import caches, choices, forks, hits, kernel, mixes, tables
from cowfast.bench.rows import Measurement
from cowfast.errors import SpecError

MEASUREMENTS: tuple[Measurement, ...] = (
    *mixes.MEASUREMENTS,
    *hits.MEASUREMENTS,
    *choices.MEASUREMENTS,
    *forks.MEASUREMENTS,
    *tables.MEASUREMENTS,
    *kernel.MEASUREMENTS,
    *caches.MEASUREMENTS,
)


def row_names() -> list[str]:
    """Return the names of all rows."""
    return [promise.name for measurement in MEASUREMENTS for promise in measurement.promises]


def chosen(names: Iterable[str]) -> list[Measurement]:
    """Return the measurements that make these rows (none named: all); raises SpecError with the nearest name."""
    known, wanted = row_names(), list(names)
    for name in wanted:
        if name not in known:
            close = difflib.get_close_matches(name, known, 3, 0.4)
            meant = f"did you mean {', '.join(close)}?" if close else f"there are: {', '.join(known)}"
            raise SpecError(f"no row {name!r}; {meant}")
    return [each for each in MEASUREMENTS if not wanted or any(promise.name in wanted for promise in each.promises)]
