# SPDX-License-Identifier: MIT
"""Address spaces as far as a recording shows them: which pages a process has, and which mapping each lies in."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterator

from cowfast.errors import TraceError
from cowfast.traces.perf.lines import Mapping

LEAF_SHIFT = 9
LEAF = 1 << LEAF_SHIFT
MAX_LEAVES = 1 << 23  # 2^32 pages

#: Kinds of mapping.
ANON, FILE, SHARED, UNKNOWN = range(4)

_MAX_STACK = 1 << 30


class Leaves:
    """Numbers for stretches of 512 pages (2 MiB of addresses): page = number of the stretch * 512 + page within it.

    Neighbours stay neighbours, as swap readahead sees them, and the numbers stay small: a stretch that no living
    process has touched gives its number to the next one.
    """

    def __init__(self) -> None:
        self._numbers: dict[int, list[int]] = {}  # stretch of addresses -> [number, address spaces that have it]
        self._free: list[int] = []

    def take(self, stretch: int) -> int:
        """One more address space has it; returns its number."""
        entry = self._numbers.get(stretch)
        if entry is None:
            number = heapq.heappop(self._free) if self._free else len(self._numbers)
            if number >= MAX_LEAVES:
                raise TraceError("the recording touches more than 2^32 pages at one time")
            entry = self._numbers[stretch] = [number, 0]
        entry[1] += 1
        return entry[0]

    def give_back(self, stretches: Iterator[int]) -> None:
        """An address space is gone."""
        for stretch in stretches:
            entry = self._numbers[stretch]
            entry[1] -= 1
            if not entry[1]:
                heapq.heappush(self._free, entry[0])
                del self._numbers[stretch]


class Leaf:
    """What one address space has of one stretch: bit i is page i."""

    __slots__ = ("base", "owned", "seen")

    def __init__(self, base: int, owned: int = 0, seen: int = 0) -> None:
        self.base = base  # number of its first page in the trace
        self.owned = owned  # anonymous pages: a write has made them
        self.seen = seen  # pages that only reads have touched (zero page, page cache)


class Space:
    """One address space and the tasks that run in it."""

    def __init__(self, number: int, leaves: Leaves) -> None:
        self.number = number  # process number in the trace
        self.users = 1  # processes: more than one while a vfork lasts
        self.cpu = -1
        self.leaves: dict[int, Leaf] = {}
        self._all = leaves
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._maps: list[tuple[int, str, int]] = []  # kind, name, address where offset 0 of the file lies
        self.fresh_stack_pages = 0  # pages that exec filled, until the record of the stack says where

    def leaf(self, page: int) -> Leaf:
        """The stretch of a page, made if need be."""
        stretch = page >> LEAF_SHIFT
        found = self.leaves.get(stretch)
        if found is None:
            found = self.leaves[stretch] = Leaf(self._all.take(stretch) << LEAF_SHIFT)
        return found

    def fork(self, number: int) -> Space:
        """The child's: the same pages at the same addresses."""
        child = Space(number, self._all)
        for stretch, leaf in self.leaves.items():
            if leaf.owned or leaf.seen:
                self._all.take(stretch)
                child.leaves[stretch] = Leaf(leaf.base, leaf.owned, leaf.seen)
        child._starts, child._ends, child._maps = self._starts[:], self._ends[:], self._maps[:]
        return child

    def clear(self) -> None:
        """The address space is gone (exit, exec)."""
        self._all.give_back(iter(self.leaves))
        self.leaves = {}
        self._starts, self._ends, self._maps = [], [], []

    def kind(self, address: int) -> int:
        """Which kind of mapping an address lies in; UNKNOWN if no record says."""
        at = bisect_right(self._starts, address) - 1
        if at >= 0 and address < self._ends[at]:
            return self._maps[at][0]
        # A stack grows downwards without a record.
        if at + 1 < len(self._starts) and self._maps[at + 1][1] == "[stack]":
            return ANON if self._starts[at + 1] - address <= _MAX_STACK else UNKNOWN
        return UNKNOWN

    def map(self, new: Mapping) -> bool:
        """Enter a mapping record; returns whether the pages in it are new (not a merge, not mprotect)."""
        kind = _kind(new)
        origin = new.start - new.offset if kind == FILE else 0
        what = (kind, new.name, origin)
        first = bisect_right(self._ends, new.start)
        last = first
        same = kind == ANON
        while last < len(self._starts) and self._starts[last] < new.end:
            same = same or self._maps[last] == what
            last += 1
        starts, ends, maps = [new.start], [new.end], [what]
        if first < last and self._starts[first] < new.start:
            starts.insert(0, self._starts[first])
            ends.insert(0, new.start)
            maps.insert(0, self._maps[first])
        if first < last and self._ends[last - 1] > new.end:
            starts.append(new.end)
            ends.append(self._ends[last - 1])
            maps.append(self._maps[last - 1])
        self._starts[first:last], self._ends[first:last], self._maps[first:last] = starts, ends, maps
        return not same

    def unmap(self, start: int, end: int) -> None:
        """Forget the mappings of a range."""
        self.map(Mapping(start, end, 0, "", "?"))
        at = bisect_right(self._starts, start) - 1
        del self._starts[at], self._ends[at], self._maps[at]

    def pages(self, start: int, end: int, *, forget: bool = False) -> Iterator[tuple[int, int]]:
        """Yield (first page in the trace, pages) for what the process has in a range of addresses."""
        first, last = start >> 12, (end + 4095) >> 12
        span = (last - 1 >> LEAF_SHIFT) - (first >> LEAF_SHIFT) + 1
        stretches = range(first >> LEAF_SHIFT, (first >> LEAF_SHIFT) + span)
        for stretch in stretches if span <= len(self.leaves) else sorted(s for s in self.leaves if s in stretches):
            leaf = self.leaves.get(stretch)
            if leaf is None:
                continue
            begin = stretch << LEAF_SHIFT
            low, high = max(first - begin, 0), min(last - begin, LEAF)
            mask = (1 << high) - (1 << low)
            had = (leaf.owned | leaf.seen) & mask
            if had:
                if forget:
                    leaf.owned &= ~mask
                    leaf.seen &= ~mask
                lowest = (had & -had).bit_length() - 1
                yield leaf.base + lowest, had.bit_length() - lowest


def _kind(new: Mapping) -> int:
    if new.protection[3:4] == "s" or new.name.startswith(("[v", "[uprobes]")):  # [vdso] [vvar] [vsyscall]
        return SHARED
    if not new.protection or new.name == "?":
        return UNKNOWN
    if new.name.startswith("[") or new.name.startswith("//anon") or not new.name:
        return ANON
    if new.name.startswith(("/dev/zero", "/memfd:", "/SYSV", "/anon_hugepage")):
        return ANON if new.name.startswith("/dev/zero") else FILE
    return FILE
