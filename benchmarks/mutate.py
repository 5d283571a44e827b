# SPDX-License-Identifier: MIT
"""Does the test suite notice when the engine is wrong?  One small mistake at a time, in every count and every decision.

    python benchmarks/mutate.py --sample 300 --json docs/data/reliability/mutants.json
    python benchmarks/mutate.py --only 17,230        what became of these, with the tests' last words

All mistakes are compiled into one copy of the engine (a *mutant schema*): each place asks whether it is its turn.  The tests then
run once for each in a process of its own that says whose turn it is.  A mutant is killed when a test fails, when the process
dies, or when it takes longer than ``PATIENCE``.

What is changed, in all functions between "ptes and rings" and "Python's side" of cowfast/_engine.pyx:

count     ``x += n`` and ``x -= n`` of a counter or of any count in a table are left out
flag      ``x |= bits`` and ``x &= ~bits`` are left out
decision  the condition of an ``if`` or ``elif`` is turned round, and what ``holds`` returns of a comparison

Prefetches, and the statements that only make room in tables, have no effect that a test could see; their places are not
counted.  Survivors are listed with their function and text; ``EXPLAINED`` says of each why no test noticed it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
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
PATIENCE = 120  # seconds for all tests of one mutant
TESTS = [
    ["tests/test_equality.py"],
    ["tests/test_litmus.py", "-k", "fast"],
    ["tests/test_widths.py", "-k", "not 65_536th"],
    ["tests/simulate", "tests/test_workloads_policies.py", "-k", "not snapshot"],
    ["tests/test_oracle.py", "-k", "fast or streams"],
]
NAME = re.compile(r"cdef (?:inline )?[\w *]+?\b(\w+)\(Sim|cdef (?:inline )?bint (holds|ranged)\(")
COUNT = re.compile(r"^(\s+)((?:s\.c\[.*?\]|[\w.]+(?:\[[^\]]*\])?(?:\.\w+)?)) ([+-])= (.+?)(\s+#.*)?$")
FLAG = re.compile(r"^(\s+)([\w.]+(?:\[[^\]]*\])?\.(?:flags|word|outcome)) ([|&])= (.+?)(\s+#.*)?$")
CONDITION = re.compile(r"^(\s+)(if|elif) (.+):(\s+#.*)?$")
COMPARED = re.compile(r"^(\s+)return (value [=!<>]+ limit)$")
LOCAL = re.compile(
    r"^(i|w|v|k|n|at|left|to|pid|e|size|index|priority|span)$"
)  # loops: without the step they would not end
SILENT = re.compile(r"COWFAST_PREFETCH|s\.far\b|\bfar\b|ring_cap|WANT_|leaves_moved")

#: (function, text) -> why no test noticed it
EXPLAINED: dict[tuple[str, str], str] = {
    ("entry_of", "if (k.must | k.mustnot) & IS_SWAP_FULL and k.op != CHECK_LEAVE_SWAP_CACHE:"): (
        "it only sends more situations the long way, where the same comes out; a policy that asks for a full swap elsewhere than at"
        " leaving the cache would notice"
    ),
    (
        "entry_of",
        "if now.refs == 7:",
    ): "it only sends situations the long way; no comparison tells seven references from eight",
}


@dataclass
class Mutant:
    """One mistake."""

    number: int
    kind: str
    function: str
    text: str
    killed_by: str = ""  # the test file, "crash" or "hang"; nothing: it survived


def schema(source: str) -> tuple[str, list[Mutant]]:
    """Return the engine's source with all mistakes in it, and the list of them."""
    begin, end = source.index(FIRST), source.index(LAST)
    lines, mutants, function = source[begin:end].splitlines(), [], "?"
    out: list[str] = []
    for line in lines:
        if found := NAME.match(line):
            function = found[1] or found[2]
        made = _mutated(line, len(mutants) + 1)
        if made is None or SILENT.search(line):
            out.append(line)
            continue
        kind, text = made
        mutants.append(Mutant(len(mutants) + 1, kind, function, line.strip()))
        out.append(text)
    head = 'cdef extern from *:\n    """\n    static int cowfast_mutant = 0;\n    """\n    int cowfast_mutant\n\n\n'
    setter = "def _set_mutant(int number):\n    global cowfast_mutant\n    cowfast_mutant = number\n\n\n"
    return source[:begin] + head + setter + "\n".join(out) + "\n" + source[end:], mutants


def _mutated(line: str, n: int) -> tuple[str, str] | None:
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
    if found := COMPARED.match(line):
        return "decision", f"{found[1]}return ({found[2]}) != ({turn})"
    return None


