# SPDX-License-Identifier: MIT
"""What docs/safety.md says that kernel records show of writes through pins is in the records."""

import lzma
from collections.abc import Iterator

import msgspec
import pytest


def events(shared, record: str, script: str) -> list[dict]:
    """Return the events of one script of a record."""
    return list(_of(shared / "oracle" / f"{record}.jsonl.xz", script))


def _of(path, script: str) -> Iterator[dict]:
    inside = False
    with lzma.open(path, "rb") as file:
        for line in file:
            row = msgspec.json.decode(line)
            if "script" in row:
                if inside:
                    return
                inside = row["script"] == script
            elif inside:
                yield row


def frame(event: dict, pid: int = 0, page: int = 0) -> tuple[int, str, str]:
    """Return (mappings, flags, slot) of the page that a process has there."""
    name = event["p"][str(pid)].split()[page].rstrip("x")
    maps, flags, *slot = event["f"][name].split()
    return int(maps), flags, slot[0] if slot else ""


def test_willneed_leaves_a_clean_writable_page_with_a_slot_on_zram(shared):
    *_, willneed, read, write = events(shared, "6.18-zram", "swap-willneed-read-write")
    assert (willneed["e"], read["e"], write["e"]) == ("willneed 0 0", "read 0 0", "write 0 0")
    maps, flags, slot = frame(read)
    assert maps == 1
    assert slot == willneed["p"]["0"].rstrip("+"), "the slot that it was read from"
    assert {"S", "E"} <= set(flags)
    assert "D" not in flags
    assert "pgfault" not in write["d"], "writable as it was"


def test_a_pin_s_write_leaves_it_clean(shared):
    write = next(event for event in events(shared, "6.18-disk0", "pin-036") if event["i"] == 55)
    assert write["e"] == "pinwrite 3"
    _, flags, slot = frame(write, 3, 4)
    assert {"S", "E"} <= set(flags)
    assert "D" not in flags
    assert slot


def test_reclaim_drops_a_clean_page_on_zram_without_writing_it(shared):
    script = {event["i"]: event for event in events(shared, "6.18-zram", "ref-104")}
    assert [script[i]["e"] for i in (60, 61, 62, 63, 65)] == [
        "write 0 0",
        "reclaim",
        "willneed 0 0",
        "read 0 0",
        "reclaim",
    ]
    slot = script[61]["p"]["0"].split()[0]
    assert frame(script[63])[2] == slot
    assert "D" not in frame(script[63])[1]
    assert script[65]["p"]["0"].split()[0] == slot
    assert "pswpout" not in script[65]["d"]


def test_6_1_takes_a_fault_and_7_2_keeps_no_slot(shared):
    *_, write = events(shared, "6.1-zram", "swap-willneed-read-write")
    assert write["d"]["pgfault"] == 1
    *_, read, _ = events(shared, "7.2-zram", "swap-willneed-read-write")
    _, flags, slot = frame(read)
    assert "S" not in flags
    assert "D" in flags
    assert not slot


@pytest.mark.parametrize("kernel", ["6.1", "6.18", "7.2"])
def test_no_record_has_the_whole_sequence_on_a_synchronous_device(shared, kernel):
    """The sentence of the docs is to be changed when one has: a write through a pin of a clean cached page on zram."""
    found = 0
    with lzma.open(shared / "oracle" / f"{kernel}-zram.jsonl.xz", "rb") as file:
        for line in file:
            row = msgspec.json.decode(line)
            if row.get("e", "").startswith("pinwrite"):
                pages = [state.split() for state in row["f"].values()]
                found += any(
                    len(page) > 2 and page[0] == "1" and "E" in page[1] and "D" not in page[1] for page in pages
                )
    assert found == 0
