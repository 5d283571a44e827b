# SPDX-License-Identifier: MIT
"""The stream that an import builds: events with the kernel's verdict, some of it known only a moment later."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

import numpy as np

from cowfast.events import EVENT

#: Numbers beside each event: the kernel's word on it, microseconds since the recording began, line in the text.
COLUMNS = {"kernel": "u2", "time": "u8", "line": "u4"}
_DROPPED = 255
_FLUSH = 1 << 14


class Kernel(IntEnum):
    """The column ``kernel``: a verdict in the low three bits, and flags."""

    NOTHING = 0  # not a fault of the recording
    COPY = 1  # a page was allocated, and not zeroed
    REUSE = 2  # no page was allocated
    ZERO = 3  # a zeroed page was allocated
    UNKNOWN = 4  # the recording does not say
    NOT_HANDLED = 5  # page faults were off; the same fault came again
    VERDICT = 7  # mask
    WP = 8  # a write-protection fault
    FILE = 16  # first write to a page of the page cache: new whatever the policy
    UNSEEN = 32  # write-protected, but nothing before shows how the process got the page
    TEARDOWN = 64  # the process has begun to give back its memory (on a cpu event)
    IMPLIED = 128  # not in the recording, but it must have happened
    RACE_BEFORE = 256  # another process's write fault on the same page was under way on another CPU
    RACE_AFTER = 512  # ... began while this one was under way


class Stream:
    """Events in order, held back until every verdict in front of them is known."""

    def __init__(self) -> None:
        self.base = 0  # index of the first event that is held
        self._columns: tuple[list[int], ...] = tuple([] for _ in range(7))
        self.ops, self.pids, self.pages, self.args, self.kernel, self._times, self._lines = self._columns

    def add(self, op: int, pid: int, page: int, arg: int, kernel: int, time: int, line: int) -> int:
        """Append an event; returns its index, for :meth:`judge` and :meth:`retract`."""
        self.ops.append(op)
        self.pids.append(pid)
        self.pages.append(page)
        self.args.append(arg)
        self.kernel.append(kernel)
        self._times.append(time)
        self._lines.append(line)
        return self.base + len(self.ops) - 1

    def judge(self, index: int, verdict: int) -> int:
        """Set the verdict of an event that is still held; returns what its word was."""
        at = index - self.base
        before = self.kernel[at]
        self.kernel[at] = before & ~7 | verdict
        return before

    def mark(self, index: int, flag: int) -> None:
        """Set a flag of an event, if it is still held."""
        if index >= self.base:
            self.kernel[index - self.base] |= flag

    def retract(self, index: int) -> None:
        """Take an event back: it turned out not to have happened."""
        self.ops[index - self.base] = _DROPPED

    @property
    def full(self) -> bool:
        """Whether a good number of events are held."""
        return len(self.ops) >= _FLUSH

    def flush(self, first_open: int | None = None) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Yield what is held up to the first event whose verdict may still come, as (EVENT array, columns)."""
        n = len(self.ops) if first_open is None else min(len(self.ops), first_open - self.base)
        if n <= 0:
            return
        ops = np.array(self.ops[:n], np.uint8)
        keep = ops != _DROPPED
        events = np.zeros(int(keep.sum()), EVENT)
        for name, values in zip(("op", "pid", "page", "arg"), self._columns[:4], strict=True):
            events[name] = np.array(values[:n], EVENT[name])[keep]
        columns = {
            name: np.array(values[:n], kind)[keep]
            for (name, kind), values in zip(COLUMNS.items(), self._columns[4:], strict=True)
        }
        for values in self._columns:
            del values[:n]
        self.base += n
        yield events, columns
