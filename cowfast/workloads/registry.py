# SPDX-License-Identifier: MIT
"""The built-in workloads by name, their parameters, and :class:`Workload`, what a name and parameters make."""

from __future__ import annotations

import difflib
import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from cowfast._layout import EVENT
from cowfast.errors import WorkloadError
from cowfast.workloads._generate import Generator
from cowfast.workloads.fitted import find_preset
from cowfast.workloads.program import Program, compile_programs

#: Raised whenever the events of any workload change for the same seed and parameters; part of every result row.
GENERATOR_VERSION = 1

#: Events of a built-in workload unless asked otherwise.
EVENTS = 1_000_000

# What a parameter may be. Pages: 2^26 draws of 32 bits keep page probabilities within 2 % of one another.
Pages = Annotated[int, Meta(ge=1, le=1 << 26)]
Processes = Annotated[int, Meta(ge=1, le=65_535)]
Count = Annotated[int, Meta(ge=0, le=1 << 40)]
References = Annotated[int, Meta(ge=0, le=1 << 20)]
Share = Annotated[float, Meta(ge=0, le=1)]
Weight = Annotated[float, Meta(ge=0, le=1e9)]
Exponent = Annotated[float, Meta(ge=0, le=8)]


@dataclass(frozen=True)
class Kind:
    """A built-in workload: the function that writes its program, and the struct of that function's parameters."""

    name: str
    function: Callable[..., Program]
    parameters: type[msgspec.Struct]
    summary: str
    notes: str
    meanings: Mapping[str, str]

    def defaults(self) -> dict[str, Any]:
        """Return every parameter with its default."""
        return typing.cast("dict[str, Any]", msgspec.to_builtins(self.parameters()))


_kinds: dict[str, Kind] = {}


def builtin(function: Callable[..., Program]) -> Callable[..., Program]:
    """Register a function as the workload of its name: keyword parameters with defaults, explained in the docstring.

    The docstring is a summary line, paragraphs, and ``Parameters:`` with one ``name: meaning`` a line.
    """
    name = function.__name__.replace("_", "-")
    hints = typing.get_type_hints(function, include_extras=True)
    fields = [(key, hints[key], each.default) for key, each in inspect.signature(function).parameters.items()]
    struct = msgspec.defstruct(function.__name__, fields, kw_only=True, frozen=True, forbid_unknown_fields=True)
    text, _, parameters = inspect.cleandoc(function.__doc__ or "").partition("\nParameters:\n")
    meanings = dict(re.findall(r"^ +(\w+): (.+)$", parameters, re.MULTILINE))
    if set(meanings) != set(hints) - {"return"}:
        raise TypeError(f"{name}: the docstring explains {sorted(meanings)}, the parameters are {sorted(hints)}")
    summary, _, notes = text.strip().partition("\n\n")
    _kinds[name] = Kind(name, function, struct, summary, notes.strip(), meanings)
    return function


def kinds() -> tuple[Kind, ...]:
    """Return the built-in workloads, in the order of their names."""
    return tuple(_kinds[name] for name in sorted(_kinds))


def workload_names() -> tuple[str, ...]:
    """Return the names of the built-in workloads."""
    return tuple(sorted(_kinds))


