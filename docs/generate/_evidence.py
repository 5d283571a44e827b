# SPDX-License-Identifier: MIT
"""Which kernel records a policy agrees with, from the kept output of ``cowfast verify``.

``docs/data/agreement.json`` is what this command printed::

    cowfast verify ../shared/oracle/*.jsonl.xz ../shared/oracle/bulk/*.jsonl.xz \\
        ../shared/traces/*.txt.xz --format json > docs/data/agreement.json

Run it again when a policy or an engine changes: ``tests/test_facts.py`` says when the file is out of date.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

FILE = Path(__file__).resolve().parents[1] / "data" / "agreement.json"
LEGACY = "linux-5.10+write_fault=linux-5.7"
"""The recorded kernel that is no release: 5.10's source with the write-fault checks of 5.7."""


def rows(kind: str) -> list[dict[str, Any]]:
    """Return the rows of one kind: ``kernel-record``, ``bulk``, ``perf``."""
    found = msgspec.json.decode(FILE.read_bytes())["files"]
    return [row | {"file": Path(row["file"]).name} for row in found if row["kind"] == kind]


def recorded(policy: str, swap: str) -> str:
    """Return the kernel whose records of this kind of swap the policy reproduces in full, or an empty text."""
    for name, kernel in ((policy, policy.removeprefix("linux-")), (LEGACY, "legacy")):
        if kernel == "legacy" and policy != "linux-5.7":
            continue
        for row in rows("kernel-record"):
            if (row["file"], row["policy"]) == (f"{kernel}-{swap}.jsonl.xz", name):
                return kernel if row["scripts_right"] == row["scripts"] else ""
    return ""


def scripted(policy: str) -> list[dict[str, Any]]:
    """Return the rows of the scripted records that the policy was verified with."""
    return [row for row in rows("kernel-record") if row["policy"] == policy]


def under_pressure(policy: str) -> list[list[Any]]:
    """Return ``[name, compared, within 5 %]`` for each total of the streams under memory pressure; empty without records.

    Totals below 50 are not compared: there one fault is per cents.
    """
    found = [row for row in rows("bulk") if row["policy"] == policy]
    table: list[list[Any]] = []
    for name in ("copies", "reuses", "swapmaj", "pswpout") if found else ():
        pairs = [(row[name], row[f"{name}_kernel"]) for row in found if row[f"{name}_kernel"] >= 50]
        table.append([name, len(pairs), sum(abs(ours - theirs) <= 0.05 * theirs for ours, theirs in pairs)])
    return table


def applications(policy: str) -> list[dict[str, Any]]:
    """Return the rows of the application traces that the policy was verified with."""
    return [row for row in rows("perf") if row["policy"] == policy]
