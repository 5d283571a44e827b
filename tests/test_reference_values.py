# SPDX-License-Identifier: MIT
"""What processes read: an ideal memory beside the model, which knows nothing of pages, references or swap.

The ideal memory gives each process a private copy of everything at fork.  A model of copy-on-write may differ from it
only where it leaked, and then it must have said so: ``missed_copies``.
"""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cowfast._layout import CONTENT, Op, Outcome
from cowfast.errors import EventError, MemoryFullError
from cowfast.events import format_event, make_events
from cowfast.policy import load_policy, policy_names
from cowfast.reference import Reference
from tests.programs import build, machines, raw

EXACT = ["linux-5.18", "linux-6.1", "linux-6.12", "linux-6.18", "linux-7.2", "linux-7.3", "always-copy", "sole-owner"]
"""Policies that never let anybody see another's store, whatever references are held."""


class Ideal:
    """One private dictionary of words a process; 0 where nothing was stored."""

    def __init__(self) -> None:
        self.memory: dict[int, dict[int, int]] = {0: {}}

    def do(self, op: int, pid: int, page: int, arg: int, stamp: int) -> None:
        """What the event means to somebody who has never heard of page tables."""
        memory = self.memory
        match op:
            case Op.WRITE:
                memory[pid][page] = stamp
            case Op.FORK:
                memory[arg] = dict(memory[pid])
            case Op.EXIT:
                del memory[pid]
            case Op.EXEC:
                memory[pid] = {}
            case Op.DISCARD:
                for v in range(page, page + max(arg, 1)):
                    memory[pid].pop(v, None)
            case Op.MERGE:  # the event asserts that the pages are equal; from now on they are
                memory[pid][page] = memory[arg].get(page, 0)


def replay(policy, machine, rows):
    """Runs a program without pinwrite; yields (model, event, stamp, what was read, what should have been, text)."""
    model, ideal = Reference(load_policy(policy), machine), Ideal()
    done = []
    for event in make_events(build(rows, machine)):
        if event["op"] == Op.PINWRITE:
            continue
        op, pid, page, arg = (int(event[name]) for name in ("op", "pid", "page", "arg"))
        outcomes, values = np.zeros(1, np.uint32), np.zeros(1, CONTENT)
        stamp = model.time + 1
        done.append(format_event(event))
        try:
            model.run(np.atleast_1d(event), outcomes, values)
        except MemoryFullError:
            return
        except EventError:
            continue
        if not (op == Op.MERGE and outcomes[0] & Outcome.SKIPPED):
            ideal.do(op, pid, page, arg, stamp)
        yield model, event, values[0], ideal, done


@given(policy=st.sampled_from(policy_names()), machine=machines, rows=raw)
def test_a_process_reads_its_own_last_store_or_what_it_inherited(policy, machine, rows):
    for model, event, value, ideal, done in replay(policy, machine, rows):
        if event["op"] == Op.READ and not model.counters["missed_copies"]:
            should = ideal.memory[int(event["pid"])].get(int(event["page"]), 0)
            assert (int(value["first"]), int(value["last"])) == (should, should), done


@given(policy=st.sampled_from(EXACT), machine=machines, rows=raw)
def test_kernels_since_5_18_leak_to_nobody(policy, machine, rows):
    """Neither to a process nor through a reference: no pipe shows what another process stored after it was filled."""
    filled: dict[int, int] = {}
    writers: dict[int, int] = {}
    for model, event, value, _, done in replay(policy, machine, rows):
        op, pid, arg = (int(event[name]) for name in ("op", "pid", "arg"))
        if op == Op.WRITE:
            writers[model.time] = pid
        elif op in (Op.GET, Op.PIN):
            filled[arg] = model.time
        elif op == Op.PINREAD:
            holder = model.references[arg].pid
            stamp = int(value["first"])
            assert stamp <= filled[arg] or writers[stamp] == holder or holder == 65535, done
        assert model.counters["missed_copies"] == 0, done


def test_where_a_kernel_leaks_the_leak_is_counted():
    """CVE-2020-29374 on 5.7: the child's pipe shows what the parent stores, and the reuse was counted as a missed copy."""
    from cowfast.machine import Machine

    machine = Machine(space=1, processes=2, references=1)
    events = make_events(
        [(Op.WRITE, 0, 0), (Op.FORK, 0, 0, 1), (Op.GET, 1, 0, 0, 1), (Op.DISCARD, 1, 0), (Op.WRITE, 0, 0)]
    )
    for policy, seen, missed in (("linux-5.7", 5, 1), ("linux-5.10", 1, 0), ("linux-6.18", 1, 0)):
        model = Reference(load_policy(policy), machine)
        model.run(events)
        values = np.zeros(1, CONTENT)
        model.run(make_events([(Op.PINREAD, 1, 0, 0)]), values=values)
        assert (int(values["first"][0]), model.counters["missed_copies"]) == (seen, missed), policy
