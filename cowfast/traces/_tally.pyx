# SPDX-License-Identifier: MIT
"""What a stream of events needs and holds, counted in one pass without the GIL.

A tally is not a simulation: it knows which process touched which page, not what the kernel did about it.
"""
import numpy as np

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from cowfast._layout cimport event_t, Op

cdef enum:  # literals: Cython's overflowcheck (the checked build) cannot compile expressions here
    LEAF_SHIFT = 9                # pages of one bitmap, as in a page table
    WORDS = 8                     # 64-bit words of a bitmap
    SLICE = 65536                 # events between two looks at the room that is left
    MAX_LEAVES = 1048576          # 2^29 pages touched (2 TiB): beyond, touching is not counted any more
    PIDS = 65536
    NOTHING = 0x7FFFFFFF


cdef packed struct leaf_t:        # the pages of one process in one stretch of 512
    uint64_t key                  # pid << 32 | page >> 9
    uint32_t next                 # next leaf of the process
    uint32_t touched


cdef class Tally:
    """Counts events by operation, sizes, and pages touched.

    Attributes
    ----------
    ops : uint64 array
        events of each ``Op``
    processes, space, references, cpus : int
        what a machine must have to run the events
    footprint : int or None
        most pages that the processes alive at one time have touched, each its own (no sharing); None if there are
        too many to count in bounded memory
    """

    cdef object _ops, _leaves, _bits, _table, _heads
    cdef uint64_t[::1] ops_view
    cdef leaf_t[::1] leaves
    cdef uint64_t[:, ::1] bits
    cdef uint32_t[::1] table      # open addressing: leaf number + 1
    cdef uint32_t[::1] heads      # first leaf of each process
    cdef uint32_t used
    cdef uint32_t max_pid, max_ref, max_cpu
    cdef uint64_t end, touched, peak
    cdef bint counting, any_ref

    def __init__(self):
        self._ops = np.zeros(Op.NR_OPS, np.uint64)
        self.ops_view = self._ops
        self._heads = np.full(PIDS, NOTHING, np.uint32)
        self.heads = self._heads
        self.counting = True
        self._room(1 << 10)
        self.table = np.zeros(1 << 12, np.uint32)

    def add(self, const event_t[::1] events):
        """Count more events; returns the index of the first with an unknown operation or pid 65535, or -1."""
        cdef Py_ssize_t start, bad, n = events.shape[0]
        for start in range(0, n, SLICE):
            self._grow()
            with nogil:
                bad = self._count(events[start:min(start + SLICE, n)])
            if bad >= 0:
                return start + bad
        return -1

    @property
    def ops(self):
        return self._ops.copy()

    @property
    def processes(self):
        return self.max_pid + 1

    @property
    def space(self):
        return max(self.end, 1)

    @property
    def references(self):
        return self.max_ref + 1 if self.any_ref else 0

    @property
    def cpus(self):
        return self.max_cpu + 1

    @property
    def footprint(self):
        return self.peak if self.counting else None

    def _room(self, leaves):
        """Room for so many leaves; what is there stays."""
        more = np.zeros(leaves, [("key", "u8"), ("next", "u4"), ("touched", "u4")])
        bits = np.zeros((leaves, WORDS), np.uint64)
        if self.used:
            more[:self.used] = self._leaves[:self.used]
            bits[:self.used] = self._bits[:self.used]
        self._leaves, self._bits = more, bits
        self.leaves, self.bits = more, bits

    def _grow(self):
        """Before each slice: every event of it may need a new leaf."""
        if not self.counting:
            return
        cdef uint32_t leaf
        cdef uint64_t place, mask
        if self.used + SLICE > self.leaves.shape[0]:
            if self.used > MAX_LEAVES:
                self.counting = False
                self.used = 0
                self._room(1)
                return
            self._room(2 * self.used + SLICE)
        if 2 * (self.used + SLICE) > self.table.shape[0]:
            size = 1 << int(4 * (self.used + SLICE) - 1).bit_length()
            self.table = np.zeros(size, np.uint32)
            mask = size - 1
            for leaf in range(self.used):
                place = _hash(self.leaves[leaf].key) & mask
                while self.table[place]:
                    place = (place + 1) & mask
                self.table[place] = leaf + 1

    cdef Py_ssize_t _count(self, const event_t[::1] events) noexcept nogil:
        cdef Py_ssize_t i
        cdef uint8_t op
        cdef uint16_t pid
        cdef uint32_t arg
        cdef uint64_t end
        for i in range(events.shape[0]):
            op = events[i].op
            pid = events[i].pid
            arg = events[i].arg
            if op >= Op.NR_OPS or pid == 0xFFFF:
                return i
            self.ops_view[op] += 1
            if pid > self.max_pid:
                self.max_pid = pid
            end = <uint64_t> events[i].page + 1
            if op == Op.READ or op == Op.WRITE or op == Op.GET or op == Op.PIN:
                if self.counting:
                    self._touch(pid, events[i].page)
            elif op == Op.FORK or op == Op.MERGE:
                if arg >= 0xFFFF:
                    return i
                if arg > self.max_pid:
                    self.max_pid = arg
            elif op == Op.EXIT or op == Op.EXEC:
                if self.counting:
                    self._forget(pid)
            elif op == Op.CPU:
                if arg > self.max_cpu:
                    self.max_cpu = arg
            elif Op.DISCARD <= op <= Op.PREFETCH and op != Op.RECLAIM:
                end += arg - 1 if arg > 1 else 0
            if Op.GET <= op <= Op.UNLOCK:
                self.any_ref = True
                if arg > self.max_ref:
                    self.max_ref = arg
            if end > self.end:
                self.end = end
        return -1

    cdef void _touch(self, uint16_t pid, uint32_t page) noexcept nogil:
        cdef uint64_t key = <uint64_t> pid << 32 | page >> LEAF_SHIFT
        cdef uint64_t mask = self.table.shape[0] - 1
        cdef uint64_t place = _hash(key) & mask
        cdef uint32_t leaf
        cdef uint64_t bit = <uint64_t> 1 << (page & 63)
        while self.table[place] and self.leaves[self.table[place] - 1].key != key:
            place = (place + 1) & mask
        if self.table[place]:
            leaf = self.table[place] - 1
        else:
            leaf = self.used
            self.used += 1
            self.table[place] = leaf + 1
            self.leaves[leaf].key = key
            self.leaves[leaf].touched = 0
            self.leaves[leaf].next = self.heads[pid]
            self.heads[pid] = leaf
        if not self.bits[leaf, page >> 6 & 7] & bit:
            self.bits[leaf, page >> 6 & 7] |= bit
            self.leaves[leaf].touched += 1
            self.touched += 1
            if self.touched > self.peak:
                self.peak = self.touched

    cdef void _forget(self, uint16_t pid) noexcept nogil:
        cdef uint32_t leaf = self.heads[pid]
        cdef int word
        while leaf != NOTHING:
            if self.leaves[leaf].touched:
                self.touched -= self.leaves[leaf].touched
                self.leaves[leaf].touched = 0
                for word in range(WORDS):
                    self.bits[leaf, word] = 0
            leaf = self.leaves[leaf].next


cdef inline uint64_t _hash(uint64_t key) noexcept nogil:
    key *= <uint64_t> 0x9E3779B97F4A7C15
    return key ^ (key >> 32)
