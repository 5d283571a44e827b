# SPDX-License-Identifier: MIT
"""Signals at random moments: the right exit code, earlier output intact or the new one whole, nothing left behind.

benchmarks/interrupts.py sends many more, to every command, and says how long the answer took.
"""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from cowfast import Simulator
from cowfast._layout import CONTENT, EVENT, Op
from cowfast.cli import COMMANDS
from cowfast.events import make_events
from cowfast.policy import policy_names
from cowfast.results import load_results
from cowfast.simulate import Stopped, simulate_policies
from cowfast.traces import load_trace
from interrupting import COMMAND, left_behind, make_inputs, scenarios, send

ENDED = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.mark.slow
@pytest.mark.parametrize("number", ENDED)
def test_sigterm_leaves_no_part_of_a_trace(inputs, tmp_path, number):
    """An end that Python does not turn into an exception by itself used to leave `.NAME.part`."""
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"whoever runs the tests ignores signal {number} (nohup?), and so do those whom they start")
    (tmp_path / "out.cow").write_bytes(b"earlier")
    words = ["trace", "import", "perf", str(inputs / "perf.txt"), "-o", "out.cow"]
    process = subprocess.Popen([*COMMAND, *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".*.part")):
        assert process.poll() is None, "done before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == ENDED[number]
    assert said.strip() == ("cowfast: interrupted" if number == signal.SIGINT else "cowfast: terminated")
    assert [path.name for path in tmp_path.iterdir()] == ["out.cow"]
    assert (tmp_path / "out.cow").read_bytes() == b"earlier"


def test_no_command_is_forgotten():
    assert {words[0] for words in scenarios().values()} == set(COMMANDS)


@pytest.mark.long
@pytest.mark.parametrize("name", scenarios())
def test_two_signals_to_every_command(inputs, tmp_path, name):
    for number, moment in ((signal.SIGINT, 0.5), (signal.SIGTERM, 0.8)):
        found = send(name, inputs, tmp_path / number.name, number, moment)
        assert not found.problems, found


def test_what_the_parent_ignores_stays_ignored(tmp_path):
    """`nohup cowfast ...` and a shell's background jobs."""
    code = "import signal, os; from cowfast.cli.signals import listen; listen(); os.kill(os.getpid(), signal.SIGHUP); print('on')"
    done = subprocess.run(
        ["sh", "-c", f'trap "" HUP; exec "{sys.executable}" -c "{code}"'], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "on\n")


def test_a_second_signal_does_not_disturb_the_clean_up():
    code = """
import os, signal, time
from cowfast.cli.signals import listen
listen()
try:
    os.kill(os.getpid(), signal.SIGTERM)
finally:
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    print("cleaned up", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (143, "cleaned up\n")


@pytest.mark.parametrize("number", ENDED)
def test_a_signal_within_a_destructor_is_not_lost(number):
    """Python drops what is raised in a destructor or a weakref's callback: the command went on as if nothing had been said."""
    code = f"""
import os, signal, time, weakref
from cowfast.cli.signals import listen
signal.signal({int(number)}, signal.default_int_handler if {int(number)} == signal.SIGINT else signal.SIG_DFL)  # under nohup too
listen()
class Thing: pass
thing = Thing()
watched = weakref.ref(thing, lambda _: os.kill(os.getpid(), {int(number)}))
del thing
time.sleep(5)
print("went on")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert "Exception ignored" not in done.stderr
    assert done.returncode == (-number if number == signal.SIGINT else ENDED[number])  # main() makes it 130


def test_a_signal_of_which_a_library_makes_another_error():
    """numpy answered with "not a valid PEP 3118 buffer format string" and the command with a traceback."""
    code = """
import os, signal
from cowfast.cli import main, root
def library(*_, **__):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except BaseException:
        raise ValueError("not valid") from None
root.main = library
main([])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (143, "cowfast: terminated\n")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_a_run_stops_within_a_fifth_of_a_second(threads, engine):
    """Of processor time: events under memory pressure, every policy, chunks of a million."""
    draw = np.random.default_rng(1)
    events = make_events([(Op.FORK, 0, 0, 1)])
    events = np.concatenate([events, np.zeros(3_000_000 if engine == "fast" else 30_000, events.dtype)])
    events["op"][1:] = draw.choice([Op.READ, Op.WRITE, Op.PAGEOUT], len(events) - 1)
    events["page"][1:] = draw.integers(0, 4096, len(events) - 1)
    events["arg"][1:][events["op"][1:] == Op.PAGEOUT] = 64
    stop, stopped = threading.Event(), []

    def later():
        time.sleep(0.3)
        stopped.append(time.process_time())
        stop.set()

    thread = threading.Thread(target=later)
    thread.start()
    with pytest.raises(Stopped):
        while True:
            simulate_policies(
                events, policy_names(), {"memory": 2000, "cpus": 1}, engine=engine, threads=threads, stop=stop
            )
    assert time.process_time() - stopped[0] < 0.2 * threads
    thread.join()


