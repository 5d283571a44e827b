# SPDX-License-Identifier: MIT
"""Replays the scripts of a kernel record and compares after every event (docs/validated.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cowfast._layout import CONTENT, EventFlag, Op
from cowfast.errors import CowfastError, TraceError
from cowfast.events import make_events
from cowfast.machine import Machine
from cowfast.oracle.naming import Probe, comparable
from cowfast.oracle.records import Script, read_scripts
from cowfast.policy import Policy, load_policy
from cowfast.simulate import Simulator

POLICIES = {"legacy": "linux-5.10+write_fault=linux-5.7"}
"""Names of recorded kernels that are not ``linux-NAME``: 5.10's source with the write-fault checks of 5.7."""

SWAP_KINDS = {
    "disk0": {"swap": "async", "page_cluster": 0},
    "disk3": {"swap": "async", "page_cluster": 3},
    "zram": {"swap": "sync", "stable_writes": True, "page_cluster": 0},
    "disk": {"swap": "async", "page_cluster": 0},
}
"""Kinds of swap in file names, as machine parameters."""

VMSTAT = {  # the record's counter -> ours; what is absent from a record did not change
    "pgmajfault": ("major_faults",),
    "pgreuse": ("reuses",),
    "pswpin": ("swap_reads",),
    "pswpout": ("swap_writes",),
    "swap_ra": ("readahead",),
    "swap_ra_hit": ("readahead_hits",),
    "swpin_zero": ("swap_reads_blank",),
    "swpout_zero": ("swap_writes_blank",),
}
PGFAULT_NOT_KEPT = ("fork", "fillswap", "exit", "reclaim", "drain")
PIN_BASE = 1 << 11  # reference numbers of pins, one a process; pipes count from 0
FILLER = {"fillswap", "freeswap"}


@dataclass
class Mismatch:
    """The first event of a script after which model and kernel differ."""

    script: str
    event: int
    text: str
    fieldname: str
    kernel: Any
    model: Any
    history: list[str]

    def __str__(self) -> str:
        return (
            f"{self.script} #{self.event} '{self.text}': {self.fieldname}\n  kernel: {self.kernel}\n  model:  {self.model}\n"
            f"  after:  {'; '.join(self.history)}"
        )


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
    mismatches: list[Mismatch] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The row of ``cowfast verify --format json``."""
        return {
            name: getattr(self, name)
            for name in ("file", "kind", "policy", "scripts", "scripts_right", "events", "events_right")
        }


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
        not a record, or its name does not say what it is
    """
    path = Path(path)
    if policy is None or machine is None:
        guessed, swap = guess(path)
        policy = policy or guessed
        machine = machine or Machine(swap_slots=4095, **swap)
    loaded = policy if isinstance(policy, Policy) else load_policy(policy)
    agreement = FileAgreement(str(path), loaded.name)
    for script in read_scripts(path):
        agreement.scripts += 1
        agreement.events += len(script.events)
        mismatch = next(replay(script, loaded, machine, engine), None)
        if mismatch is None:
            agreement.scripts_right += 1
            agreement.events_right += len(script.events)
        else:
            agreement.events_right += mismatch.event
            if len(agreement.mismatches) < limit:
                agreement.mismatches.append(mismatch)
    return agreement


