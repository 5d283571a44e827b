# SPDX-License-Identifier: MIT
"""Results of many runs: append-only JSON lines, one a finished run, named by the hash of its spec.

Starting again skips what is there, ``cat a b`` merges two files, and a line torn by a power cut is recognised and
left out.  The format is docs/formats.md.
"""

from cowfast.results.read import Results, load_results
from cowfast.results.rerun import rerun
from cowfast.results.write import ResultsWriter

__all__ = ["Results", "ResultsWriter", "load_results", "rerun"]
