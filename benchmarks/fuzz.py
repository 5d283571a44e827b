#!/usr/bin/env python
# SPDX-License-Identifier: MIT
"""Fuzzes every reader of files (tests/fuzz_targets.py) for a night, or for as many inputs as you say.

    python benchmarks/fuzz.py                             # 100,000 inputs for each target
    python benchmarks/fuzz.py perf csv --runs 1000000
    python benchmarks/fuzz.py --save                      # and pack the smallest that reach new code (tests/data/corpus)
    python benchmarks/fuzz.py --corpus out/corpus         # go on from what earlier runs left there, and leave it there
    python benchmarks/fuzz.py --json docs/data/reliability/fuzz.json

With `atheris` (pip install 'cowfast[fuzz]') the inputs are guided by the coverage of cowfast's Python code; without it they are
changed at random, and the figures say so.  Each target runs in a process of its own with bounded memory; an input that
crashes it, takes longer than 5 s, needs more than the memory or raises what is not documented is kept in --findings and
makes the exit code 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
CORPUS = ROOT / "tests" / "data" / "corpus"

#: Seconds for one input, MiB of address space of a target's process, and bytes of one target's saved inputs.
HANG, MEMORY, KEPT = 5, 4096, 20_000


def main() -> int:
    """Run the targets one after another and say what was found."""
    options = _options()
    if options.child:
        return _child(options.targets[0], options)
    import fuzz_targets

    options.findings.mkdir(parents=True, exist_ok=True)
    bad = 0
    for name in options.targets or fuzz_targets.TARGETS:
        one = _run(name, options)
        bad += one["findings"]
        print(name, json.dumps(one), flush=True)
        if options.json:
            _write(options.json, name, one)
    return 1 if bad else 0


def _write(path: Path, name: str, one: dict[str, Any]) -> None:
    """Add the figures of a run to those of the runs before; the findings are those of the last run of each target."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = json.loads(path.read_text())["targets"] if path.exists() else {}
    if name in before:
        last = before[name]
        said = {word: last["said"].get(word, 0) + one["said"].get(word, 0) for word in {**last["said"], **one["said"]}}
        one |= {
            "inputs": last["inputs"] + one["inputs"],
            "said": said,
            "seconds": round(last["seconds"] + one["seconds"], 1),
            "reached_new_code": last.get("reached_new_code", 0) + one["reached_new_code"],
        }
        one["guided"] &= last["guided"]
    found = dict(sorted((before | {name: one}).items()))
    guided = all(each["guided"] for each in found.values())
    document = {
        "what": "inputs fuzzed" + ("" if guided else "; not guided by coverage, for atheris is not installed"),
        "inputs": sum(one["inputs"] for one in found.values()),
        "findings": sum(one["findings"] for one in found.values()),
        "seconds_allowed": HANG,
        "memory_allowed_mib": MEMORY,
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "targets": found,
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--runs", type=int, default=100_000, help="inputs for each target")
    parser.add_argument("--seconds", type=int, default=0, help="stop a target after so long (0: only --runs)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--save", action="store_true", help="pack the smallest inputs that reached new code into tests/data/corpus"
    )
    parser.add_argument("--corpus", type=Path, help="folder of a folder for each target, to begin with and to add to")
    parser.add_argument("--json", type=Path, help="figures to add to")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="where bad inputs are kept")
    parser.add_argument("--plain", action="store_true", help="without atheris, even if it is there")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--words", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _run(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run a target in a process of its own, which may crash."""
    import fuzz_targets

    guided = not options.plain and _atheris()
    shared = fuzz_targets._SHM
    with (
        tempfile.TemporaryDirectory(prefix="cowfast-corpus-") as text,
        tempfile.TemporaryDirectory(prefix="cowfast-fuzz-", dir=shared) as room,
    ):
        corpus = options.corpus / name if options.corpus else Path(text) / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        for data in fuzz_targets.corpus(name):
            named = hashlib.sha1(data, usedforsecurity=False).hexdigest()  # as libFuzzer does
            (corpus / named).write_bytes(data)
        known = len(list(corpus.iterdir()))
        before = _kept(name, options)
        command = [sys.executable, __file__, name, "--child", str(corpus), "--runs", str(options.runs)]
        command += ["--seconds", str(options.seconds), "--seed", str(options.seed), "--findings", str(options.findings)]
        command += ["--words", str(Path(text) / "words")]
        command += [] if guided else ["--plain"]
        begun = time.monotonic()
        environment = os.environ | {"COWFAST_FUZZ_ROOM": room}
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, env=environment)
        seconds = time.monotonic() - begun
        kept = len(list(corpus.iterdir())) - known
        if options.save:
            _save(name, [path.read_bytes() for path in corpus.iterdir()])
    counts = json.loads((re.findall(r"^COUNTS (.*)$", done.stderr, re.M) or ["{}"])[-1])
    new = _kept(name, options) - before
    bad = done.returncode != 0
    if bad:
        (options.findings / f"{name}.log").write_text(done.stdout[-20_000:] + done.stderr[-20_000:])
    return {
        "inputs": sum(counts.values()),
        "said": counts,
        "seconds": round(seconds, 1),
        "guided": guided,
        "reached_new_code": kept,
        "findings": max(len(new), int(bad)),
    }


