# SPDX-License-Identifier: MIT
"""One page watched while the fast engine runs: the event at which each of the references to it came.

Events are the engine's own ``check`` and ``do_event``, one at a time, at a few tens of nanoseconds each; what a look at the
tables cannot tell (due writes, room for tables) is left to ``Engine.run``.
"""
import numpy as np

from cowfast import _layout as layout

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from cowfast._engine cimport Engine, Sim, check, do_event, peak, pte_at
from cowfast._layout cimport *

cdef enum:
    MARK_SLOT = 32768      # no SlotFlag: this is still the slot that was seen last, for taking a number writes all flags

cdef uint32_t MARK = <uint32_t>1 << 31  # the same in a page's flags, above every PageFlag

cdef inline uint32_t named(Sim *s, uint32_t pid, uint32_t v) noexcept nogil:
    """What a pte names: number and kind, without the bits that accesses set."""
    cdef uint32_t word = pte_at(s, pid, v).word
    return word >> PTE_SHIFT << 2 | (word & PTE_KIND)


cdef class Watch:
    """An engine at its beginning, and what is to be watched.

    Parameters
    ----------
    engine : Engine
        it has processed ``time`` events; usually none
    page : int
        number of the page; numbers are used again, it counts while it is at *vpage*
    vpage : int
        its address in every process

    Attributes
    ----------
    page_since, slot_since, batch_since : int
        the event since which the page is there, in the swap cache, in an LRU batch; -1: it is not
    ptes : ndarray of uint32, shape (processes,)
        what the processes' ptes at *vpage* name now: number << 2 | kind (``PteBit``)
    ptes_since : ndarray of int64, shape (processes,)
        the event since which they name it; -1: from the beginning
    refs_since : ndarray of int64, shape (references,)
        the event that last took this reference number; -1: none did
    """

    cdef Engine engine
    cdef uint32_t page, vpage, slot
    cdef bint there, batched
    cdef readonly int64_t page_since, slot_since, batch_since
    cdef readonly object ptes, ptes_since, refs_since
    cdef uint32_t *now
    cdef int64_t *since
    cdef int64_t *taken

    def __init__(self, Engine engine not None, uint32_t page, uint32_t vpage):
        cdef Sim *s = &engine.s
        if vpage >= s.space:
            raise ValueError(f"page {vpage} is beyond the address space of {s.space}")
        self.engine, self.page, self.vpage = engine, page, vpage
        self.page_since = self.slot_since = self.batch_since = -1
        self.ptes = np.zeros(s.processes, np.uint32)
        self.ptes_since = np.full(s.processes, -1, np.int64)
        self.refs_since = np.full(max(s.references, 1), -1, np.int64)
        self.now = <uint32_t *><size_t>self.ptes.ctypes.data
        self.since = <int64_t *><size_t>self.ptes_since.ctypes.data
        self.taken = <int64_t *><size_t>self.refs_since.ctypes.data
        if s.time:
            raise ValueError("the engine has processed events already; since when is known from the beginning only")

    def run(self, events, outcomes):
        """Process events as ``Engine.run`` does.

        Parameters
        ----------
        events : ndarray of EVENT
        outcomes : ndarray of uint32
            receives the outcome bits, one per event

        Raises
        ------
        EventError
            an event that cannot be done
        """
        cdef event_t *e
        cdef int64_t n
        cdef uint32_t[::1] bits = outcomes
        events = np.ascontiguousarray(events, layout.EVENT)
        e = <event_t *><size_t>events.ctypes.data
        n = len(events)
        if len(bits) < n:
            raise ValueError("outcomes must have room for every event")
        self.mark()
        try:
            self.do(e, n, bits, events, outcomes)
        finally:
            self.unmark()
            peak(&self.engine.s)

    cdef void do(self, event_t *e, int64_t n, uint32_t[::1] bits, object events, object outcomes) except *:
        cdef Sim *s = &self.engine.s
        cdef int64_t i = 0
        cdef int status
        while i < n:
            with nogil:
                while i < n and s.time < s.special:
                    s.outcome = 0
                    s.freed_slot = False
                    status = check(s, e + i)
                    if status:
                        break
                    status = do_event(s, e + i)
                    if status:
                        break
                    s.time += 1
                    s.c[<int>C_EVENTS] += 1
                    bits[i] = s.outcome
                    self.look(e + i)
                    i += 1
            if i < n:  # something is due, tables have to grow, or the event is refused
                self.engine.run(events[i:i + 1], outcomes[i:i + 1])
                s.outcome = bits[i] | RECLAIMED  # what was due may have moved pages; the engine leaves this alone in a hit
                self.look(e + i)
                i += 1

    cdef void mark(self) noexcept nogil:
        cdef Sim *s = &self.engine.s
        if self.there:
            s.pages[self.page].flags |= MARK
        if self.slot:
            s.slots[self.slot].flags |= MARK_SLOT

    cdef void unmark(self) noexcept nogil:
        cdef Sim *s = &self.engine.s
        if self.there:
            s.pages[self.page].flags &= ~MARK
        if self.slot:
            s.slots[self.slot].flags &= ~<uint16_t>MARK_SLOT

    cdef bint in_batch_of(self, uint32_t cpu) noexcept nogil:
        cdef Sim *s = &self.engine.s
        cdef uint32_t i
        for i in range(s.batch_len[cpu]):
            if s.batch[cpu * s.batch_size + i] == self.page:
                return True
        return False

    cdef void look(self, event_t *e) noexcept nogil:
        """After one event: what is new?"""
        cdef Sim *s = &self.engine.s
        cdef page_t *page = s.pages + self.page
        cdef int64_t i = <int64_t>s.time - 1
        cdef uint32_t op = e.op, slot = 0, pid, word
        cdef uint64_t n = e.arg if e.arg else 1
        cdef bint there = self.page < s.next_page and page.refs > 0 and s.places[self.page].vpage == self.vpage, batched = False
        cdef bint reborn = False, installed
        if there:
            slot = s.places[self.page].slot
            batched = (page.flags & PG_BATCH) != 0
            if self.there and not page.flags & MARK:  # freed and taken again in this event: another page of that number
                reborn = True
                self.there = self.batched = False
        if there != self.there:
            self.there = there
            self.page_since = i if there else -1
        if slot != self.slot or (slot and not s.slots[slot].flags & MARK_SLOT):
            if self.slot:
                s.slots[self.slot].flags &= ~<uint16_t>MARK_SLOT
            self.slot = slot
            self.slot_since = i if slot else -1
        if batched != self.batched:
            self.batched = batched
            self.batch_since = i if batched else -1
        elif batched and op == PAGEOUT and self.in_batch_of(s.procs[e.pid].cpu):
            self.batch_since = i  # this batch was drained first: the page was kept and came back
        if op == GET or op == PIN or op == LOCK:
            self.taken[e.arg] = i
        self.mark()
        if op == FORK or op == EXIT or op == EXEC or op == RECLAIM or op == PAGEOUT or s.outcome & RECLAIMED \
                or (e.page <= self.vpage and self.vpage < e.page + n):
            installed = e.page == self.vpage and (op <= WRITE or op == GET or op == PIN) and s.outcome & (SWAP_IN | COPIED | ZERO_FILLED)
            for pid in range(s.processes):
                word = named(s, pid, self.vpage)
                if word != self.now[pid] or (reborn and word == (self.page << 2 | PTE_PRESENT)) or (installed and pid == e.pid):
                    self.now[pid] = word
                    self.since[pid] = i


def inside(Engine engine not None):
    """What an engine knows beside its public tables.

    Returns
    -------
    dict
        ``time``, ``age``, ``snapshot``, ``filled``, ``next_page``, ``next_slot``: int; ``seen``, ``pending``, ``refaulted``: of the
        statistics of the inactive list, the active list and refaults (docs/model-reclaim.md section 11); ``free_slots``: numbers,
        the next one to be taken last.
    """
    cdef Sim *s = &engine.s
    cdef uint32_t n = s.free_slot, i
    free_slots = []
    while n and len(free_slots) <= s.total_slots:
        free_slots.append(n)
        n = s.slots[n].page
    return {
        "time": s.time,
        "age": s.age,
        "snapshot": s.snapshot,
        "filled": s.filled,
        "next_page": s.next_page,
        "next_slot": s.next_slot,
        "seen": [s.seen[i] for i in range(3)],
        "pending": [s.pending[i] for i in range(3)],
        "refaulted": s.refaulted,
        "free_slots": free_slots[::-1],
    }
