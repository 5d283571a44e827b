# SPDX-License-Identifier: MIT
"""Recorded events as cowfast events.

The recorder's own habits are here and nowhere else: it drops a process's pin before the process exits, and it unmaps
a buffer after each ``pinread`` and ``pinwrite`` (which drains the LRU batch) and then loads the page ordinarily.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from cowfast._layout import EventFlag, Op

ARGUMENTS = {
    "read": ("pid", "page"),
    "write": ("pid", "page"),
    "fork": ("pid", "child"),
    "exit": ("pid",),
    "dontneed": ("pid", "page"),
    "pageout": ("pid", "page"),
    "protect": ("pid", "page"),
    "willneed": ("pid", "page"),
    "vmsplice": ("pid", "page"),
    "splice_peek": ("pipe",),
    "splice_read": ("pipe",),
    "pin": ("pid", "page"),
    "unpin": ("pid",),
    "pinread": ("pid",),
    "pinwrite": ("pid",),
    "reclaim": (),
    "drain": (),
    "fillswap": ("slots",),
    "freeswap": (),
}
"""Recorded events and what their numbers are."""

SIMPLE = {
    "read": Op.READ,
    "write": Op.WRITE,
    "dontneed": Op.DISCARD,
    "pageout": Op.PAGEOUT,
    "protect": Op.PROTECT,
    "willneed": Op.PREFETCH,
}
PIPES = 2048  # reference numbers: pipes count from 0, pins from here, one a process
MOST_PROCESSES = 2048

Step = tuple[str, tuple[int, ...]]
"""The record's field that an event's value is compared with ("" for none), and the event."""


@lru_cache(maxsize=4096)
def parse(text: str) -> tuple[str, dict[str, int]]:
    """``"fork 0 1"`` as name and numbers; ValueError says what is wrong."""
    name, *words = text.split()
    if name not in ARGUMENTS:
        raise ValueError(f"unknown recorded event {text!r}")
    if len(words) != len(ARGUMENTS[name]) or not all(word.isascii() and word.isdigit() for word in words):
        raise ValueError(f"{text!r}: expected {' '.join([name, *ARGUMENTS[name]])}")
    numbers = dict(zip(ARGUMENTS[name], map(int, words), strict=True))
    if max(numbers.get("pid", 0), numbers.get("child", 0)) >= MOST_PROCESSES or numbers.get("pipe", 0) >= PIPES:
        raise ValueError(f"{text!r}: process or pipe number above {MOST_PROCESSES - 1}")
    return name, numbers


def processes(text: str) -> int:
    """How many process numbers this event needs."""
    numbers = parse(text)[1]
    return 1 + max(numbers.get("pid", 0), numbers.get("child", 0))


class Translator:
    """Our events for each recorded one; remembers who pinned what."""

    def __init__(self) -> None:
        self.pinned: dict[int, int] = {}  # process -> its pinned page

    def steps(self, row: dict[str, Any]) -> Iterator[Step]:
        """The events of one row of a record; ValueError if it makes no sense."""
        name, numbers = parse(row["e"])
        pid, page = numbers.get("pid", 0), numbers.get("page", 0)
        pin = PIPES + pid
        if name in SIMPLE:
            yield "v" if name == "read" else "", (SIMPLE[name], pid, page)
        elif name == "fork":
            yield "", (Op.FORK, pid, 0, numbers["child"])
        elif name == "exit":
            if self.pinned.pop(pid, None) is not None:
                yield "", (Op.UNPIN, pid, 0, pin)
            yield "", (Op.EXIT, pid)
        elif name == "vmsplice":
            pipe = row.get("ref")
            if not isinstance(pipe, int) or not 0 <= pipe < PIPES:
                raise ValueError(f'{row["e"]!r} needs the number of its pipe, "ref"')
            yield "", (Op.GET, pid, page, pipe, EventFlag.EV_LOOK)
        elif name in ("splice_peek", "splice_read"):
            yield "v", (Op.PINREAD, 0, 0, numbers["pipe"])
            if name == "splice_read":
                yield "", (Op.PUT, 0, 0, numbers["pipe"])
        elif name == "pin":
            self.pinned[pid] = page
            yield "", (Op.PIN, pid, page, pin, EventFlag.EV_WRITE | EventFlag.EV_LONGTERM)
        elif name == "unpin":
            self.pinned.pop(pid, None)
            yield "", (Op.UNPIN, pid, 0, pin)
        elif name in ("pinread", "pinwrite"):
            read = name == "pinread"
            yield "v" if read else "", (Op.PINREAD if read else Op.PINWRITE, pid, 0, pin)
            yield "", (Op.DRAIN, pid)
            if "view" in row and pid in self.pinned:
                yield "view", (Op.READ, pid, self.pinned[pid])
        elif name in ("reclaim", "drain"):
            yield "", (Op.RECLAIM if name == "reclaim" else Op.DRAIN, 0)
        elif name == "fillswap":
            yield "", (Op.FILLSWAP, 0, 0, numbers["slots"])
        else:
            yield "", (Op.FREESWAP,)
