# SPDX-License-Identifier: MIT
"""``report.html``: one page that says what was run, what came out, and how to run it again.

It needs no network, no other file, and no JavaScript except to sort its tables.
"""

from cowfast.report.page import render, write_report

__all__ = ["render", "write_report"]
