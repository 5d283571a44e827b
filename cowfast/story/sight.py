# SPDX-License-Identifier: MIT
"""Who sees which store, and whether he should: a run of the reference model with what each process ought to see beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cowfast._layout import CONTENT, EventFlag, Op, RefKind
from cowfast.events import make_events
from cowfast.litmus import say
from cowfast.machine import Machine
from cowfast.policy import Policy
from cowfast.reference import Reference

Viewer = tuple[str, int]
"""("process", pid) or ("ref", reference number)."""


@dataclass
class Watcher:
    """Who sees which store: a run of the reference model, and beside it what each process ought to see."""

    policy: Policy
    machine: Machine
    make: type[Reference] = Reference
    """what runs the events"""
    pages: Sequence[int] | None = None
    """addresses that are looked at; None: all"""
    known: dict[Viewer, set[int]] = field(default_factory=lambda: {("process", 0): {0}})
    expected: dict[tuple[int, int], int] = field(default_factory=dict)
    attached: set[int] = field(default_factory=set)
    takers: dict[int, object] = field(default_factory=dict)
    writer: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.model = self.make(self.policy, self.machine)
        self.pages = range(self.machine.space) if self.pages is None else self.pages
        self.born: dict[int, object] = {0: object()}

    def do(self, event: np.void) -> str:
        """Do one event; return its outcome in words."""
        op, pid, page, arg = (int(event[name]) for name in ("op", "pid", "page", "arg"))
        mine = self.known.get(("process", pid), set())
        holder = self.model.references.get(arg)
        before = self.seen_by_process(pid, page) if op == Op.MERGE and pid < self.machine.processes else 0
        outcome, value = np.zeros(1, np.uint32), np.zeros(1, CONTENT)
        self.model.run(np.atleast_1d(event), outcome, value)
        stamp = self.model.time
        if op == Op.WRITE:
            self.expected[pid, page] = stamp
            self.learn(self.born[pid], stamp, f"process {pid}")
        elif op == Op.PINWRITE and holder is not None and holder.page is not None:
            self.learn(self.takers[arg], stamp, f"the device of pin {arg}")
            if arg in self.attached:
                self.expected[holder.pid, holder.vpage] = stamp
        elif op == Op.FORK:
            self.born[arg] = object()
            self.known["process", arg] = set(mine)
            self.expected |= {(arg, v): value for (p, v), value in self.expected.items() if p == pid}
        elif op == Op.MERGE and self.seen_by_process(pid, page) != before:  # KSM merges equal pages; a program need not
            self.expected[pid, page] = self.seen_by_process(pid, page)
            self.known["process", pid].add(self.expected[pid, page])
        elif op in (Op.GET, Op.PIN):
            self.known["ref", arg] = set(mine)
            self.takers[arg] = self.born[pid]
            if op == Op.PIN:
                self.attached.add(arg)
        elif op in (Op.PUT, Op.UNPIN):
            self.known.pop(("ref", arg), None)
            self.attached.discard(arg)
        elif op in (Op.DISCARD, Op.EXEC, Op.EXIT):
            gone = range(page, page + max(arg, 1)) if op == Op.DISCARD else range(self.machine.space)
            for v in [v for v in self.pages or () if v in gone]:
                self.expected[pid, v] = 0
                self.attached -= {r for r in self.attached if self.takers[r] is self.born[pid] and self.vpage(r) == v}
            if op == Op.EXIT:
                del self.known["process", pid]
        return say(op, int(outcome[0]), value[0])

    def vpage(self, ref: int) -> int:
        """Return the address at which a reference was taken."""
        return self.model.references[ref].vpage

    def learn(self, taker: object, stamp: int, writer: str) -> None:
        """A store is no news to the process that made it, nor to its references."""
        self.writer[stamp] = writer
        for (kind, number), known in self.known.items():
            if (self.takers[number] if kind == "ref" else self.born[number]) is taker:
                known.add(stamp)

    def seen_by_process(self, pid: int, page: int) -> int:
        """Return the store that a load would show now; 0 is zeros."""
        pte = self.model.processes[pid].ptes.get(page)
        if pte is None or (pte.page is None and pte.slot is None):
            return 0
        if pte.page is not None:
            return int(pte.page.contents[0])
        assert pte.slot is not None
        if pte.slot.page is not None:
            return int(pte.slot.page.contents[0])
        return int(pte.slot.contents[0]) if pte.slot.contents else 0

    def seen_by_reference(self, ref: int) -> int:
        """Return the store that is seen through a get or a pin."""
        page = self.model.references[ref].page
        return int(page.contents[0]) if page else 0

    def views(self) -> list[tuple[str, str, np.ndarray]]:
        """Return (who, what is seen or what is wrong with it, the events that show it), for everybody."""
        found = []
        for process in self.model.processes:
            for v in self.pages or ():
                if not process.alive:
                    continue
                pid = process.number
                seen, wanted = self.seen_by_process(pid, v), self.expected.get((pid, v), 0)
                text = _value(seen)
                if seen not in self.known["process", pid]:
                    text += f" LEAK: stored by {self.writer[seen]} after they separated"
                elif seen != wanted:
                    text += f" LOST: its last is {_value(wanted)}"
                where = f" at page {v}" if self.machine.space > 1 else ""
                found.append((f"process {pid}{where}", text, _shown((Op.READ, pid, v, 0, 0))))
        for number, ref in sorted(self.model.references.items()):
            if ref.kind not in (RefKind.REF_GET, RefKind.REF_PIN):
                continue
            seen = self.seen_by_reference(number)
            text = _value(seen)
            rows = [(Op.PINREAD, 0, 0, number, 0)]
            if seen not in self.known["ref", number]:
                text += f" LEAK: stored by {self.writer[seen]} after they separated"
            if number in self.attached and ref.flags & (EventFlag.EV_WRITE | EventFlag.EV_LONGTERM):
                owner = self.seen_by_process(ref.pid, ref.vpage)
                if owner != seen:
                    text += f" APART: process {ref.pid}, whose pin it is, sees {_value(owner)}"
                    rows.append((Op.READ, ref.pid, ref.vpage, 0, 0))
            kind = "get" if ref.kind == RefKind.REF_GET else "pin"
            found.append((f"{kind} {number}", text, _shown(*rows)))
        return found


def _shown(*rows: tuple[int, int, int, int, int]) -> np.ndarray:
    return make_events(rows)


def _value(stamp: int) -> str:
    return f"#{stamp}" if stamp else "zeros"


__all__ = ["Watcher"]
