# SPDX-License-Identifier: MIT
"""The fast engine: docs/model.md and docs/model-reclaim.md over numpy tables, without the GIL.

Python owns every array; the code below works on them in place, allocates nothing and raises nothing: it
returns a status and stops at the event it belongs to.  A hit touches the event and one pte.  Comments name the section of
the model that a function is; why the kernel does so is said there.
"""
import mmap
import sys

import numpy as np

from cowfast import _layout as layout
from cowfast.counters import Counters
from cowfast.errors import InvariantError, MachineError, raise_status
from cowfast.events import format_event

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from cowfast._layout cimport *

cdef extern from *:
    """
    /* The empty asm: gcc takes a function that only prefetches for one without effect, and drops its calls. */
    #if defined(__GNUC__) || defined(__clang__)
    #define COWFAST_PREFETCH(p) do { __builtin_prefetch((p), 1, 3); __asm__ volatile (""); } while (0)
    #else
    #define COWFAST_PREFETCH(p) ((void)(p))
    #endif
    """
    void COWFAST_PREFETCH(void *p) noexcept nogil

cdef extern from *:
    """
    /* The bits that an event to PAGEOUT sets first of all in a pte with these low six bits.  16 (PTE_YOUNG), if it is a hit and that is all:
       a read of the zero page (kind 1) or a present page (kind 2); a write of what is present, writable and stored to since it was
       zeroed (not PTE_BLANK), which makes it dirty.  An event that is no access makes it look like a swap pte with a bit that no swap
       pte has (PTE_BUSY), so that no access to it is a hit before that event is done. */
    #define COWFAST_READ(w) ((w) % 4 == 1 || (w) % 4 == 2 ? 16 : 0)
    #define COWFAST_WRITE(w) ((w) % 4 == 2 && ((w) & 36) == 4 ? 24 : 0)
    #define COWFAST_OTHER(w) 11
    #define COWFAST_4(f, w) f(w), f((w) + 1), f((w) + 2), f((w) + 3)
    #define COWFAST_16(f, w) COWFAST_4(f, w), COWFAST_4(f, (w) + 4), COWFAST_4(f, (w) + 8), COWFAST_4(f, (w) + 12)
    #define COWFAST_64(f) COWFAST_16(f, 0), COWFAST_16(f, 16), COWFAST_16(f, 32), COWFAST_16(f, 48)
    static const unsigned char cowfast_first[8][64] = {
        {COWFAST_64(COWFAST_READ)}, {COWFAST_64(COWFAST_WRITE)}, {COWFAST_64(COWFAST_OTHER)}, {COWFAST_64(COWFAST_OTHER)},
        {COWFAST_64(COWFAST_OTHER)}, {COWFAST_64(COWFAST_OTHER)}, {COWFAST_64(COWFAST_OTHER)}, {COWFAST_64(COWFAST_OTHER)}};
    """
    const uint8_t FIRST "cowfast_first"[8][64]

cdef extern from *:
    """
    /* Records as words, where fields that change together are read and written at once.  may_alias: the same memory is
       read by its fields elsewhere, and a compiler may otherwise take the two for different. */
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "the engine reads several fields of a record as one little-endian word"
    #endif
    #define COWFAST_FROM_BATCH ((2ull << 32) - (256ull << 32) - 1)
    #define COWFAST_PLAIN_BITS ((1ull | 2 | 4 | 8 | 16 | 262144) << 32 | 0xfffffc00u)
    #if defined(__GNUC__) || defined(__clang__)
    typedef unsigned long long __attribute__((__may_alias__, __aligned__(1))) cowfast_word;
    typedef unsigned int __attribute__((__may_alias__, __aligned__(1), __vector_size__(16))) cowfast_four;
    #define COWFAST_LOWEST(x) ((unsigned)__builtin_ctzll(x))
    #define COWFAST_COUNT(x) ((unsigned)__builtin_popcountll(x))
    /* One more process maps the page, which is nobody's alone any more: its whole record in one go. */
    static inline __attribute__((__always_inline__)) void cowfast_gain_mapper(void *page, unsigned long long bit) {
        cowfast_four who = {(unsigned)bit, (unsigned)(bit >> 32), 0, 0}, one = {0, 0, 1, 0}, keep = {~0u, ~0u, ~0u, ~1u};
        cowfast_four *record = (cowfast_four *)page;
        *record = ((*record | who) + one) & keep;
    }
    #else
    typedef unsigned long long cowfast_word;
    static unsigned COWFAST_LOWEST(unsigned long long x) { unsigned n = 0; while (!(x >> n & 1)) n++; return n; }
    static unsigned COWFAST_COUNT(unsigned long long x) { unsigned n = 0; for (; x; x &= x - 1) n++; return n; }
    static void cowfast_gain_mapper(void *page, unsigned long long bit) {
        ((unsigned long long *)page)[0] |= bit;
        ((unsigned *)page)[2] += 1;
        ((unsigned *)page)[3] &= ~1u;
    }
    #endif
    """
    ctypedef unsigned long long word_t "cowfast_word"
    const uint64_t FROM_BATCH "COWFAST_FROM_BATCH"  # to refs and flags: a reference less, PG_LRU in place of PG_BATCH
    # flags EXCL, LRU, KSM, LOCKED, WRITEBACK and SWAPCACHE, and refs from PIN_BIAS on
    const uint64_t PLAIN_BITS "COWFAST_PLAIN_BITS"
    uint32_t lowest_bit "COWFAST_LOWEST"(uint64_t x) noexcept nogil  # not of 0
    uint32_t count_bits "COWFAST_COUNT"(uint64_t x) noexcept nogil
    void gain_mapper "cowfast_gain_mapper"(page_t *page, uint64_t bit) noexcept nogil  # refs + 1, without PG_EXCL

cdef enum:
    DEF_PRIORITY = 12
    MAX_TRIES = 18
    OWNER_SHIFT = 16       # page_t.who where rings of ptes tell who maps a page: how many, then any of them
    HOW_MANY = 0xffff
    FLAGS_SHIFT = 32       # page_t.refs and flags as one word
    FAR = 32               # software prefetch in a table that is gone through: this many entries ahead,
    NEXT = 8               # and what they lead to so many
    SOON = 4               # page records that will be taken next, this many allocations ahead
    DIR_GROUP = 1024       # directory entries: a page of memory
    BLOCK = 32             # events looked at before those that are no hits are dealt with
    PTE_BUSY = 11          # in FIRST: PTE_SWAP with PTE_DIRTY
    SLICE = 65536          # events, after which it is asked again whether prefetch pays
    INACTIVE = 0
    ACTIVE = 1
    REFAULTED = 2
    NOT_YET = 0xffffffff   # no situation that a page can be in
    OK = 0
    AGAIN = 1              # the charge of a fault changed its pte: start over

# ------------------------------------------------------------------ ptes and rings

