# SPDX-License-Identifier: MIT
"""The reference model: which rule an event is, and the state as a dictionary."""

from __future__ import annotations

from typing import Any

import numpy as np

from cowfast._layout import EventFlag, Op, RefKind, Status
from cowfast.counters import Counters
from cowfast.errors import raise_status
from cowfast.events import format_event
from cowfast.machine import Machine
from cowfast.policy import Policy
from cowfast.reference.memory import Refused
from cowfast.reference.objects import BLANK, Process
from cowfast.reference.paths import Paths
from cowfast.reference.verify import verify

FLAGS_ALLOWED = {Op.GET: EventFlag.EV_LOOK | EventFlag.EV_WRITE, Op.PIN: EventFlag.EV_WRITE | EventFlag.EV_LONGTERM}
RANGED = {Op.DISCARD, Op.PROTECT, Op.PAGEOUT, Op.PREFETCH}
PAGED = {Op.READ, Op.WRITE, Op.GET, Op.PIN, Op.LOCK, Op.MERGE, *RANGED}
NEEDS_PID = {*PAGED, Op.FORK, Op.EXIT, Op.EXEC, Op.CPU}
TAKES = {Op.GET, Op.PIN, Op.LOCK}
HOLDS = {
    Op.PUT: {RefKind.REF_GET},
    Op.UNPIN: {RefKind.REF_PIN},
    Op.UNLOCK: {RefKind.REF_LOCK},
    Op.PINREAD: {RefKind.REF_GET, RefKind.REF_PIN},
    Op.PINWRITE: {RefKind.REF_GET, RefKind.REF_PIN},
}


