# SPDX-License-Identifier: MIT
"""The counters in time, at the prices of a cost table.

cowfast compare random-mix --memory 75% --format json > results.json
python plots/cost.py results.json cost.svg
"""

import sys

from cowfast.plotting import draw

results, image = sys.argv[1:]
draw("cost", results, image)
