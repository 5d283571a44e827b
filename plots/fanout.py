# SPDX-License-Identifier: MIT
"""Copies a fork costs, over the number of workers that share the pages.

cowfast sweep benchmarks/sweeps/fanout.toml -o fanout.jsonl
python plots/fanout.py fanout.jsonl fanout.svg
"""

import sys

from cowfast.plotting import draw

results, image = sys.argv[1:]
draw("fanout", results, image, x="workers")