def build(folder: Path) -> list[Mutant]:
    """Make a copy of the checkout with the mutated engine in it."""
    listed = subprocess.run(["git", "ls-files", "cowfast", "tests", "pyproject.toml", "setup.py"], cwd=ROOT, check=True, capture_output=True, text=True).stdout  # fmt: skip
    for name in [*listed.split(), *(str(so.relative_to(ROOT)) for so in (ROOT / "cowfast").rglob("*.so"))]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    if (ROOT.parent / "shared").exists():
        (folder.parent / "shared").symlink_to(ROOT.parent / "shared")
    source, mutants = schema((folder / ENGINE).read_text())
    (folder / ENGINE).write_text(source)
    setup = (folder / "setup.py").read_text().replace('rglob("*.pyx")', 'glob("_engine.pyx")').replace('"-O3"', '"-O1"')
    (folder / "setup.py").write_text(setup)
    subprocess.run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=folder, check=True, capture_output=True)  # fmt: skip
    return mutants


def run_tests(number: int, said: Path) -> str:
    """Run the tests as mutant *number*, in a child; return what killed it."""
    child = os.fork()
    if child == 0:
        os.setsid()
        code = 255
        try:
            with said.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            code = _as_mutant(number)
        finally:
            os._exit(code)
    deadline = time.monotonic() + PATIENCE
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "hang"
        time.sleep(0.02)
    if os.WIFSIGNALED(status):
        return "crash"
    code = os.waitstatus_to_exitcode(status)
    return "" if code == 0 else "crash" if code == 255 else TESTS[code - 1][0]


def _as_mutant(number: int) -> int:
    import pytest

    from cowfast import _engine

    _engine._set_mutant(number)
    options = ["-x", "-q", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib -m 'not long'", "--hypothesis-profile=mutants"]  # fmt: skip
    for place, tests in enumerate(TESTS, 1):
        if pytest.main([*options, *tests]):
            return place
    return 0


def main() -> int:
    """Build, run, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, help="so many of them, drawn with --seed; all if not given")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="numbers, separated by commas")
    parser.add_argument("--budget", type=float, help="seconds after which no further one is begun")
    parser.add_argument("--json", type=Path, help="write figures and survivors to this file")
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="cowfast-mutants-"))
    try:
        return _run(options, scratch)
    finally:
        shutil.rmtree(scratch)


def _run(options: argparse.Namespace, scratch: Path) -> int:
    folder = scratch / "cowfast"
    mutants = build(folder)
    print(f"{len(mutants)} places", flush=True)
    chosen = mutants
    if options.only:
        chosen = [mutants[int(n) - 1] for n in options.only.split(",")]
    elif options.sample:
        chosen = sorted(random.Random(options.seed).sample(mutants, min(options.sample, len(mutants))), key=lambda m: m.number)  # fmt: skip
    os.chdir(folder)
    sys.path[:0] = [str(folder), str(folder / "tests")]
    import hypothesis
    import numpy as np  # noqa: F401  (before the forks, as all the rest that tests load)

    import cowfast._engine
    import cowfast.oracle.replay

    assert cowfast._engine.__file__.startswith(str(folder)), "the copy must be the one that is tested"
    hypothesis.settings.register_profile(
        "mutants", max_examples=150, derandomize=True, deadline=None, database=None, phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    if what := run_tests(0, scratch / "said"):
        sys.exit(f"without a mistake the tests fail already ({what}):\n{(scratch / 'said').read_text()[-3000:]}")
    begun, done = time.monotonic(), []
    for mutant in chosen:
        if options.budget and time.monotonic() - begun > options.budget:
            break
        mutant.killed_by = run_tests(mutant.number, scratch / "said")
        done.append(mutant)
        if not mutant.killed_by or options.only:
            print(f"{mutant.number} {'survives' if not mutant.killed_by else mutant.killed_by}: {mutant.function}: {mutant.text}", flush=True)  # fmt: skip
        if options.only:
            print((scratch / "said").read_text()[-1500:])
    figures = summary(mutants, done, time.monotonic() - begun)
    print(json.dumps({key: value for key, value in figures.items() if key != "survivors"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if figures["killed"] >= 0.95 * len(done) else 1


def summary(mutants: list[Mutant], done: list[Mutant], seconds: float) -> dict[str, Any]:
    """Return what is kept: figures, and the survivors with what explains them."""
    survivors = [asdict(m) | {"why": EXPLAINED.get((m.function, m.text), "")} for m in done if not m.killed_by]
    kinds = {
        kind: {
            "places": sum(m.kind == kind for m in mutants),
            "tried": sum(m.kind == kind for m in done),
            "killed": sum(m.kind == kind and bool(m.killed_by) for m in done),
        }
        for kind in ("count", "flag", "decision")
    }
    by: dict[str, int] = {}
    for mutant in done:
        if mutant.killed_by:
            by[mutant.killed_by] = by.get(mutant.killed_by, 0) + 1
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "places": len(mutants),
        "tried": len(done),
        "killed": sum(bool(m.killed_by) for m in done),
        "kinds": kinds,
        "killed_by": by,
        "seconds": round(seconds),
        "survivors": survivors,
    }


if __name__ == "__main__":
    sys.exit(main())
