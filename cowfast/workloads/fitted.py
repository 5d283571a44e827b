# SPDX-License-Identifier: MIT
"""Parameters fitted to recorded applications, in ``presets.toml``: what `docs/calibration.md` compares."""

from __future__ import annotations

import functools
from importlib import resources

import msgspec

from cowfast.errors import WorkloadError


class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A workload fitted to a recording: its parameters, and what the recording measured.

    ``rank`` 0: of all its processes; 1: of the program whose forks copied most, with its children until they exec; 2: of
    the next one.  ``measured`` is empty where the parameters are a convention, not a fit.
    """

    workload: str
    name: str
    summary: str
    parameters: dict[str, int | float | bool]
    trace: str = ""
    rank: int = 0
    measured: dict[str, float] = {}


@functools.cache
def presets() -> tuple[Preset, ...]:
    """Return all presets, in the order of the file."""
    text = resources.files("cowfast.workloads").joinpath("presets.toml").read_bytes()
    return msgspec.toml.decode(text, type=dict[str, tuple[Preset, ...]])["preset"]


def find_preset(workload: str, name: str) -> Preset:
    """Return the preset ``name`` of ``workload``; raises WorkloadError that lists those there are."""
    known = {each.name: each for each in presets() if each.workload == workload}
    if name not in known:
        raise WorkloadError(f"{workload} has no preset {name!r}: it has {', '.join(known) or 'none'}")
    return known[name]
