# SPDX-License-Identifier: MIT
"""Stories of scenarios: what they say, and that every sentence of them is true."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import ROOT
from cowfast._checks import PREDICATES, parse_check
from cowfast._engine import Engine
from cowfast._layout import Outcome
from cowfast.cli.main import invoke
from cowfast.errors import EventError, SpecError
from cowfast.events import make_events
from cowfast.litmus import load_scenario, parse_scenario
from cowfast.policy import load_policy, policy_names
from cowfast.reference.decision import Decision, Situation
from cowfast.story import Holders, Teller, first_difference, step
from cowfast.story.words import condition
from tests.programs import POLICIES, build, machines, raw

LITMUS = ROOT / "tests" / "litmus"

THREAD = """\
swap-read-write: the thread's case: read in by one process, clean in the swap
cache, then written
linux-5.10 on disk

   1  write 0 0
     zero-fill
     page 1: holds #1, refs 2 (map 1, LRU batch 1), maps 1; mapped by 0 (rw
         dirty); off lru
     seen: process 0 #1
   2  drain
     drained
     page 1: holds #1, refs 1 (map 1), maps 1; mapped by 0 (rw dirty)
   3  reclaim
     drained
     slot 1: holds #1, swap count 1 (swapped out: process 0)
     page 1: free
   4  !read 0 0
     major=1
     swap in: free swap entry: swap count 1 -> 0
     swap in: map: not write
     page 1: holds #1, refs 3 (map 1, swap cache 1, LRU batch 1), maps 1, slot 1
         with swap count 0; mapped by 0 (ro); active, off lru
   5  drain
     drained
     page 1: holds #1, refs 2 (map 1, swap cache 1), maps 1, slot 1 with swap
         count 0; mapped by 0 (ro); active
   6  !write 0 0
     copy+needless(swap-cache)
     copy: refs 2 != 1 (map 1, swap cache 1)
     page 1: holds #1, refs 1 (swap cache 1), maps 0, slot 1 with swap count 0;
         mapped by nobody; active
     page 2: holds #6, refs 2 (map 1, LRU batch 1), maps 1; mapped by 0 (rw
         dirty); off lru
     seen: process 0 #6
"""

LEAK = """\
#  7  !write 0 0   <-- first difference
     from-cache + mapped-writable + LEAK  │ from-cache+copy+left-cache
         + left-cache                     │ swap in: free swap entry: swap count
     swap in: free swap entry: swap count │     1 -> 0
         1 -> 0                           │ swap in: map: not exclusive
     swap in: leave swap cache: not ksm   │ copy: refs 3 > 1 + cached 1 (map 1,
         and write and maps + swap count  │     swap cache 1, get 1)
         0 == 0 (nobody), left slot 1,    │ page 1: holds #1, refs 1 (get 1),
         refs 3 -> 2                      │     maps 0; mapped by nobody; dirty,
     swap in: map writable: not ksm and   │     workingset
         write and not stable writeback   │ page 2: holds #7, refs 2 (map 1, LRU
         and maps + swap count 0 == 0     │     batch 1), maps 1; mapped by 0
         (nobody)                         │     (rw dirty); exclusive, off lru
