# SPDX-License-Identifier: MIT
"""Where made-up events come from: documented, seeded generators that run without the GIL."""

from cowfast.workloads import random_mix as _random_mix
from cowfast.workloads.registry import GENERATOR_VERSION, Kind, Workload, kinds, workload, workload_names

__all__ = ["GENERATOR_VERSION", "Kind", "Workload", "kinds", "workload", "workload_names"]
