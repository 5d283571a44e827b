# SPDX-License-Identifier: MIT
"""Workloads written as TOML: phases one after another, and mixtures of parts that run at the same time.

::

    name = "fork-under-pressure"
    processes = 3
    pages = 4096

    [[phase]]
    do = "fill"

    [[phase]]
    do = "repeat"

    [[phase.phase]]
    do = "fork"
    child = 1
    ...

What a phase may say is :class:`Phase`; docs/workloads.md shows whole files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from cowfast._layout import Op
from cowfast.errors import WorkloadError
from cowfast.files import read_toml
from cowfast.workloads.program import FLAGS, Line, Pick, Program, any_of, each, line, toggle, zipf
from cowfast.workloads.registry import (
    Count,
    Exponent,
    Pages,
    Processes,
    References,
    Workload,
    convert_parameters,
    find_kind,
    nearest,
    stream_length,
    workload,
)

MAX_BYTES = 1 << 20
Range = Annotated[tuple[int, int], Meta(description="first, count")]
COMPOSED = ("fill", "sweep", "mix", "repeat")
SINGLE = tuple(op.name.lower() for op in Op if op != Op.NR_OPS)
TAKES = {"get", "pin", "lock", "look"}  # their argument is a reference number that they take or release


class Phase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One phase.  ``do`` is ``fill`` (write all pages), ``sweep`` (``op`` on all pages in order), ``mix`` (``events``
    drawn by ``weights``), ``repeat`` (phases in it, ``times`` times, 0 = without end), or the name of one event."""

    do: str
    pid: Annotated[int, Meta(ge=0, le=65_534)] = 0
    child: Annotated[int, Meta(ge=0, le=65_534)] | None = None
    page: Annotated[int, Meta(ge=0)] = 0
    arg: Annotated[int, Meta(ge=0, lt=1 << 32)] = 0
    flags: str = ""
    op: str = "read"
    size: Pages = 1
    pids: Range | None = None
    pages: Range | None = None
    references: Range | None = None
    events: Count = 0
    weights: dict[str, Annotated[float, Meta(ge=0, le=1e9)]] = {}
    zipf_s: Exponent = 0.0
    fork_every: Annotated[int, Meta(ge=3)] | None = None
    times: Count = 0
    phase: tuple[Phase, ...] = ()


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that runs beside other parts, in processes of its own: a built-in workload or phases."""

    workload: str = ""
    parameters: dict[str, Any] = {}
    weight: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    processes: Processes = 1
    pages: Pages = 1024
    references: References = 0
    phase: tuple[Phase, ...] = ()


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A workload file: one workload (``workload``, ``parameters``), phases, or parts."""

    name: str
    summary: str = ""
    events: Count | None = None
    workload: str = ""
    parameters: dict[str, Any] = {}
    processes: Processes = 1
    pages: Pages = 1024
    references: References = 0
    phase: tuple[Phase, ...] = ()
    part: tuple[Part, ...] = ()


def load_workload(path: str | os.PathLike[str], **parameters: Any) -> Workload:
    """Return the workload that a TOML file describes.

    ``parameters`` replace ``events``, ``processes``, ``pages`` or ``references`` of the file, or, where the file names
    a built-in workload, parameters of that.  Raises WorkloadError that names the file and the key.
    """
    path = Path(path)
    definition = read_toml(path, MAX_BYTES, WorkloadError)
    definition.setdefault("name", path.stem)
    own = {"events"} if definition.get("workload") else {"events", "processes", "pages", "references"}
    replaced = {key.replace("-", "_"): value for key, value in parameters.items()}
    if not definition.get("workload"):
        for key in replaced:
            if key not in own:
                raise WorkloadError(f"{path} has no parameter {key!r}: {nearest(key, sorted(own))}")
    definition |= {key: value for key, value in replaced.items() if key in own}
    if definition.get("workload"):
        inner = {key: value for key, value in replaced.items() if key not in own}
        definition["parameters"] = definition.get("parameters", {}) | inner
    return workload_from_definition(definition, str(path))


def workload_from_definition(definition: dict[str, Any], where: str = "definition") -> Workload:
    """Return the workload of a decoded file; it is part of a result row's spec, from which the row runs again."""
    try:
        file = msgspec.convert(definition, File, strict=False)
    except msgspec.ValidationError as error:
        raise WorkloadError(f"{where}: {_said(str(error))}") from None
    kinds = [bool(file.workload), bool(file.phase), bool(file.part)]
    if sum(kinds) != 1:
        raise WorkloadError(f"{where}: write one of workload, [[phase]], [[part]]")
    if file.workload:
        settings = dict(file.parameters)
        if file.events is not None:
            settings["events"] = file.events
        return workload(file.workload, **settings)
    whole = Part(processes=file.processes, pages=file.pages, references=file.references, phase=file.phase)
    parts = file.part or (whole,)
    places = [f"{where}: part {i + 1}" if file.part else where for i in range(len(parts))]
    programs = _side_by_side([_program(each, place) for each, place in zip(parts, places, strict=True)], where)
    events = stream_length(programs, file.events)
    spec = {"workload": "file", "parameters": {"definition": definition | {"events": events}}}
    weights = [each.weight for each in parts]
    return Workload(file.name, programs, weights=weights, events=events, spec=spec)


