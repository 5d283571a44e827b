# SPDX-License-Identifier: MIT
"""What random programs hardly ever reach, held to the reference event by event and, uncounted by outcomes, at the end."""

import numpy as np
import pytest

from cowfast import _engine
from cowfast._engine import Engine
from cowfast._layout import CONTENT, EventFlag, Op
from cowfast.errors import EventError
from cowfast.events import make_events
from cowfast.machine import Machine
from cowfast.policy import load_policy
from cowfast.reference import Reference
from tests.programs import differences

WRITE, LONGTERM = int(EventFlag.EV_WRITE), int(EventFlag.EV_LONGTERM)
NO_SWAP = {"swap": "none"}


def held_to_the_reference(policy, machine, events, refused=None, begin=0):
    """Run them in every way that there is; ``refused`` is what the last one is told, from ``begin`` on states are compared."""
    machine = Machine(**{"space": 8, "processes": 3, "references": 6} | machine)
    events = make_events(events)
    reference, engine = Reference(load_policy(policy), machine), Engine(load_policy(policy), machine, contents=True)
    reference.run(events[:begin])
    engine.run(events[:begin])
    for i in range(begin, len(events)):
        one = events[i : i + 1]
        outcomes, values = np.zeros((2, 1), np.uint32), np.zeros((2, 1), CONTENT)
        reasons = []
        for each, outcome, value in zip((reference, engine), outcomes, values, strict=True):
            try:
                each.run(one, outcome, value)
            except EventError as error:
                reasons.append(error.reason)
        assert reasons == ([refused] * 2 if refused and i == len(events) - 1 else []), i
        assert differences(reference.state(), engine.state()) == {}, i
        assert outcomes[0] == outcomes[1], i
        assert values[0] == values[1], i
    reference.verify()
    engine.verify()
    state = reference.state() | {"contents": {}}
    for above in (-1, 1 << 62):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_engine, "_PREFETCH_ABOVE", above)
            silent = Engine(load_policy(policy), machine)
            if refused:
                with pytest.raises(EventError):
                    silent.run(events)
            else:
                silent.run(events)
            assert differences(state, silent.state()) == {}
    return reference


@pytest.mark.parametrize("policy", ["linux-5.10", "linux-6.18"])
def test_a_page_that_was_never_stored_to_is_blank_in_the_copy_too(policy):
    """A get for writing copies without a store."""
    events = [
        (Op.GET, 0, 0, 0, WRITE),
        (Op.PUT, 0, 0, 0),
        (Op.FORK, 0, 0, 1),
        (Op.GET, 1, 0, 1, WRITE),
        (Op.READ, 0, 0),
    ]
    counters = held_to_the_reference(policy, {}, events).state()["counters"]
    assert counters["copies"] == 1


@pytest.mark.parametrize("policy", ["linux-5.10", "linux-6.1", "linux-6.18"])
def test_a_pinned_page_that_was_never_stored_to_is_copied_blank_at_fork(policy):
    events = [(Op.PIN, 0, 0, 0, WRITE), (Op.FORK, 0, 0, 1), (Op.READ, 1, 0), (Op.WRITE, 1, 0)]
    assert held_to_the_reference(policy, {}, events).state()["counters"]["early_copies"] == 1


@pytest.mark.parametrize("op", [Op.PAGEOUT, Op.READ, Op.WRITE])
def test_nothing_is_done_for_a_process_that_is_dead(op):
    held_to_the_reference("linux-6.18", {}, [(Op.WRITE, 0, 0), (op, 1, 0)], "the process is not alive")


@pytest.mark.parametrize(("op", "flags"), [(Op.GET, WRITE), (Op.PIN, WRITE), (Op.PIN, 0)])
def test_a_reference_needs_a_page_and_memory_is_full(op, flags):
    events = [(Op.WRITE, 0, 0), (Op.WRITE, 0, 1), (Op.FORK, 0, 0, 1), (op, 1, 0, 0, flags)]
    held_to_the_reference("linux-6.18", {"memory": 2} | NO_SWAP, events, "memory is full and nothing can be reclaimed")


