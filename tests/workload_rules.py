# SPDX-License-Identifier: MIT
"""What any stream of events must obey, whatever the policy: who is alive, what a reference number holds."""

import numpy as np

from cowfast._layout import Op

RELEASES = {Op.PUT: Op.GET, Op.UNPIN: Op.PIN, Op.UNLOCK: Op.LOCK}
NOBODYS = {*RELEASES, Op.PINREAD, Op.PINWRITE, Op.RECLAIM, Op.FILLSWAP, Op.FREESWAP, Op.DRAIN}
RANGES = {Op.PAGEOUT, Op.DISCARD, Op.PROTECT, Op.PREFETCH}


def check_stream(events: np.ndarray, processes: int, space: int, references: int) -> None:
    """Raise AssertionError with the index of the first event that is not allowed."""
    alive = {0}
    held: dict[int, int] = {}
    locked: dict[int, int] = {}
    for i, (op, flags, pid, page, arg) in enumerate(events.tolist()):
        here = f"event {i}: {Op(op).name} pid {pid} page {page} arg {arg} flags {flags}"
        assert pid < processes, here
        assert page + (max(arg, 1) if op in RANGES else 1) <= space, here
        assert pid in alive or op in NOBODYS, here
        if op == Op.FORK:
            assert arg not in alive, here
            assert arg < processes, here
            alive.add(arg)
        elif op == Op.EXIT:
            alive.remove(pid)
        elif op == Op.MERGE:
            assert arg in alive - {pid}, here
        elif op in RELEASES.values():
            assert arg < references, here
            assert arg not in held, here
            held[arg] = op
            if op == Op.LOCK:  # two processes may map the same page there
                assert page not in locked.values(), here
                locked[arg] = page
        elif op in RELEASES:
            assert held.pop(arg, None) == RELEASES[op], here
            locked.pop(arg, None)
        elif op in (Op.PINREAD, Op.PINWRITE):
            assert held.get(arg) in (Op.GET, Op.PIN), here
