# SPDX-License-Identifier: MIT
"""What a user writes to ask for many runs."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import msgspec

from cowfast.errors import SpecError
from cowfast.files import read_toml

#: Of a spec: it is written by hand, or by a script that should say ``from`` and ``to``.
MAX_BYTES = 1 << 20
#: Of the numbers of one range; how many runs are allowed is asked later.
MAX_RANGE = 1_000_000


class SweepSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"zip_": "zip"}):
    """A sweep: what is common to all runs, and what varies.

    ``grid`` and ``zip`` name what varies: ``source``, ``policy``, ``seed``, ``memory``, a field of the machine or a
    parameter of the source (``machine.cpus`` and ``source.cpus`` where both have it; the source comes first).  Every
    combination of the grid is run, crossed with the lines of ``zip``, whose lists go in step.
    """

    source: str | list[str] = ""
    source_parameters: dict[str, Any] = {}
    policy: str | list[str] = []
    seed: int | list[int] | dict[str, int] = 0
    memory: int | str | None = None
    machine: dict[str, Any] = {}
    grid: dict[str, Any] = {}
    zip_: dict[str, Any] | list[dict[str, Any]] = {}
    sample_every: int = 0
    engine: str = "fast"

    def axes(self) -> list[list[dict[str, Any]]]:
        """Return what is crossed: for each axis its settings, each a few names and values."""
        fixed = {"source": self.source, "policy": self.policy, "seed": self.seed}
        varied = dict(self.grid)
        zips = [zipped for zipped in (self.zip_ if isinstance(self.zip_, list) else [self.zip_]) if zipped]
        for name, value in fixed.items():
            if name not in varied and not any(name in zipped for zipped in zips):
                varied[name] = value
        axes = [[{name: value} for value in _values(name, given)] for name, given in varied.items()]
        axes += [_in_step(zipped) for zipped in zips]
        twice = [name for axis in axes for setting in axis[:1] for name in setting]
        if len(set(twice)) < len(twice):
            repeated = sorted({name for name in twice if twice.count(name) > 1})
            raise SpecError(f"{', '.join(repeated)} varies in two places; keep one")
        return axes

    def count(self) -> int:
        """Return how many runs this is, without making a list of them."""
        return math.prod(len(axis) for axis in self.axes())

    def points(self) -> Iterator[dict[str, Any]]:
        """Yield the settings of every run."""
        for settings in product(*self.axes()):
            yield {name: value for setting in settings for name, value in setting.items()}


def load_spec(spec: str | os.PathLike[str] | Mapping[str, Any] | SweepSpec) -> SweepSpec:
    """Return the sweep in a TOML file or a mapping; SpecError names what is wrong in it and what was meant."""
    if isinstance(spec, SweepSpec):
        return spec
    if isinstance(spec, Mapping):
        return _convert(spec, "the spec", Path())
    path = Path(spec)
    return _convert(read_toml(path, MAX_BYTES, SpecError), str(path), path.parent)


def nearest(name: str, names: list[str]) -> str:
    """Return the end of an error message: what was probably meant, and what there is."""
    close = difflib.get_close_matches(name, names, 1, 0.5)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return f"{meant}There are: {', '.join(dict.fromkeys(names))}"


def _convert(data: Mapping[str, Any], where: str, folder: Path) -> SweepSpec:
    names = [field.encode_name for field in msgspec.structs.fields(SweepSpec)]
    for key in data:
        if key not in names:
            raise SpecError(f"{where}: unknown key {key!r}; {nearest(key, names)}")
    try:
        spec = msgspec.convert(dict(data), SweepSpec)
    except msgspec.ValidationError as error:
        raise SpecError(f"{where}: {error}") from error
    try:
        axes = spec.axes()
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from error
    if any(setting.get("source") == "" for axis in axes for setting in axis):
        raise SpecError(f'{where}: no source; write source = "random-mix" or another workload, TOML file or trace')
    if any(len(axis) == 0 for axis in axes):
        raise SpecError(f"{where}: nothing to run; every list of [grid] and [zip] needs an entry, and so does policy")
    return _beside(spec, folder)


def _beside(spec: SweepSpec, folder: Path) -> SweepSpec:
    """Let files that the spec names be found beside it."""

    def found(name: Any) -> Any:
        if isinstance(name, list):
            return [found(each) for each in name]
        if isinstance(name, str) and not Path(name).exists() and (folder / name).is_file():
            return str(folder / name)
        return name

    def swept(part: dict[str, Any]) -> dict[str, Any]:
        return {name: found(value) if name in ("source", "policy") else value for name, value in part.items()}

    zips = [swept(part) for part in spec.zip_] if isinstance(spec.zip_, list) else swept(spec.zip_)
    return msgspec.structs.replace(
        spec, source=found(spec.source), policy=found(spec.policy), grid=swept(spec.grid), zip_=zips
    )


def _values(name: str, given: Any) -> list[Any]:
    """Return the values of an axis: a list, one value, ``{from, to, step}``, or the policies that "all" means."""
    if name == "policy":
        from cowfast.policy import policy_names

        listed = given if isinstance(given, list) else str(given).split(",")
        return [each for entry in listed for each in (policy_names() if entry == "all" else [entry])]
    if isinstance(given, dict):
        numbers = given.keys() <= {"from", "to", "step"} and all(isinstance(value, int) for value in given.values())
        if not numbers or not {"from", "to"} <= given.keys() or given.get("step", 1) < 1:
            raise SpecError(f"{name}: a range is written {{ from = 1, to = 10 }}, with step if it is not 1")
        values = range(given["from"], given["to"] + 1, given.get("step", 1))
        if (given["to"] - given["from"]) // values.step > MAX_RANGE:
            raise SpecError(
                f"{name}: more than {MAX_RANGE:,} numbers from {given['from']} to {given['to']}; write a step"
            )
        return list(values)
    return given if isinstance(given, list) else [given]


def _in_step(zipped: Mapping[str, Any]) -> list[dict[str, Any]]:
    columns = {name: _values(name, given) for name, given in zipped.items()}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        each = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise SpecError(f"zip: the lists go in step and must be equally long; {each}")
    return [dict(zip(columns, line, strict=True)) for line in zip(*columns.values(), strict=True)]
