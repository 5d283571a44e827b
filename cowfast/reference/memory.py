# SPDX-License-Identifier: MIT
"""Page numbers, slots, LRU batches and lists, the swap cache: the kernel's book-keeping (docs/model.md section 1)."""

from __future__ import annotations

from collections.abc import Callable

from cowfast._layout import Outcome, Status
from cowfast.counters import Counters
from cowfast.machine import Machine
from cowfast.policy import Policy
from cowfast.reference.objects import Page, Process, Reference, Slot


class Refused(Exception):
    """An event that cannot be done: a negative Status."""

    def __init__(self, status: int) -> None:
        self.status = status


class Memory:
    """State and the primitives that every path uses.  One method, one rule."""

    charge: Callable[[], None]  # reclaim.py

    def __init__(self, policy: Policy, machine: Machine) -> None:
        self.policy, self.machine, self.switches = policy, machine, policy.switches
        self.pages: dict[int, Page] = {}
        self.free_movable: list[int] = []
        self.free_unmovable: list[int] = []
        self.next_page = 1
        self.total_slots = machine.swap_slots if machine.swap != "none" else 0
        self.slots: dict[int, Slot] = {}
        self.free_slots: list[int] = []
        self.next_slot = 1
        self.filled = 0
        self.batch_size = self.switches.batch if machine.lru_batch < 0 else machine.lru_batch
        self.batches: list[list[Page]] = [[] for _ in range(machine.cpus)]
        self.inactive: list[Page] = []  # head first
        self.active: list[Page] = []
        self.processes = [Process(pid, pid % machine.cpus) for pid in range(machine.processes)]
        self.processes[0].alive = True
        self.references: dict[int, Reference] = {}
        self.counts: dict[str, int] = dict.fromkeys(Counters(), 0)
        self.outcome = 0
        self.cpu = 0  # of the process whose event this is
        self.unmovable = False  # the fault of a long-term pin
        self.time = 0  # number of the event, counted from 0

    def count(self, name: str, by: int = 1) -> None:
        self.counts[name] += by

    def note(self, bits: int) -> None:
        self.outcome |= bits

    # ---- pages

    def new_page(self, vpage: int) -> Page:
        """Charge, then a number: top of the list, else one never used, else the other list."""
        self.charge()
        unmovable = self.unmovable and self.switches.longterm_unmovable
        mine, other = (
            (self.free_unmovable, self.free_movable) if unmovable else (self.free_movable, self.free_unmovable)
        )
        if mine:
            number = mine.pop()
        elif not self.machine.memory or self.next_page <= self.machine.memory:
            number, self.next_page = self.next_page, self.next_page + 1
        else:
            number = other.pop()
        page = self.pages[number] = Page(number, vpage, unmovable)
        self.count("page_allocs")
        self.counts["pages_peak"] = max(self.counts["pages_peak"], len(self.pages))
        return page

    def put_page(self, page: Page, references: int = 1) -> None:
        page.refs -= references
        if page.refs == 0:
            self.free_page(page)

    def free_page(self, page: Page) -> None:
        if page.lru:
            self.lru_remove(page)
        for reference in self.references.values():
            if reference.page is page:  # only a lock can be left
                reference.page = None
        del self.pages[page.number]
        (self.free_unmovable if page.unmovable else self.free_movable).append(page.number)
        self.count("page_frees")

    # ---- LRU lists; how late reclaim sees their lengths is in reclaim.py

    def list_changed(self, name: str, by: int) -> None:
        """A counter of the lists changed (docs/model-reclaim.md section 11)."""
        raise NotImplementedError

    def lru_add(self, page: Page, tail: bool = False) -> None:
        page.lru = True
        pages = self.active if page.active else self.inactive
        pages.insert(len(pages) if tail else 0, page)
        self.list_changed("active" if page.active else "inactive", 1)

    def lru_remove(self, page: Page) -> None:
        page.lru = False
        (self.active if page.active else self.inactive).remove(page)
        self.list_changed("active" if page.active else "inactive", -1)

    # ---- per-CPU LRU batches

    def batch_add(self, page: Page) -> None:
        """lru_cache_add: one reference until the batch is drained; the add that fills it drains it."""
        if self.batch_size == 0:
            self.lru_add(page)
            return
        page.refs += 1
        page.batched = True
        batch = self.batches[self.cpu]
        batch.append(page)
        if len(batch) >= self.batch_size:
            self.drain(self.cpu)

    def drain(self, cpu: int) -> None:
        """lru_add_drain: all pages to the lists first, then all references dropped, each in order of adding."""
        pages, self.batches[cpu] = self.batches[cpu], []
        self.count("drains")
        self.count("drained_pages", len(pages))
        self.note(Outcome.DRAINED)
        for page in pages:
            page.batched = False
            self.lru_add(page)
        for page in pages:
            self.put_page(page)

    # ---- slots

    @property
    def free_slot_count(self) -> int:
        return self.total_slots - len(self.slots) - self.filled

    @property
    def swap_full(self) -> bool:
        """vm_swap_full: more than half of all slots are taken, by whomever."""
        return self.free_slot_count * 2 < self.total_slots

    freed_slot = False  # in this event

    def new_slot(self) -> Slot:
        """Last in, first out; but a number freed in this event is not seen twice in it, if that can be helped."""
        fresh = self.freed_slot and self.next_slot <= self.total_slots
        if self.free_slots and not fresh:
            number = self.free_slots.pop()
        else:
            number, self.next_slot = self.next_slot, self.next_slot + 1
        slot = self.slots[number] = Slot(number)
        self.count("slot_allocs")
        self.counts["slots_peak"] = max(self.counts["slots_peak"], len(self.slots))
        return slot

    def free_slot(self, slot: Slot) -> None:
        del self.slots[slot.number]
        self.free_slots.append(slot.number)
        self.freed_slot = True
        self.count("slot_frees")

    # ---- the swap cache

    def cache(self, page: Page, slot: Slot) -> None:
        """The page enters the swap cache; its reference is the caller's business."""
        page.slot, slot.page = slot, page
        slot.shadow, slot.shadow_workingset = None, False
        self.count("swap_cache_adds")

    def uncache(self, page: Page, cause: str) -> Slot:
        """The association of page and slot ends."""
        slot = page.slot
        assert slot is not None
        page.slot = slot.page = None
        self.count("swap_cache_removals")
        self.count(f"removals_by_cause.{cause}")
        return slot

    def leave_swap_cache(self, page: Page, cause: str) -> bool:
        """folio_free_swap: possible iff cached, not under writeback, and no swap pte names the slot.

        A page that leaves alive becomes dirty, or its contents would be lost at the next reclaim.
        """
        slot = page.slot
        if slot is None or page.writeback or slot.swap_count:
            return False
        equal = not (page.dirty or page.stale or any(pte.dirty for pte in page.mappers.values()))
        self.uncache(page, cause)
        self.free_slot(slot)
        page.dirty = True
        page.readahead = False
        page.removed = True
        page.dropped = equal
        page.contents_when_dropped = page.contents if equal else None
        self.note(Outcome.REMOVED)
        self.put_page(page)
        return True

    def leave_swap_cache_trylock(self, page: Page, cause: str) -> bool:
        """free_swap_cache: nobody waits for the page lock here."""
        return not page.locked and self.leave_swap_cache(page, cause)

    # ---- who else?

    def visible_to_others(self, page: Page, pid: int) -> bool:
        """Could anybody but *pid* ever read this page?  Asked of everything there is (docs/model.md section 7)."""
        from cowfast._layout import EventFlag, RefKind

        for process in self.processes:
            for pte in process.ptes.values():
                named = pte.page is page or (pte.slot is not None and pte.slot is page.slot)
                if named and process.number != pid:
                    return True
        return any(
            reference.page is page
            and reference.pid != pid
            and (
                reference.kind == RefKind.REF_PIN
                or (reference.kind == RefKind.REF_GET and reference.flags & EventFlag.EV_LOOK)
            )
            for reference in self.references.values()
        )

    def refuse(self, status: Status) -> None:
        raise Refused(int(status))
