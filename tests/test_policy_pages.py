# SPDX-License-Identifier: MIT
"""What is said about policies: notes beside the checks, neighbours, differences, and the figures that the pages keep."""

from __future__ import annotations

import os

import msgspec
import pytest
from click.testing import CliRunner

from _evidence import FILE, rows, under_pressure
from cowfast.cli import root as cli
from cowfast.oracle.replay import verify_records
from cowfast.policy import SWITCH_MEANINGS, load_policy, policy_names
from cowfast.policy_notes import Notes, policy_notes, predecessor

KERNELS = [name for name in policy_names() if name.startswith("linux-")]
NEIGHBOURS = [(before, name) for name in policy_names() if (before := predecessor(name))]


def diff(before, after, *options):
    done = CliRunner().invoke(cli, ["policies", "diff", before, after, *options])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("name", policy_names())
def test_notes_stand_beside_their_checks(name):
    policy, notes = load_policy(name), policy_notes(name)
    assert (len(notes.write_fault), len(notes.swap_in)) == (len(policy.write_fault), len(policy.swap_in))
    assert notes.remark
    assert "SPDX" not in notes.remark
    assert notes.switches.keys() == SWITCH_MEANINGS.keys()
    if name in KERNELS:  # every check of a kernel names what it stands for
        assert all(notes.write_fault)
        assert all(notes.swap_in)


def test_notes_of_a_composition_and_of_a_file():
    notes = policy_notes("linux-5.10+write_fault=linux-5.7")
    assert notes.write_fault == policy_notes("linux-5.7").write_fault
    assert notes.swap_in == policy_notes("linux-5.10").swap_in
    assert policy_notes("my-policy.toml") == Notes()


def test_a_file_with_a_kernels_name_gets_no_notes_of_that_kernel(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('based_on = "linux-6.18"\nwrite_fault = ["copy"]\n')
    text = diff("linux-6.18", str(file))
    assert "  + copy\n" in text
    assert "  - reuse if exclusive         # PageAnonExclusive\n" in text


def test_every_kernel_has_the_one_before_as_its_predecessor():
    assert [predecessor(name) for name in KERNELS] == [None, *KERNELS[:-1]]
    assert predecessor("linux-5.18") == "linux-5.16"
    assert [name for name in policy_names() if not predecessor(name)] == ["linux-5.7", "always-copy", "sole-owner"]
    assert predecessor("my-policy.toml") is None


@pytest.mark.parametrize(("before", "after"), NEIGHBOURS)
def test_a_difference_is_told_completely(before, after):
    """Taking the lines with - away from the old list and adding those with + gives the new one, in its order."""
    text = diff(before, after)
    old, new = load_policy(before), load_policy(after)
    assert text.startswith(f"{before} -> {after}\n")
    for title, was, now in (
        ("when a protected page is written", old.write_fault, new.write_fault),
        ("when a page is swapped in", old.swap_in, new.swap_in),
    ):
        if was == now:
            assert f"{title}: the same {len(now)} checks\n" in text
            continue
        lines = text.partition(f"{title}\n")[2].partition("\n\n")[0].splitlines()
        said = [(line[2], line[4:].partition("  ")[0].rstrip()) for line in lines]
        assert tuple(check for sign, check in said if sign != "+") == was
        assert tuple(check for sign, check in said if sign != "-") == now
    was, now = old.to_dict()["switches"], new.to_dict()["switches"]
    for name in now:
        assert (f"\n  {name}: " in text) == (was[name] != now[name]), name
    assert max(map(len, text.splitlines())) < 200
    assert not any(line != line.rstrip() for line in text.splitlines())


def test_a_check_that_moved_says_so():
    text = diff("linux-6.18", "linux-7.2")
    assert "  - free swap entry                                      (asked later now)\n" in text
    assert "  - leave swap cache if swap full  " in diff("linux-5.16", "linux-5.18")
    assert "(asked earlier now)" in diff("linux-5.16", "linux-5.18")


def test_policies_that_do_the_same_say_so():
    assert diff("linux-6.1", "linux-6.1").endswith("\nThey do the same.\n")


def test_a_difference_as_data():
    found = msgspec.json.decode(diff("linux-7.2", "linux-7.3", "--format", "json"))
    assert found["switches"] == {"readahead_drains": [True, False]}
    assert "+ leave swap cache if write and exclusive" in found["checks"]["when a page is swapped in"]


def test_the_page_of_evidence_quotes_the_kept_figures(root):
    """docs/validated.md is written by hand; its figures are those of docs/data/agreement.json."""
    page = (root / "docs" / "validated.md").read_text()
    records = rows("kernel-record")
    for name in ("scripts", "events"):
        right, there = sum(row[f"{name}_right"] for row in records), sum(row[name] for row in records)
        assert f"{right:,} of {there:,} {name}" in page
    totals = dict.fromkeys(("copies", "reuses", "swapmaj", "pswpout"), (0, 0))
    for policy in {row["policy"] for row in rows("bulk")}:
        for name, compared, near in under_pressure(policy):
            totals[name] = (totals[name][0] + near, totals[name][1] + compared)
    words = {"copies": "copies", "reuses": "reuses", "swapmaj": "major faults", "pswpout": "swap writes"}
    for name, (near, compared) in totals.items():
        assert f"{words[name]} {near} of {compared}" in page
    for row in rows("perf"):
        assert f"{row['agree']:,} of {row['agree'] + row['disagree']:,}" in page


def test_the_kept_figures_are_those_of_the_records(shared):
    """All files are there, and a part of them (all with COWFAST_ALL_RECORDS=1) is verified again."""
    kept = {row["file"]: row for row in rows("kernel-record")}
    files = sorted((shared / "oracle").glob("*.jsonl.xz"))
    assert [file.name for file in files] == sorted(kept), (
        f"run the command in {FILE.parent / '../generate/_evidence.py'}"
    )
    for file in files if os.environ.get("COWFAST_ALL_RECORDS") else files[:1]:
        assert verify_records(file, engine="fast").to_dict() | {"file": file.name} == kept[file.name]