"""


@pytest.fixture
def eighty(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def test_one_policy(eighty, capsys):
    assert invoke(["step", str(LITMUS / "swap-read-write.litmus"), "--policy", "linux-5.10"]) == 0
    assert capsys.readouterr().out == THREAD


def test_two_policies_side_by_side(eighty, capsys):
    assert invoke(["step", str(LITMUS / "vmsplice-swap-leak.litmus"), "--policy", "linux-5.10,linux-6.1"]) == 0
    out = capsys.readouterr().out
    assert LEAK in out
    assert max(map(len, out.splitlines())) <= 80
    assert "differ: the tables from event 1, what happens or is\nseen from event 7." in out
    assert out.count("<-- first difference") == 1
    assert "\x1b" not in out


def test_the_same_policy_twice_does_the_same(eighty, capsys):
    assert invoke(["step", str(LITMUS / "zero-page.litmus"), "--policy", "linux-6.1,linux-6.1"]) == 0
    assert "do the same throughout" in capsys.readouterr().out


def test_sentence_of_the_thread():
    """An LRU batch and the swap cache each hold a reference: what the discussion of 2022 was about."""
    told = step(load_scenario(LITMUS / "swap-read-write-fresh.litmus"), load_policy("linux-5.10")).steps[-1].told
    assert [each.words for each in told] == ["copy: refs 3 != 1 (map 1, swap cache 1, LRU batch 1)"]
    told = step(load_scenario(LITMUS / "swap-read-write-fresh.litmus"), load_policy("linux-6.1")).steps[-1].told
    assert told[0].verdict == "reuse"


def test_an_action_says_what_it_changed():
    scenario = parse_scenario("write 0 0\nfork 0 1\nexit 1\nwrite 0 0\n")
    told = step(scenario, load_policy("linux-6.18")).steps[-1].told[0]
    drain = next(asked for asked in told.asked if asked.check.startswith("drain"))
    assert (drain.holds, drain.because, drain.did) == (True, "off lru", "refs 2 -> 1")
    assert told.words == "reuse: refs 1 == 1 (map 1)"


def test_a_page_lock_that_is_taken():
    scenario = parse_scenario("write 0 0\nfork 0 1\nexit 1\ndrain\nlock 0 0 ref=5\nwrite 0 0\n")
    assert step(scenario, load_policy("linux-5.10")).steps[-1].told[0].words == "copy: locked by lock 5"


def test_pins_count_1024_each():
    scenario = parse_scenario("write 0 0\npin 0 0 ref=3 write\nprotect 0 0\nwrite 0 0\n")
    words = step(scenario, load_policy("linux-5.10")).steps[-1].told[0].words
    assert words == "copy: refs 1026 != 1 (map 1, LRU batch 1, pin 1 x 1024)"


def test_ksm_merges_what_a_program_calls_equal():
    scenario = parse_scenario("processes 2\nwrite 0 0\nfork 0 1\nwrite 1 0\ndrain n=1\nmerge 0 0 1\nread 0 0\n")
    last = step(scenario, load_policy("linux-6.1")).steps[-1]
    assert last.sees == {"process 0": "#3", "process 1": "#3"}


def test_every_scenario_is_told_as_its_file_expects():
    told = 0
    for file in sorted(LITMUS.glob("*.litmus")):
        scenario = load_scenario(file)
        for machine, block in scenario.expect.items():
            for policy in ("linux-5.7", "linux-5.16", "linux-6.1", "linux-7.2"):
                steps = step(scenario, load_policy(policy), machine).steps
                assert ", ".join(s.outcome for s in steps if s.marked) == block[policy], (file, machine, policy)
                told += sum(len(s.told) for s in steps)
    assert told > 500


def test_first_difference_is_the_first():
    scenario = load_scenario(LITMUS / "swap-read-write.litmus")
    a, b = (step(scenario, load_policy(name)) for name in ("linux-5.16", "linux-6.1"))
    assert first_difference(a, b) == (1, 6)
    assert first_difference(a, a) == (None, None)


def test_json(capsys):
    file = str(LITMUS / "swap-read-write.litmus")
    assert invoke(["step", file, "--policy", "linux-5.10,linux-6.12", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["first_difference"] == {"tables": 1, "noticed": 4}
    last = document["stories"][0]["steps"][-1]
    assert last["told"][0]["holders"] | {"maps": [0], "slot": 1, "batch": None} == last["told"][0]["holders"]
    assert (last["outcome"], last["pages"][0]["refs"], last["sees"]) == (
        "copy+needless(swap-cache)",
        1,
        {"process 0": "#6"},
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing.litmus", "-p", "linux-6.1"], "no such litmus file"),
        (["FILE", "-p", "linux-6.2"], "did you mean"),
        (["FILE", "-p", "linux-6.1,linux-5.7,linux-5.8"], "3 policies"),
        (["FILE", "-p", "linux-6.1", "--on", "floppy"], "no machine 'floppy'"),
        (["FILE"], "--policy"),
    ],
)
def test_bad_input(words, said, capsys):
    assert invoke(["step", *[str(LITMUS / "zero-page.litmus") if w == "FILE" else w for w in words]]) == 2
    assert said in capsys.readouterr().err


def test_an_event_that_cannot_be_done_is_named(tmp_path, capsys):
    (tmp_path / "dead.litmus").write_text("write 0 0\nwrite 1 0\n")
    assert invoke(["step", str(tmp_path / "dead.litmus"), "-p", "linux-6.1"]) == 2
    assert "write 1 0): the process is not alive" in capsys.readouterr().err


def test_an_expectation_that_does_not_hold_is_shown(tmp_path, capsys):
    file = tmp_path / "a.litmus"
    file.write_text("write 0 0\nfork 0 1\n!write 0 0\nexpect disk\n  reuse : linux-6.18\n")
    assert invoke(["litmus", str(file), "-p", "linux-6.18"]) == 1
    assert f"cowfast step {file} --policy linux-6.18 --on disk" in capsys.readouterr().err
    assert invoke(["step", str(file), "-p", "linux-6.18"]) == 0
    assert "(the file expects reuse)" in capsys.readouterr().out


# ---- every sentence is true

numbers = st.integers(0, 5)
situations = st.builds(Situation, numbers, numbers, numbers, st.integers(0, 2 * max(PREDICATES.values()) - 1))
COMPARISON = re.compile(
    r"(?:refs|maps|swap count|maps \+ swap count) (\d+) (==|!=|>|<|>=|<=) (\d+)(?: \+ cached (\d))?(?: \+ off lru (\d))? \("
)


@given(policy=st.sampled_from(policy_names()), now=situations)
def test_conditions_are_told_truly(policy, now):
    loaded = load_policy(policy)
    for rules in ("write_fault", "swap_in"):
        for text in loaded.to_dict()[rules]:
            check = parse_check(text, rules, policy, rules)
            said = condition(check, now, Holders())
            assert bool(said) == (not check.unconditional)
            compared = COMPARISON.search(said)
            if compared:
                value, compare, *limit = compared.groups()
                assert eval(f"{value} {compare} {'+'.join(filter(None, limit))}"), (text, said)  # noqa: S307
            for term in said.split(" and "):
                name = term.removeprefix("not ")
                if name in PREDICATES:
                    assert bool(now.predicates & PREDICATES[name]) != term.startswith("not "), (text, said)


@given(policy=st.sampled_from(POLICIES), machine=machines, rows=raw)
def test_engine_and_story_tell_the_same_decision(policy, machine, rows):
    """The deciding check, the verdict and the sum of the references that are named, in any program."""
    loaded = load_policy(policy)
    teller, engine = Teller(loaded, machine), Engine(loaded, machine)
    for event in make_events(build(rows, machine)):
        one, bits = np.atleast_1d(event), np.zeros(1, np.uint32)
        teller.story = []
        try:
            engine.run(one, bits)
            teller.run(one)
        except EventError:
            with pytest.raises(EventError):
                teller.run(one)
            return
        outcome = int(bits[0])
        faults = [told for told in teller.told if told.rules == "write_fault"]
        for told in teller.told:
            assert told.refs == told.holders.refs
            assert told.maps == len(told.holders.maps)
            assert told.swap_count == len(told.holders.entries)
            assert told.holders.fault in ((0, 1) if told.rules == "swap_in" else (0,))
        assert [plain(told) for told in faults] == [plain_decision(each) for each in teller.story]
        decided = outcome >> Outcome.CHECK_SHIFT & 31
        written = [told for told in faults if not told.unshare and not told.dropped]
        assert decided == (written[-1].number if written else 0)
        if faults and not faults[-1].dropped:
            copied = faults[-1].verdict == "copy"
            assert bool(outcome & Outcome.COPIED) >= copied
            assert bool(outcome & Outcome.REUSED) >= (not copied)


def plain(told):
    return (told.number - 1, told.verdict != "copy", told.page, told.refs, told.maps, told.swap_count)


def plain_decision(decision: Decision):
    now = decision.situation
    return (decision.index, decision.reuse, decision.page, now.refs, now.maps, now.swap_count)


def test_machine_that_is_not_there():
    with pytest.raises(SpecError, match="no machine"):
        step(load_scenario(LITMUS / "zero-page.litmus"), load_policy("linux-6.1"), "tape")
