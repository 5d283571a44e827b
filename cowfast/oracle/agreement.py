# SPDX-License-Identifier: MIT
"""How far a policy agrees with a kernel record, and how a difference is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

FIELDS = {"p": "process", "f": "frame"}  # fields of a record that are tables: one line of text a row


@dataclass
class Mismatch:
    """The first event of a script after which model and kernel differ.

    ``kernel`` and ``model`` hold everything that was compared after that event, by the record's names.
    """

    script: str
    event: int
    text: str
    fieldname: str
    kernel: dict[str, Any]
    model: dict[str, Any]
    history: list[str]

    def __str__(self) -> str:
        rows = list(self.rows())
        width = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [f"{self.script} #{self.event} '{self.text}': {self.fieldname} differs"]
        lines += [
            f"{'!' if row[1] != row[2] else ' '} " + "  ".join(map(str.ljust, row, width)).rstrip() for row in rows
        ]
        return "\n".join([*lines, f"  after: {'; '.join(self.history)}"])

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Both states side by side: what, the kernel's, the model's.  Counters that are 0 in both are left out."""
        yield "", "kernel", "model"
        for name, theirs in self.kernel.items():
            ours = self.model[name]
            if name in FIELDS:
                for row in sorted({*theirs, *ours}, key=lambda key: (len(key), key)):
                    yield f"{FIELDS[name]} {row}", str(theirs.get(row, "-")), str(ours.get(row, "-"))
            elif theirs or ours:
                yield name, str(theirs), str(ours)


@dataclass
class FileAgreement:
    """How far one policy agrees with one record."""

    file: str
    policy: str
    kind: str = "kernel-record"
    scripts: int = 0
    scripts_right: int = 0
    events: int = 0
    events_right: int = 0
    referenced_right: int = 0
    """scripts that are right in PG_referenced too.  Apart, because kernels may differ in it from boot to boot where a
    page's place on the active list decides"""
    mismatches: list[Mismatch] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The row of ``cowfast verify --format json``."""
        names = ("file", "kind", "policy", "scripts", "scripts_right", "events", "events_right", "referenced_right")
        return {name: getattr(self, name) for name in names}
