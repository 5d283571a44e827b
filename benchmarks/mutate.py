# SPDX-License-Identifier: MIT
"""Does the test suite notice when the engine is wrong?  One small mistake at a time, in every count and every decision.

    python benchmarks/mutate.py --sample 300 --json docs/data/reliability/mutants.json
    python benchmarks/mutate.py --sample 300 --budget 600       # goes on tomorrow where it stopped
    python benchmarks/mutate.py --only 17,230                   # what became of these, with the tests' last words
    python benchmarks/mutate.py --list                          # all places

All mistakes are compiled into one copy of the engine (a *mutant schema*): each place asks whether it is its turn.  The tests then
run once for each in a process of its own that says whose turn it is, on as many processors as there are; the cheapest tests
come first, and the first that fails ends it.  A mutant is killed when a test fails, when the process dies, or when a group of tests
takes ``SLOWER`` times the processor time that it takes without a mistake.

What is changed, in all functions between "ptes and rings" and "Python's side" of cowfast/_engine.pyx:

count     ``x += n`` and ``x -= n`` of a counter or of any count in a table are left out
flag      ``x |= bits`` and ``x &= ~bits``, of a flag or of what a check asks, are left out
decision  the condition of an ``if`` or ``elif`` is turned round, and what a function returns that answers yes or no

Prefetches (and the functions ``ahead_``, which do nothing else), and the statements that only make room in tables, have no effect that
a test could see; their places are not counted.  The sample is drawn with ``--seed`` and tried in the order in which it is drawn, so that what a budget leaves is a sample too.
What became of each is kept in --work, with the build; another engine, another test or another version of this file begins anew.
Survivors are listed with their function and text; ``EXPLAINED`` says of each why no test noticed it.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import platform
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ENGINE = "cowfast/_engine.pyx"
FIRST, LAST = (
    "# ------------------------------------------------------------------ ptes and rings",
    "# ------------------------------------------------------------------ Python's side",
)
GOAL = 0.95  # of those tried, killed
#: Times the processor time of a group of tests, and seconds beside it, until a mutant is taken to hang.
SLOWER, SPARE = 3, 5
PATIENCE = 900  # seconds for all tests of one mutant, for one that waits without working
#: Groups of pytest's arguments: what costs little and notices much is first.
TESTS = [
    ["tests/test_equality.py", "tests/test_corners.py", "-k", "not after_every_event and not any_way_through"],
    ["tests/test_widths.py", "-k", "not 65_536th"],
    ["tests/test_equality.py", "-k", "after_every_event"],
    ["tests/test_equality.py", "-k", "any_way_through"],
    ["tests/test_any_policy.py"],
    ["tests/test_litmus.py", "-k", "fast"],
    ["tests/simulate", "tests/test_workloads_policies.py", "-k", "not snapshot and not keep"],
    ["tests/test_oracle.py", "tests/test_oracle_records.py", "-k", "fast or streams or records"],
    ["tests/test_recorded_values.py", "tests/test_step.py", "tests/test_explain.py", "tests/simulate/test_snapshot.py"],
]
NAME = re.compile(r"^cdef (?:inline )?(\w[\w ]*?[ *]+)(\w+)\(")
COUNT = re.compile(r"^(\s+)((?:s\.c\[.*?\]|[\w.]+(?:\[[^\]]*\])?(?:\.\w+)?)) ([+-])= (.+?)(\s+#.*)?$")
FLAG = re.compile(
    r"^(\s+)([\w.]+(?:\[[^\]]*\])?\.(?:flags|word|outcome|predicates)|bits|does|entry) ([|&])= (.+?)(\s+#.*)?$"
)
CONDITION = re.compile(r"^(\s+)(if|elif) (.+):(\s+#.*)?$")
ANSWER = re.compile(r"^(\s+)return (?!True\b|False\b|0$|1$)(.+?)(\s+#.*)?$")
LOCAL = re.compile(
    r"^(i|w|v|k|n|d|e|at|left|to|pid|size|index|priority|span)$"
)  # loops: without the step they would not end
SILENT = re.compile(r"COWFAST_PREFETCH|s\.far\b|\bfar\b|ring_cap|WANT_")

#: (function, text) -> why no test noticed it
_LONGER = "it only takes longer: events go the long way, where the same comes out"
EXPLAINED: dict[tuple[str, str], str] = {
    ("shared_verdict", "if not verdict & VERDICT_QUICK:"): _LONGER,
    ("settle_in", "elif word & PTE_KIND == PTE_SWAP:"): _LONGER,
    ("run_counted", "if s.special <= time:"): _LONGER,
    ("quick_write", "elif s.next_page <= s.memory:"): (
        "as a rule it only takes longer; for want of a test where all free numbers are of unmovable pages"
    ),
}


@dataclass
class Mutant:
    """One mistake."""

    number: int
    kind: str
    function: str
    text: str
    killed_by: str = ""  # the tests, "crash: tests" or "hang: tests"; nothing: it survived


def schema(source: str) -> tuple[str, list[Mutant]]:
    """Return the engine's source with all mistakes in it, and the list of them."""
    begin, end = source.index(FIRST), source.index(LAST)
    mutants: list[Mutant] = []
    function, answers = "?", False
    out: list[str] = []
    for line in source[begin:end].replace("\\\n", "\0").splitlines():  # a statement over several lines is one
        if found := NAME.match(line):
            function, answers = found[2], found[1].strip() == "bint"
        text = re.sub(r"\0\s*", "", line)
        silent = SILENT.search(text) or function.startswith("ahead_")
        made = None if silent else _mutated(text, len(mutants) + 1, answers)
        if made is None:
            out.append(line.replace("\0", "\\\n"))
            continue
        mutants.append(Mutant(len(mutants) + 1, made[0], function, text.strip()))
        out.append(made[1])
    head = 'cdef extern from *:\n    """\n    static int cowfast_mutant = 0;\n    """\n    int cowfast_mutant\n\n\n'
    setter = "def _set_mutant(int number):\n    global cowfast_mutant\n    cowfast_mutant = number\n\n\n"
    return source[:begin] + head + setter + "\n".join(out) + "\n" + source[end:], mutants


