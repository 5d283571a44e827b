# SPDX-License-Identifier: MIT
"""Reference and engine under policies that nobody wrote: any checks, in any order, with any comparison that TOML can say.

The engine asks its checks beforehand, of every situation that scales of refs, maps and swap ptes can tell apart; where
a check asks for more than they tell, it has to ask again.  Built-in policies ask for so little that they cannot find
out whether it does.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from cowfast._checks import COMPARES, MEASURES, PREDICATES, SWAP_IN_ACTIONS, WRITE_FAULT_ACTIONS
from cowfast._engine import Engine
from cowfast._layout import Op
from cowfast.errors import PolicyError
from cowfast.events import format_event, make_events
from cowfast.machine import Machine
from cowfast.policy import load_policy, policy_from_dict, policy_names
from cowfast.reference import Reference
from tests.programs import build, differences, machines, raw
from tests.test_equality import any_way_through, equal_after_every_event

comparisons = st.builds(
    lambda measure, compare, n, plus: " + ".join([f"{measure} {compare} {n}", *plus]),
    st.sampled_from([*MEASURES]),
    st.sampled_from([*COMPARES]),
    st.sampled_from([1, 2, 0, 3, 4, 5, 6, 7, 8]),
    st.lists(st.sampled_from(["cached", "off lru"]), unique=True),
)
predicates = st.lists(
    st.builds("{}{}".format, st.sampled_from(["", "not "]), st.sampled_from([*PREDICATES])), max_size=2, unique=True
)
conditions = st.builds(
    lambda words, compared: " and ".join([*words, *compared]), predicates, st.lists(comparisons, max_size=1)
)


def checks(*actions):
    return st.builds(
        lambda action, when: f"{action} if {when}" if when else action, st.sampled_from(actions), conditions
    )


write_faults = st.builds(
    lambda before, lock, after, last: [*before, *lock, *after, last],
    st.lists(checks("copy", "reuse", "drain"), max_size=3),
    st.sampled_from([["lock or copy"], ["lock or wait"]]),
    st.lists(checks(*(action for action in WRITE_FAULT_ACTIONS if not action.startswith("lock"))), max_size=4),
    st.sampled_from(["copy", "reuse"]),
)


@st.composite
def swap_ins(draw):
    """The swap pte is freed first, as to 6.19, or anywhere."""
    before = draw(st.lists(checks(*(action for action in SWAP_IN_ACTIONS if action != "free swap entry")), max_size=5))
    after = draw(st.lists(checks("leave swap cache", "drain"), max_size=2))
    found = [*before, draw(st.sampled_from(["map", "map writable"])), *after]
    found.insert(draw(st.sampled_from([0, 0, *range(1, len(found) + 1)])), "free swap entry")
    return found


def own(base, write_fault, swap_in):
    return policy_from_dict(
        load_policy(base).to_dict() | {"name": "own", "write_fault": write_fault, "swap_in": swap_in}
    )


@given(base=st.sampled_from(policy_names()), write_fault=write_faults, swap_in=swap_ins(), machine=machines, rows=raw)
def test_engine_equals_reference_under_any_policy(base, write_fault, swap_in, machine, rows):
    try:
        policy = own(base, write_fault, swap_in)
    except PolicyError:  # unreachable checks, or one that contradicts itself
        reject()
    done = equal_after_every_event(policy, machine, make_events(build(rows, machine)), verify=False)
    any_way_through(policy, machine, done, [])


@pytest.mark.parametrize("compare", ["==", ">"])
@pytest.mark.parametrize("measure", MEASURES)
def test_comparisons_beyond_the_scales_of_the_tables(measure, compare):
    """All numbers and both addends, for a page that up to eight processes map, have swapped out, or hold."""
    machine = Machine(space=2, processes=8, references=4, page_cluster=0)
    for n, plus in itertools.product(range(9), ("", " + cached", " + cached + off lru")):
        asks = f"{measure} {compare} {n}{plus}"
        policy = own(
            "linux-6.18",
            ["copy if ksm", f"reuse if {asks}", "copy"],
            ["free swap entry", f"mark exclusive if {asks}", "map writable if exclusive", "map", f"leave swap cache if {asks}"],
        )  # fmt: skip
        reference, engine = Reference(policy, machine), Engine(policy, machine, contents=True)
        told = np.zeros((2, len(EVERY_NUMBER)), np.uint32)
        reference.run(EVERY_NUMBER, told[0])
        engine.run(EVERY_NUMBER, told[1])
        assert np.array_equal(*told), (asks, format_event(EVERY_NUMBER[np.argmax(told[0] != told[1])]))
        assert differences(reference.state(), engine.state()) == {}, asks
        any_way_through(policy, machine, EVERY_NUMBER, [])


EVERY_NUMBER = make_events(
    [
        event
        for sharers in (2, 4, 5, 8)
        for event in [
            (Op.WRITE, 0, 0),
            *((Op.FORK, 0, 0, pid) for pid in range(1, sharers)),
            *((Op.GET, 0, 0, number) for number in range(sharers % 4)),
            (Op.DRAIN, 0),
            (Op.WRITE, 1, 0),
            *((Op.PUT, 0, 0, number) for number in range(sharers % 4)),
            (Op.RECLAIM, 0, 0, 0),
            *((Op.READ, pid, 0) for pid in range(sharers // 2)),
            *((Op.WRITE, pid, 0) for pid in range(sharers)),
            (Op.RECLAIM, 0, 0, 0),
            *((Op.WRITE, pid, 0) for pid in range(sharers)),
            *((Op.EXIT, pid) for pid in range(1, sharers)),
            (Op.EXEC, 0),
        ]
    ]
)
