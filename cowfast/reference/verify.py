# SPDX-License-Identifier: MIT
"""Recomputes everything that is redundant and names the first thing that does not add up (docs/model.md section 11)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from cowfast._layout import EventFlag, RefKind
from cowfast.errors import InvariantError

if TYPE_CHECKING:
    from cowfast.reference.model import Reference
    from cowfast.reference.objects import Pte


def verify(model: Reference) -> None:
    """Raises InvariantError at the first thing that does not add up."""
    for rule in RULES:
        rule(model)


def must(true: object, message: str) -> None:
    """One thing that has to hold."""
    if not true:
        raise InvariantError(message)


def ptes(model: Reference) -> Iterable[tuple[str, int, int, Pte]]:
    """Name, process, virtual page and pte of each entry."""
    for process in model.processes:
        for v, pte in process.ptes.items():
            yield f"pte ({process.number}, {v})", process.number, v, pte


def page_tables(model: Reference) -> None:
    """A pte is exactly one thing and has only that thing's bits; the dead have none."""
    for process in model.processes:
        must(process.alive or not process.ptes, f"process {process.number} is dead and has ptes")
    for name, _, v, pte in ptes(model):
        must(pte.zero + (pte.page is not None) + (pte.slot is not None) == 1, f"{name} is not exactly one thing")
        must(pte.page is not None or not (pte.write or pte.dirty or pte.blank), f"{name} has bits of a present pte")
        must(pte.slot is None or not pte.young, f"{name} is swapped and young")
        must(not pte.marked or pte.slot is not None, f"{name} has the exclusive marker and is not swapped")
        must(not pte.marked or model.switches.exclusive, f"{name} has a marker that the policy does not know")
        page = pte.page
        if page is not None:
            must(model.pages.get(page.number) is page, f"{name} maps page {page.number}, which is free")
            must(page.vpage == v, f"page {page.number} of virtual page {page.vpage} is mapped at {v}")
            must(not pte.blank or (pte.write and page.blank), f"{name} is blank, but page {page.number} is not")


def writable_ptes(model: Reference) -> None:
    """Who may write is alone, and known to be."""
    missed = model.counts["missed_copies"]  # a leak leaves a swap pte behind, which may come in later
    for name, _, _, pte in ptes(model):
        page = pte.page
        if page is None or not pte.write:
            continue
        must(not page.ksm, f"{name} may write to KSM page {page.number}")
        must(page.exclusive or not model.switches.exclusive, f"{name} is writable and page {page.number} not exclusive")
        must(page.maps == 1 or missed, f"{name} is writable and page {page.number} mapped {page.maps} times")


def exclusive_pages(model: Reference) -> None:
    """Exclusive means not shared: by maps, by KSM, by swap ptes; what is pinned for writing stays exclusive."""
    for number, page in model.pages.items():
        must(not page.exclusive or (page.maps <= 1 and not page.ksm), f"page {number} is exclusive and shared")
        must(not page.exclusive or model.switches.exclusive, f"page {number} has a flag that the policy does not know")
    for name, _, _, pte in ptes(model):
        if pte.marked:
            must(pte.slot and pte.slot.swap_count == 1, f"{name} has the exclusive marker and its slot other users")
    if model.switches.exclusive:
        for number, pin in model.references.items():
            pinned = pin.page
            if pinned is not None and pin.kind == RefKind.REF_PIN and pin.flags & EventFlag.EV_WRITE:
                must(pinned.exclusive or not pinned.mappers, f"{pinned!r} is not exclusive, but pin {number} writes")


def references(model: Reference) -> None:
    """refs = maps + cached + batch + gets + 1024 pins, each counted where it is held."""
    mappers: dict[int, set[int]] = {}
    for _, pid, _, pte in ptes(model):
        if pte.page is not None:
            mappers.setdefault(pte.page.number, set()).add(pid)
    batched = Counter(page.number for batch in model.batches for page in batch)
    held = Counter((r.page.number, r.kind) for r in model.references.values() if r.page is not None)
    for number, reference in model.references.items():
        target = reference.page
        must(target is None or model.pages.get(target.number) is target, f"reference {number} holds a free page")
    for number, page in model.pages.items():
        found = mappers.get(number, set())
        must(set(page.mappers) == found, f"page {number}: mapped by {sorted(found)}, not {sorted(page.mappers)}")
        must(page.gets == held[number, RefKind.REF_GET], f"page {number}: gets are wrong")
        must(page.pins == held[number, RefKind.REF_PIN], f"page {number}: pins are wrong")
        must(page.locked == held[number, RefKind.REF_LOCK], f"page {number}: locked without a holder, or by two")
        refs = page.maps + (page.slot is not None) + batched[number] + page.gets + 1024 * page.pins
        must(page.refs == refs and refs, f"page {number}: refs {page.refs}, but {refs} references exist")
        must(not page.isolated, f"page {number} is isolated between events")


