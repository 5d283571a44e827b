# SPDX-License-Identifier: MIT
"""`cowfast trace ...` and `record` as commands: what they print, and what they refuse."""

import json

import pytest

from cowfast.cli.main import invoke
from cowfast.traces import import_perf, load_trace


@pytest.fixture(scope="module")
def redis(tmp_path_factory, data):
    return str(import_perf(data / "redis-bgsave.txt.xz", tmp_path_factory.mktemp("redis") / "redis.cow").path)


def test_info_as_json_and_as_a_table(redis, capsys):
    assert invoke(["trace", "info", redis, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["events"], found["semantics"]) == (load_trace(redis).events, "fault")
    assert found["found"]["copied by the kernel"] == 10_116
    assert invoke(["trace", "info", redis]) == 0
    printed = capsys.readouterr()
    assert "write-protection faults" in printed.out
    assert "understate re-touching" in printed.err


def test_cut_merge_convert_and_cat(redis, tmp_path, capsys):
    a, b, c = (str(tmp_path / f"{name}.cow") for name in "abc")
    assert invoke(["trace", "cut", redis, "--events", "0:4000", "-o", a, "-q"]) == 0
    assert invoke(["trace", "cut", redis, "--seconds", "2:", "-o", b, "-q"]) == 0
    assert invoke(["trace", "merge", a, b, "-o", c, "--by", "time", "-q"]) == 0
    assert load_trace(c).events == load_trace(a).events + load_trace(b).events + 1
    assert invoke(["trace", "convert", c, str(tmp_path / "c.csv")]) == 0
    assert invoke(["trace", "cat", c, "--first", "0", "--count", "2"]) == 0
    assert capsys.readouterr().out == f"fork 0 {load_trace(a).processes}\nfork 0 1\n"


def test_what_is_whole_of_a_file_that_was_cut_off(redis, tmp_path, capsys):
    broken, good = tmp_path / "broken.cow", tmp_path / "good.cow"
    trace = load_trace(redis)
    broken.write_bytes(trace.path.read_bytes()[:-100])
    assert invoke(["trace", "info", str(broken)]) == 2
    assert "--partial" in capsys.readouterr().err
    assert invoke(["trace", "cut", str(broken), "--partial", "-o", str(good), "-q"]) == 0
    assert load_trace(good).summary.sha256 == trace.summary.sha256


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trace", "cut", "TRACE", "--events", "7", "-o", "x.cow"], "START:STOP"),
        (["trace", "cut", "TRACE", "--events", "9:3", "-o", "x.cow"], "START:STOP"),
        (["trace", "cut", "TRACE", "--process", "77", "-o", "x.cow"], "process 77"),
        (["trace", "convert", "TRACE", "x.doc"], ".csv, .parquet or .cow"),
        (["trace", "merge", "TRACE", "-o", "x.cow"], "two traces"),
        (["trace", "import", "csv", "TRACE", "-o", "x.cow"], "binary"),
        (["record", "-o", "x.cow", "--", "no-such-program"], "no such program|not installed|needs root"),
    ],
)
def test_bad_input_exits_with_2(redis, tmp_path, monkeypatch, capsys, words, said):
    import re

    monkeypatch.chdir(tmp_path)
    assert invoke([redis if word == "TRACE" else word for word in words]) == 2
    assert re.search(said, capsys.readouterr().err)
    assert not list(tmp_path.iterdir())
