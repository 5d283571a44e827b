# SPDX-License-Identifier: MIT
"""What is known about policies is found by the search, and every counter-example is confirmed by the reference model."""

import json

import msgspec
import numpy as np
import pytest

from cowfast._layout import CONTENT, Op
from cowfast.cli import root
from cowfast.errors import SpecError
from cowfast.explore import System, explore
from cowfast.explore.system import EVENTS
from cowfast.litmus import judge, load_scenario, outcomes_of
from cowfast.policy import load_policy
from cowfast.reference import Reference

GETS = System(pins=0)
PINS = System(gets=0)
DEVICES = ("async", "sync")
ALL = ("no-leak", "pins-coherent", "no-lost-write")


def found(policy, device="async", system=GETS):
    result = explore(load_policy(policy), device, system)
    assert result.complete or all(result.shortest(name) for name in ALL), "these systems close"
    return result


def ops(finding):
    return [Op(int(op)) for op in finding.events["op"]]


@pytest.mark.parametrize("device", DEVICES)
def test_linux_5_7_leaks_through_a_reference_in_six_events(device):
    leak = found("linux-5.7", device).shortest("no-leak")
    assert leak.by == "get"
    assert len(leak.events) <= 6
    assert Op.FORK in ops(leak)
    assert ops(leak)[-1] == Op.PINREAD


@pytest.mark.parametrize("taker", [0, 1])
def test_linux_5_7_leaks_in_both_directions(taker):
    """The sequences of the CVE and of its mirror image, told by the reference model: the other's store is in the pipe."""
    texts = {
        1: ["write 0 0", "fork 0 1", "get 1 0 ref=0 look", "discard 1 0", "write 0 0", "pinread ref=0"],
        0: ["write 0 0", "get 0 0 ref=0 look", "fork 0 1", "discard 0 0", "write 1 0", "pinread ref=0"],
    }
    from cowfast.events import make_events, parse_event

    events = make_events(map(parse_event, texts[taker]))
    for policy, seen in (("linux-5.7", 5), ("linux-6.1", 1)):
        values = np.zeros(len(events), CONTENT)
        Reference(load_policy(policy), GETS.machine("async")).run(events, None, values)
        assert values["first"][-1] == seen


@pytest.mark.parametrize("device", DEVICES)
def test_linux_5_10_leaks_only_what_was_swapped_out(device):
    leak = found("linux-5.10", device).shortest("no-leak")
    assert {Op.PAGEOUT, Op.RECLAIM} & set(ops(leak)), "no leak while the page is present"
    assert Op.FORK in ops(leak)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("policy", ["linux-5.10", "linux-5.18"])
def test_pins_break_by_write_protection_or_reclaim(policy, device):
    result = found(policy, device, PINS)
    assert result.verdict("pins-coherent") == "violated"
    assert (result.verdict("no-leak") == "holds") == (policy == "linux-5.18")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("system", [GETS, PINS, System()], ids=["gets", "pins", "both"])
@pytest.mark.slow
def test_linux_6_1_is_safe(device, system):
    result = found("linux-6.1", device, system)
    assert [result.verdict(name) for name in ALL] == ["holds"] * 3
    assert result.states > 100


@pytest.mark.parametrize("policy", ["linux-6.12", "linux-6.18", "linux-7.2"])
def test_from_6_11_on_a_write_through_a_pin_can_be_lost(policy):
    result = found(policy, "async", PINS)
    assert [result.verdict(name) for name in ALL] == ["holds", "holds", "violated"]
    lost = ops(result.shortest("no-lost-write"))
    assert lost.index(Op.PIN) < lost.index(Op.PINWRITE) < lost.index(Op.UNPIN)
    assert found(policy, "async", GETS).verdict("no-lost-write") == "holds", "without pins nothing is lost"


@pytest.mark.parametrize("policy", ["linux-6.12", "linux-6.18", "linux-7.2", "linux-7.3"])
@pytest.mark.parametrize("system", [GETS, PINS, System()], ids=["gets", "pins", "both"])
def test_a_synchronous_device_is_safe_without_willneed(policy, system):
    """A page that is read past the swap cache, or leaves it at once, has no slot from which old contents could come back."""
    result = found(policy, "sync", msgspec.structs.replace(system, without=("prefetch",)))
    assert result.complete
    assert [result.verdict(name) for name in ALL] == ["holds"] * 3


def test_willneed_loses_it_on_a_synchronous_device_too():
    """Up to 6.19 MADV_WILLNEED reads zram through the swap cache, which leaves a valid slot; from 7.0 on none is left."""
    for policy in ("linux-6.12", "linux-6.18"):
        lost = found(policy, "sync", PINS).shortest("no-lost-write")
        assert Op.PREFETCH in ops(lost)
    for policy in ("linux-7.2", "linux-7.3"):
        assert found(policy, "sync", PINS).verdict("no-lost-write") == "holds"


def test_what_never_happens_is_left_out():
    assert Op.PREFETCH not in System(without=("prefetch",)).events()["op"]
    assert set(System(locks=1).events()["op"]) == set(EVENTS.values())
    with pytest.raises(SpecError, match="prefetch"):
        System(without=("prefech",))


