# SPDX-License-Identifier: MIT
"""The least that a simulator of page faults could do: loops to measure cowfast against where there is no other yardstick.

``random_access``: a random pte, then the page record that it names, each read and written; nothing else.
``copy_table``: a page table copied and write-protected, two counts of each page record raised: what fork must do.
``Plain``: page tables, reference counts, swap slots; a write copies while others hold the page. No lists, no limit of
memory, no swap cache, no reverse mapping, no policy but one, hardly a counter.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

import numpy as np

from cowfast._layout cimport event_t, EXIT, FORK, PAGEOUT, WRITE


cdef extern from *:
    """
    #if defined(__GNUC__)
    #define YARDSTICK_PREFETCH(p) __builtin_prefetch((p), 1, 3)
    #else
    #define YARDSTICK_PREFETCH(p) ((void)(p))
    #endif
    """
    void YARDSTICK_PREFETCH(void *p) noexcept nogil

cdef enum:
    PRESENT = 1
    SWAPPED = 2
    WRITABLE = 4
    AHEAD = 32

cdef packed struct entry_t:  # 8 bytes
    uint32_t number
    uint32_t flags

cdef packed struct record_t:  # 16 bytes
    uint32_t refs
    uint32_t maps
    uint32_t flags
    uint32_t free

ENTRY = np.dtype([("number", "u4"), ("flags", "u4")])
RECORD = np.dtype([("refs", "u4"), ("maps", "u4"), ("flags", "u4"), ("free", "u4")])


def random_access(entry_t[::1] entries, record_t[::1] records, const uint32_t[::1] events, Py_ssize_t ahead=0):  # OUT
    """Touch entries[event] and the record it names for each event; ``ahead`` > 0: prefetch so many events before."""
    cdef Py_ssize_t i = 0, n = events.shape[0], near = ahead // 2
    with nogil:
        if ahead:
            while i < n - ahead:
                YARDSTICK_PREFETCH(&entries[events[i + ahead]])
                YARDSTICK_PREFETCH(&records[entries[events[i + near]].number])
                touch(&entries[events[i]], &records[0])
                i += 1
        while i < n:
            touch(&entries[events[i]], &records[0])
            i += 1


cdef inline void touch(entry_t *entry, record_t *records) noexcept nogil:
    cdef record_t *record = records + entry.number
    record.refs += 1
    record.flags ^= record.refs
    entry.flags ^= 1


def copy_table(entry_t[::1] child, entry_t[::1] parent, record_t[::1] records, Py_ssize_t times=1):  # OUT
    """Copy ``parent`` to ``child``, take the right to write from both, and count the new owner; ``times`` times."""
    cdef Py_ssize_t n = parent.shape[0], _
    with nogil:
        for _ in range(times):
            copy_entries(&child[0], &parent[0], &records[0], n)


cdef void copy_entries(entry_t *child, entry_t *parent, record_t *records, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef entry_t entry
    for i in range(n):
        if i + AHEAD < n:
            YARDSTICK_PREFETCH(records + parent[i + AHEAD].number)
        entry = parent[i]
        if entry.flags & PRESENT:
            records[entry.number].refs += 1
            records[entry.number].maps += 1
            entry.flags &= ~<uint32_t>WRITABLE
            parent[i] = entry
        child[i] = entry


cdef class Plain:
    """The plain loop.

    Parameters
    ----------
    processes, pages : int
        every process has so many pages; process 0 is there from the beginning
    ahead : bool
        prefetch what the events ahead will touch
    """

    cdef entry_t[:, ::1] entries
    cdef record_t[::1] records
    cdef uint32_t[::1] slots        # swap entries that name the slot
    cdef uint32_t[::1] free_records
    cdef uint32_t[::1] free_slots
    cdef uint32_t records_free, slots_free, pages
    cdef bint ahead
    cdef uint64_t[::1] counts

    def __init__(self, uint32_t processes, uint32_t pages, bint ahead=False):
        most = processes * pages + 1
        self.pages, self.ahead = pages, ahead
        self.entries = np.zeros((processes, pages), ENTRY)
        self.records = np.zeros(most, RECORD)
        self.slots = np.zeros(most, np.uint32)
        self.free_records = np.arange(most - 1, -1, -1, np.uint32)
        self.free_slots = np.arange(most - 1, -1, -1, np.uint32)
        self.records_free = self.slots_free = most - 1  # number 0 stays
        self.counts = np.zeros(3, np.uint64)

    @property
    def copied(self):
        """Pages copied so far."""
        return int(self.counts[1])

    def run(self, event_t[::1] events):  # OUT
        """Do events of dtype ``EVENT``: read, write, pageout (of one page that nobody shares), fork, exit."""
        cdef Py_ssize_t n = events.shape[0]
        if n:
            with nogil:
                if self.ahead:
                    self.loop(&events[0], n, True)
                else:
                    self.loop(&events[0], n, False)

    cdef inline void loop(self, event_t *events, Py_ssize_t n, bint ahead) noexcept nogil:
        cdef Py_ssize_t i
        cdef event_t *e
        cdef entry_t *entry
        cdef uint32_t need
        for i in range(n):
            e = events + i
            if ahead and i + AHEAD < n:
                if e[AHEAD].op <= WRITE:
                    YARDSTICK_PREFETCH(&self.entries[e[AHEAD].pid, e[AHEAD].page])
                entry = &self.entries[e[AHEAD // 2].pid, e[AHEAD // 2].page]
                YARDSTICK_PREFETCH(&self.records[entry.number])
            if e.op <= WRITE:
                entry = &self.entries[e.pid, e.page]
                need = PRESENT | (WRITABLE if e.op else 0)
                if entry.flags & need == need:
                    self.records[entry.number].flags |= 1 + e.op
                else:
                    self.fault(entry, e.op)
            elif e.op == PAGEOUT:
                self.page_out(&self.entries[e.pid, e.page])
            elif e.op == FORK:
                self.fork(&self.entries[e.pid, 0], &self.entries[e.arg, 0])
            elif e.op == EXIT:
                self.exit(&self.entries[e.pid, 0])

    cdef inline uint32_t take(self) noexcept nogil:
        cdef uint32_t number
        self.records_free -= 1
        number = self.free_records[self.records_free]
        self.records[number].refs = self.records[number].maps = 1
        return number

    cdef inline void drop(self, uint32_t number) noexcept nogil:
        cdef record_t *record = &self.records[number]
        record.maps -= 1
        record.refs -= 1
        if not record.refs:
            self.free_records[self.records_free] = number
            self.records_free += 1

    cdef inline void drop_slot(self, uint32_t number) noexcept nogil:
        self.slots[number] -= 1
        if not self.slots[number]:
            self.free_slots[self.slots_free] = number
            self.slots_free += 1

    cdef inline void fault(self, entry_t *entry, bint write) noexcept nogil:
        cdef uint32_t old = entry.number
        if not entry.flags & PRESENT:
            self.counts[0] += 1
            entry.number = self.take()
            if entry.flags & SWAPPED:
                self.drop_slot(old)
            entry.flags = PRESENT | WRITABLE
        elif self.records[old].refs == 1:
            self.counts[2] += 1
            entry.flags |= WRITABLE
        else:
            self.counts[1] += 1
            entry.number = self.take()
            entry.flags = PRESENT | WRITABLE
            self.drop(old)

    cdef inline void page_out(self, entry_t *entry) noexcept nogil:
        cdef uint32_t old = entry.number
        if entry.flags & PRESENT and self.records[old].refs == 1:
            self.slots_free -= 1
            entry.number = self.free_slots[self.slots_free]
            self.slots[entry.number] = 1
            entry.flags = SWAPPED
            self.drop(old)

    cdef void fork(self, entry_t *parent, entry_t *child) noexcept nogil:
        cdef uint32_t i
        cdef entry_t entry
        for i in range(self.pages):
            if i + AHEAD < self.pages:
                YARDSTICK_PREFETCH(&self.records[parent[i + AHEAD].number])
            entry = parent[i]
            if entry.flags & PRESENT:
                self.records[entry.number].refs += 1
                self.records[entry.number].maps += 1
                entry.flags &= ~<uint32_t>WRITABLE
                parent[i] = entry
            elif entry.flags & SWAPPED:
                self.slots[entry.number] += 1
            child[i] = entry

    cdef void exit(self, entry_t *entry) noexcept nogil:
        cdef uint32_t i
        for i in range(self.pages):
            if i + AHEAD < self.pages:
                YARDSTICK_PREFETCH(&self.records[entry[i + AHEAD].number])
            if entry[i].flags & PRESENT:
                self.drop(entry[i].number)
            elif entry[i].flags & SWAPPED:
                self.drop_slot(entry[i].number)
        memset(entry, 0, self.pages * sizeof(entry_t))
