#!/usr/bin/env python
# SPDX-License-Identifier: MIT
"""The whole test suite and a soak with a build of the extensions that looks for mistakes; `.ci/sanitize` makes the builds.

    python benchmarks/sanitize.py sanitize --soak 120 --json docs/data/reliability/sanitize.json

``checked`` looks at every index, ``sanitize`` also has AddressSanitizer and UndefinedBehaviorSanitizer, whose runtimes are
loaded into every process that the tests start.  Whatever a sanitizer says in any of them is a finding, though no test
failed.  Leaks are looked for in a soak and in commands of their own, where every piece of memory is known by who asked for it:
Python keeps much on purpose, so only those count that one of the extensions asked for.  What Python's collector knows of is
never lost for LeakSanitizer; tests/test_leaks.py measures that.  Exits non-zero at a finding or a failed test.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
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

#: In what LeakSanitizer says: one piece of memory, and a function of an extension on the way to it.
LEAK = re.compile(r"\s*(Direct|Indirect) leak of ")
OURS = re.compile(r"_7cowfast_|/cowfast/(\w+/)*_\w+")

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
            **_leaks(options, folder, environment),
        }
        said = sorted(folder.glob("finding.*"))
        for path in said:
            print(path.read_text(errors="replace")[:10_000])
        figures["findings"] = len(said)
    print(json.dumps({key: value for key, value in figures.items() if key != "left_out"}))
    if options.json:
        _write(options.json, options.profile, figures)
    wrong = ("findings", "failed", "soak_failed", "leaks_of_cowfast", "leak_programs_failed")
    return 1 if any(figures.get(each) for each in wrong) else 0


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


def _leaks(options: argparse.Namespace, folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Run programs that use each extension, and read what LeakSanitizer says at their end."""
    if options.profile != "sanitize" or not options.leaks:
        return {}
    cowfast = ["-c", "from cowfast.cli import main; main()"]
    trace = str(folder / "leaks.cow")
    programs = [
        ["benchmarks/soak.py", "--budget", str(options.leaks)],
        [*cowfast, "compare", "random-mix", "--events", "20000", "--memory", "75%", "--policy", "all"],
        [*cowfast, "trace", "import", "perf", "tests/data/redis-bgsave.txt.xz", "-o", trace],
        [*cowfast, "run", trace, "--memory", "60%"],
        [*cowfast, "explore", "--policy", "linux-6.1", "--pins", "0"],
    ]
    # A table is asked for by numpy on behalf of the engine: the whole way must be told, through code without frame pointers.
    options_of_asan = (
        f"detect_leaks=1:fast_unwind_on_malloc=0:malloc_context_size=40:exitcode=0:log_path={folder / 'leak'}"
    )
    environment = environment | {"PYTHONMALLOC": "malloc", "ASAN_OPTIONS": options_of_asan}
    failed = 0
    for program in programs:
        done = subprocess.run(
            [sys.executable, *program], check=False, cwd=ROOT, env=environment, capture_output=True, text=True
        )
        if done.returncode:
            failed += 1
            print(f"{' '.join(program)}: {done.returncode}\n{done.stdout[-500:]}{done.stderr[-3000:]}")
    said = "\n\n".join(path.read_text(errors="replace") for path in sorted(folder.glob("leak.*")))
    found = [each for each in said.split("\n\n") if LEAK.match(each)]
    ours = [each for each in found if OURS.search(each)]
    for each in ours[:5]:
        print(each[:5000])
    if (
        "LeakSanitizer has encountered a fatal error" in said
    ):  # it looks into the process as a debugger does, which some containers forbid
        print("LeakSanitizer does not work here")
        return {"leak_programs": len(programs), "leak_programs_failed": failed, "leaks_of_cowfast": None}
    return {
        "leak_programs": len(programs),
        "leak_programs_failed": failed,
        "leaks_of_cowfast": len(ours),
        "leaks_of_others": len(found) - len(ours),
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
    parser.add_argument(
        "--leaks", type=float, default=30, help="seconds of the soak in which leaks are looked for; 0: nowhere"
    )
    parser.add_argument("--marks", default="not long", help="which tests, as pytest's -m says it")
    parser.add_argument("--json", type=Path, help="figures, beside those of other profiles")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
