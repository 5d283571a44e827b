# SPDX-License-Identifier: MIT
"""Policies as data: what is wrong in one is named with its file, its key and what is allowed; what is right comes back as it was."""

import pickle
import re

import pytest

from cowfast._checks import format_check, parse_check
from cowfast.errors import PolicyError
from cowfast.policy import load_policy, policy_from_dict, policy_names

WRITE = '["copy if ksm", "lock or copy", "leave swap cache", "copy if refs != 1", "reuse"]'
SWAP = '["free swap entry", "map"]'
ACTIONS = "actions are copy, reuse, leave swap cache and reuse, lock or copy, lock or wait, drain, leave swap cache"


def text(*, write: str = WRITE, swap: str = SWAP, more: str = "") -> str:
    return f'name = "mine"\nbased_on = "linux-6.1"\nwrite_fault = {write}\nswap_in = {swap}\n{more}'


@pytest.mark.parametrize(
    ("source", "key", "problem", "allowed"),
    [
        # checks that do not exist
        (text(write='["lok or copy", "copy"]'), "write_fault[0]", "unknown action 'lok or copy'", f"did you mean 'lock or copy'? {ACTIONS}"),
        (text(write='["", "copy"]'), "write_fault[0]", "'' is not a check", f"write ACTION [if CONDITION]; {ACTIONS}"),
        (text(write='["copy if", "reuse"]'), "write_fault[0]", "'copy if' has 'if' and no condition", "write a condition or leave out 'if'"),
        (text(write='["copy if ksn", "reuse"]'), "write_fault[0]", "unknown condition 'ksn'", "did you mean 'ksm'? predicates are ksm, "),
        (text(write='["copy if not refs > 1", "reuse"]'), "write_fault[0]", "unknown condition 'not refs > 1'", "comparisons are like 'refs > 1 + cached'"),
        (text(write='["copy if ref != 1", "reuse"]'), "write_fault[0]", "unknown measure 'ref'", "did you mean 'refs'? measures are refs, maps, swap count, maps + swap count"),
        (text(write='["copy if refs > 1 and maps > 1", "reuse"]'), "write_fault[0]", "compares twice", "write a second check"),
        (text(write='["copy if refs > 1 + cached + cached", "reuse"]'), "write_fault[0]", "adds 'cached' twice", "write it once"),
        (text(write='["copy if ksm and not ksm", "reuse"]'), "write_fault[0]", "contradicts itself about 'ksm'", "can never"),
        (text(write='["copy if ksm and ksm", "reuse"]'), "write_fault[0]", "says it twice about 'ksm'", "need not be asked"),
        (text(write='["map", "copy"]'), "write_fault[0]", "unknown action 'map'", ACTIONS),
        (text(swap='["free swap entry", "reuse"]'), "swap_in[1]", "unknown action 'reuse'", "actions are "),
        # verdicts that are missing, and checks that are never reached
        (text(write='["copy if refs != 1"]'), "write_fault[0]", "missing verdict: the last check must always decide", "end the list with 'copy' or 'reuse'"),
        (text(write='["lock or copy"]'), "write_fault[0]", "missing verdict", "end the list with 'copy' or 'reuse'"),
        (text(write="[]"), "write_fault", "no checks", "a list needs at least a verdict"),
        (text(write='["copy", "reuse"]'), "write_fault[1]", "unreachable: the check before it always decides", "remove one of the two"),
        (text(write='["copy if ksm", "reuse if refs == 1", "copy if ksm", "copy"]'), "write_fault[2]", "unreachable: the same check stands above", "remove it"),
        (text(write="[" + '"drain", ' * 40 + '"copy"]'), "write_fault[30]", "41 checks", "at most 30 are allowed"),
        (text(write='["lock or copy if ksm", "copy"]'), "write_fault[0]", "a lock with a condition", "write it without 'if'"),
        (text(write='["leave swap cache", "copy"]'), "write_fault[0]", "leaves the swap cache without the page lock", "write 'lock or copy' or 'lock or wait' before it"),
        (text(swap="[]"), "swap_in", "no checks", "a list needs 'free swap entry' and 'map'"),
        (text(swap='["map"]'), "swap_in", "'free swap entry' stands 0 times", "write it exactly once"),
        (text(swap='["free swap entry", "free swap entry", "map"]'), "swap_in", "'free swap entry' stands 2 times", "write it exactly once"),
        (text(swap='["free swap entry", "map if write"]'), "swap_in", "missing map", "write an unconditional 'map'"),
        (text(swap='["free swap entry", "map", "map writable if write"]'), "swap_in[2]", "unreachable: the page is mapped by then", "write it before swap_in[1]"),
        # values of another kind
        (text(write='"copy"'), "write_fault", "'copy' is not a list", "write a list of checks"),
        (text(write="[3]"), "write_fault[0]", "3 is not a check", "write text"),
        (text(more="[switches]\nexclusive = 3\n"), "switches.exclusive", "Expected `bool`", "write true or false"),
        (text(more='[switches]\nbatch = "many"\n'), "switches.batch", "Expected `int`", "write a whole number"),
        (text(more='[switches]\nget_read = "always"\n'), "switches.get_read", "Invalid enum value 'always'", "allowed are 'plain', 'unshare if mapped twice', "),
        (text(more="[switches]\nbatch = 5000\n"), "switches", "out of range", "batch is 0 to 1023"),
        # keys
        (text(more="write_falt = []\n"), "write_falt", "unknown key", "did you mean 'write_fault'? allowed are name, summary, write_fault, swap_in, switches, sources"),
        (text(more="[switches]\nexclusiv = true\n"), "switches.exclusiv", "unknown key", "did you mean 'exclusive'? allowed are exclusive, "),
        ('name = "mine"\n', "summary", "missing", 'inherit it with based_on = "NAME"'),
        ('name = "mine"\nbased_on = "linux-6.11"\n', "based_on", "there is no policy 'linux-6.11'", "did you mean linux-6.1?"),
        ('name = "mine"\nbased_on = "mine.toml"\n', "based_on", "is based on itself", "break the circle"),
        ('name = "mine"\nbased_on = 3\n', "based_on", "3", "write the name of a policy"),
    ],
)  # fmt: skip
def test_what_is_wrong_names_the_file_the_key_and_what_is_allowed(tmp_path, source, key, problem, allowed):
    path = tmp_path / "mine.toml"
    path.write_text(source)
    with pytest.raises(PolicyError) as raised:
        load_policy(path)
    said = str(raised.value)
    assert re.search(rf"mine\.toml, {re.escape(key)}: ", said), said
    assert problem in said
    assert allowed in said


