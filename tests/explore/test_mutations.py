# SPDX-License-Identifier: MIT
"""Every check of linux-6.1 left out, and every two of a list swapped: refused, found unsafe, equal, or safe in all states."""

import sys
from importlib import import_module

import pytest

from conftest import ROOT
from cowfast.policy import load_policy


@pytest.fixture(scope="module")
def safety():
    sys.path.insert(0, str(ROOT / "docs" / "generate"))
    try:
        return import_module("safety")
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def page():
    return (ROOT / "docs" / "safety.md").read_text().splitlines()


@pytest.mark.slow
def test_every_check_left_out_is_what_the_table_says(safety, page):
    checks = load_policy("linux-6.1")
    rows = [line.split(" | ")[:3] for line in page if line.startswith(("| write_fault | `", "| swap_in | `"))]
    assert len(rows) == len(checks.write_fault) + len(checks.swap_in)
    for (kind, check, said), (wanted, left_out, changed) in zip(rows, safety.left_out(checks), strict=True):
        assert (kind, check) == (f"| {wanted}", f"`{left_out}`")
        what, why = safety.fate(changed)
        assert said.replace("*", "") == what + (f": {why}" if why else "")


@pytest.mark.long
@pytest.mark.parametrize("kind", ["write_fault", "swap_in"])
def test_every_two_checks_swapped_are_what_the_triangle_says(safety, page, kind):
    checks = load_policy("linux-6.1")
    begin = next(i for i, line in enumerate(page) if line.startswith(f"| {kind} | 2"))
    names = safety.rules(checks, kind)
    rows = [line.split(" | ") for line in page[begin + 2 : begin + 2 + len(names)]]
    fates = set()
    for i, j, changed in safety.swapped(checks, kind):
        what = safety.fate(changed)[0]
        fates.add(what)
        assert rows[i][j].strip(" |") == safety.LETTERS[what], (names[i], names[j])
    assert {"equal", "safe", "refused"} <= fates


@pytest.mark.slow
def test_the_last_question_and_the_exclusive_flag_are_what_safety_rests_on(safety):
    left_out = {
        check: changed for kind, check, changed in safety.left_out(load_policy("linux-6.1")) if kind == "write_fault"
    }
    assert safety.fate(left_out["copy if refs != 1"])[1].startswith("no-leak")
    assert safety.fate(left_out["reuse if exclusive"])[1].startswith("pins-coherent")


def test_a_check_that_never_decides_leaves_the_graph_as_it_is(safety):
    """Nothing fills swap in these systems: the same states and steps without the question; other states without the drain."""
    changed = {check: each for _, check, each in safety.left_out(load_policy("linux-6.1"))}
    assert safety.fate(changed["leave swap cache if swap full"]) == ("equal", "")
    assert safety.fate(changed["drain if off lru"]) == ("safe", "")
