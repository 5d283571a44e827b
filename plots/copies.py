# SPDX-License-Identifier: MIT
"""Copies by cause per policy.

cowfast compare random-mix --memory 75% --format json > results.json
python plots/copies.py results.json copies.svg
"""

import sys

from cowfast.plotting import draw

results, image = sys.argv[1:]
draw("copies", results, image)
