# SPDX-License-Identifier: MIT
"""What many runs mean: policies on the same events, so that differences are paired."""

from cowfast.compare.changes import changed
from cowfast.compare.run import Comparison, compare
from cowfast.compare.statistics import Condition, Estimate, conditions, estimate
from cowfast.compare.table import Column, Table
from cowfast.compare.words import METRICS, comparison_table

__all__ = [
    "METRICS",
    "Column",
    "Comparison",
    "Condition",
    "Estimate",
    "Table",
    "changed",
    "compare",
    "comparison_table",
    "conditions",
    "estimate",
]
