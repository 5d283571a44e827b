# SPDX-License-Identifier: MIT
"""Writing, verifying and replaying a trace takes no more memory the longer it is."""

import tracemalloc

import numpy as np
import pytest

from cowfast._layout import Op
from cowfast.events import make_events
from cowfast.oracle.perf import verify_perf
from cowfast.simulate import simulate
from cowfast.traces import Trace, TraceWriter, import_perf, load_trace


@pytest.fixture(scope="module")
def repeated(data, tmp_path_factory):
    """The recording of the repository again and again, all processes ending in between."""
    folder = tmp_path_factory.mktemp("scale")
    once = import_perf(data / "redis-bgsave.txt.xz", folder / "once.cow")
    [(events, columns)] = once.records()
    alive = set(events["arg"][events["op"] == Op.FORK].tolist())
    for op, pid, arg in zip(events["op"].tolist(), events["pid"].tolist(), events["arg"].tolist(), strict=True):
        if op == Op.FORK:
            alive.add(arg)
        elif op == Op.EXIT:
            alive.discard(pid)
    ends = make_events((Op.EXIT, pid) for pid in sorted(alive))
    nothing = {name: np.zeros(len(ends), column.dtype) for name, column in columns.items()}

    def repeated(times: int, again: bool = False) -> Trace:
        path = folder / f"{times}.cow"
        if again or not path.exists():
            with TraceWriter(path, semantics="fault", columns={"kernel": "u2", "time": "u8", "line": "u4"}) as out:
                for _ in range(times):
                    out.write(events, **columns)
                    out.write(ends, **nothing)
        return load_trace(path)

    return repeated


def peak(work) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


WORK = {
    "write": lambda repeated, times: repeated(times, again=True),
    "verify": lambda repeated, times: verify_perf(repeated(times).path, "linux-6.18"),
    "replay": lambda repeated, times: simulate(repeated(times), "linux-6.18", memory="60%"),
}


@pytest.mark.long
@pytest.mark.parametrize("work", WORK)
def test_memory_does_not_grow_with_the_trace(repeated, work):
    few, many = 110, 220  # both of more than two chunks of a million events: one is read while another is there
    assert repeated(few).events > 2 << 20
    for times in (few, many):
        repeated(times)
    assert peak(lambda: WORK[work](repeated, many)) < 1.1 * peak(lambda: WORK[work](repeated, few)) + 100_000


@pytest.mark.long
def test_a_long_trace_verifies_as_its_part_does(repeated):
    one, many = (verify_perf(repeated(times).path, "linux-6.18") for times in (1, 60))
    assert (many.faults, many.agree, many.disagree) == (60 * one.faults, 60 * one.agree, 0)
    assert many.copies == 60 * one.copies
