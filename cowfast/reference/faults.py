# SPDX-License-Identifier: MIT
"""Accesses, the write fault and the swap-in (docs/model.md section 5)."""

from __future__ import annotations

from cowfast._layout import Cause, CheckOp, Outcome, RefKind, Status
from cowfast.reference.decision import Decide
from cowfast.reference.memory import Refused
from cowfast.reference.objects import BLANK, Page, Process, Pte, Slot


class Faults(Decide):
    """read, write, and what they lead to."""

    def access(self, process: Process, v: int, write: bool, store: bool) -> bool:
        """One access until it succeeds; true if it needed a fault.

        *store* false: GUP walks the page table.  It may want the page writable, but writes nothing and sets no pte bit.
        """
        faulted, self.left = False, None
        while True:
            pte = process.ptes.get(v)
            present = pte is not None and pte.slot is None
            if pte is not None and present and (not write or (pte.write and not pte.zero)):
                if store or not (write or self.looking):
                    self.hit(pte, write)
                return faulted
            if not faulted:
                faulted = True
                self.count("faults")
                self.note(Outcome.FAULT)
            if pte is not None and pte.slot is not None:
                done = self.swap_in(process, v, pte, write, store)
            elif pte is None and not write:
                done = self.map_zero_page(process, v)
            elif pte is None or pte.zero:
                done = self.zero_fill(process, v, store)
            else:
                done = self.write_fault(process, v, pte, store)
            if done:
                return True

    looking = False  # a get or pin is walking the page tables

    def hit(self, pte: Pte, write: bool) -> None:
        """The processor sets accessed and dirty."""
        pte.young = True
        if write:
            pte.dirty = True
            self.stored(pte)

    def stored(self, pte: Pte) -> None:
        """Data was written through this pte."""
        page = pte.page
        assert page is not None
        page.contents = (self.stamp, self.stamp)
        page.blank = pte.blank = False

    @property
    def stamp(self) -> int:
        return (self.time + 1) & 0xFFFFFFFF

    def map_zero_page(self, process: Process, v: int) -> bool:
        """do_anonymous_page, read: no page, no anon_vma."""
        pte = process.ptes[v] = Pte()
        pte.zero = pte.young = True
        self.count("zero_pages")
        self.note(Outcome.ZERO_PAGE)
        return True

    def allocate_for(self, process: Process, v: int) -> Page | None:
        """A new page for this fault; None if the charge's reclaim changed the pte: start over."""
        before = process.ptes.get(v)
        page = self.new_page(v)
        if process.ptes.get(v) is not before:
            self.put_page(page)
            return None
        return page

    def install(self, process: Process, v: int, page: Page, *, write: bool = True) -> Pte:
        """A new anonymous page is mapped and goes to the LRU batch."""
        pte = process.ptes[v] = Pte()
        pte.page = page
        pte.write = pte.dirty = write
        pte.young = True
        page.mappers[process.number] = pte
        page.exclusive = self.switches.exclusive
        process.has_anon = True
        pte.blank = write and page.blank
        self.batch_add(page)
        return pte

    def zero_fill(self, process: Process, v: int, store: bool) -> bool:
        page = self.allocate_for(process, v)
        if page is None:
            return False
        page.contents, page.blank = BLANK, True
        pte = self.install(process, v, page)
        self.count("zero_fills")
        self.note(Outcome.ZERO_FILLED)
        if store:
            self.stored(pte)
        return True

    # ---- do_wp_page

    def write_fault(self, process: Process, v: int, pte: Pte, store: bool, unshare: bool = False) -> bool:
        """do_wp_page.  False: the copy's own charge unmapped the page, start over."""
        page = pte.page
        assert page is not None
        reuse, index, now = self.decide_write_fault(page, process.number, not unshare)
        if reuse:
            self.reuse(process, pte, page, unshare)
        elif not self.copy(process, v, pte, page, index, now, unshare):
            return False
        if unshare:
            self.count("unshares")
            self.note(Outcome.UNSHARED)
            return True
        self.count("write_faults")
        self.outcome &= ~(31 << Outcome.CHECK_SHIFT)
        self.note(Outcome.WRITE_FAULT | (index + 1) << Outcome.CHECK_SHIFT)
        if store:
            self.stored(process.ptes[v])
            page.dropped = page.dropped and not reuse
        return True

    def reuse(self, process: Process, pte: Pte, page: Page, unshare: bool) -> None:
        """wp_page_reuse; an unshare only learns that the page is its own."""
        self.note(Outcome.REUSED)
        page.ksm = False  # reuse_ksm_page (to 5.8): page_move_anon_rmap makes it an ordinary page again
        if self.switches.exclusive:
            page.exclusive = True
        if unshare:
            return
        if self.visible_to_others(page, process.number):
            self.count("missed_copies")
            self.note(Outcome.MISSED)
        pte.write = pte.dirty = pte.young = True
        pte.blank = page.blank
        self.count("reuses")

    def copy(self, process: Process, v: int, pte: Pte, old: Page, index: int, now: object, unshare: bool) -> bool:
        """wp_page_copy."""
        pid = process.number
        needless = not self.visible_to_others(old, pid)
        cause = self.blame(old, pid, index, now) if needless and not unshare else Cause.CAUSE_NONE  # type: ignore[arg-type]
        broken = any(r.page is old and r.kind == RefKind.REF_PIN and r.pid == pid for r in self.references.values())
        ksm = old.ksm
        old.refs += 1
        try:
            page = self.allocate_for(process, v)
        except Refused:
            self.put_page(old)
            raise
        if page is None:
            self.put_page(old)
            return False
        page.contents, page.blank = old.contents, old.blank
        self.install(process, v, page, write=not unshare)
        del old.mappers[pid]
        old.refs -= 1
        if self.switches.copy_leaves_swap_cache and not old.mappers:
            self.leave_swap_cache_trylock(old, "copy")
        self.put_page(old)
        self.note(Outcome.COPIED)
        if ksm:
            self.count("ksm_copies")
        if unshare:
            self.count("unshare_copies")
            return True
        self.count("copies")
        if self.left is old:
            self.count("futile_removals")
            self.note(Outcome.FUTILE)
        if broken:
            self.count("broken_pins")
            self.note(Outcome.PIN_BROKEN)
        if needless:
            self.count("needless_copies")
            self.count("needless_by_cause." + cause.name.removeprefix("CAUSE_").lower())
            self.note(Outcome.NEEDLESS | cause << Outcome.CAUSE_SHIFT)
        return True

    # ---- do_swap_page

    def swap_in(self, process: Process, v: int, pte: Pte, write: bool, store: bool) -> bool:
        slot = pte.slot
        assert slot is not None
        self.count("swap_ins")
        self.note(Outcome.SWAP_IN)
        past_cache = False
        if slot.page is not None:
            page = self.swap_cache_hit(process, v, slot.page)
        else:
            self.count("major_faults")
            self.note(Outcome.MAJOR)
            sync = self.machine.swap == "sync"
            if sync and self.switches.swap_bypass and slot.swap_count == 1:
                page, past_cache = self.read_past_cache(v, slot), True
                self.note(Outcome.PAST_CACHE)
            else:
                if sync and not self.switches.swap_bypass:
                    self.read_in(v, slot)
                else:
                    self.read_ahead(process, v)
                page = self.wait_for(v, slot)
                page.refs += 1
        if page.locked:
            self.count("lock_waits")
        return self.map_swapped(process, v, pte, slot, page, write, store, past_cache)

    def wait_for(self, v: int, slot: Slot) -> Page:
        """The page that was read in; once more if a later charge of the window has reclaimed it."""
        while True:
            if slot.page is not None:
                return slot.page
            self.read_in(v, slot)

    def swap_cache_hit(self, process: Process, v: int, page: Page) -> Page:
        """lookup_swap_cache: one reference for the fault; the readahead word learns."""
        self.count("swap_cache_hits")
        self.note(Outcome.FROM_CACHE)
        page.refs += 1
        if page.readahead:
            page.readahead = False
            process.ra_hits = min(process.ra_hits + 1, 0xFFFF)
            self.count("readahead_hits")
        process.ra_last = v + 1
        return page

    def read_from_device(self, page: Page, slot: Slot) -> None:
        page.contents = slot.contents or BLANK
        page.blank = slot.blank
        self.count("swap_reads_blank" if slot.blank and self.switches.zero_pages_without_io else "swap_reads")

    def read_past_cache(self, v: int, slot: Slot) -> Page:
        """SWP_SYNCHRONOUS_IO with one user: the page never is in the swap cache."""
        page = self.new_page(v)
        self.refault(page, slot)
        self.read_from_device(page, slot)
        self.batch_add(page)
        return page

    def read_in(self, v: int, slot: Slot) -> Page:
        """__read_swap_cache_async: a new page in the swap cache and in the LRU batch."""
        page = self.new_page(v)
        slot_shadow = slot.shadow, slot.shadow_workingset
        self.cache(page, slot)
        slot.shadow, slot.shadow_workingset = slot_shadow
        self.refault(page, slot)
        self.read_from_device(page, slot)
        self.batch_add(page)
        return page

    def map_swapped(
        self, process: Process, v: int, pte: Pte, slot: Slot, page: Page, write: bool, store: bool, past_cache: bool
    ) -> bool:
        """The policy's swap-in rules, in order."""
        pid = process.number
        mapped: Pte | None = None
        exclusive = False
        for check in self.swap_in_checks:
            op = check.op
            now = self.situation(page, pid, write, exclusive=exclusive, marked=pte.marked, past_cache=past_cache)
            if not now.holds(check):
                continue
            if op == CheckOp.CHECK_DRAIN:
                self.drain(self.cpu)
            elif op == CheckOp.CHECK_FREE_ENTRY:
                slot.swap_count -= 1
                if process.ptes.get(v) is pte:
                    pte.slot = None  # the entry no longer counts; the pte is written below
                if slot.swap_count == 0 and slot.page is None:
                    self.free_slot(slot)
            elif op == CheckOp.CHECK_LEAVE_SWAP_CACHE:
                if self.leave_swap_cache(page, "swap_in"):
                    self.left = page
            elif op == CheckOp.CHECK_MARK_EXCLUSIVE:
                exclusive = True
            elif mapped is None:  # CHECK_MAP, CHECK_MAP_WRITABLE
                mapped = self.map_page(process, v, page, op == CheckOp.CHECK_MAP_WRITABLE, write, exclusive)
        assert mapped is not None
        if not write:
            return True
        if mapped.write:
            if store:
                self.stored(mapped)
                page.dropped = False
            return True
        return self.write_fault(process, v, mapped, store)

    def map_page(self, process: Process, v: int, page: Page, writable: bool, write: bool, exclusive: bool) -> Pte:
        if writable:
            self.note(Outcome.MAPPED_WRITABLE)
            page.ksm = False
            if self.visible_to_others(page, process.number):
                self.count("missed_copies")
                self.note(Outcome.MISSED)
        pte = process.ptes[v] = Pte()
        pte.page = page
        pte.young = True
        pte.write = writable
        pte.dirty = writable and write
        pte.blank = writable and page.blank
        page.mappers[process.number] = pte
        if exclusive:
            page.exclusive = True
        process.has_anon = True
        return pte

    # ---- readahead: docs/model.md 5.3

    def read_ahead(self, process: Process, v: int) -> None:
        """swap_vma_readahead."""
        first, last, window = self.readahead_window(process, v)
        process.ra_last, process.ra_window, process.ra_hits = v + 1, window, 0
        if window == 1:
            slot = process.ptes[v].slot
            assert slot is not None
            self.read_in(v, slot)
            return
        for neighbour in range(first, last + 1):
            pte = process.ptes.get(neighbour)
            if pte is None or pte.slot is None or pte.slot.page is not None:
                continue
            try:
                page = self.read_in(neighbour, pte.slot)
            except Refused as refused:
                if refused.status != Status.ERR_MEMORY_FULL or neighbour == v:
                    raise
                break
            if neighbour != v:
                page.readahead = True
                self.count("readahead")
        if self.switches.readahead_drains:
            self.drain(self.cpu)

    def readahead_window(self, process: Process, v: int) -> tuple[int, int, int]:
        """__swapin_nr_pages and the window's place: (first, last, pages)."""
        most = 1 << min(self.machine.page_cluster, 5)
        if most == 1:
            return v, v, 1
        before = process.ra_last - 1  # -1: none yet
        hits = process.ra_hits
        pages = hits + 2
        if hits == 0:
            pages = 2 if before >= 0 and v in (before - 1, before + 1) else 1
        else:
            size = 4
            while size < pages:
                size *= 2
            pages = size
        pages = max(min(pages, most), process.ra_window // 2)
        if pages <= 1:
            return v, v, 1
        if before >= 0 and v == before + 1:
            first = v
        elif before >= 0 and v == before - 1:
            first = v - pages + 1
        else:
            first = v - (pages - 1) // 2
        last = first + pages - 1
        leaf = v // 512 * 512
        return max(first, leaf, 0), min(last, leaf + 511, self.machine.space - 1), pages
