# SPDX-License-Identifier: MIT
"""Sizes and offsets of all records: files and snapshots depend on them, and how many cache lines a fault touches."""

import numpy as np
import pytest

from cowfast import _layout as layout

RECORDS = {
    "EVENT": (12, {"op": 0, "flags": 1, "pid": 2, "page": 4, "arg": 8}),
    "PTE": (4, {"word": 0}),
    "LINK": (4, {"next": 0, "prev": 2}),
    "PAGE": (16, {"who": 0, "refs": 8, "flags": 12}),
    "PLACE": (12, {"vpage": 0, "slot": 4, "lru": 8}),
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


def test_a_page_is_two_little_endian_words() -> None:
    """Who maps it, and refs below flags: exits and copies read and write both of these in one go."""
    page = np.zeros(1, layout.PAGE)
    page["who"], page["refs"], page["flags"] = 0x99AABBCC_DDEEFF00, 0x11223344, 0x55667788
    assert page.view(np.uint64).tolist() == [0x99AABBCC_DDEEFF00, 0x55667788_11223344]


def test_a_bit_for_each_process_fills_the_word_of_a_page() -> None:
    assert 8 * layout.PAGE["who"].itemsize == layout.Number.MASKED


def test_no_page_lies_across_two_cache_lines() -> None:
    assert 64 % layout.PAGE.itemsize == 0


def test_the_swap_cache_flag_is_the_engines_own() -> None:
    """It is masked out of what the engine tells; no other flag has its bit."""
    flags = [int(flag) for flag in layout.PageFlag]
    assert sum(flags) == (1 << len(flags)) - 1


def test_hits_are_decided_by_the_low_six_bits() -> None:
    """The engine's tables of 64 bits rest on these values."""
    bits = layout.PteBit
    assert (bits.PTE_NONE, bits.PTE_ZERO, bits.PTE_PRESENT, bits.PTE_SWAP, bits.PTE_KIND) == (0, 1, 2, 3, 3)
    assert (bits.PTE_WRITE, bits.PTE_DIRTY, bits.PTE_YOUNG, bits.PTE_BLANK, bits.PTE_SHIFT) == (4, 8, 16, 32, 6)