def _side_by_side(programs: list[Program], where: str) -> list[Program]:
    """Give each program its own processes and references; one that comes first makes their first processes."""
    if len(programs) == 1:
        return programs
    pids = references = 0
    start, moved = Program(1, 1, footprint=0), []
    for program in programs:
        if pids:
            start.do("fork", arg=pids)
        moved.append(program.moved(pids, references))
        pids, references = moved[-1].processes, moved[-1].references
    if pids > 65_535:
        raise WorkloadError(f"{where}: the parts have {pids} processes together, 65535 is the most")
    return [start, *moved]


def _program(part: Part, where: str) -> Program:
    if bool(part.workload) == bool(part.phase):
        raise WorkloadError(f"{where}: write either workload or [[part.phase]]")
    if part.workload:
        kind = find_kind(part.workload)
        return kind.function(**convert_parameters(kind, part.parameters))
    program = Program(part.processes, part.pages, part.references)
    _add_phases(program, part.phase, where)
    return program


def _add_phases(program: Program, phases: tuple[Phase, ...], where: str) -> None:
    for i, phase in enumerate(phases):
        here = f"{where}: phase {i + 1} ({phase.do})"
        if phase.do == "repeat":
            if not phase.phase:
                raise WorkloadError(f"{here}: nothing to repeat, write [[phase.phase]] tables")
            with program.loop(phase.times or None):
                _add_phases(program, phase.phase, here)
        elif phase.do in ("fill", "sweep"):
            _add_sweep(program, phase, here)
        elif phase.do == "mix":
            _add_mix(program, phase, here)
        elif phase.do in SINGLE:
            _inside(program, phase.pid, 1, program.processes, "pid", here)
            _inside(program, phase.page, 1, program.pages, "page", here)
            if phase.child is not None:
                _inside(program, phase.child, 1, program.processes, "child", here)
            arg = phase.arg if phase.child is None else phase.child
            program.do(phase.do, pid=phase.pid, page=phase.page, arg=arg, flags=_flags(phase.flags, here))
        else:
            raise WorkloadError(f"{here}: unknown phase; {nearest(phase.do, [*COMPOSED, *SINGLE])}")


def _add_sweep(program: Program, phase: Phase, where: str) -> None:
    first, count = _range(program, phase, where)
    op = "write" if phase.do == "fill" else phase.op
    if op not in SINGLE:
        raise WorkloadError(f"{where}: unknown op {op!r}; {nearest(op, SINGLE)}")
    _inside(program, phase.pid, 1, program.processes, "pid", where)
    what = line(
        op, pid=phase.pid, page=each(first, count), arg=phase.arg, flags=_flags(phase.flags, where), size=phase.size
    )
    program.mix(-(-count // phase.size), what)


def _add_mix(program: Program, phase: Phase, where: str) -> None:
    first, count = phase.pids or (phase.pid, 1)
    _inside(program, first, count, program.processes, "pids", where)
    who, page = any_of(first, count), zipf(*_range(program, phase, where), phase.zipf_s)
    references = phase.references or (0, program.references)
    _inside(program, *references, program.references, "references", where, empty=True)
    if not phase.weights:
        raise WorkloadError(f"{where}: write weights, such as {{ read = 0.5, write = 0.5 }}")
    known = {"read", "write", "discard", "protect", "pageout", "prefetch", "drain", "reclaim", *TAKES}
    lines: list[Line] = []
    for op, weight in phase.weights.items():
        if op not in known:
            raise WorkloadError(f"{where}: unknown weight {op!r}; {nearest(op, sorted(known))}")
        if op in TAKES and weight and not references[1]:
            raise WorkloadError(f"{where}: {op} needs references = n beside processes and pages")
        arg: int | Pick = toggle(*references) if op in TAKES else 32 if op == "reclaim" else 0
        name, flags = ("get", "look") if op == "look" else (op, "")
        lines.append(line(name, pid=who, page=page, arg=arg, flags=flags, weight=weight))
    program.mix(phase.events or None, *lines, fork_every=phase.fork_every or 0)


def _range(program: Program, phase: Phase, where: str) -> tuple[int, int]:
    first, count = phase.pages or (0, program.pages)
    _inside(program, first, count, program.pages, "pages", where)
    if phase.size > count:
        raise WorkloadError(f"{where}: size = {phase.size} is more than the {count} pages")
    return first, count


def _inside(program: Program, first: int, count: int, end: int, key: str, where: str, *, empty: bool = False) -> None:
    if first < 0 or count < (0 if empty else 1) or first + count > end:
        raise WorkloadError(f"{where}: {key} = {first} (and {count} in all) does not fit in 0 .. {end - 1}")


def _flags(words: str, where: str) -> str:
    for word in words.split():
        if word not in FLAGS:
            raise WorkloadError(f"{where}: unknown flag {word!r}; {nearest(word, FLAGS)}")
    return words


def _said(message: str) -> str:
    """Return msgspec's words with the key in front: "phase[2].size: expected `int` >= 1"."""
    text, _, path = message.partition(" - at `$.")
    return f"{path.rstrip('`')}: {text[0].lower()}{text[1:]}" if path else text
