# SPDX-License-Identifier: MIT
"""States of a tiny machine: packed, put back into the engine's tables, stepped, and searched breadth first.

What happens in an event is the engine's ``do_event`` and nothing else.  This module adds a *ghost*: what each process ought
to see, and which values are none of its business.  docs/explore.md says which states are taken for the same and why.
"""
import hashlib

import numpy as np

from cowfast import _layout as layout

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from cowfast._engine cimport Engine, Sim, bit_of, check, do_event
from cowfast._layout cimport *

cdef enum:
    PROCESSES = 3          # limits of a packed state
    PAGES = 2
    REFS = 4
    VIEWERS = 7            # processes and references: a bit each
    NUMBERS = 128          # page, slot and value numbers within one state and one event
    LONGEST = 512          # bytes of a packed state

cdef enum:                 # what is wrong in a state: property and the way it shows
    LEAK_PTE = 1
    LEAK_GET = 2
    LEAK_PIN = 4
    PIN_WRITE_APART = 8
    PIN_LONGTERM_APART = 16
    LOST = 32
    ZERO_PIN_APART = 64
    NR_FAULTS = 7

#: Names of the bits of ``faults``: (property, how it shows).
FAULTS = (
    ("no-leak", "pte"),
    ("no-leak", "get"),
    ("no-leak", "pin"),
    ("pins-coherent", "read-write pin"),
    ("pins-coherent", "long-term read-only pin"),
    ("no-lost-write", "pte"),
    ("zero-pins-coherent", "long-term read-only pin of the zero page"),
)

# Bits of the same property as each bit.
cdef uint32_t[NR_FAULTS] SAME = [sum(1 << j for j, (other, _) in enumerate(FAULTS) if other == name) for name, _ in FAULTS]

# What of a page's flags and of a pte is state; the rest only moves pages between LRU lists or counts (docs/explore.md).
cdef enum:
    FLAGS = PG_DIRTY | PG_EXCL | PG_LRU | PG_BATCH | PG_LOCKED | PG_KSM | PG_READAHEAD
    BITS = PTE_KIND | PTE_WRITE | PTE_DIRTY
    ORPHAN = 128           # owner of a reference whose taker is gone: this + the first reference of the same taker


cdef struct Ghost:
    uint8_t expect[PROCESSES][PAGES]       # the value that the process stored last or inherited; 0 = zeros
    uint8_t known[NUMBERS]                 # per value: viewers to whom it is no news
    uint8_t attached[REFS]                 # the pin's owner has not unmapped its address since
    uint8_t taker[REFS]                    # ORPHAN + who, once the process that took the reference is gone


cdef void rebuild_lists(Sim *s, uint32_t n) noexcept nogil:
    """All pages with PG_LRU on their list, in the order of their numbers: the one place that knows how lists are kept."""
    cdef uint32_t p
    cdef int which
    memset(s.head, 0, sizeof(s.head))
    memset(s.tail, 0, sizeof(s.tail))
    memset(s.span, 0, sizeof(s.span))
    memset(s.length, 0, sizeof(s.length))
    for p in range(1, n + 1):
        if s.pages[p].flags & PG_LRU:
            which = 1 if s.pages[p].flags & PG_ACTIVE else 0
            s.ring[which][s.head[which]] = p
            s.places[p].lru = s.head[which]
            s.head[which] += 1
            s.span[which] += 1
            s.length[which] += 1


cdef struct Numbering:
    uint32_t pages, slots, values
    uint8_t process[PROCESSES]     # canonical number -> engine's
    uint8_t process_of[PROCESSES]  # and back
    uint8_t finished[REFS]         # nothing can be seen through this reference any more
    uint8_t page[NUMBERS]          # engine's number -> canonical number
    uint8_t slot[NUMBERS]
    uint8_t value[NUMBERS]
    uint8_t page_at[NUMBERS]       # canonical number -> engine's
    uint8_t slot_at[NUMBERS]
    uint8_t value_at[NUMBERS]

cdef void meet_page(Sim *s, Numbering *to, uint32_t n) noexcept nogil:
    if to.page[n]:
        return
    to.pages += 1
    to.page[n] = <uint8_t>to.pages
    to.page_at[to.pages] = <uint8_t>n
    if s.places[n].slot and (s.pages[n].who or s.slots[s.places[n].slot].swap_count):
        meet_slot(s, to, s.places[n].slot)

cdef void meet_slot(Sim *s, Numbering *to, uint32_t n) noexcept nogil:
    if to.slot[n]:
        return
    to.slots += 1
    to.slot[n] = <uint8_t>to.slots
    to.slot_at[to.slots] = <uint8_t>n
    if s.slots[n].flags & SLOT_CACHED:
        meet_page(s, to, s.slots[n].page)

