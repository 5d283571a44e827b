# SPDX-License-Identifier: MIT
"""Fault by fault: the policy's verdict beside that of the kernel that was recorded with perf.

The policy is asked about each write-protection fault in the state that *the kernel's* verdicts have led to, so that one
disagreement does not spread:

* After either verdict the writer alone has its page, so a copy of the kernel that the policy would not have made
  needs no repair.
* A reuse of the kernel means that nobody else had the page any more: if the policy copied because somebody still had it,
  those ptes go (``discard``) before the next event.

A fault is **ambiguous** if its verdict depends on something that the recording does not show: everybody else who has the
page is giving back its memory just then, page by page; or the only other process that has it is in a write fault on it
at the same moment; or the policy copies a page that nobody else has, only because it is in the LRU batch of another CPU,
which everything that runs on the machine fills and drains.  Such faults are counted apart, whatever the verdicts are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cowfast._layout import Cause, Op, Outcome
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
_EXPECTED = np.zeros(int(Kernel.VERDICT) + 1, np.uint32)  # but of a copy, which depends on the page
_EXPECTED[[Kernel.REUSE, Kernel.ZERO]] = Outcome.REUSED, Outcome.ZERO_FILLED
#: Events at a time: a disagreement on a reuse costs the copying of all tables and one chunk done twice.
_CHUNK = 1 << 16
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

    def run(self) -> PerfAgreement:
        base = 0
        for events, columns in self.trace.records(size=_CHUNK):
            self._judge(base, events, columns, self._run(events, columns["kernel"]))
            base += len(events)
            if self.progress:
                self.progress(base, self.trace.events)
        return self.result

    def _run(self, events: np.ndarray, kernel: np.ndarray) -> _Said:
        """Let the policy decide a chunk, stopping only where the state just before a fault matters.

        That is rarely so: where somebody gives back its memory or two write at once.  It matters at a reuse of the kernel
        too if the policy copies there; such a chunk is done again from its beginning, with a stop at each reuse.
        """
        faults = kernel & Kernel.WP != 0
        reused = faults & (kernel & Kernel.VERDICT == Kernel.REUSE)
        stops = faults & (self._somebody_leaves(events, kernel) | (kernel & Kernel.RACE_AFTER != 0))
        if not reused.any() or self.simulator.engine_name != "fast":
            return self._run_to(events, kernel, stops | reused)
        before, leaving = self.simulator.snapshot(), self.leaving.copy()
        said = self._run_to(events, kernel, stops)
        if (said.outcomes[reused & ~stops] & Outcome.COPIED).any():
            self.simulator.restore(before, trusted=True)
            self.leaving = leaving
            said = self._run_to(events, kernel, stops | reused)
        return said

    def _somebody_leaves(self, events: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        """Return for each event whether a process is in teardown then."""
        leaving, found, since = self.leaving.copy(), np.zeros(len(events), bool), 0
        marks = _marks(events, kernel)
        for i, word, pid in zip(marks.tolist(), kernel[marks].tolist(), events["pid"][marks].tolist(), strict=True):
            found[since:i] = bool(leaving)
            since = i
            (leaving.add if word & Kernel.TEARDOWN else leaving.discard)(pid)
        found[since:] = bool(leaving)
        return found

    def _run_to(self, events: np.ndarray, kernel: np.ndarray, look: np.ndarray) -> _Said:
        """Run the chunk; look at who has the page before each fault in ``look``."""
        said = _Said(*(np.zeros(len(events), dtype) for dtype in (np.uint32, bool, bool)))
        done = 0
        faults = kernel & Kernel.WP != 0
        skip = faults & (kernel & Kernel.VERDICT == Kernel.NOT_HANDLED)
        stop = look | skip
        stop[_marks(events, kernel)] = True
        stops = np.flatnonzero(stop)
        for i, pid, page, word in zip(stops.tolist(), events["pid"][stops].tolist(), events["page"][stops].tolist(),
                                      kernel[stops].tolist(), strict=True):  # fmt: skip
            self.simulator.run(events[done:i], said.outcomes[done:i])
            done = i + 1
            if skip[i]:
                continue
            others: list[int] = []
            if look[i]:
                others = [other for other in self.simulator.mappers(pid, page) if other != pid]
                said.one_other[i] = len(others) == 1
                said.others_leave[i] = bool(others) and self.leaving.issuperset(others)
            self.simulator.run(events[i:done], said.outcomes[i:done])
            if word & Kernel.TEARDOWN:
                self.leaving.add(pid)
            elif not look[i]:
                self.leaving.discard(pid)
            elif word & Kernel.VERDICT == Kernel.REUSE and said.outcomes[i] & Outcome.COPIED:
                self.simulator.run(make_events((Op.DISCARD, other, page, 1) for other in others))
        self.simulator.run(events[done:], said.outcomes[done:])
        return said

    def _judge(self, base: int, events: np.ndarray, columns: dict[str, np.ndarray], said: _Said) -> None:
        """Count the faults of a chunk, which begins at event ``base``."""
        result, where = self.result, np.flatnonzero(columns["kernel"] & Kernel.WP)
        word, done = columns["kernel"][where], said.outcomes[where] & _OUTCOMES
        verdict = word & Kernel.VERDICT
        count = np.bincount(verdict, minlength=int(Kernel.VERDICT) + 1).tolist()
        result.faults += len(where)
        result.copies += count[Kernel.COPY]
        result.reuses += count[Kernel.REUSE] + count[Kernel.NOT_HANDLED]
        result.zero_pages += count[Kernel.ZERO]
        result.unknown += count[Kernel.UNKNOWN] + count[Kernel.NOT_HANDLED]
        known = (verdict != Kernel.UNKNOWN) & (verdict != Kernel.NOT_HANDLED)
        race = ((word & Kernel.RACE_BEFORE != 0) & (done == Outcome.REUSED)) | (
            (word & Kernel.RACE_AFTER != 0) & (done == Outcome.COPIED) & said.one_other[where]
        )
        # Everybody on the machine fills and drains the LRU batches; the recording shows one program's part of that.
        in_batch = (done == Outcome.COPIED) & (said.outcomes[where] >> Outcome.CAUSE_SHIFT == Cause.CAUSE_LRU_BATCH)
        ambiguous = known & (said.others_leave[where] | race | in_batch)
        decided = known & ~ambiguous
        # Before its first write a page of a file is not anonymous: new whatever the policy, as the zero page is.
        copy = np.where(word & Kernel.FILE != 0, Outcome.ZERO_FILLED, Outcome.COPIED)
        right = decided & (done == np.where(verdict == Kernel.COPY, copy, _EXPECTED[verdict]))
        choice = decided & (done != Outcome.ZERO_FILLED)
        result.ambiguous += int(np.count_nonzero(ambiguous))
        result.agree += int(np.count_nonzero(right))
        result.disagree += int(np.count_nonzero(decided & ~right))
        result.asked += int(np.count_nonzero(choice))
        result.asked_right += int(np.count_nonzero(choice & right))
        for k in np.flatnonzero(decided & ~right)[: max(0, self.limit - len(result.disagreements))].tolist():
            i = int(where[k])
            seen = " (never seen before)" if word[k] & Kernel.UNSEEN else ""
            result.disagreements.append(
                Disagreement(
                    base + i, int(columns["line"][i]), int(columns["time"][i]) / 1e6, format_event(events[i]),
                    _VERDICTS[Kernel(int(verdict[k]))], _SAID.get(int(done[k]), f"outcome {int(done[k]):#x}") + seen,
                )
            )  # fmt: skip


class _Said(NamedTuple):
    """What the policy did in a chunk, and what was so just before each fault that was looked at; one entry per event."""

    outcomes: np.ndarray
    one_other: np.ndarray
    others_leave: np.ndarray


def _marks(events: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return where a process begins to give back its memory, and where it has done so."""
    return np.flatnonzero((kernel & Kernel.TEARDOWN != 0) | np.isin(events["op"], [Op.EXIT, Op.EXEC]))
