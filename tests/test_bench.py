# SPDX-License-Identifier: MIT
"""`cowfast bench`: what it prints, what it leaves out and why, and that both sides get the same work."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib

import numpy as np
import pytest

from cowfast.bench import MEASUREMENTS, bench, mixes, row_names
from cowfast.bench._yardstick import Plain
from cowfast.bench.mixes import for_cow, mix, segments
from cowfast.bench.rows import Figure, Promise
from cowfast.bench.timing import in_turns, seconds
from cowfast.errors import SpecError
from cowfast.events import EVENT, Op, make_events

COMPILER = shutil.which(os.environ.get("CC", "cc"))
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
QUICKEST = "fork-4Ki-sequential"

COW = """
#include <stdlib.h>
#include <stdint.h>
#include <stddef.h>
typedef struct { uint8_t op; uint32_t pid, vpn; } ev_t;
void *sim_new(uint32_t processes, uint32_t pages, uint32_t policy, int huge) {
    uint32_t *s = calloc(4, 4); s[0] = processes; s[1] = pages; return s;
}
void sim_run(void *p, const ev_t *e, size_t n) {
    uint32_t *s = p;
    for (size_t i = 0; i < n; i++) {
        if (e[i].op > 3 || e[i].pid >= s[0] || e[i].vpn >= (e[i].op == 3 ? s[0] : s[1])) abort();
        s[2] += e[i].vpn;
    }
}
"""
KERNEL = """
#include <stdio.h>
int main(void) {
    puts("pages 65536, empty fork 1.0 us");
    puts("  fork, per mapped PTE         min     70.0  med     71.0 ns/page");
    puts("  COW copy fault               min   2000.0  med   2100.0 ns/page");
    puts("  reuse fault (child exited)   min    900.0  med    950.0 ns/page");
    return 0;
}
"""


def cowfast(*words, **environment):
    command = [sys.executable, "-c", "from cowfast.cli import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


def test_json_has_rows_of_six_fields():
    done = cowfast("bench", "--rows", QUICKEST, "--rounds", "1", "--format", "json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (row,) = document["rows"]
    assert set(row) == {"name", "unit", "cowfast", "yardstick", "ratio", "goal"}
    assert (row["name"], row["unit"], row["goal"]) == (QUICKEST, "ns/pte", round(1 / 1.4, 4))
    assert row["cowfast"] > 0
    assert row["ratio"] == pytest.approx(row["yardstick"] / row["cowfast"])
    assert document["conditions"]["rounds"] == "1"
    assert list(document["notes"]) == [QUICKEST]
    assert document["missing"] == {}


def test_csv_is_a_table():
    done = cowfast("bench", "--rows", QUICKEST, "--rounds", "1", "--format", "csv", "-q")
    head, line = done.stdout.splitlines()
    assert head == "row,cowfast,yardstick,unit,ratio,goal"
    assert line.startswith(f"{QUICKEST},")
    assert done.stderr == ""


def test_all_rows_that_were_promised_exist():
    names = row_names()
    assert len(names) == len(set(names))
    assert {f"mix-{scale}" for scale in ("16x1024", "64x4096", "64x32768", "64x1048576")} < set(names)
    assert {"hits-L2", "hits-memory", "threads-2", "bytes-64x4096", "memory-10000x4096", "lru-1e7"} < set(names)
    assert {"kernel-copy", "kernel-reuse", "kernel-fork", "prefetch-64x32768", "generation-16x1024"} < set(names)
    assert {"fork-4Ki-random", "fork-16Mi-sequential", "policy-linux-6.18"} < set(names)


def test_an_unknown_row_is_answered_with_the_nearest():
    done = cowfast("bench", "--rows", "mix-64x4069")
    assert done.returncode == 2
    assert "no row 'mix-64x4069'; did you mean mix-64x4096" in done.stderr
    assert done.stdout == ""


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(SpecError, match="is not a folder"):
        bench([QUICKEST], yardstick=tmp_path / "nothing")


def test_without_a_compiler_the_row_is_left_out(tmp_path):
    (tmp_path / "cow.c").write_text(COW)
    done = cowfast("bench", "--yardstick", str(tmp_path), "--rows", "mix-16x1024", "--format", "json", CC="no-such-cc")
    assert done.returncode == 0
    assert json.loads(done.stdout)["rows"] == []
    assert "mix-16x1024 is left out: there is no compiler 'no-such-cc'" in done.stderr


@needs_compiler
def test_a_source_that_is_not_there_or_does_not_compile(tmp_path):
    (tmp_path / "cow.c").write_text("int sim_new = ;\n")
    found = bench(["mix-16x1024", "hits-L2"], yardstick=tmp_path, rounds=1)
    assert found.rows == []
    assert "cow.c does not compile" in found.missing["mix-16x1024"]
    assert "sol.c does not exist" in found.missing["hits-L2"]


@needs_compiler
def test_a_source_without_the_function_that_is_wanted(tmp_path):
    (tmp_path / "cow.c").write_text("int nothing;\n")
    assert bench(["mix-16x1024"], yardstick=tmp_path, rounds=1).missing == {
        "mix-16x1024": "the yardstick has no function sim_new"
    }


@needs_compiler
def test_a_yardstick_folder(tmp_path):
    (tmp_path / "cow.c").write_text(COW)
    (tmp_path / "kernel_cow.c").write_text(KERNEL)
    found = bench(["mix-16x1024", "kernel-copy", "kernel-fork"], yardstick=tmp_path, rounds=1, quick=True)
    assert found.missing == {}
    by_name = {row.name: row for row in found.rows}
    assert list(by_name) == ["mix-16x1024", "kernel-copy", "kernel-fork"]
    row = by_name["mix-16x1024"]
    assert (row.unit, row.goal) == ("M events/s", 0.8)
    assert row.ratio == row.cowfast / row.yardstick
    assert 0 < row.ratio < 1  # a loop that only adds is faster than a simulator
    assert "per 1000 events" in found.notes["mix-16x1024"]
    assert by_name["kernel-copy"].yardstick == 2000.0
    assert by_name["kernel-fork"].yardstick == 70.0
    assert by_name["kernel-copy"].ratio == 2000.0 / by_name["kernel-copy"].cowfast


@needs_compiler
def test_a_yardstick_that_crashes_is_a_reason(tmp_path):
    (tmp_path / "cow.c").write_text(COW.replace("s[2] += e[i].vpn;", "abort();"))
    found = bench(["mix-16x1024"], yardstick=tmp_path, rounds=1)
    assert found.rows == []
    assert "died" in found.missing["mix-16x1024"]


def test_a_quick_run_leaves_long_rows_out():
    found = bench(["mix-64x1048576", "fork-16Mi-random"], quick=True)
    assert found.missing == dict.fromkeys(["mix-64x1048576", "fork-16Mi-random"], "not in a quick run")


def test_check_is_for_gates(monkeypatch):
    from cowfast.bench import run as driver
    from cowfast.cli.main import invoke

    goal = next(promise.goal for each in MEASUREMENTS for promise in each.promises if promise.name == QUICKEST)
    for ours, code in ((1.0 / goal * 0.99, 0), (1.0 / goal * 1.01, 1)):
        monkeypatch.setattr(driver, "_alone", lambda *_, ours=ours: {QUICKEST: Figure(ours, 1.0)})
        assert invoke(["bench", "-q", "--rows", QUICKEST, "--check"]) == code
        assert invoke(["bench", "-q", "--rows", QUICKEST]) == 0


def test_a_ratio_is_how_many_times_better():
    assert Promise("rate", "M events/s", 0.8).row(Figure(40.0, 50.0), own=False).ratio == 0.8
    assert Promise("cost", "ns", 0.8, cost=True).row(Figure(40.0, 50.0), own=False).ratio == 1.25
    assert Promise("rate", "M/s", 0.8, own_goal=0.5).row(Figure(1.0, 1.0), own=True).goal == 0.5
    assert Promise("rate", "M/s", 0.8, own_goal=0.5).row(Figure(1.0, 1.0), own=False).goal == 0.8


def test_turns_change_and_the_least_counts():
    calls = []
    works = {name: (lambda given, name=name: calls.append((name, given))) for name in "ab"}
    numbers = iter(range(3))
    least = in_turns(3, works, lambda: next(numbers))
    assert calls == [("a", 0), ("b", 0), ("b", 1), ("a", 1), ("a", 2), ("b", 2)]
    assert set(least) == {"a", "b"}
    assert all(0 <= value < 1 for value in least.values())
    assert seconds(sum, range(200_000)) > least["a"]


def test_both_sides_get_the_same_events():
    events = make_events(
        [("read", 1, 5), ("write", 2, 6), ("pageout", 3, 7, 1), ("exit", 4), ("fork", 0, 0, 4), ("read", 4, 8)]
    )
    theirs = for_cow(events)
    assert [tuple(map(int, each)) for each in theirs] == [(0, 1, 5), (1, 2, 6), (2, 3, 7), (3, 4, 0), (0, 4, 8)]


def test_the_mix_is_the_one_that_is_said():
    source = mix(16, 1024)
    stream, before = segments(source, 1 << 18)
    assert np.bincount(before["op"])[[Op.WRITE, Op.FORK]].tolist() == [1024, 15]
    shares = np.bincount(next(stream)["op"], minlength=Op.NR_OPS) / (1 << 18)
    assert shares[[Op.READ, Op.WRITE, Op.PAGEOUT]] == pytest.approx([0.475, 0.475, 0.05], abs=0.005)
    assert shares[[Op.FORK, Op.EXIT]] == pytest.approx([0.4 / 1024] * 2, rel=0.02)
    assert mixes.simulator("linux-6.18", source).machine.memory == 16 * 1024 * 3 // 4


@pytest.mark.parametrize("ahead", [False, True])
def test_the_plain_loop_counts_copies_right(ahead):
    """Beside a dictionary of who has which page."""
    source = mix(8, 64)
    stream, before = segments(source, 20_000)
    events = np.concatenate([before, next(stream)])
    loop = Plain(8, 64, ahead)
    loop.run(events)
    has, owners, copied = {}, {}, 0  # (pid, page) -> thing or None if swapped out; thing -> how many have it

    def give(key, thing):
        has[key] = thing
        owners[thing] = owners.get(thing, 0) + 1

    for number, event in enumerate(events):
        op, pid, page, arg = (int(event[name]) for name in ("op", "pid", "page", "arg"))
        thing = has.get((pid, page))
        if op <= Op.WRITE and thing is None:
            give((pid, page), number)
        elif op == Op.WRITE and owners[thing] > 1:
            owners[thing] -= 1
            give((pid, page), number)
            copied += 1
        elif op == Op.PAGEOUT and thing is not None and owners[thing] == 1:
            has[pid, page] = None
        elif op == Op.FORK:
            for (who, where), what in [each for each in has.items() if each[0][0] == pid]:
                assert who == pid
                if what is None:
                    has[arg, where] = None
                else:
                    give((arg, where), what)
        elif op == Op.EXIT:
            for key in [key for key in has if key[0] == pid]:
                if (what := has.pop(key)) is not None:
                    owners[what] -= 1
    assert copied > 1000
    assert loop.copied == copied


@pytest.fixture(scope="module")
def callgrind(root):
    spec = importlib.util.spec_from_file_location("callgrind", root / "benchmarks" / "callgrind.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_mix_has_ceilings(callgrind):
    ceilings = tomllib.loads(callgrind.CEILINGS.read_text())
    assert set(ceilings) == {"compiler", *callgrind.MIXES}
    assert len(callgrind.MIXES) == 4
    for name in callgrind.MIXES:
        assert set(ceilings[name]) == {"instructions", "mispredictions"}


def test_a_ceiling_breaks(callgrind, capsys):
    ceilings = {"hits": {"instructions": 100.0, "mispredictions": 0.5}}
    assert callgrind.broken({"hits": {"instructions": 100.0, "mispredictions": 0.5}}, ceilings) == []
    assert callgrind.broken({"hits": {"instructions": 100.1, "mispredictions": 0.5}}, ceilings) == ["hits instructions"]
    assert callgrind.broken({"new": {"instructions": 1.0}}, ceilings) == ["new instructions"]
    assert "TOO MANY" in capsys.readouterr().out


def test_dumps_are_read(callgrind, tmp_path):
    text = "desc: Trigger: --dump-after=run\n\npositions: line\nevents: Ir Bc Bcm Bi Bim\nsummary: {} 4 3 2 1\n"
    for number in (10, 2, 1):
        (tmp_path / f"out.{number}").write_text(text.format(number))
    (tmp_path / "out.11").write_text("desc: Trigger: Program termination\nevents: Ir\nsummary: 0\n")
    assert [dump["Ir"] for dump in callgrind.counts(tmp_path)] == [1, 2, 10]
    assert next(callgrind.counts(tmp_path))["Bim"] == 1


def test_the_entry_that_is_counted_exists(callgrind):
    assert callgrind.entry_point().startswith("__pyx_pw_7cowfast_7_engine_6Engine_")


def test_ready_events_need_no_mixed_dtype():
    assert mixes.COW_EVENT.itemsize == EVENT.itemsize == 12