def test_the_end_of_a_chunk_does_not_lengthen_the_slices():
    """A short last piece was taken for a fast one: the next slice was four times as long, and so was the wait for its end."""
    from cowfast.simulate import run

    events = make_events([(Op.WRITE, 0, 1)])
    [one] = run._start(events, ["linux-6.18"], machine=None, seed=0, memory=None, parameters=None, engine="fast", chunk=None,
                       check_every=0, sample_every=0)  # fmt: skip
    before = one._slice
    for _ in range(5):
        one.feed(events, lambda: False)
    assert one._slice == before
    assert one.simulator._slice == before


class Signal(Exception):
    pass


def long_runs():
    """Events of which a million take long, and then so many that the tables grow and grow."""
    draw = np.random.default_rng(1)
    pressed = np.zeros(3_000_000, EVENT)
    pressed["op"], pressed["page"] = (
        draw.choice([Op.READ, Op.WRITE], len(pressed)),
        draw.integers(0, 4096, len(pressed)),
    )
    yield pytest.param({"space": 4096, "processes": 1, "memory": 2000}, pressed, 0.3, id="under pressure")
    fresh = np.zeros(1 << 23, EVENT)
    fresh["op"], fresh["page"] = Op.WRITE, np.arange(len(fresh))
    yield pytest.param({"space": 1 << 23, "processes": 1, "memory": 1 << 23}, fresh, 0.1, id="new pages")


@pytest.mark.parametrize(("machine", "events", "after"), [*long_runs()])
def test_an_array_of_events_does_not_keep_signals_waiting(machine, events, after):
    """The engine looks for none: Ctrl-C waited for the last event of the array."""
    simulator, sent = Simulator("linux-6.18", machine), []

    def obey(_number, _frame):
        raise Signal

    def later():
        time.sleep(after)
        sent.append(time.process_time())
        os.kill(os.getpid(), signal.SIGUSR1)

    before, thread = signal.signal(signal.SIGUSR1, obey), threading.Thread(target=later)
    thread.start()
    try:
        with pytest.raises(Signal):
            while True:
                simulator.run(events)
        assert time.process_time() - sent[0] < 0.2
    finally:
        signal.signal(signal.SIGUSR1, before)
        thread.join()
    simulator.verify()
    assert simulator.done > 0
    assert simulator.run(events[:1]) == 1  # it is not held by the run that was interrupted


@pytest.mark.parametrize("what", ["run", "restore"])
def test_a_signal_while_a_table_is_replaced(what):
    """Wherever Python code runs a handler can raise; between a table's replacement and the engine's pointer to it none may run.

    Some did, to take the address, and the next run read and wrote freed memory.
    """
    events = np.zeros(40_000, EVENT)
    events["op"], events["page"] = Op.WRITE, np.arange(len(events))
    machine = {"space": len(events), "processes": 1}
    undisturbed = Simulator("linux-6.18", machine)
    undisturbed.run(events)
    seen, moment = 0, 0

    def hook(_frame, kind, _argument):
        nonlocal seen
        seen += kind == "call"
        if seen == moment:
            raise Signal

    while seen >= moment:  # until the moment lies behind the last call
        seen, moment = 0, moment + 1
        simulator = Simulator("linux-6.18", machine)
        simulator.run(events[:9000])
        before = simulator.snapshot()
        sys.setprofile(hook)
        try:
            simulator.restore(before, trusted=True) if what == "restore" else simulator.run(events[9000:])
        except Signal:
            assert seen == moment
        finally:
            sys.setprofile(None)
        simulator.verify()
        simulator.run(events[simulator.done :])
        simulator.verify()
        assert simulator.counters == undisturbed.counters
        assert np.array_equal(simulator.pages["vpage"], undisturbed.pages["vpage"])
    assert moment > 3


def test_too_few_outcomes_are_refused_before_anything_is_done():
    simulator, events = Simulator("linux-6.18", {"space": 16, "processes": 1}), np.zeros(100_000, EVENT)
    events["op"] = Op.WRITE
    for name, dtype in (("outcomes", np.uint32), ("values", CONTENT)):
        with pytest.raises(ValueError, match=f"{name} has room for 99999 events, there are 100000"):
            simulator.run(events, **{name: np.zeros(99_999, dtype)})
    assert simulator.done == 0


def test_a_finished_comparison_does_not_set_the_flag_of_its_caller():
    stop = threading.Event()
    for threads in (1, 2):
        events = make_events([(Op.WRITE, 0, 1), (Op.WRITE, 3, 1)])
        [result] = simulate_policies(events, ["linux-6.18"], threads=threads, stop=stop)
        assert result.error
        assert not stop.is_set()


def test_the_counters_do_not_depend_on_the_slices(monkeypatch):
    from cowfast.simulate import run

    told = []
    for slices in (1, 97, 1 << 20):
        monkeypatch.setattr(run, "_FIRST_SLICE", {"fast": slices})
        results = simulate_policies("random-mix", ["linux-5.10", "linux-6.18"], memory="50%", sample_every=700,
                                    parameters={"events": 5000, "pages": 64})  # fmt: skip
        told.append([(result.counters.to_dict(), result.samples) for result in results])
    assert told[0] == told[1] == told[2]


def test_left_behind_sees_what_is_left(tmp_path):
    (tmp_path / ".x.cow.1234abcd.part").touch()
    assert left_behind(tmp_path, os.getpid()) == [".x.cow.1234abcd.part"]
    assert load_trace
    assert load_results
