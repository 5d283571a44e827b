# SPDX-License-Identifier: MIT
"""From lines of ``perf script`` to events, and the kernel's own verdict on each fault.

What each record means is in docs/formats/perf.md.  Three ideas carry the rest:

* A page has the same number in every process that has it at the same address: fork keeps addresses.
* Process 0 stands for all that was before the recording and has no page; a process that is not seen being forked is
  forked from it.
* What a recording does not show (brk, mremap, reclaim) shows itself later: a fault on an absent page that the process
  should have means that the page went, and a ``discard`` says so before the fault.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cowfast._layout import Op
from cowfast.errors import TraceError
from cowfast.traces.perf import lines as perf
from cowfast.traces.perf.events import Kernel, Stream
from cowfast.traces.perf.spaces import FILE, LEAF, SHARED, UNKNOWN, Leaf, Leaves, Space

MAX_PROCESSES = 0xFFFF
#: An allocation later than this after a fault is not the fault's.
_PATIENCE = 500_000
#: A write fault takes some microseconds; one that began earlier is over.
_UNDER_WAY = 100_000
_KERNEL_HALF = 1 << 63
_PRESENT, _WRITE, _FETCH = 1, 2, 16
_FAULT = re.compile(r"address=(?:0x)?([0-9a-f]+) .*?error_code=0x([0-9a-f]+)")
_ALLOC = re.compile(r".*?order=(\d+) .*?gfp_flags=(\S+)")
_CALL = re.compile(r"(?:addr|start): 0x([0-9a-f]+), len(?:_in)?: 0x([0-9a-f]+)(?:, behavior: 0x([0-9a-f]+))?")
_DONTNEED, _FREE, _WILLNEED, _PAGEOUT, _DONTFORK, _WIPEONFORK = 4, 8, 3, 21, 10, 18


class _Waiting(NamedTuple):
    """A fault whose allocation may still come."""

    event: int
    time: int
    take_back: tuple[int, ...]  # events that did not happen if none comes
    anonymous: bool  # write-protected, and known to be an anonymous page
    retry: int = -1  # the page, if the same fault again means that this one was not handled


class _Writing(NamedTuple):
    """A write-protection fault that may be under way still: its thread has shown nothing since."""

    page: int
    event: int
    time: int
    cpu: int
    space: Space


class Importer:
    """Turns one recording into events.

    Attributes
    ----------
    found : dict
        figures: lines, faults, write-protection faults and the kernel's verdicts on them
    notes : list of str
        what the recording lacks or shows only in part
    """

    def __init__(self, path: str, *, cpus: bool = True) -> None:
        self.path, self.name = path, Path(path).name
        self._cpus = cpus
        self._survey = perf.survey(path)
        has = self._survey.has
        if not has & {"exceptions:page_fault_user", "exceptions:page_fault_kernel"}:
            raise TraceError(
                f"{self.name}: no page faults in it (events exceptions:page_fault_user, ..._kernel); record them with: "
                f"{perf.RECORD}; then {perf.SCRIPT} > perf.txt"
            )
        self._allocs = "kmem:mm_page_alloc" in has
        self._teardown = "mmap:exit_mmap" in has
        self._stream = Stream()
        self._stretches = Leaves()
        self._spaces: dict[int, Space] = {}  # by pid of the recording
        self._threads: dict[int, set[int]] = {}
        self._numbers: list[int] = []  # process numbers given back
        self._next = 1
        self._before: dict[int, list[perf.Mapping]] = {}  # mappings of processes from before the recording
        self._cpu_numbers: dict[int, int] = {}
        self._open: dict[int, _Waiting] = {}  # by tid
        self._writing: dict[int, _Writing] = {}  # by tid
        self._loose: Counter[int] = Counter()  # tid -> zeroed pages it got outside of faults (execve fills a stack)
        self._execing: set[int] = set()  # pids between exit_mmap and COMM exec
        self._leaving: set[int] = set()  # pids after EXIT, before exit_mmap
        self._forks = 0
        self._tally: Counter[str] = Counter()
        self._start: int | None = None
        self._line = self._time = 0

    def run(self) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Yield ``(events, columns)``; the columns are those of ``events.COLUMNS``."""
        handlers = {
            "exceptions:page_fault_user": self._fault,
            "exceptions:page_fault_kernel": self._kernel_fault,
            "kmem:mm_page_alloc": self._alloc,
            "mmap:exit_mmap": self._exit_mmap,
            "syscalls:sys_enter_munmap": self._munmap,
            "syscalls:sys_enter_madvise": self._madvise,
        }
        execs = self._survey.execs
        number = 0
        for number, pid, tid, cpu, time, what in perf.read(self.path):
            if self._start is None and time:
                self._start = time
            self._line, self._time = number, max(0, time - (self._start or 0)) // 1000
            event, _, rest = what.partition(": ")
            handler = handlers.get(event.rstrip(":"))
            try:
                if handler is not None:
                    handler(pid, tid, cpu, time, rest)
                elif event.startswith("PERF_RECORD_"):
                    self._record(pid, time, what)
                else:
                    self._tally[f"other events ({event[:40]})"] += 1
            except ValueError as error:
                raise TraceError(
                    f"{self.name}, line {number}: {error}; write the recording with: {perf.SCRIPT}"
                ) from None
            if number in execs:
                self._leaves(execs[number])
            if self._stream.full:
                yield from self._stream.flush(self._first_open(time))
        self._tally["lines"] = number
        yield from self._stream.flush()

    # ------------------------------------------------------------ faults and their pages

    def _kernel_fault(self, pid: int, tid: int, cpu: int, time: int, rest: str) -> None:
        self._fault(pid, tid, cpu, time, rest, True)

    def _fault(self, pid: int, tid: int, cpu: int, time: int, rest: str, in_kernel: bool = False) -> None:
        found = _FAULT.match(rest)
        if found is None:
            raise ValueError(f"a page fault without address= and error_code=: {rest[:60]!r}")
        address, code = int(found[1], 16), int(found[2], 16)
        if address >> 64:
            raise ValueError(f"address {address:#x} has more than 64 bits")
        page = address >> 12
        waiting = self._open.get(tid)
        if waiting is not None and waiting.retry == page and code & _PRESENT:
            # Code that must not sleep (signal frames) faults with page faults off, and again after making sure.
            self._stream.judge(waiting.event, Kernel.NOT_HANDLED)
            self._tally["not handled at first, counted as reused"] += 1
        self._close(tid)
        self._writing.pop(tid, None)
        if address >= _KERNEL_HALF:
            self._tally["faults on kernel addresses"] += 1
            return
        self._tally["faults"] += 1
        space = self._space(pid, tid)
        kind = space.kind(address)
        if kind == SHARED:
            self._tally["faults on shared memory"] += 1
            self._tally["write-protection faults on shared memory"] += code & 3 == 3
            return
        leaf = space.leaf(page)
        bit = 1 << (page & LEAF - 1)
        number = leaf.base + (page & LEAF - 1)
        if code & _WRITE:
            waiting = self._write(space, leaf, bit, number, kind, code, pid, tid, cpu, time)
            if code & _PRESENT:
                self._race(_Writing(page, waiting.event, time, cpu, space))
                self._writing[tid] = _Writing(page, waiting.event, time, cpu, space)
            if self._allocs:
                self._open[tid] = waiting._replace(retry=page) if in_kernel and code & _PRESENT else waiting
        elif code & _PRESENT:
            self._tally["read faults on present pages"] += 1
        elif kind == FILE or (code & _FETCH and kind == UNKNOWN):
            self._tally["reads of files"] += 1
        else:
            self._on(space, cpu)
            self._lost(space, leaf, bit, number)
            leaf.seen |= bit
            self._add(Op.READ, space, number, 0, Kernel.UNKNOWN)

    def _write(
        self,
        space: Space,
        leaf: Leaf,
        bit: int,
        number: int,
        kind: int,
        code: int,
        pid: int,
        tid: int,
        cpu: int,
        time: int,
    ) -> _Waiting:
        self._on(space, cpu)
        take_back: tuple[int, ...] = ()
        flags = 0
        # Until an allocation says otherwise: none was needed, or nobody looked.
        verdict = Kernel.REUSE if self._allocs else Kernel.UNKNOWN
        if not code & _PRESENT:
            had = bool(leaf.owned & bit)
            dropped = self._lost(space, leaf, bit, number)
            if kind == FILE:
                flags = Kernel.FILE
            verdict = Kernel.UNKNOWN
        else:
            self._tally["write-protection faults"] += 1
            flags = Kernel.WP
            had, dropped = False, None
            if not leaf.owned & bit:
                if kind == FILE or (kind == UNKNOWN and leaf.seen & bit):
                    flags |= Kernel.FILE
                    self._tally["first writes to pages of files, write-protected"] += 1
                elif not leaf.seen & bit:
                    flags |= Kernel.UNSEEN
                    self._tally["write-protected pages never seen before"] += 1
        index = self._add(Op.WRITE, space, number, 0, flags | verdict)
        if had and dropped is not None and self._allocs and self._threads.get(pid, ()) != {tid}:
            # Two threads that fault on one absent page: the second finds it there and allocates nothing.
            take_back = (dropped, index)
        anonymous = bool(code & _PRESENT and leaf.owned & bit)
        leaf.owned |= bit
        leaf.seen &= ~bit
        if flags & Kernel.WP:
            self._tally[_CALLED[verdict]] += 1
        return _Waiting(index, time, take_back, anonymous)

    def _race(self, mine: _Writing) -> None:
        """Two processes write to the page they share at the same moment: each may find the other still there or gone."""
        for tid, other in list(self._writing.items()):
            if mine.time - other.time > _UNDER_WAY:
                del self._writing[tid]
            elif other.page == mine.page and other.cpu != mine.cpu and other.space is not mine.space:
                self._stream.mark(other.event, Kernel.RACE_AFTER)
                self._stream.mark(mine.event, Kernel.RACE_BEFORE)

    def _alloc(self, pid: int, tid: int, cpu: int, time: int, rest: str) -> None:
        found = _ALLOC.match(rest)
        if found is None:
            raise ValueError(f"a page allocation without order= and gfp_flags=: {rest[:60]!r}")
        flags = found[2]
        if "GFP_HIGHUSER_MOVABLE" not in flags or "__GFP_WRITE" in flags:
            self._tally["huge pages"] += "GFP_TRANSHUGE" in flags
            return
        if found[1] != "0":
            self._tally["large folios"] += 1
            return
        zeroed = "__GFP_ZERO" in flags
        waiting = self._open.pop(tid, None)
        if waiting is not None and zeroed and waiting.anonymous:
            # A copy is not zeroed: the fault reused its page, and this is for something else (the stack of an execve).
            self._loose[tid] += 1
            return
        if waiting is None or time - waiting.time > _PATIENCE:
            if waiting is not None:
                self._take_back(waiting)
            if zeroed:
                self._loose[tid] += 1
            return
        verdict = Kernel.ZERO if zeroed else Kernel.COPY
        before = self._stream.judge(waiting.event, verdict)
        if before & Kernel.WP:
            self._tally[_CALLED[before & Kernel.VERDICT]] -= 1
            self._tally[_CALLED[verdict]] += 1

    def _lost(self, space: Space, leaf: Leaf, bit: int, number: int) -> int | None:
        """A fault on an absent page that the process has: it went without a record.  Returns the event that says so."""
        if not (leaf.owned | leaf.seen) & bit:
            return None
        self._tally["pages that went without a record"] += 1
        leaf.owned &= ~bit
        leaf.seen &= ~bit
        return self._add(Op.DISCARD, space, number, 0, Kernel.IMPLIED)

    def _close(self, tid: int) -> None:
        """The thread goes on: what it waited for does not come any more."""
        self._loose.pop(tid, None)
        waiting = self._open.pop(tid, None)
        if waiting is not None:
            self._take_back(waiting)

    def _take_back(self, waiting: _Waiting) -> None:
        for index in waiting.take_back:
            self._stream.retract(index)

    def _first_open(self, time: int) -> int | None:
        for tid in [tid for tid, waiting in self._open.items() if time - waiting.time > _PATIENCE]:
            self._take_back(self._open.pop(tid))
        held = [min((waiting.event, *waiting.take_back)) for waiting in self._open.values()]
        held += [fault.event for fault in self._writing.values() if time - fault.time <= _UNDER_WAY]
        return min(held, default=None)

    # ------------------------------------------------------------ address spaces

    def _exit_mmap(self, pid: int, tid: int, cpu: int, time: int, rest: str) -> None:
        space = self._spaces.get(pid)
        if space is None:
            return
        if pid in self._leaving:
            self._gone(pid, space)
        else:
            self._exec(pid, tid, space)

    def _exec(self, pid: int, tid: int, space: Space) -> None:
        """The old address space is gone; COMM exec and the new mappings follow."""
        self._add(Op.EXEC, space, 0, 0, 0)
        space.clear()
        space.fresh_stack_pages = self._loose.pop(tid, 0)
        self._execing.add(pid)
        self._tally["execs"] += 1

    def _gone(self, pid: int, space: Space) -> None:
        self._leaving.discard(pid)
        self._threads.pop(pid, None)
        del self._spaces[pid]
        space.users -= 1
        if not space.users:
            self._add(Op.EXIT, space, 0, 0, 0)
            space.clear()
            heapq.heappush(self._numbers, space.number)

    def _munmap(self, pid: int, tid: int, cpu: int, time: int, rest: str) -> None:
        start, length, _ = _call(rest)
        space = self._space(pid, tid)
        self._drop(space, start, start + length)
        if self._survey.has & {"PERF_RECORD_MMAP"} and length:
            space.unmap(start, start + length)

    def _madvise(self, pid: int, tid: int, cpu: int, time: int, rest: str) -> None:
        start, length, advice = _call(rest)
        space = self._space(pid, tid)
        if advice == _DONTNEED:
            self._drop(space, start, start + length)
        elif advice in (_PAGEOUT, _WILLNEED):
            op = Op.PAGEOUT if advice == _PAGEOUT else Op.PREFETCH
            for first, count in space.pages(start, start + length):
                self._add(op, space, first, count, 0)
        elif advice == _FREE:
            self._tally["MADV_FREE calls"] += 1
        elif advice in (_DONTFORK, _WIPEONFORK):
            self._tally["MADV_DONTFORK and MADV_WIPEONFORK calls"] += 1

    def _drop(self, space: Space, start: int, end: int) -> None:
        for first, count in space.pages(start, end, forget=True):
            self._add(Op.DISCARD, space, first, count, 0)

    # ------------------------------------------------------------ tasks and mappings

    def _record(self, pid: int, time: int, what: str) -> None:
        if not time:
            # What was there when the recording began; only who turns up in it later is of interest.
            if what.startswith("PERF_RECORD_MMAP"):
                whose, new = perf.mapping(what)
                self._before.setdefault(whose, []).append(new)
            self._forks += what.startswith("PERF_RECORD_FORK")
        elif what.startswith("PERF_RECORD_MMAP"):
            self._mmap(*perf.mapping(what))
        elif what.startswith("PERF_RECORD_FORK"):
            self._fork(*perf.task(what))
        elif what.startswith("PERF_RECORD_EXIT"):
            self._exit(*perf.task(what))
        elif what.startswith("PERF_RECORD_COMM exec"):
            self._comm_exec(pid)
        elif what.startswith("PERF_RECORD_LOST"):
            self._tally["records of lost events"] += 1

    def _mmap(self, pid: int, new: perf.Mapping) -> None:
        if pid < 0 or new.start >= _KERNEL_HALF:
            return  # the kernel's own text
        if new.end > _KERNEL_HALF or new.end <= new.start:
            raise ValueError(f"a mapping from {new.start:#x} to {new.end:#x}")
        space = self._space(pid, pid)
        if space.map(new):
            self._drop(space, new.start, new.end)
        if new.name == "[stack]" and space.fresh_stack_pages:
            # execve wrote arguments and environment there before the process ran: no fault shows it.
            top = new.end >> 12
            for page in range(top - 1, max(top - 1 - space.fresh_stack_pages, new.start >> 12), -1):
                leaf = space.leaf(page)
                leaf.owned |= 1 << (page & LEAF - 1)
                self._add(Op.WRITE, space, leaf.base + (page & LEAF - 1), 0, Kernel.IMPLIED)
            space.fresh_stack_pages = 0

    def _fork(self, pid: int, tid: int, parent: int, parent_tid: int) -> None:
        ordinal = self._forks
        self._forks += 1
        if pid < 0 or tid < 0:
            raise ValueError(f"a fork of process {pid}")
        if pid != tid or pid == parent:
            self._threads.setdefault(pid, set()).update((tid, parent_tid))
            return
        if pid in self._spaces:
            self._tally["process ids used again before their end was seen"] += 1
            self._gone(pid, self._spaces[pid])
        from_space = self._space(parent, parent_tid)
        self._threads[pid] = {tid}
        if ordinal in self._survey.vforks:
            from_space.users += 1
            self._spaces[pid] = from_space
            self._tally["vforks"] += 1
            return
        number = self._number()
        self._add(Op.FORK, from_space, 0, number, 0)
        self._spaces[pid] = from_space.fork(number)
        self._tally["forks"] += 1

    def _exit(self, pid: int, tid: int, parent: int, parent_tid: int) -> None:
        self._close(tid)
        threads = self._threads.get(pid)
        if threads is not None:
            threads.discard(tid)
        if threads or pid not in self._spaces or pid in self._leaving:
            return
        space = self._spaces[pid]
        if not self._teardown or space.users > 1:
            self._gone(pid, space)
            return
        self._leaving.add(pid)
        self._leaves(pid)

    def _leaves(self, pid: int) -> None:
        """From here on the pages of a process go one by one: not an event of its own, it runs where it runs."""
        space = self._spaces.get(pid)
        if space is not None and space.users == 1:
            self._add(Op.CPU, space, 0, max(space.cpu, 0), Kernel.TEARDOWN)

    def _comm_exec(self, pid: int) -> None:
        space = self._spaces.get(pid)
        if pid in self._execing:
            self._execing.discard(pid)
        elif space is not None and space.users > 1:
            # A child of vfork leaves its parent's memory: from here on it has its own.
            space.users -= 1
            space = self._spaces[pid] = self._from_nothing()
            space.fresh_stack_pages = self._loose.pop(pid, 0)
        elif space is not None and not self._teardown:
            self._exec(pid, pid, space)
            self._execing.discard(pid)
        self._threads[pid] = {pid}

    def _space(self, pid: int, tid: int) -> Space:
        """The address space that a task runs in; a task not seen before comes from before the recording."""
        space = self._spaces.get(pid)
        if space is None:
            if pid < 0:
                raise ValueError(f"process {pid}: a page fault needs a process")
            space = self._spaces[pid] = self._from_nothing()
            for mapping in self._before.pop(pid, ()):
                space.map(mapping)
            self._tally["processes from before the recording"] += 1
            self._threads.setdefault(pid, {pid})
        if tid != pid:
            self._threads[pid].add(tid)  # the threads of a process from before show themselves one by one
        return space

    def _from_nothing(self) -> Space:
        number = self._number()
        self._stream.add(Op.FORK, 0, 0, number, 0, self._time, self._line)
        return Space(number, self._stretches)

    def _number(self) -> int:
        if self._numbers:
            return heapq.heappop(self._numbers)
        if self._next >= MAX_PROCESSES:
            raise ValueError(f"more than {MAX_PROCESSES - 1:,} processes alive at one time; record fewer")
        self._next += 1
        return self._next - 1

    def _on(self, space: Space, cpu: int) -> None:
        """The process runs on that CPU now."""
        if not self._cpus:
            return
        cpu = self._cpu_numbers.setdefault(cpu, len(self._cpu_numbers))
        if space.cpu != cpu:
            space.cpu = cpu
            self._add(Op.CPU, space, 0, cpu, 0)

    def _add(self, op: int, space: Space, page: int, arg: int, kernel: int) -> int:
        return self._stream.add(op, space.number, page, arg, kernel, self._time, self._line)

    # ------------------------------------------------------------ what was found, what is missing

    @property
    def found(self) -> dict[str, Any]:
        """Figures of the recording."""
        return {name: n for name, n in sorted(self._tally.items()) if n}

    @property
    def notes(self) -> list[str]:
        """What the recording lacks, most important first."""
        has, tally = self._survey.has, self._tally
        told = [
            ("kmem:mm_page_alloc" not in has, "no kmem:mm_page_alloc: the kernel's verdict (copy or reuse) is unknown, so it cannot be verified"),
            ("exceptions:page_fault_kernel" not in has, "no exceptions:page_fault_kernel: pages first touched by system calls are missing"),
            ("PERF_RECORD_FORK" not in has, "no FORK records (perf script --show-task-events): no process shares a page with another"),
            (not self._teardown, "no mmap:exit_mmap: memory goes at once at exit; sharers in teardown cannot be told; a vfork looks like a fork"),
            ("syscalls:sys_enter_munmap" not in has, "no syscalls:sys_enter_munmap (not recorded, or never called): unmapped pages go only when they are faulted in again"),
            ("syscalls:sys_enter_madvise" not in has, "no syscalls:sys_enter_madvise (not recorded, or never called): MADV_DONTNEED shows only when its pages are faulted in again"),
            ("PERF_RECORD_MMAP" not in has, "no MMAP records (perf record -d, perf script --show-mmap-events): file and shared mappings are taken for anonymous memory"),
            (tally["records of lost events"] > 0, f"perf lost events {tally['records of lost events']} times: use a larger -m"),
            (tally["huge pages"] + tally["large folios"] > 0, "huge pages or large folios were allocated: cowfast knows small pages only; record with transparent huge pages set to never"),
            (tally["MADV_FREE calls"] > 0, f"{tally['MADV_FREE calls']} MADV_FREE calls are left out: their pages stay"),
            (tally["MADV_DONTFORK and MADV_WIPEONFORK calls"] > 0, "MADV_DONTFORK or MADV_WIPEONFORK was used: the child is taken to have the pages"),
        ]  # fmt: skip
        fault = "a fault trace: accesses that hit are absent, so replays under memory pressure understate re-touching"
        return [text for holds, text in told if holds] + [fault]


_CALLED = {
    Kernel.NOTHING: "unknown", Kernel.COPY: "copied by the kernel", Kernel.REUSE: "reused by the kernel",
    Kernel.ZERO: "zero page replaced by the kernel", Kernel.UNKNOWN: "unknown verdicts",
}  # fmt: skip


def _call(rest: str) -> tuple[int, int, int]:
    """Return (start, length, advice) of a munmap or madvise."""
    found = _CALL.match(rest)
    if found is None:
        raise ValueError(f"a system call without its arguments: {rest[:60]!r}")
    start, length = int(found[1], 16), int(found[2], 16)
    if start + length > 1 << 64:
        raise ValueError(f"a range from {start:#x} of {length:#x} bytes")
    return start, length, int(found[3], 16) if found[3] else -1