def lists(model: Reference) -> None:
    """Lists and batches hold each page at most once, and pages know where they are."""
    batched = Counter(page.number for batch in model.batches for page in batch)
    listed = Counter(page.number for page in (*model.inactive, *model.active))
    for number, page in model.pages.items():
        where = f"page {number}: on lists {listed[number]} times, in batches {batched[number]} times, {page!r}"
        must(listed[number] == page.lru and batched[number] == page.batched, where)
        must(not (page.lru and page.batched), where)
        must(not page.lru or (page in model.active) == page.active, f"page {number} is on the wrong list")
    must(set(batched) | set(listed) <= set(model.pages), "a list or batch holds a free page")
    must(
        (len(model.inactive), len(model.active)) == (model.real["inactive"], model.real["active"]),
        "the lengths of the lists are not what was counted",
    )
    for cpu, batch in enumerate(model.batches):
        must(len(batch) < max(model.batch_size, 1), f"the batch of CPU {cpu} is full and was not drained")


def swap(model: Reference) -> None:
    """swap_count is the number of swap ptes; page and slot name each other; nobody's slot is free."""
    entries = Counter(pte.slot.number for _, _, _, pte in ptes(model) if pte.slot is not None)
    must(set(entries) <= set(model.slots), "a swap pte names a free slot")
    for number, slot in model.slots.items():
        found = entries[number]
        must(slot.swap_count == found, f"slot {number}: swap count {slot.swap_count}, but {found} swap ptes")
        must(slot.page is not None or slot.swap_count, f"slot {number} is used by nobody")
        must(slot.page is None or slot.page.slot is slot, f"slot {number} and {slot.page!r} disagree")
        must(slot.page is None or slot.shadow is None, f"slot {number} has a page and a shadow")
        must(slot.page is not None or slot.contents is not None, f"slot {number} was never written and has no page")
    for number, page in model.pages.items():
        must(page.slot is None or page.slot.page is page, f"page {number} and {page.slot} disagree")
    must(model.free_slot_count >= 0, "more slots are taken than there are")


def writeback(model: Reference) -> None:
    """Pages under writeback are those in the queue, cached, on an asynchronous device."""
    must(not model.plug, "writes wait in the plug between events")
    queued = [page.number for page, _ in model.writeback]
    flagged = sorted(page.number for page in model.pages.values() if page.writeback)
    must(sorted(queued) == flagged, f"under writeback: {flagged}, queued: {queued}")
    for page, _ in model.writeback:
        must(page.slot is not None and model.machine.swap == "async", f"page {page.number} is written to nowhere")


def contents(model: Reference) -> None:
    """Nothing is thought equal that is not: what says clean is clean, what says blank is zeros."""
    missed = model.counts["missed_copies"]  # zapping a dirty pte may then hide a store from the others' swap ptes
    for number, page in model.pages.items():
        must(not page.blank or page.contents == (0, 0), f"page {number} is blank and holds {page.contents}")
        nobody = not page.mappers and not (page.slot is not None and page.slot.swap_count)
        if missed or nobody or any(pte.dirty for pte in page.mappers.values()):
            continue  # where nobody reads it again, or a pte knows better
        if page.slot is not None and not page.dirty and not page.stale:
            saved = page.slot.contents
            must(page.contents == saved, f"page {number} is clean, holds {page.contents}, and its slot {saved}")
        if page.dropped:
            before = page.contents_when_dropped
            must(
                page.contents == before, f"page {number} left its slot equal to it, with {before}, not {page.contents}"
            )


def numbers(model: Reference) -> None:
    """Numbers that were ever given out are in use or free, once."""
    for what, used, free, end in (
        ("page", model.pages, [*model.free_movable, *model.free_unmovable], model.next_page),
        ("slot", model.slots, model.free_slots, model.next_slot),
    ):
        must(sorted([*used, *free]) == list(range(1, end)), f"{what} numbers below {end} are lost or given out twice")


def counters(model: Reference) -> None:
    """Sums, and what is left of gains and losses."""
    counts = model.counts
    for total, parts in (
        ("write_faults", ["reuses", "copies"]),
        ("needless_copies", [name for name in counts if name.startswith("needless_by_cause.")]),
        ("swap_cache_removals", [name for name in counts if name.startswith("removals_by_cause.")]),
    ):
        must(
            counts[total] == sum(counts[part] for part in parts),
            f"{total} {counts[total]} is not the sum of {', '.join(parts)}",
        )
    cached = sum(page.slot is not None for page in model.pages.values())
    for gained, lost, left, what in (
        ("page_allocs", "page_frees", len(model.pages), "pages"),
        ("slot_allocs", "slot_frees", len(model.slots), "slots"),
        ("swap_cache_adds", "swap_cache_removals", cached, "pages in the swap cache"),
    ):
        must(
            counts[gained] - counts[lost] == left,
            f"{left} {what}, but {counts[gained]} {gained} and {counts[lost]} {lost} were counted",
        )
    limit = model.machine.memory
    must(not limit or len(model.pages) <= limit, f"{len(model.pages)} pages charged, limit {limit}")


RULES: tuple[Callable[[Reference], None], ...] = (
    page_tables,
    writable_ptes,
    exclusive_pages,
    references,
    lists,
    swap,
    writeback,
    contents,
    numbers,
    counters,
)
"""What holds between events, one function a rule."""
