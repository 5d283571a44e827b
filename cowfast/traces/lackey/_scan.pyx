# SPDX-License-Identifier: MIT
"""Reads the lines of a lackey log that are accesses; every other line is handed to Python."""
import numpy as np

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cpdef enum Stop:
    NEED_MORE = 0      # no whole line is left
    FULL = 1           # no room for another access
    OTHER_LINE = 2     # a line that is not an access is next


cdef class Scanner:
    """Turns ``" L 04a28750,8"`` into page numbers, without the accesses that repeat what was just done.

    An access to a page is left out if the last access among those of the same ``page % window`` was to that page too,
    and was not less: a write after a read counts.  ``window=1`` collapses runs.
    """

    cdef uint64_t[::1] last
    cdef uint8_t[::1] wrote
    cdef uint64_t window
    cdef readonly uint64_t lines, accesses

    def __init__(self, window):
        self.window = window
        self.last = np.full(window, 2**64 - 1, np.uint64)
        self.wrote = np.zeros(window, np.uint8)

    def forget(self):
        """Start anew: after a fork or an unmapping the next access counts whatever was before."""
        self.last[:] = 0xFFFFFFFFFFFFFFFF

    def scan(self, const uint8_t[::1] block, Py_ssize_t start, uint64_t[::1] pages, uint8_t[::1] writes):
        """Read from ``start`` on; returns (Stop, place of the next line, accesses put into ``pages`` and ``writes``)."""
        cdef Py_ssize_t at = start, n = 0
        cdef int why
        with nogil:
            why = self._scan(block, &at, pages, writes, &n)
        return why, at, n

    cdef int _scan(self, const uint8_t[::1] block, Py_ssize_t* place, uint64_t[::1] pages, uint8_t[::1] writes,
                   Py_ssize_t* out) noexcept nogil:
        cdef Py_ssize_t at = place[0], end = block.shape[0], i
        cdef Py_ssize_t n = 0, room = pages.shape[0] - 1
        cdef uint64_t address, page, last
        cdef uint32_t size
        cdef uint8_t kind, digit
        cdef int value, digits, why = NEED_MORE
        while True:
            if n >= room:
                why = FULL
                break
            i = at
            if end - i < 4:
                break
            kind = block[i]
            if kind == c' ':
                kind = block[i + 1]
                if kind != c'L' and kind != c'S' and kind != c'M':
                    kind = 0
            elif kind != c'I' or block[i + 1] != c' ':
                kind = 0
            i += 2
            if kind == 0 or block[i] != c' ':
                why = OTHER_LINE
                break
            i += 1
            address = 0
            digits = 0
            value = 0
            while i < end:
                digit = block[i]
                value = _hex(digit)
                if value < 0:
                    # lackey pads "I " with one more blank
                    if digit == c' ' and digits == 0 and kind == c'I' and block[i - 1] != c',':
                        i += 1
                        continue
                    break
                address = address << 4 | <uint64_t> value
                digits += 1
                i += 1
            if i >= end:
                break
            if digits == 0 or digits > 16 or block[i] != c',':
                why = OTHER_LINE
                break
            i += 1
            size = 0
            digits = 0
            while i < end and c'0' <= block[i] <= c'9' and digits < 6:
                size = size * 10 + block[i] - c'0'
                digits += 1
                i += 1
            if i >= end:
                break
            if digits == 0 or block[i] != c'\n':
                why = OTHER_LINE
                break
            at = i + 1
            self.lines += 1
            if kind == c'I':
                continue
            self.accesses += 1
            page = address >> 12
            n = self._access(page, kind != c'L', pages, writes, n)
            last = (address + (size if size else 1) - 1) >> 12
            if last == page + 1:
                n = self._access(last, kind != c'L', pages, writes, n)
        place[0] = at
        out[0] = n
        return why

    cdef Py_ssize_t _access(self, uint64_t page, uint8_t write, uint64_t[::1] pages, uint8_t[::1] writes,
                            Py_ssize_t n) noexcept nogil:
        cdef uint64_t slot = page % self.window
        if self.last[slot] == page and self.wrote[slot] >= write:
            return n
        if self.last[slot] != page:
            self.last[slot] = page
            self.wrote[slot] = 0
        self.wrote[slot] |= write
        pages[n] = page
        writes[n] = write
        return n + 1


cdef inline int _hex(uint8_t digit) noexcept nogil:
    if c'0' <= digit <= c'9':
        return digit - c'0'
    if c'a' <= digit <= c'f':
        return digit - c'a' + 10
    return -1
