# SPDX-License-Identifier: MIT
"""info, cat, cut, convert, merge; and that what they write can be run."""

import os

import numpy as np
import pytest

from cowfast._layout import Op
from cowfast.errors import TraceError
from cowfast.events import EVENT, make_events
from cowfast.simulate import simulate
from cowfast.traces import Trace, TraceWriter, cat, convert, cut, import_perf, load_trace, merge, trace_info
from cowfast.workloads import workload


@pytest.fixture(scope="module")
def mix(tmp_path_factory) -> Trace:
    path = tmp_path_factory.mktemp("mix") / "mix.cow"
    source = workload("random-mix", events=40_000, processes=8, pages=200)
    with TraceWriter(path, frame_events=5000) as out:
        for chunk in source.chunks(5):
            out.write(chunk)
    return load_trace(path)


@pytest.fixture(scope="module")
def redis(tmp_path_factory) -> Trace:
    from pathlib import Path

    data = Path(__file__).parent / "data" / "redis-bgsave.txt.xz"
    return import_perf(data, tmp_path_factory.mktemp("redis") / "redis.cow")


def whole(trace: Trace) -> np.ndarray:
    return np.concatenate([np.zeros(0, EVENT), *trace.chunks()])


def test_info_counts_as_numpy_does(mix, redis):
    info = trace_info(mix)
    events = whole(mix)
    accesses = events[events["op"] <= Op.WRITE]
    assert info["pages_touched"] == len(np.unique(accesses["page"]))
    assert sum(n for _, n in info["accesses_per_page"]) == info["pages_touched"]
    assert sum(n for _, n in info["shared_pages"]) == info["pages_touched"]
    pairs = np.unique(accesses["pid"].astype(np.uint64) << np.uint64(32) | accesses["page"])
    assert sum(k * n for k, n in info["shared_pages"]) == len(pairs)
    total = sum(row["reads"] + row["writes"] for row in info["accesses_per_process"].values())
    assert total == len(accesses)
    assert "seconds" not in info
    assert 3 < trace_info(redis)["seconds"] < 5


def test_info_of_an_empty_trace(tmp_path):
    with TraceWriter(tmp_path / "x.cow"):
        pass
    info = trace_info(load_trace(tmp_path / "x.cow"))
    assert (info["events"], info["pages_touched"], info["shared_pages"]) == (0, 0, [])


def test_cat(mix, redis):
    lines = list(cat(mix, 10, 13))
    assert lines == [f"write 0 {page}" for page in (10, 11, 12)]
    told = [line for line in cat(redis, extra=True) if "kernel: copied" in line]
    assert len(told) > 10_000
    assert " line " in told[0]
    assert told[0].startswith("write ")


def test_a_cut_by_events_runs(mix, tmp_path):
    part = cut(mix, tmp_path / "part.cow", events=(20_000, 30_000))
    assert part.summary.events_by_op["fork"] >= 7  # those that were alive
    kinds = (Op.READ, Op.WRITE, Op.PAGEOUT, Op.EXIT, Op.MERGE)
    one, two = whole(part), whole(mix)[20_000:30_000]
    assert (one[np.isin(one["op"], kinds)] == two[np.isin(two["op"], kinds)]).all()
    # What releases a reference from before the cut is left out.
    assert 0 < 10_000 + part.summary.events_by_op["fork"] - part.events < 200
    assert simulate(part, "linux-6.18").counters["events"] == part.events
    writes = cut(mix, tmp_path / "first.cow", events=(0, 7_000))
    assert (whole(writes) == whole(mix)[:7_000]).all()
    assert simulate(writes, "linux-6.18").counters["events"] == 7_000


def test_a_cut_by_processes_keeps_their_ancestors(mix, tmp_path):
    part = cut(mix, tmp_path / "part.cow", processes=[5])
    events = whole(part)
    accesses = events[events["op"] <= Op.WRITE]
    assert set(accesses["pid"]) == {5}
    original = whole(mix)
    mine = original[(original["op"] <= Op.WRITE) & (original["pid"] == 5)]
    assert len(accesses) == len(mine)
    assert simulate(part, "linux-6.18").counters["events"] == part.events


