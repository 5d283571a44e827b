# SPDX-License-Identifier: MIT
"""Whatever a user gets wrong is one line on stderr that says what to write instead, and exit code 2."""

import re

import numpy as np
import pytest

from cowfast.cli.main import invoke
from cowfast.errors import EventError, MemoryFullError, SwapFullError
from cowfast.events import make_events, parse_event
from cowfast.simulate import Simulator, simulate

FEW = ["--events", "1000"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "random-mux"], "random-mix"),
        (["run", "random-mix", "--policy", "linux-6.11"], "linux-6.1"),
        (["run", "random-mix", "--set", "pagse=3"], "did you mean 'pages'"),
        (["run", "random-mix", "--set", "pages=many"], "pages"),
        (["run", "random-mix", "--set", "pages"], "NAME=VALUE"),
        (["run", "random-mix", "--machine", "swop=sync"], "did you mean 'swap'"),
        (["run", "random-mix", "--machine", "swap=floppy"], "none, async or sync"),
        (["run", "random-mix", "--memory", "plenty"], "16MiB"),
        (["run", "random-mix", "--seed", "-1"], "--seed"),
        (["run", "random-mix", "--sample", "often"], "every=100000"),
        (["run", "random-mix", "--engine", "steam"], "fast"),
        (["run", "random-mix", "--polcy", "x"], "--policy"),
        (["run", "random-mix", *FEW, "--memory", "20", "--machine", "swap=none"], "memory is full"),
        (["run", "nowhere.cow"], "nowhere.cow"),
        (["run", "nowhere.toml"], "nowhere.toml"),
        (["run"], "Missing argument"),
        (["compare", "random-mix", *FEW, "--policy", ","], "no name in it"),
        (["compare", "random-mix", *FEW, "--metric", "copie"], "did you mean copies"),
        (["compare", "random-mix", *FEW, "--policy", "linux-6.1", "--baseline", "linux-5.10"], "not among"),
        (["compare", "random-mix", "bgsave"], "one too many"),
        (["compare", "a.jsonl", "--only-changed"], "BEFORE AFTER"),
        (["sweep", "nowhere.toml", "-o", "x.jsonl"], "cannot be read"),
        (["rerun", "nowhere.jsonl", "ab"], "does not exist"),
        (["policies", "show", "linux-6.11"], "linux-6.1"),
        (["workloads", "random-mux"], "random-mix"),
        (["comparre"], "did you mean compare"),
        (["policies", "dif"], "dif"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(capsys, words, message):
    assert invoke(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("cowfast: ")
    assert re.search(message, printed.err)
    assert len(printed.err.splitlines()) <= 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing"),
        ('based_on = "linux-6.11"\nname = "x"\n', "linux-6.1"),
        ('based_on = "linux-6.1"\nname = "x"\nwrite_falt = ["copy"]\n', "write_fault"),
        ('based_on = "linux-6.1"\nname = "x"\nwrite_fault = ["copi"]\n', "copy"),
        ('based_on = "linux-6.1"\nname = "x"\n[switches]\nexclusiv = true\n', "exclusive"),
        ("name = ", "not TOML"),
    ],
)
def test_a_policy_file_with_a_mistake(capsys, tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    assert invoke(["run", "random-mix", *FEW, "--policy", str(path)]) == 2
    error = capsys.readouterr().err
    assert "mine.toml" in error
    assert message in error


@pytest.mark.parametrize("content", [b"", b"COWFAST", b"\x28\xb5\x2f\xfd" + b"x" * 40, b"hello\n" * 50])
def test_a_trace_that_is_none(capsys, tmp_path, content):
    path = tmp_path / "broken.cow"
    path.write_bytes(content)
    assert invoke(["run", str(path)]) == 2
    assert "broken.cow" in capsys.readouterr().err


MACHINE = {"space": 16, "processes": 4, "references": 4, "cpus": 1, "swap_slots": 8}


@pytest.mark.parametrize(
    ("texts", "index", "message"),
    [
        (["write 1 0"], 0, "not alive"),
        (["write 9 0"], 0, "no such process"),
        (["fork 0 1", "fork 0 1"], 1, "alive already"),
        (["fork 0 9"], 0, "no such process"),
        (["write 0 0", "write 0 16"], 1, "beyond the address space"),
        (["discard 0 10 n=7"], 0, "beyond the address space"),
        (["put ref=1"], 0, "nothing is held"),
        (["write 0 0", "pin 0 0 ref=1", "put ref=1"], 2, "another kind"),
        (["write 0 0", "get 0 0 ref=1", "get 0 0 ref=1"], 2, "in use"),
        (["unlock ref=2"], 0, "nothing is held"),
        (["get 0 0 ref=4"], 0, "no such reference"),
        (["write 0 0", "lock 0 0 ref=0", "lock 0 0 ref=1"], 2, "locked already"),
        (["cpu 0 1"], 0, "no such CPU"),
        (["fillswap n=9"], 0, "slots"),
    ],
)
@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_an_event_that_cannot_be_says_which_and_why(engine, texts, index, message):
    events = make_events(map(parse_event, texts))
    with pytest.raises(EventError, match=message) as raised:
        simulate(events, "linux-6.1", MACHINE, engine=engine)
    assert raised.value.index == index
    assert raised.value.result.counters["events"] == index
    assert texts[index].split()[0] in str(raised.value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("write,1,0,", r"event 1 \(write 1 0\): the process is not alive; fork it first"),
        ("write,9,0,", r"event 1 \(write 9 0\): no such process number on this machine; raise machine.processes"),
        ("fork,0,,1\nfork,0,,1", r"event 2 \(fork 0 1\): the child is alive already; let it exit first"),
        ("write,0,99,", r"event 1 \(write 0 99\): beyond the address space; raise machine.space"),
        ("put,0,,1", r"event 1 \(put ref=1\): nothing is held under this reference number; get, pin or lock first"),
        ("unpin,0,,1", r"event 1 \(unpin ref=1\): nothing is held .*; get, pin or lock first"),
        ("unlock,0,,1", r"event 1 \(unlock ref=1\): nothing is held .*; get, pin or lock first"),
        ("fillswap,0,,9", r"event 1 \(fillswap n=9\): .*slots"),
    ],
)
def test_a_trace_with_an_event_that_cannot_be(capsys, tmp_path, rows, message):
    (tmp_path / "a.csv").write_text(f"op,pid,page,arg\nwrite,0,0,\n{rows}\n")
    trace = str(tmp_path / "a.cow")
    assert invoke(["trace", "import", "csv", str(tmp_path / "a.csv"), "-o", trace, "-q"]) == 0
    fields = ["space=16", "processes=4", "references=4", "swap_slots=8"]
    assert invoke(["run", trace, *(word for field in fields for word in ("--machine", field))]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.search(message, printed.err)
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_full_memory_and_full_swap_are_defined(engine):
    writes = [f"write 0 {page}" for page in range(16)]
    with pytest.raises(MemoryFullError):
        Simulator("linux-6.1", MACHINE | {"memory": 4, "swap": "none"}, engine=engine).run(writes)
    with pytest.raises(SwapFullError):
        Simulator("linux-6.1", MACHINE, engine=engine).run(["fillswap n=9"])


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_after_an_error_the_simulation_goes_on(engine):
    sim = Simulator("linux-6.1", MACHINE, engine=engine)
    with pytest.raises(EventError):
        sim.run(["write 0 3", "write 3 3"])
    sim.verify()
    assert sim.done == 1
    assert sim.run(["write 0 4"]) == 1
    outcomes = np.zeros(1, np.uint32)
    assert sim.run(["read 0 4"], outcomes) == 1
    assert outcomes[0] == 0
