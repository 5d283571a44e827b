# SPDX-License-Identifier: MIT
"""The small system whose states are explored: how many processes, pages and references, and what may happen."""

from __future__ import annotations

import msgspec
import numpy as np

from cowfast.errors import SpecError
from cowfast.events import EVENT, EventFlag, Op, make_events
from cowfast.litmus import MACHINES
from cowfast.machine import Machine

DEVICES = {"async": "disk", "sync": "zram-no-readahead"}
"""Kind of swap device -> the machine of litmus files that has it."""

EVENTS = {
    op.name.lower(): op
    for op in (
        Op.READ, Op.WRITE, Op.DISCARD, Op.PAGEOUT, Op.PREFETCH, Op.PROTECT, Op.FORK, Op.EXIT, Op.EXEC, Op.RECLAIM, Op.DRAIN,
        Op.GET, Op.PUT, Op.PIN, Op.PINWRITE, Op.UNPIN, Op.LOCK, Op.UNLOCK, Op.MERGE,
    )
}  # fmt: skip
"""Everything that can happen in an explored system, by the names that event texts have."""


class System(msgspec.Struct, frozen=True, kw_only=True):
    """How large the explored system is.

    Raises
    ------
    SpecError
        a size that cannot be explored, and what can
    """

    processes: int = 2
    pages: int = 1
    gets: int = 1
    """read-only FOLL_GET references whose holder looks at the contents (vmsplice)"""
    pins: int = 1
    """FOLL_PIN references: read-write, and read-only long-term"""
    locks: int = 0
    """page locks that somebody else holds for a while"""
    lru_batch: int = -1
    """entries of an LRU batch; -1 is the policy's.  Up to 4, a full batch and what nobody sees in it count too"""
    without: tuple[str, ...] = ()
    """events that never happen here: names in :data:`EVENTS`"""

    def __post_init__(self) -> None:
        for name, low, high in (("processes", 1, 3), ("pages", 1, 2), ("gets", 0, 2), ("pins", 0, 2), ("locks", 0, 1)):
            if not low <= getattr(self, name) <= high:
                raise SpecError(f"{name} {getattr(self, name)}: write {low} to {high}")
        if self.gets + self.pins + self.locks > 4:
            raise SpecError("at most four references (gets, pins and locks together)")
        for name in self.without:
            if name not in EVENTS:
                raise SpecError(f"unknown event {name!r}; the events explored are {', '.join(EVENTS)}")

    @property
    def references(self) -> int:
        """Reference numbers: gets first, then pins, then locks."""
        return self.gets + self.pins + self.locks

    def machine(self, device: str) -> Machine:
        """Return the machine with this device (:data:`DEVICES`)."""
        return MACHINES[DEVICES[device]].replace(
            space=self.pages,
            processes=self.processes,
            references=max(self.references, 1),
            lru_batch=self.lru_batch,
        )

    def events(self) -> np.ndarray:
        """Return everything that may happen, dtype ``EVENT``.

        Left out: ``pinread`` changes nothing; a get or pin that is not listed under *gets* and *pins* (a FOLL_GET with
        FOLL_WRITE is not protected over fork by any kernel, open(2) says so); other CPUs, full swap; what *without* names.
        """
        found: list[tuple[int, int, int, int, int]] = []
        processes, pages = range(self.processes), range(self.pages)
        for op in (Op.WRITE, Op.READ, Op.DISCARD, Op.PAGEOUT, Op.PREFETCH, Op.PROTECT):
            found += [(op, pid, page, 0, 0) for pid in processes for page in pages]
        found += [(Op.FORK, pid, 0, child, 0) for pid in processes for child in processes if child != pid]
        found += [(op, pid, 0, 0, 0) for op in (Op.EXIT, Op.EXEC) for pid in processes]
        found += [(Op.RECLAIM, 0, 0, 0, 0), (Op.DRAIN, 0, 0, 0, 0)]
        for ref in range(self.references):
            where = [(pid, page) for pid in processes for page in pages]
            if ref < self.gets:
                found += [(Op.GET, pid, page, ref, EventFlag.EV_LOOK) for pid, page in where]
                found.append((Op.PUT, 0, 0, ref, 0))
            elif ref < self.gets + self.pins:
                for flag in (EventFlag.EV_WRITE, EventFlag.EV_LONGTERM):
                    found += [(Op.PIN, pid, page, ref, flag) for pid, page in where]
                found += [(op, 0, 0, ref, 0) for op in (Op.PINWRITE, Op.UNPIN)]
            else:
                found += [(Op.LOCK, pid, page, ref, 0) for pid, page in where]
                found.append((Op.UNLOCK, 0, 0, ref, 0))
        found += [(Op.MERGE, a, page, b, 0) for a in processes for b in processes if a != b for page in pages]
        gone = {EVENTS[name] for name in self.without}
        return make_events([event for event in found if event[0] not in gone]).astype(EVENT)
