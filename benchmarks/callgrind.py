#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Instructions and mispredicted branches per event, under callgrind: the same on any load, so a gate can be narrow.

    python benchmarks/callgrind.py              measure, compare with ceilings.toml; exit 1 if a ceiling is broken
    python benchmarks/callgrind.py --update     measure, and write ceilings 3 % above what was measured

Counted is all that ``Engine.run`` does with the events, nothing of Python's start or of making them. Branches are
predicted by callgrind's model of a processor. Compilers differ by more than the margin: ceilings hold for the one that
is named in the file, and another one is told so.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CEILINGS = Path(__file__).with_name("ceilings.toml")
MARGIN = 1.03
SLACK = {"mispredictions": 0.01}  # three percent of next to nothing is nothing
ENTRY = re.compile(rb"__pyx_pw_\w+?_engine_6Engine_\d+run(?=\0)")
EVENTS = 1 << 17

#: name -> policy, processes, pages, what is drawn, memory; the full mix is that of `cowfast bench`
MIXES: dict[str, tuple[str, int, int, dict[str, float], str | None]] = {
    "hits": ("linux-6.18", 16, 1024, {"read": 0.5, "write": 0.5, "pageout": 0.0, "fork_weight": 0.0}, None),
    "mix-16x1024": ("linux-5.16", 16, 1024, {}, "75%"),
    "mix-64x4096": ("linux-6.18", 64, 4096, {}, "75%"),
    "pressure-16x1024": ("linux-6.18", 16, 1024, {"pageout": 0.0, "fork_weight": 0.0}, "50%"),
}


def inside() -> None:
    """Under valgrind: for each mix one run to warm up and one to be counted, so that every second dump counts."""
    import numpy as np

    from cowfast import load_policy
    from cowfast._engine import Engine
    from cowfast.bench.mixes import mix
    from cowfast.events import EVENT, Op
    from cowfast.simulate.setup import machine_for

    for policy, processes, pages, parameters, memory in MIXES.values():
        source = mix(processes, pages, **parameters)
        engine = Engine(load_policy(policy), machine_for(source, {"swap_slots": processes * pages}, memory))
        warm = np.zeros(pages + processes - 1 + 2 * processes * pages, EVENT)
        counted = np.zeros(EVENTS, EVENT)
        generator = source.generator(0)
        generator.fill(warm)
        generator.fill(counted)
        if not parameters.get("pageout", 1) and memory is None:  # hits only: every process has its own page everywhere
            warm = np.zeros(processes - 1 + processes * pages, EVENT)
            warm["op"], warm["arg"][: processes - 1] = Op.WRITE, np.arange(1, processes)
            warm["op"][: processes - 1] = Op.FORK
            warm["pid"][processes - 1 :] = np.repeat(np.arange(processes), pages)
            warm["page"][processes - 1 :] = np.tile(np.arange(pages), processes)
        engine.run(warm)  # not Simulator.run, which calls it several times
        engine.run(counted)


def measure() -> dict[str, dict[str, float]]:
    """Return what each mix costs per event."""
    entry = entry_point()
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "valgrind",
            "--tool=callgrind",
            "--branch-sim=yes",
            f"--toggle-collect={entry}",
            f"--dump-after={entry}",
        ]
        command += [f"--callgrind-out-file={folder}/out", sys.executable, __file__, "--inside"]
        environment = os.environ | {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"valgrind failed:\n{done.stderr[-2000:]}")
        dumps = list(counts(Path(folder)))
    if len(dumps) != 2 * len(MIXES):
        sys.exit(
            f"{len(dumps)} runs were seen, {2 * len(MIXES)} were made: is {entry} still what Engine.run is called?"
        )
    return {
        name: {
            "instructions": dump["Ir"] / EVENTS,
            "mispredictions": (dump["Bcm"] + dump["Bim"]) / EVENTS,
        }
        for name, dump in zip(MIXES, dumps[1::2], strict=True)
    }


def entry_point() -> str:
    """Return the native name of ``Engine.run``, for callgrind to collect in."""
    import cowfast._engine

    name = ENTRY.search(Path(cowfast._engine.__file__).read_bytes())
    if name is None:
        sys.exit(f"{cowfast._engine.__file__} has no symbols (stripped?), or Engine.run is called otherwise")
    return name[0].decode()


def counts(folder: Path) -> Iterator[dict[str, int]]:
    """Yield the totals of the dumps that the end of a run made, in order."""
    for path in sorted(folder.glob("out.*"), key=lambda path: int(path.suffix[1:])):
        text = path.read_text()
        if "Trigger: --dump-after" in text:
            names = re.search(r"^events: (.*)$", text, re.MULTILINE)
            values = re.search(r"^(?:summary|totals): (.*)$", text, re.MULTILINE)
            assert names
            assert values
            yield dict(zip(names[1].split(), map(int, values[1].split()), strict=False))


def compiler() -> str:
    """Return the name and version of the compiler that extensions are built with here."""
    command = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[:1]
    try:
        return subprocess.run([*command, "--version"], capture_output=True, text=True, check=False).stdout.splitlines()[
            0
        ]
    except (OSError, IndexError):
        return "unknown"


def write(found: dict[str, dict[str, float]]) -> None:
    """Write ceilings a little above what was measured."""
    lines = [
        "# What an event may cost at most: measured x 1.03. Written by `python benchmarks/callgrind.py --update`, on purpose only.",
        f'compiler = "{compiler()}"',
    ]
    for name, cost in found.items():
        lines += [
            "",
            f"[{name}]",
            *(f"{what} = {max(value * MARGIN, value + SLACK.get(what, 0.0)):.3f}" for what, value in cost.items()),
        ]
    CEILINGS.write_text("\n".join(lines) + "\n")


def broken(found: dict[str, dict[str, float]], ceilings: dict[str, Any]) -> list[str]:
    """Print both sides; return the names of what is above its ceiling (or has none)."""
    bad = []
    print(f"{'mix':18s} {'':14s} {'measured':>9s} {'ceiling':>9s}")
    for name, cost in found.items():
        for what, value in cost.items():
            ceiling = ceilings.get(name, {}).get(what, 0.0)
            print(f"{name:18s} {what:14s} {value:9.3f} {ceiling:9.3f}{'  TOO MANY' if value > ceiling else ''}")
            if value > ceiling:
                bad.append(f"{name} {what}")
    return bad


def main() -> int:
    """Measure, then compare or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="write ceilings.toml from what is measured now")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside()
        return 0
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not installed (Debian, Ubuntu: apt install valgrind)")
    found = measure()
    if options.update:
        write(found)
    ceilings = tomllib.loads(CEILINGS.read_text())
    if ceilings["compiler"] != compiler():
        print(f"the ceilings are of {ceilings['compiler']}; this is {compiler()}")
    bad = broken(found, ceilings)
    if bad:
        print(f"more than the ceiling: {', '.join(bad)}. Mend it, or run this with --update and say why in the commit.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
