# SPDX-License-Identifier: MIT
"""What each policy puts into the swap cache, and what takes it out.

cowfast compare random-mix --memory 75% --format json > results.json
python plots/churn.py results.json churn.svg
"""

import sys

from cowfast.plotting import draw

results, image = sys.argv[1:]
draw("churn", results, image)
