# SPDX-License-Identifier: MIT
"""The text of ``perf script``: one record a line, checked field by field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cowfast.errors import TraceError
from cowfast.traces.files import blocks, lines

SCRIPT = "perf script --show-task-events --show-mmap-events -F comm,pid,tid,cpu,time,event,trace"
EVENTS = (
    "exceptions:page_fault_user",
    "exceptions:page_fault_kernel",
    "kmem:mm_page_alloc",
    "mmap:exit_mmap",
    "syscalls:sys_enter_munmap",
    "syscalls:sys_enter_madvise",
)
RECORD = "perf record -a -d -m 16384 " + " ".join(f"-e {event}" for event in EVENTS) + " -o perf.data -- PROGRAM"

#: comm pid/tid [cpu] seconds.fraction: rest
_LINE = re.compile(r"\s*(?:.*?)\s+(-?\d+)/(-?\d+)\s+\[(\d+)\]\s+(\d{1,12})\.(\d{6}|\d{9}):\s+(\S.*)")
_TASK = re.compile(r"\((-?\d+):(-?\d+)\)(?::\((-?\d+):(-?\d+)\))?")
_MAP = re.compile(
    r"PERF_RECORD_MMAP2? (-?\d+)/(-?\d+): \[0x([0-9a-f]+)\(0x([0-9a-f]+)\) @ (?:0x)?([0-9a-f]+)[^\]]*\]: (\S+)(?: (.*))?"
)
_BACK = 1 << 18  # bytes


class Line(NamedTuple):
    """One record: where it is, who it belongs to, when, and the rest as text."""

    number: int
    pid: int
    tid: int
    cpu: int
    time: int  # nanoseconds
    what: str


class Mapping(NamedTuple):
    """A mapping record."""

    start: int
    end: int
    offset: int
    protection: str
    name: str


def read(path: str) -> Iterator[tuple[int, int, int, int, int, str]]:
    """Yield ``Line`` fields as plain tuples; TraceError at the first line that is none, or goes back in time."""
    name = Path(path).name
    before = -1
    match = _LINE.match
    for number, texts in lines(path):
        for text in texts:
            found = match(text)
            if found is None:
                if text.strip() and not text.startswith("#"):
                    raise TraceError(f"{name}, line {number}: {explain(text)}")
                number += 1
                continue
            pid, tid, cpu, seconds, fraction, what = found.groups()
            time = int(seconds) * 1_000_000_000 + (int(fraction) * 1000 if len(fraction) == 6 else int(fraction))
            if time < before:
                raise TraceError(
                    f"{name}, line {number}: time goes back from {before / 1e9:.6f} to {time / 1e9:.6f} s: "
                    f"lines must be in the order in which {SCRIPT.partition(' --')[0]} writes them; "
                    "import each recording by itself, then `cowfast trace merge`"
                )
            before = time
            yield number, int(pid), int(tid), int(cpu), time, what
            number += 1


def explain(text: str) -> str:
    """Return what is wrong with a line that is none of ours, and what to do."""
    shown = text.strip()[:80]
    if re.match(r"\s*.*?\s+-?\d+\s+\[\d+\]\s+\d+\.\d+:", text):
        problem = "it has one number for process and thread; fields pid,tid are needed"
    elif re.match(r"\s*.*?\s+-?\d+/-?\d+\s+\d+\.\d+:", text):
        problem = "it has no [cpu]"
    elif re.match(r"\s*.*?\s+-?\d+/-?\d+\s+\[\d+\]\s+[a-zA-Z]", text):
        problem = "it has no time"
    else:
        problem = "this is not a line of perf script"
    return f"{problem}: {shown!r}; write the recording as text with: {SCRIPT}"


def task(what: str) -> tuple[int, int, int, int]:
    """Return (pid, tid, parent pid, parent tid) of a FORK or EXIT record."""
    found = _TASK.search(what)
    if found is None or found[3] is None:
        raise ValueError(f"{what[:60]!r} does not name a task and its parent")
    return int(found[1]), int(found[2]), int(found[3]), int(found[4])


def mapping(what: str) -> tuple[int, Mapping]:
    """Return (pid, mapping) of an MMAP or MMAP2 record."""
    found = _MAP.match(what)
    if found is None:
        raise ValueError(f"{what[:80]!r} is not a mapping record that is known")
    start, length = int(found[3], 16), int(found[4], 16)
    return int(found[1]), Mapping(start, start + length, int(found[5], 16), found[6], found[7] or "")


class Survey(NamedTuple):
    """What a first, quick look over the file finds: which records it has, and which forks share their memory."""

    has: frozenset[str]
    vforks: frozenset[int]
    """ordinals of FORK records whose child never had an address space of its own (vfork, posix_spawn)"""
    execs: dict[int, int]
    """line -> process that shows nothing after that line until the exit_mmap of its exec: its old memory goes from then on"""


_LOOK = {name: name.encode() for name in (*EVENTS, "PERF_RECORD_FORK", "PERF_RECORD_EXIT", "PERF_RECORD_MMAP")}
_TELLING = (b"PERF_RECORD_FORK(", b"PERF_RECORD_EXIT(", b"PERF_RECORD_COMM exec", b"mmap:exit_mmap")


def survey(path: str) -> Survey:
    """Look through the file once, without taking lines apart.

    A child of vfork runs in its parent's memory until it execs or exits.  perf does not say which forks were such; but
    a child with memory of its own gives it back (exit_mmap) at exec and exit, and a child without does not.
    """
    found = _Surveyor()
    name = Path(path).name
    rest = b""
    for block in blocks(path):
        if block[:8] == b"PERFILE2" and not rest:
            raise TraceError(
                f"{name}: this is a binary perf.data file; write it as text first: {SCRIPT} -i {name} > perf.txt"
            )
        data, newline, rest = (rest + block).rpartition(b"\n")
        if not newline and len(rest) > 1 << 20:
            raise TraceError(f"{name}: a line longer than 1 MiB: this is not a recording")
        found.look(data + newline)
        if len(found.born) + len(found.gone) + len(found.leaving) > 1 << 20:
            raise TraceError(f"{name}: more than a million processes alive: the EXIT records are missing")
    found.look(rest)
    if "mmap:exit_mmap" not in found.has:
        return Survey(frozenset(found.has), frozenset(), {})
    return Survey(frozenset(found.has), frozenset(found.vforks | set(found.gone.values())), found.execs)


class _Surveyor:
    def __init__(self) -> None:
        self.has: set[str] = set()
        self.vforks: set[int] = set()
        self.execs: dict[int, int] = {}
        self.born: dict[int, int] = {}  # child -> ordinal of its FORK, while it is not known whose memory it has
        self.gone: dict[int, int] = {}  # the same after its EXIT
        self.leaving: set[int] = set()  # between EXIT and exit_mmap
        self._forks = 0
        self._lines = 1

    def look(self, data: bytes) -> None:
        self.has.update(name for name, literal in _LOOK.items() if name not in self.has and literal in data)
        for place, text in _lines_with(data):
            head, _, what = text.partition(": ")
            if "PERF_RECORD_FORK(" in what:
                pid, tid, parent, _ = _task_or_none(what)
                if pid == tid != parent:
                    self.born[pid] = self._forks
                    self.gone.pop(pid, None)
                    self.leaving.discard(pid)
                self._forks += 1
            elif "PERF_RECORD_EXIT(" in what:
                pid, tid, _, _ = _task_or_none(what)
                if pid == tid:
                    self.leaving.add(pid)
                    if pid in self.born:
                        self.gone[pid] = self.born.pop(pid)
            else:
                words = head.rpartition("[")[0].split()
                number = words[-1].partition("/")[0] if words else ""
                pid = int(number) if number.isdecimal() and len(number) < 12 else -1
                if "mmap:exit_mmap" not in what:
                    if pid in self.born:
                        self.vforks.add(self.born.pop(pid))
                    continue
                self.born.pop(pid, None)
                self.gone.pop(pid, None)
                if pid in self.leaving:
                    self.leaving.discard(pid)
                else:
                    # Where the task was last heard of, if that is not too long ago.
                    last = data.rfind(b" %d/" % pid, max(0, place - _BACK), place)
                    self.execs[self._lines + data.count(b"\n", 0, max(last, 0))] = pid
        self._lines += data.count(b"\n")


def _lines_with(data: bytes) -> list[tuple[int, str]]:
    """Return the lines of a block that have one of the telling records, in order, each with its place."""
    places = set()
    for literal in _TELLING:
        at = data.find(literal)
        while at >= 0:
            places.add(data.rfind(b"\n", 0, at) + 1)
            at = data.find(literal, at + 1)
    found = []
    for place in sorted(places):
        end = data.find(b"\n", place)
        found.append((place, data[place : len(data) if end < 0 else end].decode("utf-8", "replace")))
    return found


def _task_or_none(what: str) -> tuple[int, int, int, int]:
    try:
        return task(what)
    except ValueError:
        return -1, -1, -1, -1