# Processes are alike: of the ways to number them the one whose bytes come first in the alphabet is taken.
cdef uint8_t[6][PROCESSES] ORDERS = [[0, 1, 2], [1, 0, 2], [0, 2, 1], [1, 2, 0], [2, 0, 1], [2, 1, 0]]

cdef inline uint8_t meet_value(Numbering *to, uint32_t value) noexcept nogil:
    if value and not to.value[value]:
        to.values += 1
        to.value[value] = <uint8_t>to.values
        to.value_at[to.values] = <uint8_t>value
    return to.value[value]


cdef class Space:
    """All states of one policy on one tiny machine that were reached so far.

    Parameters
    ----------
    engine : Engine
        with ``contents``, without memory limit, ``swap_latency`` 0, one CPU; its tables are overwritten
    events : EVENT array
        what may happen; an event is left out in states where the model refuses it or where it stands for another one
    gets, pins, locks : int
        reference numbers: gets first, then pins, then locks
    keep_unseen : bool
        keep pages in an LRU batch that nobody can see any more (finite only for small batches)

    Raises
    ------
    ValueError
        a system that a packed state cannot hold
    """

    cdef Engine engine
    cdef object events
    cdef event_t *e
    cdef uint32_t nevents
    cdef int processes, space, gets, pins, locks, references
    cdef bint words, keep_unseen
    cdef uint32_t flags, bits
    cdef bint has_pinned, dirty_ptes, blank
    cdef Ghost ghost
    # states, in the order in which they were reached
    cdef uint8_t *arena
    cdef uint64_t arena_used, arena_size
    cdef uint64_t *offset
    cdef uint32_t *parent
    cdef uint16_t *how
    cdef uint8_t *wrong
    cdef uint8_t *turns
    cdef uint32_t turn
    cdef uint32_t count, room
    cdef uint32_t *table
    cdef uint32_t mask
    # the search
    cdef uint32_t next_state
    cdef readonly uint64_t transitions
    cdef uint64_t edges
    cdef int64_t first[NR_FAULTS]
    cdef int status
    cdef uint32_t bad_event

    def __cinit__(self):
        self.arena = NULL
        self.offset = NULL
        self.parent = NULL
        self.how = NULL
        self.wrong = NULL
        self.turns = NULL
        self.table = NULL

    def __init__(self, Engine engine, events, *, int gets, int pins, int locks=0, bint keep_unseen=False):
        cdef Sim *s = &engine.s
        cdef int i
        self.engine = engine
        self.events = np.array(events, layout.EVENT)
        self.processes, self.space, self.gets, self.pins, self.locks = s.processes, s.space, gets, pins, locks
        self.references = gets + pins + locks
        self.words = s.page_cluster > 0
        self.keep_unseen = keep_unseen
        self.blank = s.blank_io_free and not s.sync  # else a page of zeros is written like any other
        self.has_pinned = s.fork_rule != 0  # who else asks
        self.dirty_ptes = s.protect_rule == 1  # who asks for the bit of a page that is not in the swap cache
        self.flags = FLAGS | (PG_BLANK if self.blank else 0)
        self.bits = BITS | (PTE_BLANK if self.blank else 0)
        if not (1 <= self.processes <= PROCESSES and 1 <= self.space <= PAGES and self.references <= REFS
                and self.processes + self.references <= VIEWERS):
            raise ValueError(f"at most {PROCESSES} processes, {PAGES} pages, {REFS} references")
        if s.contents == NULL or s.memory or s.latency or s.cpus != 1 or s.references < self.references:
            raise ValueError("an engine with contents is needed, without memory limit and swap_latency, with one CPU")
        if not len(self.events) or len(self.events) > 0xFFFF:
            raise ValueError(f"{len(self.events)} events")
        self.e = <event_t *><size_t>self.events.ctypes.data
        self.nevents = len(self.events)
        self.grow(1 << 12)
        for i in range(NR_FAULTS):
            self.first[i] = -1
        memset(&self.ghost, 0, sizeof(Ghost))
        s.flush_events = 0
        s.special = <uint64_t>-1
        self.next_state, self.transitions, self.count, self.edges = 0, 0, 0, 0
        self.add(0, 0)

    def __dealloc__(self):
        free(self.arena)
        free(self.offset)
        free(self.parent)
        free(self.how)
        free(self.wrong)
        free(self.turns)
        free(self.table)

    cdef int grow(self, uint32_t room) except -1:
        """Room for *room* states; the table is made anew."""
        cdef uint32_t i, at
        cdef uint64_t size = <uint64_t>room * 96
        if size < self.arena_used + (1 << 16):
            size = self.arena_used + (1 << 16)
        cdef void *arena = realloc(self.arena, size)
        if arena == NULL:
            raise MemoryError
        self.arena, self.arena_size = <uint8_t *>arena, size
        cdef void *offset = realloc(self.offset, <size_t>room * sizeof(uint64_t))
        if offset == NULL:
            raise MemoryError
        self.offset = <uint64_t *>offset
        cdef void *parent = realloc(self.parent, <size_t>room * sizeof(uint32_t))
        if parent == NULL:
            raise MemoryError
        self.parent = <uint32_t *>parent
        cdef void *how = realloc(self.how, <size_t>room * sizeof(uint16_t))
        if how == NULL:
            raise MemoryError
        self.how = <uint16_t *>how
        cdef void *wrong = realloc(self.wrong, room)
        if wrong == NULL:
            raise MemoryError
        self.wrong = <uint8_t *>wrong
        cdef void *turns = realloc(self.turns, room)
        if turns == NULL:
            raise MemoryError
        self.turns = <uint8_t *>turns
        cdef uint32_t *table = <uint32_t *>malloc(<size_t>room * 2 * sizeof(uint32_t))
        if table == NULL:
            raise MemoryError
        free(self.table)
        self.table, self.mask, self.room = table, room * 2 - 1, room
        memset(table, 0, <size_t>room * 2 * sizeof(uint32_t))
        for i in range(self.count):
            at = self.place(self.arena + self.offset[i])
            self.table[at] = i + 1
        return 0

    cdef uint32_t place(self, const uint8_t *packed) noexcept nogil:
        """Where this state stands in the table, or the empty place where it belongs."""
        cdef uint32_t length = packed[0] | <uint32_t>packed[1] << 8, i, at
        cdef uint64_t hash = 14695981039346656037ULL
        cdef const uint8_t *other
        for i in range(length):
            hash = (hash ^ packed[i]) * 1099511628211ULL
        at = <uint32_t>(hash ^ (hash >> 29)) & self.mask
        while self.table[at]:
            other = self.arena + self.offset[self.table[at] - 1]
            if memcmp(other, packed, length) == 0:
                break
            at = (at + 1) & self.mask
        return at

    cdef uint32_t add(self, uint32_t parent, uint32_t how) noexcept nogil:
        """The number of the state that is in the tables; a new one goes to the end."""
        cdef uint8_t *packed = self.arena + self.arena_used
        cdef uint32_t length = self.pack(packed), at = self.place(packed), n
        cdef int i
        if self.table[at]:
            return self.table[at] - 1
        n = self.count
        self.table[at] = n + 1
        self.offset[n] = self.arena_used
        self.parent[n] = parent
        self.how[n] = <uint16_t>how
        self.turns[n] = <uint8_t>self.turn
        self.wrong[n] = <uint8_t>self.faults_now()
        for i in range(NR_FAULTS):
            if self.wrong[n] & (1 << i) and self.first[i] < 0:
                self.first[i] = n
        self.arena_used += length
        self.count += 1
        return n

    # ------------------------------------------------------------------ a state as bytes

    cdef uint32_t pack(self, uint8_t *out) noexcept nogil:
        """The canonical form of the state in the tables; ``self.turn`` says which order of the processes gave it."""
        cdef uint8_t other[LONGEST]
        cdef uint32_t length = self.pack_in_order(0, out), i
        cdef uint32_t orders = 1 if self.processes == 1 else 2 if self.processes == 2 else 6
        self.turn = 0
        for i in range(1, orders):
            self.pack_in_order(i, other)
            if memcmp(other, out, length) < 0:
                memcpy(out, other, length)
                self.turn = i
        return length

    cdef uint32_t pack_in_order(self, uint32_t order, uint8_t *out) noexcept nogil:
        cdef Sim *s = &self.engine.s
        cdef Numbering to
        cdef uint8_t *at = out + 2
        cdef uint32_t k, bits
        cdef uint32_t word, i, p
        cdef int pid, v, r
        cdef ref_t *ref
        cdef page_t *page
        cdef place_t *place
        cdef slot_t *slot
        cdef bint junk
        memset(&to, 0, sizeof(Numbering))
        for k in range(<uint32_t>self.processes):
            to.process[k] = ORDERS[order][k]
            to.process_of[ORDERS[order][k]] = <uint8_t>k
        for r in range(self.references):
            to.finished[r] = self.is_finished(r)
        # who can be seen from a process or a reference is state; the rest nobody can ever come across again
        for k in range(<uint32_t>self.processes):
            pid = to.process[k]
            if s.procs[pid].flags & PROC_ALIVE and s.dirs[pid]:
                for v in range(self.space):
                    word = s.ptes[<size_t>s.dirs[pid] * LEAF + v].word
                    if word & PTE_KIND == PTE_PRESENT:
                        meet_page(s, &to, word >> PTE_SHIFT)
                    elif word & PTE_KIND == PTE_SWAP:
                        meet_slot(s, &to, word >> PTE_SHIFT)
        for r in range(self.references):
            ref = s.refs + r
            if (ref.kind == REF_GET or ref.kind == REF_PIN) and ref.page and not to.finished[r]:
                meet_page(s, &to, ref.page)
        if self.keep_unseen:
            for i in range(s.batch_len[0]):
                meet_page(s, &to, s.batch[i])
        for k in range(<uint32_t>self.processes):
            pid = to.process[k]
            at[0] = s.procs[pid].flags
            # without HAS_ANON: who never had a page has nothing that fork could copy
            at[0] &= PROC_ALIVE | PROC_HAS_PINNED if self.has_pinned else PROC_ALIVE
            at += 1
            if not s.procs[pid].flags & PROC_ALIVE:
                continue
            for v in range(self.space):
                word = s.ptes[<size_t>s.dirs[pid] * LEAF + v].word if s.dirs[pid] else 0
                at[0] = <uint8_t>(word & self.bits)
                at[1] = 0
                if word & PTE_KIND == PTE_PRESENT:
                    page = s.pages + (word >> PTE_SHIFT)
                    at[1] = to.page[word >> PTE_SHIFT]
                    if not self.dirty_ptes and (not page.flags & PG_SWAPCACHE or page.flags & PG_DIRTY):
                        at[0] &= <uint8_t>(255 - PTE_DIRTY)  # a slot makes the page dirty, and only writing makes it clean
                elif word & PTE_KIND == PTE_SWAP:
                    at[1] = to.slot[word >> PTE_SHIFT]
                else:
                    at[0] = PTE_NONE  # as the zero page: zeros, and a store gets a new page
                at[2] = meet_value(&to, self.ghost.expect[pid][v])
                at += 3
            if self.words:
                at[0] = <uint8_t>s.procs[pid].ra_last
                at[1] = <uint8_t>s.procs[pid].ra_window
                at[2] = <uint8_t>s.procs[pid].ra_hits
                at += 3
        for r in range(self.references):
            ref = s.refs + r
            if to.finished[r]:
                at[0] = ref.kind
                at[1] = <uint8_t>(ORPHAN + r)
                at[2] = at[3] = 0
                at += 4
                continue
            at[0] = <uint8_t>(ref.kind | ref.flags << 2 | (self.ghost.attached[r] << 5))
            at += 1
            if ref.kind:
                if ref.pid != NOBODY:
                    at[0] = to.process_of[ref.pid]
                else:
                    for i in range(r + 1):
                        if s.refs[i].pid == NOBODY and s.refs[i].kind and not to.finished[i] and self.ghost.taker[i] == self.ghost.taker[r]:
                            break
                    at[0] = <uint8_t>(ORPHAN + i)
                at[1] = <uint8_t>ref.vpage
                at[2] = to.page[ref.page] if ref.page else 0
                at += 3
        at[0] = <uint8_t>to.pages
        at += 1
        for i in range(1, to.pages + 1):
            p = to.page_at[i]
            page = s.pages + p
            place = s.places + p
            word = page.flags & self.flags
            at[2] = to.slot[place.slot] if place.slot else 0
            if place.slot == 0:
                word &= ~<uint32_t>PG_DIRTY
            if page.who == 0 and not (place.slot and s.slots[place.slot].swap_count):
                word &= PG_BATCH if self.keep_unseen else 0  # nobody will map it again: only its contents matter
                at[2] = 0
            at[0] = <uint8_t>(word & 255)
            at[1] = <uint8_t>(word >> 8 & 255)
            at[3] = <uint8_t>(word >> 16)
            at[4] = <uint8_t>place.vpage
            at[5] = meet_value(&to, s.contents[p].first)
            at += 6
        at[0] = <uint8_t>to.slots
        at += 1
        for i in range(1, to.slots + 1):
            p = to.slot_at[i]
            slot = s.slots + p
            # a dirty page is written before it is dropped: what the device holds now is never read
            junk = slot.flags & SLOT_CACHED and s.pages[slot.page].flags & PG_DIRTY
            at[0] = 0 if junk or not self.blank else <uint8_t>(slot.flags & SLOT_BLANK)
            at[1] = 0 if junk else meet_value(&to, s.slot_contents[p].first)
            at += 2
        at[0] = <uint8_t>to.values
        at += 1
        for i in range(1, to.values + 1):
            bits = self.ghost.known[to.value_at[i]]
            at[0] = <uint8_t>(bits >> self.processes << self.processes)
            for k in range(<uint32_t>self.processes):
                at[0] |= <uint8_t>((bits >> to.process[k] & 1) << k)
            for r in range(self.references):
                if to.finished[r]:
                    at[0] &= <uint8_t>(255 - (1 << (self.processes + r)))
            at += 1
        i = <uint32_t>(at - out)
        out[0] = i & 255
        out[1] = <uint8_t>(i >> 8)
        return i

    cdef void unpack(self, const uint8_t *packed) noexcept nogil:
        """The tables as they would be in this state; numbers are the canonical ones."""
        cdef Sim *s = &self.engine.s
        cdef const uint8_t *at = packed + 2
        cdef uint32_t n, i, slots, number
        cdef int pid, v, r
        cdef pte_t *pte
        cdef page_t *page
        cdef place_t *place
        cdef proc_t *proc
        cdef ref_t *ref
        # processes; leaf 1 + pid is the process's
        s.nleaf_free = 0
        for pid in range(self.processes):
            proc = s.procs + pid
            memset(proc, 0, sizeof(proc_t))
            memset(s.ptes + <size_t>(pid + 1) * LEAF, 0, PAGES * sizeof(pte_t))
            proc.flags = at[0]
            at += 1
            if proc.flags:
                proc.flags |= PROC_HAS_ANON
            memset(self.ghost.expect[pid], 0, sizeof(self.ghost.expect[pid]))
            if not proc.flags & PROC_ALIVE:
                s.dirs[pid] = 0
                s.leaf_free[s.nleaf_free] = pid + 1
                s.nleaf_free += 1
                continue
            s.dirs[pid] = pid + 1
            s.dir_used[pid] = 1
            proc.leaves = 1
            for v in range(self.space):
                pte = s.ptes + <size_t>(pid + 1) * LEAF + v
                pte.word = at[0] | <uint32_t>at[1] << PTE_SHIFT
                if at[0] & PTE_KIND == PTE_PRESENT:
                    proc.present += 1
                elif at[0] & PTE_KIND == PTE_SWAP:
                    proc.swapped += 1
                elif at[0] & PTE_KIND == PTE_ZERO:
                    proc.zeros += 1
                self.ghost.expect[pid][v] = at[2]
                at += 3
            proc.ra_hits = 4
            if self.words:
                proc.ra_last = at[0]
                proc.ra_window = at[1]
                proc.ra_hits = at[2]
                at += 3
        s.ref_high = 0
        s.live_pins = 0
        for r in range(self.references):
            ref = s.refs + r
            memset(ref, 0, sizeof(ref_t))
            ref.kind = at[0] & 3
            ref.flags = (at[0] >> 2) & 7
            self.ghost.attached[r] = at[0] >> 5
            at += 1
            if ref.kind:
                ref.pid = <uint16_t>NOBODY if at[0] >= ORPHAN else at[0]
                self.ghost.taker[r] = at[0]
                ref.vpage = at[1]
                ref.page = at[2]
                at += 3
                s.ref_high = r + 1
                s.live_pins += ref.kind == REF_PIN
        # pages; the engine trusts that nothing is left in the records of those that are free or were never used
        n = at[0]
        at += 1
        for i in range(n + 1, s.next_page):
            memset(s.pages + i, 0, sizeof(page_t))
            memset(s.places + i, 0, sizeof(place_t))
        s.batch_len[0] = 0
        for i in range(1, n + 1):
            page = s.pages + i
            place = s.places + i
            page.who = 0
            page.flags = at[0] | <uint32_t>at[1] << 8 | <uint32_t>at[3] << 16
            place.vpage = at[4]
            place.slot = at[2]
            place.lru = 0
            if place.slot:
                page.flags |= PG_SWAPCACHE
            page.refs = (place.slot != 0) + ((page.flags & PG_BATCH) != 0)
            if page.flags & PG_BATCH:
                s.batch[s.batch_len[0]] = i
                s.batch_len[0] += 1
            s.contents[i].first = s.contents[i].last = at[5]
            at += 6
        # slots
        slots = at[0]
        at += 1
        for i in range(1, slots + 1):
            s.slots[i].page = 0
            s.slots[i].swap_count = 0
            s.slots[i].flags = SLOT_USED | at[0]
            s.slot_contents[i].first = s.slot_contents[i].last = at[1]
            at += 2
        for i in range(1, n + 1):
            if s.places[i].slot:
                s.slots[s.places[i].slot].page = i
                s.slots[s.places[i].slot].flags |= SLOT_CACHED
        # counts, and who maps a page
        for pid in range(self.processes):
            if s.dirs[pid] == 0:
                continue
            for v in range(self.space):
                pte = s.ptes + <size_t>(pid + 1) * LEAF + v
                number = pte.word >> PTE_SHIFT
                if pte.word & PTE_KIND == PTE_SWAP:
                    s.slots[number].swap_count += 1
                elif pte.word & PTE_KIND == PTE_PRESENT:
                    s.pages[number].who |= bit_of(pid)
                    s.pages[number].refs += 1
        for r in range(self.references):
            ref = s.refs + r
            if ref.page and ref.kind == REF_GET:
                s.pages[ref.page].refs += 1
            elif ref.page and ref.kind == REF_PIN:
                s.pages[ref.page].refs += PIN_BIAS
        rebuild_lists(s, n)
        s.next_page = n + 1
        s.live = n
        s.free_movable = s.free_unmovable = 0
        s.next_slot = slots + 1
        s.used_slots = slots
        s.free_slot = 0
        s.filled = 0
        s.age = 0
        s.snapshot = 0
        s.refaulted = 0
        memset(s.seen, 0, sizeof(s.seen))
        memset(s.pending, 0, sizeof(s.pending))
        s.nplug = s.wb_head = s.wb_len = 0
        s.unmovable = False
        # values; the next store is the next number
        n = at[0]
        at += 1
        memset(self.ghost.known, 0, sizeof(self.ghost.known))
        for i in range(1, n + 1):
            self.ghost.known[i] = at[0]
            at += 1
        s.time = n

    cdef bint is_finished(self, int r) noexcept nogil:
        """A get or pin of zeros or of an orphan, compared with nobody's memory, whose contents are no news to all who hold it."""
        cdef Sim *s = &self.engine.s
        cdef uint32_t p = s.refs[r].page
        cdef int i
        if s.refs[r].kind != REF_GET and s.refs[r].kind != REF_PIN or self.ghost.attached[r]:
            return False
        if p == 0:
            return True
        if s.pages[p].who or (s.places[p].slot and s.slots[s.places[p].slot].swap_count):
            return False
        for i in range(self.references):
            if (s.refs[i].kind == REF_GET or s.refs[i].kind == REF_PIN) and s.refs[i].page == p \
                    and (self.ghost.attached[i] or self.foreign(s.contents[p].first, self.processes + i)):
                return False
        return True

    # ------------------------------------------------------------------ one event

    cdef bint offered(self, event_t *e) noexcept nogil:
        """Not refused, and not the same as another event under another name."""
        cdef Sim *s = &self.engine.s
        cdef uint32_t i, low, a, b
        cdef ref_t *ref
        if e.op == FORK:  # dead numbers are all alike: the lowest
            for i in range(e.arg):
                if not s.procs[i].flags & PROC_ALIVE:
                    return False
        elif e.op == GET or e.op == PIN or e.op == LOCK:  # so are free reference numbers of a kind
            low = 0 if e.op == GET else self.gets if e.op == PIN else self.gets + self.pins
            for i in range(low, e.arg):
                if s.refs[i].kind == REF_NONE:
                    return False
            if e.op == LOCK and (s.dirs[e.pid] == 0 or s.ptes[<size_t>s.dirs[e.pid] * LEAF + e.page].word & PTE_KIND != PTE_PRESENT):
                return False
        elif e.op == PINWRITE:  # by a device that may write
            ref = s.refs + e.arg
            if ref.kind != REF_PIN or not ref.flags & EV_WRITE or ref.page == 0:
                return False
        elif e.op == MERGE:  # the event asserts that the contents are equal
            if s.dirs[e.pid] == 0 or s.dirs[e.arg] == 0:
                return False
            a = s.ptes[<size_t>s.dirs[e.pid] * LEAF + e.page].word
            b = s.ptes[<size_t>s.dirs[e.arg] * LEAF + e.page].word
            if a & PTE_KIND != PTE_PRESENT or b & PTE_KIND != PTE_PRESENT:
                return False
            return s.contents[a >> PTE_SHIFT].first == s.contents[b >> PTE_SHIFT].first
        return True

    cdef int step(self, event_t *e) noexcept nogil:
        """1: done; 0: not offered here; negative: the engine failed."""
        cdef Sim *s = &self.engine.s
        cdef Ghost *g = &self.ghost
        cdef uint32_t value = <uint32_t>s.time + 1, i, owner = NOBODY
        cdef int status, v, r
        cdef uint8_t bit = <uint8_t>(1 << e.pid)
        if not self.offered(e):
            return 0
        s.outcome = 0
        s.freed_slot = False
        status = check(s, e)
        if status:
            return 0 if status < 0 else -100 - status
        if e.op == PINWRITE:
            owner = s.refs[e.arg].pid
        status = do_event(s, e)
        if status:
            return -200 + status
        if e.op == WRITE:
            g.expect[e.pid][e.page] = <uint8_t>value
            g.known[value] = bit | self.references_of(e.pid, 0)
        elif e.op == PINWRITE:
            g.known[value] = self.references_of(owner, g.taker[e.arg])
            if owner != NOBODY:
                g.known[value] |= <uint8_t>(1 << owner)
                if g.attached[e.arg]:
                    g.expect[owner][s.refs[e.arg].vpage] = <uint8_t>value
        elif e.op == FORK:
            memcpy(g.expect[e.arg], g.expect[e.pid], sizeof(g.expect[e.pid]))
            for i in range(value):
                if g.known[i] & bit:
                    g.known[i] |= <uint8_t>(1 << e.arg)
                else:
                    g.known[i] &= <uint8_t>(255 - (1 << e.arg))
        elif e.op == DISCARD or e.op == EXEC or e.op == EXIT:
            for v in range(self.space):
                if e.op != DISCARD or <uint32_t>v == e.page:
                    g.expect[e.pid][v] = 0
                    for r in range(self.references):  # after an exit the number is nobody's: all of his are let go
                        if s.refs[r].vpage == <uint32_t>v and (s.refs[r].pid == e.pid or s.refs[r].pid == NOBODY):
                            g.attached[r] = 0
            if e.op == EXIT:
                for r in range(self.references):
                    if s.refs[r].kind and s.refs[r].pid == NOBODY and g.taker[r] == e.pid:
                        g.taker[r] = <uint8_t>(ORPHAN + REFS + e.pid)  # one name for all of his; packing makes it a canonical one
                for i in range(value):
                    g.known[i] &= 255 - bit
        elif e.op == GET or e.op == PIN:
            for i in range(value):
                if g.known[i] & bit:
                    g.known[i] |= <uint8_t>(1 << (self.processes + e.arg))
                else:
                    g.known[i] &= <uint8_t>(255 - (1 << (self.processes + e.arg)))
            g.attached[e.arg] = e.op == PIN
            g.taker[e.arg] = <uint8_t>e.pid
        elif e.op == PUT or e.op == UNPIN:
            for i in range(value):
                g.known[i] &= <uint8_t>(255 - (1 << (self.processes + e.arg)))
            g.attached[e.arg] = 0
        return 1

    cdef uint8_t references_of(self, uint32_t pid, uint8_t taker) noexcept nogil:
        """Bits of the gets and pins that this process took; of one that is gone, by its name."""
        cdef Sim *s = &self.engine.s
        cdef uint8_t found = 0
        cdef int r
        for r in range(self.references):
            if (s.refs[r].kind == REF_GET or s.refs[r].kind == REF_PIN) and s.refs[r].pid == pid \
                    and (pid != NOBODY or self.ghost.taker[r] == taker):
                found |= <uint8_t>(1 << (self.processes + r))
        return found

    # ------------------------------------------------------------------ what is wrong

    cdef uint32_t seen_by(self, uint32_t pid, uint32_t v) noexcept nogil:
        """What a load of this process would give now: the page's first word, which stores and pins both write."""
        cdef Sim *s = &self.engine.s
        cdef uint32_t word = s.ptes[<size_t>s.dirs[pid] * LEAF + v].word if s.dirs[pid] else 0
        cdef uint32_t n = word >> PTE_SHIFT
        if word & PTE_KIND == PTE_PRESENT:
            return s.contents[n].first
        if word & PTE_KIND == PTE_SWAP:
            return s.contents[s.slots[n].page].first if s.slots[n].flags & SLOT_CACHED else s.slot_contents[n].first
        return 0

    cdef inline bint foreign(self, uint32_t value, int viewer) noexcept nogil:
        return value != 0 and not self.ghost.known[value] & (1 << viewer)

    cdef uint32_t faults_now(self) noexcept nogil:
        cdef Sim *s = &self.engine.s
        cdef uint32_t found = 0, seen, pinned
        cdef int pid, v, r
        cdef ref_t *ref
        for pid in range(self.processes):
            if not s.procs[pid].flags & PROC_ALIVE:
                continue
            for v in range(self.space):
                seen = self.seen_by(pid, v)
                if self.foreign(seen, pid):
                    found |= LEAK_PTE
                elif seen != self.ghost.expect[pid][v]:
                    found |= LOST
        for r in range(self.references):
            ref = s.refs + r
            if ref.kind != REF_GET and ref.kind != REF_PIN:
                continue
            pinned = s.contents[ref.page].first if ref.page else 0
            if self.foreign(pinned, self.processes + r):
                found |= LEAK_GET if ref.kind == REF_GET else LEAK_PIN
            if self.ghost.attached[r] and ref.flags & (EV_WRITE | EV_LONGTERM) and self.seen_by(ref.pid, ref.vpage) != pinned:
                found |= ZERO_PIN_APART if ref.page == 0 else PIN_WRITE_APART if ref.flags & EV_WRITE else PIN_LONGTERM_APART
        return found

    # ------------------------------------------------------------------ Python's side

    def search(self, uint32_t states):
        """Expand up to *states* more states; True if none is left.

        Raises
        ------
        RuntimeError
            the engine refused an event in its middle: a defect
        """
        cdef uint32_t k = 0, i, there
        cdef int done
        while k < states and self.next_state < self.count:
            if self.count + self.nevents >= self.room or self.arena_used + <uint64_t>self.nevents * LONGEST >= self.arena_size:
                self.grow(self.room * 2)
            with nogil:
                for i in range(self.nevents):
                    self.unpack(self.arena + self.offset[self.next_state])
                    done = self.step(self.e + i)
                    if done > 0:
                        self.transitions += 1
                        there = self.add(self.next_state, i)
                        self.edges = (self.edges ^ (<uint64_t>there << 16 | i)) * 1099511628211ULL
                        self.edges ^= self.edges >> 32
                    elif done < 0:
                        self.status = done
                        self.bad_event = i
                        break
            if self.status:
                raise RuntimeError(f"status {self.status} in event {self.bad_event} of state {self.next_state}")
            self.next_state += 1
            k += 1
        return self.next_state == self.count

    def __len__(self):
        return self.count

    @property
    def size(self):
        """Bytes that the states take; what is set aside for more, and not written yet, is not counted."""
        return self.arena_used + self.count * (8 + 4 + 2 + 1 + 1) + self.room * 8

    def graph(self):
        """Return a digest of all states and of which event leads from which to which; equal for equal graphs."""
        whole = hashlib.blake2b((<const char *>self.arena)[: self.arena_used], digest_size=16)
        whole.update(f"{self.count} {self.transitions} {self.edges} {self.next_state}".encode())
        return whole.hexdigest()

    def first_faults(self):
        """Return fault number (place in ``FAULTS``) -> the first state in which it shows."""
        return {i: int(self.first[i]) for i in range(NR_FAULTS) if self.first[i] >= 0}

    def first_faults_by_themselves(self):
        """Return fault number -> the first state in which it is the only way that the property fails, and before which nothing was wrong.

        Who sees a foreign store can also pin it: that is no other hole.
        """
        cdef uint32_t n
        cdef int i
        found = {}
        for n in range(self.count):
            if self.wrong[n] and not self.wrong[self.parent[n]]:
                for i in range(NR_FAULTS):
                    if self.wrong[n] & SAME[i] == <uint32_t>1 << i and i not in found:
                        found[i] = int(n)
        return found

    def faulty(self):
        """Return fault number -> how many states it shows in."""
        cdef uint32_t n
        cdef int i
        cdef uint64_t found[NR_FAULTS]
        memset(found, 0, sizeof(found))
        for n in range(self.count):
            for i in range(NR_FAULTS):
                found[i] += (self.wrong[n] >> i) & 1
        return {i: int(found[i]) for i in range(NR_FAULTS) if found[i]}

    def path(self, uint32_t state):
        """Return the events (``EVENT``) on a shortest way from the first state to this one."""
        cdef uint32_t n = state, at
        if state >= self.count:
            raise IndexError(state)
        states = []
        while n:
            states.append(n)
            n = self.parent[n]
        found = np.zeros(len(states), layout.EVENT)
        # each state numbers the processes in its own way; names[k] is what its process k is called on this way
        names = [ORDERS[self.turns[0]][k] for k in range(self.processes)]
        for i, each in enumerate(reversed(states)):
            at = each
            found[i] = self.events[self.how[at]]
            found[i]["pid"] = names[int(found[i]["pid"])]
            if found[i]["op"] in (FORK, MERGE):
                found[i]["arg"] = names[int(found[i]["arg"])]
            names = [names[ORDERS[self.turns[at]][k]] for k in range(self.processes)]
        return found

    def packed(self, uint32_t state):
        """Return a state as bytes (layout: ``pack``)."""
        if state >= self.count:
            raise IndexError(state)
        cdef const uint8_t *at = self.arena + self.offset[state]
        return (<const char *>at)[: at[0] | <uint32_t>at[1] << 8]

    def faults(self, uint32_t state):
        """Return the bits of what is wrong in this state."""
        if state >= self.count:
            raise IndexError(state)
        return int(self.wrong[state])

    def successors(self, uint32_t state):
        """Return (number of the event, packed state after it) for every event that can happen in this state."""
        cdef uint32_t i, length
        cdef uint8_t packed[LONGEST]
        found = []
        if state >= self.count:
            raise IndexError(state)
        for i in range(self.nevents):
            self.unpack(self.arena + self.offset[state])
            if self.step(self.e + i) > 0:
                length = self.pack(packed)
                found.append((int(i), (<const char *>packed)[:length]))
        return found
