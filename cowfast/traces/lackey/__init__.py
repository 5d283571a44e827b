# SPDX-License-Identifier: MIT
"""Logs of valgrind's lackey tool: every access of every process, merged into one stream."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cowfast.errors import TraceError
from cowfast.traces.lackey.log import RECORD, Log
from cowfast.traces.lackey.merge import Merge
from cowfast.traces.trace import Trace
from cowfast.traces.writer import TraceWriter

__all__ = ["RECORD", "Log", "Merge", "import_lackey"]


def import_lackey(
    logs: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    quantum: int = 1000,
    window: int = 8,
    **options: Any,
) -> Trace:
    """Write the logs of one run (one for each process) as the trace ``out`` and return that.

    ``seed`` draws who runs when where the logs leave it open, ``quantum`` is the mean length of a turn in accesses,
    ``window`` how many pages are remembered to leave out accesses that repeat.  ``options`` go to :class:`TraceWriter`.
    Raises TraceError naming the log.
    """
    paths = sorted(Path(log) for log in logs)
    if not paths:
        raise TraceError(f"no logs given; record them with: {RECORD}")
    if not 1 <= window <= 1 << 16 or not 1 <= quantum <= 1 << 30:
        raise TraceError(f"window {window} or quantum {quantum}: write 1 to 65536 and 1 to 2^30")
    merge = Merge([Log(path, window) for path in paths], seed, quantum)
    source = {"importer": "lackey", "files": [path.name for path in paths[:100]], "seed": seed}
    source |= {"quantum": quantum, "window": window}
    renumbering = "processes by fork, 0 is what was before; pages: stretches of 512 (2 MiB of addresses) by first touch"
    with TraceWriter(out, semantics="access", source=source, renumbering=renumbering, **options) as writer:
        held: list[np.ndarray] = []
        size = 0
        for events in merge.run():
            held.append(events)
            size += len(events)
            if size > 1 << 16:
                writer.write(np.concatenate(held))
                held, size = [], 0
        if held:
            writer.write(np.concatenate(held))
        writer.note(
            "file mappings are taken for anonymous memory; instruction fetches and the kernel's own accesses are left out"
        )
        if merge.tally["children without a log"]:
            writer.note(f"{merge.tally['children without a log']} children have no log and are left out")
        if merge.tally["logs without system calls"]:
            writer.note("logs without system calls (--trace-syscalls=yes): forks, waits and unmapping are not known")
        writer.found = dict(sorted(merge.tally.items()))
    return Trace(out)
