# SPDX-License-Identifier: MIT
"""Is a snapshot one that the engine could have made?  Asked of every number in it before native code sees any.

The engine trusts its tables: it follows a number from one to the next without asking.  So each number here is held to the
table that it points into, each list is followed to its end, and each count is counted.  What cannot be wrong in a way that
matters (contents, the events' counters) is left alone; ``verify`` looks at what is left once the tables are in place.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from cowfast._layout import Counter, Number, PageFlag, ProcFlag, PteBit, RefKind, SlotFlag

_MOST_PAGES = (1 << 26) - 1
_FAR = 1 << 40  # no statistic of a list gets there
_WINDOW = 32  # the largest readahead window
_LEAF, _PIN, _NOBODY = int(Number.LEAF), int(Number.PIN_BIAS), int(Number.NOBODY)
_MASKED = int(Number.MASKED)

_GROWING = frozenset(
    [
        "pages",
        "places",
        "page_free",
        "contents",
        "ptes",
        "links",
        "leaf_free",
        "leaf_place",
        "ring",
        "wb_page",
        "wb_due",
    ]
)
_CONSTANT_TABLES = ("write_fault", "swap_in", "verdict", "entry")
_MOVING = frozenset(
    [
        "ref_high",
        "page_cap",
        "next_page",
        "free_movable",
        "free_unmovable",
        "live",
        "next_slot",
        "free_slot",
        "used_slots",
        "filled",
        "nleaf_free",
        "tail",
        "head",
        "span",
        "length",
        "ring_cap",
        "refaulted",
        "seen",
        "pending",
        "snapshot",
        "age",
        "plug",
        "nplug",
        "wb_head",
        "wb_len",
        "wb_cap",
        "live_pins",
        "time",
        "special",
        "outcome",
        "cpu",
        "far",
        "left",
        "blamed_in",
        "blamed",
        "unmovable",
        "freed_slot",
        "round_freed",
        "round_wrote",
        "round_cleared",
        "value",
    ]
)
"""Scalars that events change; all others are the machine's and the policy's."""

_PAGE_FLAGS = sum(flag for flag in PageFlag if flag is not PageFlag.PG_ISOLATED)
_SLOT_FLAGS = sum(SlotFlag)
_PROC_FLAGS = sum(ProcFlag)

Tables = Mapping[str, np.ndarray]


def validate(snapshot: Tables, fresh: Tables, fields: np.dtype[Any]) -> None:
    """Refuse a snapshot that is not consistent in itself, or not of the machine and policy that *fresh* is of.

    Parameters
    ----------
    snapshot : name -> array, the scalars as bytes under ``sim`` (``Engine.snapshot``)
    fresh : the same of an engine that has done nothing, with the policy, machine and contents that the snapshot should be of
    fields : dtype of the scalars within those bytes (``cowfast._engine.SIM``); the pointers between them are not looked at,
        for the engine makes its own

    Raises
    ------
    ValueError
        naming what is wrong with which table
    """
    _shapes(snapshot, fresh)
    s, new = (tables["sim"].tobytes() for tables in (snapshot, fresh))
    _Check(snapshot, np.frombuffer(s, fields)[0], np.frombuffer(new, fields)[0]).all()


def _demand(right: Any, what: str) -> None:
    if not np.all(right):
        raise ValueError(f"not a possible state: {what}")


def _blank(records: np.ndarray) -> bool:
    """Whether every byte is zero."""
    return not np.ascontiguousarray(records).view(np.uint8).any()


def _shapes(snapshot: Tables, fresh: Tables) -> None:
    """Names, types and sizes; a table that grows may be of any length here."""
    if snapshot.keys() != fresh.keys():
        raise ValueError("the snapshot is of another build or another machine: it has other tables")
    for name, array in fresh.items():
        here: Any = snapshot[name]
        same = isinstance(here, np.ndarray) and here.dtype == array.dtype and here.ndim == array.ndim
        if not same or (name not in _GROWING and here.shape != array.shape):
            raise ValueError(
                f"the snapshot is of another build or another machine: table {name} has another type or size"
            )
    for name in _CONSTANT_TABLES:
        _demand(snapshot[name].tobytes() == fresh[name].tobytes(), f"table {name} is not the policy's")


def _chained(following: np.ndarray, members: np.ndarray, head: int) -> bool:
    """Whether the list from *head* along *following* (0 = end) is exactly the members, each once."""
    if not len(members):
        return head == 0
    inside = np.zeros(len(following), bool)
    inside[members] = True
    onward = following[members].astype(np.intp)
    if (
        head >= len(following)
        or np.any(onward >= len(following))
        or not inside[head]
        or not np.all(inside[onward[onward != 0]])
    ):
        return False
    led_to = np.bincount(onward[onward != 0], minlength=len(following))
    if led_to.max(initial=0) > 1 or led_to[head] or np.count_nonzero(onward == 0) != 1:
        return False
    jump = np.zeros(len(following), np.intp)  # one path and perhaps rings: in a ring nobody comes to the end
    jump[members] = onward
    for _ in range(len(members).bit_length()):
        jump = jump[jump]
    return not jump.any()


class _Check:
    """The tables of one snapshot, with what was found in them so far."""

    def __init__(self, tables: Tables, s: Any, fresh: Any) -> None:
        self.tables, self.s, self.fresh = tables, s, fresh

    def all(self) -> None:
        """Everything, in an order in which nothing is used as an index before it was held to its limits."""
        self.scalars()
        self.sizes()
        self.leaves()
        self.entries()
        self.references()
        self.batches()
        self.slots()
        self.pages()
        self.mappers()
        self.lists()
        self.writeback()
        self.statistics()

    def at(self, name: str) -> int:
        return int(self.s[name])

    def scalars(self) -> None:
        s, at = self.s, self.at
        for name in self.s.dtype.names:
            if name not in _MOVING:
                _demand(s[name] == self.fresh[name], f"{name} is not the machine's or the policy's")
        _demand(at("nplug") == 0 and at("unmovable") == 0, "in the middle of an event")
        for name in ("far", "freed_slot", "round_freed", "round_wrote", "round_cleared"):
            _demand(0 <= at(name) <= 1, name)
        _demand(at("cpu") < at("cpus"), "cpu")
        _demand(at("time") < 1 << 62 and at("time") == int(self.tables["counters"][Counter.C_EVENTS]), "time")
        _demand(1 <= at("next_slot") <= at("total_slots") + 1, "next_slot")
        _demand(at("used_slots") + at("filled") <= at("total_slots"), "slots in use")
        _demand(at("ref_high") <= at("references"), "ref_high")

    def sizes(self) -> None:
        at, shape = self.at, {name: table.shape for name, table in self.tables.items()}
        cap = at("page_cap")
        _demand(int(self.fresh["page_cap"]) <= cap <= _MOST_PAGES + 2, "page_cap")
        if at("memory"):
            _demand(cap == int(self.fresh["page_cap"]), "page_cap")
            _demand(at("next_page") <= at("memory") + 1 and at("live") <= at("memory"), "more pages than memory")
        else:
            _demand(cap <= max(_MOST_PAGES, int(self.fresh["page_cap"])), "page_cap")
        _demand(1 <= at("next_page") <= cap, "next_page")
        _demand(cap + 64 <= at("ring_cap") <= 4 * cap + 64, "ring_cap")  # every page and a batch of them
        _demand(at("wb_cap") == (cap if at("latency") else 1), "wb_cap")
        self.masked = at("processes") <= _MASKED
        wanted = {
            "pages": (cap,),
            "places": (cap,),
            "links": (0,) if self.masked else shape["ptes"],
            "page_free": (cap,),
            "contents": (cap,),
            "ring": (2, at("ring_cap")),
            "wb_page": (at("wb_cap"),),
            "wb_due": (at("wb_cap"),),
        }
        leaves = shape["ptes"][0] // _LEAF
        _demand(leaves >= 1 and shape["ptes"][0] == leaves * _LEAF and leaves < 1 << 32, "size of the page tables")
        wanted["leaf_free"] = wanted["leaf_place"] = (leaves,)
        for name, size in wanted.items():
            _demand(shape.get(name, size) == size, f"size of table {name}")
        self.pages_table, self.place_table = (self.tables[name][: at("next_page")] for name in ("pages", "places"))
        self.live = self.pages_table["refs"] > 0
        _demand(not self.live[0] and int(self.live.sum()) == at("live"), "live pages")

    def leaves(self) -> None:
        """Leaf tables belong to one place of one directory, or are free and empty."""
        at = self.at
        places, total = self.tables["leaf_place"], len(self.tables["ptes"]) // _LEAF
        _demand(places <= at("processes") * at("ndir"), "place of a leaf table")
        self.used = np.flatnonzero(places)
        self.used = self.used[np.argsort(places[self.used])]  # by process, then by address
        self.where = places[self.used].astype(np.intp) - 1
        _demand(self.where[1:] > self.where[:-1], "two leaf tables have one place")
        self.pids, self.places = self.where // at("ndir"), self.where % at("ndir")
        _demand(at("nleaf_free") < total, "free leaf tables")
        free = self.tables["leaf_free"][: at("nleaf_free")].astype(np.intp)
        both = np.concatenate([self.used, free])
        _demand(len(both) == total - 1 and (both < total), "leaf tables")
        _demand(np.bincount(both, minlength=total)[1:] == 1, "a leaf table has two places")
        words = self.tables["ptes"]["word"].reshape(total, _LEAF)
        _demand(not words[0].any() and not words[free].any(), "a free leaf table is not empty")
        procs = self.tables["procs"]
        _demand(procs["leaves"] == np.bincount(self.pids, minlength=at("processes")), "leaf tables of a process")
        _demand((procs["flags"] & ~np.uint8(_PROC_FLAGS)) == 0, "flags of a process")
        alive = (procs["flags"] & ProcFlag.PROC_ALIVE) != 0
        _demand(alive | (procs["flags"] == 0) & (procs["leaves"] == 0), "a dead process has pages")
        _demand((procs["cpu"] < at("cpus")) & (procs["parent"] < at("processes")), "CPU or parent of a process")
        _demand((procs["ra_window"] <= _WINDOW) & (procs["ra_last"] <= at("space")), "readahead of a process")

    def entries(self) -> None:
        """Each pte is one thing, with that thing's bits, and names a page or slot that is there."""
        at, procs = self.at, self.tables["procs"]
        ptes = self.tables["ptes"].reshape(-1, _LEAF)
        rows, columns = np.nonzero(ptes["word"][self.used])
        pids, pages = self.pids[rows], self.places[rows] * _LEAF + columns
        places = self.used[rows] * _LEAF + columns
        words = ptes["word"].ravel()[places]
        kinds, numbers = words & PteBit.PTE_KIND, (words >> PteBit.PTE_SHIFT).astype(np.intp)
        _demand(pages < at("space"), "a pte beyond the address space")
        _demand(kinds != PteBit.PTE_NONE, "a pte of nothing with bits")
        zero, present, swap = (kinds == kind for kind in (PteBit.PTE_ZERO, PteBit.PTE_PRESENT, PteBit.PTE_SWAP))
        _demand((words[zero] & ~np.uint32(PteBit.PTE_KIND | PteBit.PTE_YOUNG)) == 0, "a pte of the zero page")
        bits = PteBit.PTE_DIRTY | PteBit.PTE_YOUNG | PteBit.PTE_BLANK
        _demand((words[swap] & np.uint32(bits)) == 0, "bits of a swap pte")
        _demand(
            ((words & PteBit.PTE_BLANK) == 0) | ((words & PteBit.PTE_WRITE) != 0), "a blank pte that is not writable"
        )
        _demand((numbers[swap] >= 1) & (numbers[swap] < at("next_slot")), "a swap pte names no slot")
        _demand(numbers[present] < at("next_page"), "a pte names no page")
        _demand(self.live[numbers[present]], "a pte names a free page")
        _demand(self.place_table["vpage"][numbers[present]] == pages[present], "a pte names a page of another address")
        for name, which in (("present", present), ("swapped", swap), ("zeros", zero)):
            _demand(procs[name] == np.bincount(pids[which], minlength=at("processes")), f"ptes of a process: {name}")
        self.maps = np.bincount(numbers[present], minlength=at("next_page"))
        self.counts = np.bincount(numbers[swap], minlength=at("next_slot"))
        self.address = np.zeros(at("next_slot"), np.int64)  # of each slot: the same in all ptes that name it
        self.address[numbers[swap]] = pages[swap]
        _demand(self.address[numbers[swap]] == pages[swap], "a slot has two addresses")
        marked = swap & ((words & PteBit.PTE_WRITE) != 0)
        if not int(self.tables["counters"][Counter.C_MISSED_COPIES]):
            _demand(self.counts[numbers[marked]] == 1, "a marked swap pte is not alone")
        self.mapped = pids[present], pages[present], numbers[present], places[present]

    def references(self) -> None:
        at, refs = self.at, self.tables["refs"]
        kinds, pages, high = refs["kind"], refs["page"].astype(np.intp), at("ref_high")
        _demand(kinds <= RefKind.REF_LOCK, "kind of a reference")
        _demand(_blank(refs[kinds == RefKind.REF_NONE]), "an empty reference with contents")
        _demand(not kinds[high:].any() and (high == 0 or kinds[high - 1]), "ref_high")
        _demand(pages < at("next_page"), "a reference to no page")
        _demand((pages == 0) | self.live[pages], "a reference to a free page")
        _demand((refs["pid"] < at("processes")) | (refs["pid"] == _NOBODY), "holder of a reference")
        _demand((refs["vpage"] < at("space")) & (refs["flags"] < 8), "address or flags of a reference")
        counted = [np.bincount(pages[kinds == kind], minlength=at("next_page")) for kind in RefKind]
        for each in counted:
            each[0] = 0
        self.gets, self.pins, locks = counted[RefKind.REF_GET], counted[RefKind.REF_PIN], counted[RefKind.REF_LOCK]
        _demand((self.gets <= 65_535) & (self.pins <= 65_535), "more references to a page than there can be")
        _demand(locks == ((self.pages_table["flags"] & PageFlag.PG_LOCKED) != 0), "locks")
        _demand(at("live_pins") == np.count_nonzero(kinds == RefKind.REF_PIN), "pins")

    def batches(self) -> None:
        at, size = self.at, self.at("batch_size")
        lengths = self.tables["batch_len"]
        _demand(lengths < max(size, 1), "length of a batch")
        table = self.tables["batch"][: at("cpus") * size].reshape(at("cpus"), size)
        entries = table[np.arange(size) < lengths[:, None]].astype(np.intp)
        _demand(entries < at("next_page"), "a batch holds no page")
        self.batched = np.bincount(entries, minlength=at("next_page"))
        flags = self.pages_table["flags"]
        _demand(self.batched == ((flags & PageFlag.PG_BATCH) != 0), "batches")
        _demand(
            (flags & (PageFlag.PG_BATCH | PageFlag.PG_LRU)) != (PageFlag.PG_BATCH | PageFlag.PG_LRU),
            "a page in a batch and on a list",
        )

    def slots(self) -> None:
        at, every = self.at, self.tables["slots"]
        slots = every[: at("next_slot")]
        flags, pages = slots["flags"], slots["page"].astype(np.intp)
        used, cached, shadow = (
            (flags & flag) != 0 for flag in (SlotFlag.SLOT_USED, SlotFlag.SLOT_CACHED, SlotFlag.SLOT_SHADOW)
        )
        _demand(_blank(every[at("next_slot") :]) and not used[0], "a slot that was never used")
        _demand((flags & ~np.uint16(_SLOT_FLAGS)) == 0, "flags of a slot")
        _demand(used | (flags == 0), "a free slot with flags")
        _demand(~(cached & shadow), "a cached slot with a shadow")
        _demand(slots["swap_count"] == self.counts, "swap count of a slot")
        _demand(used == (cached | (self.counts > 0)), "a slot that nobody needs")
        _demand(int(used.sum()) == at("used_slots"), "used slots")
        _demand(~used | cached | shadow | (pages == 0), "an empty slot names a page")
        _demand(pages[cached] < at("next_page"), "a slot caches no page")
        numbers = np.flatnonzero(cached)
        _demand(
            self.live[pages[cached]] & (self.place_table["slot"][pages[cached]] == numbers),
            "a slot and its page disagree",
        )
        here = cached & (self.counts > 0)
        _demand(self.place_table["vpage"][pages[here]] == self.address[here], "a slot and its page have two addresses")
        self.cached = cached
        _demand(_chained(slots["page"], np.flatnonzero(~used)[1:], at("free_slot")), "list of free slots")

    def pages(self) -> None:
        at, table, place, live = self.at, self.pages_table, self.place_table, self.live
        flags, slot = table["flags"], place["slot"].astype(np.intp)
        for name in ("pages", "places"):
            _demand(_blank(self.tables[name][at("next_page") :]), "a page that was never used")
        _demand(slot < at("next_slot"), "slot of a page")
        _demand((slot == 0) | live & self.cached[slot], "a page names a slot that does not cache it")
        _demand(np.count_nonzero(slot) == np.count_nonzero(self.cached), "two pages name a slot")
        _demand((flags & ~np.uint32(_PAGE_FLAGS)) == 0, "flags of a page")
        _demand((slot != 0) == ((flags & PageFlag.PG_SWAPCACHE) != 0), "a page's flag of the swap cache and its slot")
        wanted = self.maps + (slot != 0) + self.batched + self.gets + _PIN * self.pins
        _demand(table["refs"] == wanted, "refs of a page")
        _demand(~live | (place["vpage"] < at("space")), "address of a page")
        exclusive = (flags & PageFlag.PG_EXCL) != 0
        if not int(self.tables["counters"][Counter.C_MISSED_COPIES]):
            _demand(~exclusive | (slot == 0) | (self.counts[slot] == 0), "an exclusive page with swap ptes")
        unmovable = (flags & PageFlag.PG_UNMOVABLE) != 0
        free = ~live
        free[0] = False
        _demand((flags[free] & ~np.uint32(PageFlag.PG_UNMOVABLE)) == 0, "a free page with flags")
        numbers, cap = self.tables["page_free"], at("page_cap")
        _demand(at("free_movable") + at("free_unmovable") <= cap, "free pages")
        for kind, listed, there in (
            ("movable", numbers[: at("free_movable")], free & ~unmovable),
            ("unmovable", numbers[cap - at("free_unmovable") :], free & unmovable),
        ):
            _demand(np.array_equal(np.sort(listed), np.flatnonzero(there)), f"list of free {kind} pages")

    def mappers(self) -> None:
        """Who maps a page, as it says: bits of those processes; with more than those of one word, how many and one of them."""
        pids, addresses, numbers, places = self.mapped
        who = self.pages_table["who"]
        if self.masked:
            wanted = np.zeros_like(who)
            edges = np.searchsorted(pids, np.arange(self.at("processes") + 1))
            for pid, (first, last) in enumerate(itertools.pairwise(edges.tolist())):
                wanted[numbers[first:last]] |= np.uint64(1 << pid)  # no page twice: each is at its address
            _demand(who == wanted, "who maps a page")
            return
        _demand(who & np.uint64(0xFFFF) == self.maps, "maps of a page")
        _demand(who >> np.uint64(32) == 0, "owner of a page")
        _demand((self.maps > 0) | (who == 0), "owner of a page that nobody maps")
        if len(pids):
            self.rings(pids, addresses, numbers, places)

    def rings(self, pids: np.ndarray, addresses: np.ndarray, numbers: np.ndarray, places: np.ndarray) -> None:
        """The ptes of a page are one ring, in both directions; its owner is one of them."""
        words, links = self.tables["ptes"]["word"], self.tables["links"]
        following, before = (links[name][places].astype(np.intp) for name in ("next", "prev"))
        for each in (following, before):
            _demand(each < self.at("processes"), "a ring leads to no process")
        onward = self._place(following, addresses)
        _demand(words[onward] >> PteBit.PTE_SHIFT == numbers, "a ring leads to another page")
        _demand((words[onward] & PteBit.PTE_KIND) == PteBit.PTE_PRESENT, "a ring leads to a pte that is not present")
        _demand(links["prev"][onward] == pids, "a ring is not the same in both directions")
        rank = np.zeros(len(words), np.intp)
        rank[places] = np.arange(len(places))
        jump, least = rank[onward], np.arange(len(places))
        for _ in range(int(self.maps.max()).bit_length()):
            least = np.minimum(least, least[jump])
            jump = jump[jump]
        _demand(len(np.unique(least)) == np.count_nonzero(self.maps), "the ptes of a page are more than one ring")
        mapped = np.flatnonzero(self.maps)
        owner = (self.pages_table["who"][mapped] >> np.uint64(16)).astype(np.intp)
        _demand(owner < self.at("processes"), "owner of a page")
        word = words[self._place(owner, self.place_table["vpage"][mapped].astype(np.intp))]
        _demand(
            (word & PteBit.PTE_KIND == PteBit.PTE_PRESENT) & (word >> PteBit.PTE_SHIFT == mapped), "owner of a page"
        )

    def _place(self, pids: np.ndarray, addresses: np.ndarray) -> np.ndarray:
        """Where the pte of this process and address lies; that of leaf 0, which is empty, if there is none."""
        where = pids * self.at("ndir") + addresses // _LEAF
        found = np.minimum(np.searchsorted(self.where, where), len(self.where) - 1)
        leaves = np.where(self.where[found] == where, self.used[found], 0)
        place: np.ndarray = leaves * _LEAF + addresses % _LEAF
        return place

    def lists(self) -> None:
        """The LRU lists hold the pages that say so, each at the place that it says."""
        at, cap = self.at, self.at("ring_cap")
        flags = self.pages_table["flags"]
        listed = self.live & ((flags & PageFlag.PG_LRU) != 0)
        active = (flags & PageFlag.PG_ACTIVE) != 0
        for which, members in enumerate((listed & ~active, listed & active)):
            tail, head, span, length = (int(self.s[name][which]) for name in ("tail", "head", "span", "length"))
            _demand(tail < cap and span <= cap and head == (tail + span) % cap, "ends of an LRU list")
            places = (tail + np.arange(span)) % cap
            entries = self.tables["ring"][which][places].astype(np.intp)
            places, entries = places[entries != 0], entries[entries != 0]
            _demand(entries < at("next_page"), "an LRU list holds no page")
            _demand(len(entries) == length == np.count_nonzero(members), "length of an LRU list")
            _demand(members[entries] & (self.place_table["lru"][entries] == places), "places in an LRU list")

    def writeback(self) -> None:
        at, head, length, cap = self.at, self.at("wb_head"), self.at("wb_len"), self.at("wb_cap")
        _demand(head < cap and length <= (cap if at("latency") else 0), "writeback queue")
        places = (head + np.arange(length)) % cap
        pages, due = self.tables["wb_page"][places].astype(np.intp), self.tables["wb_due"][places]
        _demand(pages < at("next_page"), "a page under writeback is none")
        under = (self.pages_table["flags"] & PageFlag.PG_WRITEBACK) != 0
        _demand(np.bincount(pages, minlength=at("next_page")) == under, "pages under writeback")
        _demand(~under | (self.place_table["slot"] != 0), "a page under writeback without a slot")
        _demand(due[:-1] <= due[1:], "order of the writeback queue")
        _demand(due <= at("time") + at("latency"), "a write that takes too long")
        if length:
            _demand(at("special") <= int(due[0]), "time of the next write")
        flush = at("flush_events")
        if flush:
            _demand(at("special") <= (at("time") // flush + 1) * flush, "time of the next look at the statistics")

    def statistics(self) -> None:
        s, at = self.s, self.at
        counters = self.tables["counters"]
        seen, pending = s["seen"].astype(np.int64), s["pending"].astype(np.int64)
        _demand(np.all(abs(seen) < _FAR) and np.all(abs(pending) < _FAR) and abs(at("snapshot")) < _FAR, "statistics")
        real = [int(s["length"][0]), int(s["length"][1]), at("refaulted")]
        _demand(
            0 <= at("refaulted") < _FAR and at("refaulted") == int(counters[Counter.C_REFAULT_ACTIVATIONS]), "refaults"
        )
        if at("stat_step"):
            _demand(seen + pending == real, "statistics of the lists")
        _demand(
            int(counters[Counter.C_SLOT_ALLOCS]) - int(counters[Counter.C_SLOT_FREES]) == at("used_slots"),
            "slots counted",
        )