def _mutated(line: str, n: int, answers: bool) -> tuple[str, str] | None:
    turn = f"cowfast_mutant == {n}"
    if found := FLAG.match(line):
        space, what, sign, bits, _ = found.groups()
        kept = f"({bits}) * (cowfast_mutant != {n})" if sign == "|" else f"({bits}) | <uint32_t>-<int>({turn})"
        return "flag", f"{space}{what} {sign}= {kept}"
    if (found := COUNT.match(line)) and not LOCAL.match(found[2]):
        space, what, sign, by, _ = found.groups()
        return "count", f"{space}{what} {sign}= ({by}) * (cowfast_mutant != {n})"
    if found := CONDITION.match(line):
        space, word, condition, _ = found.groups()
        return "decision", f"{space}{word} (not ({condition})) == ({turn}):"
    if answers and (found := ANSWER.match(line)):
        return "decision", f"{found[1]}return (not ({found[2]})) == ({turn})"
    return None


def files() -> list[str]:
    """Return what a mutant is made of and tested with."""
    listed = ["git", "ls-files", "cowfast", "tests", "pyproject.toml", "setup.py"]
    return subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()


def version(names: Iterable[str]) -> str:
    """Name everything that decides what becomes of a mutant."""
    digest = hashlib.sha256(platform.python_version().encode() + Path(__file__).read_bytes())
    for name in names:
        digest.update(name.encode() + b"\0" + (ROOT / name).read_bytes())
    return digest.hexdigest()[:12]


