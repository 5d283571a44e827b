# SPDX-License-Identifier: MIT
"""Sizes and offsets of all records: files and snapshots depend on them, and how many cache lines a fault touches."""

import numpy as np
import pytest

from cowfast import _layout as layout

RECORDS = {
    "EVENT": (12, {"op": 0, "flags": 1, "pid": 2, "page": 4, "arg": 8}),
    "PTE": (8, {"word": 0, "next": 4, "prev": 6}),
    "PAGE": (24, {"refs": 0, "maps": 4, "owner": 6, "flags": 8, "vpage": 12, "slot": 16, "lru": 20}),
    "SLOT": (8, {"page": 0, "swap_count": 4, "flags": 6}),
    "REF": (16, {"page": 0, "vpage": 4, "pid": 8, "kind": 10, "flags": 11, "reserved0": 12}),
    "CONTENT": (8, {"first": 0, "last": 4}),
    "CHECK": (12, {"n": 0, "must": 4, "mustnot": 6, "op": 8, "measure": 9, "compare": 10, "plus": 11}),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_what_it_was(name: str) -> None:
    dtype = getattr(layout, name)
    size, offsets = RECORDS[name]
    assert dtype.itemsize == size
    assert {field: dtype.fields[field][1] for field in dtype.names} == offsets


def test_processes_and_padding() -> None:
    assert layout.PROC.itemsize == 32
    for dtype in (getattr(layout, name) for name in [*RECORDS, "PROC"]):
        covered = sum(dtype.fields[field][0].itemsize for field in dtype.names)
        assert covered == dtype.itemsize, "padding is spelled out"


def test_a_pte_is_one_little_endian_word() -> None:
    """fork and exit read the three fields as 64 bits."""
    pte = np.zeros(1, layout.PTE)
    pte["word"], pte["next"], pte["prev"] = 0x11223344, 0x5566, 0x7788
    assert pte.view(np.uint64)[0] == 0x7788_5566_1122_3344


def test_counts_of_a_page_are_one_little_endian_word() -> None:
    """fork, exit and copies change refs, maps and owner in one go."""
    page = np.zeros(1, layout.PAGE)
    page["refs"], page["maps"], page["owner"] = 0x11223344, 0x5566, 0x7788
    assert page.view(np.uint64)[0] == 0x7788_5566_1122_3344


def test_hits_are_decided_by_the_low_six_bits() -> None:
    """The engine's tables of 64 bits rest on these values."""
    bits = layout.PteBit
    assert (bits.PTE_NONE, bits.PTE_ZERO, bits.PTE_PRESENT, bits.PTE_SWAP, bits.PTE_KIND) == (0, 1, 2, 3, 3)
    assert (bits.PTE_WRITE, bits.PTE_DIRTY, bits.PTE_YOUNG, bits.PTE_BLANK, bits.PTE_SHIFT) == (4, 8, 16, 32, 6)
