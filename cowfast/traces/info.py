# SPDX-License-Identifier: MIT
"""What is in a trace: one pass, memory that grows with pages and not with events."""

from __future__ import annotations

from typing import Any

import numpy as np

from cowfast._layout import Op
from cowfast.traces.trace import Trace

_COUNTED = 1 << 28  # pages that have a counter each (1 GiB of them at most)
_BINS = 33  # powers of two


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
    touched: dict[int, np.ndarray] = {}
    by_process = np.zeros((2, trace.processes), np.int64)
    times: list[int] = []
    for events, columns in trace.records():
        if "time" in columns and len(events):
            times = [times[0] if times else int(columns["time"][0]), int(columns["time"][-1])]
        accessed = events[events["op"] <= Op.WRITE]
        pages, pids, ops = accessed["page"], accessed["pid"], accessed["op"]
        accesses += np.bincount(pages, minlength=trace.space).astype(np.uint32)
        for op in (Op.READ, Op.WRITE):
            by_process[int(op)] += np.bincount(pids[ops == op], minlength=trace.processes)
        for pid in np.unique(pids).tolist():
            bits = touched.setdefault(pid, np.zeros((trace.space + 7) // 8, np.uint8))
            mine = np.unique(pages[pids == pid])
            new = mine[bits[mine >> 3] >> (mine & 7) & 1 == 0]
            np.bitwise_or.at(bits, new >> 3, (1 << (new & 7)).astype(np.uint8))
            touchers[new] += 1
    powers = np.bincount(np.frexp(accesses[accesses > 0].astype(np.float64))[1] - 1, minlength=1)
    sharing = np.bincount(touchers)
    most = np.argsort(-by_process.sum(0), kind="stable")[:20]
    found: dict[str, Any] = {
        "pages_touched": int((accesses > 0).sum()),
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
