# SPDX-License-Identifier: MIT
"""Simulators in threads, one simulator in two threads, a fork of Python while one runs, and Python inside Python."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cowfast import Simulator
from cowfast.policy import policy_names
from cowfast.workloads import workload

MACHINE = {"space": 1024, "processes": 16, "memory": 9000}


def stream(seed, events=200_000):
    return np.concatenate(
        list(workload("random-mix", processes=16, pages=1024, events=events, get=0, pin=0, lock=0).chunks(seed))
    )


def run(policy, seed):
    simulator = Simulator(policy, MACHINE)
    simulator.run(stream(seed))
    simulator.verify()
    return simulator.counters


def test_each_thread_with_its_own_counts_what_it_counts_alone():
    tasks = [(policy, seed) for policy in policy_names()[::4] for seed in (1, 2)]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda task: run(*task), tasks))
    assert together == [run(*task) for task in tasks]


@pytest.mark.parametrize("what", ["run", "snapshot", "restore", "state", "verify"])
def test_one_simulator_in_two_threads_is_refused(what):
    """Its tables may move under the other thread."""
    events = stream(1, 2_000_000)
    simulator = Simulator("linux-6.18", MACHINE)
    do = {"run": lambda: simulator.run(events[:1]), "restore": lambda: simulator.restore(before, trusted=True)}
    before = simulator.snapshot()
    first = threading.Thread(target=simulator.run, args=(events,))
    first.start()
    refused = ""
    while first.is_alive() and not refused:  # before it has begun there is nothing to refuse
        try:
            do.get(what, getattr(simulator, what))()
        except RuntimeError as error:
            refused = str(error)
    first.join()
    assert "another thread" in refused
    simulator.verify()


def test_a_fork_of_python_while_a_simulator_runs():
    """Linux gives the child the one thread that forked: its own simulators work, the parent's goes on undisturbed."""
    wanted, seen = run("linux-6.18", 3), []
    worker = threading.Thread(target=lambda: seen.append(run("linux-6.18", 3)))
    worker.start()
    child = os.fork()
    if child == 0:
        os._exit(0 if run("linux-6.18", 3) == wanted else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    worker.join()
    assert seen == [wanted]


def test_a_subinterpreter_refuses_or_works():
    """numpy refuses to be imported in one; what must not be is a crash."""
    code = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
inner = interpreters.create()
try:
    said = interpreters.run_string(inner, "import cowfast; cowfast.Simulator('linux-6.18', {'space': 4, 'processes': 2}).run(['write 0 0'])")
except Exception as error:
    said = error
print("refused:" if said else "works", said or "")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(("refused:", "works"))
