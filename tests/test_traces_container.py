# SPDX-License-Identifier: MIT
"""The .cow container: what goes in comes out, and nothing damaged passes for good."""

import errno
import os
import pickle
import struct
import zlib
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from cowfast._layout import Op
from cowfast.errors import TraceError
from cowfast.events import EVENT, make_events
from cowfast.traces import TraceWriter, load_trace
from cowfast.traces import format as fmt
from cowfast.workloads import workload


def some_events(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    events = np.zeros(n, EVENT)
    events["op"] = rng.choice([Op.READ, Op.WRITE, Op.PAGEOUT, Op.FORK, Op.EXIT, Op.GET], n)
    events["pid"], events["page"], events["arg"] = rng.integers(0, 9, n), rng.integers(0, 999, n), rng.integers(0, 7, n)
    return events


def write(path: Path, events: np.ndarray, columns: dict[str, np.ndarray] | None = None, **options) -> Path:
    kinds = {name: f"u{column.itemsize}" for name, column in (columns or {}).items()}
    with TraceWriter(path, columns=kinds, **options) as out:
        out.write(events, **(columns or {}))
    return path


def everything(path: Path, **options) -> np.ndarray:
    chunks = list(load_trace(path).chunks(**options))
    return np.concatenate(chunks) if chunks else np.zeros(0, EVENT)


@given(
    n=st.integers(0, 300),
    frame=st.integers(1, 80),
    size=st.integers(1, 200),
    cut=st.tuples(st.integers(0, 310), st.integers(0, 310)),
    compression=st.sampled_from(["zstd", "none"]),
    pieces=st.integers(1, 5),
)
def test_what_goes_in_comes_out(tmp_path_factory, n, frame, size, cut, compression, pieces):
    path = tmp_path_factory.mktemp("cow") / "x.cow"
    events = some_events(n)
    time, word = np.arange(n, dtype="u8") * 7**12, np.arange(n, dtype="u2")
    with TraceWriter(path, columns={"time": "u8", "word": "u2"}, compression=compression, frame_events=frame) as out:
        for part in np.array_split(np.arange(n), pieces):
            out.write(events[part], time=time[part], word=word[part])
    trace = load_trace(path)
    assert trace.events == n
    for chunk in trace.chunks(seed=3, size=size):
        assert 1 <= len(chunk) <= size
    assert (everything(path, size=size) == events).all()
    start, stop = min(cut), max(cut)
    parts = list(trace.records(start, stop, size))
    got = np.concatenate([part[0] for part in parts]) if parts else np.zeros(0, EVENT)
    assert (got == events[start:stop]).all()
    for name, column in (("time", time), ("word", word)):
        values = np.concatenate([part[1][name] for part in parts]) if parts else column[:0]
        assert (values == column[start:stop]).all()


def test_sizes_and_summary(tmp_path):
    rows = [(Op.WRITE, 0, 5), (Op.FORK, 0, 0, 3), (Op.WRITE, 3, 5), (Op.WRITE, 3, 6), (Op.EXIT, 3), (Op.FORK, 0, 0, 3),
            (Op.READ, 3, 7), (Op.DISCARD, 3, 90, 20), (Op.GET, 3, 5, 11), (Op.CPU, 3, 0, 2)]  # fmt: skip
    trace = load_trace(write(tmp_path / "x.cow", make_events(rows)))
    assert (trace.processes, trace.space, trace.references, trace.cpus) == (4, 110, 12, 3)
    assert trace.footprint == 3  # 0 has one, 3 had two; after its exit 3 has two again
    assert trace.summary.events_by_op == {"read": 1, "write": 3, "fork": 2, "exit": 1, "discard": 1, "get": 1, "cpu": 1}
    again = pickle.loads(pickle.dumps(trace))
    assert again.spec() == trace.spec()


def test_the_hash_is_of_the_events_not_of_the_file(tmp_path):
    events = some_events(1000)
    one = load_trace(write(tmp_path / "a.cow", events, frame_events=10))
    two = load_trace(write(tmp_path / "b.cow", events, compression="none"))
    assert one.summary.sha256 == two.summary.sha256
    other = load_trace(write(tmp_path / "c.cow", some_events(1000, 1)))
    assert other.summary.sha256 != one.summary.sha256


def test_random_mix_is_three_times_smaller(tmp_path):
    source = workload("random-mix", events=300_000)
    with TraceWriter(tmp_path / "x.cow") as out:
        for chunk in source.chunks(1):
            out.write(chunk)
    trace = load_trace(tmp_path / "x.cow")
    assert trace.path.stat().st_size * 3 < trace.events * EVENT.itemsize
    assert (everything(trace.path) == np.concatenate(list(source.chunks(1)))).all()


def state_of(path: Path) -> tuple:
    """All that a reader gets from a file."""
    trace = load_trace(path)
    parts = list(trace.records())
    columns = [(name, b"".join(part[1][name].tobytes() for part in parts)) for name in trace.columns]
    return trace.header, trace.summary, b"".join(part[0].tobytes() for part in parts), columns


@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_every_changed_byte_is_found_or_harmless(tmp_path, compression):
    events = some_events(40)
    path = write(
        tmp_path / "x.cow", events, {"word": np.arange(40, dtype="u2")}, compression=compression, frame_events=16
    )
    good, before = path.read_bytes(), state_of(path)
    bad = tmp_path / "bad.cow"
    found = 0
    for place in range(len(good)):
        for change in (0x01, 0x80, 0xFF):
            bad.write_bytes(good[:place] + bytes([good[place] ^ change]) + good[place + 1 :])
            try:
                after = state_of(bad)
            except TraceError:
                found += 1
            else:
                assert after == before, f"byte {place} changed by {change:#x} passes for good"
    assert found == 3 * len(good)  # every byte is under a checksum


def test_every_truncation_is_found_and_what_is_whole_can_be_read(tmp_path):
    events = some_events(64)
    path = write(tmp_path / "x.cow", events, frame_events=16)
    good = path.read_bytes()
    header = fmt.PREFIX_SIZE + fmt.unpack_prefix(good[: fmt.PREFIX_SIZE])[0]
    cut = tmp_path / "cut.cow"
    lengths = set()
    for length in range(len(good)):
        cut.write_bytes(good[:length])
        with pytest.raises(TraceError):
            load_trace(cut)
        if length < header:
            with pytest.raises(TraceError):
                load_trace(cut, partial=True)
        else:
            trace = load_trace(cut, partial=True)
            assert trace.events % 16 == 0
            got = np.concatenate([np.zeros(0, EVENT), *trace.chunks()])
            assert (got == events[: trace.events]).all()
            assert "cut off" in trace.notes[0]
            lengths.add(trace.events)
    assert lengths == {0, 16, 32, 48, 64}


@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_a_damaged_frame_is_named_and_what_is_before_it_is_read(tmp_path, compression):
    events = some_events(100)
    path = write(tmp_path / "x.cow", events, compression=compression, frame_events=30)
    trace = load_trace(path)
    data = bytearray(path.read_bytes())
    data[int(trace._frames["offset"][2]) + fmt.FRAME_SIZE + 5] ^= 4
    path.write_bytes(data)
    got = []
    with pytest.raises(TraceError, match=r"frame 3 of 4 \(events 60 to 89\).*checksum.*--events 0:60"):
        for chunk in load_trace(path).chunks():
            got.append(chunk.copy())
    assert (np.concatenate(got) == events[:60]).all()
    after = np.concatenate(list(load_trace(path).chunks(start=90)))
    assert (after == events[90:]).all()


# ---------------------------------------------------------------- hostile files: all checksums right, all claims wrong


def crafted(path: Path, *, header=None, frame=None, payload=None, index=None, summary=None, events: int = 4) -> Path:
    """A file whose checksums are right, with parts replaced."""
    good = load_trace(write(path, some_events(events)))
    text = header if header is not None else msgspec.json.encode(good.header)
    start = fmt._PREFIX.pack(fmt.MAGIC, len(text), zlib.crc32(text, zlib.crc32(struct.pack("<I", len(text))))) + text
    raw = fmt.by_column([some_events(events)])
    body = payload if payload is not None else zstandard.compress(raw)
    claims = {"events": events, "raw": len(raw)} | (frame or {})
    data = start + fmt.pack_frame(fmt.EVENTS_FRAME, claims["events"], 0, claims["raw"], body)
    rows = np.array([(len(start), claims["events"], 0)] if index is None else index, fmt.INDEX)
    total = int(rows["events"].sum()) & 0xFFFFFFFFFFFFFFFF
    told = msgspec.structs.replace(good.summary, **({"events": total} | (summary or {})))
    place = len(data)
    data += fmt.pack_frame(fmt.SUMMARY_FRAME, 0, 0, len(msgspec.json.encode(told)), msgspec.json.encode(told))
    there = len(data)
    data += fmt.pack_frame(fmt.INDEX_FRAME, len(rows), 0, rows.nbytes, rows.tobytes()) + fmt.pack_footer(place, there)
    path.write_bytes(data)
    return path


def test_a_crafted_file_that_claims_nothing_wrong_is_read(tmp_path):
    assert (everything(crafted(tmp_path / "x.cow")) == some_events(4)).all()


HOSTILE = {
    "2^60 events in the summary": {"summary": {"events": 1 << 60}},
    "2^32 - 1 events in a frame": {"frame": {"events": 0xFFFFFFFF}},
    "many frames at one place": {"index": [(200, 1 << 20, 0)] * 100},
    "a bomb: a frame of a gigabyte of zeros": {"payload": zstandard.compress(bytes(1 << 26))},
    "a frame that does not say its size": {
        "payload": zstandard.ZstdCompressor(write_content_size=False).compress(bytes(48))
    },
    "a frame that is no zstd": {"payload": b"x" * 48},
    "an empty frame": {"payload": zstandard.compress(b"")},
    "an index beyond the file": {"index": [(1 << 62, 4, 0)]},
    "a space beyond all": {"summary": {"space": 1 << 60}},
    "70,000 processes": {"summary": {"processes": 70_000}},
    "another version": {"header": b'{"version": 99}'},
    "a column of an unknown type": {"header": b'{"columns": [["x", "O"]]}'},
    "a thousand columns": {"header": msgspec.json.encode({"columns": [["x", "u1"]] * 1000})},
    "deep nesting": {"header": b"[" * 100_000},
    "not JSON": {"header": b"\xff\xfe"},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_claims_are_refused_in_little_memory(tmp_path, what):
    import tracemalloc

    path = crafted(tmp_path / "x.cow", **HOSTILE[what])
    tracemalloc.start()
    try:
        with pytest.raises(TraceError):
            everything(path)
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


def test_a_header_that_claims_four_gigabytes(tmp_path):
    path = tmp_path / "x.cow"
    path.write_bytes(struct.pack("<8sII", fmt.MAGIC, 0xFFFFFFFF, 0))
    with pytest.raises(TraceError, match="header claims"):
        load_trace(path)


def test_a_sparse_file_of_ten_gigabytes(tmp_path):
    path = tmp_path / "x.cow"
    good = write(tmp_path / "good.cow", some_events(4)).read_bytes()
    with path.open("wb") as file:
        file.write(good)
        file.truncate(10 << 30)
    with pytest.raises(TraceError, match="cut off"):
        load_trace(path)
    assert load_trace(path, partial=True).events == 4


def test_not_a_regular_file(tmp_path):
    fifo, loop = tmp_path / "fifo", tmp_path / "loop"
    os.mkfifo(fifo)
    loop.symlink_to(loop)
    for path, said in ((tmp_path, "directory"), (fifo, "regular file"), (loop, "cannot be read"), (tmp_path / "no", "cannot be read"),
                       (Path("/dev/zero"), "regular file")):  # fmt: skip
        with pytest.raises(TraceError, match=said):
            load_trace(path)
    for path in (tmp_path, fifo, loop, tmp_path / "no" / "x.cow"):
        with pytest.raises(TraceError):
            TraceWriter(path)


def test_no_permission(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    path = write(tmp_path / "x.cow", some_events(4))
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(TraceError, match="Permission denied"):
        load_trace(path)
    with pytest.raises(TraceError, match="Permission denied"):
        TraceWriter(tmp_path / "y.cow")


@pytest.mark.parametrize(("start", "said"), [(b"", "empty"), (b"PERFILE2", "perf script"), (b"\xfd7zXZ\0", "import perf"),
                                             (b"op,pid\n", "import csv"), (b"hello", "not a .cow trace"),
                                             (fmt.MAGIC[:5], "ends within its header")])  # fmt: skip
def test_foreign_files_are_recognised(tmp_path, start, said):
    path = tmp_path / "x.cow"
    path.write_bytes(start)
    with pytest.raises(TraceError, match=said):
        load_trace(path)


# ---------------------------------------------------------------- writing


def test_nothing_is_left_behind(tmp_path):
    path = write(tmp_path / "x.cow", some_events(10))
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), TraceWriter(path) as out:
        out.write(some_events(100))
        raise ZeroDivisionError
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x.cow"]
    out = TraceWriter(tmp_path / "y.cow")
    assert len(os.listdir(tmp_path)) == 2
    del out
    assert os.listdir(tmp_path) == ["x.cow"]


def test_a_full_disk(tmp_path, monkeypatch):
    path = write(tmp_path / "x.cow", some_events(10))
    before = path.read_bytes()
    out = TraceWriter(path, frame_events=10)

    class Full:
        def __init__(self, file):
            self.file = file

        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

        def __getattr__(self, name):
            return getattr(self.file, name)

    out._file = Full(out._file)
    with pytest.raises(TraceError, match="No space left"):
        out.write(some_events(20))
    assert os.listdir(tmp_path) == ["x.cow"]
    assert path.read_bytes() == before


def test_events_that_cannot_be_are_refused(tmp_path):
    out = TraceWriter(tmp_path / "x.cow", columns={"word": "u2"})
    bad = some_events(5)
    bad["op"][3] = 77
    with pytest.raises(TraceError, match="event 3"):
        out.write(bad, word=np.zeros(5, "u2"))
    with pytest.raises(TraceError, match="number in"):
        out.write(some_events(5))
    with pytest.raises(TraceError, match="EVENT array"):
        out.write(np.zeros(5))
    with pytest.raises(TraceError, match="columns"):
        TraceWriter(tmp_path / "y.cow", columns={"word": "f8"})
    out.abort()
    assert os.listdir(tmp_path) == []


def test_footprint_counts_as_a_dictionary_would(tmp_path):
    events = next(workload("random-mix", events=30_000, processes=8, pages=3000).chunks(2))
    have: dict[int, set[int]] = {}
    total = peak = 0
    for op, _, pid, page, _ in events.tolist():
        if op in (Op.READ, Op.WRITE, Op.GET, Op.PIN):
            pages = have.setdefault(pid, set())
            total += page not in pages
            pages.add(page)
            peak = max(peak, total)
        elif op in (Op.EXIT, Op.EXEC):
            total -= len(have.pop(pid, ()))
    assert load_trace(write(tmp_path / "x.cow", events)).footprint == peak
