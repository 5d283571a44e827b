# SPDX-License-Identifier: MIT
"""Recomputes every count from the page tables and names the first that is wrong (docs/model.md section 11)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cowfast._layout import RefKind
from cowfast.errors import InvariantError

if TYPE_CHECKING:
    from cowfast.reference.model import Reference


def verify(model: Reference) -> None:
    """Raises InvariantError at the first thing that does not add up."""
    entries = Counter[int]()
    mappers: dict[int, set[int]] = {}
    for process in model.processes:
        if process.ptes and not process.alive:
            raise InvariantError(f"process {process.number} is dead and has ptes")
        for v, pte in process.ptes.items():
            if pte.zero + (pte.page is not None) + (pte.slot is not None) != 1:
                raise InvariantError(f"pte ({process.number}, {v}) is not exactly one thing")
            if pte.slot is not None:
                entries[pte.slot.number] += 1
            if pte.page is not None:
                mappers.setdefault(pte.page.number, set()).add(process.number)
                if pte.page.vpage != v:
                    raise InvariantError(f"page {pte.page.number} of virtual page {pte.page.vpage} is mapped at {v}")
                if pte.write and model.switches.exclusive and not pte.page.exclusive:
                    raise InvariantError(
                        f"pte ({process.number}, {v}) is writable and page {pte.page.number} not exclusive"
                    )
                # A policy that missed a copy left a swap pte of somebody else behind, which may come in later.
                if pte.write and pte.page.maps != 1 and not model.counts["missed_copies"]:
                    raise InvariantError(
                        f"pte ({process.number}, {v}) is writable and page {pte.page.number} mapped {pte.page.maps} times"
                    )
                if pte.blank and not (pte.write and pte.page.blank):
                    raise InvariantError(f"pte ({process.number}, {v}) is blank, but page {pte.page.number} is not")
            if pte.marked and (pte.slot is None or pte.slot.swap_count != 1):
                raise InvariantError(f"pte ({process.number}, {v}) has the exclusive marker and its slot other users")
    batched = Counter(page.number for batch in model.batches for page in batch)
    listed = Counter(page.number for page in (*model.inactive, *model.active))
    held = Counter((r.page.number, r.kind) for r in model.references.values() if r.page is not None)
    for number, page in model.pages.items():
        if set(page.mappers) != mappers.get(number, set()):
            raise InvariantError(
                f"page {number}: mapped by {sorted(mappers.get(number, set()))}, not {sorted(page.mappers)}"
            )
        if (page.gets, page.pins) != (held[number, RefKind.REF_GET], held[number, RefKind.REF_PIN]):
            raise InvariantError(f"page {number}: gets or pins are wrong")
        refs = page.maps + (page.slot is not None) + batched[number] + page.gets + 1024 * page.pins
        if page.refs != refs or refs == 0:
            raise InvariantError(f"page {number}: refs {page.refs}, but {refs} references exist")
        if listed[number] != page.lru or batched[number] != page.batched or (page.lru and page.batched):
            raise InvariantError(
                f"page {number}: on lists {listed[number]} times, in batches {batched[number]} times, flags {page!r}"
            )
        if page.exclusive and (page.maps > 1 or page.ksm):
            raise InvariantError(f"page {number} is exclusive and shared")
        if page.slot is not None and page.slot.page is not page:
            raise InvariantError(f"page {number} and {page.slot} disagree")
        if page.blank and page.contents != (0, 0):
            raise InvariantError(f"page {number} is blank and holds {page.contents}")
        if page.isolated:
            raise InvariantError(f"page {number} is isolated between events")
    for number, slot in model.slots.items():
        if slot.swap_count != entries[number]:
            raise InvariantError(f"slot {number}: swap count {slot.swap_count}, but {entries[number]} swap ptes")
        if slot.page is None and not slot.swap_count:
            raise InvariantError(f"slot {number} is used by nobody")
        if slot.page is not None and slot.page.slot is not slot:
            raise InvariantError(f"slot {number} and {slot.page!r} disagree")
    counts = model.counts
    for total, parts in (
        ("write_faults", ("reuses", "copies")),
        ("needless_copies", [n for n in counts if n.startswith("needless_by_cause.")]),
        ("swap_cache_removals", [n for n in counts if n.startswith("removals_by_cause.")]),
    ):
        if counts[total] != sum(counts[part] for part in parts):
            raise InvariantError(f"{total} {counts[total]} is not the sum of {', '.join(parts)}")
    if counts["page_allocs"] - counts["page_frees"] != len(model.pages):
        raise InvariantError(
            f"{len(model.pages)} pages live, but {counts['page_allocs']} - {counts['page_frees']} were counted"
        )
    if model.machine.memory and len(model.pages) > model.machine.memory:
        raise InvariantError(f"{len(model.pages)} pages charged, limit {model.machine.memory}")
