# SPDX-License-Identifier: MIT
"""Every record and every enumeration of cowfast, defined once.

C sees the structs, numpy sees the dtypes that ``_layout.pyx`` derives from them, Python
sees the enums as ``enum.IntEnum``.  Fields are ordered large to small and padding is
spelled out; ``tests/test_layout.py`` pins sizes and offsets.  What each field means and
which rule moves it is docs/model.md; widths are justified here.
"""
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

# ---------------------------------------------------------------- vocabulary


cpdef enum Op:  # one event; arguments in docs/model.md section 2
    READ = 0
    WRITE = 1
    FORK = 2
    EXIT = 3
    EXEC = 4
    DISCARD = 5
    PROTECT = 6
    PAGEOUT = 7
    RECLAIM = 8
    PREFETCH = 9
    DRAIN = 10
    GET = 11
    PUT = 12
    PIN = 13
    UNPIN = 14
    PINREAD = 15
    PINWRITE = 16
    LOCK = 17
    UNLOCK = 18
    MERGE = 19
    CPU = 20
    FILLSWAP = 21
    FREESWAP = 22
    NR_OPS = 23


cpdef enum EventFlag:
    EV_LOOK = 1       # get: its holder will look at the contents (vmsplice)
    EV_WRITE = 2      # get, pin: FOLL_WRITE
    EV_LONGTERM = 4   # pin: FOLL_LONGTERM


cpdef enum Outcome:  # bit set of one event; the two fields on top hold small numbers
    FAULT = 1
    WRITE_FAULT = 2          # write to a present, write-protected anonymous pte (do_wp_page)
    MAJOR = 4                # swap-in that read the device (or zram)
    ZERO_PAGE = 8            # zero page mapped by a read
    ZERO_FILLED = 16         # new zeroed page
    REUSED = 32
    COPIED = 64
    NEEDLESS = 128
    MISSED = 256
    PIN_BROKEN = 512
    SWAP_IN = 1024
    FROM_CACHE = 2048        # swap-in found the page in the swap cache
    PAST_CACHE = 4096        # swap-in bypassed the swap cache
    MAPPED_WRITABLE = 8192   # swap-in installed a writable pte
    REMOVED = 16384          # a page left the swap cache alive in this event's decision
    FUTILE = 32768           # ... and the fault copied anyway
    DRAINED = 65536          # an LRU batch was drained (even an empty one)
    LOCK_FAILED = 131072
    UNSHARED = 262144
    EARLY_COPY = 524288      # fork copied a pinned page
    RECLAIMED = 1048576      # pages were scanned by reclaim in this event
    SWAP_WRITE = 2097152     # a page was written to the swap device in this event
    SKIPPED = 4194304        # defined no-op (docs/model.md section 2)
    CHECK_SHIFT = 23         # 5 bits: 1 + index of the write-fault check that decided, 0 = none
    CAUSE_SHIFT = 28         # 4 bits: Cause of a needless copy


cpdef enum Cause:  # why a needless copy was made; exactly one, docs/model.md section 8
    CAUSE_NONE = 0
    CAUSE_SWAP_CACHE = 1
    CAUSE_LRU_BATCH = 2
    CAUSE_TRANSIENT_GET = 3
    CAUSE_LOCK = 4
    CAUSE_KSM = 5
    CAUSE_PRE_CHECK = 6
    CAUSE_LOST_EXCLUSIVITY = 7


cpdef enum PteBit:  # low 6 bits of pte_t.word; the upper 26 are a page or slot number
    PTE_KIND = 3        # mask of the two kind bits
    PTE_NONE = 0
    PTE_ZERO = 1        # the shared zero page, read-only
    PTE_PRESENT = 2
    PTE_SWAP = 3
    PTE_WRITE = 4       # present: writable; swap: exclusive marker
    PTE_DIRTY = 8
    PTE_YOUNG = 16
    PTE_BLANK = 32      # present and writable, but nothing stored yet since the page was zeroed
    PTE_SHIFT = 6


cpdef enum PageFlag:
    PG_EXCL = 1         # PG_anon_exclusive; the five on top are what write faults ask (verdict table)
    PG_LRU = 2          # on the active or inactive list
    PG_KSM = 4
    PG_LOCKED = 8       # somebody else holds the page lock
    PG_WRITEBACK = 16
    PG_DIRTY = 32
    PG_ACTIVE = 64
    PG_REFERENCED = 128
    PG_BATCH = 256      # in some CPU's LRU batch (holds one reference)
    PG_RECLAIM = 512    # rotate to the tail of the inactive list when writeback ends
    PG_READAHEAD = 1024
    PG_WORKINGSET = 2048
    PG_UNMOVABLE = 4096  # taken from (and freed to) the unmovable free list
    PG_BLANK = 8192     # contents are all zeros
    PG_DROPPED = 16384  # left the swap cache alive while equal to the device copy
    PG_REMOVED = 32768  # left the swap cache alive (a later slot is a re-add)
    PG_STALE = 65536    # written through a pin since the last write-out (differs from its slot, clean)
    PG_ISOLATED = 131072  # taken off the LRU by reclaim (holds one reference); never set between events
    PG_SWAPCACHE = 262144  # place_t.slot is a slot; says the same as that, where nobody need look at the place


