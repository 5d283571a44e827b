# SPDX-License-Identifier: MIT
# distutils: include_dirs = cowfast/workloads
# distutils: depends = cowfast/workloads/_draws.h
# distutils: extra_compile_args = -ffp-contract=off
"""Runs a compiled workload program: events in chunks, without the GIL.

A program (``program.py`` builds it) is a list of steps: mixes of events, and loops around them. What is
carried from event to event is small: the place in the program, cursors, and which reference numbers are
held. Every random choice is a function of the key and the event's index, so chunk sizes do not matter.

Bulk mixes (lines that share pids, pages and distribution) come 512 events at a time from the vectorised
loops of ``_draws.h``; other events one by one.
"""
from libc.stdint cimport UINT64_MAX
from libc.string cimport memset

import numpy as np

from cowfast._layout cimport (
    DISCARD, EXIT, FORK, GET, LOCK, PAGEOUT, PIN, PREFETCH, PROTECT, PUT, READ, MERGE, UNLOCK, UNPIN, WRITE,
)


cdef extern from "_draws.h" nogil:
    enum: SPECIAL
    enum: BUFFER
    ctypedef uint32_t word_t
    ctypedef struct zipf_t:
        pass
    ctypedef struct bulk_t:
        uint32_t lines, special, pid, pids, page, pages
        uint32_t limits[66]
        uint32_t heads[66]
    uint64_t draw(uint64_t key, uint64_t counter)
    uint64_t again(uint64_t r)
    uint32_t below(uint32_t r, uint32_t n)
    uint32_t spread_of(uint32_t n)
    void zipf_init(zipf_t *z, uint32_t n, double s, uint32_t spread)
    void zipf_buffer(const zipf_t *z, uint64_t key, uint64_t counter, uint32_t *page)
    void bulk_uniform(const bulk_t *b, uint64_t key, uint64_t counter, size_t n, word_t *out)
    void bulk_zipf(const bulk_t *b, const zipf_t *z, uint64_t key, uint64_t counter, size_t n, word_t *out)

# numpy's view of the records that a program is made of.
cdef line_t _line
cdef step_t _step
LINE = np.asarray(<line_t[:1]>&_line).dtype
STEP = np.asarray(<step_t[:1]>&_step).dtype

MAX_LINES = 64        # lines of a bulk mix
MAX_DEPTH = 8         # loops inside one another

cdef uint32_t HAS_PAGE = (
    1 << READ | 1 << WRITE | 1 << DISCARD | 1 << PROTECT | 1 << PAGEOUT | 1 << PREFETCH
    | 1 << GET | 1 << PIN | 1 << LOCK | 1 << MERGE
)


def spread(uint32_t n):
    """Return the multiplier that visits each of 0 .. n - 1 once, in jumps of about 0.618 n."""
    return spread_of(n)


cdef inline uint32_t releases(uint32_t op) noexcept nogil:
    return PUT if op == GET else UNPIN if op == PIN else UNLOCK