class Reference(Paths):
    """One policy on one machine; slow on purpose, the specification of the code base.

    ``run``, ``state``, ``counters`` and ``verify`` are those of the fast engine.  Contents are always kept.
    """

    def __init__(self, policy: Policy, machine: Machine, *, contents: bool = True) -> None:
        super().__init__(policy, machine)

    def run(self, events: np.ndarray, outcomes: np.ndarray | None = None, values: np.ndarray | None = None) -> int:
        """Does the events; see ``Simulator.run``."""
        for i, event in enumerate(events):
            self.outcome, self.freed_slot = 0, False
            value = None
            try:
                self.check(event)
                self.complete_due_writes()
                value = self.do(event)
            except Refused as refused:
                raise_status(refused.status, i, format_event(event))
            self.time += 1
            self.count("events")
            if self.machine.stat_flush_events and self.time % self.machine.stat_flush_events == 0:
                self.flush_statistics()
            if outcomes is not None:
                outcomes[i] = self.outcome
            if values is not None and value is not None:
                values[i] = value
        return len(events)

    def mappers(self, pid: int, page: int) -> list[int]:
        """Processes with a present pte of the page that ``pid`` has at this address, itself among them; [] if it has none."""
        pte = self.processes[pid].ptes.get(page)
        return list(pte.page.mappers) if pte is not None and pte.page is not None else []

    def check(self, event: np.void) -> None:
        """Everything that can be wrong with an event, before anything is done (docs/model.md section 2)."""
        machine = self.machine
        op, pid, page, arg = (int(event[name]) for name in ("op", "pid", "page", "arg"))
        if op >= Op.NR_OPS:
            self.refuse(Status.ERR_BAD_OP)
        if pid >= machine.processes:
            self.refuse(Status.ERR_BAD_PID)
        if int(event["flags"]) & ~int(FLAGS_ALLOWED.get(Op(op), 0)):
            self.refuse(Status.ERR_BAD_FLAGS)
        if op in PAGED and page + (max(arg, 1) if op in RANGED else 1) > machine.space:
            self.refuse(Status.ERR_BAD_PAGE)
        if op in NEEDS_PID and not self.processes[pid].alive:
            self.refuse(Status.ERR_DEAD_PID)
        if op in (Op.FORK, Op.MERGE) and arg >= machine.processes:
            self.refuse(Status.ERR_BAD_PID)
        if op == Op.FORK and self.processes[arg].alive:
            self.refuse(Status.ERR_CHILD_ALIVE)
        if op == Op.CPU and arg >= machine.cpus:
            self.refuse(Status.ERR_BAD_CPU)
        if op == Op.FILLSWAP and arg > self.free_slot_count:
            self.refuse(Status.ERR_SWAP_FULL)
        if (op in TAKES or op in HOLDS) and arg >= machine.references:
            self.refuse(Status.ERR_BAD_REF)
        if op in TAKES and arg in self.references:
            self.refuse(Status.ERR_REF_BUSY)
        if op in HOLDS:
            if arg not in self.references:
                self.refuse(Status.ERR_REF_EMPTY)
            if self.references[arg].kind not in HOLDS[Op(op)]:
                self.refuse(Status.ERR_REF_KIND)
        if op == Op.LOCK:
            pte = self.processes[pid].ptes.get(page)
            if pte is not None and pte.page is not None and pte.page.locked:
                self.refuse(Status.ERR_ALREADY_LOCKED)

    def do(self, event: np.void) -> tuple[int, int] | None:
        """One event that is in order; returns what it read or stored."""
        op, pid, v, arg, flags = (int(event[name]) for name in ("op", "pid", "page", "arg", "flags"))
        process = self.processes[pid]
        self.cpu = process.cpu
        vpages = range(v, v + max(arg, 1))
        ptes = (
            [process.ptes[i] for i in vpages if i in process.ptes]
            if op in RANGED and len(vpages) <= len(process.ptes)
            else [process.ptes[i] for i in sorted(process.ptes) if i in vpages]
        )
        match op:
            case Op.READ | Op.WRITE:
                self.access(process, v, op == Op.WRITE, store=op == Op.WRITE)
                return self.value(process, v)
            case Op.FORK:
                self.fork(process, self.processes[arg])
            case Op.EXIT:
                self.exit(process)
            case Op.EXEC:
                self.exec(process)
            case Op.DISCARD:
                self.zap_range(process, v, vpages[-1])
            case Op.PROTECT:
                for pte in ptes:
                    self.protect(pte)
            case Op.PAGEOUT:
                self.pageout(ptes)
            case Op.RECLAIM:
                if arg:
                    self.try_to_free(max(arg, 32))
                else:
                    self.reclaim_everything()
            case Op.PREFETCH:
                self.prefetch(process, vpages)
            case Op.DRAIN:
                for cpu in range(self.machine.cpus) if arg == 1 else (self.cpu,):
                    self.drain(cpu)
            case Op.GET:
                self.get(process, v, arg, flags)
            case Op.PIN:
                self.pin(process, v, arg, flags)
            case Op.PUT | Op.UNPIN | Op.UNLOCK:
                self.drop(arg)
            case Op.PINREAD:
                page = self.references[arg].page
                return page.contents if page else BLANK
            case Op.PINWRITE:
                self.pinwrite(self.references[arg])
                return (self.stamp, self.stamp)
            case Op.LOCK:
                self.lock(process, v, arg)
            case Op.MERGE:
                self.merge(process, v, self.processes[arg])
            case Op.CPU:
                process.cpu = arg
            case Op.FILLSWAP:
                self.filled += arg
                self.drain(self.cpu)
            case Op.FREESWAP:
                self.filled = 0
        return None

    def value(self, process: Process, v: int) -> tuple[int, int]:
        """What the process sees at this address now."""
        page = process.ptes[v].page
        return page.contents if page else BLANK

    @property
    def counters(self) -> Counters:
        return Counters.from_dict(self.counts)

    def verify(self) -> None:
        """Recomputes every count from the ptes; InvariantError names the first that is wrong."""
        verify(self)

    def state(self) -> dict[str, Any]:
        """The whole state as plain data (docs/model.md section 10)."""
        return {
            "pages": {
                n: (p.refs, p.vpage, p.slot.number if p.slot else 0, p.flags, p.maps, p.gets, p.pins)
                for n, p in sorted(self.pages.items())
            },
            "ptes": {
                (process.number, v): pte.word for process in self.processes for v, pte in sorted(process.ptes.items())
            },
            "slots": {
                n: (s.kind, s.page.number if s.page else s.shadow or 0, s.swap_count, s.flags)
                for n, s in sorted(self.slots.items())
            },
            "procs": {
                p.number: (p.flags, p.ra_last, p.ra_window, p.ra_hits, p.cpu, p.parent)
                for p in self.processes
                if p.alive
            },
            "refs": {
                n: (r.kind, r.pid, r.vpage, r.flags, r.page.number if r.page else 0)
                for n, r in sorted(self.references.items())
            },
            "inactive": [p.number for p in self.inactive],
            "active": [p.number for p in self.active],
            "batches": [[p.number for p in batch] for batch in self.batches],
            "free": (list(self.free_movable), list(self.free_unmovable)),
            "writeback": [(p.number, due) for p, due in self.writeback],
            "counters": dict(self.counts),
            "contents": {n: p.contents for n, p in sorted(self.pages.items())},
        }
