# SPDX-License-Identifier: MIT
"""Reclaim under memory pressure: docs/model-reclaim.md, whose section numbers stand in the comments."""

from __future__ import annotations

from math import isqrt

from cowfast._layout import Outcome, Status
from cowfast.machine import Machine
from cowfast.policy import Policy
from cowfast.reference.memory import Memory, Refused
from cowfast.reference.objects import Page, Pte, Slot

CLUSTER = 32  # SWAP_CLUSTER_MAX
DEF_PRIORITY = 12
MAX_TRIES = 18  # first try, drain_all_stock, MAX_RECLAIM_RETRIES


class Reclaim(Memory):
    """Charge, direct reclaim, ageing, swap-out, refaults, asynchronous writes."""

    def __init__(self, policy: Policy, machine: Machine) -> None:
        super().__init__(policy, machine)
        self.age = 0
        self.real = {"inactive": 0, "active": 0, "refaulted": 0}
        self.seen = dict(self.real)
        self.pending = dict(self.real)
        self.snapshot = 0
        self.plug: list[Page] = []
        self.writeback: list[tuple[Page, int]] = []  # page, event at whose beginning it is due
        self.round_freed = self.round_wrote = self.round_cleared = False

    # ---- section 11: what reclaim can see of its counters

    def list_changed(self, name: str, by: int) -> None:
        self.real[name] += by
        step = self.switches.stat_step
        if step:
            self.pending[name] += by
            if abs(self.pending[name]) >= step:
                self.seen[name] += self.pending[name]
                self.pending[name] = 0
        elif self.switches.stat_flush == 0:
            self.seen[name] = self.real[name]

    def flush_statistics(self) -> None:
        if not self.switches.stat_step:
            self.seen = dict(self.real)

    def look(self, name: str) -> int:
        return max(self.seen[name], 0)

    def inactive_is_low(self) -> bool:
        inactive, active = self.look("inactive"), self.look("active")
        gigabytes = (inactive + active) >> 18
        return inactive * (isqrt(10 * gigabytes) if gigabytes else 1) < active

    # ---- section 3

    def charge(self) -> None:
        """try_charge: before the page exists.  Reclaims until there is room; may end the run."""
        limit = self.machine.memory
        attempts = 0
        while limit and len(self.pages) >= limit:
            self.count("reclaims")
            if self.try_to_free(CLUSTER) == 0:
                if self.writeback:
                    self.complete_all_writes()
                    continue
                self.flush_statistics()  # whoever folds the counters comes by before a process is given up
                attempts += 1
                if attempts == MAX_TRIES:
                    raise Refused(Status.ERR_MEMORY_FULL)

    # ---- sections 4, 5

    def try_to_free(self, want: int) -> int:
        """do_try_to_free_pages: the ramp of priorities, once more by force if ageing was held back."""
        self.note(Outcome.RECLAIMED)
        force = False
        while True:
            freed, skipped = 0, False
            for priority in range(DEF_PRIORITY, -1, -1):
                got, held_back = self.shrink_node(priority, force, want)
                freed += got
                skipped |= held_back
                if freed >= want:
                    break
            self.snapshot = self.look("refaulted")
            if freed or not skipped or force:
                return freed
            force = True

    def shrink_node(self, priority: int, force: bool, want: int) -> tuple[int, bool]:
        """One pass over both lists; pages freed, and whether ageing was held back."""
        if self.switches.stat_flush == 1:
            self.flush_statistics()
        deactivate = force or self.look("refaulted") != self.snapshot or self.inactive_is_low()
        left_inactive, left_active = len(self.inactive) >> priority, len(self.active) >> priority
        if self.free_slot_count <= 0:
            left_inactive = left_active = 0  # SCAN_FILE
        got, skipped = 0, False
        while left_inactive:
            n = min(left_inactive, CLUSTER)
            left_inactive -= n
            got += self.shrink_inactive(n)
            if left_active:
                n = min(left_active, CLUSTER)
                left_active -= n
                if deactivate:
                    self.shrink_active(n)
                else:
                    skipped = True
            if got >= want:
                break
        self.flush_plug()
        if self.inactive_is_low() and self.total_slots:
            self.shrink_active(CLUSTER)
        return got, skipped

    # ---- section 6

    def isolate(self, pages: list[Page], n: int) -> list[Page]:
        """isolate_lru_pages from the tail; the list's counter changes once, by the whole batch."""
        taken = [pages.pop() for _ in range(min(n, len(pages)))]
        for page in taken:
            page.lru, page.isolated = False, True
            page.refs += 1
        if taken:
            self.list_changed("active" if pages is self.active else "inactive", -len(taken))
        return taken

    def shrink_inactive(self, n: int) -> int:
        self.drain(self.cpu)
        batch = self.isolate(self.inactive, n)
        self.count("pages_scanned", len(batch))
        kept = [page for page in batch if not self.shrink_page(page)]
        for page in kept:
            self.put_back(page)
        self.count("pages_reclaimed", len(batch) - len(kept))
        return len(batch) - len(kept)

    def shrink_active(self, n: int) -> None:
        self.drain(self.cpu)
        batch = self.isolate(self.active, n)
        for page in batch:
            if not (page.ksm and page.locked):
                self.clear_young(page)
            page.active = False
            page.workingset = True
        for page in batch:
            if self.put_back(page):
                self.count("pages_deactivated")

    def put_back(self, page: Page) -> bool:
        """move_pages_to_lru: to the head; a page that nobody else holds is freed.  True if it lives."""
        page.isolated = False
        if page.refs == 1:
            name = "active" if page.active else "inactive"
            self.list_changed(name, 1)
            self.list_changed(name, -1)
            self.put_page(page)
            self.round_freed = True
            return False
        self.lru_add(page)
        page.refs -= 1
        if page.active:
            self.age += 1
        return True

    def clear_young(self, page: Page) -> int:
        """page_referenced: how many ptes were accessed since the last look; none is afterwards."""
        young = [pte for pte in page.mappers.values() if pte.young]
        for pte in young:
            pte.young = False
        return len(young)

    # ---- section 7

    def activate(self, page: Page) -> bool:
        if self.swap_full:
            self.leave_swap_cache(page, "activate")
        page.active = True
        self.count("pages_activated")
        return False

    def shrink_page(self, page: Page, look_at_references: bool = True) -> bool:
        """shrink_page_list for one isolated page.  True if it was freed, false if it is kept."""
        switches = self.switches
        if page.locked:
            return False
        if page.writeback:
            page.reclaim = True
            return self.activate(page)
        if look_at_references:
            young, was_referenced = self.clear_young(page), page.referenced
            page.referenced = young > 0
            self.round_cleared |= young > 0 or was_referenced
            if young:
                return self.activate(page) if was_referenced or young > 1 else False
        if page.slot is None:
            if switches.reclaim_skips_pinned and page.maybe_pinned:
                return False
            if self.free_slot_count <= 0:
                return self.activate(page)
            self.add_to_swap(page)
        slot = page.slot
        assert slot is not None
        self.unmap(page, slot)
        if page.mappers or (switches.reclaim_rechecks_pinned and page.maybe_pinned):
            return self.activate(page)
        if page.dirty:
            if page.refs != 2:  # reclaim's own and the swap cache's
                return False
            if not self.write_out(page, slot):
                return False
        return self.remove_mapping(page, slot)

    def add_to_swap(self, page: Page) -> None:
        """add_to_swap marks the page dirty whatever it was: it is not on the device yet."""
        slot = self.new_slot()
        self.cache(page, slot)
        page.refs += 1
        page.dirty = True
        if page.removed:
            self.count("swap_cache_readds")
            page.removed = False

    def unmap(self, page: Page, slot: Slot) -> None:
        """try_to_unmap: swap entries for ptes; an exclusive pinned page refuses (5.19)."""
        converted = False
        for pid, pte in list(page.mappers.items()):
            if pte.dirty:  # moved to the page even if unmapping is refused
                page.dirty = True
                page.dropped = False
            if self.switches.unmap_refuses_pinned and page.exclusive and page.maybe_pinned:
                continue
            entry = Pte()
            entry.slot, entry.marked = slot, page.exclusive
            self.processes[pid].ptes[page.vpage] = entry
            del page.mappers[pid]
            slot.swap_count += 1
            page.refs -= 1
            converted = True
        if converted:
            page.exclusive = False

    def write_out(self, page: Page, slot: Slot) -> bool:
        """pageout, swap_writepage.  True if the page can be freed at once."""
        page.dirty = False
        if slot.swap_count == 0:
            self.leave_swap_cache(page, "writepage")  # nobody needs it: put back finds the last reference
            return False
        slot.contents, slot.blank = page.contents, page.blank
        page.stale = False
        dropped, page.dropped = page.dropped, False
        if page.blank and self.switches.zero_pages_without_io:
            self.count("swap_writes_blank")
            return True
        self.count("swap_writes")
        self.note(Outcome.SWAP_WRITE)
        self.round_wrote = True
        if dropped:
            # after a missed copy, zapping a dirty pte may hide a store from the others (verify.contents)
            assert self.counts["missed_copies"] or page.contents == page.contents_when_dropped, (
                "an avoidable write of other contents"
            )
            self.count("avoidable_writes")
        if self.machine.swap == "sync":
            return True
        page.writeback = page.reclaim = True
        if len(self.plug) >= CLUSTER:
            self.flush_plug()
        self.plug.append(page)
        return False

    def remove_mapping(self, page: Page, slot: Slot) -> bool:
        """__remove_mapping: only reclaim and the swap cache hold it, so it goes; the slot remembers when."""
        if page.refs != 2:
            return False
        shadow = self.age if self.switches.shadow_before_age else self.age + 1
        self.age += 1
        self.uncache(page, "reclaim")
        if slot.swap_count:
            slot.shadow, slot.shadow_workingset = shadow & 0xFFFFFFFF, page.workingset
        else:
            self.free_slot(slot)
        page.isolated = False
        self.put_page(page, 2)
        self.round_freed = True
        return True

    # ---- section 8

    def touch(self, page: Page, needed_fault: bool) -> None:
        """mark_page_accessed by get and pin; the slow path activates a page that was referenced already."""
        if not needed_fault or not page.referenced:
            page.referenced = True
            return
        if page.active:
            return
        page.referenced = False
        self.age += 1
        if page.lru:
            self.lru_remove(page)
            page.active = True
            self.lru_add(page)
        else:
            page.active = True

    # ---- section 9

    def flush_plug(self) -> None:
        plug, self.plug = self.plug, []
        for page in plug:
            if self.machine.swap_latency:
                self.writeback.append((page, self.time + self.machine.swap_latency + 1))
            else:
                self.end_writeback(page)

    def end_writeback(self, page: Page) -> None:
        """end_page_writeback; a page marked for reclaim is rotated to the tail."""
        if page.reclaim:
            page.reclaim = False
            if page.lru and not page.locked and not page.dirty:
                self.lru_remove(page)
                page.active = False
                self.lru_add(page, tail=True)
        page.writeback = False

    def complete_due_writes(self) -> None:
        while self.writeback and self.writeback[0][1] <= self.time:
            self.end_writeback(self.writeback.pop(0)[0])

    def complete_all_writes(self) -> None:
        while self.writeback:
            self.end_writeback(self.writeback.pop(0)[0])

    # ---- section 10

    def refault(self, page: Page, slot: Slot) -> None:
        """workingset_refault: evicted so recently that it would still be active?"""
        if slot.shadow is None:
            return
        shadow, workingset = slot.shadow, slot.shadow_workingset
        slot.shadow, slot.shadow_workingset = None, False
        self.count("refaults")
        distance = (self.age - shadow) & 0xFFFFFFFF
        size = self.look("active") if self.free_slot_count > 0 else 0
        if distance > size:
            return
        page.active = True
        self.age += 1
        self.list_changed("refaulted", 1)
        self.count("refault_activations")
        if workingset:
            page.workingset = True

    # ---- section 12

    def reclaim_everything(self) -> None:
        """memory.reclaim written until nothing more goes."""
        self.note(Outcome.RECLAIMED)
        self.complete_all_writes()
        first = True
        while True:
            self.round_freed = self.round_wrote = self.round_cleared = False
            for cpu in range(self.machine.cpus):
                self.drain(cpu)
            left = len(self.inactive)
            while left > 0:
                self.shrink_inactive(min(left, CLUSTER))
                left -= CLUSTER
            left = len(self.active)
            while left > 0:
                self.shrink_active(min(left, CLUSTER))
                left -= CLUSTER
            self.flush_plug()
            self.complete_all_writes()
            if not first and not (self.round_freed or self.round_wrote or self.round_cleared):
                return
            first = False

    def pageout(self, ptes: list[Pte]) -> None:
        """MADV_PAGEOUT: isolate all, reclaim each, what is left goes back through the batch."""
        self.drain(self.cpu)
        taken = []
        for pte in ptes:
            page = pte.page
            if page is None or page.maps != 1 or not page.lru:
                continue
            self.lru_remove(page)
            page.isolated = True
            page.refs += 1
            pte.young = page.referenced = False
            taken.append(page)
        kept = [page for page in taken if not self.shrink_page(page, self.switches.pageout_looks_at_references)]
        self.flush_plug()
        for page in kept:
            page.isolated = False
            self.batch_add(page)
            self.put_page(page)
