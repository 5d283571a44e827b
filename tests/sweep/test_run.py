# SPDX-License-Identifier: MIT
"""A sweep gives the same rows whoever does the work, and goes on where it was stopped."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cowfast.errors import CowfastError, ResultsError, SpecError
from cowfast.executors import open_executor
from cowfast.results import ResultsWriter, load_results, rerun
from cowfast.sweep import Summary, plan_sweep, run_plan, sweep

SPEC = {
    "source": "random-mix",
    "source_parameters": {"events": 5000, "pages": 64, "processes": 4},
    "memory": "75%",
    "grid": {"policy": ["linux-5.10", "linux-5.16", "linux-6.1", "always-copy", "sole-owner"], "seed": [1, 2, 3]},
}
COMMAND = [sys.executable, "-c", "from cowfast.cli import main; main()"]


def told(rows):
    """What must be the same: everything but times and host."""
    return {row["id"]: (row["spec"], row["counters"], row["policy"], row["seed"], row.get("samples")) for row in rows}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    rows = sweep(SPEC, tmp_path_factory.mktemp("serial") / "results.jsonl", executor="serial")
    assert len(rows) == 15
    return told(rows)


@pytest.mark.parametrize("executor", ["threads:1", "threads:3", "threads", "processes:2"])
def test_the_rows_do_not_depend_on_who_does_the_work(tmp_path, expected, executor):
    assert told(sweep(SPEC, tmp_path / "results.jsonl", executor=executor)) == expected


def test_any_executor_will_do(tmp_path, expected):
    with ThreadPoolExecutor(2) as pool:
        assert told(sweep(SPEC, tmp_path / "results.jsonl", executor=pool)) == expected
        assert pool.submit(int, "3").result() == 3  # it is the caller's and still open


def test_loky_will_do(tmp_path, expected):
    loky = pytest.importorskip("loky")
    with loky.ProcessPoolExecutor(2) as pool:
        assert told(sweep(SPEC, tmp_path / "results.jsonl", executor=pool)) == expected


def test_what_is_there_is_not_done_again(tmp_path, expected):
    path = tmp_path / "results.jsonl"
    part = SPEC | {"grid": {"policy": ["linux-6.1", "linux-5.16"], "seed": [2]}}
    sweep(part, path, executor="serial")
    with ResultsWriter(path) as writer, open_executor("serial") as workers:
        plan = plan_sweep(SPEC)
        summary = Summary(plan.runs)
        steps = list(run_plan(plan, writer, workers, summary))
    assert (summary.found, summary.finished) == (2, 13)
    assert steps[-1].runs == steps[-1].total_runs == 15
    assert told(load_results(path)) == expected


def test_a_row_can_be_run_again_from_itself(tmp_path):
    for row in sweep(SPEC | {"sample_every": 1000}, tmp_path / "results.jsonl", executor="serial")[:3]:
        again = rerun(row)
        assert again.counters.to_dict() == row["counters"]
        assert again.spec_hash == row["id"]
        assert again.samples == row["samples"]


def test_a_policy_that_is_not_built_in_is_in_its_row(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('based_on = "linux-5.10"\nname = "mine"\n')
    [row] = sweep(SPEC | {"grid": {"policy": [str(mine)]}}, tmp_path / "results.jsonl", executor="serial")
    mine.unlink()
    assert rerun(row).counters.to_dict() == row["counters"]


def test_a_row_of_other_checks_is_not_run(tmp_path):
    [row] = sweep(SPEC | {"grid": {"policy": ["linux-5.10"]}}, tmp_path / "results.jsonl", executor="serial")
    row["spec"]["policy_hash"] = "something else"
    with pytest.raises(SpecError, match="other checks"):
        rerun(row)


def test_a_run_that_cannot_end_well_is_kept_apart_and_the_others_go_on(tmp_path):
    spec = SPEC | {"memory": None, "machine": {"swap": "none"}, "zip": {"machine.memory": [20, 0]}}
    spec["grid"] = {"policy": ["linux-6.1"]}
    path = tmp_path / "results.jsonl"
    rows = sweep(spec, path, executor="serial")
    assert [row["spec"]["machine"]["memory"] for row in rows] == [0]
    [failed] = rows.failed
    assert "memory is full" in failed["error"]
    assert failed["counters"]["events"] < 5000
    assert len(sweep(spec, path, executor="serial").failed) == 1


def test_a_source_that_breaks_has_no_row(tmp_path):
    class Broken:
        name, processes, space, events, footprint, semantics = "broken", 1, 10, 5, 10, "access"

        def spec(self):
            return {"array": "broken"}

        def chunks(self, seed=0, size=1):
            raise CowfastError("no more paper")

    from cowfast.sweep.plan import Plan, Task

    good = plan_sweep(SPEC | {"grid": {"policy": ["linux-6.1"]}}).tasks[0]
    bad = Task(Broken(), good.policies, good.machine, 1, ("broken",))
    summary = Summary(2)
    with ResultsWriter(tmp_path / "results.jsonl") as writer, open_executor("threads:1") as workers:
        list(run_plan(Plan((bad, good)), writer, workers, summary))
    assert (summary.finished, summary.ended_early) == (1, [])
    assert "no more paper" in summary.undone[0]
    assert len(load_results(tmp_path / "results.jsonl")) == 1


def test_stopping_keeps_what_is_finished(tmp_path, expected):
    path, stop = tmp_path / "results.jsonl", threading.Event()
    summary = Summary(15)
    with ResultsWriter(path) as writer, open_executor("threads:2") as workers:
        for _ in run_plan(plan_sweep(SPEC), writer, workers, summary, stop):
            stop.set()
    assert summary.stopped
    assert 0 < len(load_results(path)) < 15
    assert told(sweep(SPEC, path)) == expected


@pytest.mark.parametrize(
    "name", ["thread", "threads:0", "threads:x", "threads:-1", "serial:2", "", "dask://127.0.0.1:1", "dask://nonsense"]
)
@pytest.mark.slow
def test_an_executor_that_is_none(tmp_path, name):
    with pytest.raises(SpecError, match="executor|scheduler"):
        sweep(SPEC, tmp_path / "results.jsonl", executor=name)


def test_a_dead_worker_process_is_said_and_nothing_lost(tmp_path, expected):
    path = tmp_path / "results.jsonl"
    with ResultsWriter(path) as writer, open_executor("processes:1") as workers:
        workers.executor.submit(int).result()
        with pytest.raises(ResultsError, match="a worker died"):
            for _ in run_plan(plan_sweep(SPEC), writer, workers, Summary(15)):
                for pid in workers.executor._processes:
                    os.kill(pid, signal.SIGKILL)
    assert told(sweep(SPEC, path)) == expected


def spec_file(tmp_path, events):
    path = tmp_path / "spec.toml"
    path.write_text(
        f'source = "random-mix"\nmemory = "75%"\n[source_parameters]\nevents = {events}\n'
        'pages = 64\nprocesses = 4\n[grid]\npolicy = ["linux-5.16", "linux-6.1"]\nseed = {from = 1, to = 20}\n'
    )
    return path


@pytest.mark.parametrize("executor", ["threads:2", "processes:2", "serial"])
@pytest.mark.slow
def test_ctrl_c_finishes_the_line_and_exits_130(tmp_path, executor):
    path = tmp_path / "results.jsonl"
    command = [*COMMAND, "sweep", str(spec_file(tmp_path, 3_000_000)), "-o", str(path), "--executor", executor]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to every process of the group
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "goes on from here" in errors
    assert "Traceback" not in errors
    rows = load_results(path)
    assert rows.torn == 0
    assert 0 < len(rows) < 40
    assert {row["counters"]["events"] for row in rows} == {3_000_000}


def test_the_command_says_what_it_did(tmp_path):
    command = [*COMMAND, "sweep", str(spec_file(tmp_path, 1000)), "-o", str(tmp_path / "r.jsonl")]
    first, second = (subprocess.run(command, capture_output=True, text=True, check=False) for _ in range(2))
    assert (first.returncode, first.stdout, second.returncode) == (0, "", 0)
    assert "40 runs in" in first.stderr
    assert "0 runs in 0 s, 40 were there" in second.stderr
    dry = subprocess.run([*command[:-2], "--dry-run"], capture_output=True, text=True, check=False)
    assert dry.stdout.startswith("40 runs in 20 tasks, 40,000 events; about ")
