# SPDX-License-Identifier: MIT
"""Needless share of copies against memory size, with 95 % intervals over seeds.

cowfast sweep benchmarks/sweeps/memory.toml -o memory.jsonl
python plots/memory.py memory.jsonl memory.svg
"""

import sys

from cowfast.plotting import draw

results, image = sys.argv[1:]
draw("lines", results, image, x="machine.memory", y="needless_share")
