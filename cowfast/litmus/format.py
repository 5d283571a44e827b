# SPDX-License-Identifier: MIT
"""Litmus files: a scenario in a few lines of text, with what each policy should do.

::

    # the page is still in the LRU batch, which holds a reference
    name fork-child-exits-fresh
    space 1
    processes 8

    write 0 0
    fork 0 1
    exit 1
    !write 0 0

    expect disk
      reuse           : linux-5.10 linux-6.1
      reuse+drained   : linux-6.18

Events are written as ``cowfast.events.format_event`` writes them, those marked ``!`` are the ones
the scenario is about.  An ``expect`` block belongs to one machine (:data:`MACHINES`); each of its lines
has one outcome for every marked event, then the policies that behave so.  ``cowfast litmus
--promote`` rewrites the blocks deliberately; nothing else does.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cowfast.errors import CowfastError, SpecError
from cowfast.events import format_event, make_events, parse_event
from cowfast.machine import Machine

MAX_BYTES = 1 << 20
MAX_EVENTS = 10_000

MACHINES = {
    "disk": Machine(swap="async", page_cluster=0, swap_slots=4095),
    "disk-readahead": Machine(swap="async", page_cluster=3, swap_slots=4095),
    "zram": Machine(swap="sync", stable_writes=True, page_cluster=3, swap_slots=4095),
    "zram-no-readahead": Machine(swap="sync", stable_writes=True, page_cluster=0, swap_slots=4095),
}
"""The machines a litmus file may name: an asynchronous disk without and with readahead, and zram with and without."""


@dataclass(frozen=True)
class Scenario:
    """One litmus file: events, which of them are marked, and the expected outcomes."""

    name: str
    about: str
    space: int
    processes: int
    events: np.ndarray
    marked: tuple[int, ...]
    expect: dict[str, dict[str, str]] = field(default_factory=dict)
    """machine name -> policy -> the outcomes of the marked events, joined by ``, ``"""

    def machine(self, name: str) -> Machine:
        """The named machine, as large as the scenario needs."""
        return MACHINES[name].replace(space=self.space, processes=self.processes)

    def __repr__(self) -> str:
        return f"Scenario({self.name!r}, {len(self.events)} events, {len(self.marked)} marked)"


def load_scenario(path: str | Path) -> Scenario:
    """Reads one litmus file.

    Raises
    ------
    SpecError
        naming the file, the line and what is allowed there.
    """
    path = Path(path)
    if not path.is_file():
        raise SpecError(f"{path}: no such litmus file (a regular file is needed)")
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise SpecError(
            f"{path}: larger than {MAX_BYTES} bytes; a litmus file is a page of text, traces are for 'cowfast run'"
        )
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    return parse_scenario(text, str(path))


def parse_scenario(text: str, where: str = "<text>") -> Scenario:
    """Parses the text of a litmus file; *where* is named in errors."""
    header = {"name": Path(where).stem, "space": "1", "processes": "8"}
    about: list[str] = []
    rows: list[tuple[int, ...]] = []
    marked: list[int] = []
    expect: dict[str, dict[str, str]] = {}
    block: dict[str, str] | None = None

    def fail(number: int, problem: str) -> SpecError:
        return SpecError(f"{where}, line {number}: {problem}")

    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line:
            continue
        if line.startswith("#"):
            if not rows and block is None:
                about.append(line.lstrip("# "))
            continue
        word, _, rest = line.partition(" ")
        if word == "expect":
            machine = rest.strip()
            if machine not in MACHINES:
                raise fail(number, f"unknown machine {machine!r}{_nearest(machine, MACHINES)}")
            if machine in expect:
                raise fail(number, f"a second 'expect {machine}' block")
            block = expect[machine] = {}
        elif block is not None:
            outcomes, colon, policies = line.partition(":")
            if not colon or not policies.split():
                raise fail(number, "expected 'OUTCOME, OUTCOME, ... : POLICY POLICY ...'")
            said = ", ".join(part.strip() for part in outcomes.split(","))
            if said.count(",") + 1 != len(marked):
                raise fail(number, f"{said.count(',') + 1} outcomes for {len(marked)} marked events")
            for policy in policies.split():
                if policy in block:
                    raise fail(number, f"policy {policy} stands twice in this block")
                block[policy] = said
        elif word in header and not rows:
            header[word] = rest.strip()
        else:
            if len(rows) >= MAX_EVENTS:
                raise fail(number, f"more than {MAX_EVENTS} events; cut the scenario or use a trace")
            if line.startswith("!"):
                marked.append(len(rows))
                line = line[1:].strip()
            try:
                rows.append(parse_event(line))
            except CowfastError as error:
                raise fail(number, str(error)) from None
    if not rows:
        raise SpecError(f"{where}: no events; write one a line, such as 'write 0 0'")
    return Scenario(
        name=header["name"],
        about=" ".join(about),
        space=_positive(header["space"], "space", where, 1 << 20),
        processes=_positive(header["processes"], "processes", where, 65_535),
        events=make_events(rows),
        marked=tuple(marked),
        expect=expect,
    )


def format_scenario(scenario: Scenario) -> str:
    """The text of a litmus file; ``parse_scenario`` of it gives the scenario back."""
    lines = [f"# {scenario.about}"] if scenario.about else []
    lines += [f"name {scenario.name}", f"space {scenario.space}", f"processes {scenario.processes}", ""]
    marked = set(scenario.marked)
    lines += [("!" if i in marked else "") + format_event(event) for i, event in enumerate(scenario.events)]
    for machine, block in scenario.expect.items():
        lines += ["", f"expect {machine}"]
        groups: dict[str, list[str]] = {}
        for policy, outcomes in block.items():
            groups.setdefault(outcomes, []).append(policy)
        width = max(map(len, groups), default=0)
        lines += [f"  {outcomes:<{width}} : {' '.join(policies)}" for outcomes, policies in groups.items()]
    return "\n".join(lines) + "\n"


def _positive(text: str, key: str, where: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and 1 <= int(text) <= most):
        raise SpecError(f"{where}: {key} {text!r} is not a whole number from 1 to {most}")
    return int(text)


def _nearest(word: str, known: dict[str, Machine]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"
