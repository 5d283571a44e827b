# SPDX-License-Identifier: MIT
"""What happens: one source of events, a policy and a machine, run to the end or step by step.

The two engines never meet; this package picks one, feeds it chunks of events and turns what it counts into a
:class:`Result` that can be run again from itself.
"""

from cowfast.simulate.result import Result, spec_hash
from cowfast.simulate.run import Progress, Stopped, run_spec, simulate, simulate_policies
from cowfast.simulate.setup import machine_for, resolve_policy, unlike_namesakes
from cowfast.simulate.simulator import Simulator
from cowfast.simulate.source import ArraySource, resolve_source, source_from_spec

__all__ = [
    "ArraySource",
    "Progress",
    "Result",
    "Simulator",
    "Stopped",
    "machine_for",
    "resolve_policy",
    "resolve_source",
    "run_spec",
    "simulate",
    "simulate_policies",
    "source_from_spec",
    "spec_hash",
    "unlike_namesakes",
]
