# SPDX-License-Identifier: MIT
import pickle

import numpy as np
import pytest

from cowfast.errors import EventError, SpecError
from cowfast.events import make_events, parse_event
from cowfast.simulate import Simulator, machine_for, resolve_source, simulate

SOURCE = resolve_source("random-mix", {"events": 20_000, "pages": 128, "processes": 4})


@pytest.mark.parametrize("policy", ["linux-5.10", "linux-6.18"])
@pytest.mark.parametrize("more", [{}, {"swap_latency": 40}])
def test_going_on_from_a_snapshot_is_the_same_as_not_stopping(tmp_path, policy, more):
    machine = machine_for(SOURCE, more, memory="60%")
    [events] = SOURCE.chunks(seed=2)
    whole = Simulator(policy, machine, contents=True)
    values = np.zeros(len(events), [("first", "u4"), ("last", "u4")])
    whole.run(events, values=values)
    half = Simulator(policy, machine, contents=True)
    half.run(events[:7777])
    half.save(tmp_path / "half.npz")
    half.run(events[7777:8000])  # what happens afterwards is not in it
    again = Simulator.load(tmp_path / "half.npz")
    assert again.done == 7777
    assert again.policy.hash == half.policy.hash
    rest = values[7777:].copy()
    rest[:] = 0
    again.run(events[7777:], values=rest)
    again.verify()
    assert again.state() == whole.state()
    assert np.array_equal(rest, values[7777:])


def test_a_damaged_snapshot_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    Simulator("linux-6.1", {"space": 16}).save(path)
    data = path.read_bytes()
    for place in (0, len(data) // 2, len(data) - 30):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        with pytest.raises(SpecError):
            Simulator.load(path)
    path.write_bytes(data[:-100])
    with pytest.raises(SpecError):
        Simulator.load(path)
    path.write_text("hello")
    with pytest.raises(SpecError, match="not a snapshot"):
        Simulator.load(path)
    with pytest.raises(SpecError, match="no such file"):
        Simulator.load(tmp_path / "none.npz")


def test_a_snapshot_of_another_machine_is_refused():
    with pytest.raises(ValueError, match="another machine"):
        Simulator("linux-6.1", {"space": 16})._engine.restore(
            Simulator("linux-6.1", {"space": 16}, contents=True)._engine.snapshot()
        )


def test_the_reference_has_none(tmp_path):
    with pytest.raises(SpecError, match="run again"):
        Simulator("linux-6.1", {"space": 16}, engine="reference").save(tmp_path / "a.npz")


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_the_index_of_a_bad_event_counts_from_the_first_of_all(engine, chunk):
    events = make_events(map(parse_event, ["write 0 0", "write 0 1", "write 0 2", "write 5 0"]))
    with pytest.raises(EventError) as raised:
        simulate(events, "linux-6.1", {"space": 4, "processes": 6}, engine=engine, chunk=chunk)
    assert raised.value.index == 3
    assert str(raised.value).startswith("event 3 (write 5 0): ")


def test_results_travel():
    result = simulate(SOURCE, "linux-6.1", memory="75%")
    again = pickle.loads(pickle.dumps(result))
    assert again.counters == result.counters
    assert again == result
