# SPDX-License-Identifier: MIT
"""``cowfast doctor``."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from pathlib import Path

import click

from cowfast.cli.options import format_option
from cowfast.cli.output import print_json, print_table, records_table

EPILOG = """\b
Examples
  cowfast doctor
  cowfast doctor --format json
"""

#: Library -> the extra that brings it ("" for those that are always there).
_LIBRARIES = {
    "numpy": "",
    "scipy": "",
    "matplotlib": "",
    "polars": "results as data frames, Parquet: pip install 'cowfast[analysis]'",
    "pyarrow": "Parquet: pip install 'cowfast[analysis]'",
    "distributed": "sweeps on a cluster: pip install 'cowfast[cluster]'",
}


@click.command(epilog=EPILOG)
@format_option()
def doctor(format: str) -> int:
    """Say what this installation is and can: build, processor, perf, huge pages, libraries. Exit code 1 if it cannot run."""
    records = [{"what": what, "found": found, "good for": use} for what, found, use in _look()]
    if format == "json":
        print_json({"doctor": records})
    else:
        print_table(records_table(records), format)
    return 1 if any(record["found"] == "not built" for record in records) else 0


def _look() -> list[tuple[str, str, str]]:
    from cowfast._version import __version__
    from cowfast.executors import usable_cpus
    from cowfast.simulate.result import build_profile

    found = [
        ("cowfast", __version__, ""),
        ("engine", build_profile(), "fast: as fast as it can; checked, sanitize: finds bugs, slow"),
        ("python", platform.python_version(), ""),
        ("system", f"{platform.system()} {platform.release()} {platform.machine()}", ""),
        ("CPUs", str(usable_cpus()), "threads of compare and sweep"),
        ("vector units", _flags(), "generators choose the widest at run time"),
        ("huge pages", _huge_pages(), "tables of more than 4 MiB; always or madvise is good"),
        ("perf", shutil.which("perf") or "not found", "recording; importing traces needs none"),
        ("perf allowed", _paranoid(), "recording needs root, or -1: sysctl kernel.perf_event_paranoid=-1"),
    ]
    return found + [(name, _version(name), use) for name, use in _LIBRARIES.items()]


def _flags() -> str:
    text = _read("/proc/cpuinfo")
    found = [name for name in ("avx2", "avx512f", "asimd", "sve") if f" {name}" in text]
    return " ".join(found) or "none known"


def _huge_pages() -> str:
    text = _read("/sys/kernel/mm/transparent_hugepage/enabled")
    return text.partition("[")[2].partition("]")[0] or "not available"


def _paranoid() -> str:
    text = _read("/proc/sys/kernel/perf_event_paranoid").strip()
    return f"perf_event_paranoid {text}" if text else "not available"


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
