#!/usr/bin/env python
# SPDX-License-Identifier: MIT
"""The whole test suite and a soak with a build of the extensions that looks for mistakes; `.ci/sanitize` makes the builds.

    python benchmarks/sanitize.py sanitize --soak 120 --json docs/data/reliability/sanitize.json

``checked`` looks at every index, ``sanitize`` also has AddressSanitizer and UndefinedBehaviorSanitizer, whose runtimes are
loaded into every process that the tests start.  Whatever a sanitizer says in any of them is a finding, though no test
failed.  Leaks are not looked for: Python keeps too much on purpose.  Exits non-zero at a finding or a failed test.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent

#: Tests that say nothing about a build, with the reason; by profile.
_SLOWER = "holds the build that is used to a time; this one is many times slower"
_LARGE = "runs of 3,000,000 events must end within the half minute that follows a signal; here they take longer"
LEFT_OUT: dict[str, dict[str, str]] = {
    "sanitize": {
        "tests/test_interrupts.py::test_a_run_stops_within_a_fifth_of_a_second[fast-1]": _SLOWER,
        "tests/test_interrupts.py::test_a_run_stops_within_a_fifth_of_a_second[fast-2]": _SLOWER,
        "tests/sweep/test_run.py::test_ctrl_c_finishes_the_line_and_exits_130[threads:2]": _LARGE,
        "tests/sweep/test_run.py::test_ctrl_c_finishes_the_line_and_exits_130[processes:2]": _LARGE,
    },
    "checked": {},
}


def main() -> int:
    """Test and soak one profile."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="cowfast-sanitize-") as text:
        folder = Path(text)
        environment = _environment(options.profile, folder)
        found = subprocess.run(
            [sys.executable, "-c", "from cowfast._engine import PROFILE; print(PROFILE)"],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env=environment,
        ).stdout.strip()
        if found != options.profile:
            sys.exit(f"the extensions here are of profile {found}; .ci/sanitize builds {options.profile}")
        figures = {
            "date": datetime.now(UTC).date().isoformat(),
            "python": platform.python_version(),
            "tests": options.tests or f"all ({options.marks})",
            "left_out": LEFT_OUT[options.profile],
            **_tests(options, folder, environment),
            **_soak(options, folder, environment),
        }
        said = sorted(folder.glob("finding.*"))
        for path in said:
            print(path.read_text(errors="replace")[:10_000])
        figures["findings"] = len(said)
    print(json.dumps({key: value for key, value in figures.items() if key != "left_out"}))
    if options.json:
        _write(options.json, options.profile, figures)
    return 1 if figures["findings"] or figures["failed"] or figures["soak_failed"] else 0


def _environment(profile: str, folder: Path) -> dict[str, str]:
    if profile != "sanitize":
        return dict(os.environ)
    runtimes = [
        subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    where = f"log_path={folder / 'finding'}"
    return os.environ | {
        "LD_PRELOAD": " ".join(runtimes),
        "ASAN_OPTIONS": f"detect_leaks=0:abort_on_error=1:{where}",
        "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:{where}",
    }


def _tests(options: argparse.Namespace, folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Run the suite but for the tests of minutes each."""
    names = list(LEFT_OUT[options.profile])
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    if names:  # a name that no test has any more must not stay in the list
        subprocess.run([*pytest, "--collect-only", *names], check=True, cwd=ROOT, env=environment, capture_output=True)
    report, begun = folder / "tests.xml", time.monotonic()
    chosen = [f"--deselect={name}" for name in names]
    done = subprocess.run(
        [*pytest, "-m", options.marks, f"--junitxml={report}", *chosen, *options.tests],
        check=False,
        cwd=ROOT,
        env=environment,
    )
    if not report.exists():
        print(f"the tests' process died: {done.returncode}")
        return {"passed": 0, "failed": 1, "skipped": {}, "seconds": round(time.monotonic() - begun)}
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skips = [case.find("skipped") for case in cases]
    why = Counter(skip.get("message", "") for skip in skips if skip is not None)
    return {
        "passed": len(cases) - len(failed) - why.total(),
        "failed": len(failed),
        "skipped": dict(sorted(why.items())),
        "seconds": round(time.monotonic() - begun),
    }


def _soak(options: argparse.Namespace, folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    path = folder / "soak.json"
    command = [sys.executable, "benchmarks/soak.py", "--budget", str(options.soak), "--json", str(path)]
    done = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)
    print(done.stdout[-500:] + done.stderr[-5000:])
    figures = json.loads(path.read_text()) if path.exists() else {"events": 0, "verifications": 0}
    return {
        "soak_events": figures["events"],
        "soak_verifications": figures["verifications"],
        "soak_failed": done.returncode != 0,
    }


def _write(path: Path, profile: str, figures: dict[str, Any]) -> None:
    """Put the figures of a profile in place of those that were there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = json.loads(path.read_text())["profiles"] if path.exists() else {}
    document = {
        "what": "tests and random events with builds of the extensions that look for mistakes",
        "profiles": dict(sorted((before | {profile: figures}).items())),
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("profile", choices=LEFT_OUT)
    parser.add_argument("tests", nargs="*", help="only these")
    parser.add_argument("--soak", type=float, default=120, help="seconds")
    parser.add_argument("--marks", default="not long", help="which tests, as pytest's -m says it")
    parser.add_argument("--json", type=Path, help="figures, beside those of other profiles")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
