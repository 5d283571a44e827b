# SPDX-License-Identifier: MIT
"""All other paths: fork, zap, protect, prefetch, references, KSM (docs/model.md section 6)."""

from __future__ import annotations

from cowfast._layout import EventFlag, Outcome, RefKind, Status
from cowfast.reference.faults import Faults
from cowfast.reference.objects import BLANK, Page, Process, Pte, Reference

PIN = 1024  # GUP_PIN_COUNTING_BIAS
NOBODY = 65535
MOST = 65535  # gets, or pins, of one page


class Paths(Faults):
    """Everything an event can be, except an access."""

    # ---- fork

    def fork(self, parent: Process, child: Process) -> None:
        """copy_page_range, if the mapping ever had an anonymous page."""
        self.count("forks")
        child.born()
        child.alive = True
        child.parent = parent.number
        child.cpu = child.home
        child.has_anon = parent.has_anon
        child.ra_last, child.ra_window, child.ra_hits = parent.ra_last, parent.ra_window, parent.ra_hits
        if parent.has_anon:
            for v in sorted(parent.ptes):
                self.count("ptes_copied")
                self.copy_pte(parent, child, v)

    def copy_pte(self, parent: Process, child: Process, v: int) -> None:
        mine, theirs = parent.ptes[v], Pte()
        page = mine.page
        if page is not None and self.must_copy_early(parent, page):
            self.early_copy(page, child, v)
            return
        child.ptes[v] = theirs
        if mine.zero:
            theirs.zero = True
        elif mine.slot is not None:  # the marker is lost on both sides
            mine.marked = False
            theirs.slot = mine.slot
            mine.slot.swap_count += 1
        else:
            assert page is not None
            page.exclusive = False
            mine.write = mine.blank = False
            theirs.page, theirs.dirty = page, mine.dirty  # the child inherits dirty, not young
            page.mappers[child.number] = theirs
            page.refs += 1

    def must_copy_early(self, parent: Process, page: Page) -> bool:
        """copy_present_page (5.9): a pinned page stays with the process that pinned it."""
        rule = self.switches.fork_copies_pinned
        if rule == "never" or not parent.has_pinned or not page.maybe_pinned:
            return False
        return rule == "maybe pinned" or page.exclusive

    def early_copy(self, page: Page, child: Process, v: int) -> None:
        copy = self.new_page(v)
        copy.contents, copy.blank = page.contents, page.blank
        self.install(child, v, copy)
        self.count("early_copies")
        self.note(Outcome.EARLY_COPY)

    # ---- zap: discard, exec, exit

    def zap_range(self, process: Process, first: int, last: int) -> None:
        if self.switches.unmap_drains:
            self.drain(self.cpu)
        for v in sorted(v for v in process.ptes if first <= v <= last):
            self.zap(process, v)

    def zap(self, process: Process, v: int) -> None:
        """zap_pte_range for one pte; its dirty bit is lost."""
        self.count("ptes_zapped")
        pte = process.ptes.pop(v)
        if pte.page is not None:
            page = pte.page
            del page.mappers[process.number]
            if not page.mappers:
                self.leave_swap_cache_trylock(page, "unmap")
            self.put_page(page)
        elif pte.slot is not None:
            slot = pte.slot
            slot.swap_count -= 1
            if slot.swap_count == 0:
                if slot.page is None:
                    self.free_slot(slot)
                elif not slot.page.mappers or self.swap_full:
                    self.leave_swap_cache_trylock(slot.page, "zap")

    def exit(self, process: Process) -> None:
        self.count("exits")
        self.zap_range(process, 0, self.machine.space)
        process.born()
        process.alive = False
        for reference in self.references.values():
            if reference.pid == process.number:
                reference.pid = NOBODY

    def exec(self, process: Process) -> None:
        self.zap_range(process, 0, self.machine.space)
        process.born()

    # ---- mprotect to read-only and back, MADV_WILLNEED

    def protect(self, pte: Pte) -> None:
        page = pte.page
        if page is None:
            return
        rule = self.switches.protect_restores
        restored = (
            not page.ksm and page.exclusive and (rule == "exclusive" or (rule == "exclusive and dirty" and pte.dirty))
        )
        pte.write = restored
        pte.blank = restored and page.blank

    def prefetch(self, process: Process, vpages: range) -> None:
        """madvise_willneed: exactly the range, no window, no mark, always a drain."""
        for v in vpages:
            pte = process.ptes.get(v)
            if pte is not None and pte.slot is not None and pte.slot.page is None:
                try:
                    self.read_in(v, pte.slot)
                except Exception as error:
                    if getattr(error, "status", None) != Status.ERR_MEMORY_FULL:
                        raise
                    break
        self.drain(self.cpu)

    # ---- references

    def get(self, process: Process, v: int, number: int, flags: int) -> None:
        page = self.reach(process, v, flags, self.switches.get_read, pin=False)
        if page is not None:
            page.gets += 1
            page.refs += 1
        self.references[number] = Reference(RefKind.REF_GET, process.number, v, flags, page)

    def pin(self, process: Process, v: int, number: int, flags: int) -> None:
        self.unmovable = bool(flags & EventFlag.EV_LONGTERM)
        try:
            page = self.reach(process, v, flags, self.switches.pin_read, pin=True)
        finally:
            self.unmovable = False
        if page is not None:
            process.has_pinned = True
            page.pins += 1
            page.refs += PIN
        self.references[number] = Reference(RefKind.REF_PIN, process.number, v, flags, page)

    def reach(self, process: Process, v: int, flags: int, rule: str, *, pin: bool) -> Page | None:
        """GUP: the page behind the pte, made fit for the reference; None: the zero page."""
        write = bool(flags & EventFlag.EV_WRITE)
        self.looking = True
        try:
            faulted = self.access(process, v, write, store=False)
        finally:
            self.looking = False
        while True:
            pte = process.ptes[v]
            if pte.slot is not None:  # the charge of an unshare's copy swapped it out
                self.access(process, v, write, store=False)
                continue
            page = pte.page
            if page is None:
                longterm = pin and flags & EventFlag.EV_LONGTERM
                if not (longterm and self.switches.unshare_zero_page):
                    return None
                if self.unshare_zero_page(process, v):
                    faulted = True
                continue
            if write or pte.write or not self.wants_fault(page, rule):
                break
            self.count("faults")
            self.note(Outcome.FAULT)
            faulted = True
            self.left = None
            if self.write_fault(process, v, pte, store=False, unshare=rule != "write fault"):
                page = process.ptes[v].page  # whatever was decided: reused, others may map it still
                assert page is not None
                break
        if (page.pins if pin else page.gets) == MOST:
            self.refuse(Status.ERR_COUNT_LIMIT)
        if not pin or self.switches.pin_references:
            self.touch(page, faulted)
        return page

    def wants_fault(self, page: Page, rule: str) -> bool:
        if rule == "write fault":
            return True
        if rule == "unshare if mapped twice":
            return not page.ksm and page.maps > 1
        return rule == "unshare if not exclusive" and not page.exclusive

    def unshare_zero_page(self, process: Process, v: int) -> bool:
        """A page of zeros of one's own in place of the zero page, read-only (6.2)."""
        self.count("faults")
        self.count("unshares")
        self.note(Outcome.FAULT)
        page = self.allocate_for(process, v)
        if page is None:
            return False
        page.contents, page.blank = BLANK, True
        self.install(process, v, page, write=False)
        self.count("zero_fills")
        self.note(Outcome.ZERO_FILLED | Outcome.UNSHARED)
        return True

    def drop(self, number: int) -> None:
        """put, unpin, unlock."""
        reference = self.references.pop(number)
        page = reference.page
        if page is None:
            return
        if reference.kind == RefKind.REF_LOCK:
            page.locked = False
        elif reference.kind == RefKind.REF_GET:
            page.gets -= 1
            self.put_page(page)
        else:
            page.pins -= 1
            self.put_page(page, PIN)

    def pinwrite(self, reference: Reference) -> None:
        """A device writes memory: no pte sees it, nothing becomes dirty."""
        page = reference.page
        if page is None:
            self.note(Outcome.SKIPPED)
            return
        page.contents = (self.stamp, page.contents[1])
        page.stale = True
        page.blank = page.dropped = False
        for pte in page.mappers.values():
            pte.blank = False

    def lock(self, process: Process, v: int, number: int) -> None:
        pte = process.ptes.get(v)
        page = pte.page if pte is not None else None
        if page is not None:
            page.locked = True
        self.references[number] = Reference(RefKind.REF_LOCK, process.number, v, 0, page)

    # ---- KSM

    def merge(self, process: Process, v: int, other: Process) -> None:
        """try_to_merge_two_pages: the other process's page becomes the KSM page of both."""
        mine, theirs = process.ptes.get(v), other.ptes.get(v) if other.alive and other is not process else None
        a = mine.page if mine is not None else None
        b = theirs.page if theirs is not None else None
        if a is None or b is None or a is b or a.ksm or not (self.mergeable(a) and self.mergeable(b)):
            self.note(Outcome.SKIPPED)
            return
        self.count("merges")
        for pte in b.mappers.values():
            if pte.dirty:  # as in unmapping: what was written to the device before is out of date
                b.dirty, b.dropped = True, False
            pte.write = pte.dirty = pte.blank = False
        b.ksm, b.exclusive = True, False
        assert mine is not None
        mine.page, mine.write, mine.dirty, mine.blank = b, False, False, False
        b.mappers[process.number] = mine
        b.refs += 1
        del a.mappers[process.number]
        if not a.mappers:
            self.leave_swap_cache_trylock(a, "merge")
        self.put_page(a)

    @staticmethod
    def mergeable(page: Page) -> bool:
        """Nobody holds a reference but mappings and the swap cache (write_protect_page)."""
        return not page.locked and page.refs == page.maps + (page.slot is not None)
