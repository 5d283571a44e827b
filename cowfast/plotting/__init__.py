# SPDX-License-Identifier: MIT
"""Figures: each is a function that takes an ``Axes`` and rows; ``KINDS`` lists them by the name users type.

>>> from cowfast.plotting import draw
>>> draw("copies", "results.json", "copies.svg")  # doctest: +SKIP
"""

from cowfast.plotting.document import Document, read_document
from cowfast.plotting.kinds import KINDS, Kind, draw, figure

__all__ = ["KINDS", "Document", "Kind", "draw", "figure", "read_document"]
