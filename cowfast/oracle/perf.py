# SPDX-License-Identifier: MIT
"""Fault by fault: the policy's verdict beside that of the kernel that was recorded with perf.

The policy is asked about each write-protection fault in the state that *the kernel's* verdicts have led to, so that one
disagreement does not spread:

* After either verdict the writer alone has its page, so a copy of the kernel that the policy would not have made
  needs no repair.
* A reuse of the kernel means that nobody else had the page any more: if the policy copied because somebody still had it,
  those ptes go (``discard``) before the next event.

A fault is **ambiguous** if its verdict depends on something that took place at the same moment on another CPU: everybody
else who has the page is giving back its memory just then, page by page; or the only other process that has it is in a
write fault on it too.  Such faults are counted apart, whatever the verdicts are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cowfast._layout import Op, Outcome
from cowfast.errors import TraceError
from cowfast.events import format_event, make_events
from cowfast.machine import Machine
from cowfast.policy import Policy
from cowfast.simulate import Simulator, resolve_policy
from cowfast.traces import Trace, load_trace
from cowfast.traces.files import blocks
from cowfast.traces.format import MAGIC
from cowfast.traces.perf import Kernel, import_perf

_VERDICTS = {Kernel.COPY: "copy", Kernel.REUSE: "reuse", Kernel.ZERO: "zeroed page", Kernel.UNKNOWN: "unknown"}
_OUTCOMES = Outcome.COPIED | Outcome.REUSED | Outcome.ZERO_FILLED
_SAID = {0: "no fault", Outcome.COPIED: "copy", Outcome.REUSED: "reuse", Outcome.ZERO_FILLED: "zeroed page"}


@dataclass
class Disagreement:
    """One fault on which policy and kernel differ."""

    event: int
    line: int
    seconds: float
    text: str
    kernel: str
    policy: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.seconds:.6f} s, event {self.event} '{self.text}': kernel {self.kernel}, policy {self.policy}"


@dataclass
class PerfAgreement:
    """How far one policy agrees with the kernel of one recording.

    ``faults`` are write-protection faults; each is one of ``agree``, ``disagree``, ``ambiguous``, ``unknown`` (the
    recording does not show the kernel's verdict, or the kernel did not handle the fault because page faults were off, and
    it came again).  ``copies``, ``reuses``, ``zero_pages`` are the kernel's verdicts as the allocations tell them.
    ``asked`` are the faults on anonymous pages, where a policy has a choice at all, ``asked_right`` those of them that
    agree; the rest are first writes to the zero page or to a page of a file.
    """

    file: str
    policy: str
    kind: str = "perf"
    faults: int = 0
    agree: int = 0
    disagree: int = 0
    ambiguous: int = 0
    unknown: int = 0
    copies: int = 0
    reuses: int = 0
    zero_pages: int = 0
    asked: int = 0
    asked_right: int = 0
    notes: list[str] = field(default_factory=list)
    disagreements: list[Disagreement] = field(default_factory=list)

    @property
    def agreement(self) -> float:
        """Share of the decidable faults on which they agree; nan if there is none."""
        decidable = self.agree + self.disagree
        return self.agree / decidable if decidable else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """The row of ``cowfast verify --format json``."""
        names = ("file", "kind", "policy", "faults", "agree", "disagree", "ambiguous", "unknown", "copies", "reuses",
                 "zero_pages", "asked", "asked_right")  # fmt: skip
        row = {name: getattr(self, name) for name in names}
        decidable = self.agree + self.disagree
        return row | {"agreement": round(self.agreement, 6) if decidable else None}


def is_perf(path: str | Path) -> bool:
    """Whether a file is a ``.cow`` trace or text that does not look like a kernel record (JSON lines)."""
    start = next(blocks(path), b"")
    return start.startswith(MAGIC) or not start.lstrip().startswith(b"{")


def verify_perf(
    path: str | Path,
    policy: str | Policy = "linux-6.18",
    engine: str = "fast",
    *,
    limit: int = 20,
    progress: Callable[[int, int], None] | None = None,
) -> PerfAgreement:
    """Ask a policy about every write-protection fault of a perf recording and compare with the kernel's verdict.

    ``path`` is text of perf script (plain, .xz, .zst, .gz) or a ``.cow`` trace made of it; ``limit`` bounds the
    disagreements that are kept; ``progress`` is told (events done, events in all).  Memory is unlimited and there is no
    swap, as in the recordings.  Raises TraceError.
    """
    path = Path(path)
    if next(blocks(path), b"").startswith(MAGIC):
        return _Verifier(load_trace(path), path, policy, engine, limit, progress).run()
    with tempfile.TemporaryDirectory(prefix="cowfast-") as directory:
        trace = import_perf(path, Path(directory) / "trace.cow")
        return _Verifier(trace, path, policy, engine, limit, progress).run()


class _Verifier:
    def __init__(self, trace: Trace, path: Path, policy: str | Policy, engine: str, limit: int,
                 progress: Callable[[int, int], None] | None) -> None:  # fmt: skip
        if "kernel" not in trace.columns:
            raise TraceError(
                f"{path}: this trace has no kernel verdicts; verify needs a perf recording with kmem:mm_page_alloc"
            )
        loaded = resolve_policy(policy)
        machine = Machine(space=trace.space, processes=trace.processes, cpus=trace.cpus, references=0, swap="none")
        self.trace, self.limit, self.progress = trace, limit, progress
        self.simulator = Simulator(loaded, machine, engine=engine)
        self.result = PerfAgreement(str(path), loaded.name, notes=list(trace.notes))
        self.leaving: set[int] = set()  # processes in teardown
        self.base = 0

    def run(self) -> PerfAgreement:
        for events, columns in self.trace.records(size=1 << 16):
            self._chunk(events, columns)
            self.base += len(events)
            if self.progress:
                self.progress(self.base, self.trace.events)
        return self.result

    def _chunk(self, events: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        kernel = columns["kernel"]
        stops = np.flatnonzero(
            (kernel & (Kernel.WP | Kernel.TEARDOWN) != 0) | np.isin(events["op"], [Op.EXIT, Op.EXEC])
        )
        outcomes = np.zeros(len(events), np.uint32)
        done = 0
        for i, op, pid, page, word in zip(
            stops.tolist(), events["op"][stops].tolist(), events["pid"][stops].tolist(), events["page"][stops].tolist(),
            kernel[stops].tolist(), strict=True,
        ):  # fmt: skip
            others: list[int] = []
            verdict = word & Kernel.VERDICT
            if word & Kernel.WP and verdict == Kernel.NOT_HANDLED:
                self.simulator.run(events[done:i], outcomes[done:i])
                done = i + 1
                self._judge(word, 0, others)
                continue
            if word & Kernel.WP and (self.leaving or verdict == Kernel.REUSE or word & Kernel.RACE_AFTER):
                self.simulator.run(events[done:i], outcomes[done:i])
                done = i
                others = [other for other in self.simulator.mappers(pid, page) if other != pid]
            self.simulator.run(events[done : i + 1], outcomes[done : i + 1])
            done = i + 1
            if word & Kernel.TEARDOWN:
                self.leaving.add(pid)
            elif op in (Op.EXIT, Op.EXEC):
                self.leaving.discard(pid)
            else:
                said = int(outcomes[i]) & _OUTCOMES
                if not self._judge(word, said, others):
                    self._tell(i, events[i], columns, word, said)
                if verdict == Kernel.REUSE and said == Outcome.COPIED:
                    self.simulator.run(make_events((Op.DISCARD, other, page, 1) for other in others))
        self.simulator.run(events[done:], outcomes[done:])

    def _judge(self, word: int, said: int, others: list[int]) -> bool:
        """Count one fault; False if policy and kernel differ."""
        result, verdict = self.result, word & Kernel.VERDICT
        result.faults += 1
        result.copies += verdict == Kernel.COPY
        result.reuses += verdict in (Kernel.REUSE, Kernel.NOT_HANDLED)
        result.zero_pages += verdict == Kernel.ZERO
        if verdict in (Kernel.UNKNOWN, Kernel.NOT_HANDLED):
            result.unknown += 1
            return True
        leaving = bool(others) and self.leaving.issuperset(others)
        before = word & Kernel.RACE_BEFORE and said == Outcome.REUSED
        after = word & Kernel.RACE_AFTER and said == Outcome.COPIED and len(others) == 1
        if leaving or before or after:
            result.ambiguous += 1
            return True
        choice = said != Outcome.ZERO_FILLED
        result.asked += choice
        # Before its first write a page of a file is not anonymous: new whatever the policy, as the zero page is.
        new = Outcome.ZERO_FILLED if word & Kernel.FILE else Outcome.COPIED
        right = (
            said == {Kernel.COPY: new, Kernel.REUSE: Outcome.REUSED, Kernel.ZERO: Outcome.ZERO_FILLED}[Kernel(verdict)]
        )
        result.asked_right += choice and right
        result.agree += right
        result.disagree += not right
        return right

    def _tell(self, i: int, event: np.void, columns: dict[str, np.ndarray], word: int, said: int) -> None:
        if len(self.result.disagreements) < self.limit:
            seen = " (never seen before)" if word & Kernel.UNSEEN else ""
            self.result.disagreements.append(
                Disagreement(
                    self.base + i, int(columns["line"][i]), int(columns["time"][i]) / 1e6, format_event(event),
                    _VERDICTS[Kernel(word & Kernel.VERDICT)], _SAID.get(said, f"outcome {said:#x}") + seen,
                )
            )  # fmt: skip