@pytest.mark.parametrize("name", policy_names())
def test_a_policy_comes_back_as_it_was(name):
    policy = load_policy(name)
    assert policy_from_dict(policy.to_dict()).hash == policy.hash
    assert pickle.loads(pickle.dumps(policy)) == policy
    for kind in ("write_fault", "swap_in"):
        for record in getattr(policy, f"{kind}_checks")[:-1]:
            told = format_check(record, kind)
            assert format_check(parse_check(told, kind, name, kind), kind) == told


def test_a_name_does_not_change_what_a_policy_is_and_a_check_does(tmp_path):
    (tmp_path / "mine.toml").write_text('name = "mine"\nbased_on = "linus-2022"\n')
    assert load_policy(tmp_path / "mine.toml").hash == load_policy("linus-2022").hash
    (tmp_path / "mine.toml").write_text(f'name = "mine"\nbased_on = "linus-2022"\nwrite_fault = {WRITE.replace("!= 1", "!= 2")}\n')  # fmt: skip
    assert load_policy(tmp_path / "mine.toml").hash != load_policy("linus-2022").hash


def test_a_composition_takes_parts_of_others():
    made = load_policy("linux-5.10+write_fault=linux-5.7+switch.unmap_drains=false")
    assert made.write_fault == load_policy("linux-5.7").write_fault
    assert made.swap_in == load_policy("linux-5.10").swap_in
    assert made.switches.unmap_drains is False
    assert load_policy("linux-5.10").switches.unmap_drains is True


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("linux-5.10+writefault=linux-5.7", r"\+writefault=linux-5.7: not a change; write \+write_fault=POLICY"),
        ("linux-5.10+write_fault=linux-5.77", "linux-5.77: no such policy; did you mean linux-5.7?"),
        ("linux-5.10+switch.unmap_drain=false", "switches.unmap_drain: unknown key; did you mean 'unmap_drains'?"),
        ("linux-5.10+switch.batch=several", "switches.batch: .*write a whole number"),
    ],
)
def test_a_composition_of_what_there_is_not(name, said):
    with pytest.raises(PolicyError, match=said):
        load_policy(name)