def replay(script: Script, policy: Policy, machine: Machine, engine: str) -> Iterator[Mismatch]:
    """Yields the mismatches of a script (the first one is what counts: later ones follow from it)."""
    numbers = [int(word) for row in script.events for word in row["e"].split()[1:] if row["e"].split()[0] not in FILLER]
    machine = machine.replace(space=script.pages, processes=max([8, *(n + 1 for n in numbers if n < 4096)]))
    simulator = Simulator(policy, machine, engine=engine, contents=True)
    probe = Probe()
    pinned: dict[int, int] = {}  # process -> its pinned page
    history: list[str] = []
    stamps: dict[int, int] = {0: 0}  # our stamp -> the record's value
    done = 0
    for i, row in enumerate(script.events):
        history.append(row["e"])
        if "skip" in row:
            continue
        before = simulator.counters
        seen: dict[str, int] = {}
        for say, event in translate(row, pinned):
            values = np.zeros(1, CONTENT)
            simulator.run(make_events([event]), values=values)
            done += 1
            if event[0] in (Op.WRITE, Op.PINWRITE):
                stamps[done] = row.get("v", i + 1)
            if say:
                word = "last" if row["e"].startswith("splice_read") else "first"
                seen[say] = stamps.get(int(values[0][word]), -1)
                if row["e"].startswith("read ") and values[0]["last"] != values[0]["first"]:
                    seen["torn"] = stamps.get(int(values[0]["last"]), -1)
        now = probe.look(simulator.state(), script.pages)
        kernel = {"p": row["p"], "f": comparable(row["f"]), "sc": row["sc"]}
        counted = simulator.counters - before
        for name, value in seen.items():
            if name in row or name == "torn":
                kernel[name], now[name] = row.get(name), value
        for theirs, ours in VMSTAT.items():
            kernel[theirs], now[theirs] = row["d"].get(theirs, 0), sum(counted[name] for name in ours)
        if row["e"].split()[0] not in PGFAULT_NOT_KEPT:
            kernel["pgfault"], now["pgfault"] = bool(row["d"].get("pgfault", 0)), bool(counted["faults"])
        for name, value in kernel.items():
            if value != now[name]:
                yield Mismatch(script.name, i, row["e"], name, value, now[name], history)
                return


def translate(row: dict[str, Any], pinned: dict[int, int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Our events for one recorded one, and the record's field that each one's value is compared with.

    The recorder's own habits are here: it drops a process's pin before it exits, it unmaps a buffer after each
    ``pinread`` and ``pinwrite`` (which drains the LRU batch) and then loads the page ordinarily.
    """
    name, *rest = row["e"].split()
    a, b = ([int(word) for word in rest] + [0, 0])[:2]
    simple = {
        "read": Op.READ,
        "write": Op.WRITE,
        "dontneed": Op.DISCARD,
        "pageout": Op.PAGEOUT,
        "protect": Op.PROTECT,
        "willneed": Op.PREFETCH,
    }
    if name in simple:
        yield "v" if name == "read" else "", (simple[name], a, b)
    elif name == "fork":
        yield "", (Op.FORK, a, 0, b)
    elif name == "exit":
        if a in pinned:
            del pinned[a]
            yield "", (Op.UNPIN, a, 0, PIN_BASE + a)
        yield "", (Op.EXIT, a)
    elif name == "vmsplice":
        yield "", (Op.GET, a, b, row["ref"], EventFlag.EV_LOOK)
    elif name in ("splice_peek", "splice_read"):
        yield "v", (Op.PINREAD, 0, 0, a)
        if name == "splice_read":
            yield "", (Op.PUT, 0, 0, a)
    elif name == "pin":
        pinned[a] = b
        yield "", (Op.PIN, a, b, PIN_BASE + a, EventFlag.EV_WRITE | EventFlag.EV_LONGTERM)
    elif name == "unpin":
        del pinned[a]
        yield "", (Op.UNPIN, a, 0, PIN_BASE + a)
    elif name in ("pinread", "pinwrite"):
        yield "v" if name == "pinread" else "", (Op.PINREAD if name == "pinread" else Op.PINWRITE, a, 0, PIN_BASE + a)
        yield "", (Op.DRAIN, a)
        if "view" in row:
            yield "view", (Op.READ, a, pinned[a])
    elif name in ("reclaim", "drain"):
        yield "", (Op.RECLAIM if name == "reclaim" else Op.DRAIN, 0)
    elif name == "fillswap":
        yield "", (Op.FILLSWAP, 0, 0, a)
    elif name == "freeswap":
        yield "", (Op.FREESWAP,)
    else:
        raise TraceError(f"unknown recorded event {row['e']!r}")


__all__ = ["CowfastError", "FileAgreement", "Mismatch", "guess", "replay", "translate", "verify_records"]
