#!/usr/bin/env python
# SPDX-License-Identifier: MIT
"""Sends SIGINT, SIGTERM and SIGHUP to every command at random moments, and looks at what is left.

    python benchmarks/interrupts.py --rounds 10 --json docs/data/reliability/interrupts.json
    python benchmarks/interrupts.py --longest --json docs/data/reliability/interrupts.json      # only the longest events, again

Checked after each: the exit code, that every output is the earlier one or whole, no temporary files, no descendants, no
locks.  Then how long the engine takes to answer, also in the longest single events that there are: an event is never cut.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))


def main() -> int:
    """Send the signals and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="times each signal is sent to each command")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--longest", action="store_true", help="send nothing: only the longest events, into the figures there are"
    )
    options = parser.parse_args()
    if options.longest:
        document = json.loads(options.json.read_text()) | {"longest events": longest_events()}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
        return 0
    from interrupting import make_inputs, scenarios, send

    draw = random.Random(options.seed)
    room = Path(tempfile.mkdtemp(prefix="cowfast-interrupts-"))
    inputs = make_inputs(room / "inputs")
    commands: dict[str, Any] = {}
    problems = []
    for name in scenarios():
        found = []
        for turn in range(options.rounds):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                one = send(name, inputs, room / f"{name}-{turn}-{number.name}", number, draw.uniform(0.05, 1))
                found.append(one)
                problems += [f"{name}, {number.name} after {one.moment:.2f} s: {text}" for text in one.problems]
                shutil.rmtree(room / f"{name}-{turn}-{number.name}")
        answers = sorted(one.answer for one in found if one.code == 128 + one.number)
        commands[name] = {
            "signals": len(found),
            "answered": len(answers),
            "before anything began": sum(one.code == -one.number for one in found),
            "done already": sum(one.code in (0, 1) for one in found),
            "seconds to the end, median": round(statistics.median(answers), 3) if answers else None,
            "seconds to the end, longest": round(answers[-1], 3) if answers else None,
        }
        print(name, json.dumps(commands[name]), flush=True)
    shutil.rmtree(room)
    document = {
        "what": "signals sent to every command at random moments",
        "signals": sum(one["signals"] for one in commands.values()),
        "problems": len(problems),
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "commands": commands,
        "longest events": longest_events(),
    }
    print(json.dumps(document["longest events"], indent=1))
    print("\n".join(problems))
    print(f"{document['signals']} signals, {len(problems)} problems")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 1 if problems else 0


def longest_events() -> list[dict[str, Any]]:
    """Measure single events that are long in themselves; the engine answers after each, not within it."""
    import numpy as np

    from cowfast._layout import Op
    from cowfast.errors import EventError
    from cowfast.events import EVENT, format_event, make_events
    from cowfast.simulate import Simulator

    pages = 1 << 24
    fill = np.zeros(pages, EVENT)
    fill["op"], fill["page"] = Op.WRITE, np.arange(pages)
    machine = {"space": (1 << 32) - 1, "processes": 4, "swap_slots": 1 << 25}
    found = []
    for about, before, event in (
        ("fork of a process with 2^24 pages", fill, (Op.FORK, 0, 0, 1)),
        ("exit of a process with 2^24 pages", fill, (Op.EXIT, 0)),
        ("discard of 2^24 pages", fill, (Op.DISCARD, 0, 0, pages)),
        ("protect of 2^24 pages", fill, (Op.PROTECT, 0, 0, pages)),
        ("pageout of 2^24 pages", fill, (Op.PAGEOUT, 0, 0, pages)),
        ("pageout of 2^30 addresses, of which one has a page", fill[:1], (Op.PAGEOUT, 0, 0, 1 << 30)),
        ("discard of 2^30 addresses, of which one has a page", fill[:1], (Op.DISCARD, 0, 0, 1 << 30)),
        ("protect of 2^30 addresses, of which one has a page", fill[:1], (Op.PROTECT, 0, 0, 1 << 30)),
        ("prefetch of 2^30 addresses, of which one has a page", fill[:1], (Op.PREFETCH, 0, 0, 1 << 30)),
        ("reclaim of 2^24 pages", fill, (Op.RECLAIM, 0, 0, pages)),
    ):
        simulator = Simulator("linux-6.18", machine)
        simulator.run(before)
        last = make_events([event])
        begun = time.process_time()
        try:
            simulator.run(last)
        except EventError as error:
            about += f" (refused: {error.reason})"
        found.append({"event": format_event(last[0]), "what": about, "seconds": round(time.process_time() - begun, 4)})
    simulator, longest, which = Simulator("linux-6.18", {"space": pages, "processes": 1}), 0.0, 0
    for start in range(0, pages, step := 1 << 12):
        begun = time.process_time()
        simulator.run(fill[start : start + step])
        if (took := time.process_time() - begun) > longest:
            longest, which = took, start
    about = f"the one of 4,096 writes at which the tables grew to {len(simulator.pages):,} pages (memory without limit)"
    found.append({"event": format_event(fill[which]), "what": about, "seconds": round(longest, 4)})
    return found


if __name__ == "__main__":
    sys.exit(main())
