# SPDX-License-Identifier: MIT
"""Takes the measurements, each in a process of its own: what one leaves behind does not slow the next."""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

from cowfast._version import __version__
from cowfast.bench.registry import MEASUREMENTS, chosen
from cowfast.bench.rows import Figures, Measurement, NotMeasured, Row, Setting
from cowfast.bench.timing import pin
from cowfast.errors import CowfastError, SpecError

ROUNDS = 7


class Bench(NamedTuple):
    """What was measured: where, rows, how to read them (by name), and why the others are not there (by name)."""

    conditions: dict[str, str]
    rows: list[Row]
    notes: dict[str, str]
    missing: dict[str, str]


def bench(
    rows: Sequence[str] = (),
    *,
    yardstick: str | os.PathLike[str] | None = None,
    rounds: int = ROUNDS,
    quick: bool = False,
    progress: Callable[[str, int, int], None] = lambda label, done, total: None,
) -> Bench:
    """Measure rows (all if none are named) against the sources in the folder ``yardstick``, or the project's own.

    Raises SpecError for an unknown row or a folder that is none.  ``rounds`` is how often each side has its turn;
    ``quick`` leaves out what takes gigabytes or minutes.
    """
    if yardstick is not None and not Path(yardstick).is_dir():
        raise SpecError(f"yardstick: {yardstick} is not a folder")
    wanted, compiler = chosen(rows), os.environ.get("CC", "cc")
    where = conditions("" if yardstick is None else compiler) | {"rounds": str(rounds)}
    found = Bench(where, [], {}, {})
    with tempfile.TemporaryDirectory(prefix="cowfast-bench-") as built:
        sources = None if yardstick is None else Path(yardstick).resolve()
        setting = Setting(sources, Path(built), compiler, rounds, quick)
        for place, measurement in enumerate(wanted):
            names = [promise.name for promise in measurement.promises if not rows or promise.name in rows]
            progress(names[0], place, len(wanted))
            try:
                figures = _alone(measurement, setting)
            except NotMeasured as reason:
                found.missing.update(dict.fromkeys(names, str(reason)))
                continue
            for promise in measurement.promises:
                if promise.name in names:
                    figure = figures[promise.name]
                    found.rows.append(promise.row(figure, sources is None))
                    found.notes[promise.name] = (
                        f"{measurement.what}; {figure.note}" if figure.note else measurement.what
                    )
        progress("", len(wanted), len(wanted))
    return found


def conditions(compiler: str = "") -> dict[str, str]:
    """Return what decides rates beside the code: versions, the processor, and the compiler of the yardsticks."""
    from cowfast.simulate.result import build_profile

    found = {
        "cowfast": __version__,
        "engine": build_profile(),
        "python": platform.python_version(),
        "numpy": importlib.metadata.version("numpy"),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
    }
    return found | ({"compiler": version_of(compiler)} if compiler else {})


def version_of(compiler: str) -> str:
    """Return the first line that a compiler says of itself."""
    try:
        done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
        return done.stdout.splitlines()[0]
    except (OSError, IndexError):
        return "none"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def _alone(measurement: Measurement, setting: Setting) -> Figures:
    if measurement.long and setting.quick:
        raise NotMeasured("not in a quick run")
    if setting.sources is None and not measurement.own:
        raise NotMeasured(f"needs a yardstick folder with {', '.join(measurement.needs)}")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        try:
            return pool.submit(_measure, MEASUREMENTS.index(measurement), setting).result()
        except BrokenProcessPool:
            raise NotMeasured("its process died; too little memory is a usual reason") from None
        except MemoryError:
            raise NotMeasured("not enough memory") from None


def _measure(place: int, setting: Setting) -> Figures:
    measurement = MEASUREMENTS[place]
    if not measurement.spreads:
        pin()
    try:
        return measurement.run(setting)
    except CowfastError as error:
        raise NotMeasured(str(error)) from None
