# SPDX-License-Identifier: MIT
"""What a sweep costs besides its runs: time, memory, and how well two threads share two CPUs."""

import time
from pathlib import Path

import pytest

from cowfast.executors import open_executor
from cowfast.results import ResultsWriter, load_results
from cowfast.sweep import Summary, plan_sweep, run_plan

STATM = Path("/proc/self/statm")


def done(spec, path, executor, look=lambda runs: None) -> float:
    """Do a sweep; return the CPU time of the thread that keeps house, which does no run itself."""
    plan = plan_sweep(spec)
    summary = Summary(plan.runs)
    before = time.thread_time()
    with ResultsWriter(path) as writer, open_executor(executor) as workers:
        for step in run_plan(plan, writer, workers, summary):
            look(step.runs)
    assert summary.finished == plan.runs
    return time.thread_time() - before


def engine_seconds(path) -> float:
    return sum(row["seconds"] for row in load_results(path))


def long_tasks(events: int, seeds: list[int]) -> dict:
    return {
        "source": "random-mix",
        "source_parameters": {"events": events, "pages": 256},
        "memory": "75%",
        "grid": {"policy": ["linux-6.1"], "seed": seeds},
    }


@pytest.mark.long
def test_the_machinery_costs_less_than_a_fiftieth_of_one_second_tasks(tmp_path):
    done(long_tasks(1_000_000, [1]), tmp_path / "try.jsonl", "serial")
    events = round(1_000_000 / engine_seconds(tmp_path / "try.jsonl"))
    cost = done(long_tasks(events, [1, 2, 3]), tmp_path / "results.jsonl", "threads:1")
    engine = engine_seconds(tmp_path / "results.jsonl")
    assert engine > 1.5  # they were of a second or so
    assert cost <= 0.02 * engine


@pytest.mark.long
@pytest.mark.skipif(not STATM.exists(), reason="needs /proc")
def test_ten_thousand_short_tasks_take_no_more_memory_than_some(tmp_path):
    spec = {
        "source": "random-mix",
        "source_parameters": {"events": 100, "pages": 16, "processes": 2},
        "policy": ["linux-6.1"],
        "seed": {"from": 1, "to": 10_000},
    }
    resident = {}

    def look(runs: int) -> None:
        resident[runs // 1000] = int(STATM.read_text().split()[1]) * 4096

    before = time.process_time()
    done(spec, tmp_path / "results.jsonl", "threads:2", look)
    assert resident[9] - resident[2] < 4 << 20
    assert (time.process_time() - before) / 10_000 < 0.02  # seconds a task: a fiftieth of one-second tasks once more


@pytest.mark.long
def test_two_threads_do_almost_twice_as_much(tmp_path):
    """By CPU time, for the machine may be busy: what two runs side by side cost each other."""
    found = []
    for attempt in range(4):
        for threads in (1, 2):
            path = tmp_path / f"{attempt}-{threads}.jsonl"
            done(long_tasks(8_000_000, [1, 2]), path, f"threads:{threads}")
            found.append(engine_seconds(path))
    alone, together = min(found[::2]), min(found[1::2])
    assert 2 * alone / together >= 1.85
