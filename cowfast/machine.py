# SPDX-License-Identifier: MIT
"""The machine that a policy runs on: memory, swap, CPUs, table sizes (docs/model.md section 3)."""

from __future__ import annotations

import difflib
from typing import Any

import msgspec

from cowfast.errors import MachineError

_LIMITS = {  # field -> smallest, largest
    "memory": (0, (1 << 26) - 1),
    "swap_slots": (0, (1 << 26) - 1),
    "swap_latency": (0, (1 << 31) - 1),
    "page_cluster": (0, 31),
    "cpus": (1, 1024),
    "lru_batch": (-1, 1023),
    "space": (1, (1 << 32) - 1),  # the address after the last fits 32 bits too
    "processes": (1, 65_535),
    "references": (0, 1 << 24),
    "stat_flush_events": (0, (1 << 31) - 1),
}


class Machine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Memory, swap and sizes; all in pages, slots and events.

    Raises
    ------
    MachineError
        from every way of making one: names the field and what it may be
    """

    memory: int = 0
    """pages that may be charged; 0 = unlimited"""
    swap_slots: int = 1 << 22
    """slots of the swap device"""
    swap: str = "async"
    """``none``, ``async`` (a disk) or ``sync`` (zram, pmem)"""
    stable_writes: bool = False
    """pages must not change while they are written (zram, checksumming devices)"""
    swap_latency: int = 0
    """events that a write stays under way after the one that submitted it (async only)"""
    page_cluster: int = 3
    """readahead window 2^n pages, 0 = none"""
    cpus: int = 1
    lru_batch: int = -1
    """entries of an LRU batch; -1 = the policy's 15 or 31, 0 = no batches"""
    stat_flush_events: int = 500
    """somebody reads the cgroup's statistics every so many events; 0 = nobody.  From 6.15 on reclaim sees its own
    counters only then (docs/model-reclaim.md section 11); the kernel's own worker comes by every two seconds"""
    space: int = 1 << 18
    """virtual pages of each process"""
    processes: int = 64
    """process numbers"""
    references: int = 4096
    """reference numbers"""

    def __post_init__(self) -> None:
        if self.swap not in ("none", "async", "sync"):
            raise MachineError(f"machine swap {self.swap!r}: write none, async or sync")
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise MachineError(f"machine {name} {value!r}: write a whole number from {low} to {high}")
        if not isinstance(self.stable_writes, bool):
            raise MachineError(f"machine stable_writes {self.stable_writes!r}: write true or false")
        if self.swap_latency and self.swap == "sync":
            raise MachineError("machine swap_latency is for swap=async; a synchronous device writes at once")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Machine:
        """A machine from keys and values; unknown keys are refused with the nearest name."""
        for key in values:
            if key not in cls.__struct_fields__:
                close = difflib.get_close_matches(str(key), cls.__struct_fields__, 1)
                raise MachineError(
                    f"unknown machine parameter {key!r}; "
                    + (f"did you mean {close[0]!r}?" if close else f"known are {', '.join(cls.__struct_fields__)}")
                )
        return cls(**values)

    @classmethod
    def parse(cls, text: str) -> Machine:
        """A machine from ``"memory=1000,swap=sync"``."""
        return cls.from_dict(parse_fields(text))

    def to_dict(self) -> dict[str, Any]:
        """All parameters; ``from_dict`` of it gives the machine back."""
        return {name: getattr(self, name) for name in self.__struct_fields__}

    def replace(self, **changes: Any) -> Machine:
        """A copy with some fields changed."""
        return type(self).from_dict(self.to_dict() | changes)


def parse_fields(text: str) -> dict[str, Any]:
    """``"memory=1000,swap=sync"`` as a dictionary; numbers and true/false are understood."""
    values: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals:
            raise MachineError(f"machine {part!r}: write NAME=VALUE, such as memory=1000")
        digits = value.lstrip("-")
        if digits.isascii() and digits.isdigit() and len(digits) < 20:
            values[key] = int(value)
        else:
            values[key] = {"true": True, "false": False}.get(value, value)
    return values
