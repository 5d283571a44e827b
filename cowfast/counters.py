# SPDX-License-Identifier: MIT
"""One registry of what is counted: name, unit, meaning.  Results, plots and docs use these names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from cowfast._layout import Counter


class CounterInfo(NamedTuple):
    """One line of the registry."""

    name: str
    unit: str
    meaning: str
    combine: str = "sum"
    """how two runs combine: ``sum`` or ``max``"""


_MEANINGS: dict[str, tuple[str, str]] = {
    "events": ("events", "events done"),
    "faults": ("faults", "page faults, also those that get and pin make"),
    "write_faults": (
        "faults",
        "writes to a present, write-protected anonymous pte (do_wp_page), also at the end of a write swap-in",
    ),
    "reuses": ("faults", "write faults that made the same page writable"),
    "copies": ("faults", "write faults that copied the page"),
    "needless_copies": ("faults", "copies of a page that nobody else could ever have read"),
    "needless_by_cause.swap_cache": ("faults", "needless copies because the page was in the swap cache"),
    "needless_by_cause.lru_batch": ("faults", "needless copies because an LRU batch held a reference"),
    "needless_by_cause.transient_get": (
        "faults",
        "needless copies because of a get or pin that nobody else reads through",
    ),
    "needless_by_cause.lock": ("faults", "needless copies because somebody held the page lock"),
    "needless_by_cause.ksm": ("faults", "needless copies because the page was a KSM page"),
    "needless_by_cause.pre_check": (
        "faults",
        "needless copies by an optimistic check; the rest of the list would have reused",
    ),
    "needless_by_cause.lost_exclusivity": (
        "faults",
        "needless copies with nothing in the way: the policy did not know that the page was its own",
    ),
    "missed_copies": ("faults", "pages made writable while somebody else could still see them: leaks"),
    "broken_pins": ("faults", "copies that replaced a page under the pin of the writing process"),
    "zero_fills": ("pages", "new zeroed pages"),
    "zero_pages": ("faults", "zero page mapped by a read"),
    "swap_ins": ("faults", "faults on a swap pte"),
    "major_faults": ("faults", "swap-ins that did not find the page in the swap cache"),
    "swap_cache_hits": ("faults", "swap-ins that found the page in the swap cache"),
    "swap_cache_adds": ("pages", "pages that entered the swap cache, by reclaim or by being read in"),
    "swap_cache_removals": ("pages", "pages that left the swap cache"),
    "removals_by_cause.write_fault": ("pages", "left the swap cache by a check of the write fault"),
    "removals_by_cause.swap_in": ("pages", "left the swap cache by a rule of the swap-in"),
    "removals_by_cause.copy": ("pages", "left the swap cache unmapped, after a copy"),
    "removals_by_cause.unmap": ("pages", "left the swap cache with their last mapping"),
    "removals_by_cause.zap": ("pages", "left the swap cache with their last swap pte"),
    "removals_by_cause.merge": ("pages", "left the swap cache when KSM replaced them"),
    "removals_by_cause.activate": ("pages", "left the swap cache because reclaim kept them while swap was full"),
    "removals_by_cause.writepage": (
        "pages",
        "left the swap cache because nobody needed the slot when they were to be written",
    ),
    "removals_by_cause.reclaim": ("pages", "left the swap cache and memory by reclaim"),
    "futile_removals": ("pages", "removals from the swap cache in a fault that copied the page anyway"),
    "swap_cache_readds": ("pages", "slots allocated for a page that had left the swap cache before"),
    "slot_allocs": ("slots", "swap slots allocated"),
    "slot_frees": ("slots", "swap slots freed"),
    "swap_reads": ("pages", "pages read from the swap device"),
    "swap_reads_blank": ("pages", "pages of zeros read in without I/O"),
    "swap_writes": ("pages", "pages written to the swap device"),
    "swap_writes_blank": ("pages", "pages of zeros swapped out without I/O"),
    "avoidable_writes": (
        "pages",
        "swap writes of contents that were on the device already when the policy dropped the clean copy",
    ),
    "readahead": ("pages", "pages read in beside the one that was wanted"),
    "readahead_hits": ("pages", "swap-ins served by readahead"),
    "drains": ("drains", "drains of an LRU batch, empty ones too"),
    "drained_pages": ("pages", "pages moved from a batch to the LRU by drains"),
    "lock_failures": ("faults", "write faults that copied because the page lock was taken"),
    "lock_waits": ("faults", "faults that had to wait for the page lock"),
    "forks": ("forks", "forks"),
    "ptes_copied": ("ptes", "page table entries copied by forks"),
    "early_copies": ("pages", "pinned pages copied by fork"),
    "exits": ("exits", "exits"),
    "ptes_zapped": ("ptes", "page table entries removed by discard, exec and exit"),
    "unshares": ("faults", "unshare faults of gets and pins"),
    "unshare_copies": ("faults", "unshare faults that copied"),
    "ksm_copies": ("faults", "copies of KSM pages"),
    "merges": ("pages", "pages merged by KSM"),
    "reclaims": ("reclaims", "direct reclaims because a page could not be charged"),
    "pages_scanned": ("pages", "pages that reclaim looked at on the inactive list"),
    "pages_reclaimed": ("pages", "pages that reclaim freed"),
    "pages_activated": ("pages", "pages that reclaim sent to the active list"),
    "pages_deactivated": ("pages", "pages that aged from the active to the inactive list"),
    "refaults": ("pages", "pages read in again after reclaim had freed them"),
    "refault_activations": ("pages", "refaults so early that the page went to the active list"),
    "page_allocs": ("pages", "pages allocated"),
    "page_frees": ("pages", "pages freed"),
    "pages_peak": ("pages", "most pages in use at a time"),
    "slots_peak": ("slots", "most swap slots in use at a time"),
}


def _name(counter: Counter) -> str:
    return counter.name.removeprefix("C_").lower().replace("__", ".")


NAMES: tuple[str, ...] = tuple(_name(c) for c in sorted(Counter) if c is not Counter.NR_COUNTERS)
COUNTERS: tuple[CounterInfo, ...] = tuple(
    CounterInfo(name, *_MEANINGS[name], "max" if name.endswith("_peak") else "sum") for name in NAMES
)
_INDEX = {name: i for i, name in enumerate(NAMES)}
_IS_MAX = np.array([info.combine == "max" for info in COUNTERS])


class Counters(Mapping[str, int]):
    """What one run counted, by name; ``a + b`` combines two runs.

    Parameters
    ----------
    values : array of uint64, shape (len(COUNTERS),)
        copied; left out: all zeros
    """

    __slots__ = ("array",)

    def __init__(self, values: np.ndarray | None = None) -> None:
        self.array = np.zeros(len(NAMES), np.uint64) if values is None else np.array(values, np.uint64)
        if self.array.shape != (len(NAMES),):
            raise ValueError(f"counters have shape ({len(NAMES)},), not {self.array.shape}")

    @classmethod
    def from_dict(cls, values: Mapping[str, int]) -> Counters:
        """The counters of a results row; names that are missing are 0, unknown ones a KeyError."""
        counters = cls()
        for name, value in values.items():
            counters.array[_INDEX[name]] = value
        return counters

    def __getitem__(self, name: str) -> int:
        return int(self.array[_INDEX[name]])

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)

    def __add__(self, other: Counters) -> Counters:
        return Counters(np.where(_IS_MAX, np.maximum(self.array, other.array), self.array + other.array))

    def __sub__(self, other: Counters) -> Counters:
        """What was counted since *other*, an earlier moment of the same run (maxima stay as they are)."""
        return Counters(np.where(_IS_MAX, self.array, self.array - other.array))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counters) and np.array_equal(self.array, other.array)

    __hash__ = None  # type: ignore[assignment]

    def to_dict(self) -> dict[str, int]:
        """Names and values, as in a results row."""
        return {name: int(value) for name, value in zip(NAMES, self.array, strict=True)}

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value}" for name, value in self.items() if value)
        return f"Counters({shown or 'nothing yet'})"