def test_a_cut_by_time(redis, tmp_path):
    part = cut(redis, tmp_path / "part.cow", seconds=(1.0, 2.0))
    times = np.concatenate([columns["time"] for _, columns in part.records()])
    times = times[times > 0]
    assert times.min() >= 1_000_000
    assert times.max() < 2_000_000
    result = simulate(part, "linux-6.18")
    assert result.counters["events"] == part.events
    assert any("pages are not known" in note for note in part.notes)


def test_cuts_that_cannot_be(mix, redis, tmp_path):
    out = tmp_path / "x.cow"
    for options, said in (
        ({"events": (5, 2)}, "START:STOP"),
        ({"processes": [99]}, "process 99"),
        ({"seconds": (0, 1)}, "does not know times"),
    ):
        with pytest.raises(TraceError, match=said):
            cut(mix, out, **options)
    with pytest.raises(TraceError, match="nothing between"):
        cut(redis, out, seconds=(900, 1000))
    assert os.listdir(tmp_path) == []


def test_convert_to_the_memory_mapped_form_and_back(redis, tmp_path):
    convert(redis, tmp_path / "plain.cow", compression="none")
    plain = load_trace(tmp_path / "plain.cow")
    convert(plain, tmp_path / "again.cow", compression="zstd")
    again = load_trace(tmp_path / "again.cow")
    assert plain.summary.sha256 == again.summary.sha256 == redis.summary.sha256
    assert again.notes == redis.notes
    assert plain.path.stat().st_size > 4 * again.path.stat().st_size
    for (_, one), (_, two) in zip(redis.records(size=999), again.records(size=999), strict=True):
        assert all((one[name] == two[name]).all() for name in redis.columns)


def test_convert_to_parquet(redis, tmp_path):
    polars = pytest.importorskip("polars")
    convert(redis, tmp_path / "x.parquet")
    frame = polars.read_parquet(tmp_path / "x.parquet")
    assert frame.columns == ["op", "flags", "pid", "page", "arg", "kernel", "time", "line"]
    events = whole(redis)
    assert (frame["page"].to_numpy() == events["page"]).all()
    assert (frame["op"].to_numpy() == events["op"]).all()
    with pytest.raises(TraceError, match=r"\.csv, \.parquet or \.cow"):
        convert(redis, tmp_path / "x.txt")


@pytest.mark.parametrize("by", ["turns", "end"])
def test_merge_keeps_each_trace_as_it_was(mix, tmp_path, by):
    both = merge([mix, mix], tmp_path / "both.cow", by=by)
    assert (both.events, both.processes, both.space) == (2 * mix.events + 1, 16, 400)
    events = whole(both)[1:]
    one = whole(mix)
    touched = np.isin(events["op"], [Op.READ, Op.WRITE])
    for base, page in ((0, 0), (8, 200)):
        mine = events[touched & (events["pid"] >= base) & (events["pid"] < base + 8)]
        expected = one[np.isin(one["op"], [Op.READ, Op.WRITE])]
        assert (mine["page"] == expected["page"] + page).all()
    alone, together = simulate(mix, "linux-6.18"), simulate(both, "linux-6.18")
    if by == "end":
        assert together.counters["copies"] == 2 * alone.counters["copies"]
    assert together.counters["forks"] == 2 * alone.counters["forks"] + 1


def test_merge_by_time(redis, mix, tmp_path):
    both = merge([redis, redis], tmp_path / "both.cow", by="time")
    assert both.events == 2 * redis.events + 1
    assert simulate(both, "linux-6.18").counters["events"] == both.events
    with pytest.raises(TraceError, match="cannot be merged"):
        merge([redis, mix], tmp_path / "x.cow")
    with pytest.raises(TraceError, match="does not know times"):
        merge([mix, mix], tmp_path / "x.cow", by="time")
    with pytest.raises(TraceError, match="two traces"):
        merge([mix], tmp_path / "x.cow")


def test_a_replay_is_the_same_from_every_form(redis, tmp_path):
    convert(redis, tmp_path / "plain.cow", compression="none")
    results = [simulate(source, "linux-5.10", memory=3000, machine={"swap_slots": 100_000}, chunk=chunk).counters
               for source in (redis, load_trace(tmp_path / "plain.cow")) for chunk in (None, 977)]  # fmt: skip
    assert all(one == results[0] for one in results)
    assert results[0]["copies"] > 9_000


def test_make_events_of_a_trace_are_records(mix):
    assert whole(mix).dtype == EVENT == make_events([]).dtype
