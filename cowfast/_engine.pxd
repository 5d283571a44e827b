# SPDX-License-Identifier: MIT
"""What other compiled modules may use of the engine: its tables, and one event at a time.

``cowfast.explore`` puts states into the tables, does one event, and looks at the tables again.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from cowfast._layout cimport C_PAGES_PEAK, LEAF, MASKED, check_t, content_t, event_t, link_t, page_t, place_t, proc_t, pte_t, ref_t, slot_t

cdef enum:
    CLUSTER = 32           # SWAP_CLUSTER_MAX
    NR_LISTS = 3

cdef struct Sim:
    # tables
    uint32_t *dirs         # [processes x ndir] leaf numbers, 0 = none
    uint8_t *dir_used      # [processes x ndir / dir_group]: 1 = a leaf may be there, so that nobody walks what was never touched
    pte_t *ptes            # [leaves x 512]; leaf 0 is empty for ever
    link_t *links          # [leaves x 512] rings of the ptes; NULL = a page's mappers are bits of page_t.who
    page_t *pages
    place_t *places        # [pages]
    slot_t *slots
    proc_t *procs
    ref_t *refs
    content_t *contents    # of pages; NULL = not kept
    content_t *slot_contents
    uint32_t *ring[2]      # LRU lists: page numbers from the tail to the head, 0 where one was taken out
    uint32_t *batch        # [cpus x batch_size]
    uint32_t *batch_len
    uint32_t *leaf_free
    uint32_t *page_free    # numbers of free pages: the movable from the bottom up, the unmovable from the top down
    uint32_t *wb_page      # pages under writeback, a ring in order of submission
    uint64_t *wb_due
    uint8_t *verdict       # what the write-fault checks say of an ordinary page
    uint8_t *entry         # what the swap-in checks do with one
    check_t *write_fault
    check_t *swap_in
    uint64_t *c            # counters
    # sizes
    uint32_t processes, ndir, dir_group, references, ref_high, cpus, batch_size
    uint64_t space
    uint32_t page_cap, next_page, live, memory
    uint32_t free_movable, free_unmovable  # how many
    uint32_t total_slots, next_slot, free_slot, used_slots, filled
    uint32_t nleaf_free
    # lists
    uint32_t tail[2]       # place of the oldest entry
    uint32_t head[2]       # place behind the newest
    uint32_t span[2]       # entries from tail to head, holes among them
    uint32_t length[2]     # pages
    uint32_t ring_cap
    int64_t refaulted
    int64_t seen[NR_LISTS]
    int64_t pending[NR_LISTS]
    int64_t snapshot
    uint32_t age
    uint32_t plug[CLUSTER]
    uint32_t nplug
    uint32_t wb_head, wb_len, wb_cap
    uint64_t live_pins
    uint32_t roomy         # live pages below which a copy needs no more than a free number
    uint32_t shared        # the verdict on a page that others map and nothing else is known of; 0 = ask the table
    uint32_t rotates       # PG_WRITEBACK, where a write ends with the pass that began it and no statistic tells the moves between
    uint32_t made          # flags of a page that a copy made
    uint64_t quick_copies  # not counted yet
    uint64_t quick_reuses
    uint64_t quick_swap_ins
    # machine and policy
    bint has_swap, sync, stable
    uint64_t latency, flush_events
    uint32_t page_cluster
    bint exclusive, copy_leaves, bypass, unshare_zero, skips_pinned, rechecks_pinned, refuses_pinned, unmap_drains
    bint readahead_drains, longterm_unmovable, blank_io_free, pin_references, pageout_looks, shadow_before
    int get_read, pin_read, fork_rule, protect_rule
    int64_t stat_step
    int stat_flush
    # the event under way
    uint64_t time, special
    uint32_t outcome
    uint32_t cpu
    bint far               # tables so large that prefetch pays
    uint32_t left          # the page that left the swap cache in this access
    uint32_t blamed_in     # the last situation of an ordinary needless copy, and
    uint32_t blamed        # the cause
    bint unmovable, freed_slot, round_freed, round_wrote, round_cleared
    content_t value


cdef inline pte_t *pte_in(pte_t *ptes, uint32_t *dirs, size_t ndir, size_t pid, uint32_t v) noexcept nogil:
    """``pte_at`` for a loop that keeps the tables in registers."""
    return ptes + <size_t>dirs[pid * ndir + (v >> 9)] * LEAF + (v & (LEAF - 1))

cdef inline pte_t *pte_at(Sim *s, uint32_t pid, uint32_t v) noexcept nogil:
    return pte_in(s.ptes, s.dirs, s.ndir, pid, v)

cdef inline uint64_t bit_of(uint32_t pid) noexcept nogil:
    """In page_t.who, where links are NULL."""
    return <uint64_t>1 << (pid & (MASKED - 1))

cdef inline void peak(Sim *s) noexcept nogil:
    """Asked before pages are freed, and after all events, in place of at each allocation."""
    if s.live > s.c[<int>C_PAGES_PEAK]:
        s.c[<int>C_PAGES_PEAK] = s.live

cdef int check(Sim *s, event_t *e) noexcept nogil
cdef int do_event(Sim *s, event_t *e) noexcept nogil


cdef class Engine:
    cdef Sim s
    cdef readonly object policy, machine
    cdef dict arrays
    cdef bint busy

    cdef void point(self)
    cdef void alone(self) except *
    cdef void grow_pages(self, cap, contents=*) except *
    cdef int64_t run_alone(self, events, outcomes, values) except -1
    cdef void grow_leaves(self, n) except *
