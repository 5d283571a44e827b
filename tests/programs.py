# SPDX-License-Identifier: MIT
"""Random event programs on machines small enough that everything happens: what property tests run.

A program is made from bytes, five a step: what to do, who, where, and two numbers for the rest.  A step of zeros is
nothing, so that shrinking empties a program from the inside.  A step is one event, or a short story that takes several
events in a row (swap a page out and in, share and write it, make two pages that KSM can merge): what needs five events
in the right order is not left to chance.  ``tests/test_programs.py`` holds how often programs reach what they are for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st

from cowfast._layout import EventFlag, Op
from cowfast.machine import Machine
from cowfast.policy import policy_names

Event = tuple[int, int, int, int, int]

TIGHT_PRECHECK = str(Path(__file__).parent / "policies" / "tight-precheck.toml")
ALL_COMPARISONS = str(Path(__file__).parent / "policies" / "all-comparisons.toml")
POLICIES = [*policy_names(), "linux-5.10+write_fault=linux-5.7", TIGHT_PRECHECK, ALL_COMPARISONS]
"""Every built-in policy, a composition, one with a fault that no built-in has, and one that compares in every way."""

REFERENCES = 6
STEP = 5  # bytes
LEAF = 512  # ptes of one page table: readahead windows end at its edges

ORDINARY = {
    Op.READ: 12,
    Op.WRITE: 24,
    Op.FORK: 8,
    Op.EXIT: 4,
    Op.EXEC: 1,
    Op.DISCARD: 4,
    Op.PROTECT: 3,
    Op.PAGEOUT: 6,
    Op.RECLAIM: 5,
    Op.PREFETCH: 3,
    Op.DRAIN: 6,
    Op.CPU: 2,
    "cycle": 10,
    "share": 8,
    "sweep": 3,
}
HELD = {
    Op.GET: 10,
    Op.PUT: 5,
    Op.PIN: 8,
    Op.UNPIN: 4,
    Op.PINREAD: 3,
    Op.PINWRITE: 4,
    Op.LOCK: 5,
    Op.UNLOCK: 4,
    "leak": 4,
    "keep": 4,
    "guard": 4,
}
SAME = {Op.MERGE: 4, "twins": 10}
TIGHT = {Op.FILLSWAP: 3, Op.FREESWAP: 3, "squeeze": 8}
RUDE = {"rude": 6}
PROFILES = [
    ORDINARY,
    ORDINARY | HELD,
    ORDINARY | SAME,
    ORDINARY | TIGHT,
    ORDINARY | HELD | SAME | TIGHT | RUDE,
]
STEPS = [[step for step, weight in profile.items() for _ in range(weight)] for profile in PROFILES]


def _machine(swap: str, latency: int, wide: bool, edge: bool, processes: int, memory: int, **rest: object) -> Machine:
    pages = 24 if wide else 6
    return Machine(
        swap=swap,
        swap_latency=latency if swap == "async" else 0,
        # a page of zero memory is no limit; a limit below what one event needs would end each program at once
        memory=memory * (4 if wide else 1),
        space=(LEAF - 3 if edge else 0) + pages,
        processes=processes,
        references=REFERENCES,
        **rest,  # type: ignore[arg-type]
    )


machines = st.builds(
    _machine,
    swap=st.sampled_from(["async", "async", "async", "sync", "sync", "none"]),
    latency=st.sampled_from([0, 0, 1, 2, 3]),
    wide=st.booleans(),
    edge=st.booleans(),
    processes=st.sampled_from([2, 3, 4, 4, 5, 6, 64, 65, 66, 80]),
    memory=st.sampled_from([0, 0, 0, 5, 9, 14, 20]),
    swap_slots=st.sampled_from([3, 8, 20, 100, 100]),
    stable_writes=st.booleans(),
    page_cluster=st.sampled_from([0, 0, 2, 3]),
    cpus=st.sampled_from([1, 1, 2, 3]),
    lru_batch=st.sampled_from([-1, -1, 0, 2]),
    stat_flush_events=st.sampled_from([0, 7]),
)
"""Every kind of swap device; with and without a memory limit; one to three CPUs; LRU batches of 0, 2, 15 and 31;
six or 24 pages, at the beginning of the space or across the edge of a page table; few processes, just as many as are
bits of a word, and more."""

raw = st.binary(min_size=20 * STEP, max_size=160 * STEP)
"""Bytes for ``build``: 20 to 160 steps, 40 on average (about 60 events); a strategy for lists would stop after six."""


def build(data: bytes, machine: Machine) -> list[Event]:
    """Turns bytes into events: processes that live, references that balance, but for the "rude" ones."""
    if not data:
        return []
    steps = STEPS[data[0] % len(STEPS)]
    writer = Writer(machine)
    for at in range(1, len(data) - STEP + 1, STEP):
        what, *rest = data[at : at + STEP]
        if what:
            writer.step(steps[what % len(steps)], *rest)
    return writer.events


@dataclass
class Writer:
    """Writes events that are in order, and knows who lives and which references are held."""

    machine: Machine
    events: list[Event] = field(default_factory=list)
    alive: set[int] = field(default_factory=lambda: {0})
    held: dict[int, Op] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.first = LEAF - 3 if self.machine.space > LEAF else 0
        self.pages = self.machine.space - self.first
        # of many the first, one in the middle and the last: those few share everything, as on a small machine
        every = range(self.machine.processes)
        self.numbers = {*every[:3], every[len(every) // 2 - 1], *every[-3:]}

    def say(self, op: Op, pid: int = 0, page: int = 0, arg: int = 0, flags: int = 0) -> None:
        self.events.append((int(op), pid, page, arg, int(flags)))

    def step(self, what: Op | str, a: int, b: int, c: int, d: int) -> None:
        """One step; what is not possible now is left out."""
        living = sorted(self.alive)
        pid, other = living[a % len(living)], living[(a // 16) % len(living)]
        v = self.first + (b // 2 % self.pages if b % 2 else 0)  # half of all steps meet at one page
        if isinstance(what, str):
            getattr(self, what)(pid, other, v, c, d)
        else:
            self.event(what, pid, other, v, c, d)

    def event(self, op: Op, pid: int, other: int, v: int, c: int, d: int) -> None:
        """One event of this kind."""
        match op:
            case Op.READ | Op.WRITE:
                self.say(op, pid, v)
            case Op.FORK:
                self.fork(pid, c)
            case Op.EXIT:
                self.exit(pid)
            case Op.EXEC | Op.FREESWAP:
                self.say(op, pid)
            case Op.DISCARD | Op.PROTECT | Op.PAGEOUT | Op.PREFETCH:
                self.say(op, pid, v, c % (self.machine.space - v + 1))
            case Op.RECLAIM:
                self.say(op, pid, 0, (0, 0, 1, 40)[c % 4])
            case Op.DRAIN:
                self.say(op, pid, 0, c % 2)
            case Op.GET:
                self.take(op, pid, v, c, d % 4)
            case Op.PIN:
                self.take(op, pid, v, c, d % 4 * 2)
            case Op.LOCK:
                self.take(op, pid, v, c)
            case Op.PUT | Op.UNPIN | Op.UNLOCK | Op.PINREAD | Op.PINWRITE:
                self.use(op, pid, c)
            case Op.MERGE:
                self.say(op, pid, v, other)
            case Op.CPU:
                self.say(op, pid, 0, c % self.machine.cpus)
            case Op.FILLSWAP:
                self.say(op, pid, 0, c % 4)

    def fork(self, pid: int, c: int) -> int | None:
        dead = sorted(self.numbers - self.alive)
        if not dead:
            return None
        child = dead[c % len(dead)]
        self.alive.add(child)
        self.say(Op.FORK, pid, 0, child)
        return child

    def exit(self, pid: int) -> None:
        if len(self.alive) > 1:
            self.alive.discard(pid)
            self.say(Op.EXIT, pid)

    def take(self, op: Op, pid: int, v: int, c: int, flags: int = 0) -> int | None:
        free = sorted(set(range(REFERENCES)) - set(self.held))
        if not free:
            return None
        number = free[c % len(free)]
        self.held[number] = op
        self.say(op, pid, v, number, flags)
        return number

    def use(self, op: Op, pid: int, c: int) -> None:
        kinds = {Op.PUT: (Op.GET,), Op.UNPIN: (Op.PIN,), Op.UNLOCK: (Op.LOCK,)}.get(op, (Op.GET, Op.PIN))
        mine = sorted(number for number, kind in self.held.items() if kind in kinds)
        if not mine:
            return
        number = mine[c % len(mine)]
        if op in (Op.PUT, Op.UNPIN, Op.UNLOCK):
            del self.held[number]
        self.say(op, pid, 0, number)

    # ---- stories

    def swap_out(self, pid: int, v: int, c: int) -> None:
        """Off the batch, then out by either way; twice where a disk needs a second visit."""
        self.say(Op.DRAIN, pid, 0, 1)
        if c & 1:
            self.say(Op.RECLAIM, pid)
        else:
            self.say(Op.PAGEOUT, pid, v, 1)
            if c & 2:
                self.say(Op.DRAIN, pid, 0, 1)
                self.say(Op.PAGEOUT, pid, v, 1)

    def cycle(self, pid: int, other: int, v: int, c: int, d: int) -> None:
        """write, out, read, write: the loop that the reuse rules were argued about."""
        if d & 1:
            self.say(Op.WRITE, pid, v)
        self.swap_out(pid, v, c)
        if d & 2:
            self.say(Op.READ, other, v)
        self.say(Op.WRITE if d & 4 else Op.READ, pid, v)
        if d & 8:
            self.say(Op.DRAIN, pid, 0, 1)
        if d & 16:
            self.say(Op.WRITE, pid, v)

    def share(self, pid: int, _other: int, v: int, c: int, d: int) -> None:
        """A page is shared, perhaps swapped out in between, and written by one side or both."""
        self.say(Op.WRITE if d & 1 else Op.READ, pid, v)
        child = self.fork(pid, c)
        if child is None:
            return
        if d & 2:
            self.swap_out(pid, v, c)
        writers = [pid, child] if d & 4 else [child, pid]
        for writer in writers[: 1 + (d >> 3 & 1)]:
            self.say(Op.READ if d & 16 else Op.WRITE, writer, v)
        if d & 32:
            self.exit(child if d & 64 else pid)

    def sweep(self, pid: int, _other: int, v: int, c: int, d: int) -> None:
        """Neighbours written, swapped out and read again in one direction: what readahead windows are for."""
        last = min(v + 3 + c % 12, self.machine.space - 1)
        pages = range(v, last + 1)
        for page in pages:
            self.say(Op.WRITE, pid, page)
        self.say(Op.DRAIN, pid, 0, 1)
        self.say(Op.RECLAIM, pid)
        back = pages if d & 1 else reversed(pages)
        for page in list(back)[: 1 + d // 2 % 6]:
            self.say(Op.WRITE if d & 128 else Op.READ, pid, page)

    def leak(self, pid: int, _other: int, v: int, c: int, d: int) -> None:
        """CVE-2020-29374: a reference outlives the mapping of the page that it shares with another process."""
        self.say(Op.WRITE, pid, v)
        if d & 1:
            self.swap_out(pid, v, c)
        child = self.fork(pid, c)
        if child is None:
            return
        holder, writer = (child, pid) if d & 2 else (pid, child)
        number = self.take(Op.GET, holder, v, c, EventFlag.EV_LOOK)
        if d & 4:
            self.swap_out(pid, v, c)
        self.say(Op.DISCARD, holder, v, 1)
        self.say(Op.READ if d & 8 else Op.WRITE, writer, v)
        self.say(Op.WRITE, writer, v)
        if number is not None:
            self.say(Op.PINREAD, holder, 0, number)

    def keep(self, pid: int, _other: int, v: int, c: int, d: int) -> None:
        """A pin meets what must not part it from its process: fork before and after, mprotect, reclaim."""
        if d & 192 != 192:
            self.say(Op.WRITE, pid, v)
        else:  # of a page that nobody has written: zeros are kept without I/O
            self.say(Op.DISCARD, pid, v, 1)
        if d & 64:
            self.fork(pid, c)
        number = self.take(Op.PIN, pid, v, c, (EventFlag.EV_WRITE | EventFlag.EV_LONGTERM) if d & 1 else d & 4)
        if d & 2:
            self.fork(pid, c)
        if d & 8:
            self.say(Op.PROTECT, pid, v, 1)
        if d & 16:
            if d & 128 and number is not None:
                del self.held[number]
                self.say(Op.UNPIN, pid, 0, number)
                number = None
            self.swap_out(pid, v, c)
        self.say(Op.READ if d & 128 else Op.WRITE, pid, v)
        if number is not None:
            self.say(Op.PINWRITE if d & 32 else Op.PINREAD, pid, 0, number)

    def guard(self, pid: int, _other: int, v: int, c: int, d: int) -> None:
        """Somebody holds the lock of a page that is about to be decided on."""
        self.say(Op.WRITE, pid, v)
        if d & 1:
            self.swap_out(pid, v, c)
            self.say(Op.READ, pid, v)
        child = self.fork(pid, c)
        if d & 2 and child is not None:
            self.exit(child)
        self.say(Op.DRAIN, pid, 0, 1)
        if pid in self.alive:
            self.take(Op.LOCK, pid, v, c)
            self.say(Op.WRITE, pid, v)

    def twins(self, pid: int, other: int, v: int, c: int, d: int) -> None:
        """Two processes' pages that nobody else refers to become one."""
        if pid == other:
            child = self.fork(pid, c)
            if child is None:
                return
            other = child
        self.say(Op.WRITE, pid, v)
        self.say(Op.WRITE, other, v)
        if d & 1:
            self.swap_out(other, v, c)
            self.say(Op.READ, other, v)
        if d & 2:
            self.say(Op.READ, pid, v)
        self.say(Op.DRAIN, pid, 0, 1)
        self.say(Op.MERGE, pid, v, other)
        if d & 4:
            self.swap_out(pid, v, c)
        if d & 8:
            self.say(Op.WRITE, other if d & 16 else pid, v)

    def squeeze(self, pid: int, _other: int, v: int, c: int, d: int) -> None:
        """Swap becomes more than half full while pages are in the swap cache."""
        self.say(Op.WRITE, pid, v)
        self.swap_out(pid, v, 1 if d & 1 else 0)
        if d & 2:
            self.say(Op.READ, pid, v)
        self.say(Op.FILLSWAP, pid, 0, self.machine.swap_slots * (1 + d // 4 % 3) // 4)
        if d & 16:
            self.say(Op.READ, pid, v)
        if d & 32:
            self.say(Op.DISCARD, pid, v, 1)
        if d & 64:
            self.say(Op.RECLAIM, pid, 0, c % 2)

    def rude(self, pid: int, other: int, v: int, c: int, d: int) -> None:
        """An event that may be refused: anything but the operation's own flags and numbers."""
        choices = [
            (Op.READ, d % 8, v, 0, 0),
            (Op.WRITE, self.machine.processes, v, 0, 0),
            (Op.WRITE, pid, self.machine.space, 0, 0),
            (Op.FORK, pid, 0, other, 0),
            (Op.FORK, pid, 0, self.machine.processes, 0),
            (Op.GET, pid, v, c % (REFERENCES + 2), d % 8),
            (Op.PUT, pid, 0, c % (REFERENCES + 1), 0),
            (Op.UNPIN, pid, 0, c % (REFERENCES + 1), 0),
            (Op.PINWRITE, pid, 0, c % (REFERENCES + 1), 0),
            (Op.LOCK, pid, v, c % REFERENCES, 0),
            (Op.DISCARD, pid, v, self.machine.space, 0),
            (Op.CPU, pid, 0, self.machine.cpus, 0),
            (Op.FILLSWAP, pid, 0, self.machine.swap_slots + 1, 0),
            (99, pid, v, 0, 0),
            (Op.READ, pid, v, 0, 1 + d % 7),
        ]
        op, who, page, arg, flags = choices[c // 8 % len(choices)]
        # what would succeed without being in the writer's books would unbalance everything after it
        takes = op in (Op.GET, Op.LOCK) and arg < REFERENCES and arg not in self.held
        drops = arg in self.held and (op, self.held[arg]) in ((Op.PUT, Op.GET), (Op.UNPIN, Op.PIN))
        if not takes and not drops:
            self.events.append((int(op), who, page, arg, flags))


def differences(a: dict, b: dict) -> dict:
    return {
        key: {k: (a[key].get(k), b[key].get(k)) for k in {*a[key], *b[key]} if a[key].get(k) != b[key].get(k)}
        if isinstance(a[key], dict)
        else (a[key], b[key])
        for key in a
        if a[key] != b[key]
    }
