# SPDX-License-Identifier: MIT
"""Pages, slots, ptes, processes and references as plain objects.

Nothing here decides anything.  The words of the tables (docs/model.md section 10) are put together
from the objects' fields on request, so that the rules can be written in terms of names.
"""

from __future__ import annotations

from cowfast._layout import PageFlag, ProcFlag, PteBit, SlotFlag

BLANK = (0, 0)  # the contents of a page of zeros: first word, last word


class Page:
    """One page frame that is in use."""

    FLAGS = {
        "dirty": PageFlag.PG_DIRTY,
        "exclusive": PageFlag.PG_EXCL,
        "lru": PageFlag.PG_LRU,
        "active": PageFlag.PG_ACTIVE,
        "referenced": PageFlag.PG_REFERENCED,
        "batched": PageFlag.PG_BATCH,
        "locked": PageFlag.PG_LOCKED,
        "ksm": PageFlag.PG_KSM,
        "writeback": PageFlag.PG_WRITEBACK,
        "reclaim": PageFlag.PG_RECLAIM,
        "readahead": PageFlag.PG_READAHEAD,
        "workingset": PageFlag.PG_WORKINGSET,
        "unmovable": PageFlag.PG_UNMOVABLE,
        "blank": PageFlag.PG_BLANK,
        "dropped": PageFlag.PG_DROPPED,
        "removed": PageFlag.PG_REMOVED,
        "stale": PageFlag.PG_STALE,
        "isolated": PageFlag.PG_ISOLATED,
    }

    dirty: bool
    exclusive: bool
    lru: bool
    active: bool
    referenced: bool
    batched: bool
    locked: bool
    ksm: bool
    writeback: bool
    reclaim: bool
    readahead: bool
    workingset: bool
    unmovable: bool
    blank: bool
    dropped: bool
    removed: bool
    stale: bool
    isolated: bool

    def __init__(self, number: int, vpage: int, unmovable: bool) -> None:
        for name in self.FLAGS:
            setattr(self, name, False)
        self.number = number
        self.vpage = vpage
        self.unmovable = unmovable
        self.refs = 1
        self.gets = 0
        self.pins = 0
        self.slot: Slot | None = None
        self.mappers: dict[int, Pte] = {}  # pid -> its present pte of this page
        self.contents = BLANK
        self.contents_when_dropped: tuple[int, int] | None = None

    @property
    def maps(self) -> int:
        return len(self.mappers)

    @property
    def maybe_pinned(self) -> bool:
        """page_maybe_dma_pinned: a small page cannot tell 1024 references from a pin."""
        return self.refs >= 1024

    @property
    def flags(self) -> int:
        return sum(bit for name, bit in self.FLAGS.items() if getattr(self, name))

    def __repr__(self) -> str:
        on = " ".join(name for name in self.FLAGS if getattr(self, name))
        return f"<page {self.number}: refs {self.refs}, maps {self.maps}, {self.slot or 'not in swap cache'}, {on}>"


class Slot:
    """One swap slot that is in use."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.swap_count = 0
        self.page: Page | None = None
        self.shadow: int | None = None
        self.shadow_workingset = False
        self.blank = False
        self.contents: tuple[int, int] | None = None  # None: nothing written yet

    @property
    def kind(self) -> str:
        """What it remembers: a cached page, the shadow of an evicted one, or nothing."""
        return "cached" if self.page is not None else "shadow" if self.shadow is not None else "empty"

    @property
    def flags(self) -> int:
        return (
            SlotFlag.SLOT_USED
            + (SlotFlag.SLOT_CACHED if self.page else 0)
            + (SlotFlag.SLOT_SHADOW if self.shadow is not None else 0)
            + (SlotFlag.SLOT_WORKINGSET if self.shadow_workingset else 0)
            + (SlotFlag.SLOT_BLANK if self.blank else 0)
        )

    def __repr__(self) -> str:
        return f"slot {self.number} (swap count {self.swap_count})"


class Pte:
    """One entry: exactly one of zero page, page, slot."""

    def __init__(self) -> None:
        self.zero = False
        self.page: Page | None = None
        self.slot: Slot | None = None
        self.write = False  # present: writable
        self.marked = False  # swap: the exclusive marker
        self.dirty = False
        self.young = False
        self.blank = False  # writable, but nothing stored since the page was zeroed

    @property
    def word(self) -> int:
        if self.page:
            kind, number = PteBit.PTE_PRESENT, self.page.number
        elif self.slot:
            kind, number = PteBit.PTE_SWAP, self.slot.number
        else:
            kind, number = PteBit.PTE_ZERO, 0
        return (
            (number << PteBit.PTE_SHIFT)
            + kind
            + sum(
                bit
                for on, bit in (
                    (self.write or self.marked, PteBit.PTE_WRITE),
                    (self.dirty, PteBit.PTE_DIRTY),
                    (self.young, PteBit.PTE_YOUNG),
                    (self.blank, PteBit.PTE_BLANK),
                )
                if on
            )
        )


class Process:
    """One process number, alive or not."""

    def __init__(self, number: int, cpu: int) -> None:
        self.number = number
        self.cpu = cpu
        self.home = cpu
        self.alive = False
        self.parent = number
        self.born()

    def born(self) -> None:
        """A new address space without a page."""
        self.ptes: dict[int, Pte] = {}
        self.has_anon = False
        self.has_pinned = False
        self.ra_last, self.ra_window, self.ra_hits = 0, 0, 4

    @property
    def flags(self) -> int:
        return (
            (ProcFlag.PROC_ALIVE if self.alive else 0)
            + (ProcFlag.PROC_HAS_ANON if self.has_anon else 0)
            + (ProcFlag.PROC_HAS_PINNED if self.has_pinned else 0)
        )


class Reference:
    """A get, a pin or a lock that somebody holds; page None: of the zero page, or of a page that is gone."""

    def __init__(self, kind: int, pid: int, vpage: int, flags: int, page: Page | None) -> None:
        self.kind, self.pid, self.vpage, self.flags, self.page = kind, pid, vpage, flags, page
