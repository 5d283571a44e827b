# SPDX-License-Identifier: MIT
"""One run over its events: pages in use, swap cache, copies.

cowfast run bgsave --memory 75% --sample every=5000 --format json > run.json
python plots/timeline.py run.json timeline.svg
"""

import sys

from cowfast.plotting import draw

results, image = sys.argv[1:]
draw("timeline", results, image)