cpdef enum SlotFlag:
    SLOT_USED = 1       # allocated
    SLOT_CACHED = 2     # slot_t.page is a page number; otherwise the eviction shadow
    SLOT_SHADOW = 4     # slot_t.page is a valid shadow
    SLOT_WORKINGSET = 8  # the shadow's page was a workingset page
    SLOT_BLANK = 16     # the device copy is all zeros


cpdef enum ProcFlag:
    PROC_ALIVE = 1
    PROC_HAS_ANON = 2   # the mapping ever had an anonymous page (anon_vma exists)
    PROC_HAS_PINNED = 4  # mm.has_pinned, sticky


cpdef enum RefKind:
    REF_NONE = 0
    REF_GET = 1
    REF_PIN = 2
    REF_LOCK = 3


cpdef enum Number:  # what is fixed in the tables
    LEAF = 512          # ptes of a leaf table
    MASKED = 64         # processes, up to which a page's mappers are bits of one word
    PIN_BIAS = 1024     # references of one pin (GUP_PIN_COUNTING_BIAS)
    NOBODY = 65535      # ref_t.pid: who took it is gone


cpdef enum Status:  # what native code returns; negative = bad event, 0 = done, positive = wants room
    DONE = 0
    WANT_PAGES = 1
    WANT_LEAVES = 2
    WANT_SLOTS = 3
    ERR_BAD_OP = -1
    ERR_BAD_PID = -2
    ERR_BAD_PAGE = -3
    ERR_DEAD_PID = -4
    ERR_CHILD_ALIVE = -5
    ERR_BAD_REF = -6
    ERR_REF_BUSY = -7
    ERR_REF_EMPTY = -8
    ERR_REF_KIND = -9
    ERR_ALREADY_LOCKED = -10
    ERR_MEMORY_FULL = -11
    ERR_SWAP_FULL = -12
    ERR_COUNT_LIMIT = -13
    ERR_BAD_FLAGS = -14
    ERR_TABLE_LIMIT = -15
    ERR_BAD_CPU = -16


# ---------------------------------------------------------------- policy opcodes (docs/model.md section 4)


cpdef enum CheckOp:
    CHECK_END = 0
    CHECK_COPY = 1
    CHECK_REUSE = 2
    CHECK_LEAVE_AND_REUSE = 3
    CHECK_LOCK_OR_COPY = 4
    CHECK_LOCK_OR_WAIT = 5
    CHECK_DRAIN = 6
    CHECK_LEAVE_SWAP_CACHE = 7
    CHECK_FREE_ENTRY = 8
    CHECK_MARK_EXCLUSIVE = 9
    CHECK_MAP_WRITABLE = 10
    CHECK_MAP = 11


cpdef enum Predicate:
    IS_KSM = 1
    IS_EXCLUSIVE = 2
    IS_CACHED = 4
    IS_OFF_LRU = 8
    IS_WRITE = 16
    IS_PAST_CACHE = 32
    IS_MARKED = 64
    IS_SWAP_FULL = 128
    IS_SYNC = 256
    IS_STABLE_WRITEBACK = 512
    IS_WRITEBACK = 1024
    IS_VISIBLE = 2048      # somebody else can see the page (docs/model.md section 7)
    IS_FRESH = 4096        # in an LRU batch of this CPU


cpdef enum Measure:
    MEASURE_NONE = 0
    MEASURE_REFS = 1
    MEASURE_MAPS = 2
    MEASURE_SWAP_COUNT = 3
    MEASURE_MAPS_PLUS_SWAP_COUNT = 4


cpdef enum Compare:
    CMP_NONE = 0
    CMP_EQ = 1
    CMP_NE = 2
    CMP_GT = 3
    CMP_LT = 4
    CMP_GE = 5
    CMP_LE = 6


cpdef enum Plus:
    PLUS_NOTHING = 0
    PLUS_CACHED = 1
    PLUS_OFF_LRU = 2


# ---------------------------------------------------------------- records

cdef packed struct event_t:  # 12 bytes
    uint8_t op        # Op
    uint8_t flags     # EventFlag
    uint16_t pid      # 0 .. 65534
    uint32_t page     # virtual page number
    uint32_t arg

cdef packed struct pte_t:  # 4 bytes
    uint32_t word     # number << 6 | PteBit; 26 bits number 2^26 pages (256 GiB) or slots

cdef packed struct link_t:  # 4 bytes, one for each pte; only on machines of more than MASKED processes
    uint16_t next     # ring of the processes that map the same page at this address;
    uint16_t prev     # meaningful while present, a process alone points at itself

cdef packed struct page_t:  # 16 bytes, a quarter of a cache line: what write faults, forks and exits ask and change
    # who maps it.  Up to MASKED processes: bit p for process p; more: how many (at most one pte a process) in the low
    # 16 bits, then any of them (head of the ring of ptes), 0 if nobody
    uint64_t who
    uint32_t refs     # 65,535 maps + 65,535 pins x 1024 + 65,535 gets + 3 < 2^27
    uint32_t flags    # PageFlag