cdef class Generator:
    """The events of a program, in order.

    Parameters: ``steps`` (STEP), ``lines`` (LINE), ``parts``: (first step, one past the last, weight) of
    programs that take turns of ``turn`` events, a first one of weight 0 before the others; ``zipfs``:
    (n, s, spread) of each distribution; ``bulks``: (first line, last line) of each bulk mix; ``references``:
    how many reference numbers there are; ``key``: 64 bits that choose the stream; ``limit``: events at most.
    """

    def __init__(self, steps, lines, parts, zipfs, bulks, uint32_t references, uint64_t key, uint64_t limit,
                 uint32_t turn=64):
        cdef const step_t[::1] step_view = steps
        cdef const line_t[::1] line_view = lines
        cdef size_t i, j
        cdef const line_t *line
        cdef uint32_t head = 0
        cdef bulk_t *bulk
        self.steps, self.lines = steps, lines
        self._threads = np.zeros(len(parts) * sizeof(thread_t) // 8, np.uint64)
        self._cursors = np.zeros(len(lines), np.uint64)
        self._held = np.zeros((references + 1, 2), np.uint32)
        self._drawn = np.zeros(len(lines), np.uint64)
        self._buffers = np.zeros(len(lines) * BUFFER if len(zipfs) else 1, np.uint32)
        self._bulk = np.zeros((len(bulks) + 1) * sizeof(bulk_t), np.uint8)
        self._zipf = np.zeros((len(zipfs) + 1) * sizeof(zipf_t) // 8, np.float64)
        cdef uint64_t[::1] thread_view = self._threads
        cdef uint64_t[::1] cursor_view = self._cursors
        cdef uint64_t[::1] drawn_view = self._drawn
        cdef uint32_t[::1] buffer_view = self._buffers
        cdef uint32_t[:, ::1] held_view = self._held
        cdef uint8_t[::1] bulk_view = self._bulk
        cdef double[::1] zipf_view = self._zipf
        self.step, self.line, self.thread = &step_view[0], &line_view[0], <thread_t *>&thread_view[0]
        self.cursor, self.held = &cursor_view[0], <held_t *>&held_view[0, 0]
        self.drawn, self.buffer = &drawn_view[0], &buffer_view[0]
        self.bulk, self.zipf = &bulk_view[0], &zipf_view[0]
        self.threads, self.references = len(parts), references
        self.key, self.limit, self.turn = key, limit, turn
        for i, (first, end, weight) in enumerate(parts):
            self.thread[i].step, self.thread[i].end, self.thread[i].weight = first, end, weight
        for i, (n, s, multiplier) in enumerate(zipfs):
            zipf_init(<zipf_t *>self.zipf + i, n, s, multiplier)
        for i, (first, last) in enumerate(bulks):
            bulk = <bulk_t *>self.bulk + i
            line = self.line + <size_t>first
            bulk.lines = last - first
            bulk.pid, bulk.pids, bulk.page, bulk.pages = line.pid, line.pids, line.page, line.pages
            for j in range(sizeof(bulk.heads) // 4):
                if j < bulk.lines:
                    bulk.limits[j] = line[j].limit
                    head = line[j].op | line[j].flags << 8
                    if line[j].what != FIXED or line[j].arg or not HAS_PAGE >> line[j].op & 1:
                        head = SPECIAL | <uint32_t>j
                        bulk.special = 1
                bulk.heads[j] = head
        for i in range(self.threads):
            self._enter(self.thread + i)

    def fill(self, event_t[::1] out):  # OUT
        """Write the next events to ``out`` and return how many; fewer than its length at the end of the stream."""
        cdef size_t n = 0
        if out.shape[0]:
            with nogil:
                n = self.chunk(&out[0], out.shape[0])
        return n

    cdef size_t chunk(self, event_t *out, size_t n) noexcept nogil:
        cdef size_t done = 0, want, got
        if n > self.limit - self.index:
            n = self.limit - self.index
        while done < n:
            if self.left == 0 and not self._next_thread():
                break
            want = n - done
            if want > self.left:
                want = self.left
            got = self._run(self.thread + self.current, out + done, want)
            done += got
            self.left -= got
            if got < want:  # it has ended
                self.thread[self.current].weight = 0
                self.left = 0
        return done

    cdef bint _next_thread(self) noexcept nogil:
        """Choose who makes the next events: by weight, of those that have not ended; False if all have."""
        cdef uint64_t weight = 0
        cdef uint32_t i
        if not self.begun:
            self.begun = True
            if self.threads == 1 or self.thread[0].weight == 0:
                self.current, self.left = 0, UINT64_MAX
                return True
        for i in range(self.threads):
            weight += self.thread[i].weight
        if weight == 0:
            return False
        weight = draw(~self.key, self.index) % weight
        self.current = 0
        while weight >= self.thread[self.current].weight:
            weight -= self.thread[self.current].weight
            self.current += 1
        self.left = self.turn
        return True

    cdef void _enter(self, thread_t *t) noexcept nogil:
        """Begin the step that the thread has come to; passes over loops, which make no event."""
        cdef const step_t *s
        cdef uint32_t i
        while t.step < t.end:
            s = self.step + t.step
            if s.kind == MIX:
                t.done, t.salt = 0, again(draw(self.key, self.index))
                for i in range(s.first, s.last):
                    self.cursor[i] = 0
                return
            if s.kind == LOOP:
                t.loops[t.depth], t.opens[t.depth] = 0, t.step
                t.depth += 1
                t.step += 1
            else:
                t.loops[t.depth - 1] += 1
                if self.step[s.first].n and t.loops[t.depth - 1] >= self.step[s.first].n:
                    t.depth -= 1
                    t.step += 1
                else:
                    t.step = s.first + 1

    cdef size_t _run(self, thread_t *t, event_t *out, size_t n) noexcept nogil:
        cdef size_t done = 0, got
        cdef const step_t *s
        while done < n and t.step < t.end:
            s = self.step + t.step
            got = self._mix(t, s, out + done, n - done)
            done += got
            t.done += got
            self.index += got
            if s.n and t.done >= s.n:
                t.step += 1
                self._enter(t)
        return done

    cdef size_t _mix(self, thread_t *t, const step_t *s, event_t *out, size_t n) noexcept nogil:
        """Make up to ``n`` events of the step, at least one."""
        cdef size_t i
        cdef uint64_t phase, r
        cdef const bulk_t *b
        cdef const line_t *line
        if s.n and n > s.n - t.done:
            n = s.n - t.done
        if s.every:
            phase = t.done % s.every
            if s.n == 0 or t.done - phase + s.every <= s.n:  # never an exit whose fork would be cut off
                if phase >= s.every - 2:
                    memset(out, 0, sizeof(event_t))
                    if phase == s.every - 2:
                        r = draw(self.key, self.index)
                        t.child = s.fork_pid + below(<uint32_t>r, s.fork_pids)
                        out.op, out.pid = EXIT, t.child
                    else:
                        r = draw(self.key, self.index)
                        i = s.fork_pid + below(<uint32_t>r, s.fork_pids - 1)
                        out.op, out.pid, out.arg = FORK, i + (i >= t.child), t.child
                    return 1
                if n > s.every - 2 - phase:
                    n = s.every - 2 - phase
        if s.bulk == 0:
            for i in range(n):
                self._one(t, s, out + i, self.index + i)
            return n
        b = <bulk_t *>self.bulk + s.bulk - 1
        if b.special and n > 2048:  # they are looked for while the events are in L1
            n = 2048
        line = self.line + s.first
        if line.where == ZIPF:
            bulk_zipf(b, <zipf_t *>self.zipf + line.zipf, self.key, self.index, n, <word_t *>out)
        else:
            bulk_uniform(b, self.key, self.index, n, <word_t *>out)
        if b.special:
            for i in range(n):
                if out[i].op & SPECIAL:
                    self._finish(t, line + (out[i].op & ~SPECIAL), s.first + (out[i].op & ~SPECIAL), out + i,
                                 again(again(draw(self.key, self.index + i))))
        return n

    cdef void _one(self, thread_t *t, const step_t *s, event_t *e, uint64_t at) noexcept nogil:
        cdef uint64_t r = draw(self.key, at), c
        cdef uint32_t i = s.first
        cdef const line_t *line
        while i + 1 < s.last and <uint32_t>r >= self.line[i + 1].limit:
            i += 1
        line = self.line + i
        r = again(r)
        e.pid = line.pid
        if line.who == RANDOM:
            e.pid = line.pid + below(<uint32_t>r, line.pids)
        elif line.who == TURN:
            e.pid = line.pid + t.loops[t.depth - 1 - line.outer] % line.pids
        elif line.who == CURSOR:
            e.pid = line.pid + self.cursor[i] % line.pids
        e.page = line.page
        if line.where == RANDOM:
            e.page = line.page + below(r >> 32, line.pages)
        elif line.where == ZIPF:
            e.page = line.page + self._zipf_page(line, i)
        elif line.where == CURSOR:
            e.page = line.page + self.cursor[i] * line.size % line.pages
        elif line.where == SPREAD:
            e.page = line.page + self.cursor[i] % line.pages * line.spread % line.pages
        elif line.where == FRESH:
            c = self.cursor[i] + below(t.salt >> 32, line.pages)
            e.page = line.page + c % line.pages * line.spread % line.pages
        elif line.where == TURN:
            e.page = line.page + t.loops[t.depth - 1 - line.outer] * line.size % line.pages
        self._finish(t, line, i, e, again(r ^ t.salt))
        self.cursor[i] += 1

    cdef uint32_t _zipf_page(self, const line_t *line, uint32_t number) noexcept nogil:
        """Return the line's next page: drawn many at a time, in vectors, from a key and a count of its own."""
        cdef uint64_t at = self.drawn[number]
        cdef uint32_t *buffer = self.buffer + <size_t>number * BUFFER
        if at % BUFFER == 0:
            zipf_buffer(<zipf_t *>self.zipf + line.zipf, again(self.key ^ number), at, buffer)
        self.drawn[number] = at + 1
        return buffer[at % BUFFER]

    cdef void _finish(self, thread_t *t, const line_t *line, uint32_t number, event_t *e, uint64_t r) noexcept nogil:
        """Operation, flags and argument of an event whose pid and page are chosen."""
        cdef uint32_t ref, i
        cdef held_t *h
        e.op, e.flags, e.arg = line.op, line.flags, line.arg
        if line.what == RANDOM:
            e.arg = line.arg + below(<uint32_t>r, line.args)
        elif line.what == CURSOR:
            e.arg = line.arg + self.cursor[number] % line.args
        elif line.what == TURN:
            e.arg = line.arg + t.loops[t.depth - 1 - line.outer] % line.args
        elif line.what == OTHER:
            e.arg = line.arg + below(<uint32_t>r, line.args - 1)
            e.arg += e.arg >= e.pid
        elif line.what == TOGGLE or line.what == HELD:
            ref = line.arg + below(<uint32_t>r, line.args)
            h = self.held + ref
            e.arg = ref
            if line.what == HELD:
                if h.kind == 0:
                    e.op, e.flags, e.arg = READ, 0, 0
            elif h.kind:
                e.op, e.flags, h.kind = h.kind, 0, 0
            else:
                h.kind, h.page = releases(line.op), e.page
                if line.op == LOCK:  # two processes may share the page: one lock a page number
                    for i in range(self.references):
                        if self.held[i].kind == UNLOCK and self.held[i].page == e.page and i != ref:
                            h.kind = 0
                    if h.kind == 0:
                        e.op, e.flags, e.arg = READ, 0, 0
        if line.size > 1 and e.page + line.size > line.page + line.pages:
            e.page = line.page + line.pages - line.size
        if not HAS_PAGE >> e.op & 1:
            e.page = 0
