# SPDX-License-Identifier: MIT
"""Where made-up events come from: documented, seeded generators that run without the GIL."""

from cowfast.workloads import library
from cowfast.workloads.files import load_workload, workload_from_definition
from cowfast.workloads.fitted import Preset, presets
from cowfast.workloads.registry import GENERATOR_VERSION, Kind, Workload, kinds, workload, workload_names

__all__ = [
    "GENERATOR_VERSION",
    "Kind",
    "Preset",
    "Workload",
    "kinds",
    "library",
    "load_workload",
    "presets",
    "workload",
    "workload_from_definition",
    "workload_names",
]
