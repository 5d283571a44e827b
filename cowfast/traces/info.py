# SPDX-License-Identifier: MIT
"""What is in a trace: one pass, memory that grows with pages and not with events."""

from __future__ import annotations

from typing import Any

import numpy as np

from cowfast._layout import Op
from cowfast.errors import TraceError
from cowfast.traces.trace import Trace

_COUNTED = 1 << 28  # pages that have a counter each (1 GiB of them at most)
_BINS = 33  # powers of two
_LEAF = 9  # memory grows by 512 pages of a process, wherever they are


def trace_info(trace: Trace) -> dict[str, Any]:
    """Return figures of a trace, JSON-able.

    ``events_by_op``, sizes and notes come from the file's summary; the rest is counted:

    pages_touched
        pages read or written by anybody
    accesses_per_page
        [(at least so many accesses, pages)], by powers of two
    accesses_per_process
        of each process number: reads, writes (the 20 with most)
    shared_pages
        [(processes, pages)]: pages that so many process numbers have written or read at the same address
    seconds
        length of the recording, if its times are known
    """
    header, summary = trace.header, trace.summary
    found: dict[str, Any] = {
        "file": str(trace.path),
        "bytes": trace.path.stat().st_size,
        "events": trace.events,
        "semantics": trace.semantics,
        "processes": trace.processes,
        "space": trace.space,
        "references": trace.references,
        "cpus": trace.cpus,
        "footprint": trace.footprint,
        "events_by_op": summary.events_by_op,
        "source": header.source,
        "renumbering": header.renumbering,
        "compression": header.compression,
        "columns": dict(header.columns),
        "sha256": summary.sha256,
        "found": summary.found,
        "notes": summary.notes,
    }
    return found | _counted(trace)


def _counted(trace: Trace) -> dict[str, Any]:
    if trace.space > _COUNTED:
        return {"distribution": f"not counted: more than {_COUNTED:,} page numbers"}
    accesses = np.zeros(trace.space, np.uint32)
    touchers = np.zeros(trace.space, np.uint16)
    touched: dict[int, np.ndarray] = {}  # process and 512 pages -> whether each was
    by_process = np.zeros((2, trace.processes), np.int64)
    times: list[int] = []
    for events, columns in trace.records():
        if "time" in columns and len(events):
            times = [times[0] if times else int(columns["time"][0]), int(columns["time"][-1])]
        accessed = events[events["op"] <= Op.WRITE]
        pages, pids, ops = accessed["page"], accessed["pid"], accessed["op"]
        if pages.max(initial=0) >= trace.space or pids.max(initial=0) >= trace.processes:
            raise TraceError(f"{trace.path}: it has accesses beyond the sizes that its summary says; import it again")
        which, times_accessed = np.unique(pages, return_counts=True)
        accesses[which] += times_accessed.astype(np.uint32)
        for op in (Op.READ, Op.WRITE):
            by_process[int(op)] += np.bincount(pids[ops == op], minlength=trace.processes)
        if not len(accessed):
            continue
        pairs = np.unique(pids.astype(np.uint64) << np.uint64(32) | pages)
        groups = pairs >> np.uint64(_LEAF)
        starts = np.flatnonzero(np.diff(groups, prepend=~groups[:1]))
        for group, mine in zip(groups[starts].tolist(), np.split(pairs, starts[1:]), strict=True):
            bits = touched.setdefault(group, np.zeros(1 << _LEAF, np.bool))
            place = (mine & np.uint64((1 << _LEAF) - 1)).astype(np.int64)
            new = mine[~bits[place]]
            bits[place] = True
            touchers[(new & np.uint64(0xFFFFFFFF)).astype(np.int64)] += 1
    # Only where somebody was: a look at every page number that could be takes seconds and gigabytes.
    leaves = np.unique(np.array([group & (1 << (32 - _LEAF)) - 1 for group in touched], np.int64))
    pages = (leaves[:, None] * (1 << _LEAF) + np.arange(1 << _LEAF)).ravel()
    pages = pages[pages < trace.space]
    pages = pages[accesses[pages] > 0]
    powers = np.bincount(np.frexp(accesses[pages].astype(np.float64))[1] - 1, minlength=1)
    sharing = np.bincount(touchers[pages])
    most = np.argsort(-by_process.sum(0), kind="stable")[:20]
    found: dict[str, Any] = {
        "pages_touched": len(pages),
        "accesses_per_page": [(1 << power, int(n)) for power, n in enumerate(powers[:_BINS]) if n],
        "shared_pages": [(count, int(n)) for count, n in enumerate(sharing) if count and n],
        "accesses_per_process": {
            int(pid): {"reads": int(by_process[0, pid]), "writes": int(by_process[1, pid])}
            for pid in most
            if by_process[:, pid].any()
        },
    }
    if times:
        found["seconds"] = (times[1] - times[0]) / 1e6
    return found
