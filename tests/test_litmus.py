# SPDX-License-Identifier: MIT
"""The project's scenarios, in both engines, and the text of litmus files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cowfast.errors import SpecError
from cowfast.litmus import format_scenario, judge, load_scenario, parse_scenario, promote
from cowfast.policy import policy_names

FILES = sorted((Path(__file__).parent / "litmus").glob("*.litmus"))


def test_there_are_scenarios():
    assert len(FILES) >= 81


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_every_scenario_is_as_expected_under_every_policy(engine):
    wrong = []
    for file in FILES:
        scenario = load_scenario(file)
        assert scenario.expect, file
        wrong += [verdict for verdict in judge(scenario, policy_names(), scenario.expect, engine) if not verdict.right]
    assert wrong == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_text_round_trips(file):
    scenario = load_scenario(file)
    again = parse_scenario(format_scenario(scenario))
    assert np.array_equal(again.events, scenario.events)
    assert (again.marked, again.expect, again.about) == (scenario.marked, scenario.expect, scenario.about)


def test_the_thread_in_three_lines():
    """Swapped in by a read, clean in the swap cache, then written: needlessly copied until the swap cache is left."""
    expect = load_scenario(Path(__file__).parent / "litmus" / "swap-read-write.litmus").expect["disk"]
    assert "needless(swap-cache)" in expect["linux-5.16"]
    assert "reuse" in expect["linus-2022"]
    assert "left-cache" in expect["linus-2022"]
    assert expect["linux-6.12"].endswith("hit")


def test_the_last_question_of_a_list_is_not_a_pre_check():
    """Linus's sequence has no pre-check: what makes it copy a fresh page needlessly is the LRU batch (semantics 6.1)."""
    expect = load_scenario(Path(__file__).parent / "litmus" / "swap-read-write-fresh.litmus").expect["disk"]
    assert "needless(lru-batch)" in expect["linus-2022"]
    assert not any("pre-check" in load_scenario(file).expect.get("disk", {}).get("linus-2022", "") for file in FILES)


def test_promote_writes_what_happens(tmp_path):
    file = tmp_path / "a.litmus"
    file.write_text("name a\nspace 1\n\nwrite 0 0\nfork 0 1\n!write 0 0\n")
    assert promote(file, ["linux-6.18"], ["disk"])
    assert load_scenario(file).expect == {"disk": {"linux-6.18": "copy+drained"}}
    assert not promote(file, ["linux-6.18"], ["disk"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no events"),
        ("wirte 0 0\n", "did you mean 'write'"),
        ("write 0\n", "line 1"),
        ("write 0 0\nexpect dsk\n", "did you mean 'disk'"),
        ("!write 0 0\nexpect disk\n reuse, copy : linux-6.18\n", "2 outcomes for 1"),
        ("space many\nwrite 0 0\n", "space"),
    ],
)
def test_bad_files_say_what_is_wrong(text, said):
    with pytest.raises(SpecError, match=said):
        parse_scenario(text, "bad.litmus")