def build(folder: Path, names: list[str]) -> None:
    """Make a copy of the checkout with the mutated engine in it."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in [*names, *(str(so.relative_to(ROOT)) for so in (ROOT / "cowfast").rglob("*.so"))]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    beside = folder.parent / "shared"
    if (ROOT.parent / "shared").exists() and not beside.exists():
        beside.symlink_to(ROOT.parent / "shared")
    (folder / ENGINE).write_text(schema((folder / ENGINE).read_text())[0])
    setup = (folder / "setup.py").read_text().replace('rglob("*.pyx")', 'glob("_engine.pyx")').replace('"-O3"', '"-O1"')
    (folder / "setup.py").write_text(setup)
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the mutated engine does not compile:\n{done.stderr[-3000:]}")


class Child:
    """A process that runs the tests as one mutant."""

    def __init__(self, number: int, room: Path, limits: list[float]) -> None:
        self.room, self.deadline = room / str(number), time.monotonic() + PATIENCE
        self.room.mkdir()
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            try:
                with (self.room / "said").open("w") as file:
                    os.dup2(file.fileno(), 1)
                    os.dup2(file.fileno(), 2)
                code = self._run(number, limits)
            except BaseException:
                code = 255
            os._exit(code)

    def _run(self, number: int, limits: list[float]) -> int:
        import pytest

        from cowfast import _engine

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _engine._set_mutant(number)
        options = ["-x", "-q", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib --benchmark-skip -m 'not long'"]  # fmt: skip
        options += ["--hypothesis-profile=mutants", f"--basetemp={self.room / 'tmp'}"]
        for place, tests in enumerate(TESTS):
            (self.room / "place").write_text(str(place))
            before = time.process_time()
            if limits:
                resource.setrlimit(resource.RLIMIT_CPU, (int(before + limits[place]) + 1, resource.RLIM_INFINITY))
            if pytest.main([*options, *tests]):
                return 1
            with (self.room / "seconds").open("a") as file:
                file.write(f"{time.process_time() - before}\n")
        return 0

    def ended(self) -> str | None:
        """What killed it, nothing if it survived, None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        late = not pid and time.monotonic() > self.deadline
        if late:
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        elif not pid:
            return None
        else:
            _end_group(self.pid)  # what its tests may have left behind
        tests = " ".join(TESTS[int((self.room / "place").read_text() or 0)])
        if late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
            return f"hang: {tests}"
        if os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 255:
            return f"crash: {tests}"
        return tests if os.waitstatus_to_exitcode(status) else ""

    def said(self) -> str:
        """The tests' words, and nothing is left of it."""
        words = (self.room / "said").read_text(errors="replace")
        shutil.rmtree(self.room, ignore_errors=True)
        return words


def _end_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def run_tests(numbers: Iterable[int], room: Path, limits: list[float], jobs: int) -> Iterator[tuple[int, str, str]]:
    """Run the tests as each mutant, some at a time; yield number, what killed it, the tests' words."""
    waiting, running = iter(numbers), dict[int, Child]()
    try:
        while True:
            while len(running) < jobs and (number := next(waiting, None)) is not None:
                running[number] = Child(number, room, limits)
            if not running:
                return
            for number, child in list(running.items()):
                if (killed_by := child.ended()) is not None:
                    del running[number]
                    yield number, killed_by, child.said()
            time.sleep(0.02)
    finally:  # Ctrl-C, or the caller has seen enough
        for child in running.values():
            _end_group(child.pid)
            os.waitpid(child.pid, 0)


def main() -> int:
    """Build, run, count."""
    options = _options()
    names = files()
    of, mutants = version(names), schema((ROOT / ENGINE).read_text())[1]
    print(f"{len(mutants)} places", flush=True)
    chosen = mutants
    if options.only:
        chosen = [mutants[int(n) - 1] for n in options.only.split(",")]
    elif options.sample:
        chosen = random.Random(options.seed).sample(mutants, len(mutants))[
            : options.sample
        ]  # a larger one begins with it
    if options.list:
        for mutant in chosen:
            print(f"{mutant.number} {mutant.kind}: {mutant.function}: {mutant.text}")
        return 0
    work = options.work.resolve()
    folder, room, journal = work / "cowfast", work / "rooms", work / "journal.jsonl"
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir(parents=True)
    limits = _prepare(work, folder, room, names, of)
    known = {} if options.only else _read(journal, of)
    begun = time.monotonic()

    def left() -> Iterator[int]:
        for mutant in chosen:
            if options.budget and time.monotonic() - begun > options.budget:
                return
            if mutant.number not in known:
                yield mutant.number

    with journal.open("a") as file:
        for number, killed_by, said in run_tests(left(), room, limits, options.jobs):
            mutant = mutants[number - 1]
            known[number] = killed_by
            print(f"{len(known)}: {number} {killed_by or 'SURVIVES'}: {mutant.function}: {mutant.text}", flush=True)
            if options.only:
                print(said[-1500:])
                continue
            row = {"of": of, "number": number, "killed_by": killed_by, "seconds": round(time.monotonic() - begun)}
            file.write(json.dumps(row) + "\n")
            file.flush()
    for mutant in chosen:
        mutant.killed_by = known.get(mutant.number, "")
    done = [mutant for mutant in chosen if mutant.number in known]
    figures = summary(mutants, done, options)
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if done and figures["killed"] >= GOAL * len(done) else 1


