# SPDX-License-Identifier: MIT
"""Where recorded events come from: the ``.cow`` container and its importers."""

from cowfast.traces.trace import Trace, load_trace
from cowfast.traces.writer import TraceWriter

__all__ = ["Trace", "TraceWriter", "load_trace"]
