# SPDX-License-Identifier: MIT
"""The log of one process under ``valgrind --tool=lackey``: bursts of accesses, and what system calls say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cowfast.errors import TraceError
from cowfast.traces.files import MAX_LINE, blocks
from cowfast.traces.lackey._scan import Scanner, Stop

RECORD = "valgrind --tool=lackey --trace-mem=yes --trace-syscalls=yes --log-file=x.%p.log PROGRAM"

_PID = re.compile(rb"(?:==|--|\*\*)(\d+)(?:==|--|\*\*) ?(.*)")
_SYSCALL = re.compile(rb"SYSCALL\[(\d+),\d+\]\(\s*(\d+)\) (?:(\w+) ?\((.*?)\))?")
_SUCCESS = re.compile(rb"Success\(0x([0-9a-f]+)(?::0x[0-9a-f]+)?\)")
_CHILD = re.compile(rb"process \d+ created child (\d+)")
_BURST = 1 << 14


class Accesses(NamedTuple):
    """Pages in order (virtual, uint64), and which of the accesses write (uint8)."""

    pages: np.ndarray
    writes: np.ndarray


class Call(NamedTuple):
    """Something that a system call did: ``fork child``, ``wait child``, ``unmap``, ``share``, ``exec``."""

    what: str
    first: int
    length: int = 0


class Log:
    """Reads one log.

    Raises TraceError, from the constructor too, for a file that is no lackey log or has lines of several processes.
    """

    def __init__(self, path: Path, window: int) -> None:
        self.path = path
        self.scanner = Scanner(window)
        self.pid = self.parent = -1
        self.calls_seen = False
        self._names: dict[bytes, bytes] = {}  # system call number -> name; its completion has only the number
        self._arguments: dict[bytes, list[int]] = {}
        self._break = 0
        self._line = 0
        for item in self._lines_at_start():
            found = _PID.match(item)
            if found:
                self._belongs(int(found[1]), 1)
                parent = re.match(rb"Parent PID: (\d{1,9})\s*$", found[2])
                if parent:
                    self.parent = int(parent[1])
                    break
        if self.pid < 0:
            raise TraceError(
                f"{path.name}: no ==PID== in its first lines: this is not a lackey log (or one recorded with -q); record it with: {RECORD}"
            )

    def __iter__(self) -> Iterator[Accesses | Call]:
        """Yield accesses and calls in order."""
        pages, writes = np.empty(_BURST, np.uint64), np.empty(_BURST, np.uint8)
        rest = b""
        more = blocks(self.path)
        while True:
            block = next(more, b"")
            data = rest + block + (b"" if block else b"\n" if rest else b"")
            at = 0
            while True:
                why, at, n = self.scanner.scan(data, at, pages, writes)
                if n:
                    yield Accesses(pages[:n].copy(), writes[:n].copy())
                if why == Stop.OTHER_LINE:
                    end = data.find(b"\n", at)
                    if end < 0:
                        break
                    call = self._other(data[at:end])
                    at = end + 1
                    if call is not None:
                        self.scanner.forget()
                        yield call
                elif why == Stop.NEED_MORE:
                    break
            rest = data[at:]
            if not block:
                if rest.strip():
                    self._other(rest.strip(b"\n"))
                return
            if len(rest) > MAX_LINE:
                raise self._error(f"a line longer than {MAX_LINE:,} bytes: this is not a lackey log")

    def _lines_at_start(self) -> list[bytes]:
        return next(blocks(self.path), b"")[:65536].split(b"\n")[:200]

    def _other(self, text: bytes) -> Call | None:
        """Return what a line that is not an access says, if that matters."""
        self._line += 1
        if text.startswith(b"SYSCALL["):
            return self._syscall(text)
        found = _PID.match(text)
        if found:
            self._belongs(int(found[1]), 0)
            return None
        if not text.strip() or text.startswith((b" -->", b"DEBUG", b"SYSCALL")):
            return None
        raise self._error(f"not a line of lackey: {text[:60].decode('utf-8', 'replace')!r}; record it with: {RECORD}")

    def _syscall(self, text: bytes) -> Call | None:
        found = _SYSCALL.match(text)
        if found is None:
            return None
        self.calls_seen = True
        self._belongs(int(found[1]), 0)
        number = found[2]
        if found[3]:
            self._names[number] = found[3].removeprefix(b"sys_")
            self._arguments[number] = _numbers(found[4])
        name, given = self._names.get(number, b""), self._arguments.get(number, [])
        child = _CHILD.search(text)
        if child:
            return Call("fork", int(child[1]))
        if name == b"execve" and found[3]:
            return Call("exec", 0)
        result = _SUCCESS.search(text)
        return _meaning(name, given, int(result[1], 16), self) if result else None

    def brk(self, end: int) -> Call | None:
        """The end of the heap moved."""
        before, self._break = self._break, end
        return Call("unmap", end, before - end) if before > end else None

    def _belongs(self, pid: int, _line: int) -> None:
        if self.pid < 0:
            self.pid = pid
        if pid != self.pid:
            raise TraceError(
                f"{self.path.name}: it has lines of processes {self.pid} and {pid}, and its accesses do not say whose they "
                f"are; write one log for each process, with %p in its name: {RECORD}"
            )

    def _error(self, problem: str) -> TraceError:
        return TraceError(f"{self.path.name}, line {self._line + self.scanner.lines:,}: {problem}")


def _meaning(name: bytes, given: list[int], result: int, log: Log) -> Call | None:
    if name == b"wait4":
        return Call("wait", result) if result else None
    if name == b"waitid" and len(given) > 1 and given[0] == 1:
        return Call("wait", given[1])
    if name == b"munmap" and len(given) > 1:
        return Call("unmap", given[0], given[1])
    if name == b"madvise" and len(given) > 2 and given[2] == 4:
        return Call("unmap", given[0], given[1])
    if name == b"brk":
        return log.brk(result)
    if name == b"mmap" and len(given) > 3:
        if given[3] & 1:
            return Call("share", result, given[1])
        if given[3] & 16:  # MAP_FIXED: what was there is gone
            return Call("unmap", result, given[1])
    return None


def _numbers(text: bytes) -> list[int]:
    """Return the leading numbers of an argument list."""
    numbers = []
    for word in text.split(b","):
        word = word.strip().partition(b"(")[0]
        try:
            numbers.append(int(word, 16) if word.startswith(b"0x") else int(word))
        except ValueError:
            break
    return numbers
