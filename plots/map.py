# SPDX-License-Identifier: MIT
"""Needless share of copies over memory size and skew, for the code that the discussion of January 2022 edits.

cowfast sweep benchmarks/sweeps/map.toml -o map.jsonl
python plots/map.py map.jsonl map.svg
"""

import sys

from cowfast.plotting import draw

results, image = sys.argv[1:]
draw("map", results, image, x="machine.memory", y="zipf_s", policy="linux-5.16")
