# SPDX-License-Identifier: MIT
"""Where recorded events come from: the ``.cow`` container, its importers and tools (docs/formats)."""

from cowfast.traces.csv_file import import_csv
from cowfast.traces.info import trace_info
from cowfast.traces.lackey import import_lackey
from cowfast.traces.perf import import_perf
from cowfast.traces.record import record
from cowfast.traces.tools import cat, convert, cut, merge
from cowfast.traces.trace import Trace, load_trace
from cowfast.traces.writer import TraceWriter

__all__ = [
    "Trace",
    "TraceWriter",
    "cat",
    "convert",
    "cut",
    "import_csv",
    "import_lackey",
    "import_perf",
    "load_trace",
    "merge",
    "record",
    "trace_info",
]
