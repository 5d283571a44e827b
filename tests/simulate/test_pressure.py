# SPDX-License-Identifier: MIT
"""Passes that write more pages than a plug holds, and swap-ins that nobody asks the outcome of: too large for the programs
of the property tests, which have twenty pages."""

import numpy as np
import pytest

from cowfast._engine import Engine
from cowfast.bench.mixes import mix
from cowfast.events import EVENT
from cowfast.policy import load_policy
from cowfast.reference import Reference
from cowfast.simulate.setup import machine_for


@pytest.mark.parametrize("policy", ["linux-5.10", "linux-5.16", "linux-6.1", "linux-6.18", "linux-7.2"])
@pytest.mark.parametrize("swap", [{}, {"swap_latency": 3}, {"swap": "sync"}, {"page_cluster": 0, "swap_slots": 512}])
def test_long_passes_and_quick_swap_ins_are_the_references(policy: str, swap: dict[str, object]) -> None:
    source = mix(4, 128, pageout=0.0, fork_weight=0.001)
    machine = machine_for(source, {"swap_slots": 600} | swap, "50%")
    events = np.zeros(3000, EVENT)
    source.generator(1).fill(events)
    engine, reference = Engine(load_policy(policy), machine), Reference(load_policy(policy), machine)
    engine.run(events)
    reference.run(events)
    assert engine.counters.to_dict() == reference.counters.to_dict()
    ours, theirs = engine.state(), reference.state()
    del ours["contents"], theirs["contents"]  # the engine keeps none: who asks for them goes another way
    assert ours == theirs
    assert engine.counters["reclaims"] > 20
    assert engine.counters["major_faults"] > 500
    engine.verify()
