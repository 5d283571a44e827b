# SPDX-License-Identifier: MIT
"""The random programs of the property tests reach what they are for: a test of the tests."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from cowfast._layout import Cause, Op, Outcome, Status
from cowfast.counters import COUNTERS
from cowfast.errors import _STATUS, EventError, MemoryFullError
from cowfast.events import make_events
from cowfast.machine import Machine
from cowfast.policy import load_policy
from cowfast.reference import Reference
from tests.programs import POLICIES, STEP, build

PROGRAMS = 500
NEVER = {Status.ERR_COUNT_LIMIT, Status.ERR_TABLE_LIMIT}  # need 65,536 references, 2^26 pages


@pytest.fixture(scope="module")
def reached() -> Counter[str]:
    """In how many of the programs each counter moved, each outcome was seen, each refusal was met."""
    found = Counter[str]()
    policies = [load_policy(name) for name in POLICIES]
    for seed in range(PROGRAMS):
        draw = random.Random(seed)
        swap = draw.choice(["async", "async", "sync", "none"])
        machine = Machine(
            swap=swap,
            swap_latency=draw.choice([0, 2]) if swap == "async" else 0,
            memory=draw.choice([0, 0, 9, 14]),
            swap_slots=draw.choice([3, 20, 100]),
            stable_writes=draw.random() < 0.5,
            page_cluster=draw.choice([0, 3]),
            cpus=draw.choice([1, 2]),
            lru_batch=draw.choice([-1, 0, 2]),
            space=draw.choice([6, 509 + 6]),
            processes=draw.choice([5, 5, 64, 70]),
            references=6,
        )
        model = Reference(draw.choice(policies), machine)
        seen, outcome = set(), np.zeros(1, np.uint32)
        for event in make_events(build(draw.randbytes(60 * STEP), machine)):
            try:
                model.run(np.atleast_1d(event), outcome)
            except MemoryFullError as error:
                seen.add(error.reason)
                break
            except EventError as error:
                seen.add(error.reason)
                continue
            bits = int(outcome[0])
            seen |= {bit.name for bit in Outcome if not bit.name.endswith("_SHIFT") and bits & bit}
            seen.add(f"cause {Cause(bits >> Outcome.CAUSE_SHIFT).name}")
            seen.add(f"op {int(event['op'])}")
        seen |= {name for name, count in model.counts.items() if count}
        found.update(seen)
    return found


def test_every_operation_is_done(reached):
    assert [op.name for op in Op if op != Op.NR_OPS and not reached[f"op {int(op)}"]] == []


def test_every_counter_moves_in_more_than_one_program(reached):
    assert [info.name for info in COUNTERS if reached[info.name] < 2] == []


def test_every_outcome_and_every_cause_is_seen(reached):
    names = [bit.name for bit in Outcome if not bit.name.endswith("_SHIFT")]
    names += [f"cause {cause.name}" for cause in Cause]
    assert [name for name in names if reached[name] < 2] == []


def test_every_refusal_is_met(reached):
    assert [reason for status, (_, reason, _) in _STATUS.items() if status not in NEVER and not reached[reason]] == []


def test_programs_are_long_enough():
    """Hypothesis draws short lists unless told otherwise: programs of six events test next to nothing."""
    machine = Machine(space=6, processes=4, references=6)
    lengths = [len(build(random.Random(seed).randbytes(40 * STEP), machine)) for seed in range(50)]
    assert sum(lengths) / len(lengths) > 40


def test_zeros_are_nothing():
    """Shrinking a program replaces its steps by zeros."""
    assert build(bytes(40 * STEP), Machine(space=6, processes=4, references=6)) == []
