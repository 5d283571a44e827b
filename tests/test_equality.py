# SPDX-License-Identifier: MIT
"""Reference and engine: the same tables, outcomes, values and counters after every event."""

from __future__ import annotations

import itertools
import random
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cowfast import _engine
from cowfast._engine import Engine
from cowfast._layout import CONTENT, EventFlag, Op
from cowfast.errors import EventError
from cowfast.events import format_event, make_events
from cowfast.machine import Machine
from cowfast.policy import load_policy
from cowfast.reference import Reference
from cowfast.simulate.setup import resolve_policy
from tests.programs import LEAF, POLICIES, REFERENCES, STEP, build, differences, machines, raw


def step(engine, event, outcome, value):
    try:
        engine.run(event, outcome, value)
    except EventError as error:
        return type(error).__name__, error.reason
    return None


@given(policy=st.sampled_from(POLICIES), machine=machines, rows=raw)
def test_engine_equals_reference_after_every_event(policy, machine, rows):
    equal_after_every_event(load_policy(policy), machine, make_events(build(rows, machine)))


def equal_after_every_event(policy, machine, events, verify=True):
    """Return the events that were not refused; one that finds memory full ends the run.  ``verify`` asks what policies that make
    sense keep true, too: an exclusive flag for each writable pte, and the like."""
    reference, engine = Reference(policy, machine), Engine(policy, machine, contents=True)
    done, kept, state = [policy.write_fault, policy.swap_in], [], reference.state()
    for event in events:
        one = np.atleast_1d(event)
        done.append(format_event(event))
        outcomes, values = np.zeros((2, 1), np.uint32), np.zeros((2, 1), CONTENT)
        refused = step(reference, one, outcomes[0], values[0])
        assert step(engine, one, outcomes[1], values[1]) == refused, done
        before, state = state, reference.state()
        assert differences(state, engine.state()) == {}, done
        if verify:
            reference.verify()
        if verify and len(done) % 10 == 0:
            engine.verify()
        if refused:
            if refused[0] == "MemoryFullError":
                break  # the run ends here
            assert differences(before, state) == {}, (done, refused)
            continue
        assert outcomes[0] == outcomes[1], (done, hex(outcomes[0, 0]), hex(outcomes[1, 0]))
        assert values[0] == values[1], done
        kept.append(event)
    if verify:
        engine.verify()
    return np.array(kept) if kept else make_events([])


@given(policy=st.sampled_from(POLICIES), machine=machines, rows=raw, cuts=st.lists(st.integers(0, 150), max_size=4))
def test_any_way_through_is_the_same_run(policy, machine, rows, cuts):
    """In chunks or whole; told of each event or not; with prefetch or without: each has a loop of its own."""
    any_way_through(policy, machine, make_events(build(rows, machine)), cuts)


@pytest.mark.parametrize("processes", [3, 64, 66])
@pytest.mark.parametrize("seed", range(8))
def test_any_way_through_where_events_of_many_kinds_crowd_on_few_ptes(seed, processes):
    """Events are looked at 32 or 96 at a time before they are dealt with: what one finds in the pte of another that comes before it,
    a pageout above all, is not left to chance.  Ordinary programs have too few accesses between other events for that."""
    draw = random.Random(seed * 100 + processes)
    for _ in range(12):
        swap, latency = draw.choice(
            [("async", 0), ("async", 0), ("async", 3), ("async", 40), ("async", 130), ("sync", 0), ("none", 0)]
        )
        machine = Machine(space=draw.choice([6, LEAF + 3]), processes=processes, references=REFERENCES, swap=swap, swap_latency=latency,
                          memory=draw.choice([0, 0, 9, 20]), swap_slots=draw.choice([3, 20, 100]), cpus=draw.choice([1, 2]),
                          page_cluster=draw.choice([0, 0, 3]), stat_flush_events=draw.choice([0, 7]))  # fmt: skip
        crowd = []
        for event in build(draw.randbytes(draw.randint(10, 60) * STEP), machine):
            crowd.append(event)
            for _ in range(draw.choice([0, 1, 5, 20, 20, 200])):  # the longest outlive a write that a pageout begins
                op = draw.choice([Op.READ, Op.READ, Op.WRITE, Op.WRITE, Op.PAGEOUT])
                crowd.append((op, draw.choice([event[1], 0, 1]), machine.space - 1 - draw.randrange(5), 0, 0))
        policy = draw.choice(POLICIES)
        engine, done = Engine(load_policy(policy), machine), []
        for event in make_events(crowd):  # without those that are refused, which would end the run
            try:
                engine.run(np.atleast_1d(event))
            except EventError:
                continue
            done.append(event)
        any_way_through(policy, machine, np.array(done), [draw.randrange(len(done))])


@pytest.mark.parametrize("latency", [1, 30, 31, 32, 63, 64, 65, 100, 200])
def test_a_write_ends_on_time_however_many_hits_come_before(latency):
    """Its page is in an LRU batch by then, and the next pageout drains that: were the write late, the page would go to the other end of the list."""
    hits = [(Op.READ, 0, 3)] * (latency + 5)
    events = [(Op.WRITE, 0, page) for page in range(4)] + [
        (Op.DRAIN, 0),
        (Op.PAGEOUT, 0, 0),
        *hits,
        (Op.PAGEOUT, 0, 1),
        *hits,
        (Op.PAGEOUT, 0, 2),
    ]
    any_way_through("linux-6.18", Machine(space=4, processes=2, swap_latency=latency), make_events(events), [])


