# SPDX-License-Identifier: MIT
"""Rates beside yardsticks that were measured in the same minute on the same machine.

A row compares a figure of cowfast with that of a yardstick; its ratio is how many times better cowfast is (rate by rate,
bytes by bytes), so that more is always better and ``ratio >= goal`` is what it must be.  What cannot be measured here
is left out, with the reason.
"""

from cowfast.bench.registry import MEASUREMENTS, row_names
from cowfast.bench.rows import Row, Setting
from cowfast.bench.run import Bench, bench

__all__ = ["MEASUREMENTS", "Bench", "Row", "Setting", "bench", "row_names"]
