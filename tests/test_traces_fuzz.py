# SPDX-License-Identifier: MIT
"""Importers and container against damaged and made-up input: a TraceError or a trace that can be read, nothing else."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cowfast.errors import EventError, TraceError
from cowfast.simulate import simulate
from cowfast.traces import TraceWriter, import_csv, import_lackey, import_perf, load_trace
from cowfast.workloads import workload
from perf_text import HEAP, LIB, STACK, Recording


def recording() -> bytes:
    r = Recording()
    r.mmap(100, HEAP, 0x400000, name="[heap]")
    r.mmap(100, LIB, 0x4000, "rw-p", "/lib/a.so")
    r.touch(100, HEAP)
    r.copy(100, LIB)
    r.fork(100, 200)
    r.copy(200, HEAP)
    r.fault(200, HEAP + 0x3000, 4)
    r.exec(200)
    r.mmap(200, STACK, 0x21000, name="[stack]")
    r.fork(100, 100, tid=101)
    r.fork(100, 300)
    r.exec(300, vfork=True)
    r.madvise(100, HEAP, 0x1000, 4)
    r.munmap(100, LIB, 0x4000)
    r.exit(100, tid=101)
    r.gone(300)
    r.gone(200)
    r.gone(100)
    return ("\n".join(r.lines) + "\n").encode()


PERF = recording()
LACKEY = (
    b"==10== Lackey\n==10== Parent PID: 1\n S 1fff000778,8\nI  04000000,3\n L 04000ff8,16\n"
    b"SYSCALL[10,1]( 56) sys_clone ( 1200011, 0x0 )   clone(fork): process 10 created child 11\n"
    b"SYSCALL[10,1]( 11) sys_munmap ( 0x4000000, 8192 )[sync] --> Success(0x0) \n M 04000008,4\n"
)
CSV = b"op,pid,page,arg,flags\nwrite,0,3,,\nfork,0,,1,\nget,1,3,7,look write\ndiscard,0,3,4,\n"
IMPORTERS = {
    "perf": (PERF, import_perf),
    "lackey": (LACKEY, lambda path, out: import_lackey([path], out)),
    "csv": (CSV, import_csv),
}

edits = st.lists(
    st.tuples(st.integers(0, 10_000), st.integers(0, 60), st.one_of(st.binary(max_size=12), st.sampled_from(
        [b"\n", b"ffffffffffffffff", b"0x0", b"-1", b"99999999999999999999", b" ", b"100/100", b"PERF_RECORD_FORK(", b"="]))),
    min_size=1, max_size=4,
)  # fmt: skip


def edited(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for place, length, put in changes:
        place %= len(data) + 1
        data = data[:place] + put + data[place + length :]
    return data


@pytest.mark.parametrize("name", IMPORTERS)
@given(changes=edits)
def test_damaged_text(tmp_path_factory, name, changes):
    directory = tmp_path_factory.mktemp("fuzz")
    data, importer = IMPORTERS[name]
    path = directory / "input"
    path.write_bytes(edited(data, changes))
    try:
        trace = importer(path, directory / "x.cow")
    except TraceError:
        assert [p.name for p in directory.iterdir()] == ["input"]
        return
    assert sum(map(len, trace.chunks())) == trace.events
    if trace.space <= 1 << 20 and trace.processes <= 64 and trace.cpus <= 64:
        try:
            counted = simulate(trace, "linux-6.18").counters["events"]
        except EventError:
            assert (
                name == "csv"
            )  # what a CSV file asks for is checked when it is run; an importer's own events are in order
        else:
            assert counted == trace.events


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "x.cow"
    with TraceWriter(path, frame_events=64) as out:
        for chunk in workload("random-mix", events=300, processes=3, pages=20).chunks(1):
            out.write(chunk)
    return path.read_bytes()


@given(changes=edits)
def test_damaged_container(tmp_path_factory, good, changes):
    path = tmp_path_factory.mktemp("fuzz") / "x.cow"
    path.write_bytes(edited(good, changes))
    for partial in (False, True):
        with contextlib.suppress(TraceError):
            trace = load_trace(path, partial=partial)
            assert sum(map(len, trace.chunks())) == trace.events
