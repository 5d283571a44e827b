# SPDX-License-Identifier: MIT
import pytest

from cowfast.compare import compare
from cowfast.compare.run import choose_baseline, choose_policies
from cowfast.errors import CowfastError, SpecError
from cowfast.policy import load_policy, policy_names

SMALL = {"events": 20_000, "pages": 128, "processes": 4}


def test_all_means_the_built_in_ones():
    assert [policy.name for policy in choose_policies("all")] == list(policy_names())


def test_a_policy_twice_is_one():
    assert [policy.name for policy in choose_policies("linux-6.1,linux-5.10,linux-6.1")] == ["linux-6.1", "linux-5.10"]


def test_two_policies_of_one_name_are_refused(tmp_path):
    mine = tmp_path / "linux-5.10.toml"
    mine.write_text('based_on = "linux-6.1"\nname = "linux-5.10"\n')
    with pytest.raises(SpecError, match="two different policies are called 'linux-5.10'"):
        choose_policies(["linux-5.10", mine])


def test_the_baseline():
    assert choose_baseline(None, ["linux-6.1", "linux-5.16"]) == "linux-5.16"
    assert choose_baseline(None, ["linux-6.1", "linux-5.10"]) == "linux-6.1"
    with pytest.raises(SpecError, match="not among"):
        choose_baseline("linux-5.16", ["linux-6.1"])


def test_policies_see_the_same_events_under_each_seed():
    found = compare("random-mix", "linux-5.10,linux-6.1,sole-owner", seeds=3, seed=5, memory="75%", parameters=SMALL)
    assert [(result.policy, result.seed) for result in found.results] == [
        (policy, seed) for seed in (5, 6, 7) for policy in ("linux-5.10", "linux-6.1", "sole-owner")
    ]
    assert {result.counters["events"] for result in found.results} == {20_000}
    assert "linux-5.10 (baseline)" in str(found.table().rows)


@pytest.mark.parametrize("threads", [2, 5])
def test_the_numbers_do_not_depend_on_threads(threads):
    one, other = (
        compare("random-mix", "all", memory="50%", threads=number, parameters=SMALL).results for number in (1, threads)
    )
    assert [result.counters for result in one] == [result.counters for result in other]


def test_seeds_must_be_some():
    with pytest.raises(CowfastError, match="seeds"):
        compare("random-mix", "all", seeds=0)


def test_a_policy_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('based_on = "linux-5.10"\nname = "mine"\n')
    found = compare("random-mix", ["linux-5.10", path, load_policy("linux-6.1")], parameters=SMALL)
    one, mine, _ = found.results
    assert one.counters == mine.counters
    assert mine.provenance["policy"]["name"] == "mine"
    assert "policy" not in one.provenance
