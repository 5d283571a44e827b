# SPDX-License-Identifier: MIT
"""Random valid event programs, on machines small enough that everything happens: what the equality tests run."""

from __future__ import annotations

from hypothesis import strategies as st

from cowfast._layout import EventFlag, Op
from cowfast.machine import Machine

PAGES, PROCESSES, REFERENCES = 5, 4, 6
WEIGHTS = {
    Op.READ: 6,
    Op.WRITE: 10,
    Op.FORK: 4,
    Op.EXIT: 2,
    Op.EXEC: 1,
    Op.DISCARD: 2,
    Op.PROTECT: 2,
    Op.PAGEOUT: 3,
    Op.RECLAIM: 3,
    Op.PREFETCH: 1,
    Op.DRAIN: 2,
    Op.GET: 3,
    Op.PUT: 2,
    Op.PIN: 3,
    Op.UNPIN: 2,
    Op.PINREAD: 1,
    Op.PINWRITE: 2,
    Op.LOCK: 1,
    Op.UNLOCK: 1,
    Op.MERGE: 2,
    Op.CPU: 1,
    Op.FILLSWAP: 1,
    Op.FREESWAP: 1,
}
OPS = [op for op, weight in WEIGHTS.items() for _ in range(weight)]

machines = st.builds(
    lambda swap, latency, **rest: Machine(
        swap=swap,
        swap_latency=latency if swap == "async" else 0,
        space=PAGES,
        processes=PROCESSES,
        references=REFERENCES,
        **rest,
    ),
    swap=st.sampled_from(["async", "sync", "none"]),
    latency=st.sampled_from([0, 0, 1, 3]),
    memory=st.sampled_from([0, 0, 3, 5, 9]),
    swap_slots=st.sampled_from([4, 12, 40]),
    stable_writes=st.booleans(),
    page_cluster=st.sampled_from([0, 3]),
    cpus=st.sampled_from([1, 1, 2]),
    lru_batch=st.sampled_from([-1, -1, 0, 2]),
    stat_flush_events=st.sampled_from([0, 7]),
)
"""Every kind of swap device, with and without a memory limit, one or two CPUs, LRU batches of 0, 2, 15 and 31."""

raw = st.lists(st.tuples(st.sampled_from(OPS), *(st.integers(0, 255) for _ in range(4))), min_size=1, max_size=80)


def build(rows: list[tuple[int, ...]], machine: Machine) -> list[tuple[int, int, int, int, int]]:
    """Turns raw numbers into events that are valid: living processes, balanced references."""
    alive, held, _filled, program = {0}, {}, 0, []
    for op, a, b, c, d in rows:
        pid = sorted(alive)[a % len(alive)] if alive else 0
        page, number, flags, arg = b % PAGES, c % REFERENCES, 0, 0
        if op in (Op.FORK,):
            dead = sorted(set(range(PROCESSES)) - alive)
            if not dead or not alive:
                continue
            arg = dead[c % len(dead)]
            alive.add(arg)
            page = 0
        elif op in (Op.EXIT, Op.EXEC):
            if op == Op.EXIT:
                if len(alive) < 2:
                    continue
                alive.discard(pid)
            page = 0
        elif op in (Op.DISCARD, Op.PROTECT, Op.PAGEOUT, Op.PREFETCH):
            arg = c % (PAGES - page) + 1
        elif op == Op.RECLAIM:
            arg, page = c % 3, 0
        elif op == Op.DRAIN:
            arg, page = c % 2, 0
        elif op in (Op.GET, Op.PIN, Op.LOCK):
            if number in held:
                continue
            held[number], arg = op, number
            if op == Op.GET:
                flags = d % 4 & (EventFlag.EV_LOOK | EventFlag.EV_WRITE)
            elif op == Op.PIN:
                flags = 2 * (d % 4) & (EventFlag.EV_WRITE | EventFlag.EV_LONGTERM)
        elif op in (Op.PUT, Op.UNPIN, Op.UNLOCK, Op.PINREAD, Op.PINWRITE):
            kinds = {Op.PUT: (Op.GET,), Op.UNPIN: (Op.PIN,), Op.UNLOCK: (Op.LOCK,)}.get(op, (Op.GET, Op.PIN))
            mine = sorted(n for n, kind in held.items() if kind in kinds)
            if not mine:
                continue
            arg, page = mine[c % len(mine)], 0
            if op in (Op.PUT, Op.UNPIN, Op.UNLOCK):
                del held[arg]
        elif op == Op.MERGE:
            arg = sorted(alive)[c % len(alive)]
        elif op == Op.CPU:
            arg, page = c % machine.cpus, 0
        elif op in (Op.FILLSWAP, Op.FREESWAP):
            page = 0
            arg = c % 3 if op == Op.FILLSWAP else 0
        program.append((int(op), pid, page, arg, int(flags)))
    return program