cdef inline pte_t *pte_make(Sim *s, uint32_t pid, uint32_t v) noexcept nogil:
    """The pte, its leaf made on demand; there is room, the event asked before it began."""
    cdef uint32_t *d = s.dirs + <size_t>pid * s.ndir + (v >> 9)
    if d[0] == 0:
        s.nleaf_free -= 1
        d[0] = s.leaf_free[s.nleaf_free]
        s.dir_used[(d - s.dirs) // s.dir_group] = 1
        s.procs[pid].leaves += 1
    return s.ptes + <size_t>d[0] * LEAF + (v & (LEAF - 1))

cdef inline uint32_t kind_of(uint32_t word) noexcept nogil:
    return word & PTE_KIND

cdef inline word_t *counts_of(page_t *page) noexcept nogil:
    """refs and flags."""
    return <word_t *><void *>&page.refs

# Who maps a page.  Up to MASKED processes it is a bit of ``who`` each, so that nobody else's memory is touched when one more or
# one less does.  With more the ptes are a ring by process numbers, for a page may be mapped by few of 65,535.

cdef inline link_t *link_at(Sim *s, uint32_t pid, uint32_t v) noexcept nogil:
    return s.links + (pte_at(s, pid, v) - s.ptes)

cdef inline bint two_or_more(uint64_t who, bint rings) noexcept nogil:
    return who & (HOW_MANY - 1 if rings else who - 1) != 0

cdef inline bint shared(Sim *s, page_t *page) noexcept nogil:
    """Do two or more map it?"""
    return two_or_more(page.who, s.links != NULL)

cdef inline uint32_t maps_of(Sim *s, page_t *page) noexcept nogil:
    if s.links != NULL:
        return page.who & HOW_MANY
    return count_bits(page.who) if page.who & (page.who - 1) else page.who != 0

cdef inline uint32_t maps_to_3(Sim *s, page_t *page) noexcept nogil:
    """How many map it, to 3."""
    cdef uint64_t one = page.who, two, three
    if s.links != NULL:
        one &= HOW_MANY
        return <uint32_t>one if one < 3 else 3
    two = one & (one - 1)
    three = two & (two - 1)
    return <uint32_t>(one != 0) + (two != 0) + (three != 0)

cdef inline void join(Sim *s, uint32_t p, uint32_t pid) noexcept nogil:
    """pid's pte names the page."""
    if s.links == NULL:
        s.pages[p].who |= bit_of(pid)
    else:
        ring_join(s, s.pages + p, pid, s.places[p].vpage)
    s.procs[pid].present += 1

cdef inline void part(Sim *s, uint32_t p, uint32_t pid) noexcept nogil:
    """pid's pte names the page no more."""
    if s.links == NULL:
        s.pages[p].who &= ~bit_of(pid)
    else:
        ring_part(s, s.pages + p, pid, s.places[p].vpage)
    s.procs[pid].present -= 1

cdef void ring_join(Sim *s, page_t *page, uint32_t pid, uint32_t v) noexcept nogil:
    cdef uint32_t owner = page.who >> OWNER_SHIFT
    cdef link_t *mine = link_at(s, pid, v)
    cdef link_t *first
    if page.who == 0:
        mine.next = mine.prev = <uint16_t>pid
        page.who = 1 | <uint64_t>pid << OWNER_SHIFT
        return
    first = link_at(s, owner, v)
    mine.prev = <uint16_t>owner
    mine.next = first.next
    link_at(s, first.next, v).prev = <uint16_t>pid
    first.next = <uint16_t>pid
    page.who += 1

cdef void ring_part(Sim *s, page_t *page, uint32_t pid, uint32_t v) noexcept nogil:
    cdef link_t *mine = link_at(s, pid, v)
    if page.who & HOW_MANY == 1:
        page.who = 0
        return
    link_at(s, mine.prev, v).next = mine.next
    link_at(s, mine.next, v).prev = mine.prev
    page.who = (page.who & HOW_MANY) - 1 | <uint64_t>mine.next << OWNER_SHIFT  # any of those who are left

cdef struct Walk:          # over those who map a page
    uint64_t left          # bits; or how many, then
    uint32_t pid           # this one is next

cdef inline Walk walk(Sim *s, page_t *page) noexcept nogil:
    cdef Walk at
    at.left, at.pid = page.who, 0
    if s.links != NULL:
        at.left, at.pid = page.who & HOW_MANY, <uint32_t>(page.who >> OWNER_SHIFT)
    return at

cdef inline uint32_t here(Sim *s, Walk *at) noexcept nogil:
    """Whose turn it is; somebody is left."""
    return lowest_bit(at.left) if s.links == NULL else at.pid

cdef inline void onward(Sim *s, Walk *at, uint32_t v) noexcept nogil:
    if s.links == NULL:
        at.left &= at.left - 1
    else:
        at.pid = link_at(s, at.pid, v).next
        at.left -= 1

cdef inline uint32_t first_of(Sim *s, page_t *page) noexcept nogil:
    """The first of those who map the page; there is one."""
    return lowest_bit(page.who) if s.links == NULL else <uint32_t>(page.who >> OWNER_SHIFT)

cdef inline pte_t *any_pte(Sim *s, uint32_t p) noexcept nogil:
    """``first_of``'s pte."""
    return pte_at(s, first_of(s, s.pages + p), s.places[p].vpage)

cdef bint any_dirty(Sim *s, uint32_t p) noexcept nogil:
    cdef uint32_t v = s.places[p].vpage
    cdef Walk at = walk(s, s.pages + p)
    while at.left:
        if pte_at(s, here(s, &at), v).word & PTE_DIRTY:
            return True
        onward(s, &at, v)
    return False


# ------------------------------------------------------------------ LRU lists (model-reclaim 2, 11)

cdef inline void changed(Sim *s, int which, int64_t by) noexcept nogil:
    """A list's statistic moves with its length; per-CPU deltas become visible a step at a time."""
    if s.stat_step:
        s.pending[which] += by
        if s.pending[which] >= s.stat_step or s.pending[which] <= -s.stat_step:
            s.seen[which] += s.pending[which]
            s.pending[which] = 0

cdef inline int64_t real(Sim *s, int which) noexcept nogil:
    return s.refaulted if which == REFAULTED else s.length[which]

cdef inline int64_t look(Sim *s, int which) noexcept nogil:
    if s.stat_step == 0 and s.stat_flush == 0:
        return real(s, which)
    return s.seen[which] if s.seen[which] > 0 else 0

cdef inline void flush_statistics(Sim *s) noexcept nogil:
    cdef int i
    if not s.stat_step:
        for i in range(NR_LISTS):
            s.seen[i] = real(s, i)

cdef inline int list_of(page_t *page) noexcept nogil:
    return (page.flags & PG_ACTIVE) != 0  # ACTIVE is 1

cdef void close_holes(Sim *s, int which) noexcept nogil:
    """The ring is full of entries: its pages move together.  Rare: a third of the entries at least are holes."""
    cdef uint32_t *ring = s.ring[which]
    cdef uint32_t at = s.tail[which], to = at, n = s.span[which], p
    while n:  # a hole moves too, into the place of the next page: no branch on what nobody can predict
        p = ring[at]
        COWFAST_PREFETCH(&s.places[ring[at + FAR if at + FAR < s.ring_cap else 0]].lru)
        ring[to] = p
        s.places[p].lru = to
        to += p != 0
        to = to if to < s.ring_cap else 0
        at = at + 1 if at + 1 < s.ring_cap else 0
        n -= 1
    s.head[which] = to
    s.span[which] = s.length[which]

cdef inline void lru_place(Sim *s, uint32_t p, page_t *page, int which, bint at_tail) noexcept nogil:
    """There is room; whoever steps statistics says that the list changed."""
    cdef uint32_t at
    if at_tail:
        at = (s.tail[which] if s.tail[which] else s.ring_cap) - 1
        s.tail[which] = at
    else:
        at = s.head[which]
        s.head[which] = at + 1 if at + 1 < s.ring_cap else 0
    s.ring[which][at] = p
    s.places[p].lru = at
    page.flags = (page.flags & ~<uint32_t>PG_BATCH) | PG_LRU
    s.span[which] += 1
    s.length[which] += 1

cdef inline void make_room(Sim *s, uint32_t n) noexcept nogil:
    """For n more entries, at either end of either list."""
    if s.span[INACTIVE] + n > s.ring_cap:
        close_holes(s, INACTIVE)
    if s.span[ACTIVE] + n > s.ring_cap:
        close_holes(s, ACTIVE)

cdef inline void lru_add(Sim *s, uint32_t p) noexcept nogil:
    cdef page_t *page = s.pages + p
    cdef int which = list_of(page)
    make_room(s, 1)
    lru_place(s, p, page, which, False)
    changed(s, which, 1)

cdef uint32_t lru_add_all(Sim *s, uint32_t *pages, uint32_t n) noexcept nogil:
    """Isolated pages come to the heads of their lists, but one that nobody holds any more: it is freed (6).  How many are active.
    One whose write ends with this pass over the lists would go from the head to the tail by then, and no pass gets as far as
    what it has put to the head: it has no place until then (``end_writeback``)."""
    cdef uint32_t head[2]
    cdef uint32_t *ring[2]
    cdef uint32_t i, p, at, which, onward, active = 0, away = 0, cap = s.ring_cap, rotates = s.rotates
    cdef page_t *records = s.pages
    cdef page_t *page
    cdef place_t *places = s.places
    make_room(s, n)
    if s.stat_step:
        return lru_add_counted(s, pages, n, 0)
    head[INACTIVE], head[ACTIVE] = s.head[INACTIVE], s.head[ACTIVE]
    ring[INACTIVE], ring[ACTIVE] = s.ring[INACTIVE], s.ring[ACTIVE]
    for i in range(n):
        p = pages[i]
        page = records + p
        if page.refs == 0:  # not often: it would leave the list at once
            away += 1
            lost(s, p, page)
            s.round_freed = True
            continue
        which = list_of(page)
        at = head[which]
        ring[which][at] = p
        places[p].lru = at
        onward = (page.flags & rotates) == 0  # else the next one comes here
        page.flags |= PG_LRU
        away += 1 - onward
        at += onward
        head[which] = at if at < cap else 0
        active += which
    s.head[INACTIVE], s.head[ACTIVE] = head[INACTIVE], head[ACTIVE]
    s.span[INACTIVE] += n - active - away
    s.length[INACTIVE] += n - active - away
    s.span[ACTIVE] += active
    s.length[ACTIVE] += active
    return active

cdef void lost(Sim *s, uint32_t p, page_t *page) noexcept nogil:
    """A page that is on its way to a list, and that nobody else wants any more."""
    page.refs = 0
    page.flags &= ~<uint32_t>(PG_LRU | PG_BATCH)
    free_page(s, p)

cdef uint32_t lru_add_counted(Sim *s, uint32_t *pages, uint32_t n, uint32_t drop) noexcept nogil:
    """The same where the lists' statistics move in steps: they can tell an add from a put.  Pages of a batch *drop* its reference."""
    cdef uint32_t i, active = 0
    cdef int which
    for i in range(n):
        which = list_of(s.pages + pages[i])
        changed(s, which, 1)
        if s.pages[pages[i]].refs == 0:
            changed(s, which, -1)
            lost(s, pages[i], s.pages + pages[i])
            s.round_freed = True
            continue
        lru_place(s, pages[i], s.pages + pages[i], which, False)
        active += which
    if drop:
        for i in range(n):
            put_page(s, pages[i], drop)
    return active

cdef inline void lru_remove(Sim *s, uint32_t p) noexcept nogil:
    cdef int which = list_of(s.pages + p)
    s.ring[which][s.places[p].lru] = 0
    s.length[which] -= 1
    s.pages[p].flags &= ~<uint32_t>PG_LRU
    changed(s, which, -1)


# ------------------------------------------------------------------ pages

cdef void free_page(Sim *s, uint32_t p) noexcept nogil:
    cdef uint32_t i
    if s.pages[p].flags & PG_LRU:
        lru_remove(s, p)
    if s.pages[p].flags & PG_LOCKED:  # whoever holds the lock holds no page any more
        for i in range(s.ref_high):
            if s.refs[i].kind == REF_LOCK and s.refs[i].page == p:
                s.refs[i].page = 0
    free_number(s, p, s.pages[p].flags)

cdef inline void free_number(Sim *s, uint32_t p, uint32_t flags) noexcept nogil:
    """``free_page`` of one that is on no list and not locked, with these flags."""
    cdef uint32_t unmovable = flags & PG_UNMOVABLE
    s.pages[p].flags = unmovable
    if unmovable:
        s.free_unmovable += 1
        s.page_free[s.page_cap - s.free_unmovable] = p
    else:
        s.page_free[s.free_movable] = p
        s.free_movable += 1
    peak(s)
    s.live -= 1
    s.c[<int>C_PAGE_FREES] += 1

cdef inline void put_page(Sim *s, uint32_t p, uint32_t n) noexcept nogil:
    s.pages[p].refs -= n
    if s.pages[p].refs == 0:
        free_page(s, p)

cdef inline uint32_t take_movable(Sim *s) noexcept nogil:
    """The number freed last; there is one.  The record that is taken SOON later is on its way by then."""
    cdef uint32_t n = s.free_movable - 1
    s.free_movable = n
    if s.far:
        ahead_record(s, s.page_free[n - SOON if n > SOON else 0])
    return s.page_free[n]

cdef inline void ahead_record(Sim *s, uint32_t p) noexcept nogil:
    COWFAST_PREFETCH(s.pages + p)
    COWFAST_PREFETCH(s.places + p)

cdef inline uint32_t take_unmovable(Sim *s) noexcept nogil:
    s.free_unmovable -= 1
    return s.page_free[s.page_cap - 1 - s.free_unmovable]

cdef inline int new_page(Sim *s, uint32_t v, uint32_t *number) noexcept nogil:
    """Charge, then a number (1); refs 1."""
    cdef uint32_t p
    cdef page_t *page
    cdef int status = charge(s)
    if status:
        return status
    p = take_movable(s) if s.free_movable and not s.unmovable else take_other(s)
    page = s.pages + p
    page.who = 0
    page.refs = 1
    page.flags = PG_UNMOVABLE if s.unmovable and s.longterm_unmovable else 0
    s.places[p].vpage = v
    if s.contents != NULL:
        s.contents[p].first = s.contents[p].last = 0
    s.live += 1
    s.c[<int>C_PAGE_ALLOCS] += 1
    number[0] = p
    return OK

cdef uint32_t take_other(Sim *s) noexcept nogil:
    """A number where the list of free movable ones is empty, or another is wanted."""
    cdef bint unmovable = s.unmovable and s.longterm_unmovable
    if unmovable and s.free_unmovable:
        return take_unmovable(s)
    if not unmovable and s.free_movable:
        return take_movable(s)
    if s.memory == 0 or s.next_page <= s.memory:
        s.next_page += 1
        return s.next_page - 1
    return take_movable(s) if unmovable else take_unmovable(s)

cdef inline void drain(Sim *s, uint32_t cpu) noexcept nogil:
    """lru_add_drain: all pages to the lists, then all references dropped."""
    s.c[<int>C_DRAINS] += 1
    s.outcome |= DRAINED
    if s.batch_len[cpu]:
        empty_batch(s, cpu)

cdef void empty_batch(Sim *s, uint32_t cpu) noexcept nogil:
    """Every page but those that only the batch holds comes to the head of a list, and loses the batch's reference."""
    cdef uint32_t n = s.batch_len[cpu], i, p, at, dead = 0, active = 0, cap = s.ring_cap
    cdef uint32_t *batch = s.batch + <size_t>cpu * s.batch_size
    cdef uint32_t *ring = s.ring[INACTIVE]
    cdef page_t *pages = s.pages
    cdef page_t *page
    cdef place_t *places = s.places
    cdef uint64_t counts
    s.batch_len[cpu] = 0
    s.c[<int>C_DRAINED_PAGES] += n
    make_room(s, n)
    if s.stat_step:
        lru_add_counted(s, batch, n, 1)
        return
    at = s.head[INACTIVE]
    for i in range(n):
        p = batch[i]
        page = pages + p
        counts = counts_of(page)[0] + FROM_BATCH
        if <uint32_t>counts == 0 or counts & <uint64_t>PG_ACTIVE << FLAGS_SHIFT:  # not often
            if <uint32_t>counts == 0:
                dead += 1
                lost(s, p, page)
            else:
                active += 1
                counts_of(page)[0] = counts
                lru_place(s, p, page, ACTIVE, False)
            continue
        counts_of(page)[0] = counts
        ring[at] = p
        places[p].lru = at
        at = at + 1 if at + 1 < cap else 0
    s.head[INACTIVE] = at
    n -= active + dead
    s.span[INACTIVE] += n
    s.length[INACTIVE] += n

cdef inline void batch_put(Sim *s, uint32_t p, uint32_t cpu) noexcept nogil:
    """The batch's reference and flag are on the page already."""
    cdef uint32_t n = s.batch_len[cpu]
    s.batch[<size_t>cpu * s.batch_size + n] = p
    s.batch_len[cpu] = n + 1
    if n + 1 >= s.batch_size:
        drain(s, cpu)

cdef inline void batch_add(Sim *s, uint32_t p) noexcept nogil:
    if s.batch_size == 0:
        lru_add(s, p)
        return
    s.pages[p].refs += 1
    s.pages[p].flags |= PG_BATCH
    batch_put(s, p, s.cpu)


# ------------------------------------------------------------------ slots and the swap cache

cdef inline int64_t free_slots(Sim *s) noexcept nogil:
    return <int64_t>s.total_slots - s.used_slots - s.filled

cdef inline bint slot_left(Sim *s) noexcept nogil:
    """Is any slot free?"""
    return s.used_slots + s.filled < s.total_slots

cdef inline bint swap_full(Sim *s) noexcept nogil:
    """vm_swap_full: more than half of all slots are taken, by whomever."""
    return s.used_slots + s.filled > s.total_slots >> 1

cdef inline uint32_t new_slot(Sim *s, uint32_t p, uint32_t entries) noexcept nogil:
    """A slot with page p in the swap cache, and so many swap ptes; there is one."""
    cdef uint32_t n
    if s.free_slot and not (s.freed_slot and s.next_slot <= s.total_slots):
        n = s.free_slot
        s.free_slot = s.slots[n].page
        COWFAST_PREFETCH(s.slots + s.free_slot)
    else:
        n = s.next_slot
        s.next_slot += 1
    s.slots[n].page = p
    s.slots[n].swap_count = <uint16_t>entries
    s.slots[n].flags = SLOT_USED | SLOT_CACHED
    s.places[p].slot = n
    s.used_slots += 1
    s.c[<int>C_SLOT_ALLOCS] += 1
    s.c[<int>C_SWAP_CACHE_ADDS] += 1
    if s.used_slots > s.c[<int>C_SLOTS_PEAK]:
        s.c[<int>C_SLOTS_PEAK] = s.used_slots
    return n

cdef inline void free_the_slot(Sim *s, uint32_t n) noexcept nogil:
    s.slots[n].flags = 0
    s.slots[n].page = s.free_slot
    s.free_slot = n
    s.used_slots -= 1
    s.freed_slot = True
    s.c[<int>C_SLOT_FREES] += 1

cdef inline void uncache(Sim *s, uint32_t p, int cause) noexcept nogil:
    """The flags of page and slot are the caller's to change."""
    s.places[p].slot = 0
    s.c[<int>C_SWAP_CACHE_REMOVALS] += 1
    s.c[cause] += 1

cdef bint leave(Sim *s, uint32_t p, int cause) noexcept nogil:
    """folio_free_swap (1)."""
    cdef page_t *page = s.pages + p
    if page.flags & (PG_SWAPCACHE | PG_WRITEBACK) != PG_SWAPCACHE or s.slots[s.places[p].slot].swap_count:
        return False
    give_up_slot(s, p, page, cause)
    put_page(s, p, 1)
    return True

cdef inline void give_up_slot(Sim *s, uint32_t p, page_t *page, int cause) noexcept nogil:
    """``leave`` where it is known that the page can; its reference is the caller's to drop."""
    cdef uint32_t n = s.places[p].slot, flags = page.flags
    if flags & (PG_DIRTY | PG_STALE) or (page.who and any_dirty(s, p)):
        flags &= ~<uint32_t>PG_DROPPED
    else:
        flags |= PG_DROPPED
    page.flags = (flags | PG_DIRTY | PG_REMOVED) & ~<uint32_t>(PG_READAHEAD | PG_SWAPCACHE)
    uncache(s, p, cause)
    free_the_slot(s, n)
    s.outcome |= REMOVED

cdef inline void leave_trylock(Sim *s, uint32_t p, int cause) noexcept nogil:
    if not s.pages[p].flags & PG_LOCKED:
        leave(s, p, cause)

cdef inline bint maybe_held(Sim *s, page_t *page) noexcept nogil:
    """False: nobody has a get or pin of it.  True also while the event under way holds a reference of its own."""
    return page.refs > maps_of(s, page) + ((page.flags & PG_SWAPCACHE) != 0) + ((page.flags & (PG_BATCH | PG_ISOLATED)) != 0)

cdef uint32_t held(Sim *s, uint32_t p, uint32_t kind) noexcept nogil:
    """How many references of this kind, or of any if REF_NONE, but locks."""
    cdef uint32_t i, n = 0
    if maybe_held(s, s.pages + p):
        for i in range(s.ref_high):
            if s.refs[i].page == p and s.refs[i].kind != REF_LOCK and (kind == REF_NONE or s.refs[i].kind == kind):
                n += 1
    return n

cdef inline bint visible(Sim *s, uint32_t p, uint32_t pid, uint32_t own_maps, uint32_t own_entries) noexcept nogil:
    """Could anybody but pid read this page (7)?"""
    cdef page_t *page = s.pages + p
    if shared(s, page) if own_maps else page.who != 0:
        return True
    if page.flags & PG_SWAPCACHE and s.slots[s.places[p].slot].swap_count > own_entries:
        return True
    return s.ref_high and maybe_held(s, page) and held_by_others(s, p, pid)

cdef bint held_by_others(Sim *s, uint32_t p, uint32_t pid) noexcept nogil:
    cdef uint32_t i
    for i in range(s.ref_high):
        if s.refs[i].page == p and s.refs[i].pid != pid:
            if s.refs[i].kind == REF_PIN or (s.refs[i].kind == REF_GET and s.refs[i].flags & EV_LOOK):
                return True
    return False


# ------------------------------------------------------------------ reclaim (model-reclaim, whose sections are named)

cdef bint inactive_is_low(Sim *s) noexcept nogil:
    cdef int64_t inactive = look(s, INACTIVE), active = look(s, ACTIVE), gb = (inactive + active) >> 18, ratio = 1
    if gb:
        ratio = 0
        while (ratio + 1) * (ratio + 1) <= 10 * gb:
            ratio += 1
    return inactive * ratio < active

cdef inline int charge(Sim *s) noexcept nogil:
    """3: may reclaim, may fail."""
    return charge_full(s) if s.memory and s.live >= s.memory else OK

cdef int charge_full(Sim *s) noexcept nogil:
    cdef int attempts = 0
    while s.live >= s.memory:
        s.c[<int>C_RECLAIMS] += 1
        if try_to_free(s, CLUSTER) == 0:
            if s.wb_len:
                complete_writes(s, <uint64_t>-1)
                continue
            flush_statistics(s)
            attempts += 1
            if attempts == MAX_TRIES:
                return ERR_MEMORY_FULL
    return OK

cdef uint64_t try_to_free(Sim *s, uint64_t want) noexcept nogil:
    """4."""
    cdef bint force = False, skipped
    cdef uint64_t freed
    cdef int priority
    s.outcome |= RECLAIMED
    while True:
        freed = 0
        skipped = False
        for priority in range(DEF_PRIORITY, -1, -1):
            freed += shrink_node(s, priority, force, want, &skipped)
            if freed >= want:
                break
        s.snapshot = look(s, REFAULTED)
        if freed or not skipped or force:
            return freed
        force = True

cdef uint64_t shrink_node(Sim *s, int priority, bint force, uint64_t want, bint *skipped) noexcept nogil:
    """5."""
    cdef bint deactivate
    cdef uint32_t ni, na, n
    cdef uint64_t got = 0
    if s.stat_flush == 1:
        flush_statistics(s)
    deactivate = force or look(s, REFAULTED) != s.snapshot or inactive_is_low(s)
    ni = s.length[INACTIVE] >> priority
    na = s.length[ACTIVE] >> priority
    if not slot_left(s):
        ni = na = 0
    while ni:
        n = ni if ni < CLUSTER else CLUSTER
        ni -= n
        got += shrink_inactive(s, n)
        if na:
            n = na if na < CLUSTER else CLUSTER
            na -= n
            if deactivate:
                shrink_active(s, n)
            else:
                skipped[0] = True
        if got >= want:
            break
    flush_plug(s)
    if inactive_is_low(s) and s.total_slots:
        shrink_active(s, CLUSTER)
    return got

cdef uint32_t isolate(Sim *s, int which, uint32_t n, uint32_t *taken) noexcept nogil:
    """6: up to n pages, at most CLUSTER, off the tail of a list.  Their records do not say so, neither PG_ISOLATED nor a
    reference, until they are put back: who could ask looks at ``taken``, or runs in another event."""
    cdef uint32_t k = 0, _, p, some, at = s.tail[which], cap = s.ring_cap
    cdef uint32_t *ring = s.ring[which]
    if n > s.length[which]:
        n = s.length[which]
    if s.span[which] == s.length[which] and at + CLUSTER < cap:  # no holes
        memcpy(taken, ring + at, CLUSTER * sizeof(uint32_t))
        k = n
        at += n
        s.span[which] -= n
    while k < n:
        some = n - k if n - k < cap - at else cap - at  # entries, with a page in each at most
        s.span[which] -= some
        for _ in range(some):
            p = ring[at]
            taken[k] = p
            k += p != 0
            at += 1
        if at == cap:
            at = 0
    s.tail[which] = at
    s.length[which] -= k
    if s.far:
        ahead_taken(s, taken, k, ring + at if at + CLUSTER < cap else ring)
    if k:
        changed(s, which, -<int64_t>k)
    return k

cdef void ahead_taken(Sim *s, uint32_t *taken, uint32_t k, uint32_t *following) noexcept nogil:
    """What the pages taken lead to is asked for, and the records of those that will be taken next time (as a rule; beyond
    the head, or the end of the table, they are some others)."""
    cdef uint32_t i
    for i in range(CLUSTER):
        ahead_record(s, following[i])
    for i in range(k):
        COWFAST_PREFETCH(s.slots + s.places[taken[i]].slot)
        if s.pages[taken[i]].who:
            COWFAST_PREFETCH(any_pte(s, taken[i]))

cdef uint32_t shrink_inactive(Sim *s, uint32_t n) noexcept nogil:
    cdef uint32_t taken[CLUSTER]
    cdef uint32_t k, i, p, kept = 0
    drain(s, s.cpu)
    k = isolate(s, INACTIVE, n, taken)
    for i in range(k):
        p = taken[i]
        taken[kept] = p
        kept += not shrink_isolated(s, p, True)
    s.age += lru_add_all(s, taken, kept)
    s.c[<int>C_PAGES_SCANNED] += k
    s.c[<int>C_PAGES_RECLAIMED] += k - kept
    return k - kept

cdef void shrink_active(Sim *s, uint32_t n) noexcept nogil:
    cdef uint32_t taken[CLUSTER]
    cdef uint32_t k, i
    cdef page_t *page
    drain(s, s.cpu)
    k = isolate(s, ACTIVE, n, taken)
    for i in range(k):
        page = s.pages + taken[i]
        if page.who and not (page.flags & PG_KSM and page.flags & PG_LOCKED):
            clear_young(s, taken[i], page, any_pte(s, taken[i]), shared(s, page))
        page.flags = (page.flags & ~<uint32_t>PG_ACTIVE) | PG_WORKINGSET
    lru_add_all(s, taken, k)
    s.c[<int>C_PAGES_DEACTIVATED] += k

cdef inline uint32_t clear_young(Sim *s, uint32_t p, page_t *page, pte_t *pte, bint others) noexcept nogil:
    """How many ptes were accessed since the last look; none is afterwards.  The first, which is given, as a rule is the only one."""
    cdef uint32_t young = pte.word & PTE_YOUNG
    pte.word ^= young
    young = young != 0
    if others:
        young += clear_others(s, page, s.places[p].vpage)
    return young

cdef uint32_t clear_others(Sim *s, page_t *page, uint32_t v) noexcept nogil:
    cdef uint32_t young = 0
    cdef pte_t *pte
    cdef Walk at = walk(s, page)
    onward(s, &at, v)
    while at.left:
        pte = pte_at(s, here(s, &at), v)
        young += (pte.word & PTE_YOUNG) != 0
        pte.word &= ~<uint32_t>PTE_YOUNG
        onward(s, &at, v)
    return young

cdef bint leave_isolated(Sim *s, uint32_t p, int cause) noexcept nogil:
    """``leave`` of a page that lives until it is put back, if only for that."""
    cdef bint left
    s.pages[p].refs += 1
    left = leave(s, p, cause)
    s.pages[p].refs -= 1
    return left

cdef bint activate(Sim *s, uint32_t p) noexcept nogil:
    if swap_full(s):
        leave_isolated(s, p, C_REMOVALS_BY_CAUSE__ACTIVATE)
    s.pages[p].flags |= PG_ACTIVE
    s.c[<int>C_PAGES_ACTIVATED] += 1
    return False

cdef bint shrink_page(Sim *s, uint32_t p, bint look_at_references) noexcept nogil:
    """One page whose record counts the reference of its isolation; true if freed."""
    cdef bint freed
    s.pages[p].refs -= 1
    freed = shrink_isolated(s, p, look_at_references)
    s.pages[p].refs += not freed
    return freed

cdef inline bint shrink_isolated(Sim *s, uint32_t p, bint look_at_references) noexcept nogil:
    """7: true if freed.  One reference less than the model has, that of the isolation."""
    cdef page_t *page = s.pages + p
    cdef pte_t *pte = NULL
    cdef uint32_t flags = page.flags, young = 0, pid = 0, n
    cdef bint mapped = page.who != 0, others = False
    if flags & (PG_LOCKED | PG_WRITEBACK):
        if flags & PG_LOCKED:
            return False
        page.flags = flags | PG_RECLAIM
        return activate(s, p)
    if mapped:
        pid = first_of(s, page)
        pte = pte_at(s, pid, s.places[p].vpage)
        others = shared(s, page)
    if look_at_references:
        if mapped:
            young = clear_young(s, p, page, pte, others)
        if young:
            s.round_cleared = True
            page.flags = flags | PG_REFERENCED
            return (flags & PG_REFERENCED or young > 1) and activate(s, p)
        if flags & PG_REFERENCED:
            s.round_cleared = True
            flags &= ~<uint32_t>PG_REFERENCED
            page.flags = flags
    if not flags & PG_SWAPCACHE:
        if page.refs + 1 >= PIN_BIAS and s.skips_pinned:
            return False
        if not slot_left(s):
            return activate(s, p)
        flags = add_to_swap(s, p, page, flags)
    n = s.places[p].slot
    if mapped:
        flags = unmap(s, p, page, n, pid, pte, others, flags)
    flags &= ~<uint32_t>PG_LRU
    page.flags = flags
    if page.refs != 1:  # somebody else than the swap cache has it, so that it is not written and not freed
        return (page.who != 0 or (page.refs + 1 >= PIN_BIAS and s.rechecks_pinned)) and activate(s, p)
    if flags & PG_DIRTY and not write_out(s, p, page, n, flags):
        return False
    remove_mapping(s, p, n, flags)
    return True

cdef inline uint32_t add_to_swap(Sim *s, uint32_t p, page_t *page, uint32_t flags) noexcept nogil:
    new_slot(s, p, 0)
    page.refs += 1
    s.c[<int>C_SWAP_CACHE_READDS] += (flags & PG_REMOVED) != 0
    return (flags | PG_DIRTY | PG_SWAPCACHE) & ~<uint32_t>PG_REMOVED

cdef inline uint32_t unmap(Sim *s, uint32_t p, page_t *page, uint32_t n, uint32_t pid, pte_t *pte, bint others, uint32_t flags) noexcept nogil:
    """All ptes, the first of which is given, become swap entries, so that nobody needs a ring any more; or none does, for the
    page is pinned.  The page's flags."""
    cdef uint32_t maps = 1, dirty = pte.word, entry = n << PTE_SHIFT | PTE_SWAP
    if flags & PG_EXCL:
        if page.refs + 1 >= PIN_BIAS and s.refuses_pinned:
            entry = 0
        else:
            entry |= PTE_WRITE
    if entry:
        pte.word = entry
        swapped_out(s, pid)
    if others:
        maps += unmap_others(s, page, s.places[p].vpage, entry, &dirty)
    if entry:
        s.slots[n].swap_count += maps
        page.refs -= maps
        page.who = 0
        flags &= ~<uint32_t>PG_EXCL
    dirty = dirty // PTE_DIRTY & 1  # no branch: nobody can predict it
    return (flags | dirty * PG_DIRTY) & ~<uint32_t>(dirty * PG_DROPPED)

cdef inline void swapped_out(Sim *s, uint32_t pid) noexcept nogil:
    s.procs[pid].present -= 1
    s.procs[pid].swapped += 1

cdef uint32_t unmap_others(Sim *s, page_t *page, uint32_t v, uint32_t entry, uint32_t *dirty) noexcept nogil:
    """The same of all ptes but the first; how many they are."""
    cdef uint32_t n = 0
    cdef pte_t *pte
    cdef Walk at = walk(s, page)
    onward(s, &at, v)
    while at.left:
        pte = pte_at(s, here(s, &at), v)
        dirty[0] |= pte.word
        if entry:
            pte.word = entry
            swapped_out(s, here(s, &at))
        onward(s, &at, v)
        n += 1
    return n

cdef inline bint write_out(Sim *s, uint32_t p, page_t *page, uint32_t n, uint32_t flags) noexcept nogil:
    """7.9: true if the page can be freed at once."""
    cdef slot_t *slot = s.slots + n
    cdef uint32_t clean
    if slot.swap_count == 0:
        page.flags = flags & ~<uint32_t>PG_DIRTY
        leave_isolated(s, p, C_REMOVALS_BY_CAUSE__WRITEPAGE)
        return False
    if s.contents != NULL:
        s.slot_contents[n] = s.contents[p]
    slot.flags = <uint16_t>((slot.flags & ~<uint32_t>SLOT_BLANK) | flags // (PG_BLANK // SLOT_BLANK) & SLOT_BLANK)
    page.flags = clean = flags & ~<uint32_t>(PG_DIRTY | PG_STALE | PG_DROPPED)
    if flags & PG_BLANK and s.blank_io_free:
        s.c[<int>C_SWAP_WRITES_BLANK] += 1
        return True
    s.c[<int>C_SWAP_WRITES] += 1
    s.c[<int>C_AVOIDABLE_WRITES] += (flags & PG_DROPPED) != 0
    s.outcome |= SWAP_WRITE
    s.round_wrote = True
    if s.sync:
        return True
    page.flags = clean | PG_WRITEBACK | PG_RECLAIM
    if s.nplug >= CLUSTER:
        flush_plug(s)
    s.plug[s.nplug] = p
    s.nplug += 1
    return False

cdef inline void remove_mapping(Sim *s, uint32_t p, uint32_t n, uint32_t flags) noexcept nogil:
    """7.10: reclaim and the swap cache alone hold it."""
    cdef slot_t *slot = s.slots + n
    cdef uint32_t shadow = s.age + (not s.shadow_before)
    s.age += 1
    uncache(s, p, C_REMOVALS_BY_CAUSE__RECLAIM)
    if slot.swap_count:
        slot.page = shadow
        slot.flags = <uint16_t>(slot.flags & ~<uint32_t>SLOT_CACHED | SLOT_SHADOW | (SLOT_WORKINGSET if flags & PG_WORKINGSET else 0))
    else:
        free_the_slot(s, n)
    s.pages[p].refs = 0
    free_number(s, p, flags)
    s.round_freed = True

cdef void flush_plug(Sim *s) noexcept nogil:
    cdef uint32_t n = s.nplug, i, at
    s.nplug = 0
    make_room(s, n)
    for i in range(n):
        if s.latency:
            at = (s.wb_head + s.wb_len) % s.wb_cap
            s.wb_page[at] = s.plug[i]
            s.wb_due[at] = s.time + s.latency + 1
            if s.wb_due[at] < s.special:
                s.special = s.wb_due[at]
            s.wb_len += 1
        else:
            end_writeback(s, s.plug[i])

cdef inline void end_writeback(Sim *s, uint32_t p) noexcept nogil:
    """There is room."""
    cdef page_t *page = s.pages + p
    cdef uint32_t flags = page.flags
    page.flags = flags & ~<uint32_t>(PG_WRITEBACK | PG_RECLAIM)
    if flags & (PG_RECLAIM | PG_LRU | PG_LOCKED | PG_DIRTY) == PG_RECLAIM | PG_LRU:
        if not s.rotates:  # else it has no place (``lru_add_all``)
            lru_remove(s, p)
        page.flags &= ~<uint32_t>PG_ACTIVE
        lru_place(s, p, page, INACTIVE, True)
        changed(s, INACTIVE, 1)

cdef void complete_writes(Sim *s, uint64_t until) noexcept nogil:
    cdef uint32_t p
    while s.wb_len and s.wb_due[s.wb_head] <= until:
        p = s.wb_page[s.wb_head]
        s.wb_head = (s.wb_head + 1) % s.wb_cap
        s.wb_len -= 1
        make_room(s, 1)
        end_writeback(s, p)

cdef inline uint32_t refault(Sim *s, uint32_t n) noexcept nogil:
    """10: the flags that the page has from it.  Whether it comes back soon enough to be active nobody can predict, so that it is no branch."""
    cdef slot_t *slot = s.slots + n
    cdef uint32_t flags = slot.flags, distance
    cdef bint soon
    if not flags & SLOT_SHADOW:
        return 0
    distance = s.age - slot.page
    soon = distance <= (look(s, ACTIVE) if slot_left(s) else 0)
    slot.page = 0
    slot.flags = <uint16_t>(flags & ~<uint32_t>(SLOT_SHADOW | SLOT_WORKINGSET))
    s.age += soon
    s.refaulted += soon
    changed(s, REFAULTED, soon)
    s.c[<int>C_REFAULTS] += 1
    s.c[<int>C_REFAULT_ACTIVATIONS] += soon
    return -<uint32_t>soon & (PG_ACTIVE | (PG_WORKINGSET if flags & SLOT_WORKINGSET else 0))

cdef void touch(Sim *s, uint32_t p, bint needed_fault) noexcept nogil:
    """8."""
    cdef page_t *page = s.pages + p
    if not needed_fault or not page.flags & PG_REFERENCED:
        page.flags |= PG_REFERENCED
        return
    if page.flags & PG_ACTIVE:
        return
    page.flags &= ~<uint32_t>PG_REFERENCED
    s.age += 1
    if page.flags & PG_LRU:
        lru_remove(s, p)
        page.flags |= PG_ACTIVE
        lru_add(s, p)
    else:
        page.flags |= PG_ACTIVE

cdef void reclaim_everything(Sim *s) noexcept nogil:
    """12."""
    cdef bint first = True
    cdef uint32_t left, cpu
    s.outcome |= RECLAIMED
    complete_writes(s, <uint64_t>-1)
    while True:
        s.round_freed = s.round_wrote = s.round_cleared = False
        for cpu in range(s.cpus):
            drain(s, cpu)
        left = s.length[INACTIVE]
        while left:
            shrink_inactive(s, left if left < CLUSTER else CLUSTER)
            left -= left if left < CLUSTER else CLUSTER
        left = s.length[ACTIVE]
        while left:
            shrink_active(s, left if left < CLUSTER else CLUSTER)
            left -= left if left < CLUSTER else CLUSTER
        flush_plug(s)
        complete_writes(s, <uint64_t>-1)
        if not first and not (s.round_freed or s.round_wrote or s.round_cleared):
            return
        first = False

cdef inline uint32_t take_out(Sim *s, pte_t *pte) noexcept nogil:
    """A page that nobody else maps and that is on a list is isolated; 0: another."""
    cdef uint32_t p = pte.word >> PTE_SHIFT
    cdef page_t *page = s.pages + p
    if kind_of(pte.word) != PTE_PRESENT or shared(s, page) or not page.flags & PG_LRU:
        return 0
    lru_remove(s, p)
    page.flags = (page.flags | PG_ISOLATED) & ~<uint32_t>PG_REFERENCED
    page.refs += 1
    pte.word &= ~<uint32_t>PTE_YOUNG
    return p

cdef inline void put_out_back(Sim *s, uint32_t p) noexcept nogil:
    s.pages[p].flags &= ~<uint32_t>PG_ISOLATED
    batch_add(s, p)
    put_page(s, p, 1)

cdef inline bint quick_out(Sim *s, uint32_t pid, pte_t *pte) noexcept nogil:
    """A page on a list that nobody has but this pte goes to an asynchronous device whose writes end at once: it is put into the
    swap cache, unmapped, written and back in an LRU batch.  False: nothing is done, the long way."""
    cdef uint32_t word = pte.word, p = word >> PTE_SHIFT, flags, n
    cdef page_t *page = s.pages + p
    cdef proc_t *proc
    if kind_of(word) != PTE_PRESENT or page.refs != 1:
        return False
    flags = page.flags
    if flags & (PG_LRU | PG_LOCKED | PG_WRITEBACK | PG_SWAPCACHE | PG_BLANK) != PG_LRU:
        return False
    if s.sync or s.latency or not s.batch_size or not slot_left(s) or s.contents != NULL:
        return False
    lru_remove(s, p)
    n = new_slot(s, p, 1)
    pte.word = n << PTE_SHIFT | PTE_SWAP | (PTE_WRITE if flags & PG_EXCL else 0)
    proc = s.procs + pid
    proc.present -= 1
    proc.swapped += 1
    page.who = 0
    page.refs = 2  # the swap cache's and the batch's
    page.flags = (flags | PG_SWAPCACHE | PG_BATCH) \
        & ~<uint32_t>(PG_LRU | PG_REFERENCED | PG_EXCL | PG_DIRTY | PG_STALE | PG_DROPPED | PG_REMOVED | PG_RECLAIM)
    s.c[<int>C_SWAP_CACHE_READDS] += (flags & PG_REMOVED) != 0
    s.c[<int>C_SWAP_WRITES] += 1
    s.c[<int>C_AVOIDABLE_WRITES] += (flags & PG_DROPPED) != 0 and (word & PTE_DIRTY) == 0
    batch_put(s, p, proc.cpu)
    return True

cdef void pageout_one(Sim *s, uint32_t pid, uint32_t v) noexcept nogil:
    """``pageout`` of one page."""
    cdef uint32_t p
    cdef bint kept
    cdef pte_t *pte = pte_at(s, pid, v)
    drain(s, s.cpu)
    if quick_out(s, pid, pte):
        return
    p = take_out(s, pte)
    if p:
        kept = not shrink_page(s, p, s.pageout_looks)
        flush_plug(s)
        if kept:
            put_out_back(s, p)

cdef void pageout(Sim *s, uint32_t pid, uint32_t v, uint64_t n) noexcept nogil:
    """The pages taken are chained by ``place_t.lru``, which is free while a page is on no list."""
    cdef uint64_t i, end = v + n
    cdef uint32_t first = 0, last = 0, kept = 0, p, following
    drain(s, s.cpu)
    i = v
    while i < end:
        if s.dirs[<size_t>pid * s.ndir + (i >> 9)] == 0:
            i = (i | (LEAF - 1)) + 1
            continue
        p = take_out(s, pte_at(s, pid, <uint32_t>i))
        i += 1
        if p == 0:
            continue
        s.places[p].lru = 0
        if last:
            s.places[last].lru = p
        else:
            first = p
        last = p
    p, last = first, 0
    while p:
        following = s.places[p].lru
        if not shrink_page(s, p, s.pageout_looks):
            s.places[p].lru = 0
            if last:
                s.places[last].lru = p
            else:
                kept = p
            last = p
        p = following
    flush_plug(s)
    while kept:
        following = s.places[kept].lru
        put_out_back(s, kept)
        kept = following


# ------------------------------------------------------------------ decisions (4, 8)

cdef struct Situation:
    int64_t refs, maps, swap_count
    uint32_t predicates

cdef Situation situation(Sim *s, uint32_t p, bint write, bint exclusive, bint marked, bint past) noexcept nogil:
    cdef page_t *page = s.pages + p
    cdef Situation now
    cdef uint32_t bits = 0
    now.refs = page.refs
    now.maps = maps_of(s, page)
    now.swap_count = 0
    if page.flags & PG_SWAPCACHE:
        now.swap_count = s.slots[s.places[p].slot].swap_count
        bits |= IS_CACHED
    if page.flags & PG_KSM:
        bits |= IS_KSM
    if exclusive:
        bits |= IS_EXCLUSIVE
    if not page.flags & PG_LRU:
        bits |= IS_OFF_LRU
    if write:
        bits |= IS_WRITE
    if past:
        bits |= IS_PAST_CACHE
    if page.flags & PG_WRITEBACK:
        bits |= IS_WRITEBACK
        if s.stable:
            bits |= IS_STABLE_WRITEBACK
            marked = False
    if marked:
        bits |= IS_MARKED
    if s.sync:
        bits |= IS_SYNC
    if swap_full(s):
        bits |= IS_SWAP_FULL
    now.predicates = bits
    return now

cdef bint fresh(Sim *s, uint32_t p) noexcept nogil:
    cdef uint32_t i
    if s.pages[p].flags & PG_BATCH:
        for i in range(s.batch_len[s.cpu]):
            if s.batch[<size_t>s.cpu * s.batch_size + i] == p:
                return True
    return False

cdef bint holds(check_t *k, Situation *now) noexcept nogil:
    cdef int64_t value, limit
    if k.must & ~now.predicates or k.mustnot & now.predicates:
        return False
    if k.measure == MEASURE_NONE:
        return True
    if k.measure == MEASURE_REFS:
        value = now.refs
    elif k.measure == MEASURE_MAPS:
        value = now.maps
    elif k.measure == MEASURE_SWAP_COUNT:
        value = now.swap_count
    else:
        value = now.maps + now.swap_count
    limit = k.n
    if k.plus & PLUS_CACHED and now.predicates & IS_CACHED:
        limit += 1
    if k.plus & PLUS_OFF_LRU and now.predicates & IS_OFF_LRU:
        limit += 1
    if k.compare == CMP_EQ:
        return value == limit
    if k.compare == CMP_NE:
        return value != limit
    if k.compare == CMP_GT:
        return value > limit
    if k.compare == CMP_LT:
        return value < limit
    if k.compare == CMP_GE:
        return value >= limit
    return value <= limit

cdef bint on_scale(check_t *k, int swap_counts, int both) noexcept nogil:
    """Does a table know the answer of a check?  It counts refs to 7, maps to 3, swap ptes and the sum so far: at the end of a
    scale it does not know how far beyond a page is."""
    cdef int64_t limit = <int64_t>k.n + ((k.plus & PLUS_CACHED) != 0) + ((k.plus & PLUS_OFF_LRU) != 0)
    cdef int64_t end = both
    if k.measure == MEASURE_NONE:
        return True
    if k.measure == MEASURE_REFS:
        end = 7
    elif k.measure == MEASURE_MAPS:
        end = 3
    elif k.measure == MEASURE_SWAP_COUNT:
        end = swap_counts
    return 0 <= k.n and limit < end

# The checks of a write fault, asked beforehand of every situation that an ordinary page can be in; what is not
# in the table (a drain, a lock that is held, the swap cache left, a question about somebody else) goes the long way.
cdef enum:
    VERDICT_BITS = 13
    VERDICT_REUSE = 32     # and in the low five bits the check that decided
    VERDICT_COPY = 64
    VERDICT_LEAVE = 96     # both: it leaves the swap cache, then it is reused
    VERDICT_QUICK = 128    # nothing but that: a copy of an ordinary page which others map, a reuse that nobody could see

cdef inline uint32_t verdict_index(Sim *s, uint32_t p, page_t *page) noexcept nogil:
    """Five flags, refs to 7, maps to 3, then swap full, in the swap cache, named by a swap pte."""
    return verdict_index_of(s, p, page, maps_to_3(s, page), 0)

cdef inline uint32_t verdict_index_of(Sim *s, uint32_t p, page_t *page, uint32_t maps, uint32_t own_entries) noexcept nogil:
    """The same of a page with so many maps, where so many of the swap ptes that name it do not count."""
    cdef uint32_t at = page.flags & 31 | <uint32_t>swap_full(s) << 10, refs = page.refs
    at |= (refs if refs < 7 else 7) << 5
    at |= (maps if maps < 3 else 3) << 8
    if page.flags & PG_SWAPCACHE:
        at |= 1 << 11
        if s.slots[s.places[p].slot].swap_count > own_entries:
            at |= 1 << 12
    return at

cdef inline uint8_t quick_copy(uint32_t flags, Situation *now) noexcept nogil:
    """Others see the page, so that nothing needs to be blamed, and have it, so that it stays where it is."""
    return VERDICT_COPY | (VERDICT_QUICK if (now.maps > 1 or now.swap_count) and not flags & PG_KSM else 0)

cdef inline uint8_t quick_reuse(Situation *now) noexcept nogil:
    """Nobody has the page but one pte, the swap cache and an LRU batch; the scale of refs ends at 7."""
    cdef int64_t known = now.maps + ((now.predicates & IS_CACHED) != 0) + ((now.predicates & IS_OFF_LRU) != 0)
    return VERDICT_REUSE | (VERDICT_QUICK if now.maps == 1 and now.swap_count == 0 and now.refs <= known else 0)

cdef inline bint plain(page_t *page) noexcept nogil:
    """Not pinned, and if others map it there is nothing else to ask about."""
    return counts_of(page)[0] & PLAIN_BITS == <uint64_t>PG_LRU << FLAGS_SHIFT

cdef uint8_t shared_verdict(Sim *s) noexcept nogil:
    """What the table says of all plain pages that others map, whichever check says it; 0 if that depends on how many share one."""
    cdef uint8_t verdict = s.verdict[2 << 8 | 2 << 5 | PG_LRU] & ~31
    cdef uint32_t full, maps, refs
    if not verdict & VERDICT_QUICK:
        return 0
    for full in range(2):
        for maps in range(2, 4):
            for refs in range(2, 8):
                if s.verdict[full << 10 | maps << 8 | refs << 5 | PG_LRU] & ~31 != verdict:
                    return 0
    return verdict

cdef uint8_t verdict_of(Sim *s, uint32_t at) noexcept nogil:
    cdef uint32_t flags = at & 31, maps = at >> 8 & 3, i = 0, leaves = 0
    cdef Situation now
    cdef check_t *k
    now.refs = at >> 5 & 7
    now.maps = maps
    now.swap_count = at >> 12 & 1
    now.predicates = IS_WRITE | (IS_SYNC if s.sync else 0)
    now.predicates |= (IS_SWAP_FULL if at >> 10 & 1 else 0) | (IS_CACHED if at >> 11 & 1 else 0)
    now.predicates |= (IS_EXCLUSIVE if flags & PG_EXCL else 0) | (IS_KSM if flags & PG_KSM else 0)
    now.predicates |= 0 if flags & PG_LRU else IS_OFF_LRU
    if flags & PG_WRITEBACK:
        now.predicates |= IS_WRITEBACK | (IS_STABLE_WRITEBACK if s.stable else 0)
    if flags & PG_LOCKED:
        return 0
    while True:
        k = s.write_fault + i
        if (k.must | k.mustnot) & IS_VISIBLE:
            if maps > 1 or now.swap_count:
                now.predicates |= IS_VISIBLE
            elif now.refs > 1 + ((now.predicates & IS_CACHED) != 0) + (0 if flags & PG_LRU else 1):  # somebody holds it: who?
                return 0
        if (k.must | k.mustnot) & IS_FRESH and not flags & PG_LRU:
            if s.cpus > 1:
                return 0
            now.predicates |= IS_FRESH
        if not on_scale(k, 1, 2) or (leaves and (k.must | k.mustnot) & IS_SWAP_FULL):  # with the slot given up it may be full no longer
            return 0
        if holds(k, &now):
            if k.op == CHECK_COPY:
                return 0 if leaves else quick_copy(flags, &now) | i  # a removal in vain is counted
            if (k.op == CHECK_LEAVE_SWAP_CACHE or k.op == CHECK_LEAVE_AND_REUSE) and now.predicates & IS_CACHED \
                    and now.swap_count == 0 and not flags & PG_WRITEBACK:
                if maps > 1 or now.refs == 7:
                    return 0
                leaves = VERDICT_LEAVE
                now.refs -= 1
                now.predicates &= ~<uint32_t>IS_CACHED
            if k.op == CHECK_REUSE or k.op == CHECK_LEAVE_AND_REUSE:
                return quick_reuse(&now) | leaves | i
            if k.op != CHECK_LOCK_OR_COPY and k.op != CHECK_LOCK_OR_WAIT and k.op != CHECK_LEAVE_SWAP_CACHE:
                return 0
        i += 1

# The same for what a swap-in does once it has its page, of all situations that it can be in when its swap pte is freed.
cdef enum:
    ENTRY_BITS = 14
    ENTRY_KNOWN = 1        # else the long way
    ENTRY_LEAVES = 2       # the swap cache, before mapping
    ENTRY_EXCLUSIVE = 4
    ENTRY_WRITABLE = 8
    ENTRY_LEAVES_LATE = 16  # the swap cache, after mapping
    ENTRY_DRAINS = 32      # first of all; then the table is asked again

cdef inline uint32_t entry_index(Sim *s, page_t *page, uint32_t word, bint write, bint past) noexcept nogil:
    """refs to 7, maps to 3, swap ptes but this one to 3; then on the LRU, KSM, in the swap cache, swap full, write, marked, past.
    Past the cache the slot goes with the pte, and swap may be full no longer."""
    cdef uint32_t at = page.refs if page.refs < 7 else 7, count = s.slots[word >> PTE_SHIFT].swap_count - 1
    at |= maps_to_3(s, page) << 3
    at |= (count if count < 3 else 3) << 5
    at |= (page.flags & (PG_LRU | PG_KSM)) << 6 | (word & PTE_WRITE) << 10 | <uint32_t>write << 11
    if past:
        return at | <uint32_t>(s.used_slots - 1 + s.filled > s.total_slots >> 1) << 10 | 1 << 13
    return at | 1 << 9 | <uint32_t>swap_full(s) << 10

cdef inline uint32_t fresh_index(Sim *s, uint32_t word, uint32_t count, bint write, bint drained) noexcept nogil:
    """The same of a page that was read into the swap cache just now, so that nobody else has it; in the LRU batch, or drained."""
    return (2 | 1 << 7 if drained else 3) | (count if count < 3 else 3) << 5 | 1 << 9 | <uint32_t>swap_full(s) << 10 | <uint32_t>write << 11 \
        | (word & PTE_WRITE) << 10

cdef uint8_t entry_of(Sim *s, uint32_t at) noexcept nogil:
    cdef Situation now
    cdef uint8_t does = ENTRY_KNOWN
    cdef bint mapped = False
    cdef uint32_t others = at >> 5 & 3, own = 1  # swap ptes
    cdef check_t *k = s.swap_in
    cdef check_t *first
    now.refs = at & 7
    now.maps = at >> 3 & 3
    now.predicates = (0 if at >> 7 & 1 else IS_OFF_LRU) | (IS_KSM if at >> 8 & 1 else 0) | (IS_CACHED if at >> 9 & 1 else 0)
    now.predicates |= (IS_SWAP_FULL if at >> 10 & 1 else 0) | (IS_WRITE if at >> 11 & 1 else 0) | (IS_MARKED if at >> 12 & 1 else 0)
    now.predicates |= (IS_PAST_CACHE if at >> 13 & 1 else 0) | (IS_SYNC if s.sync else 0)
    if now.maps + others and now.predicates & IS_PAST_CACHE or others and not now.predicates & IS_CACHED:
        return 0  # does not happen
    if k.op == CHECK_DRAIN:  # asked of the predicates alone, and only once: the pte is not freed yet
        if k.measure or (k.must | k.mustnot) & (IS_VISIBLE | IS_FRESH | IS_SWAP_FULL):
            return 0
        if holds(k, &now):
            does |= ENTRY_DRAINS
        k += 1
    first = k
    while k.op != CHECK_END:
        now.swap_count = others + own if now.predicates & IS_CACHED else 0
        if (k.must | k.mustnot) & IS_VISIBLE:
            if now.maps > mapped or others:
                now.predicates |= IS_VISIBLE
            elif now.refs > 1 + ((now.predicates & IS_CACHED) != 0) + ((now.predicates & IS_OFF_LRU) != 0):
                return 0  # somebody holds it: who?
        if (k.must | k.mustnot) & IS_FRESH and now.predicates & IS_OFF_LRU:
            if s.cpus > 1:
                return 0
            now.predicates |= IS_FRESH
        if not on_scale(k, 3, 3):
            return 0
        if (k.must | k.mustnot) & IS_SWAP_FULL and k.op != CHECK_LEAVE_SWAP_CACHE:
            return 0
        if k.op == CHECK_FREE_ENTRY:  # past the cache the slot goes with it, which checks before would have to know
            if k.must or k.mustnot or k.measure or (now.predicates & IS_PAST_CACHE and k != first):
                return 0
            own = 0
        elif holds(k, &now):
            if k.op == CHECK_LEAVE_SWAP_CACHE:
                if now.predicates & IS_CACHED and now.swap_count == 0:
                    if now.refs == 7:
                        return 0
                    now.refs -= 1
                    now.predicates &= ~<uint32_t>IS_CACHED
                    does |= ENTRY_LEAVES_LATE if mapped else ENTRY_LEAVES
            elif k.op == CHECK_MARK_EXCLUSIVE:
                now.predicates |= IS_EXCLUSIVE
                does |= ENTRY_EXCLUSIVE
                if mapped:
                    return 0
            elif k.op == CHECK_MAP_WRITABLE or k.op == CHECK_MAP:
                if not mapped:
                    mapped = True
                    if k.op == CHECK_MAP_WRITABLE:
                        does |= ENTRY_WRITABLE
                        now.predicates &= ~<uint32_t>IS_KSM
                    if now.maps == 3:
                        return 0
                    now.maps += 1
            else:
                return 0
        k += 1
    return does if mapped and not own else 0

cdef inline void rare(Sim *s, check_t *k, Situation *now, uint32_t p, uint32_t pid, uint32_t maps, uint32_t entries) noexcept nogil:
    """Predicates that cost something are looked up only for checks that ask."""
    if (k.must | k.mustnot) & IS_VISIBLE and visible(s, p, pid, maps, entries):
        now.predicates |= IS_VISIBLE
    if (k.must | k.mustnot) & IS_FRESH and fresh(s, p):
        now.predicates |= IS_FRESH

cdef bint decide(Sim *s, uint32_t p, uint32_t pid, bint write, uint32_t *index) noexcept nogil:
    """do_wp_page: true = reuse; the index of the check that decided."""
    cdef page_t *page = s.pages + p
    cdef uint32_t i = 0
    cdef check_t *k
    cdef Situation now
    now = situation(s, p, write, (page.flags & PG_EXCL) != 0, False, False)
    while True:
        k = s.write_fault + i
        if (k.must | k.mustnot) & (IS_VISIBLE | IS_FRESH):
            rare(s, k, &now, p, pid, 1, 0)
        if holds(k, &now):
            index[0] = i
            if k.op == CHECK_COPY:
                return False
            elif k.op == CHECK_REUSE:
                return True
            elif k.op == CHECK_LEAVE_AND_REUSE:
                leave(s, p, C_REMOVALS_BY_CAUSE__WRITE_FAULT)
                return True
            elif k.op == CHECK_LOCK_OR_COPY:
                if page.flags & PG_LOCKED:
                    s.c[<int>C_LOCK_FAILURES] += 1
                    s.outcome |= LOCK_FAILED
                    return False
            elif k.op == CHECK_LOCK_OR_WAIT:
                if page.flags & PG_LOCKED:
                    s.c[<int>C_LOCK_WAITS] += 1
            elif k.op == CHECK_DRAIN:
                drain(s, s.cpu)
                now = situation(s, p, write, (page.flags & PG_EXCL) != 0, False, False)
            elif k.op == CHECK_LEAVE_SWAP_CACHE:
                if leave(s, p, C_REMOVALS_BY_CAUSE__WRITE_FAULT):
                    s.left = p
                    now = situation(s, p, write, (page.flags & PG_EXCL) != 0, False, False)
        i += 1

cdef bint would_reuse(Sim *s, uint32_t p, uint32_t i) noexcept nogil:
    """Would the checks from i on, on paper, end in a reuse that some condition decides?  Asked of a page that nobody else can see."""
    cdef page_t *page = s.pages + p
    cdef bint here = fresh(s, p), asked = False
    cdef Situation now = situation(s, p, True, (page.flags & PG_EXCL) != 0, False, False)
    cdef check_t *k
    if here:
        now.predicates |= IS_FRESH
    while s.write_fault[i].op != CHECK_END:
        k = s.write_fault + i
        i += 1
        if not holds(k, &now):
            asked = asked or k.op == CHECK_COPY
            continue
        if k.op == CHECK_COPY:
            return False
        if k.op == CHECK_REUSE or k.op == CHECK_LEAVE_AND_REUSE:
            return asked or k.must or k.mustnot or k.measure
        if k.op == CHECK_LOCK_OR_COPY and page.flags & PG_LOCKED:
            return False
        if k.op == CHECK_DRAIN and here:
            here = False
            now.refs -= 1
            now.predicates &= ~<uint32_t>(IS_OFF_LRU | IS_FRESH)
        elif k.op == CHECK_LEAVE_SWAP_CACHE and now.predicates & IS_CACHED and not page.flags & PG_WRITEBACK \
                and now.swap_count == 0:
            now.refs -= 1
            now.predicates &= ~<uint32_t>IS_CACHED
    return False

cdef uint32_t blame(Sim *s, uint32_t p, uint32_t index) noexcept nogil:
    cdef check_t *k = s.write_fault + index
    cdef page_t *page = s.pages + p
    if k.op == CHECK_LOCK_OR_COPY:
        return CAUSE_LOCK
    if page.flags & PG_KSM and k.must & IS_KSM:
        return CAUSE_KSM
    if (k.must or k.mustnot or k.measure) and would_reuse(s, p, index + 1):
        return CAUSE_PRE_CHECK
    if page.flags & PG_KSM:
        return CAUSE_KSM
    if page.flags & PG_SWAPCACHE:
        return CAUSE_SWAP_CACHE
    if page.flags & PG_BATCH:
        return CAUSE_LRU_BATCH
    if held(s, p, REF_NONE):
        return CAUSE_TRANSIENT_GET
    return CAUSE_LOST_EXCLUSIVITY

cdef inline uint32_t blame_again(Sim *s, uint32_t p, uint32_t index) noexcept nogil:
    """``blame``, which says of a page on a list that one pte and the swap cache have the same as of the last such page."""
    cdef page_t *page = s.pages + p
    cdef uint32_t now
    if page.flags & (PG_LRU | PG_SWAPCACHE) != PG_LRU | PG_SWAPCACHE or page.refs != 2 or page.who == 0:
        return blame(s, p, index)
    now = verdict_index(s, p, page) << 5 | index
    if now != s.blamed_in:
        s.blamed = blame(s, p, index)
        s.blamed_in = now
    return s.blamed


# ------------------------------------------------------------------ accesses (5)

cdef inline void stored(Sim *s, pte_t *pte) noexcept nogil:
    cdef uint32_t p = pte.word >> PTE_SHIFT
    pte.word &= ~<uint32_t>PTE_BLANK
    s.pages[p].flags &= ~<uint32_t>PG_BLANK
    if s.contents != NULL:
        s.contents[p].first = s.contents[p].last = <uint32_t>(s.time + 1)

cdef inline uint32_t blank_bit(page_t *page) noexcept nogil:
    return PTE_BLANK if page.flags & PG_BLANK else 0

cdef int allocate_for(Sim *s, uint32_t pid, uint32_t v, uint32_t *p) noexcept nogil:
    """A new page for this fault; AGAIN if the charge's reclaim changed the pte."""
    cdef uint32_t before = pte_at(s, pid, v).word & ~<uint32_t>(PTE_YOUNG | PTE_DIRTY)
    cdef int status = new_page(s, v, p)
    if status:
        return status
    if pte_at(s, pid, v).word & ~<uint32_t>(PTE_YOUNG | PTE_DIRTY) != before:
        put_page(s, p[0], 1)
        return AGAIN
    return OK

cdef pte_t *install(Sim *s, uint32_t pid, uint32_t v, uint32_t p, bint write) noexcept nogil:
    cdef pte_t *pte = pte_make(s, pid, v)
    pte.word = p << PTE_SHIFT | PTE_PRESENT | PTE_YOUNG
    if write:
        pte.word |= PTE_WRITE | PTE_DIRTY | blank_bit(s.pages + p)
    join(s, p, pid)
    if s.exclusive:
        s.pages[p].flags |= PG_EXCL
    s.procs[pid].flags |= PROC_HAS_ANON
    batch_add(s, p)
    return pte

cdef inline int access(Sim *s, uint32_t pid, uint32_t v, bint write, bint store, bint looking, bint *faulted) noexcept nogil:
    cdef pte_t *pte = pte_at(s, pid, v)
    cdef int status
    faulted[0] = False
    s.left = 0
    if kind_of(pte.word) == PTE_SWAP:  # the most frequent fault under pressure, asked first; its leaf is there
        count_fault(s, faulted)
        status = swap_in(s, pid, v, pte, write, store)
        if status != AGAIN:
            return status
    return access_again(s, pid, v, write, store, looking, faulted)

cdef inline void count_fault(Sim *s, bint *faulted) noexcept nogil:
    faulted[0] = True
    s.c[<int>C_FAULTS] += 1
    s.outcome |= FAULT

cdef int access_again(Sim *s, uint32_t pid, uint32_t v, bint write, bint store, bint looking, bint *faulted) noexcept nogil:
    cdef pte_t *pte
    cdef uint32_t kind, word
    cdef int status
    while True:
        pte = pte_make(s, pid, v)
        word = pte.word
        kind = kind_of(word)
        if (kind == PTE_PRESENT and (word & PTE_WRITE or not write)) or (kind == PTE_ZERO and not write):
            if store:
                pte.word |= PTE_YOUNG | PTE_DIRTY
                stored(s, pte)
            elif not looking:
                pte.word |= PTE_YOUNG
            return OK
        if not faulted[0]:
            count_fault(s, faulted)
        if kind == PTE_SWAP:
            status = swap_in(s, pid, v, pte, write, store)
        elif kind == PTE_NONE and not write:
            pte.word = PTE_ZERO | PTE_YOUNG
            s.procs[pid].zeros += 1
            s.c[<int>C_ZERO_PAGES] += 1
            s.outcome |= ZERO_PAGE
            return OK
        elif kind != PTE_PRESENT:
            status = zero_fill(s, pid, v, store, True)
        else:
            status = write_fault(s, pid, v, pte, store, False)
        if status != AGAIN:
            return status

cdef int zero_fill(Sim *s, uint32_t pid, uint32_t v, bint store, bint write) noexcept nogil:
    cdef uint32_t p
    cdef pte_t *pte
    cdef int status = allocate_for(s, pid, v, &p)
    if status:
        return status
    s.pages[p].flags |= PG_BLANK
    if kind_of(pte_at(s, pid, v).word) == PTE_ZERO:
        s.procs[pid].zeros -= 1
    pte = install(s, pid, v, p, write)
    s.c[<int>C_ZERO_FILLS] += 1
    s.outcome |= ZERO_FILLED
    if store:
        stored(s, pte)
    return OK

cdef int write_fault(Sim *s, uint32_t pid, uint32_t v, pte_t *pte, bint store, bint unshare) noexcept nogil:
    """5.1"""
    cdef uint32_t p = pte.word >> PTE_SHIFT, index = 0
    cdef page_t *page = s.pages + p
    cdef int status
    cdef uint32_t verdict = 0 if unshare else s.verdict[verdict_index(s, p, page)]
    index = verdict & 31
    if verdict & VERDICT_REUSE or (verdict == 0 and decide(s, p, pid, not unshare, &index)):
        if verdict & VERDICT_COPY:
            leave(s, p, C_REMOVALS_BY_CAUSE__WRITE_FAULT)
        s.outcome |= REUSED
        page.flags &= ~<uint32_t>PG_KSM  # reuse_ksm_page: an ordinary page again
        if s.exclusive:
            page.flags |= PG_EXCL
        if not unshare:
            if visible(s, p, pid, 1, 0):
                s.c[<int>C_MISSED_COPIES] += 1
                s.outcome |= MISSED
            pte.word |= PTE_WRITE | PTE_DIRTY | PTE_YOUNG | blank_bit(page)
            s.c[<int>C_REUSES] += 1
            if store:
                page.flags &= ~<uint32_t>PG_DROPPED
    else:
        status = copy(s, pid, v, pte, p, index, unshare)
        if status:
            return status
    if unshare:
        s.c[<int>C_UNSHARES] += 1
        s.outcome |= UNSHARED
        return OK
    s.c[<int>C_WRITE_FAULTS] += 1
    s.outcome = (s.outcome & ~<uint32_t>(<uint32_t>31 << CHECK_SHIFT)) | WRITE_FAULT | (index + 1) << CHECK_SHIFT
    if store:
        stored(s, pte)
    return OK

cdef inline void begin(Sim *s, uint32_t pid) noexcept nogil:
    """What an event finds that does not come the long way."""
    s.cpu = s.procs[pid].cpu
    s.freed_slot = False
    s.left = 0

cdef inline bint no_room(Sim *s, uint32_t n) noexcept nogil:
    """Would so many more pages need reclaim, or numbers for which a larger table may be wanted first?"""
    return s.live + n > s.roomy or (s.free_movable < n and s.next_page + 64 + n >= s.page_cap)

cdef inline bint quick_write(Sim *s, uint32_t pid, uint32_t v, pte_t *pte, bint rings) noexcept nogil:
    """A store to a write-protected pte of which the table knows all: others map the page, nobody pins it and there is
    room for a copy; or nobody else could read it and it is reused.  False: nothing is done, the long way.
    Only where nobody asks for contents or outcomes."""
    cdef uint32_t word = pte.word, p = word >> PTE_SHIFT, verdict
    cdef page_t *page = s.pages + p
    cdef uint64_t who = page.who
    verdict = s.shared if plain(page) and two_or_more(who, rings) else 0
    if not verdict:
        verdict = s.verdict[verdict_index(s, p, page)]
        if not verdict & VERDICT_QUICK or page.refs >= PIN_BIAS:
            return False
    if verdict & VERDICT_REUSE:
        if verdict & VERDICT_COPY:
            give_up_slot(s, p, page, C_REMOVALS_BY_CAUSE__WRITE_FAULT)
            page.refs -= 1
        page.flags = (page.flags | s.made & PG_EXCL) & ~<uint32_t>(PG_KSM | PG_DROPPED | PG_BLANK)
        pte.word = (word | PTE_WRITE | PTE_DIRTY | PTE_YOUNG) & ~<uint32_t>PTE_BLANK
        s.quick_reuses += 1
        return True
    if s.live >= s.roomy:
        return False
    if s.free_movable:
        p = take_movable(s)
    elif s.next_page <= s.memory:
        p = s.next_page
        s.next_page += 1
    else:
        return False
    s.live += 1
    s.quick_copies += 1
    pte.word = p << PTE_SHIFT | PTE_PRESENT | PTE_YOUNG | PTE_WRITE | PTE_DIRTY
    page.refs -= 1
    if rings:
        ring_part(s, page, pid, v)
    else:
        page.who = who & ~bit_of(pid)
    page = s.pages + p
    s.places[p].vpage = v
    counts_of(page)[0] = 2 | <uint64_t>s.made << FLAGS_SHIFT  # the pte's and the batch's
    if rings:
        page.who = 0
        ring_join(s, page, pid, v)
    else:
        page.who = bit_of(pid)
    batch_put(s, p, s.procs[pid].cpu)
    return True

cdef void count_quick(Sim *s) noexcept nogil:
    """What ``quick_write`` and ``quick_swap_in`` did becomes counts: several each, so that they count one themselves."""
    cdef uint64_t n = s.quick_copies + s.quick_reuses
    s.c[<int>C_FAULTS] += n + s.quick_swap_ins
    s.c[<int>C_WRITE_FAULTS] += n
    s.c[<int>C_COPIES] += s.quick_copies
    s.c[<int>C_REUSES] += s.quick_reuses
    s.c[<int>C_PAGE_ALLOCS] += s.quick_copies + s.quick_swap_ins
    s.c[<int>C_SWAP_INS] += s.quick_swap_ins
    s.c[<int>C_MAJOR_FAULTS] += s.quick_swap_ins
    s.c[<int>C_SWAP_CACHE_ADDS] += s.quick_swap_ins
    s.quick_copies = s.quick_reuses = s.quick_swap_ins = 0

cdef int copy(Sim *s, uint32_t pid, uint32_t v, pte_t *pte, uint32_t old, uint32_t index, bint unshare) noexcept nogil:
    cdef page_t *page = s.pages + old
    cdef bint needless = not unshare and not visible(s, old, pid, 1, 0)
    cdef uint32_t cause = blame_again(s, old, index) if needless else 0
    cdef bint broken = False, ksm = (page.flags & PG_KSM) != 0
    cdef uint32_t i, p
    cdef int status
    if page.refs >= PIN_BIAS:
        for i in range(s.ref_high):
            if s.refs[i].kind == REF_PIN and s.refs[i].page == old and s.refs[i].pid == pid:
                broken = True
    page.refs += 1
    status = allocate_for(s, pid, v, &p)
    if status:
        put_page(s, old, 1)
        return status
    if s.contents != NULL:
        s.contents[p] = s.contents[old]
    s.pages[p].flags |= page.flags & PG_BLANK
    part(s, old, pid)
    install(s, pid, v, p, not unshare)
    page.refs -= 1
    if s.copy_leaves and page.who == 0:
        leave_trylock(s, old, C_REMOVALS_BY_CAUSE__COPY)
    put_page(s, old, 1)
    s.outcome |= COPIED
    if ksm:
        s.c[<int>C_KSM_COPIES] += 1
    if unshare:
        s.c[<int>C_UNSHARE_COPIES] += 1
        return OK
    s.c[<int>C_COPIES] += 1
    if s.left == old:
        s.c[<int>C_FUTILE_REMOVALS] += 1
        s.outcome |= FUTILE
    if broken:
        s.c[<int>C_BROKEN_PINS] += 1
        s.outcome |= PIN_BROKEN
    if needless:
        s.c[<int>C_NEEDLESS_COPIES] += 1
        s.c[<int>C_NEEDLESS_COPIES + cause] += 1
        s.outcome |= NEEDLESS | cause << CAUSE_SHIFT
    return OK


# ------------------------------------------------------------------ swap-in (5.2, 5.3)

cdef inline uint32_t read_from_device(Sim *s, uint32_t p, uint32_t n) noexcept nogil:
    """The flags that the page has from it."""
    cdef bint blank = (s.slots[n].flags & SLOT_BLANK) != 0
    if s.contents != NULL:
        s.contents[p] = s.slot_contents[n]
    s.c[<int>C_SWAP_READS_BLANK if blank and s.blank_io_free else <int>C_SWAP_READS] += 1
    return PG_BLANK if blank else 0

cdef inline int read_page(Sim *s, uint32_t v, uint32_t n, bint cached, uint32_t *number) noexcept nogil:
    """A new page with what is in the slot; in the swap cache, or past it."""
    cdef uint32_t p
    cdef int status = new_page(s, v, &p)
    if status:
        return status
    s.pages[p].flags |= refault(s, n) | read_from_device(s, p, n)
    if cached:
        s.places[p].slot = n
        s.pages[p].flags |= PG_SWAPCACHE
        s.slots[n].page = p
        s.slots[n].flags |= SLOT_CACHED
        s.c[<int>C_SWAP_CACHE_ADDS] += 1
    batch_add(s, p)
    number[0] = p
    return OK

cdef int read_in(Sim *s, uint32_t v, uint32_t n) noexcept nogil:
    cdef uint32_t p
    return read_page(s, v, n, True, &p)

cdef inline uint32_t ahead_window(Sim *s, proc_t *proc, uint32_t v) noexcept nogil:
    """How many pages the readahead of this fault reads."""
    cdef uint32_t most = 1 << (s.page_cluster if s.page_cluster < 5 else 5), pages, size
    if most == 1:
        return 1
    if proc.ra_hits == 0:
        pages = 2 if beside(proc, v) else 1
    else:
        size = 4
        while size < <uint32_t>proc.ra_hits + 2:
            size *= 2
        pages = size
    if pages > most:
        pages = most
    return pages if pages > proc.ra_window // 2 else proc.ra_window // 2

cdef inline bint beside(proc_t *proc, uint32_t v) noexcept nogil:
    """Is this the address before or after that of the last fault?"""
    return proc.ra_last and (v + 2 == proc.ra_last or v == proc.ra_last)

cdef int read_ahead(Sim *s, uint32_t pid, uint32_t v, int64_t pages) noexcept nogil:
    cdef proc_t *proc = s.procs + pid
    cdef int64_t first = <int64_t>v - (pages - 1) // 2, last, w, leaf = v & ~<uint32_t>(LEAF - 1)
    cdef pte_t *pte
    cdef slot_t *slot
    cdef int status
    if beside(proc, v):
        first = v if v == proc.ra_last else <int64_t>v - pages + 1
    proc.ra_last = v + 1
    proc.ra_window = <uint16_t>pages
    proc.ra_hits = 0
    last = first + pages - 1
    if first < leaf:
        first = leaf
    if last > leaf + LEAF - 1:
        last = leaf + LEAF - 1
    if last > <int64_t>s.space - 1:
        last = <int64_t>s.space - 1
    w = first
    while w <= last:
        pte = pte_at(s, pid, <uint32_t>w)
        slot = s.slots + (pte.word >> PTE_SHIFT)
        if kind_of(pte.word) == PTE_SWAP and not slot.flags & SLOT_CACHED:
            status = read_in(s, <uint32_t>w, pte.word >> PTE_SHIFT)
            if status:
                if w == v:
                    return status
                break
            if w != v:
                s.pages[slot.page].flags |= PG_READAHEAD
                s.c[<int>C_READAHEAD] += 1
        w += 1
    if s.readahead_drains:
        drain(s, s.cpu)
    return OK

cdef bint quick_swap_in(Sim *s, uint32_t pid, uint32_t v, pte_t *pte, bint write) noexcept nogil:
    """A swap-in from an asynchronous device of which the table knows all: one page, with room for it in memory and in the LRU
    batch.  So nothing is reclaimed, and the new page's references are known: batch, lookup, swap cache.  A page that leaves the
    swap cache at once never needs to be put there, and a drain on the way can come last.  False: nothing is done, the long way.
    Only where nobody asks for contents or outcomes."""
    cdef uint32_t word = pte.word, n = word >> PTE_SHIFT, p, count, does, length, flags
    cdef slot_t *slot = s.slots + n
    cdef proc_t *proc = s.procs + pid
    cdef page_t *page
    cdef bint drains
    if slot.flags & SLOT_CACHED:
        return quick_cached(s, pid, v, pte, write)
    if s.sync or s.live >= s.roomy or s.free_movable == 0 or ahead_window(s, proc, v) > 1:
        return False
    length = s.batch_len[proc.cpu] + 1
    count = slot.swap_count - 1
    does = s.entry[fresh_index(s, word, count, write, False)]
    drains = (does & ENTRY_DRAINS) != 0
    if drains:
        does = s.entry[fresh_index(s, word, count, write, True)]
    if not does & ENTRY_KNOWN or length >= s.batch_size:
        return False
    if does & ENTRY_WRITABLE:
        if count:  # missed
            return False
    elif write:
        return False
    p = take_movable(s)
    page = s.pages + p
    flags = PG_BATCH | refault(s, n) | read_from_device(s, p, n) | (PG_EXCL if does & ENTRY_EXCLUSIVE else 0)
    slot.swap_count = <uint16_t>count
    if does & (ENTRY_LEAVES | ENTRY_LEAVES_LATE):
        flags |= PG_DIRTY | PG_REMOVED | PG_DROPPED
        page.refs = 2
        free_the_slot(s, n)
        s.c[<int>C_SWAP_CACHE_REMOVALS] += 1
        s.c[<int>C_REMOVALS_BY_CAUSE__SWAP_IN] += 1
    else:
        flags |= PG_SWAPCACHE
        page.refs = 3
        s.places[p].slot = n
        slot.page = p
        slot.flags |= SLOT_CACHED
    word = p << PTE_SHIFT | PTE_PRESENT | PTE_YOUNG
    if write:
        word |= PTE_WRITE | PTE_DIRTY
        flags &= ~<uint32_t>(PG_BLANK | PG_DROPPED)
    elif does & ENTRY_WRITABLE:
        word |= PTE_WRITE | (PTE_BLANK if flags & PG_BLANK else 0)
    s.places[p].vpage = v
    page.flags = flags
    if s.links == NULL:
        page.who = bit_of(pid)
    else:
        page.who = 0
        ring_join(s, page, pid, v)
    pte.word = word
    proc.swapped -= 1
    proc.present += 1
    went_alone(proc, v)
    s.batch[<size_t>proc.cpu * s.batch_size + length - 1] = p
    s.batch_len[proc.cpu] = length
    s.live += 1
    s.quick_swap_ins += 1
    if drains:
        drain(s, proc.cpu)
    return True

cdef bint quick_cached(Sim *s, uint32_t pid, uint32_t v, pte_t *pte, bint write) noexcept nogil:
    """The same of a page that is in the swap cache.  False also where bits of others' ptes would be asked: hits that come later
    may be in them already (``settle``)."""
    cdef uint32_t n = pte.word >> PTE_SHIFT, p = s.slots[n].page, does
    cdef page_t *page = s.pages + p
    cdef bint mapped = page.who != 0, fault_follows
    if page.flags & (PG_LOCKED | PG_WRITEBACK | PG_READAHEAD | PG_KSM) or no_room(s, 1):
        return False
    page.refs += 1  # the lookup's, the pte's in the end
    does = s.entry[entry_index(s, page, pte.word, write, False)]
    if does & (ENTRY_KNOWN | ENTRY_DRAINS) != ENTRY_KNOWN or (mapped and does & (ENTRY_LEAVES | ENTRY_LEAVES_LATE)):
        page.refs -= 1
        return False
    fault_follows = write and not does & ENTRY_WRITABLE
    if mapped and fault_follows:  # the table has to know it
        if not s.verdict[verdict_index_of(s, p, page, maps_to_3(s, page) + 1, 1)]:
            page.refs -= 1
            return False
    begin(s, pid)
    s.procs[pid].ra_last = v + 1
    s.c[<int>C_SWAP_INS] += 1
    s.c[<int>C_SWAP_CACHE_HITS] += 1
    map_known(s, pid, v, pte, n, p, write and not fault_follows, write and not fault_follows, does)
    if fault_follows and s.links == NULL and quick_write(s, pid, v, pte, False):  # which counts a fault
        return True
    s.c[<int>C_FAULTS] += 1
    if fault_follows:
        write_fault(s, pid, v, pte, True, False)
    return True

cdef inline void went_alone(proc_t *proc, uint32_t v) noexcept nogil:
    """Readahead was asked, and read one page."""
    proc.ra_last = v + 1
    proc.ra_window = 1
    proc.ra_hits = 0

cdef int swap_in(Sim *s, uint32_t pid, uint32_t v, pte_t *pte, bint write, bint store) noexcept nogil:
    cdef uint32_t n = pte.word >> PTE_SHIFT, p, pages = 1
    cdef slot_t *slot = s.slots + n
    cdef proc_t *proc = s.procs + pid
    cdef bint past = False
    cdef int status
    s.c[<int>C_SWAP_INS] += 1
    if slot.flags & SLOT_CACHED:
        s.outcome |= SWAP_IN | FROM_CACHE
        s.c[<int>C_SWAP_CACHE_HITS] += 1
        p = slot.page
        if s.pages[p].flags & PG_READAHEAD:
            s.pages[p].flags &= ~<uint32_t>PG_READAHEAD
            if proc.ra_hits < 65535:
                proc.ra_hits += 1
            s.c[<int>C_READAHEAD_HITS] += 1
        proc.ra_last = v + 1
    else:
        s.outcome |= SWAP_IN | MAJOR
        s.c[<int>C_MAJOR_FAULTS] += 1
        if s.sync:
            past = s.bypass and slot.swap_count == 1
            s.outcome |= PAST_CACHE if past else 0
        if not past and (s.bypass or not s.sync):
            pages = ahead_window(s, proc, v)
            if pages == 1:
                went_alone(proc, v)
        if pages == 1:
            status = read_page(s, v, n, not past, &p)
        else:
            status = read_around(s, pid, v, n, pages, &p)
        if status:
            return status
    s.pages[p].refs += not past
    if s.pages[p].flags & PG_LOCKED:
        s.c[<int>C_LOCK_WAITS] += 1
    return map_swapped(s, pid, v, pte, n, p, write, store, past)

cdef int read_around(Sim *s, uint32_t pid, uint32_t v, uint32_t n, uint32_t pages, uint32_t *number) noexcept nogil:
    """By readahead, whose own reclaim may take the page of the fault again: once more, alone."""
    cdef int status = read_ahead(s, pid, v, pages)
    while status == OK and not s.slots[n].flags & SLOT_CACHED:
        status = read_in(s, v, n)
    number[0] = s.slots[n].page
    return status

cdef inline void free_entry(Sim *s, uint32_t pid, uint32_t n) noexcept nogil:
    s.procs[pid].swapped -= 1
    s.slots[n].swap_count -= 1
    if s.slots[n].swap_count == 0 and not s.slots[n].flags & SLOT_CACHED:
        free_the_slot(s, n)

# A process with a swap pte has PROC_HAS_ANON: it had an anonymous page, or inherited the flag with the pte.

cdef inline void map_entry(Sim *s, uint32_t pid, pte_t *pte, uint32_t p, bint write, bint writable, bint exclusive,
                           uint32_t own_entries) noexcept nogil:
    cdef page_t *page = s.pages + p
    if writable:
        s.outcome |= MAPPED_WRITABLE
        page.flags &= ~<uint32_t>PG_KSM
        if visible(s, p, pid, 0, own_entries):
            s.c[<int>C_MISSED_COPIES] += 1
            s.outcome |= MISSED
    pte.word = p << PTE_SHIFT | PTE_PRESENT | PTE_YOUNG
    if writable:
        pte.word |= PTE_WRITE | blank_bit(page) | (PTE_DIRTY if write else 0)
    join(s, p, pid)
    if exclusive:
        page.flags |= PG_EXCL

cdef inline int map_swapped(Sim *s, uint32_t pid, uint32_t v, pte_t *pte, uint32_t n, uint32_t p, bint write, bint store,
                            bint past) noexcept nogil:
    cdef page_t *page = s.pages + p
    cdef bint drained = False
    cdef uint32_t does = 0
    if not page.flags & PG_WRITEBACK:
        does = s.entry[entry_index(s, page, pte.word, write, past)]
        if does & ENTRY_DRAINS:
            drain(s, s.cpu)
            drained = True
            does = s.entry[entry_index(s, page, pte.word, write, past)]
    if does == 0:
        return map_unknown(s, pid, v, pte, n, p, write, store, past, drained)
    return map_known(s, pid, v, pte, n, p, write, store, does)

cdef int map_known(Sim *s, uint32_t pid, uint32_t v, pte_t *pte, uint32_t n, uint32_t p, bint write, bint store, uint32_t does) noexcept nogil:
    cdef page_t *page = s.pages + p
    free_entry(s, pid, n)
    if does & ENTRY_LEAVES:
        give_up_slot(s, p, page, C_REMOVALS_BY_CAUSE__SWAP_IN)
        page.refs -= 1  # the mapping's is left
        s.left = p
    map_entry(s, pid, pte, p, write, (does & ENTRY_WRITABLE) != 0, (does & ENTRY_EXCLUSIVE) != 0, 0)
    if does & ENTRY_LEAVES_LATE and leave(s, p, C_REMOVALS_BY_CAUSE__SWAP_IN):
        s.left = p
    return after_map(s, pid, v, pte, p, write, store)

cdef int map_unknown(Sim *s, uint32_t pid, uint32_t v, pte_t *pte, uint32_t n, uint32_t p, bint write, bint store, bint past,
                     bint drained) noexcept nogil:
    """Check by check, what the table does not know; the first may have drained already."""
    cdef bint marked = (pte.word & PTE_WRITE) != 0, exclusive = False
    cdef uint32_t own_maps = 0, own_entries = 1
    cdef check_t *k = s.swap_in + <int>drained
    cdef Situation now
    while k.op != CHECK_END:
        now = situation(s, p, write, exclusive, marked, past)
        rare(s, k, &now, p, pid, own_maps, own_entries)
        if holds(k, &now):
            if k.op == CHECK_DRAIN:
                drain(s, s.cpu)
            elif k.op == CHECK_FREE_ENTRY:
                own_entries = 0
                free_entry(s, pid, n)
            elif k.op == CHECK_LEAVE_SWAP_CACHE:
                if leave(s, p, C_REMOVALS_BY_CAUSE__SWAP_IN):
                    s.left = p
            elif k.op == CHECK_MARK_EXCLUSIVE:
                exclusive = True
            elif own_maps == 0:
                map_entry(s, pid, pte, p, write, k.op == CHECK_MAP_WRITABLE, exclusive, own_entries)
                own_maps = 1
        k += 1
    return after_map(s, pid, v, pte, p, write, store)

cdef inline int after_map(Sim *s, uint32_t pid, uint32_t v, pte_t *pte, uint32_t p, bint write, bint store) noexcept nogil:
    if not write:
        return OK
    if pte.word & PTE_WRITE:
        if store:
            stored(s, pte)
            s.pages[p].flags &= ~<uint32_t>PG_DROPPED
        return OK
    return write_fault(s, pid, v, pte, store, False)

# ------------------------------------------------------------------ all other paths (6)

cdef int fork(Sim *s, uint32_t pid, uint32_t child) noexcept nogil:
    cdef proc_t *mine = s.procs + pid
    cdef proc_t *theirs = s.procs + child
    cdef uint32_t d = 0
    cdef int status
    s.c[<int>C_FORKS] += 1
    memset(theirs, 0, sizeof(proc_t))
    theirs.flags = PROC_ALIVE | (mine.flags & PROC_HAS_ANON)
    theirs.parent = <uint16_t>pid
    theirs.cpu = <uint16_t>(child % s.cpus)
    theirs.ra_last = mine.ra_last
    theirs.ra_window = mine.ra_window
    theirs.ra_hits = mine.ra_hits
    if not mine.flags & PROC_HAS_ANON:
        return OK
    while next_leaf(s, pid, &d):
        status = fork_leaf(s, pid, child, d)
        if status:
            return status
        d += 1
    return OK

cdef bint next_leaf(Sim *s, uint32_t pid, uint32_t *d) noexcept nogil:
    """Does pid have a leaf at *d or above, and where is the first?"""
    cdef uint32_t *dirs = s.dirs + <size_t>pid * s.ndir
    cdef uint8_t *used = s.dir_used + <size_t>pid * (s.ndir // s.dir_group)
    while d[0] < s.ndir:
        if d[0] % s.dir_group == 0 and not used[d[0] // s.dir_group]:
            d[0] += s.dir_group
        elif dirs[d[0]]:
            return True
        else:
            d[0] += 1
    return False

cdef int fork_leaf(Sim *s, uint32_t pid, uint32_t child, uint32_t d) noexcept nogil:
    """The child's 512 ptes are the parent's, both read-only."""
    cdef uint32_t *mine = <uint32_t *><void *>pte_at(s, pid, d << 9)
    cdef uint32_t *theirs = <uint32_t *><void *>pte_make(s, child, d << 9)
    cdef uint32_t i, word
    cdef bint full
    if s.far:
        ahead_first(s, mine)
    if s.fork_rule and s.procs[pid].flags & PROC_HAS_PINNED:
        return copy_pinned_leaf(s, pid, child, d, mine, theirs)
    full = full_leaf(mine)
    for i in range(LEAF):  # four at a time
        word = mine[i] & ~<uint32_t>(PTE_WRITE | PTE_BLANK)
        mine[i] = word
        theirs[i] = word & ~<uint32_t>PTE_YOUNG
    if s.links != NULL:
        count_leaf(s, child, d, theirs, True, True)
    elif full:
        count_full_leaf(s, child, theirs)
    elif s.far:
        count_leaf(s, child, d, theirs, False, True)
    else:
        count_leaf(s, child, d, theirs, False, False)
    return OK

cdef inline void ahead_of(Sim *s, uint32_t word) noexcept nogil:
    """The page or slot behind a pte, without a branch."""
    cdef size_t swapped = word & 1  # PTE_SWAP; of the zero page and of nothing it is number 0
    COWFAST_PREFETCH(<char *>s.pages + (-swapped & <size_t>(<char *>s.slots - <char *>s.pages)) + (<size_t>(word >> PTE_SHIFT) << (4 - swapped)))

cdef void ahead_first(Sim *s, uint32_t *mine) noexcept nogil:
    cdef uint32_t i
    for i in range(FAR):
        ahead_of(s, mine[i])

cdef inline bint full_leaf(uint32_t *mine) noexcept nogil:
    """Is every pte of the leaf present?"""
    cdef uint32_t i, k, others
    for i in range(0, LEAF, 32):
        others = 0
        for k in range(32):
            others |= mine[i + k] ^ PTE_PRESENT
        if others & PTE_KIND:  # as a rule among the first
            return False
    return True

cdef void count_full_leaf(Sim *s, uint32_t child, uint32_t *theirs) noexcept nogil:
    """512 pages have one more mapper."""
    cdef uint32_t i
    cdef uint64_t bit = bit_of(child)
    cdef page_t *pages = s.pages
    if s.far:
        for i in range(LEAF):
            COWFAST_PREFETCH(pages + (theirs[(i + FAR) & (LEAF - 1)] >> PTE_SHIFT))
            gain_mapper(pages + (theirs[i] >> PTE_SHIFT), bit)
    else:
        for i in range(LEAF):
            gain_mapper(pages + (theirs[i] >> PTE_SHIFT), bit)
    s.procs[child].present += LEAF
    s.c[<int>C_PTES_COPIED] += LEAF

cdef inline void count_leaf(Sim *s, uint32_t child, uint32_t d, uint32_t *theirs, bint rings, bint far) noexcept nogil:
    """What the child's ptes name has one more mapper, or one more swap pte."""
    cdef uint32_t i, word, present = 0, swapped = 0, zeros = 0
    cdef uint64_t bit = 0 if rings else bit_of(child)
    cdef page_t *pages = s.pages
    for i in range(LEAF):
        if far:
            ahead_of(s, theirs[(i + FAR) & (LEAF - 1)])
        word = theirs[i]
        if kind_of(word) == PTE_PRESENT:
            if rings:
                ring_join(s, pages + (word >> PTE_SHIFT), child, (d << 9) + i)
            gain_mapper(pages + (word >> PTE_SHIFT), bit)
            present += 1
        elif kind_of(word) == PTE_SWAP:
            s.slots[word >> PTE_SHIFT].swap_count += 1
            swapped += 1
        else:
            zeros += word != 0
    copied(s, child, present, swapped, zeros)

cdef void copied(Sim *s, uint32_t child, uint32_t present, uint32_t swapped, uint32_t zeros) noexcept nogil:
    s.procs[child].present += present
    s.procs[child].swapped += swapped
    s.procs[child].zeros += zeros
    s.c[<int>C_PTES_COPIED] += present + swapped + zeros

cdef int copy_pinned_leaf(Sim *s, uint32_t pid, uint32_t child, uint32_t d, uint32_t *mine, uint32_t *theirs) noexcept nogil:
    """A process that has pinned copies its pinned pages at once, and may find no room for that."""
    cdef page_t *page
    cdef uint32_t i, p, present = 0, swapped = 0, zeros = 0
    cdef int status = OK
    for i in range(LEAF):
        p = mine[i] >> PTE_SHIFT
        page = s.pages + p
        if kind_of(mine[i]) == PTE_PRESENT and page.refs >= PIN_BIAS and (s.fork_rule == 1 or page.flags & PG_EXCL):
            s.c[<int>C_PTES_COPIED] += 1
            status = early_copy(s, p, child, (d << 9) + i)
            if status:
                break
            continue
        mine[i] &= ~<uint32_t>(PTE_WRITE | PTE_BLANK)
        theirs[i] = mine[i] & ~<uint32_t>PTE_YOUNG
        if kind_of(mine[i]) == PTE_PRESENT:
            present += 1
            page.refs += 1
            page.flags &= ~<uint32_t>PG_EXCL
            if s.links == NULL:
                page.who |= bit_of(child)
            else:
                ring_join(s, page, child, (d << 9) + i)
        elif kind_of(mine[i]) == PTE_SWAP:
            s.slots[p].swap_count += 1
            swapped += 1
        else:
            zeros += mine[i] != 0
    copied(s, child, present, swapped, zeros)
    return status

cdef int early_copy(Sim *s, uint32_t old, uint32_t child, uint32_t v) noexcept nogil:
    cdef uint32_t p
    cdef int status = new_page(s, v, &p)
    if status:
        return status
    if s.contents != NULL:
        s.contents[p] = s.contents[old]
    s.pages[p].flags |= s.pages[old].flags & PG_BLANK
    install(s, child, v, p, True)
    s.c[<int>C_EARLY_COPIES] += 1
    s.outcome |= EARLY_COPY
    return OK

cdef inline void zap(Sim *s, uint32_t pid, pte_t *pte) noexcept nogil:
    cdef uint32_t word = pte.word, p, n
    s.c[<int>C_PTES_ZAPPED] += 1
    pte.word = 0
    if kind_of(word) == PTE_PRESENT:
        p = word >> PTE_SHIFT
        part(s, p, pid)
        if s.pages[p].who == 0 and s.pages[p].flags & PG_SWAPCACHE:
            leave_trylock(s, p, C_REMOVALS_BY_CAUSE__UNMAP)
        put_page(s, p, 1)
    elif kind_of(word) == PTE_SWAP:
        n = word >> PTE_SHIFT
        s.procs[pid].swapped -= 1
        s.slots[n].swap_count -= 1
        if s.slots[n].swap_count == 0:
            if not s.slots[n].flags & SLOT_CACHED:
                free_the_slot(s, n)
            elif s.pages[s.slots[n].page].who == 0 or swap_full(s):
                leave_trylock(s, s.slots[n].page, C_REMOVALS_BY_CAUSE__ZAP)
    else:
        s.procs[pid].zeros -= 1

cdef void zap_range(Sim *s, uint32_t pid, uint64_t first, uint64_t end) noexcept nogil:
    cdef uint64_t v = first
    cdef pte_t *pte
    if s.unmap_drains:
        drain(s, s.cpu)
    while v < end:
        if s.dirs[<size_t>pid * s.ndir + (v >> 9)] == 0:
            v = (v | (LEAF - 1)) + 1
            continue
        pte = pte_at(s, pid, <uint32_t>v)
        if pte.word:
            zap(s, pid, pte)
        v += 1

cdef struct Zapped:
    uint32_t dead[LEAF]    # pages that nobody refers to any more: noted without a branch, which nobody could predict, and freed a little later, in order
    uint32_t ndead

cdef inline uint32_t zap_plain(Sim *s, uint32_t *mine, uint32_t i, uint64_t others_bits, Zapped *zapped, bint far) noexcept nogil:
    """The ptes from *i* on that name pages outside the swap cache; the first that does not.  Calls nothing, so that all that it needs is in registers."""
    cdef page_t *pages = s.pages
    cdef page_t *page
    cdef uint32_t word, refs
    cdef size_t at = i, ndead = zapped.ndead
    while at < LEAF:
        if far:
            ahead_of(s, mine[(at + FAR) & (LEAF - 1)])
        word = mine[at]
        page = pages + (word >> PTE_SHIFT)
        if kind_of(word) != PTE_PRESENT or page.flags & PG_SWAPCACHE:
            break
        page.who &= others_bits
        refs = page.refs - 1
        page.refs = refs
        zapped.dead[ndead] = word >> PTE_SHIFT
        ndead += refs == 0
        at += 1
    zapped.ndead = <uint32_t>ndead
    return <uint32_t>at

cdef uint32_t zap_plain_near(Sim *s, uint32_t *mine, uint32_t i, uint64_t others_bits, Zapped *zapped) noexcept nogil:
    return zap_plain(s, mine, i, others_bits, zapped, False)

cdef uint32_t zap_plain_far(Sim *s, uint32_t *mine, uint32_t i, uint64_t others_bits, Zapped *zapped) noexcept nogil:
    return zap_plain(s, mine, i, others_bits, zapped, True)

cdef void zap_leaf(Sim *s, uint32_t pid, uint32_t d, uint32_t *mine) noexcept nogil:
    """``zap`` of 512 ptes."""
    cdef Zapped zapped
    cdef page_t *page
    cdef uint32_t i = 0, p, others = 0
    cdef bint rings = s.links != NULL
    zapped.ndead = 0
    while True:
        if not rings:
            i = (zap_plain_far if s.far else zap_plain_near)(s, mine, i, ~bit_of(pid), &zapped)
        if i == LEAF:
            break
        if kind_of(mine[i]) == PTE_PRESENT:
            p = mine[i] >> PTE_SHIFT
            page = s.pages + p
            if rings:
                ring_part(s, page, pid, (d << 9) + i)
            else:
                page.who &= ~bit_of(pid)
            if page.flags & PG_SWAPCACHE and page.who == 0:
                bury(s, &zapped)
                leave_trylock(s, p, C_REMOVALS_BY_CAUSE__UNMAP)
            page.refs -= 1
            zapped.dead[zapped.ndead] = p
            zapped.ndead += page.refs == 0
        else:
            others += 1
            if mine[i]:
                bury(s, &zapped)
                zap(s, pid, <pte_t *>(mine + i))
        i += 1
    bury(s, &zapped)
    memset(mine, 0, LEAF * sizeof(pte_t))
    s.procs[pid].present -= LEAF - others
    s.c[<int>C_PTES_ZAPPED] += LEAF - others

cdef void bury(Sim *s, Zapped *zapped) noexcept nogil:
    """``free_page`` of each, in order; of those that are on a list and nothing else the counts are kept until the end."""
    cdef uint32_t p, flags
    cdef size_t i, n = zapped.ndead, active, both = 0, actives = 0
    cdef uint32_t *ring[2]
    cdef uint32_t *free = s.page_free + s.free_movable
    cdef page_t *pages = s.pages
    cdef place_t *places = s.places
    cdef bint far = s.far, counted = s.stat_step != 0
    zapped.ndead = 0
    ring[INACTIVE], ring[ACTIVE] = s.ring[INACTIVE], s.ring[ACTIVE]
    for i in range(n):
        if far and i + NEXT < n:
            COWFAST_PREFETCH(places + zapped.dead[i + 2 * NEXT if i + 2 * NEXT < n else i])
            p = zapped.dead[i + NEXT]
            COWFAST_PREFETCH(ring[list_of(pages + p)] + places[p].lru)
        p = zapped.dead[i]
        flags = pages[p].flags
        if flags & (PG_LRU | PG_LOCKED | PG_UNMOVABLE) != PG_LRU:
            s.free_movable = free - s.page_free
            free_page(s, p)
            free = s.page_free + s.free_movable
            continue
        pages[p].flags = 0
        active = flags // PG_ACTIVE & 1
        ring[active][places[p].lru] = 0
        if counted:
            changed(s, <int>active, -1)
        both += 1
        actives += active
        free[0] = p
        free += 1
    s.free_movable = free - s.page_free
    s.length[INACTIVE] -= <uint32_t>(both - actives)
    s.length[ACTIVE] -= <uint32_t>actives
    peak(s)
    s.live -= <uint32_t>both
    s.c[<int>C_PAGE_FREES] += both

cdef void zap_all(Sim *s, uint32_t pid) noexcept nogil:
    """The address space goes; its leaves are empty by then and go back."""
    cdef uint32_t d = 0
    cdef uint32_t *leaf
    cdef uint32_t *mine
    if s.unmap_drains:
        drain(s, s.cpu)
    while next_leaf(s, pid, &d):
        mine = <uint32_t *><void *>pte_at(s, pid, d << 9)
        if s.far:
            ahead_first(s, mine)
        zap_leaf(s, pid, d, mine)
        leaf = s.dirs + <size_t>pid * s.ndir + d
        s.leaf_free[s.nleaf_free] = leaf[0]
        s.nleaf_free += 1
        leaf[0] = 0
        d += 1
    memset(s.dir_used + <size_t>pid * (s.ndir // s.dir_group), 0, s.ndir // s.dir_group)
    s.procs[pid].leaves = 0
    s.procs[pid].flags = PROC_ALIVE
    s.procs[pid].ra_last = 0
    s.procs[pid].ra_window = 0
    s.procs[pid].ra_hits = 4

cdef void protect(Sim *s, uint32_t pid, uint64_t first, uint64_t end) noexcept nogil:
    cdef uint64_t v = first
    cdef pte_t *pte
    cdef page_t *page
    while v < end:
        if s.dirs[<size_t>pid * s.ndir + (v >> 9)] == 0:
            v = (v | (LEAF - 1)) + 1
            continue
        pte = pte_at(s, pid, <uint32_t>v)
        v += 1
        if kind_of(pte.word) != PTE_PRESENT:
            continue
        page = s.pages + (pte.word >> PTE_SHIFT)
        pte.word &= ~<uint32_t>(PTE_WRITE | PTE_BLANK)
        if not page.flags & PG_KSM and page.flags & PG_EXCL and (s.protect_rule == 2 or (s.protect_rule == 1 and pte.word & PTE_DIRTY)):
            pte.word |= PTE_WRITE | blank_bit(page)

cdef int prefetch(Sim *s, uint32_t pid, uint64_t first, uint64_t end) noexcept nogil:
    cdef uint64_t v = first
    cdef pte_t *pte
    while v < end:
        if s.dirs[<size_t>pid * s.ndir + (v >> 9)] == 0:
            v = (v | (LEAF - 1)) + 1
            continue
        pte = pte_at(s, pid, <uint32_t>v)
        if kind_of(pte.word) == PTE_SWAP and not s.slots[pte.word >> PTE_SHIFT].flags & SLOT_CACHED:
            if read_in(s, <uint32_t>v, pte.word >> PTE_SHIFT):
                break
        v += 1
    drain(s, s.cpu)
    return OK

cdef bint wants_fault(Sim *s, page_t *page, int rule) noexcept nogil:
    if rule == 1:
        return True
    if rule == 2:
        return not page.flags & PG_KSM and shared(s, page)
    return rule == 3 and not page.flags & PG_EXCL

cdef int reach(Sim *s, uint32_t pid, uint32_t v, uint32_t flags, int rule, bint pin, uint32_t *found) noexcept nogil:
    """GUP: the page behind the pte, made fit for the reference; 0 = the zero page."""
    cdef bint write = (flags & EV_WRITE) != 0, faulted, again
    cdef pte_t *pte
    cdef page_t *page
    cdef int status = access(s, pid, v, write, False, True, &faulted)
    if status:
        return status
    while True:
        pte = pte_at(s, pid, v)
        if kind_of(pte.word) == PTE_SWAP:
            status = access(s, pid, v, write, False, True, &again)
            if status:
                return status
            continue
        if kind_of(pte.word) == PTE_ZERO:
            if not (pin and flags & EV_LONGTERM and s.unshare_zero):
                found[0] = 0
                return OK
            s.c[<int>C_FAULTS] += 1
            s.c[<int>C_UNSHARES] += 1
            s.outcome |= FAULT
            status = zero_fill(s, pid, v, False, False)
            if status == OK:
                s.outcome |= UNSHARED
                faulted = True
            elif status != AGAIN:
                return status
            continue
        page = s.pages + (pte.word >> PTE_SHIFT)
        if write or pte.word & PTE_WRITE or not wants_fault(s, page, rule):
            break
        s.c[<int>C_FAULTS] += 1
        s.outcome |= FAULT
        faulted = True
        s.left = 0
        status = write_fault(s, pid, v, pte, False, rule != 1)
        if status == OK:  # whatever was decided: reused, others may map it still
            break
        if status != AGAIN:
            return status
    found[0] = pte.word >> PTE_SHIFT
    page = s.pages + found[0]
    if page.refs >= 65535 and held(s, found[0], REF_PIN if pin else REF_GET) == 65535:
        return ERR_COUNT_LIMIT
    if not pin or s.pin_references:
        touch(s, found[0], faulted)
    return OK

cdef void set_ref(Sim *s, uint32_t number, uint32_t kind, uint32_t pid, uint32_t v, uint32_t flags, uint32_t p) noexcept nogil:
    cdef ref_t *ref = s.refs + number
    ref.page = p
    ref.vpage = v
    ref.pid = <uint16_t>pid
    ref.kind = <uint8_t>kind
    ref.flags = <uint8_t>flags
    if number >= s.ref_high:
        s.ref_high = number + 1

cdef void drop(Sim *s, uint32_t number) noexcept nogil:
    cdef ref_t *ref = s.refs + number
    cdef uint32_t p = ref.page, kind = ref.kind
    memset(ref, 0, sizeof(ref_t))
    while s.ref_high and s.refs[s.ref_high - 1].kind == REF_NONE:
        s.ref_high -= 1
    if kind == REF_PIN:
        s.live_pins -= 1
    if p == 0:
        return
    if kind == REF_LOCK:
        s.pages[p].flags &= ~<uint32_t>PG_LOCKED
    else:
        put_page(s, p, 1 if kind == REF_GET else PIN_BIAS)

cdef void pinwrite(Sim *s, uint32_t p) noexcept nogil:
    cdef page_t *page = s.pages + p
    cdef uint32_t v = s.places[p].vpage
    cdef Walk at
    if p == 0:
        s.outcome |= SKIPPED
        return
    if s.contents != NULL:
        s.contents[p].first = <uint32_t>(s.time + 1)
    page.flags = (page.flags | PG_STALE) & ~<uint32_t>(PG_BLANK | PG_DROPPED)
    at = walk(s, page)
    while at.left:
        pte_at(s, here(s, &at), v).word &= ~<uint32_t>PTE_BLANK
        onward(s, &at, v)

cdef bint mergeable(Sim *s, page_t *page) noexcept nogil:
    return not page.flags & PG_LOCKED and page.refs == maps_of(s, page) + ((page.flags & PG_SWAPCACHE) != 0)

cdef void merge(Sim *s, uint32_t pid, uint32_t v, uint32_t other) noexcept nogil:
    cdef pte_t *mine = pte_at(s, pid, v)
    cdef pte_t *theirs = pte_at(s, other, v)
    cdef pte_t *pte
    cdef uint32_t a = mine.word >> PTE_SHIFT, b = theirs.word >> PTE_SHIFT
    cdef page_t *pa = s.pages + a
    cdef page_t *pb = s.pages + b
    cdef Walk at
    if kind_of(mine.word) != PTE_PRESENT or kind_of(theirs.word) != PTE_PRESENT or other == pid or a == b \
            or not s.procs[other].flags & PROC_ALIVE or pa.flags & PG_KSM or not (mergeable(s, pa) and mergeable(s, pb)):
        s.outcome |= SKIPPED
        return
    s.c[<int>C_MERGES] += 1
    at = walk(s, pb)
    while at.left:
        pte = pte_at(s, here(s, &at), v)
        if pte.word & PTE_DIRTY:
            pb.flags = (pb.flags | PG_DIRTY) & ~<uint32_t>PG_DROPPED
        pte.word &= ~<uint32_t>(PTE_WRITE | PTE_DIRTY | PTE_BLANK)
        onward(s, &at, v)
    pb.flags = (pb.flags | PG_KSM) & ~<uint32_t>PG_EXCL
    part(s, a, pid)
    mine.word = b << PTE_SHIFT | PTE_PRESENT | (mine.word & PTE_YOUNG)
    join(s, b, pid)
    pb.refs += 1
    if pa.who == 0:
        leave_trylock(s, a, C_REMOVALS_BY_CAUSE__MERGE)
    put_page(s, a, 1)


# ------------------------------------------------------------------ events (2)

cdef inline bint ranged(uint32_t op) noexcept nogil:
    return op == DISCARD or op == PROTECT or op == PAGEOUT or op == PREFETCH

cdef inline uint32_t leaf_of(Sim *s, event_t *e) noexcept nogil:
    return s.dirs[<size_t>e.pid * s.ndir + (e.page >> 9)]

cdef inline int check_access(Sim *s, event_t *e) noexcept nogil:
    if e.pid >= s.processes:
        return ERR_BAD_PID
    if e.page >= s.space:
        return ERR_BAD_PAGE
    if not s.procs[e.pid].flags & PROC_ALIVE:
        return ERR_DEAD_PID
    if not s.memory and s.next_page + 64 >= s.page_cap:
        return WANT_PAGES
    return WANT_LEAVES if s.nleaf_free == 0 and leaf_of(s, e) == 0 else OK

cdef int check(Sim *s, event_t *e) noexcept nogil:
    """What can be wrong with an event, before anything of it is done; and the room that it may need."""
    cdef uint32_t op = e.op, allowed = 0
    cdef uint64_t need = 0, leaves = 0
    cdef bint paged = op <= WRITE or op == GET or op == PIN or op == LOCK or op == MERGE or ranged(op)
    cdef bint needs_pid = paged or op == FORK or op == EXIT or op == EXEC or op == CPU
    cdef bint takes = op == GET or op == PIN or op == LOCK
    cdef bint holds_ref = op == PUT or op == UNPIN or op == UNLOCK or op == PINREAD or op == PINWRITE
    cdef uint32_t kind
    if op <= WRITE and not e.flags:
        return check_access(s, e)
    if op >= NR_OPS:
        return ERR_BAD_OP
    if e.pid >= s.processes:
        return ERR_BAD_PID
    if op == GET:
        allowed = EV_LOOK | EV_WRITE
    elif op == PIN:
        allowed = EV_WRITE | EV_LONGTERM
    if e.flags & ~allowed:
        return ERR_BAD_FLAGS
    if paged and <uint64_t>e.page + (e.arg if ranged(op) and e.arg else 1) > s.space:
        return ERR_BAD_PAGE
    if needs_pid and not s.procs[e.pid].flags & PROC_ALIVE:
        return ERR_DEAD_PID
    if (op == FORK or op == MERGE) and e.arg >= s.processes:
        return ERR_BAD_PID
    if op == FORK and s.procs[e.arg].flags & PROC_ALIVE:
        return ERR_CHILD_ALIVE
    if op == CPU and e.arg >= s.cpus:
        return ERR_BAD_CPU
    if op == FILLSWAP and <int64_t>e.arg > free_slots(s):
        return ERR_SWAP_FULL
    if takes or holds_ref:
        if e.arg >= s.references:
            return ERR_BAD_REF
        kind = s.refs[e.arg].kind
        if takes and kind:
            return ERR_REF_BUSY
        if holds_ref:
            if kind == REF_NONE:
                return ERR_REF_EMPTY
            if (op == PUT and kind != REF_GET) or (op == UNPIN and kind != REF_PIN) or (op == UNLOCK and kind != REF_LOCK) \
                    or ((op == PINREAD or op == PINWRITE) and kind == REF_LOCK):
                return ERR_REF_KIND
    if op == LOCK:
        if kind_of(pte_at(s, e.pid, e.page).word) == PTE_PRESENT and s.pages[pte_at(s, e.pid, e.page).word >> PTE_SHIFT].flags & PG_LOCKED:
            return ERR_ALREADY_LOCKED
    if op <= WRITE or op == GET or op == PIN:
        need = 64
        leaves = leaf_of(s, e) == 0
    elif op == FORK:
        need = s.live_pins + 8
        leaves = s.procs[e.pid].leaves
    elif op == PREFETCH:
        need = s.procs[e.pid].swapped + 8
    if not s.memory and s.next_page + need >= s.page_cap:
        return WANT_PAGES
    if leaves > s.nleaf_free:
        return WANT_LEAVES
    return OK

cdef int do_access(Sim *s, event_t *e) noexcept nogil:
    cdef bint faulted, write = e.op == WRITE
    cdef uint32_t word
    cdef int status
    s.cpu = s.procs[e.pid].cpu
    status = access(s, e.pid, e.page, write, write, False, &faulted)
    if status == OK and s.contents != NULL:
        word = pte_at(s, e.pid, e.page).word
        s.value.first = s.value.last = 0
        if kind_of(word) == PTE_PRESENT:
            s.value = s.contents[word >> PTE_SHIFT]
    return status

cdef int do_event(Sim *s, event_t *e) noexcept nogil:
    cdef uint32_t op = e.op, pid = e.pid, v = e.page, p = 0, i
    cdef uint64_t n = e.arg if e.arg else 1
    cdef int status
    cdef pte_t *pte
    if op <= WRITE:
        return do_access(s, e)
    s.cpu = s.procs[pid].cpu
    if op == FORK:
        return fork(s, pid, e.arg)
    elif op == EXIT or op == EXEC:
        zap_all(s, pid)
        if op == EXIT:
            s.c[<int>C_EXITS] += 1
            s.procs[pid].flags = 0
            for i in range(s.ref_high):
                if s.refs[i].kind and s.refs[i].pid == pid:
                    s.refs[i].pid = NOBODY
    elif op == DISCARD:
        zap_range(s, pid, v, v + n)
    elif op == PROTECT:
        protect(s, pid, v, v + n)
    elif op == PAGEOUT:
        pageout(s, pid, v, n)
    elif op == RECLAIM:
        if e.arg:
            try_to_free(s, e.arg if e.arg > CLUSTER else CLUSTER)
        else:
            reclaim_everything(s)
    elif op == PREFETCH:
        return prefetch(s, pid, v, v + n)
    elif op == DRAIN:
        if e.arg == 1:
            for i in range(s.cpus):
                drain(s, i)
        else:
            drain(s, s.cpu)
    elif op == GET:
        status = reach(s, pid, v, e.flags, s.get_read, False, &p)
        if status:
            return status
        set_ref(s, e.arg, REF_GET, pid, v, e.flags, p)
        if p:
            s.pages[p].refs += 1
    elif op == PIN:
        s.unmovable = (e.flags & EV_LONGTERM) != 0
        status = reach(s, pid, v, e.flags, s.pin_read, True, &p)
        s.unmovable = False
        if status:
            return status
        set_ref(s, e.arg, REF_PIN, pid, v, e.flags, p)
        s.live_pins += 1
        if p:
            s.procs[pid].flags |= PROC_HAS_PINNED
            s.pages[p].refs += PIN_BIAS
    elif op == PUT or op == UNPIN or op == UNLOCK:
        drop(s, e.arg)
    elif op == PINREAD:
        s.value.first = s.value.last = 0
        if s.contents != NULL and s.refs[e.arg].page:
            s.value = s.contents[s.refs[e.arg].page]
    elif op == PINWRITE:
        s.value.first = s.value.last = <uint32_t>(s.time + 1)
        pinwrite(s, s.refs[e.arg].page)
    elif op == LOCK:
        pte = pte_at(s, pid, v)
        if kind_of(pte.word) == PTE_PRESENT:
            p = pte.word >> PTE_SHIFT
            s.pages[p].flags |= PG_LOCKED
        set_ref(s, e.arg, REF_LOCK, pid, v, 0, p)
    elif op == MERGE:
        merge(s, pid, v, e.arg)
    elif op == CPU:
        s.procs[pid].cpu = <uint16_t>e.arg
    elif op == FILLSWAP:
        s.filled += e.arg
        drain(s, s.cpu)
    elif op == FREESWAP:
        s.filled = 0
    return OK

cdef void specials(Sim *s) noexcept nogil:
    """What is due at the beginning of an event: the observer of the last one's end, then swap writes."""
    s.special = <uint64_t>-1
    if s.flush_events:
        if s.time and s.time % s.flush_events == 0:
            flush_statistics(s)
        s.special = (s.time // s.flush_events + 1) * s.flush_events
    complete_writes(s, s.time)
    if s.wb_len and s.wb_due[s.wb_head] < s.special:
        s.special = s.wb_due[s.wb_head]

# The way of events of which nothing is told: hits, and what the tables settle, that is write faults, swap-ins and pageouts of one page.
#
# Whether an event is a hit nobody can predict.  So all hits of a block of events come first, without a branch, and what else there
# is in it afterwards: a hit changes two bits of its pte, which nothing of all this looks at in the pte of another event.  Where that
# does not hold, what came too early is taken back, and the block ends there.

cdef struct Block:
    pte_t *at[BLOCK]       # of each event
    uint32_t was[BLOCK]    # its word before
    uint32_t missed[BLOCK]  # the events that are no hits
    uint32_t n             # events
    uint32_t misses

cdef inline event_t *hits(Sim *s, event_t *e, event_t *end) noexcept nogil:
    """Hits, up to the first other event; which one."""
    cdef uint32_t *dirs = s.dirs
    cdef pte_t *ptes = s.ptes
    cdef size_t ndir = s.ndir, processes = s.processes, pid
    cdef uint64_t event
    cdef pte_t *pte
    cdef uint32_t last = <uint32_t>(s.space - 1), op, v, word, does
    while e < end:
        memcpy(&event, e, 8)  # op, flags, pid and page in one load
        # Turned by 16 bits, with the bit of read or write gone, this is a process number, or what is no access is above all.
        pid = (<uint32_t>event >> 16 | <uint32_t>event << 16) & ~<uint32_t>(WRITE << 16)
        v = event >> 32
        if pid >= processes or v > last:
            break
        op = event & WRITE
        pte = pte_in(ptes, dirs, ndir, pid, v)
        word = pte.word
        does = FIRST[op][word & 63]
        if not does:
            break
        pte.word = word | does
        e += 1
    return e

cdef inline void look_at(Sim *s, Block *block, event_t *first, event_t *end, bint later) noexcept nogil:
    """The ptes of the events from *first* on, and all that hits do: a block of them, to *end*, or to an event that the long way may refuse.
    *later*: the tables are large; the ptes are asked for, and ``look_at_located`` does the rest."""
    cdef uint32_t *dirs = s.dirs
    cdef pte_t *ptes = s.ptes
    cdef size_t ndir = s.ndir, processes = s.processes, pid, k = 0, missed = 0
    cdef uint64_t event
    cdef event_t *e = first
    cdef event_t *limit = first + BLOCK if end - first > BLOCK else end
    cdef uint32_t last = <uint32_t>(s.space - 1), op, v
    while e < limit:
        memcpy(&event, e, 8)
        op = <uint16_t>event
        pid = <uint16_t>(event >> 16)
        v = event >> 32
        if op > PAGEOUT or pid >= processes or v > last:
            break
        block.at[k] = pte_in(ptes, dirs, ndir, pid, v)
        if later:
            COWFAST_PREFETCH(block.at[k])
        else:
            missed = do_first(block, k, op, missed)
        k += 1
        e += 1
    block.n = <uint32_t>k
    block.misses = <uint32_t>missed

cdef inline size_t do_first(Block *block, size_t k, uint32_t op, size_t missed) noexcept nogil:
    """What event *k* does before its turn; how many have missed by then."""
    cdef pte_t *pte = block.at[k]
    cdef uint32_t word = pte.word, does = FIRST[op][word & 63]
    pte.word = word | does
    block.was[k] = word
    block.missed[missed] = <uint32_t>k
    return missed + (does < PTE_YOUNG)

cdef event_t *short_near(Sim *s, event_t *e, event_t *end) noexcept nogil:
    """Up to the first event for the long way, or *end*; which one."""
    cdef Block block
    cdef uint32_t done
    cdef uint64_t time = s.time
    cdef event_t *first
    block.misses = 0
    while e < end:
        if block.misses == 0:  # or as long as there is nothing but hits
            first = e
            e = hits(s, e, end)
            time += e - first
            if e == end:
                return e
        look_at(s, &block, e, end, False)
        done = (settle if s.links == NULL else settle_in_rings)(s, &block, e, time, block.n)
        if done < block.n:
            take_back(&block, e, done)
            return e + done
        e += done
        time += done
        if done < BLOCK:
            return e
        end = before_due(s, e, end, time)
    return e

cdef inline event_t *before_due(Sim *s, event_t *e, event_t *end, uint64_t time) noexcept nogil:
    """A pageout may have begun a write that ends before *end*; *e* is the event at this time."""
    return e + (s.special - time) if s.special - time < <uint64_t>(end - e) else end

cdef inline void look_at_located(Sim *s, Block *block, event_t *first, event_t *end) noexcept nogil:
    """What hits do, not beyond *end*; the pages and slots are asked for of all events that are no hits."""
    cdef size_t k, missed = 0, n = block.n
    if n > <size_t>(end - first):
        n = end - first
    for k in range(n):
        missed = do_first(block, k, first[k].op, missed)
    for k in range(missed):
        ahead_of(s, block.was[block.missed[k]])
    block.n = <uint32_t>n
    block.misses = <uint32_t>missed

cdef inline void ahead_swapped(Sim *s, Block *block) noexcept nogil:
    """The pages in the swap cache behind slots that were asked for a block ago."""
    cdef uint32_t k, word
    for k in range(block.misses):
        word = block.was[block.missed[k]]
        if word & PTE_BUSY == PTE_SWAP:
            ahead_record(s, s.slots[word >> PTE_SHIFT].page)  # or a shadow: no harm

cdef event_t *short_far(Sim *s, event_t *e, event_t *end, event_t *last) noexcept nogil:
    """The same where tables are large, with three blocks on the way: the first is dealt with, what the second needs is asked for,
    and the ptes of the third, which may be those of events after *end*, up to *last*."""
    cdef Block blocks[3]
    cdef Block *block = blocks
    cdef Block *second = blocks + 1
    cdef Block *third = blocks + 2
    cdef Block *done_with
    cdef uint32_t done
    cdef uint64_t time = s.time
    look_at(s, block, e, last, True)
    look_at(s, second, e + block.n, last if block.n == BLOCK else e, True)
    look_at_located(s, block, e, end)
    while block.n:
        look_at(s, third, e + block.n + second.n, last if second.n == BLOCK else e, True)
        look_at_located(s, second, e + block.n, end)
        ahead_swapped(s, block)
        done = (settle if s.links == NULL else settle_in_rings)(s, block, e, time, block.n + second.n)
        if done < block.n:
            take_back(second, e + block.n, 0)
            take_back(block, e, done)
            return e + done
        e += done
        time += done
        end = before_due(s, e, end, time)
        done_with = block
        block, second, third = second, third, done_with
    return e

cdef uint32_t settle(Sim *s, Block *block, event_t *first, uint64_t time, uint32_t on_the_way) noexcept nogil:
    return settle_in(s, block, first, time, on_the_way, False)

cdef uint32_t settle_in_rings(Sim *s, Block *block, event_t *first, uint64_t time, uint32_t on_the_way) noexcept nogil:
    return settle_in(s, block, first, time, on_the_way, True)

cdef inline uint32_t settle_in(Sim *s, Block *block, event_t *first, uint64_t time, uint32_t on_the_way, bint rings) noexcept nogil:
    """The events of a block that are no hits; how many events of the block are done with.  So many are *on_the_way* from the first on."""
    cdef uint32_t i, k, op, word
    cdef pte_t *pte
    cdef event_t *e
    for k in range(block.misses):
        i = block.missed[k]
        e = first + i
        pte = block.at[i]
        op = e.op
        word = pte.word
        if word & (PTE_KIND | PTE_WRITE) | op << 3 == (PTE_PRESENT | WRITE << 3):
            if quick_write(s, e.pid, e.page, pte, rings) or write_alone(s, e.pid, e.page, pte):
                continue
        elif op > WRITE:
            if block.was[i] & PTE_BUSY == PTE_BUSY:  # another one came first, and with it this one's mark went
                return i
            pte.word = block.was[i]
            if one_page_out(s, e, time + i):
                if s.special >= time + on_the_way:
                    continue
                i += 1  # a write will end before some of those on the way
        elif word & PTE_KIND == PTE_SWAP:
            if word & PTE_BUSY == PTE_SWAP and (quick_swap_in(s, e.pid, e.page, pte, op == WRITE)
                                                or swap_in_alone(s, e.pid, e.page, pte, op == WRITE)):
                continue
        elif FIRST[op][word & 63]:  # a hit by now
            pte.word = word | FIRST[op][word & 63]
            continue
        return i
    return block.n

cdef void take_back(Block *block, event_t *first, uint32_t i) noexcept nogil:
    """What events from i on did first, the last of them first."""
    cdef uint32_t word, n = block.n
    while n > i:
        n -= 1
        word = block.was[n]
        # if it is another word now, a fault that came first made it anew
        if block.at[n].word == word | FIRST[first[n].op][word & 63]:
            block.at[n].word = word

cdef bint write_alone(Sim *s, uint32_t pid, uint32_t v, pte_t *pte) noexcept nogil:
    """The long way of a write fault, if it asks nothing of others' ptes."""
    cdef uint32_t p = pte.word >> PTE_SHIFT
    if no_room(s, 1) or (shared(s, s.pages + p) and not s.verdict[verdict_index(s, p, s.pages + p)]):
        return False
    begin(s, pid)
    s.c[<int>C_FAULTS] += 1
    write_fault(s, pid, v, pte, True, False)
    return True

cdef bint swap_in_alone(Sim *s, uint32_t pid, uint32_t v, pte_t *pte, bint write) noexcept nogil:
    """The same of a swap-in, which reads one page and may need another for a copy of it.  A page that others map leaves the swap
    cache, for which all their ptes are asked, only with its last swap pte."""
    cdef proc_t *proc = s.procs + pid
    cdef slot_t *slot = s.slots + (pte.word >> PTE_SHIFT)
    if no_room(s, 2):
        return False
    if slot.flags & SLOT_CACHED:
        if s.pages[slot.page].who and slot.swap_count == 1:
            return False
    elif ahead_window(s, proc, v) > 1:
        return False
    begin(s, pid)
    s.c[<int>C_FAULTS] += 1
    swap_in(s, pid, v, pte, write, write)
    return True

cdef inline bint one_page_out(Sim *s, event_t *e, uint64_t time) noexcept nogil:
    """Pageout of one page, and nothing wrong with it: done."""
    if e.op != PAGEOUT or e.arg > 1 or not s.procs[e.pid].flags & PROC_ALIVE:
        return False
    s.time = time
    begin(s, e.pid)
    pageout_one(s, e.pid, e.page)
    return True

cdef int long_way(Sim *s, event_t *e, uint64_t time, uint32_t *outcome, content_t *value) noexcept nogil:
    """Any event, and what is told of it."""
    cdef uint32_t op = e.op | <uint32_t>e.flags << 8
    cdef int status
    s.time = time
    s.outcome = 0
    s.freed_slot = False
    s.value.first = s.value.last = 0
    status = check_access(s, e) if op <= WRITE else check(s, e)
    if status:  # refused: not even what is due happens
        return status
    if time >= s.special:
        specials(s)
    status = do_access(s, e) if op <= WRITE else do_event(s, e)
    if status:
        return status
    s.time = time + 1
    if outcome != NULL:
        outcome[0] = s.outcome
    if value != NULL:
        value[0] = s.value
    return OK

cdef int64_t run_told(Sim *s, event_t *events, int64_t start, int64_t n, uint32_t *outcomes, content_t *values, int *status) noexcept nogil:
    """Events from start to n one by one, with what they did and saw; the number of the first that is not done."""
    cdef int64_t i
    for i in range(start, n):
        status[0] = long_way(s, events + i, s.time, NULL if outcomes == NULL else outcomes + i, NULL if values == NULL else values + i)
        if status[0]:
            return i
    return n

cdef int64_t run_counted(Sim *s, event_t *events, int64_t start, int64_t n, int *status) noexcept nogil:
    """The same where nobody asks for outcomes or contents: up to the next event with something due no event looks at the time."""
    cdef event_t *e = events + start
    cdef event_t *end = events + n
    cdef event_t *due
    cdef event_t *other
    cdef uint64_t time = s.time
    while e < end:
        due = end
        if s.special <= time:
            due = e
        elif s.special - time < <uint64_t>(end - e):
            due = e + (s.special - time)
        s.time = time
        other = short_far(s, e, due, end) if s.far else short_near(s, e, due)
        time += other - e
        s.time = time
        e = other
        if e < end:  # another event, or one with something due
            status[0] = long_way(s, e, time, NULL, NULL)
            if status[0]:
                return e - events
            e += 1
            time += 1
    return n


# ------------------------------------------------------------------ Python's side

cdef extern from *:
    """
    #ifndef COWFAST_PROFILE
    #define COWFAST_PROFILE "fast"
    #endif
    """
    const char *COWFAST_PROFILE

#: How this was compiled (setup.py); part of every result.
PROFILE = COWFAST_PROFILE.decode()

_GUP = ("plain", "write fault", "unshare if mapped twice", "unshare if not exclusive")
_FORK = ("never", "maybe pinned", "exclusive and maybe pinned")
_PROTECT = ("never", "exclusive and dirty", "exclusive")
#: A page as ``Engine.pages`` shows it.
PAGES = np.dtype([("refs", "u4"), ("maps", "u2"), ("flags", "u4"), ("vpage", "u4"), ("slot", "u4")])
_PREFETCH_ABOVE = 2 << 20  # bytes of tables from which on software prefetch pays (docs/performance.md)
_MOST = (1 << 26) - 1
_DIRECTORIES = ("dirs", "dir_used")  # in a snapshot the place of each leaf stands for them
_RESERVE_ABOVE = 64 << 20  # bytes of directories from which on they are only reserved
_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)  # Python has a name for it since 3.13


cdef Sim _sim

_FIELDS = [  # of Sim, but for the pointers
    ("processes", "u4", <char *>&_sim.processes - <char *>&_sim),
    ("ndir", "u4", <char *>&_sim.ndir - <char *>&_sim),
    ("dir_group", "u4", <char *>&_sim.dir_group - <char *>&_sim),
    ("references", "u4", <char *>&_sim.references - <char *>&_sim),
    ("ref_high", "u4", <char *>&_sim.ref_high - <char *>&_sim),
    ("cpus", "u4", <char *>&_sim.cpus - <char *>&_sim),
    ("batch_size", "u4", <char *>&_sim.batch_size - <char *>&_sim),
    ("space", "u8", <char *>&_sim.space - <char *>&_sim),
    ("page_cap", "u4", <char *>&_sim.page_cap - <char *>&_sim),
    ("next_page", "u4", <char *>&_sim.next_page - <char *>&_sim),
    ("free_movable", "u4", <char *>&_sim.free_movable - <char *>&_sim),
    ("free_unmovable", "u4", <char *>&_sim.free_unmovable - <char *>&_sim),
    ("live", "u4", <char *>&_sim.live - <char *>&_sim),
    ("memory", "u4", <char *>&_sim.memory - <char *>&_sim),
    ("total_slots", "u4", <char *>&_sim.total_slots - <char *>&_sim),
    ("next_slot", "u4", <char *>&_sim.next_slot - <char *>&_sim),
    ("free_slot", "u4", <char *>&_sim.free_slot - <char *>&_sim),
    ("used_slots", "u4", <char *>&_sim.used_slots - <char *>&_sim),
    ("filled", "u4", <char *>&_sim.filled - <char *>&_sim),
    ("nleaf_free", "u4", <char *>&_sim.nleaf_free - <char *>&_sim),
    ("tail", ("u4", 2), <char *>&_sim.tail[0] - <char *>&_sim),
    ("head", ("u4", 2), <char *>&_sim.head[0] - <char *>&_sim),
    ("span", ("u4", 2), <char *>&_sim.span[0] - <char *>&_sim),
    ("length", ("u4", 2), <char *>&_sim.length[0] - <char *>&_sim),
    ("ring_cap", "u4", <char *>&_sim.ring_cap - <char *>&_sim),
    ("refaulted", "i8", <char *>&_sim.refaulted - <char *>&_sim),
    ("seen", ("i8", 3), <char *>&_sim.seen[0] - <char *>&_sim),
    ("pending", ("i8", 3), <char *>&_sim.pending[0] - <char *>&_sim),
    ("snapshot", "i8", <char *>&_sim.snapshot - <char *>&_sim),
    ("age", "u4", <char *>&_sim.age - <char *>&_sim),
    ("plug", ("u4", 32), <char *>&_sim.plug[0] - <char *>&_sim),
    ("nplug", "u4", <char *>&_sim.nplug - <char *>&_sim),
    ("wb_head", "u4", <char *>&_sim.wb_head - <char *>&_sim),
    ("wb_len", "u4", <char *>&_sim.wb_len - <char *>&_sim),
    ("wb_cap", "u4", <char *>&_sim.wb_cap - <char *>&_sim),
    ("rotates", "u4", <char *>&_sim.rotates - <char *>&_sim),
    ("made", "u4", <char *>&_sim.made - <char *>&_sim),
    ("quick_copies", "u8", <char *>&_sim.quick_copies - <char *>&_sim),
    ("quick_reuses", "u8", <char *>&_sim.quick_reuses - <char *>&_sim),
    ("quick_swap_ins", "u8", <char *>&_sim.quick_swap_ins - <char *>&_sim),
    ("shared", "u4", <char *>&_sim.shared - <char *>&_sim),
    ("roomy", "u4", <char *>&_sim.roomy - <char *>&_sim),
    ("live_pins", "u8", <char *>&_sim.live_pins - <char *>&_sim),
    ("has_swap", "i4", <char *>&_sim.has_swap - <char *>&_sim),
    ("sync", "i4", <char *>&_sim.sync - <char *>&_sim),
    ("stable", "i4", <char *>&_sim.stable - <char *>&_sim),
    ("latency", "u8", <char *>&_sim.latency - <char *>&_sim),
    ("flush_events", "u8", <char *>&_sim.flush_events - <char *>&_sim),
    ("page_cluster", "u4", <char *>&_sim.page_cluster - <char *>&_sim),
    ("exclusive", "i4", <char *>&_sim.exclusive - <char *>&_sim),
    ("copy_leaves", "i4", <char *>&_sim.copy_leaves - <char *>&_sim),
    ("bypass", "i4", <char *>&_sim.bypass - <char *>&_sim),
    ("unshare_zero", "i4", <char *>&_sim.unshare_zero - <char *>&_sim),
    ("skips_pinned", "i4", <char *>&_sim.skips_pinned - <char *>&_sim),
    ("rechecks_pinned", "i4", <char *>&_sim.rechecks_pinned - <char *>&_sim),
    ("refuses_pinned", "i4", <char *>&_sim.refuses_pinned - <char *>&_sim),
    ("unmap_drains", "i4", <char *>&_sim.unmap_drains - <char *>&_sim),
    ("readahead_drains", "i4", <char *>&_sim.readahead_drains - <char *>&_sim),
    ("longterm_unmovable", "i4", <char *>&_sim.longterm_unmovable - <char *>&_sim),
    ("blank_io_free", "i4", <char *>&_sim.blank_io_free - <char *>&_sim),
    ("pin_references", "i4", <char *>&_sim.pin_references - <char *>&_sim),
    ("pageout_looks", "i4", <char *>&_sim.pageout_looks - <char *>&_sim),
    ("shadow_before", "i4", <char *>&_sim.shadow_before - <char *>&_sim),
    ("get_read", "i4", <char *>&_sim.get_read - <char *>&_sim),
    ("pin_read", "i4", <char *>&_sim.pin_read - <char *>&_sim),
    ("fork_rule", "i4", <char *>&_sim.fork_rule - <char *>&_sim),
    ("protect_rule", "i4", <char *>&_sim.protect_rule - <char *>&_sim),
    ("stat_step", "i8", <char *>&_sim.stat_step - <char *>&_sim),
    ("stat_flush", "i4", <char *>&_sim.stat_flush - <char *>&_sim),
    ("time", "u8", <char *>&_sim.time - <char *>&_sim),
    ("special", "u8", <char *>&_sim.special - <char *>&_sim),
    ("outcome", "u4", <char *>&_sim.outcome - <char *>&_sim),
    ("cpu", "u4", <char *>&_sim.cpu - <char *>&_sim),
    ("far", "i4", <char *>&_sim.far - <char *>&_sim),
    ("left", "u4", <char *>&_sim.left - <char *>&_sim),
    ("blamed_in", "u4", <char *>&_sim.blamed_in - <char *>&_sim),
    ("blamed", "u4", <char *>&_sim.blamed - <char *>&_sim),
    ("unmovable", "i4", <char *>&_sim.unmovable - <char *>&_sim),
    ("freed_slot", "i4", <char *>&_sim.freed_slot - <char *>&_sim),
    ("round_freed", "i4", <char *>&_sim.round_freed - <char *>&_sim),
    ("round_wrote", "i4", <char *>&_sim.round_wrote - <char *>&_sim),
    ("round_cleared", "i4", <char *>&_sim.round_cleared - <char *>&_sim),
    ("value", "u8", <char *>&_sim.value - <char *>&_sim),
]
#: The scalars of Sim as they lie in a snapshot's bytes; pointers are left out.
SIM = np.dtype({"names": [f[0] for f in _FIELDS], "formats": [f[1] for f in _FIELDS], "offsets": [f[2] for f in _FIELDS], "itemsize": sizeof(Sim)})


cdef void *address(array) except? NULL:
    """Where a contiguous array's records lie; unlike ``array.ctypes.data`` without running Python code."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_SIMPLE)
    PyBuffer_Release(&view)
    return view.buf


def _reserve(machine, n):
    """*n* leaf numbers, all 0: the directories of all processes in one flat array.  Where that is large it is address space,
    of which the system gives memory only to the pages that are touched, as a page table would, at no cost to a lookup."""
    if n * 4 <= _RESERVE_ABOVE or not hasattr(mmap, "MAP_PRIVATE"):
        return np.zeros(n, np.uint32)
    try:
        space = mmap.mmap(-1, n * 4, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE)
    except (OSError, ValueError, OverflowError) as error:
        raise MachineError(
            f"{machine.processes} processes x {machine.space} pages: no {n >> 28} GiB of address space for the page directories ({error}); "
            "renumber the pages densely or use fewer processes") from None
    if hasattr(mmap, "MADV_NOHUGEPAGE"):  # one touched entry would be two megabytes
        space.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(space, np.uint32)


cdef class Engine:
    """One policy on one machine over numpy tables; the same in every count as ``cowfast.reference.Reference``.

    Parameters
    ----------
    policy : cowfast.policy.Policy
    machine : cowfast.machine.Machine
    contents : keep what is in every page, so that ``values`` can be filled
    """

    def __init__(self, policy, machine, *, contents=False):
        memset(&self.s, 0, sizeof(Sim))
        self.policy, self.machine, self.busy = policy, machine, False
        sw = policy.switches
        s = &self.s
        s.processes, s.space, s.references, s.cpus = machine.processes, machine.space, machine.references, machine.cpus
        s.ndir = (machine.space + LEAF - 1) // LEAF
        s.dir_group = min(s.ndir, DIR_GROUP)
        s.ndir = (s.ndir + s.dir_group - 1) // s.dir_group * s.dir_group
        s.batch_size = sw.batch if machine.lru_batch < 0 else machine.lru_batch
        s.memory = machine.memory
        s.roomy = (s.memory or 0x7fffffff) if s.batch_size else 0
        s.has_swap = machine.swap != "none"
        s.total_slots = machine.swap_slots if s.has_swap else 0
        s.sync, s.stable, s.latency = machine.swap == "sync", machine.stable_writes, machine.swap_latency
        s.flush_events, s.page_cluster = machine.stat_flush_events, machine.page_cluster
        s.exclusive, s.copy_leaves, s.bypass, s.unshare_zero = sw.exclusive, sw.copy_leaves_swap_cache, sw.swap_bypass, sw.unshare_zero_page
        s.skips_pinned, s.rechecks_pinned, s.refuses_pinned = sw.reclaim_skips_pinned, sw.reclaim_rechecks_pinned, sw.unmap_refuses_pinned
        s.unmap_drains, s.readahead_drains, s.longterm_unmovable = sw.unmap_drains, sw.readahead_drains, sw.longterm_unmovable
        s.blank_io_free, s.pin_references, s.pageout_looks = sw.zero_pages_without_io, sw.pin_references, sw.pageout_looks_at_references
        s.shadow_before, s.stat_step, s.stat_flush = sw.shadow_before_age, sw.stat_step, sw.stat_flush
        s.get_read, s.pin_read = _GUP.index(sw.get_read), _GUP.index(sw.pin_read)
        s.fork_rule, s.protect_rule = _FORK.index(sw.fork_copies_pinned), _PROTECT.index(sw.protect_restores)
        s.made = PG_BATCH | (PG_EXCL if s.exclusive else 0)
        s.rotates = 0 if s.latency or s.stat_step else PG_WRITEBACK
        s.next_page = s.next_slot = 1
        s.blamed_in = NOT_YET
        cap = machine.memory + 2 if machine.memory else 4096
        self.arrays = {
            "dirs": _reserve(machine, s.ndir * machine.processes),
            "dir_used": np.zeros(s.ndir // s.dir_group * machine.processes, np.uint8),
            "links": np.zeros(0, layout.LINK),
            "procs": np.zeros(machine.processes, layout.PROC),
            "refs": np.zeros(max(machine.references, 1), layout.REF),
            "slots": np.zeros(s.total_slots + 1, layout.SLOT),
            "batch": np.zeros(max(machine.cpus * s.batch_size, 1), np.uint32),
            "batch_len": np.zeros(machine.cpus, np.uint32),
            "counters": np.zeros(layout.Counter.NR_COUNTERS, np.uint64),
            "write_fault": np.array(policy.write_fault_checks),
            "swap_in": np.array(policy.swap_in_checks),
            "verdict": np.zeros(1 << VERDICT_BITS, np.uint8),
            "entry": np.zeros(1 << ENTRY_BITS, np.uint8),
        }
        if contents:
            self.arrays["slot_contents"] = np.zeros(s.total_slots + 1, layout.CONTENT)
        self.arrays["procs"]["flags"][0] = layout.ProcFlag.PROC_ALIVE
        self.arrays["procs"]["ra_hits"][0] = 4
        self.grow_pages(cap, contents)
        self.arrays["ptes"] = np.zeros(LEAF, layout.PTE)
        self.arrays["leaf_free"] = np.zeros(0, np.uint32)
        self.grow_leaves(max(64, min(machine.processes * s.ndir, 1024)))
        for at in range(1 << VERDICT_BITS):
            s.verdict[at] = verdict_of(&self.s, at)
        s.shared = shared_verdict(&self.s)
        for at in range(1 << ENTRY_BITS):
            s.entry[at] = entry_of(&self.s, at)

    cdef void point(self):
        """The struct's pointers follow the arrays.  No Python code runs from a change of ``arrays`` to the end of this: a
        signal whose handler raises would leave pointers to freed memory behind."""
        cdef Sim *s = &self.s
        cdef dict a = self.arrays
        s.dirs = <uint32_t *>address(a["dirs"])
        s.dir_used = <uint8_t *>address(a["dir_used"])
        s.procs = <proc_t *>address(a["procs"])
        s.refs = <ref_t *>address(a["refs"])
        s.slots = <slot_t *>address(a["slots"])
        s.batch = <uint32_t *>address(a["batch"])
        s.batch_len = <uint32_t *>address(a["batch_len"])
        s.c = <uint64_t *>address(a["counters"])
        s.write_fault = <check_t *>address(a["write_fault"])
        s.verdict = <uint8_t *>address(a["verdict"])
        s.entry = <uint8_t *>address(a["entry"])
        s.swap_in = <check_t *>address(a["swap_in"])
        s.pages = <page_t *>address(a["pages"])
        s.places = <place_t *>address(a["places"])
        s.page_free = <uint32_t *>address(a["page_free"])
        s.ring[INACTIVE] = <uint32_t *>address(a["ring"])
        s.ring[ACTIVE] = s.ring[INACTIVE] + s.ring_cap
        s.wb_page = <uint32_t *>address(a["wb_page"])
        s.wb_due = <uint64_t *>address(a["wb_due"])
        s.contents = <content_t *>address(a["contents"]) if "contents" in a else NULL
        s.slot_contents = <content_t *>address(a["slot_contents"]) if "slot_contents" in a else NULL
        if "ptes" in a:
            s.ptes = <pte_t *>address(a["ptes"])
            s.links = <link_t *>address(a["links"]) if s.processes > MASKED else NULL
            s.leaf_free = <uint32_t *>address(a["leaf_free"])

    cdef void alone(self) except *:
        """Nobody may move the tables, or look at them between two counts, while another thread runs events."""
        if self.busy:
            raise RuntimeError("this simulator runs in another thread; give each thread its own")

    cdef void grow_pages(self, cap, contents=None) except *:
        """Room for *cap* page records; what is there stays.  All or nothing: the engine changes once there is memory for all."""
        cdef Sim *s = &self.s
        a, new = self.arrays, {"pages": np.zeros(cap, layout.PAGE), "places": np.zeros(cap, layout.PLACE), "page_free": np.zeros(cap, np.uint32)}
        if contents or (contents is None and "contents" in a):
            new["contents"] = np.zeros(cap, layout.CONTENT)
        wb_cap = cap if s.latency else 1  # without latency nothing waits
        new["wb_page"], new["wb_due"] = np.zeros(wb_cap, np.uint32), np.zeros(wb_cap, np.uint64)
        new["ring"] = np.zeros((2, cap + max(cap // 2, min(cap * 3, 1 << 16)) + 64), np.uint32)
        lengths = [0, 0]
        if "pages" in a:
            for name in ("pages", "places", "contents"):
                if name in a:
                    new[name][: len(a[name])] = a[name]
            new["page_free"][: s.free_movable] = a["page_free"][: s.free_movable]
            new["page_free"][cap - s.free_unmovable :] = a["page_free"][s.page_cap - s.free_unmovable :]
            for i, (page, due) in enumerate(self.writeback()):
                new["wb_page"][i], new["wb_due"][i] = page, due
            for which in (INACTIVE, ACTIVE):
                listed = self.listed(which)
                lengths[which] = len(listed)
                new["ring"][which, : len(listed)] = listed
                new["places"]["lru"][listed] = np.arange(len(listed))
        a.update(new)
        s.page_cap, s.ring_cap, s.wb_head, s.wb_cap = cap, new["ring"].shape[1], 0, wb_cap
        for which in (INACTIVE, ACTIVE):
            s.tail[which], s.head[which], s.span[which] = 0, lengths[which], lengths[which]
        self.point()

    cdef void grow_leaves(self, n) except *:
        """*n* more leaf tables, but not more than there are places for; all or nothing."""
        a = self.arrays
        old = len(a["ptes"]) // LEAF
        n = min(n, <size_t>self.s.processes * self.s.ndir + 1 - old)
        ptes = np.zeros((old + n) * LEAF, layout.PTE)
        ptes[: len(a["ptes"])] = a["ptes"]
        free = np.zeros(old + n, np.uint32)
        free[:n] = np.arange(old + n - 1, old - 1, -1)
        free[n : n + self.s.nleaf_free] = a["leaf_free"][: self.s.nleaf_free]
        links = np.zeros((old + n) * LEAF if self.s.processes > MASKED else 0, layout.LINK)
        links[: len(a["links"])] = a["links"]
        a["ptes"], a["links"], a["leaf_free"] = ptes, links, free
        self.s.nleaf_free += n
        self.point()

    def run(self, events, outcomes=None, values=None):
        """Does the events and returns how many; see ``cowfast.Simulator.run``.

        Raises
        ------
        EventError
            an event that cannot be done; those before it are done, nothing of it is
        """
        self.alone()
        self.busy = True  # before anything that lets another thread go on
        try:
            return self.run_alone(events, outcomes, values)
        finally:
            self.busy = False

    cdef int64_t run_alone(self, events, outcomes, values) except -1:
        cdef int64_t n, end, i = 0
        cdef int status = 0
        cdef event_t *e
        cdef uint32_t *o = NULL
        cdef content_t *v = NULL
        cdef Sim *s = &self.s
        events = np.ascontiguousarray(events, layout.EVENT)
        n = len(events)
        if outcomes is not None:
            if outcomes.dtype != np.uint32 or len(outcomes) < n or not outcomes.flags.c_contiguous or not outcomes.flags.writeable:
                raise ValueError("outcomes must be a writable contiguous uint32 array, one per event")
            o = <uint32_t *>address(outcomes)
        if values is not None:
            if values.dtype != layout.CONTENT or len(values) < n or not values.flags.c_contiguous or not values.flags.writeable:
                raise ValueError("values must be a writable contiguous CONTENT array, one per event")
            v = <content_t *>address(values)
        e = <event_t *>address(events)
        while i < n:
            before = i
            s.far = len(self.arrays["ptes"]) * sizeof(pte_t) + s.live * (sizeof(page_t) + sizeof(place_t)) > _PREFETCH_ABOVE
            end = min(n, i + SLICE)
            with nogil:
                if o == NULL and v == NULL and s.contents == NULL:
                    i = run_counted(s, e, i, end, &status)
                else:
                    i = run_told(s, e, i, end, o, v, &status)
            s.c[<int>C_EVENTS] += i - before
            count_quick(s)
            peak(s)
            if i == end:
                continue
            if status == WANT_PAGES:
                cap = min(max(s.page_cap * 2, s.next_page + s.live_pins + s.procs[e[i].pid].swapped + 256), _MOST)
                if cap <= s.page_cap:
                    status = ERR_TABLE_LIMIT
                else:
                    self.grow_pages(cap)
            elif status == WANT_LEAVES:
                self.grow_leaves(max(len(self.arrays["ptes"]) // LEAF, s.procs[e[i].pid].leaves, 64))
            if status < 0:
                raise_status(status, i, format_event(events[i]))
        if s.flush_events and s.time >= s.special and s.time % s.flush_events == 0:
            flush_statistics(s)
        return n

    def snapshot(self):
        """Everything that the next event depends on: name -> array, the scalars of the struct as bytes under ``sim``."""
        self.alone()
        scalars = np.frombuffer((<char *>&self.s)[: sizeof(Sim)], np.uint8)
        arrays = {name: array.copy() for name, array in self.arrays.items() if name not in _DIRECTORIES}
        pids, places, leaves = self.leaves()
        arrays["leaf_place"] = np.zeros(len(self.arrays["ptes"]) // LEAF, np.uint64)
        arrays["leaf_place"][leaves] = pids * self.s.ndir + places + 1
        return arrays | {"sim": scalars}

    def restore(self, snapshot):
        """Goes on from a snapshot of the same policy, machine and build; its arrays become the engine's."""
        cdef const uint8_t[::1] scalars = snapshot["sim"]
        self.alone()
        shapes = {name: array.dtype for name, array in snapshot.items() if name not in ("sim", "leaf_place")}
        if len(scalars) != sizeof(Sim) or shapes != {name: array.dtype for name, array in self.arrays.items() if name not in _DIRECTORIES}:
            raise ValueError("the snapshot is of another build or another machine")
        arrays = {name: np.array(snapshot[name], order="C") for name in shapes}
        dirs, used = self.arrays["dirs"], self.arrays["dir_used"]
        pids, places, _ = self.leaves()
        before = pids * self.s.ndir + places
        leaves = np.flatnonzero(snapshot["leaf_place"])
        after = snapshot["leaf_place"][leaves].astype(np.intp) - 1
        groups = after // self.s.dir_group
        dirs[before] = 0
        used[:] = 0
        dirs[after] = leaves
        used[groups] = 1
        self.arrays.update(arrays)
        memcpy(&self.s, &scalars[0], sizeof(Sim))
        self.s.blamed_in = NOT_YET
        self.point()

    @property
    def counters(self):
        """What was counted so far."""
        return Counters(self.arrays["counters"])

    @property
    def pages(self):
        """What is in both tables of pages, in the words of the model; a copy."""
        pages, places = self.arrays["pages"], self.arrays["places"]
        seen = np.zeros(len(pages), PAGES)
        seen["refs"], seen["vpage"], seen["slot"] = pages["refs"], places["vpage"], places["slot"]
        seen["flags"] = pages["flags"] & ~np.uint32(PG_SWAPCACHE)
        seen["maps"] = np.bitwise_count(pages["who"]) if self.s.links == NULL else pages["who"] & HOW_MANY
        return seen

    @property
    def ptes(self):
        return self.arrays["ptes"]

    @property
    def slots(self):
        return self.arrays["slots"][: self.s.next_slot]  # the rest was never used

    @property
    def procs(self):
        return self.arrays["procs"]

    @property
    def refs(self):
        return self.arrays["refs"]

    def leaves(self):
        """Every leaf table in use: whose it is, its place in the directory and its number, three intp arrays of one length."""
        width = self.s.dir_group
        groups = np.flatnonzero(self.arrays["dir_used"])
        found = self.arrays["dirs"].reshape(-1, width)[groups]
        rows, columns = np.nonzero(found)
        places = groups[rows] * width + columns
        return places // self.s.ndir, places % self.s.ndir, found[rows, columns].astype(np.intp)

    def mappers(self, uint32_t pid, uint32_t page):
        """Processes with a present pte of the page that *pid* has at this address, itself among them; [] if it has none."""
        cdef Sim *s = &self.s
        cdef uint32_t p
        cdef Walk at
        if pid >= s.processes or page >= s.space:
            raise IndexError(f"process {pid}, page {page}: the machine has {s.processes} and {s.space}")
        if kind_of(pte_at(s, pid, page).word) != PTE_PRESENT:
            return []
        at = walk(s, s.pages + (pte_at(s, pid, page).word >> PTE_SHIFT))
        found = [pid]
        while at.left and len(found) <= s.processes:
            p = here(s, &at)
            if p != pid:
                found.append(p)
            onward(s, &at, page)
        return found

    def tables(self):
        """Name -> array, every table there is; they are the engine's own."""
        return dict(self.arrays)

    def slot_kind(self, n):
        """What ``slot_t.page`` is: "cached" (a page), "shadow" or "empty"."""
        flags = self.s.slots[n].flags
        return "cached" if flags & SLOT_CACHED else "shadow" if flags & SLOT_SHADOW else "empty"

    def walk(self, which):
        """Page numbers of an LRU list, head first."""
        return self.listed(which)[::-1].tolist()

    def listed(self, which):
        """The same as an array, tail first: uint32, shape (pages of the list,)."""
        ring = self.arrays["ring"][which]
        tail, span = self.s.tail[which], self.s.span[which]
        entries = np.concatenate([ring[tail : tail + span], ring[: max(tail + span - len(ring), 0)]])
        return entries[entries != 0]

    def free_list(self, unmovable):
        """Free page numbers, the next one to be taken last."""
        free, s = self.arrays["page_free"], self.s
        if unmovable:
            return free[s.page_cap - s.free_unmovable :][::-1].tolist()
        return free[: s.free_movable].tolist()

    def batches(self):
        """Page numbers in each CPU's LRU batch, the oldest first."""
        table, lengths = self.arrays["batch"].tolist(), self.arrays["batch_len"].tolist()
        return [table[cpu * self.s.batch_size :][:n] for cpu, n in enumerate(lengths)]

    def writeback(self):
        """Pages on their way to the device, with the time when they arrive, in order of submission."""
        a, s = self.arrays, self.s
        places = [(s.wb_head + i) % s.wb_cap for i in range(s.wb_len)]
        return [(int(a["wb_page"][i]), int(a["wb_due"][i])) for i in places]

    def held(self, kind):
        """Live references of a kind (``RefKind``) of each page, by page number."""
        refs = self.arrays["refs"]
        return np.bincount(refs["page"][(refs["kind"] == kind) & (refs["page"] > 0)], minlength=self.s.next_page)

    def state(self):
        """The whole state as plain data (docs/model.md section 10)."""
        self.alone()
        a = self.arrays
        pages = self.pages
        live = [int(p) for p in np.flatnonzero(pages["refs"][: self.s.next_page])]
        gets, pins = self.held(REF_GET), self.held(REF_PIN)
        ptes = {}
        for pid, d, leaf in zip(*(each.tolist() for each in self.leaves())):
            words = a["ptes"]["word"][leaf * LEAF : (leaf + 1) * LEAF]
            for i in np.flatnonzero(words):
                ptes[pid, d * LEAF + int(i)] = int(words[i])
        used = [int(n) for n in np.flatnonzero(a["slots"]["flags"][: self.s.next_slot])]
        return {
            "pages": {p: (*(int(pages[p][f]) for f in ("refs", "vpage", "slot", "flags", "maps")), int(gets[p]), int(pins[p])) for p in live},
            "ptes": ptes,
            "slots": {n: (self.slot_kind(n), *(int(a["slots"][n][f]) for f in ("page", "swap_count", "flags"))) for n in used},
            "procs": {int(p): tuple(int(a["procs"][p][f]) for f in ("flags", "ra_last", "ra_window", "ra_hits", "cpu", "parent"))
                      for p in np.flatnonzero(a["procs"]["flags"])},
            "refs": {int(r): tuple(int(a["refs"][r][f]) for f in ("kind", "pid", "vpage", "flags", "page"))
                     for r in np.flatnonzero(a["refs"]["kind"])},
            "inactive": self.walk(INACTIVE),
            "active": self.walk(ACTIVE),
            "batches": self.batches(),
            "free": (self.free_list(False), self.free_list(True)),
            "writeback": self.writeback(),
            "counters": self.counters.to_dict(),
            "contents": {p: (int(a["contents"][p]["first"]), int(a["contents"][p]["last"])) for p in live} if "contents" in a else {},
        }

    def verify(self):
        """Recomputes every count from the page tables; InvariantError names the first that is wrong."""
        self.alone()
        a, s = self.arrays, self.s
        pages = self.pages[: s.next_page]
        words = a["ptes"]["word"]
        kinds = words & 3
        numbers = words >> 6
        maps = np.bincount(numbers[kinds == PTE_PRESENT], minlength=len(pages))
        entries = np.bincount(numbers[kinds == PTE_SWAP], minlength=s.next_slot)
        batched = np.bincount(np.array(sum(self.batches(), []), np.int64), minlength=len(pages))
        listed = np.bincount(np.array(self.walk(INACTIVE) + self.walk(ACTIVE), np.int64), minlength=len(pages))
        gets, pins = self.held(REF_GET), self.held(REF_PIN)
        live = pages["refs"] > 0
        isolated = (pages["flags"] & PG_ISOLATED) != 0
        wanted = maps + (live & (pages["slot"] != 0)) + batched + gets + 1024 * pins

        def demand(right, what):
            if not np.all(right):
                raise InvariantError(f"{what}: first wrong at number {int(np.argmin(right))}")

        demand(pages["refs"] == wanted, "refs of a page are not the references that exist")
        demand(pages["maps"] == maps, "maps of a page are not the ptes that name it")
        cached = (a["pages"]["flags"][: s.next_page] & PG_SWAPCACHE) != 0
        demand(cached == (pages["slot"] != 0), "a page's swap cache flag and its slot")
        demand(~live | (((pages["flags"] & PG_LRU) != 0) == (listed == 1)), "a page's LRU flag and the lists")
        demand(~live | (((pages["flags"] & PG_BATCH) != 0) == (batched == 1)), "a page's batch flag and the batches")
        demand(~(live & isolated), "a page is isolated between events")
        excl = (pages["flags"] & PG_EXCL) != 0
        demand(~(live & excl) | ((maps <= 1) & ((pages["flags"] & PG_KSM) == 0)), "an exclusive page is shared")
        slots = a["slots"][: s.next_slot]
        demand(((slots["flags"] & SLOT_USED) == 0) | (slots["swap_count"] == entries), "swap count of a slot")
        cached = (slots["flags"] & SLOT_CACHED) != 0
        demand(~cached | (pages["slot"][np.where(cached, slots["page"], 0)] == np.arange(len(slots))), "a slot and its page disagree")
        writable = (kinds == PTE_PRESENT) & ((words & PTE_WRITE) != 0)
        if not self.counters["missed_copies"]:  # after one, a swap pte left behind may have come in
            demand(maps[numbers[writable]] == 1, "a writable pte names a page that is mapped more than once")
        if s.exclusive:
            demand(excl[numbers[writable]], "a writable pte names a page that is not exclusive")
        pids, _, numbers = self.leaves()
        leaves = kinds.reshape(-1, LEAF)[numbers]
        for field, kind in (("present", PTE_PRESENT), ("swapped", PTE_SWAP), ("zeros", PTE_ZERO)):
            counted = np.bincount(pids, (leaves == kind).sum(axis=1), s.processes)
            demand(a["procs"][field] == counted, f"{field} ptes of a process")
        demand(a["procs"]["leaves"] == np.bincount(pids, minlength=s.processes), "leaf tables of a process")
        for what, counted, there in (("pins", s.live_pins, a["refs"]["kind"] == REF_PIN), ("slots in use", s.used_slots, slots["flags"] & SLOT_USED)):
            if np.count_nonzero(there) != counted:
                raise InvariantError(f"{counted} {what} counted, there are {np.count_nonzero(there)}")
        c = self.counters
        for total, parts in (("write_faults", ("reuses", "copies")), ("needless_copies", [n for n in c if n.startswith("needless_by_cause.")]),
                             ("swap_cache_removals", [n for n in c if n.startswith("removals_by_cause.")])):
            if c[total] != sum(c[part] for part in parts):
                raise InvariantError(f"{total} {c[total]} is not the sum of {', '.join(parts)}")
        if int(live.sum()) != s.live or c["page_allocs"] - c["page_frees"] != s.live:
            raise InvariantError(f"{int(live.sum())} pages live, {s.live} charged, {c['page_allocs']} - {c['page_frees']} counted")
        if s.memory and s.live > s.memory:
            raise InvariantError(f"{s.live} pages charged, limit {s.memory}")

    def __reduce__(self):
        raise TypeError("an engine is not pickled; save its results, or run it again from its spec")
