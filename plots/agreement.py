# SPDX-License-Identifier: MIT
"""How often cowfast says what the kernel did.

cowfast verify RECORD... --format json > results.json
python plots/agreement.py results.json agreement.svg
"""

import sys

from cowfast.plotting import draw

results, image = sys.argv[1:]
draw("agreement", results, image)