@pytest.mark.parametrize("device", DEVICES)
def test_other_ways_are_found_and_what_follows_from_them_is_not_told(device):
    """Of 5.7 the reference of the CVE, although a pin that fork shares leaks in fewer events; who leaks can be pinned: no other hole."""
    result = found("linux-5.7", device, System())
    assert {way.by: len(way.events) for way in result.ways("no-leak")} == {"pte": 4, "pin": 5, "get": 6}
    by_get = next(way for way in result.ways("no-leak") if way.by == "get")
    assert Op.PIN not in ops(by_get)
    assert any("get 0 sees" in line and "LEAK" in line for line in result.story(by_get))
    assert {way.by for way in found("linux-5.18", device, System()).findings} == {
        "read-write pin",
        "long-term read-only pin",
        "pte",
    }


@pytest.mark.parametrize("device", DEVICES)
def test_linus_2022_leaks_what_was_swapped_at_fork(device):
    """Row A' of the proposal: do_swap_page stays as it was, the write fault itself is right."""
    leak = found("linus-2022", device).shortest("no-leak")
    assert {Op.PAGEOUT, Op.RECLAIM} & set(ops(leak))
    assert found("swapin-draft-2022", device).verdict("no-leak") == "holds"


def test_willy_2022_leaks_through_the_swap_entry_of_another():
    leak = found("willy-2022", "async", System(gets=0, pins=0)).shortest("no-leak")
    assert leak.by == "pte"


def test_a_user_policy_with_a_hole(tmp_path):
    """Leaving out one question of 6.1 is found, told, and written as a scenario that the other tools read."""
    policy, litmus = tmp_path / "my.toml", tmp_path / "hole.litmus"
    policy.write_text(
        'name = "my"\nbased_on = "linux-6.1"\nwrite_fault = ["reuse if exclusive", "copy if ksm", "lock or copy", "reuse"]\n'
    )
    from click.testing import CliRunner

    done = CliRunner().invoke(
        root,
        ["explore", "-p", str(policy), "--pins", "0", "-o", str(litmus), "--format", "table"],
        standalone_mode=False,
    )
    assert done.return_value == 1 or done.exit_code == 1
    assert "LEAK: stored by process" in done.stdout
    assert done.stdout.count("does not hold (pte)") == 1, "the same on both devices: told once"
    scenario = load_scenario(litmus)
    assert scenario.marked
    assert outcomes_of(scenario, str(policy), "disk") == outcomes_of(scenario, str(policy), "disk", "reference")


def test_the_litmus_file_of_a_built_in_policy_holds_what_happens(tmp_path):
    result = found("linux-5.7")
    from cowfast.litmus import format_scenario, parse_scenario

    scenario = parse_scenario(format_scenario(result.scenario(result.shortest("no-leak"))))
    assert [verdict.right for verdict in judge(scenario, ["linux-5.7"], ["disk"])] == [True]


def test_a_bound_is_said(capsys):
    result = explore(load_policy("linux-6.1"), "async", max_states=3000)
    assert "--max-states" in result.stopped
    assert result.verdict("no-leak") == "open"
    result = explore(load_policy("linux-6.1"), "async", max_bytes=1 << 20)
    assert "--memory" in result.stopped


@pytest.mark.slow
@pytest.mark.parametrize("policy", [pytest.param("willy-2022", marks=pytest.mark.long), "sole-owner", "linux-5.8"])
def test_a_search_ends_when_every_property_has_its_counter_example(policy):
    """Thirteen million states of willy-2022 are not needed to know that it is unsafe; what was found is as short."""
    result = explore(load_policy(policy), "async")
    assert not result.complete
    assert [result.verdict(name) for name in ALL] == ["violated"] * 3
    pins = explore(load_policy(policy), "async", PINS, every_state=True)
    assert pins.complete
    for name in ALL:
        assert len(result.shortest(name).events) <= len(pins.shortest(name).events)


def as_json(*words):
    from click.testing import CliRunner

    return json.loads(
        CliRunner().invoke(root, ["explore", *words, "--format", "json", "-q"], standalone_mode=False).stdout
    )


def test_json_is_one_document():
    said = as_json("-p", "linux-6.1", "--pins", "0")
    assert {row["verdict"] for row in said["explorations"]} == {"holds"}
    assert said["policy"] == "linux-6.1"
    assert said["states"] == sum({row["device"]: row["states"] for row in said["explorations"]}.values())
    assert set(said["properties"]) == {"no-leak", "pins-coherent", "no-lost-write"}
    assert all(each["holds"] is True and each["events"] == [] for each in said["properties"].values())


def test_json_of_a_policy_that_leaks_has_the_shortest_events():
    said = as_json("-p", "linux-5.7", "--pins", "0")
    leak = said["properties"]["no-leak"]
    assert leak["holds"] is False
    assert leak["events"] == ["write 0 0", "fork 0 1", "get 1 0 ref=0 look", "write 1 0", "write 0 0", "pinread ref=0"]
    assert said["properties"]["no-lost-write"] == {"holds": True, "verdicts": ["holds"], "events": []}


def test_json_of_several_policies_says_it_of_each():
    said = as_json("-p", "linux-6.1,linux-5.7", "--pins", "0", "--properties", "no-leak", "--device", "sync")
    assert {one["policy"]: one["properties"]["no-leak"]["holds"] for one in said["policies"]} == {
        "linux-6.1": True,
        "linux-5.7": False,
    }
    assert "properties" not in said


def test_a_search_that_was_cut_off_holds_nothing():
    said = as_json("-p", "linux-6.1", "--pins", "0", "--max-states", "50", "--device", "sync")
    assert all(each["holds"] is False and each["events"] == [] for each in said["properties"].values())
