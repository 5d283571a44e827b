# SPDX-License-Identifier: MIT
"""Every check of linux-6.1, left out or swapped with its neighbour: refused, found unsafe, or safe in all states."""

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


@pytest.mark.long
def test_the_table_of_mutations_is_what_is_found(safety):
    rows = [
        line
        for line in (ROOT / "docs" / "safety.md").read_text().splitlines()
        if line.startswith(("| write_fault", "| swap_in"))
    ]
    checks = load_policy("linux-6.1")
    assert len(rows) == 2 * (len(checks.write_fault) + len(checks.swap_in)) - 2
    for row, (what, mutant) in zip(rows, safety.mutants(checks), strict=True):
        if isinstance(mutant, str):
            assert row == f"| {what} | refused: {mutant} | |"
        else:
            broken, events = safety.fate(mutant)
            assert row == f"| {what} | {broken or 'nothing'} | {events or ''} |"


def test_the_last_question_and_the_exclusive_flag_are_what_safety_rests_on(safety):
    fates = {what: safety.fate(each)[0] for what, each in safety.mutants(load_policy("linux-6.1"))
             if not isinstance(each, str) and what.endswith(("`copy if refs != 1`", "without `reuse if exclusive`"))}  # fmt: skip
    assert fates["write_fault: without `copy if refs != 1`"] == "no-leak"
    assert fates["write_fault: without `reuse if exclusive`"] == "pins-coherent"
