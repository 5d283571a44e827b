# SPDX-License-Identifier: MIT
"""From what a user asks for to tasks, everything checked before the first of them runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from cowfast._version import __version__
from cowfast.errors import SpecError
from cowfast.machine import Machine
from cowfast.simulate import machine_for, resolve_policy, resolve_source, run_spec, spec_hash, unlike_namesakes
from cowfast.sweep.spec import SweepSpec, load_spec, nearest

if TYPE_CHECKING:
    from cowfast.events import EventSource
    from cowfast.policy import Policy

#: Policies that share one stream of events in a task: saves making the events, leaves enough tasks to spread.
SHARED = 4


@dataclass(frozen=True, slots=True)
class Task:
    """One stream of events and the policies that run on it; small, and can be sent to another machine."""

    source: EventSource
    policies: tuple[Policy, ...]
    machine: Machine
    seed: int
    ids: tuple[str, ...]
    sample_every: int = 0
    engine: str = "fast"
    version: str = __version__

    @property
    def events(self) -> int:
        """Events to process, all policies together; 0 if the source does not know."""
        return (self.source.events or 0) * len(self.policies)

    def __str__(self) -> str:
        return f"{self.source.name} seed {self.seed}: {', '.join(policy.name for policy in self.policies)}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The tasks of a sweep."""

    tasks: tuple[Task, ...]

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return sum(len(task.ids) for task in self.tasks)

    @property
    def events(self) -> int:
        """Events to process in all."""
        return sum(task.events for task in self.tasks)

    def without(self, done: Iterable[str]) -> Plan:
        """Return what is left when the runs with these ids are done."""
        done = frozenset(done)
        rest = (_rest(task, done) for task in self.tasks)
        return Plan(tuple(task for task in rest if task.ids))


def plan_sweep(spec: str | os.PathLike[str] | Mapping[str, Any] | SweepSpec, max_tasks: int = 10_000) -> Plan:
    """Return the tasks that a spec asks for, equal runs only once.

    Raises SpecError if there are more than ``max_tasks`` runs, before making a list of them, and whatever is wrong with
    a source, a policy, a machine or a parameter, before anything runs.
    """
    spec = load_spec(spec)
    count = spec.count()
    if count > max_tasks:
        sizes = " x ".join(f"{len(axis)} {'/'.join(axis[0])}" for axis in spec.axes() if len(axis) > 1)
        raise SpecError(
            f"{count:,} runs ({sizes}), more than --max-tasks {max_tasks:,}; vary less, or say that you mean it"
        )
    maker = _Maker(spec)
    streams: dict[tuple[str, int], tuple[EventSource, Machine, dict[str, Policy]]] = {}
    for point in spec.points():
        source, machine, policy, seed = maker.parts(point)
        key = (maker.name(source, machine), seed)
        streams.setdefault(key, (source, machine, {}))[2][policy.name] = policy
    tasks = []
    for (_, seed), (source, machine, policies) in streams.items():
        for shared in _groups(list(policies.values()), SHARED):
            ids = tuple(spec_hash(run_spec(source, policy, machine, seed, spec.sample_every)) for policy in shared)
            tasks.append(Task(source, tuple(shared), machine, seed, ids, spec.sample_every, spec.engine))
    return Plan(tuple(tasks))


class _Maker:
    """Makes the parts of a run from its settings; equal parts are made once."""

    def __init__(self, spec: SweepSpec) -> None:
        self.spec = spec
        self._sources: dict[str, EventSource] = {}
        self._known: dict[str, list[str]] = {}
        self._machines: dict[str, Machine] = {}
        self._policies: dict[str, Policy] = {}
        self._named: dict[str, Policy] = {}
        self._names: dict[tuple[int, int], str] = {}

    def parts(self, point: Mapping[str, Any]) -> tuple[EventSource, Machine, Policy, int]:
        """Return source, machine, policy and seed of a run."""
        settings = dict(point)
        name, policy, seed = settings.pop("source"), settings.pop("policy"), settings.pop("seed")
        if not isinstance(seed, int) or seed < 0:
            raise SpecError(f"seed: {seed!r}; write 0 or a larger number")
        memory = settings.pop("memory", self.spec.memory)
        parameters, fields = dict(self.spec.source_parameters), dict(self.spec.machine)
        for setting, value in settings.items():
            room, key = self._room(name, setting)
            (parameters if room == "source" else fields)[key] = value
        source = _cached(self._sources, [name, parameters], lambda: resolve_source(name, parameters))
        key_of_machine = [name, parameters, fields, memory]
        machine = _cached(self._machines, key_of_machine, lambda: machine_for(source, fields, memory))
        loaded = _cached(self._policies, policy, lambda: resolve_policy(policy))
        return source, machine, unlike_namesakes(loaded, self._named), seed

    def name(self, source: EventSource, machine: Machine) -> str:
        """Return what tells one pair of source and machine from another."""
        key = (id(source), id(machine))
        if key not in self._names:
            self._names[key] = spec_hash({"source": source.spec(), "machine": machine.to_dict()})
        return self._names[key]

    def _room(self, source: str, setting: str) -> tuple[str, str]:
        """Return whether a setting is the source's or the machine's, and its name there."""
        prefix, _, rest = setting.partition(".")
        fields = list(Machine.__struct_fields__)
        parameters = _cached(self._known, source, lambda: list(resolve_source(source).spec().get("parameters", {})))
        known = {"source": parameters, "machine": fields}
        if prefix in known and rest:
            if rest not in known[prefix]:
                raise SpecError(f"unknown parameter {setting!r}; {nearest(rest, known[prefix])}")
            return prefix, rest
        if setting in parameters:
            return "source", setting
        if setting in fields:
            return "machine", setting
        names = ["source", "policy", "seed", "memory", *parameters, *fields]
        raise SpecError(f"unknown parameter {setting!r} of {source} and of the machine; {nearest(setting, names)}")


def _cached(cache: dict[str, Any], key: object, make: Any) -> Any:
    text = msgspec.json.encode(key, order="deterministic").decode()
    if text not in cache:
        cache[text] = make()
    return cache[text]


def _groups(policies: Sequence[Policy], size: int) -> list[Sequence[Policy]]:
    return [policies[start : start + size] for start in range(0, len(policies), size)]


def _rest(task: Task, done: frozenset[str]) -> Task:
    left = [place for place, name in enumerate(task.ids) if name not in done]
    return replace(task, policies=tuple(task.policies[i] for i in left), ids=tuple(task.ids[i] for i in left))
