# SPDX-License-Identifier: MIT
"""Kernel records: every script right after every event, totals under memory pressure within five per cent."""

from __future__ import annotations

import lzma

import pytest

from conftest import ROOT
from cowfast.errors import TraceError
from cowfast.oracle.bulk import COUNTED, verify_bulk
from cowfast.oracle.replay import verify_records

TINY = (
    '{"script":"fork-parent-writes","pages":1}\n'
    '{"i":0,"e":"write 0 0","v":1,"p":{"0":"f0x"},"f":{"f0":"1 AE"},"d":{"pgfault":1},"sc":0}\n'
    '{"i":1,"e":"drain","p":{"0":"f0x"},"f":{"f0":"1 ALE"},"d":{},"sc":0}\n'
    '{"i":2,"e":"fork 0 1","p":{"0":"f0","1":"f0"},"f":{"f0":"2 AL"},"d":{},"sc":0}\n'
    '{"i":3,"e":"write 0 0","v":4,"p":{"0":"f1x","1":"f0x"},"f":{"f0":"1 AL","f1":"1 AE"},"d":{"pgfault":1},"sc":0}\n'
)


RECORDS = sorted((ROOT.parent / "shared" / "oracle").glob("*.jsonl.xz"))


def test_there_are_records(shared):
    assert len(RECORDS) >= 14


# All of them take minutes: one in five for who waits, the others with `make test-long`.
@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize(
    "record", [pytest.param(r, id=r.name, marks=[pytest.mark.long] * (n % 5 != 0)) for n, r in enumerate(RECORDS)]
)
def test_every_script_of_a_record(record, engine):
    agreement = verify_records(record, engine=engine)
    assert agreement.scripts >= 112
    assert [str(mismatch) for mismatch in agreement.mismatches] == []
    assert agreement.scripts_right == agreement.scripts
    assert agreement.events_right == agreement.events


def test_streams_under_memory_pressure(shared):
    """95 % of the comparisons of copies, major faults and swap writes, 80 % of reuses, within 5 % of the kernel."""
    compared = dict.fromkeys(COUNTED, 0)
    near = dict.fromkeys(COUNTED, 0)
    for file in sorted((shared / "oracle" / "bulk").glob("*.jsonl.xz")):
        for row in verify_bulk(file):
            for name in COUNTED:
                if (error := row.error(name)) is not None:
                    compared[name] += 1
                    near[name] += error <= 0.05
    assert min(compared.values()) >= 40
    for name, share in (("copies", 0.95), ("swapmaj", 0.95), ("pswpout", 0.95), ("reuses", 0.8)):
        assert near[name] >= share * compared[name], (name, near, compared)


def test_both_engines_take_the_same_decisions_under_pressure(shared):
    file = shared / "oracle" / "bulk" / "6.18-disk.jsonl.xz"
    assert verify_bulk(file, engine="reference", streams=["nofork"]) == verify_bulk(file, streams=["nofork"]) != []


def test_a_wrong_policy_is_found_out(tmp_path):
    file = tmp_path / "7.2-disk0.jsonl"
    file.write_text(TINY)
    assert verify_records(file).scripts_right == 1
    agreement = verify_records(file, policy="linux-5.10")
    assert agreement.scripts_right == 0
    assert agreement.mismatches[0].event == 0
    assert agreement.mismatches[0].fieldname == "f"
    assert "kernel" in str(agreement.mismatches[0])


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("7.2-disk0.jsonl", b"nonsense\n", "line 1"),
        ("7.2-disk0.jsonl", b'{"i":0,"e":"write 0 0"}\n', "expected an event"),
        ("7.2-disk0.jsonl", b'{"script":"a","pages":0}\n', "pages"),
        ("what.jsonl", b"", "does not say"),
        ("7.2-disk0.jsonl.xz", b"not xz", "truncated or damaged"),
        ("7.2-disk0.jsonl.xz", lzma.compress(TINY.encode())[:-20], "truncated or damaged"),
    ],
)
def test_bad_records_are_named(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(TraceError, match=said):
        verify_records(tmp_path / name)
