# SPDX-License-Identifier: MIT
"""Kernels from old to new on the same events.

cowfast compare random-mix --memory 75% --format json > results.json
python plots/history.py results.json history.svg
"""

import sys

from cowfast.plotting import draw

results, image = sys.argv[1:]
draw("history", results, image)
