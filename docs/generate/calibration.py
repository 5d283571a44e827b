# SPDX-License-Identifier: MIT
"""docs/calibration.md: how far the fitted presets are from the recordings they were fitted to.

Both sides are measured in the same way, by :func:`measure`. The recordings are too large for the repository; what they
measured is kept in ``cowfast/workloads/presets.toml`` and measured again by ``tests/test_workloads_calibration.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from _page import emit
from cowfast import Simulator, workload
from cowfast._layout import Op, Outcome
from cowfast.simulate.setup import machine_for
from cowfast.workloads import Preset, presets

POLICY = "linux-6.18"
MEANINGS = {
    "faults": "write faults of all kinds: zero fills + copies + reuses",
    "forks": "forks",
    "copies_per_fork": "copies / forks",
    "parent_share": "copies and reuses by the parent / ptes copied by fork: how many of the shared pages it writes",
    "child_share": "copies and reuses by its children until they exec / the same",
    "reuses_per_fork": "reuses / forks: pages written after the last other owner exited or copied them",
}


@dataclass
class Family:
    """Counts of a process and of those forked from it until they exec (root None: of all processes)."""

    root: int | None = None
    members: set[int] = field(default_factory=set)
    children: set[int] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))

    def add(self, events: np.ndarray, outcomes: np.ndarray) -> None:
        """Count events in which the family stays as it is."""
        if self.root is not None:
            mine = np.isin(events["pid"], [self.root, *self.members])
            events, outcomes = events[mine], outcomes[mine]
        is_child = np.isin(events["pid"], list(self.children))
        shared = (outcomes & Outcome.WRITE_FAULT) > 0
        self.counts["zero_fills"] += int(np.count_nonzero(outcomes & Outcome.ZERO_FILLED))
        self.counts["copies"] += int(np.count_nonzero(outcomes & Outcome.COPIED))
        self.counts["reuses"] += int(np.count_nonzero(outcomes & Outcome.REUSED))
        self.counts["parent"] += int(np.count_nonzero(shared & ~is_child))
        self.counts["child"] += int(np.count_nonzero(shared & is_child))

    def fork(self, pid: int, child: int, ptes: int) -> None:
        """Someone forked; ``ptes`` entries were copied."""
        if self.root is None or pid == self.root or pid in self.members:
            self.members.add(child)
            self.children.add(child)
            self.counts["forks"] += 1
            self.counts["ptes"] += ptes

    def leave(self, pid: int) -> None:
        """Someone exited or is another program now."""
        self.members.discard(pid)
        self.children.discard(pid)

    def figures(self) -> dict[str, float]:
        """Return the numbers of ``MEANINGS``."""
        n = self.counts
        forks, ptes = max(n["forks"], 1), max(n["ptes"], 1)
        return {
            "faults": n["zero_fills"] + n["copies"] + n["reuses"],
            "forks": n["forks"],
            "copies_per_fork": n["copies"] / forks,
            "parent_share": n["parent"] / ptes,
            "child_share": n["child"] / ptes,
            "reuses_per_fork": n["reuses"] / forks,
        }


COUNTS = ("forks", "ptes", "zero_fills", "copies", "reuses", "parent", "child")


def measure(source: Any, seed: int = 1) -> list[Family]:
    """Run a source under ``POLICY`` with all the memory it wants.

    Return the counts of all processes together and then of each program that ran, the one with the most ptes copied
    by its forks first.
    """
    simulator = Simulator(POLICY, machine_for(source))
    everybody, done = Family(), []
    running: dict[int, Family] = {0: Family(0)}
    for events in source.chunks(seed):
        outcomes = np.zeros(len(events), np.uint32)
        changes = np.flatnonzero(np.isin(events["op"], [Op.FORK, Op.EXIT, Op.EXEC]))
        for first, last in zip([0, *(changes + 1)], [*changes, len(events)], strict=True):
            simulator.run(events[first:last], outcomes[first:last])
            for family in (everybody, *running.values()):
                family.add(events[first:last], outcomes[first:last])
            if last == len(events):
                break
            before = simulator.counters["ptes_copied"]
            simulator.run(events[last : last + 1])
            op, pid, other = (int(events[name][last]) for name in ("op", "pid", "arg"))
            for family in (everybody, *running.values()):
                if op == Op.FORK:
                    family.fork(pid, other, simulator.counters["ptes_copied"] - before)
                else:
                    family.leave(pid)
            if op == Op.FORK:
                running[other] = Family(other)
            else:
                done.append(running.pop(pid))
                if op == Op.EXEC:
                    running[pid] = Family(pid)
    programs = sorted([*done, *running.values()], key=lambda each: -each.counts["ptes"])
    return [everybody, *programs]


def figures_of(preset: Preset, seed: int = 1) -> dict[str, float]:
    """Return what the fitted workload measures; where a program is meant, it is the one of process 0."""
    return measure(workload(preset.workload, preset=preset.name), seed)[min(preset.rank, 1)].figures()


def number(value: float) -> str:
    """Return it with four digits or more, without an exponent."""
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.4g}"


def page() -> str:
    """Return the page."""
    text = HEAD + "".join(f"| `{name}` | {meaning} |\n" for name, meaning in MEANINGS.items())
    for preset in presets():
        if preset.measured:
            rows = figures_of(preset)
            text += f"\n## `{preset.workload}`, preset `{preset.name}`\n\n{preset.summary}. Recording: `{preset.trace}`.\n\n"
            text += "| | recorded | workload | ratio |\n|---|---:|---:|---:|\n"
            for name, recorded in preset.measured.items():
                ratio = f"{rows[name] / recorded:.3f}" if recorded else "–"
                text += f"| `{name}` | {number(recorded)} | {number(rows[name])} | {ratio} |\n"
            settings = ", ".join(f"{key} = {value}" for key, value in preset.parameters.items())
            text += f"\nParameters: {settings}.\n"
    return text


HEAD = f"""\
# Calibration

Three workloads have presets fitted to recordings of real programs (`cowfast run bgsave --set preset=redis-7.0`). This page
says how well they fit: the recording and the workload run under `{POLICY}` without a memory limit, and each figure must
be within 10 % of the recorded one (seed 1; the tests try more). A fit is of these figures and of nothing else.

| figure | is |
|---|---|
"""

if __name__ == "__main__":
    emit("docs/calibration.md", page())
