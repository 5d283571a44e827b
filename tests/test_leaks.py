# SPDX-License-Identifier: MIT
"""What is over gives its memory back: simulators, refused events, snapshots, tables that grew, runs of a workload and of a trace."""

import gc
import tracemalloc

import numpy as np
import pytest

from cowfast import Simulator, load_trace, simulate
from cowfast._layout import EVENT, Op
from cowfast.errors import EventError
from cowfast.traces import TraceWriter
from cowfast.workloads import workload

MACHINE = {"space": 512, "processes": 4, "references": 8}
SMALL = {"events": 5_000, "pages": 64, "processes": 4}
LEAST = 64 << 10  # the tables of one simulator take more; numpy keeps small pieces for later


def refused(_file):
    simulator = Simulator("linux-6.18", MACHINE)
    for _ in range(50):
        with pytest.raises(EventError):
            simulator.run(["write 0 1", "write 3 0"])


def snapshots(_file):
    simulator = Simulator("linux-6.18", MACHINE)
    simulator.run(["write 0 1", "fork 0 1", "write 1 1"])
    simulator.restore(simulator.snapshot())
    simulator.verify()
    assert len(simulator.state()["pages"]) == np.count_nonzero(simulator.pages["refs"]) == 2


def grown(_file):
    simulator = Simulator("linux-6.18", {"space": 10_000, "processes": 1})
    first = len(simulator.pages)
    events = np.zeros(10_000, EVENT)
    events["op"], events["page"] = Op.WRITE, np.arange(10_000)
    simulator.run(events)
    assert len(simulator.pages) > first


def runs(_file):
    assert simulate("random-mix", "linux-6.1", seed=1, memory="75%", parameters=SMALL).counters["copies"] > 0


def traces(file):
    assert simulate(load_trace(file), "linux-6.1").counters["events"] == SMALL["events"]


@pytest.mark.parametrize("what", [refused, snapshots, grown, runs, traces], ids=lambda what: what.__name__)
@pytest.mark.slow
def test_nothing_is_kept(tmp_path, what):
    file = tmp_path / "t.cow"
    with TraceWriter(file) as out:
        for chunk in workload("random-mix", **SMALL).chunks(1):
            out.write(chunk)
    for _ in range(2):  # what is loaded or remembered once
        what(file)
    tracemalloc.start()
    try:
        what(file)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(10):
            what(file)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < LEAST
    finally:
        tracemalloc.stop()
