# SPDX-License-Identifier: MIT
"""Scenario files with expected outcomes, and the story of a scenario told event by event."""

from cowfast.litmus.format import MACHINES, Scenario, format_scenario, load_scenario, parse_scenario
from cowfast.litmus.run import Verdict, judge, outcomes_of, promote, say

__all__ = [
    "MACHINES",
    "Scenario",
    "Verdict",
    "format_scenario",
    "judge",
    "load_scenario",
    "outcomes_of",
    "parse_scenario",
    "promote",
    "say",
]
