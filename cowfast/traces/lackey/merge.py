# SPDX-License-Identifier: MIT
"""One stream from the logs of several processes: what must be in order is, the rest is drawn."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from cowfast._layout import Op
from cowfast.errors import TraceError
from cowfast.events import EVENT, make_events
from cowfast.traces.lackey.log import Accesses, Call, Log

_LEAF = 9


@dataclass
class _Process:
    number: int
    log: Log
    items: Iterator[Accesses | Call]
    pending: Accesses | Call | None = None
    shared: list[tuple[int, int]] = field(default_factory=list)


class Merge:
    """Interleaves logs: a child begins after its fork, a wait ends after its child; else processes take turns at random.

    A turn is 1 to 2 * ``quantum`` accesses long, drawn with ``seed``.  Process 0 is what was before and has no page.
    """

    def __init__(self, logs: Sequence[Log], seed: int, quantum: int) -> None:
        self._logs = {log.pid: log for log in logs}
        if len(self._logs) != len(logs):
            raise TraceError("two logs are of the same process: give the logs of one run only")
        self._random = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
        self._quantum = quantum
        self._stretches: dict[int, int] = {}
        self._running: dict[int, _Process] = {}
        self._free: deque[int] = deque()
        self._next = 1
        self._done: set[int] = set()
        self._children: set[int] = set()
        self.tally: Counter[str] = Counter()

    def run(self) -> Iterator[np.ndarray]:
        """Yield EVENT arrays."""
        for pid, log in sorted(self._logs.items()):
            if log.parent not in self._logs:
                yield self._start(pid, 0)
        turns = deque(self._running)
        while self._running:
            pid = turns[int(self._random.integers(len(turns)))]
            blocked = 0
            for pid in (pid, *turns):  # the next one that can go on, beginning with the drawn one
                if pid in self._running and not self._waits(self._running[pid]):
                    break
                blocked += 1
            else:
                raise TraceError(f"the logs wait for one another (processes {', '.join(map(str, self._running))})")
            before = len(self._running)
            yield from self._turn(pid, self._running[pid])
            if len(self._running) != before or turns[0] not in self._running:
                turns = deque(self._running)
        left = set(self._logs) - self._done
        if left:
            names = ", ".join(self._logs[pid].path.name for pid in sorted(left)[:5])
            raise TraceError(f"no log shows how these were forked: {names}; give the logs of one run, all of them")

    def _turn(self, pid: int, process: _Process) -> Iterator[np.ndarray]:
        left = 1 + int(self._random.integers(2 * self._quantum))
        while left > 0:
            item = process.pending if process.pending is not None else next(process.items, None)
            process.pending = None
            if item is None:
                yield self._end(pid)
                return
            if isinstance(item, Accesses):
                n = min(left, len(item.pages))
                yield self._events(process, item.pages[:n], item.writes[:n])
                if n < len(item.pages):
                    process.pending = Accesses(item.pages[n:], item.writes[n:])
                left -= n
                continue
            if item.what == "wait" and self._blocks(item):
                process.pending = item
                return
            if item.what == "exec":
                # Under --trace-children=no the process goes on unseen; its memory is gone either way.
                yield self._end(pid)
                return
            if item.what == "fork":
                if item.first in self._logs:
                    yield self._start(item.first, process.number, process)
                else:
                    self.tally["children without a log"] += 1
                return
            if item.what == "share":
                process.shared.append((item.first >> 12, (item.first + item.length + 4095) >> 12))
            elif item.what == "unmap":
                process.shared = [(a, b) for a, b in process.shared if not a <= item.first >> 12 < b]
                yield self._discard(process, item.first >> 12, (item.first + item.length + 4095) >> 12)

    def _waits(self, process: _Process) -> bool:
        return isinstance(process.pending, Call) and self._blocks(process.pending)

    def _blocks(self, wait: Call) -> bool:
        return wait.first in self._logs and wait.first not in self._done

    def _start(self, pid: int, parent: int, like: _Process | None = None) -> np.ndarray:
        if pid in self._running or pid in self._done:
            raise TraceError(
                f"process {pid} is forked twice: its number was used again; give the logs of a shorter run"
            )
        if self._free:
            number = self._free.popleft()
        else:
            number = self._next
            self._next += 1
        if number >= 0xFFFF:
            raise TraceError("more than 65,534 processes alive at one time")
        log = self._logs[pid]
        self._running[pid] = _Process(number, log, iter(log), shared=list(like.shared) if like else [])
        return make_events([(Op.FORK, parent, 0, number)])

    def _end(self, pid: int) -> np.ndarray:
        process = self._running.pop(pid)
        self._done.add(pid)
        self._free.append(process.number)
        self.tally["lines of access"] += process.log.scanner.lines
        self.tally["accesses"] += process.log.scanner.accesses
        if not process.log.calls_seen:
            self.tally["logs without system calls"] += 1
        return make_events([(Op.EXIT, process.number)])

    def _events(self, process: _Process, pages: np.ndarray, writes: np.ndarray) -> np.ndarray:
        for low, high in process.shared:
            private = (pages < low) | (pages >= high)
            if not private.all():
                self.tally["accesses to shared memory"] += int((~private).sum())
                pages, writes = pages[private], writes[private]
        if not len(pages):
            return np.zeros(0, EVENT)
        stretches, where = np.unique(pages >> np.uint64(_LEAF), return_inverse=True)
        bases = np.array([self._base(stretch) for stretch in stretches.tolist()], np.uint32)
        events = np.zeros(len(pages), EVENT)
        events["op"] = writes  # READ is 0, WRITE is 1
        events["pid"] = process.number
        events["page"] = bases[where] | (pages & np.uint64((1 << _LEAF) - 1)).astype(np.uint32)
        return events

    def _base(self, stretch: int) -> int:
        number = self._stretches.setdefault(stretch, len(self._stretches))
        if number >= 1 << 23:
            raise TraceError("the logs touch more than 2^32 pages")
        return number << _LEAF

    def _discard(self, process: _Process, first: int, last: int) -> np.ndarray:
        rows = []
        low, high = first >> _LEAF, last - 1 >> _LEAF
        span = range(low, high + 1)
        for stretch in span if len(span) <= len(self._stretches) else sorted(s for s in self._stretches if s in span):
            if stretch in self._stretches:
                begin, end = max(first, stretch << _LEAF), min(last, stretch + 1 << _LEAF)
                page = (self._stretches[stretch] << _LEAF) + (begin - (stretch << _LEAF))
                rows.append((Op.DISCARD, process.number, page, end - begin))
        return make_events(rows)
