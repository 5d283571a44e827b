# SPDX-License-Identifier: MIT
"""Explanations of single events: both engines tell the same, and what they name was there since then and not before."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import ROOT
from cowfast._engine import Engine
from cowfast._layout import Outcome, PteBit
from cowfast.cli.main import invoke
from cowfast.errors import EventError, SpecError
from cowfast.events import make_events, parse_event
from cowfast.policy import load_policy
from cowfast.simulate import Simulator, machine_for, resolve_source
from cowfast.story import explain
from cowfast.story._watch import Watch
from cowfast.story.explain import decided
from cowfast.story.hand_over import hand_over
from cowfast.traces import TraceWriter
from tests.programs import POLICIES, build, machines, raw

MIX = {"memory": "75%", "parameters": {"events": 60_000, "pages": 128, "processes": 6}}


def done(policy, machine, events):
    """Events up to the first that cannot be done, and their outcomes."""
    engine, bits = Engine(policy, machine), np.zeros(len(events), np.uint32)
    try:
        engine.run(events, bits)
    except EventError as error:
        return events[: error.index], bits[: error.index]
    return events, bits


def without_contents(state):
    return {name: part for name, part in state.items() if name != "contents"}


@given(policy=st.sampled_from(POLICIES), machine=machines, rows=raw, at=st.integers(0, 200))
def test_reference_goes_on_where_the_engine_stands(policy, machine, rows, at):
    loaded = load_policy(policy)
    events, outcomes = done(loaded, machine, make_events(build(rows, machine)))
    at = min(at, len(events))
    engine = Engine(loaded, machine)
    engine.run(events[:at])
    model = hand_over(engine)
    assert without_contents(model.state()) == without_contents(engine.state())
    rest = np.zeros(len(events) - at, np.uint32)
    model.run(events[at:], rest)
    engine.run(events[at:])
    assert rest.tolist() == outcomes[at:].tolist()
    assert without_contents(model.state()) == without_contents(engine.state())


@given(policy=st.sampled_from(POLICIES), machine=machines, rows=raw)
def test_watching_changes_nothing(policy, machine, rows):
    loaded = load_policy(policy)
    events, outcomes = done(loaded, machine, make_events(build(rows, machine)))
    plain, watched = Engine(loaded, machine), Engine(loaded, machine)
    bits = np.zeros(len(events), np.uint32)
    plain.run(events)
    watch = Watch(watched, 1, machine.space - 1)
    watch.run(events[: len(events) // 2], bits)
    watch.run(events[len(events) // 2 :], bits[len(events) // 2 :])
    assert watched.state() == plain.state()
    assert bits.tolist() == outcomes.tolist()


@given(policy=st.sampled_from(POLICIES), machine=machines, rows=raw, which=st.lists(st.integers(0, 500), max_size=4))
@pytest.mark.slow
def test_engine_and_reference_explain_the_same(policy, machine, rows, which):
    events, outcomes = done(load_policy(policy), machine, make_events(build(rows, machine)))
    decisions = np.flatnonzero(decided(outcomes)).tolist()
    if not decisions:
        return
    for index in {decisions[n % len(decisions)] for n in (*which, -1)}:
        fast, slow = (explain(events, index, policy, machine, engine=engine) for engine in ("fast", "reference"))
        assert msgspec.to_builtins(fast) == msgspec.to_builtins(slow)
        assert fast.told[-1].refs == sum(
            1024 if came.what == "pin" else came.what not in ("swap entry", "lock") for came in fast.came
        )
        number = int(outcomes[index]) >> Outcome.CHECK_SHIFT & 31
        written = [
            told.number for told in fast.told if told.rules == "write_fault" and not told.unshare and not told.dropped
        ]
        assert number == (written[-1] if written else 0)


def holds(simulator, came, page, vpage):
    """Is this reference there now?  Asked of the engine's tables."""
    pages = simulator.pages
    record = pages[page] if page < len(pages) else None
    here = record is not None and record["refs"] > 0 and record["vpage"] == vpage
    number = int(came.who.split()[-1])
    match came.what:
        case "map":
            return bool(here) and number in simulator.mappers(number, vpage) and named(simulator, number, vpage) == page
        case "swap cache":
            return bool(here) and int(record["slot"]) == number
        case "LRU batch":
            return bool(here) and bool(record["flags"] & 256)
        case "swap entry":
            return not simulator.mappers(number, vpage)
    raise AssertionError(came)


