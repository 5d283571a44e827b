# SPDX-License-Identifier: MIT
"""The graph of states is the one that the reference model gives: searched again in Python, from its ``state()``.

Here every state is a copy of the whole model, pages that nobody sees any more included; it is reduced to bytes by rules
written a second time.  What must be equal: the states, and for each the events by which others are reached.
"""

import copy
from itertools import permutations

import pytest

from cowfast._engine import Engine
from cowfast._layout import EventFlag, Op, PageFlag, ProcFlag, PteBit, RefKind, SlotFlag
from cowfast.errors import EventError
from cowfast.explore._states import Space
from cowfast.explore.story import Watcher
from cowfast.explore.system import System
from cowfast.policy import load_policy

HELD = (RefKind.REF_GET, RefKind.REF_PIN)
NOBODY = 65535
FLAGS = (
    PageFlag.PG_DIRTY | PageFlag.PG_EXCL | PageFlag.PG_LRU | PageFlag.PG_BATCH | PageFlag.PG_LOCKED | PageFlag.PG_KSM
)
FLAGS |= PageFlag.PG_READAHEAD


class Reduced:
    """One state of the reference model as the bytes that the search keeps."""

    def __init__(self, watcher: Watcher, system: System) -> None:
        self.w, self.system = watcher, system
        self.state = watcher.model.state()
        switches = watcher.policy.switches
        self.blank = switches.zero_pages_without_io and watcher.machine.swap != "sync"
        self.asks_dirty = switches.protect_restores == "exclusive and dirty"
        self.asks_pinned = switches.fork_copies_pinned != "never"

    def orphan(self, page: int) -> bool:
        _, _, slot, _, maps, _, _ = self.state["pages"][page]
        return not maps and not (slot and self.state["slots"][slot][2])

    def finished(self, ref: int) -> bool:
        kind, _, _, _, page = self.state["refs"][ref]
        if kind not in HELD or ref in self.w.attached:
            return False
        if not page:
            return True
        holders = [r for r, each in self.state["refs"].items() if each[4] == page and each[0] in HELD]
        value = self.state["contents"][page][0]
        return self.orphan(page) and not any(
            r in self.w.attached or value not in self.w.known["ref", r] for r in holders
        )

    def packed(self) -> bytes:
        return min(self.in_order(order) for order in permutations(range(self.system.processes)))

    def in_order(self, order: tuple[int, ...]) -> bytes:
        st, w = self.state, self.w
        pages: list[int] = []
        slots: list[int] = []
        values: list[int] = [0]

        def meet_page(n: int) -> None:
            if n not in pages:
                pages.append(n)
                if not self.orphan(n) and st["pages"][n][2]:
                    meet_slot(st["pages"][n][2])

        def meet_slot(n: int) -> None:
            if n not in slots:
                slots.append(n)
                if st["slots"][n][0] == "cached":
                    meet_page(st["slots"][n][1])

        def value(stamp: int) -> int:
            if stamp not in values:
                values.append(stamp)
            return values.index(stamp)

        alive = [pid for pid in order if pid in st["procs"]]
        for pid in alive:
            for v in range(self.system.pages):
                word = st["ptes"].get((pid, v), 0)
                if word & 3 == PteBit.PTE_PRESENT:
                    meet_page(word >> 6)
                elif word & 3 == PteBit.PTE_SWAP:
                    meet_slot(word >> 6)
        for r, (kind, _, _, _, page) in st["refs"].items():
            if kind in HELD and page and not self.finished(r):
                meet_page(page)
        out = bytearray()
        for pid in order:
            if pid not in alive:
                out.append(0)
                continue
            out.append(
                ProcFlag.PROC_ALIVE | (st["procs"][pid][0] & ProcFlag.PROC_HAS_PINNED if self.asks_pinned else 0)
            )
            for v in range(self.system.pages):
                word = st["ptes"].get((pid, v), 0)
                bits = word & (3 | PteBit.PTE_WRITE | PteBit.PTE_DIRTY | (PteBit.PTE_BLANK if self.blank else 0))
                number = 0
                if word & 3 == PteBit.PTE_PRESENT:
                    number = pages.index(word >> 6) + 1
                    _, _, slot, flags, *_ = st["pages"][word >> 6]
                    if not self.asks_dirty and (not slot or flags & PageFlag.PG_DIRTY):
                        bits &= ~PteBit.PTE_DIRTY
                elif word & 3 == PteBit.PTE_SWAP:
                    number = slots.index(word >> 6) + 1
                else:
                    bits = 0
                out += bytes([bits, number, value(w.expected.get((pid, v), 0))])
        for r in range(self.system.references):
            if r not in st["refs"]:
                out.append(0)
                continue
            kind, pid, vpage, flags, page = st["refs"][r]
            if self.finished(r):
                out += bytes([kind, 128 + r, 0, 0])
                continue
            if pid == NOBODY:
                same = [q for q in st["refs"] if st["refs"][q][1] == NOBODY and w.takers.get(q) is w.takers.get(r)]
                pid = 128 + min(q for q in same if not self.finished(q))
            else:
                pid = order.index(pid)
            attached = r in w.attached
            out += bytes([kind | flags << 2 | attached << 5, pid, vpage, pages.index(page) + 1 if page in pages else 0])
        out.append(len(pages))
        for n in pages:
            _, vpage, slot, flags, *_ = st["pages"][n]
            flags &= FLAGS | (PageFlag.PG_BLANK if self.blank else 0)
            if not slot:
                flags &= ~PageFlag.PG_DIRTY
            if self.orphan(n):
                flags = slot = 0
            number = slots.index(slot) + 1 if slot else 0
            out += bytes([flags & 255, flags >> 8 & 255, number, flags >> 16, vpage, value(st["contents"][n][0])])
        out.append(len(slots))
        for n in slots:
            kind, page, _, flags = st["slots"][n]
            if kind == "cached" and st["pages"][page][3] & PageFlag.PG_DIRTY:
                out += bytes([0, 0])
            else:
                on_device = w.model.slots[n].contents
                blank = flags & SlotFlag.SLOT_BLANK if self.blank else 0
                out += bytes([blank, value(on_device[0] if on_device else 0)])
        out.append(len(values) - 1)
        for stamp in values[1:]:
            bits = 0
            for k, pid in enumerate(order):
                bits |= (stamp in w.known.get(("process", pid), ())) << k
            for r in st["refs"]:
                if not self.finished(r):
                    bits |= (stamp in w.known.get(("ref", r), ())) << (self.system.processes + r)
            out.append(bits)
        return (len(out) + 2).to_bytes(2, "little") + bytes(out)


