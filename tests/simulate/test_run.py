# SPDX-License-Identifier: MIT
import numpy as np
import pytest

from cowfast.errors import EventError, SpecError
from cowfast.events import make_events, parse_event
from cowfast.simulate import Simulator, Stopped, resolve_source, simulate, simulate_policies
from cowfast.simulate.samples import sample

SMALL = {"events": 20_000, "pages": 128, "processes": 4}
OPTIONS = {"memory": "75%", "parameters": SMALL, "seed": 3}


@pytest.mark.parametrize("chunk", [1000, 4096, 7, 1 << 20])
def test_the_counters_do_not_depend_on_chunks(chunk):
    if chunk == 7:
        small = OPTIONS | {"parameters": SMALL | {"events": 2000}}
        assert simulate("random-mix", chunk=7, **small).counters == simulate("random-mix", **small).counters
    else:
        assert simulate("random-mix", chunk=chunk, **OPTIONS).counters == simulate("random-mix", **OPTIONS).counters


def test_a_run_says_what_it_was():
    result = simulate("random-mix", "linux-5.10", **OPTIONS)
    assert (result.source, result.policy, result.seed) == ("random-mix", "linux-5.10", 3)
    assert result.spec["machine"]["memory"] == 384
    assert {"cowfast", "engine", "profile", "python", "numpy", "host", "started", "elapsed"} <= set(result.provenance)
    assert result.seconds > 0
    assert result.row()["id"] == result.spec_hash == simulate("random-mix", "linux-5.10", **OPTIONS).spec_hash
    assert "20,000 events" in repr(result)
    assert "<table>" in result._repr_html_()


def test_what_decides_the_counters_decides_the_name():
    names = {
        simulate("random-mix", policy, seed=seed, memory=memory, parameters=SMALL | more).spec_hash
        for policy in ("linux-5.10", "linux-6.1")
        for seed in (1, 2)
        for memory in ("75%", "50%")
        for more in ({}, {"zipf_s": 0.5})
    }
    assert len(names) == 16


def test_progress_comes_after_each_chunk():
    seen = []
    simulate("random-mix", chunk=5000, progress=seen.append, **OPTIONS)
    assert [one.done for one in seen] == [5000, 10_000, 15_000, 20_000]
    assert {one.total for one in seen} == {20_000}


def test_a_policy_that_fails_leaves_the_others_alone():
    # Process 1 gets page 0 with 5.10 by copying; with a full memory and no swap there is no page to copy into.
    events = make_events(
        map(parse_event, ["write 0 0", "get 0 0 ref=0", "fork 0 1", "exit 1", "write 0 0", "read 0 0"])
    )
    machine = {"memory": 1, "swap": "none"}
    always, owner = simulate_policies(events, ["always-copy", "sole-owner"], machine)
    assert "memory is full" in always.error
    assert always.counters["events"] == 4
    assert owner.error is None
    assert owner.counters["events"] == 6
    with pytest.raises(EventError) as raised:
        simulate(events, "always-copy", machine)
    assert raised.value.result.counters == always.counters


@pytest.mark.parametrize("chunk", [999, 1 << 20])
@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_samples_do_not_depend_on_chunks_and_gauges_are_true(engine, chunk):
    result = simulate("random-mix", sample_every=1500, engine=engine, chunk=chunk, **OPTIONS)
    assert [one["events"] for one in result.samples] == list(range(1500, 20_001, 1500))
    source = resolve_source("random-mix", SMALL)
    sim = Simulator("linux-6.18", result.machine, engine=engine)
    [events] = source.chunks(seed=3)
    sim.run(events[:6000])
    state = sim.state()
    seen = result.samples[3]
    assert seen == sample(sim)
    assert seen["pages_in_use"] == len(state["pages"])
    assert seen["slots_in_use"] == len(state["slots"])
    cached = {number for number, page in state["pages"].items() if page[2]}
    assert seen["swap_cache_pages"] == len(cached)
    counts = {number: slot[2] for number, slot in state["slots"].items()}
    assert seen["slots_held_idle"] == sum(counts[state["pages"][number][2]] == 0 for number in cached)


def test_engines_agree_on_a_workload():
    fast, reference = (simulate("random-mix", engine=engine, **OPTIONS) for engine in ("fast", "reference"))
    assert fast.counters == reference.counters
    assert fast.spec_hash == reference.spec_hash


def test_counts_can_be_checked_along_the_way():
    assert simulate("random-mix", check_every=1000, **OPTIONS).counters == simulate("random-mix", **OPTIONS).counters


def test_stopping():
    import threading

    stop = threading.Event()
    with pytest.raises(Stopped):
        simulate_policies("random-mix", ["linux-6.1"], chunk=100, progress=lambda _: stop.set(), stop=stop, **OPTIONS)


@pytest.mark.parametrize("wrong", [{"engine": "steam"}, {"chunk": 0}, {"seed": -1}, {"sample_every": -1}])
def test_options_that_make_no_sense(wrong):
    with pytest.raises(SpecError):
        simulate("random-mix", **OPTIONS | wrong)


def test_step_by_step():
    sim = Simulator("linux-5.10", {"space": 16, "processes": 2, "lru_batch": 0}, contents=True)
    assert sim.run(["write 0 3", "fork 0 1"]) == 2
    assert sim.pages["refs"].max() == 2
    outcome = sim.step("write 0 3")
    assert outcome & 64  # copied
    assert sim.done == 3
    assert "3 events done" in repr(sim)
    sim.verify()


def test_the_reference_has_no_tables_of_records():
    sim = Simulator("linux-5.10", {"space": 16}, engine="reference")
    with pytest.raises(AttributeError, match="state"):
        sim.pages  # noqa: B018


def test_no_events_are_a_run_too():
    result = simulate(np.zeros(0, make_events([]).dtype), "linux-6.1")
    assert result.counters["events"] == 0