cdef packed struct place_t:  # 12 bytes, a page's by its number: where it belongs, what lists, reclaim and swap ask
    uint32_t vpage    # virtual page number, the same in every process that maps it
    uint32_t slot     # 0: not in the swap cache
    uint32_t lru      # place in its LRU ring

cdef packed struct slot_t:  # 8 bytes
    uint32_t page     # cached page, or shadow, or next free slot
    uint16_t swap_count  # swap ptes that name it: at most one a process
    uint16_t flags    # SlotFlag

cdef packed struct proc_t:  # 32 bytes
    uint32_t ra_last  # VMA readahead word: last address + 1 (0: none yet)
    uint32_t present  # ptes that name a page
    uint32_t swapped  # swap ptes
    uint32_t zeros    # ptes of the zero page
    uint32_t leaves   # leaf tables held
    uint16_t ra_window
    uint16_t ra_hits
    uint16_t cpu
    uint16_t parent   # who forked it; itself for process 0
    uint8_t flags     # ProcFlag
    uint8_t reserved0
    uint16_t reserved1

cdef packed struct ref_t:  # 16 bytes: a get, a pin or a lock, by its number
    uint32_t page
    uint32_t vpage
    uint16_t pid      # who took it
    uint8_t kind      # RefKind
    uint8_t flags     # EventFlag
    uint32_t reserved0

cdef packed struct check_t:  # 12 bytes: one compiled policy check
    int32_t n
    uint16_t must     # Predicate bits that must hold
    uint16_t mustnot  # Predicate bits that must not
    uint8_t op        # CheckOp
    uint8_t measure   # Measure
    uint8_t compare   # Compare
    uint8_t plus      # Plus

cdef packed struct content_t:  # 8 bytes: what is in a page, for value checks (optional side table)
    uint32_t first    # first word
    uint32_t last     # last word; differs only after a pinwrite, which stores the first

# ---------------------------------------------------------------- counters
# Names are the lower-case enumerators, "__" read as "."; unit and meaning in counters.py.

cpdef enum Counter:
    C_EVENTS = 0
    C_FAULTS
    C_WRITE_FAULTS
    C_REUSES
    C_COPIES
    C_NEEDLESS_COPIES
    C_NEEDLESS_BY_CAUSE__SWAP_CACHE   # the seven causes in the order of Cause
    C_NEEDLESS_BY_CAUSE__LRU_BATCH
    C_NEEDLESS_BY_CAUSE__TRANSIENT_GET
    C_NEEDLESS_BY_CAUSE__LOCK
    C_NEEDLESS_BY_CAUSE__KSM
    C_NEEDLESS_BY_CAUSE__PRE_CHECK
    C_NEEDLESS_BY_CAUSE__LOST_EXCLUSIVITY
    C_MISSED_COPIES
    C_BROKEN_PINS
    C_ZERO_FILLS
    C_ZERO_PAGES
    C_SWAP_INS
    C_MAJOR_FAULTS
    C_SWAP_CACHE_HITS
    C_SWAP_CACHE_ADDS
    C_SWAP_CACHE_REMOVALS
    C_REMOVALS_BY_CAUSE__WRITE_FAULT
    C_REMOVALS_BY_CAUSE__SWAP_IN
    C_REMOVALS_BY_CAUSE__COPY
    C_REMOVALS_BY_CAUSE__UNMAP
    C_REMOVALS_BY_CAUSE__ZAP
    C_REMOVALS_BY_CAUSE__MERGE
    C_REMOVALS_BY_CAUSE__ACTIVATE
    C_REMOVALS_BY_CAUSE__WRITEPAGE
    C_REMOVALS_BY_CAUSE__RECLAIM
    C_FUTILE_REMOVALS
    C_SWAP_CACHE_READDS
    C_SLOT_ALLOCS
    C_SLOT_FREES
    C_SWAP_READS
    C_SWAP_READS_BLANK
    C_SWAP_WRITES
    C_SWAP_WRITES_BLANK
    C_AVOIDABLE_WRITES
    C_READAHEAD
    C_READAHEAD_HITS
    C_DRAINS
    C_DRAINED_PAGES
    C_LOCK_FAILURES
    C_LOCK_WAITS
    C_FORKS
    C_PTES_COPIED
    C_EARLY_COPIES
    C_EXITS
    C_PTES_ZAPPED
    C_UNSHARES
    C_UNSHARE_COPIES
    C_KSM_COPIES
    C_MERGES
    C_RECLAIMS            # direct reclaims by a charge
    C_PAGES_SCANNED
    C_PAGES_RECLAIMED
    C_PAGES_ACTIVATED
    C_PAGES_DEACTIVATED
    C_REFAULTS
    C_REFAULT_ACTIVATIONS
    C_PAGE_ALLOCS
    C_PAGE_FREES
    C_PAGES_PEAK          # maximum, not a sum
    C_SLOTS_PEAK          # maximum, not a sum
    NR_COUNTERS
