# SPDX-License-Identifier: MIT
"""Kernel records that are bent: found out, named by line, shown side by side."""

from __future__ import annotations

import json

import pytest

from cowfast.errors import TraceError
from cowfast.oracle.replay import guess, verify_records
from cowfast.oracle.translate import ARGUMENTS, Translator, parse

HEAD = {"script": "sample", "pages": 1}
ROWS = [
    {"i": 0, "e": "write 0 0", "v": 1, "p": {"0": "f0x"}, "f": {"f0": "1 AE"}, "d": {"pgfault": 1}, "sc": 0},
    {"i": 1, "e": "drain", "p": {"0": "f0x"}, "f": {"f0": "1 ALE"}, "d": {}, "sc": 0},
    {"i": 2, "e": "reclaim", "p": {"0": "s0"}, "f": {}, "d": {"pswpout": 1}, "sc": 0},
    {"i": 3, "e": "read 0 0", "v": 1, "p": {"0": "f1x"}, "f": {"f1": "1 ASE s0"},
     "d": {"pgfault": 1, "pgmajfault": 1, "pswpin": 1}, "sc": 1},
    {"i": 4, "e": "vmsplice 0 0", "ref": 0, "p": {"0": "f1x"}, "f": {"f1": "1 ARSE s0"}, "d": {}, "sc": 1},
    {"i": 5, "e": "write 0 0", "v": 6, "p": {"0": "f1x"}, "f": {"f1": "1 ARSE s0"}, "d": {}, "sc": 1},
    {"i": 6, "e": "splice_read 0", "v": 6, "ref": 0, "p": {"0": "f1x"}, "f": {"f1": "1 ARSE s0"}, "d": {}, "sc": 1},
]  # fmt: skip


def write(path, rows=ROWS, head=HEAD):
    """Writes a record of one script; its event ``i`` is in line ``i + 2``."""
    path.write_text("".join(json.dumps(row) + "\n" for row in [head, *rows]))
    return path


def bent(at, **changes):
    """The sample with one event changed; a value of None takes the field away."""
    rows = [dict(row) for row in ROWS]
    rows[at] = {name: value for name, value in (rows[at] | changes).items() if value is not None}
    return rows


@pytest.fixture
def record(tmp_path):
    return tmp_path / "7.2-disk0.jsonl"


@pytest.mark.parametrize("engine", ["reference", "fast"])
def test_the_sample_is_right(record, engine):
    agreement = verify_records(write(record), engine=engine)
    assert [str(mismatch) for mismatch in agreement.mismatches] == []
    assert (agreement.scripts_right, agreement.events_right, agreement.referenced_right) == (1, 7, 1)
    assert agreement.to_dict()["kind"] == "kernel-record"


@pytest.mark.parametrize(
    ("at", "changes", "fieldname"),
    [
        (0, {"p": {"0": "f0"}}, "p"),
        (1, {"f": {"f0": "1 AE"}}, "f"),
        (1, {"f": {"f0": "1 ADLE"}}, "f"),
        (1, {"f": {"f0": "2 ALE"}}, "f"),
        (2, {"p": {"0": "s0+"}}, "p"),
        (2, {"d": {}}, "pswpout"),
        (2, {"d": {"pswpout": 1, "swpout_zero": 1}}, "swpout_zero"),
        (3, {"sc": 0}, "sc"),
        (3, {"v": 2}, "v"),
        (3, {"torn": 4}, "torn"),
        (3, {"f": {"f1": "1 ASE"}}, "f"),
        (3, {"d": {"pgfault": 1, "pgmajfault": 1, "pswpin": 1, "swap_ra": 3}}, "swap_ra"),
        (3, {"d": {"pgmajfault": 1, "pswpin": 1}}, "pgfault"),
        (5, {"d": {"pgreuse": 1}}, "pgreuse"),
        (6, {"v": 1}, "v"),
    ],
)
def test_each_thing_that_is_compared_can_differ(record, at, changes, fieldname):
    agreement = verify_records(write(record, bent(at, **changes)))
    assert (agreement.scripts_right, agreement.events_right) == (0, at)
    mismatch = agreement.mismatches[0]
    assert (mismatch.event, mismatch.fieldname) == (at, fieldname)
    assert mismatch.history == [row["e"] for row in ROWS[: at + 1]]


def test_referenced_is_counted_apart(record):
    agreement = verify_records(write(record, bent(4, f={"f1": "1 ASE s0"})))
    assert (agreement.scripts_right, agreement.referenced_right) == (1, 0)


