# SPDX-License-Identifier: MIT
"""Names frames and slots as the recorder does: by the order in which they are seen, one name a life."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cowfast._layout import PageFlag, PteBit, SlotFlag

FLAGS = (("S", None), ("D", PageFlag.PG_DIRTY), ("L", PageFlag.PG_LRU), ("E", PageFlag.PG_EXCL))
"""Flags that a record shows and that are compared; S is "has a slot"."""


@dataclass
class Frame:
    """A page frame that was seen, by the recorder's name."""

    number: int
    alive: bool = True
    slot: int | None = None  # name of its slot, where the recorder could know it


class Probe:
    """What somebody who sees ptes, mapcounts and flags after every event can say.

    A slot's name is known from the ptes only: a page that was seen swapped and is now mapped has the slot of that
    pte, a pte that was seen mapped and is now swapped gives its frame the name of its slot.
    """

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.slots: list[list[Any]] = []  # [number, alive]
        self.last: dict[tuple[int, int], tuple[str, int]] = {}

    def frame(self, number: int) -> int:
        """The name of a frame, a new one if it was not seen alive before."""
        for name in reversed(range(len(self.frames))):
            if self.frames[name].alive and self.frames[name].number == number:
                return name
        self.frames.append(Frame(number))
        return len(self.frames) - 1

    def slot(self, number: int) -> int:
        """The name of a slot, likewise."""
        for name in reversed(range(len(self.slots))):
            if self.slots[name][1] and self.slots[name][0] == number:
                return name
        self.slots.append([number, True])
        return len(self.slots) - 1

    def look(self, state: dict[str, Any], space: int) -> dict[str, Any]:
        """The fields ``p``, ``f`` and ``sc`` of a record."""
        pages, ptes, slots = state["pages"], state["ptes"], state["slots"]
        for frame in self.frames:
            frame.alive = frame.alive and frame.number in pages
        seen: set[int] = set()
        now: dict[tuple[int, int], tuple[str, int]] = {}
        shown = {}
        for pid in sorted(state["procs"]):
            line = []
            for v in range(space):
                word = ptes.get((pid, v), 0)
                kind, number = word & PteBit.PTE_KIND, word >> PteBit.PTE_SHIFT
                was = self.last.get((pid, v))
                if kind == PteBit.PTE_PRESENT:
                    name = self.frame(number)
                    now[pid, v] = ("f", name)
                    frame = self.frames[name]
                    if was and was[0] == "s" and pages[number][2] and frame.slot is None and self.slots[was[1]][1]:
                        frame.slot = was[1]
                    line.append(f"f{name}" + "x" * (pages[number][4] == 1))
                elif kind == PteBit.PTE_SWAP:
                    name = self.slot(number)
                    seen.add(name)
                    now[pid, v] = ("s", name)
                    if was and was[0] == "f" and self.frames[was[1]].alive:
                        self.frames[was[1]].slot = name
                    line.append(f"s{name}" + "+" * bool(slots[number][3] & SlotFlag.SLOT_CACHED))
                else:
                    line.append("z" if kind == PteBit.PTE_ZERO else "-")
            shown[str(pid)] = " ".join(line)
        self.last = now
        frames = {}
        for name, frame in enumerate(self.frames):
            if not frame.alive:
                frame.slot = None
                continue
            _, _, slot, flags, maps, _, _ = pages[frame.number]
            if not slot:
                frame.slot = None
            if frame.slot is not None:
                seen.add(frame.slot)
            letters = "".join(letter for letter, bit in FLAGS if (slot if bit is None else flags & bit))
            frames[f"f{name}"] = f"{maps} {letters}" + (f" s{frame.slot}" if frame.slot is not None else "")
        for name, entry in enumerate(self.slots):
            entry[1] = name in seen
        return {"p": shown, "f": frames, "sc": sum(1 for page in pages.values() if page[2])}

    def referenced(self, state: dict[str, Any]) -> list[str]:
        """Names of the frames, as of the last look, that have PG_referenced."""
        pages = state["pages"]
        return [
            f"f{name}"
            for name, frame in enumerate(self.frames)
            if frame.alive and pages[frame.number][3] & PageFlag.PG_REFERENCED
        ]


def referenced(frames: dict[str, str]) -> list[str]:
    """The frames of a record's ``f`` field that have PG_referenced."""
    return [name for name, text in frames.items() if "R" in text.split(" ")[1]]


def comparable(frames: dict[str, str]) -> dict[str, str]:
    """The ``f`` field of a record with only the flags that are compared."""
    shown = {}
    for name, text in frames.items():
        maps, flags, *slot = text.split(" ")
        shown[name] = " ".join([maps, "".join(letter for letter, _ in FLAGS if letter in flags), *slot])
    return shown
