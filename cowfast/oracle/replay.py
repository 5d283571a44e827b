# SPDX-License-Identifier: MIT
"""Replays the scripts of a kernel record and compares after every event (docs/validated.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cowfast._layout import CONTENT, Op
from cowfast.errors import EventError, TraceError
from cowfast.events import make_events
from cowfast.machine import Machine
from cowfast.oracle.agreement import FileAgreement, Mismatch
from cowfast.oracle.naming import Probe, comparable, referenced
from cowfast.oracle.records import Script, read_scripts
from cowfast.oracle.translate import PIPES, Translator, parse, processes
from cowfast.policy import Policy, load_policy
from cowfast.simulate import Simulator

POLICIES = {"legacy": "linux-5.10+write_fault=linux-5.7"}
"""Names of recorded kernels that are not ``linux-NAME``: 5.10's source with the write-fault checks of 5.7."""

SWAP_KINDS: dict[str, dict[str, Any]] = {
    "disk0": {"swap": "async", "page_cluster": 0},
    "disk3": {"swap": "async", "page_cluster": 3},
    "zram": {"swap": "sync", "stable_writes": True, "page_cluster": 0},
    "disk": {"swap": "async", "page_cluster": 0},
}
"""Kinds of swap in file names, as machine parameters."""

SLOTS = 4095  # 16 MiB of swap
FEWEST_PROCESSES = 8

VMSTAT = {  # the record's counter -> ours; what is absent from a record did not change
    "pgmajfault": "major_faults",
    "pgreuse": "reuses",
    "pswpin": "swap_reads",
    "pswpout": "swap_writes",
    "swap_ra": "readahead",
    "swap_ra_hit": "readahead_hits",
    "swpin_zero": "swap_reads_blank",
    "swpout_zero": "swap_writes_blank",
}
PGFAULT_NOT_KEPT = {"fork", "fillswap", "exit", "reclaim", "drain"}


def guess(path: Path) -> tuple[str, dict[str, Any]]:
    """Policy and swap parameters from a name like ``7.2-disk0-protect.jsonl.xz``; TraceError if it says nothing."""
    kernel, _, rest = path.name.partition("-")
    kind = rest.split(".")[0].split("-")[0]
    if kind not in SWAP_KINDS:
        raise TraceError(
            f"{path}: the name does not say which kernel and swap it is (KERNEL-SWAPKIND.jsonl.xz); use --policy and --machine"
        )
    return POLICIES.get(kernel, f"linux-{kernel}"), SWAP_KINDS[kind]


def verify_records(
    path: str | Path,
    policy: str | Policy | None = None,
    machine: Machine | None = None,
    engine: str = "reference",
    limit: int = 20,
) -> FileAgreement:
    """Replays every script of a record under a policy and compares all that is comparable after every event.

    Parameters
    ----------
    path : a ``.jsonl`` or ``.jsonl.xz`` record
    policy, machine : from the file's name, unless given
    engine : "reference" or "fast"
    limit : how many mismatches to keep

    Raises
    ------
    TraceError
        not a record (with the line), or its name does not say what it is
    """
    path = Path(path)
    if policy is None or machine is None:
        guessed, swap = guess(path)
        policy = policy or guessed
        machine = machine or Machine(swap_slots=SLOTS, **swap)
    loaded = policy if isinstance(policy, Policy) else load_policy(policy)
    agreement = FileAgreement(str(path), loaded.name)
    for script in read_scripts(path):
        replay = Replay(script, loaded, machine, engine)
        mismatch = replay.run(path)
        agreement.scripts += 1
        agreement.events += len(script.events)
        agreement.referenced_right += mismatch is None and replay.referenced_right
        if mismatch is None:
            agreement.scripts_right += 1
            agreement.events_right += len(script.events)
        else:
            agreement.events_right += mismatch.event
            if len(agreement.mismatches) < limit:
                agreement.mismatches.append(mismatch)
    return agreement


class Replay:
    """One script in one engine, as the recorder would have seen it."""

    def __init__(self, script: Script, policy: Policy, machine: Machine, engine: str) -> None:
        self.script, self.policy, self.engine = script, policy, engine
        self.machine = machine
        self.probe = Probe()
        self.translator = Translator()
        self.stamps = {0: 0}  # what the model stores -> what the record shows
        self.referenced_right = True
        self.at = 0  # number of the event

    def run(self, path: Path) -> Mismatch | None:
        """The first difference (later ones follow from it); TraceError with the line of an event that makes no sense."""
        history: list[str] = []
        try:
            self.start()
            for at, row in enumerate(self.script.events):
                self.at = at
                history.append(row["e"])
                if "skip" in row:
                    continue
                kernel, model = self.compare(row)
                for name, value in kernel.items():
                    if value != model[name]:
                        return Mismatch(self.script.name, at, row["e"], name, kernel, model, history)
        except (ValueError, EventError) as error:
            reason = error.reason if isinstance(error, EventError) else error
            raise TraceError(f"{path}, line {self.script.line + 1 + self.at}: {reason}") from None
        return None

    def start(self) -> None:
        """An engine that is large enough for the script."""
        most = FEWEST_PROCESSES
        for at, row in enumerate(self.script.events):
            self.at = at
            most = max(most, processes(row["e"]))
        machine = self.machine.replace(space=self.script.pages, processes=most, references=PIPES + most)
        self.simulator = Simulator(self.policy, machine, engine=self.engine, contents=True)
        self.done = 0

    def compare(self, row: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Does the event; what is compared after it, the kernel's and ours, by the record's names."""
        name = parse(row["e"])[0]
        before = self.simulator.counters
        kernel: dict[str, Any] = {"p": row["p"], "f": comparable(row["f"]), "sc": row["sc"]}
        values: dict[str, Any] = {}
        for say, event in self.translator.steps(row):
            first, last = self.do(event, row.get("v", self.at + 1))
            if say and say in row:
                kernel[say], values[say] = row[say], last if name == "splice_read" else first
            if name == "read":
                kernel["torn"], values["torn"] = row.get("torn"), last if last != first else None
        state = self.simulator.state()
        counted = self.simulator.counters - before
        for theirs, ours in VMSTAT.items():
            kernel[theirs], values[theirs] = row["d"].get(theirs, 0), counted[ours]
        if name not in PGFAULT_NOT_KEPT:  # recorded as 0 or 1: a retried fault counts once
            kernel["pgfault"], values["pgfault"] = bool(row["d"].get("pgfault", 0)), bool(counted["faults"])
        model = self.probe.look(state, self.script.pages) | values
        self.referenced_right &= referenced(row["f"]) == self.probe.referenced(state)
        return kernel, model

    def do(self, event: tuple[int, ...], stamp: int) -> tuple[int, int]:
        """One event; first and last word that it read, in the record's numbers (-1: nothing that was ever written)."""
        values = np.zeros(1, CONTENT)
        self.simulator.run(make_events([event]), values=values)
        self.done += 1
        if event[0] in (Op.WRITE, Op.PINWRITE):
            self.stamps[self.done] = stamp
        return self.stamps.get(int(values["first"][0]), -1), self.stamps.get(int(values["last"][0]), -1)


__all__ = ["FileAgreement", "Mismatch", "Replay", "guess", "verify_records"]