def test_a_difference_shows_both_states_side_by_side(record):
    text = str(verify_records(write(record, bent(3, f={"f1": "1 ASDE s0"}))).mismatches[0])
    assert text.splitlines() == [
        "sample #3 'read 0 0': f differs",
        "!             kernel    model",
        "  process 0   f1x       f1x",
        "! frame f1    1 SDE s0  1 SE s0",
        "  sc          1         1",
        "  v           1         1",
        "  pgmajfault  1         1",
        "  pswpin      1         1",
        "  pgfault     True      True",
        "  after: write 0 0; drain; reclaim; read 0 0",
    ]


def test_only_so_many_differences_are_kept(record):
    line = json.dumps(HEAD) + "\n" + json.dumps(bent(0, sc=5)[0]) + "\n"
    record.write_text(line * 7)
    agreement = verify_records(record, limit=3)
    assert (agreement.scripts, agreement.scripts_right, len(agreement.mismatches)) == (7, 0, 3)


@pytest.mark.parametrize(
    ("at", "changes", "said"),
    [
        (1, {"e": "jump 0"}, "line 3: unknown recorded event"),
        (0, {"e": "write 0"}, "line 2: 'write 0': expected write pid page"),
        (0, {"e": "write 0 x"}, "expected write pid page"),
        (0, {"e": "write 0 -1"}, "expected write pid page"),
        (0, {"e": "write 0 7"}, "line 2: beyond the address space"),
        (0, {"e": "write 3 0"}, "line 2: the process is not alive"),
        (0, {"e": "write 99999 0"}, "above 2047"),
        (0, {"e": " "}, "line 2: expected an event"),
        (4, {"ref": None}, "line 6: .*number of its pipe"),
        (4, {"ref": "x"}, "number of its pipe"),
        (6, {"e": "splice_read 5"}, "line 8: nothing is held"),
        (6, {"e": "pinread 0"}, "line 8: nothing is held"),
        (2, {"p": None}, 'line 4: "p" should be a table of texts'),
        (2, {"p": {"0": 5}}, '"p" should be a table of texts'),
        (2, {"f": []}, '"f" should be a table of texts'),
        (2, {"f": {"f0": "1"}}, "MAPCOUNT FLAGS"),
        (2, {"d": {"pswpout": "1"}}, '"d" should be a table of numbers'),
        (2, {"sc": None}, '"sc" should be a number'),
    ],
)
def test_a_row_that_makes_no_sense_is_named_by_its_line(record, at, changes, said):
    with pytest.raises(TraceError, match=said):
        verify_records(write(record, bent(at, **changes)))


def test_what_could_not_be_done_is_passed_over(record):
    rows = [*ROWS, {"i": 7, "e": "write 5 0", "skip": "no such process"}]
    assert verify_records(write(record, rows)).scripts_right == 1


@pytest.mark.parametrize(
    ("name", "policy", "swap"),
    [
        ("7.2-disk0.jsonl.xz", "linux-7.2", {"swap": "async", "page_cluster": 0}),
        ("5.10-disk3-protect.jsonl.xz", "linux-5.10", {"swap": "async", "page_cluster": 3}),
        ("legacy-zram.jsonl", "linux-5.10+write_fault=linux-5.7", {"swap": "sync", "page_cluster": 0, "stable_writes": True}),
    ],
)  # fmt: skip
def test_policy_and_device_come_from_the_name(tmp_path, name, policy, swap):
    assert guess(tmp_path / name) == (policy, swap)


def test_every_recorded_event_has_a_translation():
    for name, arguments in ARGUMENTS.items():
        steps = list(Translator().steps({"e": " ".join([name, *("0" for _ in arguments)]), "ref": 0}))
        assert steps, name
        assert parse(" ".join([name, *("1" for _ in arguments)]))[0] == name


def test_the_recorders_habits():
    """An exiting process drops its pin first; pinread unmaps its buffer and then loads the page."""
    translator = Translator()
    list(translator.steps({"e": "pin 1 4"}))
    read = [event[0].name for _, event in translator.steps({"e": "pinread 1", "view": 3})]
    assert read == ["PINREAD", "DRAIN", "READ"]
    assert [event[0].name for _, event in translator.steps({"e": "exit 1"})] == ["UNPIN", "EXIT"]
    assert [event[0].name for _, event in translator.steps({"e": "exit 1"})] == ["EXIT"]