def test_the_page_that_a_pin_would_unshare_is_reclaimed_by_its_own_charge():
    """The fault starts over and finds a swap pte."""
    events = [
        (Op.PIN, 0, 541, 5, WRITE | LONGTERM),
        (Op.FORK, 0, 0, 1),
        (Op.GET, 1, 509, 2, WRITE),
        (Op.EXIT, 1),
        (Op.WRITE, 0, 511),
        (Op.WRITE, 0, 546),
        (Op.WRITE, 0, 510),
        (Op.FORK, 0, 0, 1),
        (Op.PIN, 1, 511, 0, LONGTERM),
    ]
    machine = {"memory": 6, "swap_slots": 64, "swap_latency": 3, "stat_flush_events": 7, "space": 600, "processes": 2}
    counters = held_to_the_reference("linux-6.12", machine, events).state()["counters"]
    assert counters["unshares"] == counters["swap_ins"] == 1


@pytest.mark.parametrize("processes", [63, 64, 65, 70])
def test_as_many_processes_as_are_bits_of_a_word_and_more(processes):
    """Up to 64 processes who maps a page is a bit set; of more it is a ring."""
    events = [(Op.WRITE, 0, page) for page in range(4)]
    for child in range(1, processes):
        events += [(Op.FORK, child // 2, 0, child), (Op.WRITE, child, child % 4)]
    events += [(Op.PAGEOUT, processes - 1, (processes - 1) % 4)]
    events += [
        event
        for child in range(processes - 1, processes - 9, -1)
        for event in ((Op.EXIT, child), (Op.FORK, 1, 0, child))
    ]
    held_to_the_reference("linux-6.1", {"processes": processes, "memory": processes * 3}, events)


@pytest.mark.parametrize("out", [False, True])
@pytest.mark.parametrize("processes", [64, 66])
def test_forks_and_exits_in_a_row(processes, out):
    """What is asked for ahead of events that end a block of accesses each: the same few of them are looked at again and again."""
    events = [(Op.WRITE, 0, 0), *[(Op.DRAIN, 0), (Op.RECLAIM, 0)] * out]
    events += [(Op.FORK, 0, 0, child) for child in range(1, processes)]
    events += [(Op.WRITE, pid, 0) for pid in range(0, processes, 3)]
    events += [(Op.EXIT, pid) for pid in range(processes - 1)]
    events += [(Op.FORK, processes - 1, 0, child) for child in range(processes - 1)]
    counters = held_to_the_reference("linux-6.1", {"processes": processes}, events, begin=200).state()["counters"]
    assert counters["forks"] == 2 * (processes - 1)


def own_policy(folder, lines, base="linux-6.18"):
    file = folder / "own.toml"
    file.write_text(f'name = "own"\nbased_on = "{base}"\n{lines}\n')
    return str(file)


def test_a_pre_check_that_a_drain_would_have_answered_is_blamed(tmp_path):
    """The rest of the list on paper: the drain takes one reference and puts the page on its list."""
    checks = '["copy if refs > 1", "drain", "copy if off lru", "copy if refs != 1", "reuse"]'
    events = [(Op.WRITE, 0, 0), (Op.FORK, 0, 0, 1), (Op.EXIT, 1), (Op.WRITE, 0, 0)]
    counters = held_to_the_reference(own_policy(tmp_path, f"write_fault = {checks}"), {}, events).state()["counters"]
    assert counters["needless_by_cause.pre_check"] == 1


def test_a_pre_check_that_leaving_the_swap_cache_would_have_answered_is_blamed(tmp_path):
    checks = '["copy if refs > 1", "lock or copy", "leave swap cache", "copy if cached", "copy if refs != 1", "reuse"]'
    policy = own_policy(tmp_path, f'write_fault = {checks}\nswap_in = ["free swap entry", "map"]')
    events = [(Op.WRITE, 0, 0), (Op.DRAIN, 0), (Op.PAGEOUT, 0, 0), (Op.READ, 0, 0), (Op.DRAIN, 0), (Op.WRITE, 0, 0)]
    counters = held_to_the_reference(policy, {}, events).state()["counters"]
    assert counters["needless_by_cause.pre_check"] == 1


def test_swap_may_be_full_no_longer_when_a_page_gave_up_its_slot(tmp_path):
    """The second of three slots makes swap full, and the write fault that asks has just given it up."""
    checks = '["lock or wait", "leave swap cache", "reuse if swap full", "reuse if not cached", "copy"]'
    policy = own_policy(tmp_path, f'write_fault = {checks}\nswap_in = ["free swap entry", "map"]')
    out = [event for page in (0, 1) for event in ((Op.WRITE, 0, page), (Op.DRAIN, 0), (Op.PAGEOUT, 0, page))]
    events = [*out, (Op.READ, 0, 0), (Op.DRAIN, 0), (Op.WRITE, 0, 0)]
    held_to_the_reference(policy, {"swap_slots": 3, "page_cluster": 0}, events)


def test_a_page_that_is_mapped_writable_is_no_ksm_page_any_more(tmp_path):
    """What is left in the swap cache is a KSM page."""
    policy = own_policy(
        tmp_path, 'swap_in = ["map writable", "free swap entry", "leave swap cache if ksm"]', "linux-5.16"
    )
    events = [
        (Op.FORK, 0, 0, 1),
        (Op.WRITE, 1, 0),
        (Op.FORK, 1, 0, 2),
        (Op.RECLAIM, 1),
        (Op.WRITE, 0, 0),
        (Op.WRITE, 2, 0),
    ]
    events += [(Op.DRAIN, 0, 0, 1), (Op.MERGE, 0, 0, 2), (Op.WRITE, 1, 0)]
    held_to_the_reference(policy, {"swap": "sync", "page_cluster": 0}, events)


def test_a_reuse_ends_an_unshare(tmp_path):
    """As early drafts of exclusive pages had it: what is mapped twice is unshared, and the write fault's list says reuse."""
    lines = 'write_fault = ["reuse"]\n[switches]\nget_read = "unshare if mapped twice"'
    events = [(Op.WRITE, 0, 0), (Op.FORK, 0, 0, 1), (Op.GET, 0, 0, 0)]
    held_to_the_reference(own_policy(tmp_path, lines, "linux-5.10"), {}, events)


@pytest.mark.parametrize("before", [[(Op.READ, 0, 0)], [(Op.WRITE, 0, 0), (Op.FORK, 0, 0, 1), (Op.DRAIN, 0)]])
def test_a_pin_that_unshares_is_a_fault_of_its_own(before):
    """Of the zero page, and of a page that others map: the read access before it is a hit."""
    counters = held_to_the_reference("linux-6.18", {}, [*before, (Op.PIN, 0, 0, 0, LONGTERM)]).state()["counters"]
    assert (counters["faults"], counters["unshares"]) == (2, 1)


@pytest.mark.parametrize("processes", [3, 64, 65])
@pytest.mark.parametrize("policy", ["linux-5.7", "linux-6.18"])
def test_a_leaf_that_is_full(policy, processes):
    """All of its ptes present and alike: fork does not look at them one by one."""
    last = processes - 1
    events = [(Op.WRITE, 0, page) for page in range(512)]
    events += [(Op.FORK, 0, 0, 1), (Op.FORK, 0, 0, last), (Op.WRITE, 1, 7), (Op.EXIT, last), (Op.FORK, 1, 0, last)]
    events += [(Op.EXIT, 1)]
    machine = {"space": 512, "processes": processes}
    counters = held_to_the_reference(policy, machine, events, begin=512).state()["counters"]
    assert counters["ptes_copied"] == 3 * 512


def test_fresh_in_a_swap_in_is_about_the_cpu_that_faults(tmp_path):
    """A page in the swap cache and in the batch of another CPU."""
    checks = '["free swap entry", "map writable if fresh", "map"]'
    policy = own_policy(tmp_path, f"swap_in = {checks}", "linux-5.10")
    events = [(Op.WRITE, 0, 0), (Op.FORK, 0, 0, 1), (Op.RECLAIM, 0), (Op.READ, 0, 0), (Op.READ, 1, 0)]
    counters = held_to_the_reference(policy, {"cpus": 2, "page_cluster": 0}, events).state()["counters"]
    assert (counters["swap_ins"], counters["missed_copies"]) == (2, 1)


def test_a_ksm_page_that_is_mapped_writable_is_an_ordinary_one_again(tmp_path):
    policy = own_policy(tmp_path, 'swap_in = ["free swap entry", "map writable"]', "linux-5.10")
    equal = [(Op.WRITE, 0, 0), (Op.FORK, 0, 0, 1), (Op.WRITE, 1, 0), (Op.DRAIN, 0, 0, 1), (Op.MERGE, 0, 0, 1)]
    out = [(Op.EXIT, 1), (Op.PAGEOUT, 0, 0)]
    state = held_to_the_reference(
        policy, {"swap_latency": 50}, [*equal, *out, (Op.READ, 0, 0), (Op.WRITE, 0, 0)]
    ).state()
    assert (state["counters"]["merges"], state["counters"]["swap_cache_hits"]) == (1, 1)


def test_a_pre_check_of_a_fresh_page_is_blamed(tmp_path):
    checks = '["copy if refs > 1", "copy if not fresh", "reuse"]'
    events = [(Op.WRITE, 0, 0), (Op.FORK, 0, 0, 1), (Op.EXIT, 1), (Op.WRITE, 0, 0)]
    counters = held_to_the_reference(own_policy(tmp_path, f"write_fault = {checks}"), {}, events).state()["counters"]
    assert counters["needless_by_cause.pre_check"] == 1


def test_a_pin_of_the_zero_page_needs_a_page_and_memory_is_full():
    events = [(Op.WRITE, 0, 1), (Op.READ, 0, 0), (Op.PIN, 0, 0, 0, LONGTERM)]
    held_to_the_reference("linux-6.18", {"memory": 1} | NO_SWAP, events, "memory is full and nothing can be reclaimed")


def test_prefetch_asks_for_room_for_all_that_it_may_read():
    """The numbers of the pages that went out are others' by now, and the table has none left."""
    half = 8_100  # of 8,192 records: without a limit of memory the table grows when it is nearly full
    engine = Engine(load_policy("linux-6.18"), Machine(space=2 * half, processes=1, swap_slots=3 * half, swap="sync"))
    out = make_events([(Op.WRITE, 0, page) for page in range(half)] + [(Op.DRAIN, 0), (Op.PAGEOUT, 0, 0, half)])
    engine.run(out)
    assert (engine.counters["swap_writes"], len(engine.pages)) == (half, 8192)
    engine.run(make_events([(Op.WRITE, 0, half + page) for page in range(half)] + [(Op.PREFETCH, 0, 0, half)]))
    assert engine.counters["swap_reads"] == half
    engine.verify()


def test_a_swap_in_that_maps_writable_what_others_have_is_missed_where_nobody_asks_too(tmp_path):
    policy = own_policy(tmp_path, 'swap_in = ["free swap entry", "map writable"]', "linux-5.10")
    out = [(Op.WRITE, 0, 0), (Op.WRITE, 0, 1), (Op.FORK, 0, 0, 1), (Op.RECLAIM, 0)]
    events = [*out, (Op.READ, 0, 0), (Op.WRITE, 0, 1), (Op.READ, 1, 0)]
    counters = held_to_the_reference(policy, {"page_cluster": 0}, events).state()["counters"]
    assert counters["missed_copies"] == 3


def test_fresh_on_a_machine_with_one_cpu_is_whatever_is_on_no_list(tmp_path):
    events = [(Op.WRITE, 0, 0), (Op.FORK, 0, 0, 1), (Op.EXIT, 1), (Op.WRITE, 0, 0)]
    policy = own_policy(tmp_path, 'write_fault = ["reuse if fresh", "copy"]')
    assert held_to_the_reference(policy, {}, events).state()["counters"]["reuses"] == 1


@pytest.mark.parametrize("holes", range(80, 112))
def test_an_lru_ring_that_is_full_of_holes(holes):
    """Found by the soak: a pass of reclaim that went once around the whole ring left it as long as it was before."""
    events = [(Op.WRITE, 0, 0), *[(Op.WRITE, 0, 1), (Op.DISCARD, 0, 1)] * holes, (Op.WRITE, 0, 2)]
    events += [(Op.RECLAIM, 0), (Op.READ, 0, 0), (Op.WRITE, 0, 1), (Op.RECLAIM, 0)]
    machine = {"space": 3, "processes": 1, "memory": 6, "lru_batch": 0}
    held_to_the_reference("linux-6.1", machine, events, begin=2 * holes)