def named(simulator, pid, vpage):
    words = simulator.state()["ptes"]
    return words[pid, vpage] >> PteBit.PTE_SHIFT


@pytest.mark.parametrize("policy", ["linux-5.10", "linux-6.1", "linux-7.2"])
def test_references_are_there_since_then_and_not_before(policy):
    events = np.concatenate(list(resolve_source("random-mix", MIX["parameters"]).chunks(seed=3)))
    seen = set()
    checked = 0
    index = 59_000
    while len(seen) < 3 and index < len(events):
        try:
            found = explain("random-mix", index, policy, seed=3, **MIX)
        except SpecError:
            index += 1
            continue
        last = found.told[-1]
        for came in found.came:
            if came.since == index or came.what not in ("map", "swap cache", "LRU batch", "swap entry"):
                continue
            simulator = Simulator(policy, found.machine)
            simulator.run(events[: came.since])
            assert not holds(simulator, came, last.page, last.vpage), (index, came)
            simulator.run(events[came.since : came.since + 1])
            assert holds(simulator, came, last.page, last.vpage), (index, came)
            simulator.run(events[came.since + 1 : index])
            assert holds(simulator, came, last.page, last.vpage), (index, came)
            checked += 1
            seen.add(came.what)
        index += 7
    assert checked >= 3
    assert {"map", "swap cache"} <= seen


GOLDEN = """\
event 5 of thread under linux-5.10: write 0 0
copy; memory without limit, swap async

copy: refs 3 != 1 (map 2, LRU batch 1)

     write-fault check             because
 ──────────────────────────────────────────────────────────────────
 1   copy if ksm         no        not ksm
 2   copy if refs != 1   decides   refs 3 != 1 (map 2, LRU batch 1)

page 2 at 0, there since event 1 (write 0 0: zero-fill)

 refers to it   who         since event   events ago   event       did
 ───────────────────────────────────────────────────────────────────────────
 map            process 0             1            4   write 0 0   zero-fill
 map            process 1             2            3   fork 0 1    done
 LRU batch      CPU 0                 1            4   write 0 0   zero-fill

"""


@pytest.fixture
def thread(tmp_path):
    """A page that was shared, is one process's alone again and still in the LRU batch."""
    texts = ["write 0 3", "write 0 0", "fork 0 1", "read 1 0", "write 1 3", "write 0 0", "write 0 0"]
    with TraceWriter(tmp_path / "thread.cow") as writer:
        writer.write(make_events(map(parse_event, texts)))
    return tmp_path / "thread.cow"


def test_the_story_of_a_trace(thread, capsys):
    assert invoke(["explain", str(thread), "--event", "5", "--policy", "linux-5.10", "--quiet"]) == 0
    assert "".join(f"{line.rstrip()}\n" for line in capsys.readouterr().out.splitlines()) == GOLDEN


