# SPDX-License-Identifier: MIT
"""Every workload runs under every policy with too little memory, and no count goes wrong on the way."""

import pytest

from cowfast import Simulator, simulate
from cowfast.policy import policy_names
from cowfast.simulate.setup import machine_for
from cowfast.workloads import workload, workload_names

SMALL = {"pages": 256}


@pytest.mark.parametrize("policy", policy_names())
@pytest.mark.parametrize("name", workload_names())
def test_no_invariant_is_broken(name, policy):
    source = workload(name, events=100_000)
    simulator = Simulator(policy, machine_for(source, memory="60%"), check_every=50_000)
    done = sum(simulator.run(events) for events in source.chunks(1, 50_000))
    assert done == 100_000
    assert simulator.counters["events"] == 100_000


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] * (n % 4 != 0)) for n, name in enumerate(workload_names())]
)
@pytest.mark.slow
def test_the_reference_counts_the_same(name):
    source = workload(name, events=6000, **SMALL)
    counters = [
        simulate(source, policy="linux-6.18", machine=machine_for(source, memory="60%"), seed=2, engine=engine).counters
        for engine in ("fast", "reference")
    ]
    assert dict(counters[0]) == dict(counters[1])


def test_random_mix_shows_the_causes_of_needless_copies():
    """All causes but the LRU batch, which takes more locality than it has, and the pre-check, which no built-in is to blame for."""
    source = workload("random-mix", events=300_000)
    seen: set[str] = set()
    for policy in policy_names():
        counters = simulate(source, policy=policy, machine=machine_for(source, memory="75%"), seed=1).counters
        seen |= {name.partition(".")[2] for name, n in counters.items() if n and name.startswith("needless_by_cause.")}
    assert seen >= {"swap_cache", "transient_get", "lock", "ksm", "lost_exclusivity"}
    assert "pre_check" not in seen  # docs/model.md section 8: they skip only what the rest would copy as well


def test_the_mix_in_which_the_mapcount_says_nothing_that_the_references_do_not():
    """The claim of the thread: with the mapcount test or without it, every counter is the same."""
    source = workload("random-mix", events=300_000)
    machine = machine_for(source, memory="75%")
    with_it, without = (
        dict(simulate(source, policy=policy, machine=machine, seed=1).counters)
        for policy in ("linux-5.16", "no-mapcount-2022")
    )
    assert with_it == without
