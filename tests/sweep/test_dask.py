# SPDX-License-Identifier: MIT
"""A real cluster on loopback: scheduler and workers are processes of their own, and workers come, work and die."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from cowfast.executors import open_executor
from cowfast.results import ResultsWriter, load_results
from cowfast.sweep import Summary, plan_sweep, run_plan, sweep

pytest.importorskip("distributed")

SPEC = {
    "source": "random-mix",
    "source_parameters": {"events": 400_000, "pages": 64, "processes": 4},
    "memory": "75%",
    "grid": {"policy": ["linux-5.10", "linux-6.1", "sole-owner"], "seed": {"from": 1, "to": 24}},
}


def told(rows):
    return {row["id"]: (row["spec"], row["counters"]) for row in rows}


class Cluster:
    """A scheduler and its workers."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", ":0")
        self.address = self._said("scheduler", r"Scheduler at: +tcp://(\S+)")

    def worker(self, name):
        process = self._start(
            "worker", f"tcp://{self.address}", "--nthreads", "1", "--no-nanny", "--name", name, log=name
        )
        self._said(name, r"Registered to")
        return process

    def _start(self, *words, log="scheduler"):
        environment = os.environ | {"DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "False"}
        with (self.folder / f"{log}.log").open("w") as file:
            command = [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]]
            process = subprocess.Popen(command, stderr=file, stdout=file, env=environment, cwd=self.folder)
        self.processes.append(process)
        return process

    def _said(self, log, pattern):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if found := re.search(pattern, (self.folder / f"{log}.log").read_text()):
                return found[1] if found.groups() else found[0]
            time.sleep(0.05)
        raise AssertionError((self.folder / f"{log}.log").read_text())

    def close(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


@pytest.mark.slow
def test_a_worker_dies_at_work_and_another_comes_late(tmp_path, cluster):
    expected = told(sweep(SPEC, tmp_path / "serial.jsonl", executor="serial"))
    first = cluster.worker("first")
    cluster.worker("second")
    path = tmp_path / "cluster.jsonl"
    plan = plan_sweep(SPEC)
    summary = Summary(plan.runs)
    with ResultsWriter(path) as writer, open_executor(f"dask://{cluster.address}") as workers:
        for step in run_plan(plan, writer, workers, summary):
            if first.poll() is None and step.runs >= 6:
                first.send_signal(signal.SIGKILL)
                first.wait()
                cluster.worker("late")
    assert first.returncode == -signal.SIGKILL
    assert (summary.finished, summary.undone, summary.ended_early) == (72, [], [])
    assert path.read_bytes().count(b"\n") == 72
    rows = load_results(path)
    assert told(rows) == expected


@pytest.mark.slow
def test_the_command_uses_a_cluster(tmp_path, cluster):
    cluster.worker("only")
    spec = tmp_path / "spec.toml"
    spec.write_text(
        'source = "random-mix"\nsource_parameters = {events = 2000}\npolicy = ["linux-6.1"]\nseed = [1, 2]\n'
    )
    command = [sys.executable, "-c", "from cowfast.cli import main; main()", "sweep", str(spec), "-o", "out.jsonl"]
    command += ["--executor", f"dask://{cluster.address}"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert found.returncode == 0, found.stderr
    assert len(load_results(tmp_path / "out.jsonl")) == 2