def _prepare(work: Path, folder: Path, room: Path, names: list[str], of: str) -> list[float]:
    """Build, unless that has been done; load what all tests load; see that nothing fails without a mistake, and how long it takes."""
    ready = work / "ready.json"
    before = json.loads(ready.read_text()) if ready.exists() else {}
    if before.get("of") != of:
        ready.unlink(missing_ok=True)
        build(folder, names)
    os.chdir(folder)
    sys.path[:0] = [str(folder), str(folder / "tests")]
    import hypothesis
    import numpy as np  # noqa: F401  (before the forks, as all the rest that tests load)
    import pytest  # noqa: F401

    import cowfast._engine
    import cowfast.oracle.replay

    assert cowfast._engine.__file__.startswith(str(folder)), "the copy must be the one that is tested"
    hypothesis.settings.register_profile(
        "mutants", max_examples=150, derandomize=True, deadline=None, database=None, phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    if before.get("of") == of:
        return [SLOWER * seconds + SPARE for seconds in before["seconds"]]
    child = Child(0, room, [])
    while (what := child.ended()) is None:
        time.sleep(0.05)
    seconds = [float(line) for line in (child.room / "seconds").read_text().split()] if not what else []
    if words := child.said() if what else "":
        sys.exit(f"without a mistake the tests fail already ({what}):\n{words[-3000:]}")
    ready.write_text(json.dumps({"of": of, "seconds": seconds}))
    print("seconds without a mistake:", [round(each, 1) for each in seconds], flush=True)
    return [SLOWER * each + SPARE for each in seconds]


def _read(journal: Path, of: str) -> dict[int, str]:
    """What became of mutants of this very engine before; a line that was cut off is none."""
    found = {}
    for line in journal.read_text().splitlines() if journal.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if row["of"] == of:
            found[row["number"]] = row["killed_by"]
    return found


def summary(mutants: list[Mutant], done: list[Mutant], options: argparse.Namespace) -> dict[str, Any]:
    """Return what is kept: figures, and the survivors with what explains them."""
    survivors = [asdict(m) | {"why": EXPLAINED.get((m.function, m.text), "")} for m in done if not m.killed_by]
    for survivor in survivors:
        del survivor["killed_by"]
    kinds = {
        kind: {
            "places": sum(m.kind == kind for m in mutants),
            "tried": sum(m.kind == kind for m in done),
            "killed": sum(m.kind == kind and bool(m.killed_by) for m in done),
        }
        for kind in ("count", "flag", "decision")
    }
    ways = Counter(m.killed_by.partition(":")[0] if ": " in m.killed_by else "test" for m in done if m.killed_by)
    return {
        "what": "mistakes made on purpose in the engine, one at a time, and whether a test noticed",
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "engine": hashlib.sha256((ROOT / ENGINE).read_bytes()).hexdigest()[:12],
        "seed": options.seed if options.sample else None,
        "sample": options.sample,
        "places": len(mutants),
        "tried": len(done),
        "killed": sum(bool(m.killed_by) for m in done),
        "kinds": kinds,
        "ways": dict(sorted(ways.items())),
        "killed_by": dict(Counter(m.killed_by.rpartition(": ")[2] for m in done if m.killed_by).most_common()),
        "survivors": survivors,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, help="so many of them, drawn with --seed; all if not given")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="numbers, separated by commas")
    parser.add_argument("--list", action="store_true", help="say which they are, and try none")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="mutants at a time")
    parser.add_argument("--budget", type=float, help="seconds after which no further one is begun")
    parser.add_argument(
        "--work", type=Path, default=ROOT / "out" / "mutants", help="where the build and the journal are kept"
    )
    parser.add_argument("--json", type=Path, help="write figures and survivors to this file")
    options = parser.parse_args()
    if options.json:
        options.json = options.json.resolve()  # the tests run elsewhere
    return options


if __name__ == "__main__":
    sys.exit(main())
