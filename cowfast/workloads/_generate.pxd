# SPDX-License-Identifier: MIT
"""Records of a compiled workload program, and the generator that runs it.

A loop that consumes events can make them in place: ``cimport`` :class:`Generator` and call
``chunk(out, n)`` without the GIL.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from cowfast._layout cimport event_t


cpdef enum Rule:  # how a pid, a page or an argument is picked from `count` numbers beginning at `first`
    FIXED = 0    # always the first
    RANDOM = 1   # uniform
    ZIPF = 2     # rank k with probability ~ k^-s, ranks spread over the range (pages only)
    CURSOR = 3   # one after the other, from the first again whenever the step begins
    SPREAD = 4   # the same, in an order that jumps over the range, each number once a round
    FRESH = 5    # like SPREAD, from another place each time the step begins
    TURN = 6     # by the iteration of a loop around the step
    OTHER = 7    # uniform, but not the event's pid (arguments only)
    TOGGLE = 8   # a random reference number: taken if free, else released (arguments only)
    HELD = 9     # a random reference number if held, else the event is a read (arguments only)


cpdef enum StepKind:
    MIX = 0      # n events, each from one of the lines
    LOOP = 1     # up to the END that names it, n times
    END = 2


cdef packed struct line_t:  # 48 bytes: one kind of event in a mix
    uint32_t limit    # of 2^32: where its share of the draws begins; 0 in the first line
    uint32_t pid
    uint32_t pids
    uint32_t page
    uint32_t pages
    uint32_t arg
    uint32_t args
    uint32_t spread   # multiplier of SPREAD, FRESH and of the ranks of ZIPF
    uint32_t zipf     # index in the table of distributions
    uint32_t size     # pages that the event itself names (arg of a range operation), at least 1
    uint8_t op
    uint8_t flags
    uint8_t who       # Rule of pid
    uint8_t where     # Rule of page
    uint8_t what      # Rule of arg
    uint8_t outer     # TURN: which loop, 0 = innermost
    uint16_t reserved0

cdef packed struct step_t:  # 32 bytes
    uint64_t n        # MIX: events; LOOP: iterations; 0 = without end
    uint32_t first    # MIX: its lines; END: index of its LOOP
    uint32_t last     # MIX: one past its lines; LOOP: index of its END
    uint32_t every    # MIX: an exit and a fork after so many events (they are the last two), 0 = never
    uint32_t fork_pid
    uint32_t fork_pids
    uint8_t kind      # StepKind
    uint8_t reserved0
    uint16_t bulk     # MIX: 1 + index of its bulk record, 0 = line by line

cdef struct thread_t:  # where one part of the program is; never seen from Python
    uint64_t done     # events of the step so far
    uint64_t salt     # of the step: where FRESH begins
    uint64_t loops[8]
    uint32_t opens[8]
    uint32_t step
    uint32_t end      # one past its last step
    uint32_t depth
    uint32_t child    # exited, to be forked in the next event
    uint32_t weight
    uint32_t reserved0

cdef packed struct held_t:  # 8 bytes: what a reference number holds
    uint32_t kind     # releasing Op, 0 = free
    uint32_t page


cdef class Generator:
    cdef readonly object steps, lines
    # Arrays of numpy, which the pointers below look into.
    cdef object _threads, _cursors, _held, _bulk, _zipf, _drawn, _buffers
    cdef const step_t *step
    cdef const line_t *line
    cdef thread_t *thread
    cdef uint64_t *cursor
    cdef held_t *held
    cdef uint64_t *drawn            # pages that a ZIPF line took from its buffer, in all
    cdef uint32_t *buffer           # BUFFER pages of each line
    cdef void *bulk
    cdef void *zipf
    cdef uint32_t threads, references, turn, current
    cdef bint begun
    cdef uint64_t left              # events until the next thread's turn
    cdef uint64_t key
    cdef readonly uint64_t index    # events made so far
    cdef readonly uint64_t limit    # events at most

    cdef size_t chunk(self, event_t *out, size_t n) noexcept nogil
    cdef bint _next_thread(self) noexcept nogil
    cdef size_t _run(self, thread_t *t, event_t *out, size_t n) noexcept nogil
    cdef size_t _mix(self, thread_t *t, const step_t *s, event_t *out, size_t n) noexcept nogil
    cdef void _one(self, thread_t *t, const step_t *s, event_t *e, uint64_t at) noexcept nogil
    cdef void _finish(self, thread_t *t, const line_t *line, uint32_t number, event_t *e, uint64_t r) noexcept nogil
    cdef uint32_t _zipf_page(self, const line_t *line, uint32_t number) noexcept nogil
    cdef void _enter(self, thread_t *t) noexcept nogil
