# SPDX-License-Identifier: MIT
"""Recordings of ``perf``: text in, events and the kernel's own verdicts out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cowfast.traces.perf.events import COLUMNS, Kernel
from cowfast.traces.perf.importer import Importer
from cowfast.traces.perf.lines import RECORD, SCRIPT
from cowfast.traces.trace import Trace
from cowfast.traces.writer import TraceWriter

__all__ = ["COLUMNS", "RECORD", "SCRIPT", "Importer", "Kernel", "import_perf"]

RENUMBERING = (
    "processes by first sight, numbers used again after exit, 0 is all that was before; "
    "pages: stretches of 512 (2 MiB of addresses) by first touch, numbers used again"
)


def import_perf(
    path: str | os.PathLike[str], out: str | os.PathLike[str], *, cpus: bool = True, **options: Any
) -> Trace:
    """Write a recording (text of perf script, plain or .xz/.zst/.gz) as the trace ``out`` and return that.

    ``cpus=False`` leaves out on which CPU each process runs.  ``options`` go to :class:`TraceWriter`.  Raises TraceError
    naming the line, what is wrong, and the command that writes a good recording.
    """
    importer = Importer(os.fspath(path), cpus=cpus)
    source = {"importer": "perf", "file": Path(path).name}
    with TraceWriter(
        out, semantics="fault", source=source, renumbering=RENUMBERING, columns=COLUMNS, **options
    ) as writer:
        for events, columns in importer.run():
            writer.write(events, **columns)
        for note in importer.notes:
            writer.note(note)
        writer.found = importer.found
    return Trace(out)