def _kept(name: str, options: argparse.Namespace) -> set[Path]:
    return {path for kind in ("crash", "timeout", "oom", "bad") for path in options.findings.glob(f"{name}-{kind}-*")}


def _atheris() -> bool:
    import importlib.util

    return importlib.util.find_spec("atheris") is not None


def _save(name: str, found: list[bytes]) -> None:
    """Pack the smallest of the inputs that reached new code: all together at most :data:`KEPT` bytes."""
    import fuzz_targets

    CORPUS.mkdir(parents=True, exist_ok=True)
    total = 0
    with zipfile.ZipFile(CORPUS / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for data in sorted(set(found) - set(fuzz_targets.seeds(name)), key=lambda data: (len(data), data)):
            total += len(data)
            if total <= KEPT:
                file.writestr(zipfile.ZipInfo(hashlib.sha256(data).hexdigest()[:12]), data)


def _child(name: str, options: argparse.Namespace) -> int:
    """Fuzz one target in this process; the counts go to stderr every now and then, for the process may die."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY << 20, MEMORY << 20))
    if options.plain:
        return _change_at_random(name, options)
    import atheris

    with atheris.instrument_imports(include=["cowfast"], enable_loader_override=False):
        import fuzz_targets
    said = _Counts()

    def test(data: bytes) -> None:
        said.add(fuzz_targets.call(name, data))

    words = options.words
    quoted = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in fuzz_targets.WORDS[name])
    words.write_text("".join(f'"{word}"\n' for word in quoted))
    arguments = [sys.argv[0], f"-max_len={fuzz_targets.MAX_LENGTH}", f"-timeout={HANG}", "-rss_limit_mb=3072"]
    arguments += [f"-artifact_prefix={options.findings}/{name}-", f"-dict={words}", f"-seed={options.seed}"]
    arguments += [f"-runs={options.runs}", f"-max_total_time={options.seconds}", str(options.child)]
    atheris.Setup(arguments, test)
    atheris.Fuzz()
    return 0


class _Counts:
    """What the target said, printed every thousand inputs."""

    def __init__(self) -> None:
        self.said: Counter[str] = Counter()
        self.total = 0

    def add(self, word: str) -> None:
        self.said[word] += 1
        self.total += 1
        if self.total % 100 == 0:
            print("COUNTS", json.dumps(self.said), file=sys.stderr, flush=True)


def _change_at_random(name: str, options: argparse.Namespace) -> int:
    """The same without coverage: saved inputs with pieces cut out, doubled, exchanged and overwritten."""
    import random
    import signal

    import fuzz_targets

    def hang(_number: int, _frame: object) -> None:
        raise TimeoutError(f"longer than {HANG} s")

    signal.signal(signal.SIGALRM, hang)
    draw, said = random.Random(options.seed), _Counts()
    corpus = [path.read_bytes() for path in sorted(options.child.iterdir())]
    words = [word.encode() for word in fuzz_targets.WORDS[name]]
    for _ in range(options.runs):
        data = bytearray(draw.choice(corpus))
        for _ in range(draw.randint(1, 4)):
            at, length = draw.randint(0, len(data)), draw.choice((0, 1, 4, 30))
            other = draw.choice(corpus)
            start = draw.randint(0, len(other))
            piece = draw.choice((b"", draw.randbytes(3), draw.choice(words), other[start : start + 60]))
            data[at : at + length] = piece
        try:
            signal.alarm(HANG)
            said.add(fuzz_targets.call(name, bytes(data[: fuzz_targets.MAX_LENGTH])))
        except BaseException:
            (options.findings / f"{name}-bad-{said.total}").write_bytes(data)
            raise
        finally:
            signal.alarm(0)
    print("COUNTS", json.dumps(said.said), file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
