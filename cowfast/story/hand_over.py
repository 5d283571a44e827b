# SPDX-License-Identifier: MIT
"""The state of the fast engine as objects of the reference model: the long way by the one, the event that is told by the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from cowfast._engine import Engine
from cowfast._layout import Number, PageFlag, ProcFlag, PteBit, RefKind, SlotFlag
from cowfast.reference.objects import BLANK, Page, Pte, Reference, Slot
from cowfast.story._watch import inside
from cowfast.story.teller import Teller

LEAF = int(Number.LEAF)


def hand_over(engine: Engine) -> Teller:
    """Return a reference model that goes on where the engine stands.

    Its ``state()`` is the engine's but for the contents of pages, which are zeros here: no decision depends on them.  Takes about a microsecond for each page and pte.
    """
    model = Teller(engine.policy, engine.machine)
    more = inside(engine)
    model.time, model.age, model.snapshot = more["time"], more["age"], more["snapshot"]
    model.filled, model.next_page, model.next_slot = more["filled"], more["next_page"], more["next_slot"]
    model.free_slots = more["free_slots"]
    model.free_movable, model.free_unmovable = engine.free_list(False), engine.free_list(True)
    model.counts = engine.counters.to_dict()
    _pages(engine, model)
    _slots(engine, model)
    _ptes(engine, model)
    _references(engine, model)
    pages = model.pages
    model.batches = [[pages[p] for p in batch] for batch in engine.batches()]
    model.inactive, model.active = ([pages[p] for p in engine.walk(which)] for which in (0, 1))
    model.writeback = [(pages[p], due) for p, due in engine.writeback()]
    real = (len(model.inactive), len(model.active), more["refaulted"])
    for i, name in enumerate(("inactive", "active", "refaulted")):
        plain = not model.switches.stat_step and model.switches.stat_flush == 0  # always seen as it is: not kept apart
        model.real[name], model.pending[name] = real[i], more["pending"][i]
        model.seen[name] = real[i] if plain else more["seen"][i]
    return model


def _pages(engine: Engine, model: Teller) -> None:
    table = engine.pages
    live = np.flatnonzero(table["refs"][: model.next_page])
    flags: dict[int, dict[str, Any]] = {}
    columns = (table[name][live].tolist() for name in ("refs", "vpage", "flags"))
    for number, refs, vpage, word in zip(live.tolist(), *columns, strict=True):
        if word not in flags:
            flags[word] = {name: bool(word & bit) for name, bit in Page.FLAGS.items()}
        page = model.pages[number] = Page.__new__(Page)
        page.__dict__.update(flags[word])
        page.number, page.vpage, page.refs, page.gets, page.pins = number, vpage, refs, 0, 0
        page.slot, page.mappers, page.contents = None, {}, BLANK
        page.contents_when_dropped = BLANK if word & PageFlag.PG_DROPPED else None


def _slots(engine: Engine, model: Teller) -> None:
    table = engine.slots
    used = np.flatnonzero(table["flags"])
    for number in used.tolist():
        what, count, flags = (int(table[number][name]) for name in ("page", "swap_count", "flags"))
        slot = model.slots[number] = Slot(number)
        slot.swap_count, slot.blank, slot.contents = count, bool(flags & SlotFlag.SLOT_BLANK), BLANK
        slot.shadow_workingset = bool(flags & SlotFlag.SLOT_WORKINGSET)
        if flags & SlotFlag.SLOT_CACHED:
            slot.page = model.pages[what]
            slot.page.slot = slot
        elif flags & SlotFlag.SLOT_SHADOW:
            slot.shadow = what


def _ptes(engine: Engine, model: Teller) -> None:
    words = engine.ptes["word"].reshape(-1, LEAF)
    flags = engine.procs["flags"]
    for process in model.processes:
        record = engine.procs[process.number]
        process.alive = bool(flags[process.number] & ProcFlag.PROC_ALIVE)
        process.has_anon = bool(flags[process.number] & ProcFlag.PROC_HAS_ANON)
        process.has_pinned = bool(flags[process.number] & ProcFlag.PROC_HAS_PINNED)
        process.cpu, process.parent = int(record["cpu"]), int(record["parent"])
        if process.alive:
            process.ra_last, process.ra_window, process.ra_hits = (
                int(record[name]) for name in ("ra_last", "ra_window", "ra_hits")
            )
    for pid, place, leaf in zip(*(each.tolist() for each in engine.leaves()), strict=True):
        at = np.flatnonzero(words[leaf])
        for v, word in zip((at + place * LEAF).tolist(), words[leaf][at].tolist(), strict=True):
            model.processes[pid].ptes[v] = pte = _pte(word, model)
            if pte.page is not None:
                pte.page.mappers[pid] = pte


def _pte(word: int, model: Teller) -> Pte:
    pte = Pte()
    kind, number = word & PteBit.PTE_KIND, word >> PteBit.PTE_SHIFT
    if kind == PteBit.PTE_ZERO:
        pte.zero = True
    elif kind == PteBit.PTE_PRESENT:
        pte.page, pte.write = model.pages[number], bool(word & PteBit.PTE_WRITE)
    else:
        pte.slot, pte.marked = model.slots[number], bool(word & PteBit.PTE_WRITE)
    pte.dirty, pte.young, pte.blank = (
        bool(word & bit) for bit in (PteBit.PTE_DIRTY, PteBit.PTE_YOUNG, PteBit.PTE_BLANK)
    )
    return pte


def _references(engine: Engine, model: Teller) -> None:
    table = engine.refs
    for number in np.flatnonzero(table["kind"]).tolist():
        kind, pid, vpage, flags, p = (int(table[number][name]) for name in ("kind", "pid", "vpage", "flags", "page"))
        page = model.pages[p] if p else None
        model.references[number] = Reference(kind, pid, vpage, flags, page)
        if page is not None:
            page.gets += kind == RefKind.REF_GET
            page.pins += kind == RefKind.REF_PIN