def test_json(thread, capsys):
    assert invoke(["explain", str(thread), "--event", "5", "-p", "linux-5.10", "--format", "json", "-q"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["index"], found["event"], found["outcome"]) == (5, "write 0 0", "copy")
    assert [(came["what"], came["who"], came["since"]) for came in found["came"]] == [
        ("map", "process 0", 1),
        ("map", "process 1", 2),
        ("LRU batch", "CPU 0", 1),
    ]
    assert found["told"][0]["words"] == "copy: refs 3 != 1 (map 2, LRU batch 1)"


def test_a_get_and_a_pin_are_named_with_who_took_them():
    texts = ["write 0 0", "fork 0 1", "get 1 0 ref=2 look", "pin 0 0 ref=0", "exit 1", "pin 0 0 ref=1", "protect 0 0"]
    events = make_events(map(parse_event, [*texts, "write 0 0"]))
    came = explain(events, 7, "linux-5.7", {"space": 1, "processes": 2, "references": 4}).came
    assert [(each.what, each.who, each.since) for each in came] == [
        ("map", "process 0", 0),
        ("get", "reference 2 of one that is gone", 2),
        ("pin", "reference 0 of process 0", 3),
        ("pin", "reference 1 of process 0", 5),
    ]


def test_what_comes_in_the_event_itself_is_since_then():
    events = make_events(map(parse_event, ["write 0 0", "drain", "reclaim", "fork 0 1", "write 1 0"]))
    found = explain(events, 4, "linux-6.1", {"space": 1, "processes": 2, "page_cluster": 0})
    assert [told.rules for told in found.told] == ["swap_in", "write_fault"]
    assert [(each.what, each.since) for each in found.came] == [
        ("map", 4),
        ("swap cache", 4),
        ("swap entry", 2),
    ]


def test_a_page_that_pageout_keeps_is_in_the_batch_since_then():
    """MADV_PAGEOUT drains the batch, and puts what it cannot reclaim back into it."""
    texts = ["write 0 0", "pin 0 0 ref=0", "pageout 0 0", "pageout 0 0", "protect 0 0", "write 0 0"]
    events = make_events(map(parse_event, texts))
    machine = {"space": 1, "processes": 1, "references": 1}
    fast, slow = (explain(events, 5, "linux-5.10", machine, engine=engine) for engine in ("fast", "reference"))
    assert fast == slow
    assert {each.what: each.since for each in fast.came}["LRU batch"] == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["THREAD", "--event", "99"], "thread has no event 99: its events are 0 to 6"),
        (["THREAD", "--event", "-1"], "-1 is not in the range"),
        (
            ["THREAD", "--event", "0"],
            "a new page of zeros; no check is asked; the next decision is event 4 (write 1 3)",
        ),
        (["THREAD", "--event", "2"], "no access, so nothing was decided; the next decision is event 4"),
        (["THREAD", "--event", "6"], "event 6 (write 0 0): no fault, so nothing was decided"),
        (["THREAD"], "--event"),
        (["random-mux", "--event", "1"], "did you mean 'random-mix'"),
        (["nothing.cow", "--event", "1"], "nothing.cow"),
        (["random-mix", "--event", "10", "--events", "5"], "has no event 10: its events are 0 to 4"),
        (["random-mix", "--event", "1", "-p", "linux-6.2"], "did you mean"),
    ],
)
def test_bad_input(words, said, thread, capsys):
    assert invoke(["explain", *[str(thread) if word == "THREAD" else word for word in words], "--quiet"]) == 2
    assert said in capsys.readouterr().err


def test_an_event_that_cannot_be_done_is_named():
    events = make_events(map(parse_event, ["write 0 0", "write 1 0", "write 0 0"]))
    with pytest.raises(EventError, match=r"event 1 \(write 1 0\): the process is not alive"):
        explain(events, 2, "linux-6.1", {"space": 1, "processes": 2})


@pytest.mark.slow
def test_a_recorded_service(tmp_path):
    from cowfast.traces import import_perf

    import_perf(ROOT / "tests" / "data" / "redis-bgsave.txt.xz", tmp_path / "redis.cow")
    trace = resolve_source(tmp_path / "redis.cow")
    events = np.concatenate(list(trace.chunks()))
    machine = machine_for(trace, None, "60%")
    engine, bits = Engine(load_policy("linux-5.16"), machine), np.zeros(len(events), np.uint32)
    engine.run(events, bits)
    for index in np.flatnonzero(bits & Outcome.COPIED)[[0, -1]].tolist():
        found = explain(trace, index, "linux-5.16", memory="60%")
        assert "copy" in found.outcome
        assert found.told[-1].words.startswith("copy: refs ")
        assert sum(came.what in ("map", "swap entry") for came in found.came) >= 2  # redis and its child
        assert any(came.since < index for came in found.came)
