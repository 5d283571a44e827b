# SPDX-License-Identifier: MIT
"""Simulators in threads, one simulator in two threads, a fork of Python while one runs, and Python inside Python."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest

from cowfast import Simulator
from cowfast._layout import EVENT, Op, PteBit
from cowfast.errors import SpecError
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


@pytest.fixture(scope="module")
def many():
    """Half a second's work: whoever looks in between finds the simulator at it."""
    return stream(1, 5_000_000)


def begin(simulator, events):
    """Start a run in another thread and wait until it is under way."""
    thread = threading.Thread(target=simulator.run, args=(events,))
    before = simulator.done
    thread.start()
    while simulator.done == before:
        assert thread.is_alive(), "done, or dead, before anybody could look"
    return thread


ASKED = {
    "run": lambda simulator, _: simulator.run(["read 0 0"]),
    "step": lambda simulator, _: simulator.step("read 0 0"),
    "snapshot": lambda simulator, _: simulator.snapshot(),
    "save": lambda simulator, _: simulator.save(os.devnull),
    "restore": lambda simulator, before: simulator.restore(before),
    "restore, trusted": lambda simulator, before: simulator.restore(before, trusted=True),
    "state": lambda simulator, _: simulator.state(),
    "mappers": lambda simulator, _: simulator.mappers(0, 0),
    "verify": lambda simulator, _: simulator.verify(),
}


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize("what", ASKED)
def test_one_simulator_in_two_threads_is_refused(many, what, engine):
    """Its tables may move under the other thread; and what was refused has changed nothing."""
    if engine == "reference":
        if what in ("snapshot", "save", "restore", "restore, trusted"):
            with pytest.raises(SpecError, match="only the fast engine"):
                ASKED[what](Simulator("linux-6.18", MACHINE, engine=engine), {})
            return
        events = many[:4_000]
    else:
        events = many
    simulator, alone = (Simulator("linux-6.18", MACHINE, engine=engine) for _ in range(2))
    before = simulator.snapshot() if engine == "fast" else {}
    first = begin(simulator, events)
    with pytest.raises(RuntimeError, match="another thread"):
        ASKED[what](simulator, before)
    assert first.is_alive(), "it was refused for no reason"
    first.join()
    simulator.verify()
    alone.run(events)
    assert simulator.counters == alone.counters


def test_a_restore_does_not_take_away_what_another_thread_runs(many):
    """An untrusted one put a new engine in place of the one that was running: what it counted from then on was lost."""
    simulator = Simulator("linux-6.18", MACHINE)
    before, first = simulator.snapshot(), begin(simulator, many)
    with pytest.raises(RuntimeError, match="another thread"):
        simulator.restore(before)
    first.join()
    assert simulator.done == len(many)
    simulator.restore(before)
    assert simulator.done == 0


def test_two_threads_begin_at_once():
    """The engine asks whether it is busy before it copies events that lie apart, and numpy lets others run meanwhile."""
    apart, simulator, done = np.zeros(1_000_000, EVENT)[::2], Simulator("linux-6.18", MACHINE), []
    apart["op"][0::2], apart["op"][1::2], apart["arg"][1::2] = Op.WRITE, Op.DISCARD, 1
    apart["page"] = np.arange(len(apart)) // 2 % MACHINE["space"]
    both = threading.Barrier(2)

    def run():
        for _ in range(20):
            both.wait(60)
            with suppress(RuntimeError):
                done.append(simulator.run(apart))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 20 <= len(done) <= 40
    assert simulator.done == sum(done)
    simulator.verify()


def test_tables_are_read_while_another_thread_runs():
    """A view lives as long as somebody has it: a table that grew left it as it was, and never moved it; pages are a copy."""
    pages = 1 << 20
    simulator = Simulator("linux-6.18", {"space": pages, "processes": 1})
    events = np.zeros(pages, EVENT)
    events["op"], events["page"] = Op.WRITE, np.arange(pages)
    first, seen = threading.Thread(target=simulator.run, args=(events,)), {}
    first.start()
    while first.is_alive():
        for name in ("pages", "ptes", "slots", "procs", "refs"):
            view = getattr(simulator, name)
            seen[name, len(view)] = view
            assert not view.flags.writeable
        assert 0 <= simulator.counters["zero_fills"] <= pages
    first.join()
    assert sum(name == "pages" for name, _ in seen) > 1, "no table grew while somebody looked"
    for (name, size), view in seen.items():  # no page was freed
        if name == "pages":  # of a moment, and column by column: a page that is there has its address
            used = np.flatnonzero(view["refs"])
            assert np.array_equal(view["vpage"][used], used - 1)
        if name == "ptes":
            numbers = np.sort(view["word"][view["word"] > 0] >> PteBit.PTE_SHIFT)
            assert np.array_equal(numbers, np.arange(1, len(numbers) + 1))
            if size < len(simulator.ptes):  # nearly full before another took its place
                assert len(numbers) > size // 2
    for name in ("pages", "ptes"):
        field = getattr(simulator, name).dtype.names[0]
        with pytest.raises(ValueError, match="read-only"):
            getattr(simulator, name)[field][1] = 0


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
