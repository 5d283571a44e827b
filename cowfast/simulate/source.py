# SPDX-License-Identifier: MIT
"""Where events come from: a workload's name, a file or an array, made into an ``EventSource``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cowfast._layout import Op
from cowfast.errors import SpecError, WorkloadError
from cowfast.events import EVENT

if TYPE_CHECKING:
    import os

    from cowfast.events import EventSource

#: Events in a chunk unless asked otherwise: large enough that crossing into native code costs nothing.
CHUNK = 1 << 20


class ArraySource:
    """Events that are in memory already, shape ``(n,)``, dtype ``EVENT``; the same for every seed."""

    semantics = "access"

    def __init__(self, events: np.ndarray, name: str = "events") -> None:
        self._array = np.ascontiguousarray(events, EVENT)
        self.name = name
        self.events: int = len(self._array)
        ops, pages = self._array["op"], self._array["page"].astype(np.int64)
        ranged = np.isin(ops, [Op.DISCARD, Op.PROTECT, Op.PAGEOUT, Op.PREFETCH])
        ends = pages + np.where(ranged, np.maximum(self._array["arg"].astype(np.int64), 1), 1)
        others = self._array["arg"][np.isin(ops, [Op.FORK, Op.MERGE])]
        self.space = int(ends.max(initial=1))
        self.processes = int(max(self._array["pid"].max(initial=0), others.max(initial=0))) + 1
        self.footprint = len(np.unique(pages[ops <= Op.WRITE])) * self.processes

    def chunks(self, seed: int = 0, size: int = CHUNK) -> Iterator[np.ndarray]:
        """Yield the events in slices of ``size``; ``seed`` changes nothing."""
        for start in range(0, self.events, size):
            yield self._array[start : start + size]

    def spec(self) -> dict[str, Any]:
        """Return what identifies the events; they are not in it, so a run of them cannot be run again from its row."""
        return {"array": hashlib.sha256(self._array.tobytes()).hexdigest()[:16], "events": self.events}

    def __repr__(self) -> str:
        return f"<{self.events:,} events, {self.processes} processes, {self.space:,} pages each>"


def resolve_source(
    source: str | os.PathLike[str] | np.ndarray | EventSource, parameters: Mapping[str, Any] | None = None
) -> EventSource:
    """Return the ``EventSource`` that a user means.

    ``source`` is the name of a workload, a workload TOML file, a trace (``.cow``), an array of events, or an
    ``EventSource`` already.  ``parameters`` go to a workload.  Raises WorkloadError or TraceError.
    """
    parameters = dict(parameters or {})
    if not isinstance(source, (str, Path)):
        if parameters:
            raise WorkloadError(f"only a workload takes parameters, not {source!r}: leave {_names(parameters)} out")
        if isinstance(source, np.ndarray):
            return ArraySource(source)
        return source  # type: ignore[return-value]
    from cowfast.workloads import workload, workload_names

    name = str(source)
    if name in workload_names():
        return workload(name, **parameters)
    path = Path(name)
    if path.suffix == ".toml":
        from cowfast.workloads import load_workload

        return load_workload(path, **parameters)
    if path.exists() or path.suffix or len(path.parts) > 1:
        from cowfast.traces import load_trace

        if parameters:
            raise WorkloadError(f"{name} is a trace and takes no parameters: leave {_names(parameters)} out")
        return load_trace(path)
    return workload(name, **parameters)  # refuses the name, and knows the nearest one


def source_from_spec(spec: Mapping[str, Any], path: str | os.PathLike[str] | None = None) -> EventSource:
    """Return the source that wrote ``spec`` (``EventSource.spec()``); ``path`` is where its file is, if it has one."""
    if spec.get("workload") == "file":
        from cowfast.workloads import workload_from_definition

        return _same(workload_from_definition(spec["parameters"]["definition"]), spec)
    if "workload" in spec:
        from cowfast.workloads import workload

        return _same(workload(spec["workload"], **spec.get("parameters", {})), spec)
    if "trace" in spec:
        from cowfast.traces import load_trace

        return _same(load_trace(Path(path if path is not None else spec["trace"])), spec)
    raise SpecError("these events were in memory only; give the array to cowfast.simulate() again")


def _same(source: EventSource, spec: Mapping[str, Any]) -> EventSource:
    now = source.spec()
    changed = sorted(key for key in {*now, *spec} if now.get(key) != spec.get(key) and key != "trace")
    if changed:
        was = ", ".join(f"{key} was {spec.get(key)!r}, is {now.get(key)!r}" for key in changed)
        raise SpecError(f"the source {source.name} is not what it was when the row was written: {was}")
    return source


def _names(parameters: Mapping[str, Any]) -> str:
    return ", ".join(parameters)
