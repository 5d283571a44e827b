# SPDX-License-Identifier: MIT
"""The sweep files that users run can be run, and are as large as they say."""

import re

import pytest

from conftest import ROOT
from cowfast.sweep import plan_sweep

SUITES = sorted((ROOT / "benchmarks" / "sweeps").glob("*.toml"), key=lambda path: path.name)


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_a_suite_can_be_planned(path):
    plan = plan_sweep(path)
    assert plan.runs
    said = re.search(r"([\d,]+) runs, (\d+) M events", path.read_text())
    if said:
        assert (f"{plan.runs:,}", plan.events // 1_000_000) == (said[1], int(said[2]))


def test_the_large_one_is_large():
    assert plan_sweep(ROOT / "benchmarks" / "sweeps" / "large.toml").events == 10**10


def test_all_workloads_are_in_the_history():
    from cowfast.workloads import workload_names

    plan = plan_sweep(ROOT / "benchmarks" / "sweeps" / "history.toml")
    assert {task.source.name for task in plan.tasks} == set(workload_names())
