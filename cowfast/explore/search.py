# SPDX-License-Identifier: MIT
"""Looks at every reachable state of a small system under one policy, shortest ways first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from cowfast._engine import Engine
from cowfast.errors import SpecError
from cowfast.explore._states import FAULTS, Space
from cowfast.explore.story import closing_events, tell
from cowfast.explore.system import DEVICES, System
from cowfast.litmus import Scenario, outcomes_of
from cowfast.policy import Policy, policy_names

PROPERTIES = {
    "no-leak": "nobody sees a store that another process made after they separated, by a load, a get or a pin",
    "pins-coherent": "a read-write or long-term read-only pin sees what its owner sees, until the owner unmaps",
    "no-lost-write": "every process reads its own last store, whether a store of its own or one through its pin",
    "zero-pins-coherent": "the same as pins-coherent for a long-term read-only pin of memory that was never written",
}
"""What can be asked; the first three are asked unless others are named."""

DEFAULT = tuple(PROPERTIES)[:3]
SLICE = 2_000  # states between two looks at the bounds
MORE = 20_000  # states that are looked at for other ways when every property has its counter-example


@dataclass(frozen=True)
class Finding:
    """The shortest way to a state in which a property does not hold."""

    property: str
    by: str
    """how it shows: pte, get, pin, ..."""
    events: np.ndarray
    """dtype ``EVENT``: the way there, and the reads that show it"""
    reads: int
    """how many of them are such reads"""
    states: int
    """states in which it shows"""


@dataclass(frozen=True)
class Exploration:
    """What was found for one policy on one device."""

    policy: Policy
    device: str
    system: System
    states: int
    transitions: int
    seconds: float
    complete: bool
    """all states were reached; else every property had its counter-example before, or a bound was hit"""
    stopped: str
    """the bound that was hit; empty: none"""
    graph: str = ""
    """digest of all states and steps that were looked at: equal for policies that behave the same"""
    findings: tuple[Finding, ...] = field(default=())
    """of each property the shortest, and for other ways in which it shows the shortest that follows from nothing else"""

    def shortest(self, name: str) -> Finding | None:
        """Return the shortest counter-example of a property, None if there is none (so far)."""
        return next(iter(self.ways(name)), None)

    def ways(self, name: str) -> list[Finding]:
        """Return the shortest counter-example of a property for each way in which it shows, shortest first."""
        return sorted((each for each in self.findings if each.property == name), key=lambda f: len(f.events))

    def verdict(self, name: str) -> str:
        """Return ``holds``, ``violated``, or ``open`` if the search stopped early and nothing was found."""
        return "violated" if self.shortest(name) else "open" if self.stopped else "holds"

    def scenario(self, finding: Finding) -> Scenario:
        """Return a counter-example as a litmus file has it; its reads are the marked events."""
        n = len(finding.events)
        about = f"{self.policy.name}, {self.device} device: {finding.property} does not hold ({finding.by})"
        scenario = Scenario(
            name=f"{self.policy.name}-{self.device}-{finding.property}".replace("/", "-"),
            about=about,
            space=self.system.pages,
            processes=self.system.processes,
            events=finding.events,
            marked=tuple(range(n - finding.reads, n)),
        )
        if self.policy.name not in policy_names():
            return scenario
        machine = DEVICES[self.device]
        said = outcomes_of(scenario, self.policy.name, machine, "reference")
        return replace(scenario, expect={machine: {self.policy.name: ", ".join(said[i] for i in scenario.marked)}})

    def story(self, finding: Finding) -> list[str]:
        """Return the counter-example event by event, with who sees what."""
        return tell(finding.events, self.policy, self.system.machine(self.device))


def explore(
    policy: Policy,
    device: str = "async",
    system: System | None = None,
    *,
    properties: Iterable[str] = DEFAULT,
    every_state: bool = False,
    max_states: int = 20_000_000,
    max_bytes: int = 2 << 30,
    progress: Callable[[int, int], None] | None = None,
) -> Exploration:
    """Search all states of *system* under *policy*.

    Parameters
    ----------
    policy : Policy
    device : "async" (a disk) or "sync" (zram); without readahead, writes complete within the event that submits them
    system : sizes; 2 processes, 1 page, 1 get, 1 pin if left out
    properties : names in :data:`PROPERTIES`
    every_state : go on when every property has its (shortest) counter-example; else some more states are looked at for other ways in which it fails
    max_states, max_bytes : where to give up; the result says so
    progress : called with (states reached, states expanded) now and then

    Raises
    ------
    SpecError
        an unknown device or property
    RuntimeError
        a counter-example that the reference model does not confirm: a defect of this program
    """
    system = system or System()
    wanted = tuple(properties)
    for name in wanted:
        if name not in PROPERTIES:
            raise SpecError(f"unknown property {name!r}; there are {', '.join(PROPERTIES)}")
    if device not in DEVICES:
        raise SpecError(f"unknown device {device!r}; there are {', '.join(DEVICES)}")
    machine = system.machine(device)
    space = Space(
        Engine(policy, machine, contents=True),
        system.events(),
        gets=system.gets,
        pins=system.pins,
        locks=system.locks,
        keep_unseen=0 <= system.lru_batch <= 4,
    )
    begun, stopped, expanded, more, complete = time.perf_counter(), "", 0, 0, False
    while not (complete := space.search(SLICE)):
        expanded += SLICE
        if not every_state and {FAULTS[fault][0] for fault in space.first_faults()} >= set(wanted):
            more += SLICE
            if more > MORE:
                break
        if len(space) >= max_states:
            stopped = (
                f"{len(space):,} states reached, --max-states is {max_states:,}: raise it, or explore a smaller system"
            )
            break
        if space.size >= max_bytes:
            stopped = f"the states take {space.size >> 20:,} MiB, --memory allows {max_bytes >> 20:,}: raise it, or explore a smaller system"
            break
        if progress:
            progress(len(space), expanded)
    seconds = time.perf_counter() - begun
    faulty = space.faulty()
    findings: list[Finding] = []
    for fault, state in _ways(space, wanted):
        name, by = FAULTS[fault]
        events = space.path(state)
        reads = closing_events(events, policy, machine, name, by)
        if not len(reads):
            raise RuntimeError(f"{policy.name}: the reference model does not confirm {name} ({by}) after {events}")
        findings.append(Finding(name, by, np.concatenate([events, reads]), len(reads), faulty[fault]))
    return Exploration(
        policy,
        device,
        system,
        len(space),
        space.transitions,
        seconds,
        complete,
        stopped,
        space.graph(),
        tuple(findings),
    )


def _ways(space: Space, wanted: Iterable[str]) -> list[tuple[int, int]]:
    """(fault number, state): of each property the first that shows, and the others that arise by themselves."""
    shortest: dict[str, int] = {}
    first = space.first_faults()
    for fault in sorted(first, key=first.__getitem__):
        shortest.setdefault(FAULTS[fault][0], fault)
    alone = space.first_faults_by_themselves()
    ways = alone | {fault: first[fault] for fault in shortest.values()}
    return sorted(((f, n) for f, n in ways.items() if FAULTS[f][0] in wanted), key=lambda way: way[1])


__all__ = ["DEFAULT", "PROPERTIES", "Exploration", "Finding", "explore"]
