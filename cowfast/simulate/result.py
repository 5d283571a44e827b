# SPDX-License-Identifier: MIT
"""The result of one run, and what is needed to make it again."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec
import numpy as np

from cowfast._version import __version__
from cowfast.counters import COUNTERS, Counters
from cowfast.machine import Machine


@dataclass(frozen=True, slots=True)
class Result:
    """What one run counted.

    ``seconds`` is the processor time that the engine took, without making the events.  ``spec`` says all that decides
    the counters; ``spec_hash`` names it.  ``samples`` are the counters along the run if they were asked for.  A run
    that ended early (memory full, a bad event) has ``error``, and its counters end there.
    """

    source: str
    policy: str
    seed: int
    machine: Machine
    counters: Counters
    seconds: float
    spec: dict[str, Any]
    spec_hash: str
    provenance: dict[str, Any] = field(repr=False)
    samples: list[dict[str, int]] = field(default_factory=list, repr=False)
    error: str | None = None

    def row(self) -> dict[str, Any]:
        """Return the result as the JSON-able row that results files hold."""
        row: dict[str, Any] = {
            "id": self.spec_hash,
            "source": self.source,
            "policy": self.policy,
            "seed": self.seed,
            "spec": self.spec,
            "spec_hash": self.spec_hash,
            "counters": self.counters.to_dict(),
            "seconds": round(self.seconds, 6),
            "provenance": self.provenance,
        }
        if self.samples:
            row["samples"] = self.samples
        if self.error is not None:
            row["error"] = self.error
        return row

    def to_dict(self) -> dict[str, Any]:
        """Return :meth:`row`; the name that other libraries look for."""
        return self.row()

    @property
    def rate(self) -> float:
        """Events per second of engine time."""
        return self.counters["events"] / self.seconds if self.seconds else float("nan")

    def __repr__(self) -> str:
        counters = self.counters
        what = (
            f"{counters['events']:,} events, {counters['copies']:,} copies ({counters['needless_copies']:,} needless)"
        )
        ended = f", ended early: {self.error}" if self.error else ""
        return f"<Result {self.policy} on {self.source}, seed {self.seed}: {what}{ended}>"

    def _repr_html_(self) -> str:
        from html import escape

        lines = "".join(
            f"<tr><td><code>{info.name}</code></td><td style='text-align:right'>{self.counters[info.name]:,}</td>"
            f"<td style='text-align:left'>{escape(info.meaning)}</td></tr>"
            for info in COUNTERS
            if self.counters[info.name]
        )
        return f"<p>{escape(repr(self)[1:-1])}</p><table><tr><th>counter</th><th>value</th><th>meaning</th></tr>{lines}</table>"


def spec_hash(spec: Mapping[str, Any]) -> str:
    """Return the name of a spec: 16 hexadecimal digits, the same wherever and in whatever order it was put together."""
    text = msgspec.json.encode(spec, order="deterministic", enc_hook=_plain)
    return hashlib.sha256(text).hexdigest()[:16]


def provenance(engine: str) -> dict[str, Any]:
    """Return where and with what a run is made, but for its times."""
    return {
        "cowfast": __version__,
        "engine": engine,
        "profile": build_profile(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "host": _host(),
    }


def build_profile() -> str:
    """Return how the engine was compiled: ``fast``, ``checked`` or ``sanitize``."""
    try:
        from cowfast._engine import PROFILE
    except ImportError:
        return "not built"
    return PROFILE


@cache
def _host() -> dict[str, Any]:
    return {
        "name": platform.node(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cpus": os.cpu_count(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{value!r} cannot be part of a spec; write a number, a text or a list")