@pytest.mark.parametrize("processes", [5, 64, 65, 80])
def test_any_way_through_is_the_same_run_however_many_processes_there_are(processes):
    """Who maps a page is a bit set or a ring, and the loops are there for each; that both are met is not left to chance."""
    draw = random.Random(processes)
    for _ in range(20):
        swap, latency = draw.choice([("async", 0), ("async", 2), ("sync", 0)])
        machine = Machine(space=6, processes=processes, references=REFERENCES, swap=swap, swap_latency=latency,
                          memory=draw.choice([0, 0, 9, 14]), cpus=draw.choice([1, 2]), lru_batch=draw.choice([-1, 0, 2]))  # fmt: skip
        any_way_through(
            draw.choice(POLICIES), machine, make_events(build(draw.randbytes(60 * STEP), machine)), [draw.randrange(60)]
        )


def any_way_through(policy, machine, events, cuts):
    outcomes: list[np.ndarray] = []
    results = []
    for edges, told, above in itertools.product(([], sorted(cuts)), (True, False), (-1, 1 << 62)):
        engine = Engine(resolve_policy(policy), machine)
        told_of = np.zeros(len(events), np.uint32)
        reason = None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_engine, "_PREFETCH_ABOVE", above)
            try:
                for first, last in itertools.pairwise([0, *edges, len(events)]):
                    engine.run(events[first:last], told_of[first:last] if told else None)
            except EventError as error:  # the run ends at the same event
                reason = error.reason
        results.append((engine.state(), reason))
        if told:
            outcomes.append(told_of)
    assert all(result == results[0] for result in results)
    assert all(np.array_equal(each, outcomes[0]) for each in outcomes)


def test_a_refused_event_changes_nothing():
    for kind in (Reference, Engine):
        engine = kind(load_policy("linux-6.1"), Machine(space=4, processes=3, references=2))
        engine.run(make_events([(1, 0, 0), (2, 0, 0, 1)]))
        before = engine.state()
        for bad in ((0, 2, 0), (0, 0, 4), (2, 0, 0, 1), (12, 0, 0, 1), (99, 0, 0), (0, 0, 0, 0, 7), (3, 2)):
            with pytest.raises(EventError):
                engine.run(make_events([bad]))
            assert engine.state() == before, (kind, bad)


@pytest.mark.parametrize(("cpu", "counted"), [(0, "reuses"), (1, "copies")])
def test_fresh_is_about_the_batch_of_the_cpu_that_faults(tmp_path, cpu, counted):
    """With one CPU a page off the lists is fresh; with two it is looked up."""
    file = tmp_path / "reuse-fresh.toml"
    file.write_text('name = "reuse-fresh"\nbased_on = "linus-2022"\nwrite_fault = ["reuse if fresh", "copy"]\n')
    machine = Machine(space=4, processes=3, cpus=2)
    events = make_events([(Op.WRITE, 0, 0), (Op.FORK, 0, 0, 1), (Op.EXIT, 1), (Op.CPU, 0, 0, cpu), (Op.WRITE, 0, 0)])
    for kind in (Reference, Engine):
        engine = kind(load_policy(str(file)), machine)
        engine.run(events)
        counters = engine.state()["counters"]
        assert (counters["write_faults"], counters[counted]) == (1, 1), kind


@pytest.mark.parametrize("drained", [False, True])
def test_a_page_that_is_got_again_becomes_active(drained):
    """mark_page_accessed, the second time and with a fault: from the inactive list to the active one, or once its batch is drained."""
    drain = [(Op.DRAIN, 0)]
    before = [(Op.WRITE, 0, 0), *drain * drained, (Op.PROTECT, 0, 0, 1)]  # not fork and exit: an exit drains
    got = [(Op.GET, 0, 0, 0), (Op.PUT, 0, 0, 0), (Op.GET, 0, 0, 0, EventFlag.EV_WRITE), (Op.PUT, 0, 0, 0)]
    states = []
    for kind in (Reference, partial(Engine, contents=True)):
        engine = kind(load_policy("linux-5.7"), Machine(space=4, processes=3, references=2))
        engine.run(make_events([*before, *got]))
        states.append(engine.state())
        assert engine.state()["batches"] == [[] if drained else [1]], kind
        engine.run(make_events(drain))
        assert engine.state()["counters"]["reuses"] == 1, kind
        assert engine.state()["active"] == [1], kind
    assert differences(*states) == {}


@pytest.mark.parametrize(("filled", "counted"), [(0, "reuses"), (3, "copies")])
def test_a_write_fault_may_ask_whether_swap_is_full(tmp_path, filled, counted):
    file = tmp_path / "copy-full.toml"
    file.write_text('name = "copy-full"\nbased_on = "linus-2022"\nwrite_fault = ["copy if swap full", "reuse"]\n')
    fill = [(Op.FILLSWAP, 0, 0, filled)] if filled else []
    events = make_events([(Op.WRITE, 0, 0), (Op.FORK, 0, 0, 1), (Op.EXIT, 1), *fill, (Op.WRITE, 0, 0)])
    for kind in (Reference, Engine):
        engine = kind(load_policy(str(file)), Machine(space=4, processes=3, swap_slots=4))
        engine.run(events)
        counters = engine.state()["counters"]
        assert (counters["write_faults"], counters[counted]) == (1, 1), kind