def offered(watcher: Watcher, system: System, event) -> bool:
    """The events that the search looks at: possible ones, one of several that differ in a free number only."""
    op, pid, page, arg = (int(event[name]) for name in ("op", "pid", "page", "arg"))
    model = watcher.model
    if op == Op.FORK and any(not model.processes[p].alive for p in range(arg)):
        return False
    if op in (Op.GET, Op.PIN):
        return all(r in model.references for r in range(system.gets if op == Op.PIN else 0, arg))
    if op == Op.PINWRITE:
        ref = model.references.get(arg)
        return bool(ref and ref.kind == RefKind.REF_PIN and ref.flags & EventFlag.EV_WRITE and ref.page)
    if op == Op.MERGE:
        ptes = [model.processes[p].ptes.get(page) for p in (pid, arg)]
        return all(pte and pte.page for pte in ptes) and ptes[0].page.contents[0] == ptes[1].page.contents[0]
    return True


def reference_graph(policy, device, system, depth):
    """Breadth first to this depth: packed state -> {(op, packed state after it)} for all states expanded."""
    first = Watcher(policy, system.machine(device))
    level = {Reduced(first, system).packed(): first}
    graph = {}
    for _ in range(depth):
        following = {}
        for packed, watcher in level.items():
            edges = graph[packed] = set()
            for event in system.events():
                if not offered(watcher, system, event):
                    continue
                after = copy.deepcopy(watcher)
                try:
                    after.do(event)
                except EventError:
                    continue
                there = Reduced(after, system).packed()
                edges.add((int(event["op"]), there))
                if there not in graph and there not in level:
                    following.setdefault(there, after)
        if not following:
            return graph, True
        level = following
    return graph, False


CASES = [
    ("linux-6.1", "async", System(gets=0, pins=0), 99),
    ("linux-5.7", "sync", System(gets=0, pins=0), 99),
    ("linux-5.10", "async", System(), 3),
    ("linux-6.12", "sync", System(), 3),
    ("linux-7.2", "async", System(), 3),
    ("willy-2022", "async", System(pins=0), 4),
    ("linux-5.18", "async", System(gets=0, pages=2), 3),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "device", "system", "depth"),
    [
        pytest.param(*c, id=f"{c[0]}-{c[1]}-{c[3]}", marks=[pytest.mark.long] * (n % 3 != 0))
        for n, c in enumerate(CASES)
    ],
)
def test_same_graph(name, device, system, depth):
    policy = load_policy(name)
    graph, closed = reference_graph(policy, device, system, depth)
    space = Space(
        Engine(policy, system.machine(device), contents=True), system.events(), gets=system.gets, pins=system.pins
    )
    while not space.search(1000) and len(space) < 200_000:
        pass
    events = system.events()
    numbers = {space.packed(i): i for i in range(len(space))}
    assert graph.keys() <= numbers.keys()
    if closed:
        assert len(graph) == len(space)
    for packed, edges in graph.items():
        mine = {(int(events[i]["op"]), there) for i, there in space.successors(numbers[packed])}
        # a write through a pin that nothing can be seen through any more changes nothing: the search leaves it out
        assert edges - mine <= {(int(Op.PINWRITE), packed)}
        assert mine <= edges
    assert len(graph) > 30