class Workload:
    """An ``EventSource``: the events of programs that take turns by their weights (one more than weights: the first
    runs before the others)."""

    semantics = "access"

    def __init__(
        self,
        name: str,
        programs: list[Program],
        *,
        weights: list[int] | None = None,
        events: int | None,
        spec: dict[str, Any],
    ) -> None:
        self.name = name
        self.events = events
        self.processes = max(each.processes for each in programs)
        self.space = max(each.pages for each in programs)
        self.references = max(each.references for each in programs)
        self.footprint: int | None = sum(
            each.processes * each.pages if each.footprint is None else each.footprint for each in programs
        )
        chances = weights or [1]
        self._compiled = compile_programs(programs, [0] * (len(programs) - len(chances)) + chances)
        self._spec = spec

    def spec(self) -> dict[str, Any]:
        """Return what identifies the stream but for the seed: everything that changes an event is in it."""
        return {**self._spec, "generator_version": GENERATOR_VERSION}

    def generator(self, seed: int = 0) -> Generator:
        """Return the stream from its beginning; loops of other modules can take events from it without the GIL."""
        if seed < 0:
            raise WorkloadError(f"seed {seed}: a seed is 0 or more")
        key = np.random.SeedSequence(seed, spawn_key=tuple(self.name.encode())).generate_state(1, np.uint64)[0]
        it = self._compiled
        limit = 2**64 - 1 if self.events is None else self.events
        return Generator(it.steps, it.lines, it.parts, it.zipfs, it.bulks, self.references, int(key), limit)

    def chunks(self, seed: int = 0, size: int = 1 << 20) -> Iterator[np.ndarray]:
        """Yield the events in arrays of ``size`` (the last one shorter), shape (n,), dtype ``EVENT``."""
        if size < 1:
            raise WorkloadError(f"chunks of {size} events: a chunk has at least 1")
        generator = self.generator(seed)
        while True:
            events = np.empty(size if self.events is None else min(size, self.events - generator.index), EVENT)
            n = generator.fill(events) if len(events) else 0
            if n:
                yield events[:n]
            if n < size:
                return

    def __repr__(self) -> str:
        length = "endless" if self.events is None else f"{self.events:,} events"
        return f"<{self.name}: {length}, {self.processes} processes, {self.space:,} pages each>"


def workload(name: str, *, preset: str | None = None, **parameters: Any) -> Workload:
    """Return the built-in workload ``name``; parameters left out are those of the preset, else the defaults.

    ``events`` is the length of the stream (default: all, or 1,000,000 of a workload without end).  Raises
    WorkloadError for an unknown name, preset or parameter (with the nearest one) or a value out of range.
    """
    kind = find_kind(name)
    given = {key.replace("-", "_"): _plain(value) for key, value in parameters.items()}
    events = given.pop("events", None)
    settings = convert_parameters(kind, (find_preset(name, preset).parameters if preset else {}) | given)
    program = kind.function(**settings)
    length = stream_length([program], events)
    spec = {"workload": name, "parameters": {"events": length, **settings}}
    return Workload(name, [program], events=length, spec=spec)


def find_kind(name: str) -> Kind:
    """Return the built-in workload of that name; raises WorkloadError."""
    if name not in _kinds:
        raise WorkloadError(f"unknown workload {name!r}: {nearest(name, workload_names())}")
    return _kinds[name]


def stream_length(programs: list[Program], events: Any) -> int:
    """Return how many events the programs make, at most ``events`` (None: no bound, but some where there is no end)."""
    lengths = [each.length() for each in programs]
    total = None if None in lengths else sum(each or 0 for each in lengths)
    if events is None:
        return EVENTS if total is None else total
    asked = int(convert(events, Count, "events"))
    return asked if total is None else min(asked, total)


def convert_parameters(kind: Kind, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters of ``kind``, the given ones checked; raises WorkloadError."""
    known = kind.defaults()
    for key in given:
        if key not in known:
            raise WorkloadError(f"{kind.name} has no parameter {key!r}: {nearest(key, ['events', *known])}")
    hints = {each.name: each.type for each in msgspec.structs.fields(kind.parameters)}
    return known | {key: convert(value, hints[key], f"{kind.name}: {key}") for key, value in given.items()}


def convert(value: Any, kind: Any, where: str) -> Any:
    """Return ``value`` as the annotated type ``kind``; raises WorkloadError that begins with ``where``."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise WorkloadError(f"{where} = {value!r}: {str(error)[0].lower()}{str(error)[1:]}") from None


def _plain(value: Any) -> Any:
    """Return a Python number for a numpy one."""
    return value.item() if isinstance(value, np.generic) else value


def nearest(word: str, known: typing.Iterable[str]) -> str:
    """Return what to write instead of ``word``: the nearest known one, or all of them."""
    known = list(known)
    near = difflib.get_close_matches(word.replace("-", "_"), [each.replace("-", "_") for each in known], 1, 0.5)
    original = {each.replace("-", "_"): each for each in known}
    return f"did you mean {original[near[0]]!r}?" if near else f"known are {', '.join(known)}"
