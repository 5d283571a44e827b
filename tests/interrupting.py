# SPDX-License-Identifier: MIT
"""Every command, started, sent a signal, and looked at afterwards."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cowfast.errors import InvariantError, ResultsError, SpecError
from cowfast.litmus import load_scenario, promote
from cowfast.results import load_results
from cowfast.simulate import Simulator
from cowfast.traces import TraceWriter, load_trace
from cowfast.workloads import workload
from perf_text import HEAP, Recording

COMMAND = [sys.executable, "-c", "from cowfast.cli import main; main()"]
EARLIER = b"what an earlier run wrote\n"
LITMUS = "name x\nspace 1\n\nwrite 0 0\nfork 0 1\n!write 0 0\n\nexpect disk\n  reuse : linux-6.18\n"
#: As perf does; the program and a helper of it go on until they are told to end.
FAKE_PERF = """#!/bin/sh
case "$1" in
record) while [ "$1" != -o ]; do shift; done; echo data > "$2"; while [ "$1" != -- ]; do shift; done; shift
  "$@" & child=$!; trap 'kill $child; wait $child; exit 0' INT TERM; wait $child ;;
script) sed "1,3s/^ *[^ ]*/perf-exec/" perf.txt ;;
esac
"""


def scenarios():
    """Return name -> words; ``{in}`` is the folder of inputs, outputs are ``out.*`` in the current folder."""
    work = ["--events", "3000000", "--memory", "75%", "-q"]
    few = ["-p", "linux-5.10,linux-6.18"]
    return {
        "run": ["run", "random-mix", *work],
        "run and keep": ["run", "random-mix", "--snapshot", "kept.npz", *work],
        "run a trace": ["run", "{in}/t.cow", "--memory", "50%"],
        "run the reference": ["run", "random-mix", "--engine", "reference", "--events", "5000", "--memory", "75%"],
        "compare": ["compare", "random-mix", *few, *work],
        "compare results": ["compare", "{in}/r.jsonl"],
        "sweep": ["sweep", "{in}/spec.toml", "-o", "out.jsonl", "--executor", "threads:2"],
        "sweep in processes": ["sweep", "{in}/spec.toml", "-o", "out.jsonl", "--executor", "processes:2"],
        "rerun": ["rerun", "{in}/r.jsonl", "{id}"],
        "export csv": ["export", "{in}/r.jsonl", "-o", "out.csv"],
        "export parquet": ["export", "{in}/r.jsonl", "-o", "out.parquet"],
        "plot": ["plot", "{in}/r.jsonl", "copies", "-o", "out.png"],
        "report": ["report", "{in}/r.jsonl", "-o", "out.html"],
        "import perf": ["trace", "import", "perf", "{in}/perf.txt", "-o", "out.cow"],
        "import lackey": ["trace", "import", "lackey", "{in}/lackey.log", "-o", "out.cow"],
        "import csv": ["trace", "import", "csv", "{in}/e.csv", "-o", "out.cow"],
        "info": ["trace", "info", "{in}/t.cow"],
        "cat": ["trace", "cat", "{in}/t.cow"],
        "cut": ["trace", "cut", "{in}/t.cow", "-o", "out.cow", "--process", "1"],
        "convert to csv": ["trace", "convert", "{in}/t.cow", "out.csv"],
        "convert to parquet": ["trace", "convert", "{in}/t.cow", "out.parquet"],
        "convert to cow": ["trace", "convert", "{in}/t.cow", "out.cow", "--compression", "none"],
        "merge": ["trace", "merge", "{in}/t.cow", "{in}/t.cow", "-o", "out.cow"],
        "record": ["record", "-o", "out.cow", "--keep", "out.txt", "--", "sleep", "2"],
        "verify": ["verify", "{in}/perf.txt"],
        "litmus": ["litmus", "{in}/x.litmus", "-p", "linux-6.18"],
        "promote": ["litmus", "out.litmus", "--promote"],
        "step": ["step", "{in}/x.litmus", "-p", "linux-5.10,linux-6.18"],
        "explain": ["explain", "random-mix", "--event", "2999997", *work],
        "explore": ["explore", "-p", "linux-5.7", "--pins", "0", "--properties", "no-leak", "-o", "out.litmus"],
        "policies": ["policies", "show", "linux-6.18"],
        "workloads": ["workloads"],
        "counters": ["counters"],
        "doctor": ["doctor"],
        "bench": ["bench", "--quick", "--rows", "mix-16x1024", "--rounds", "2"],
    }


def make_inputs(folder):
    """Write what the commands read: large enough that a signal falls into the work."""
    folder.mkdir(exist_ok=True)
    (folder / "x.litmus").write_text(LITMUS)
    promote(folder / "x.litmus", ["linux-6.18"], ["disk"])
    (folder / "spec.toml").write_text(
        'source = "random-mix"\nmemory = "75%"\nsource_parameters = {events = 200_000}\n'
        '[grid]\npolicy = ["linux-5.10", "linux-6.18"]\nseed = {from = 1, to = 8}\n'
    )
    (folder / "small.toml").write_text(
        'source = "random-mix"\nsource_parameters = {events = 20_000}\npolicy = ["linux-5.16", "linux-6.18"]\nseed = [1, 2]\n'
    )
    made = subprocess.run([*COMMAND, "sweep", "small.toml", "-o", "r.jsonl", "-q"], cwd=folder, check=False)
    assert made.returncode == 0
    with TraceWriter(folder / "t.cow") as out:
        for chunk in workload("random-mix", events=400_000, processes=8, pages=512).chunks(1):
            out.write(chunk)
    recording = Recording()
    recording.mmap(100, HEAP, 0x400000, name="[heap]")
    for page in range(120_000):
        recording.touch(100, HEAP + page % 1024 * 4096)
    (folder / "perf.txt").write_text("\n".join(recording.lines) + "\n")
    (folder / "lackey.log").write_text(
        "==10== Lackey\n==10== Parent PID: 1\n" + " S 1fff000778,8\n L 04000ff8,16\n" * 100_000
    )
    (folder / "e.csv").write_text("op,pid,page\n" + "".join(f"write,0,{i % 999}\n" for i in range(100_000)))
    (folder / "perf").write_text(FAKE_PERF.replace("perf.txt", str(folder / "perf.txt")))
    (folder / "perf").chmod(0o755)
    return folder


class Found(NamedTuple):
    """What a signal did: exit code, seconds from the signal to the end, and what is not as it should be."""

    name: str
    number: int
    moment: float
    code: int
    answer: float
    problems: list


def send(name, inputs, folder, number, share):
    """Start a command in ``folder``, send a signal after a share of its usual duration, and look at what is left."""
    folder.mkdir(parents=True)
    process = start(name, inputs, folder)
    moment = share * _duration(name, inputs)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(moment)
    sent = time.monotonic()
    process.send_signal(number)
    problems = []
    try:
        said = process.communicate(timeout=30)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        said = process.communicate()[1]
        problems.append("no answer within 30 s")
    answer = time.monotonic() - sent
    # -number: before Python read our first line; nothing had begun.
    done = 1 if name == "explore" else 0  # it finds the counter-example that there is
    if process.returncode not in (done, 128 + number, -number):
        problems.append(f"exit code {process.returncode}: {said[-500:]}")
    if "Traceback" in said and process.returncode != -number:
        problems.append(f"traceback: {said[-800:]}")
    problems += left_behind(folder, process.pid) + broken(folder)
    return Found(name, number, moment, process.returncode, answer, problems)


def start(name, inputs, folder):
    """Start a command in a session of its own, so that its descendants can be told."""
    (folder / "tmp").mkdir(exist_ok=True)
    identity = (inputs / "r.jsonl").read_bytes()[7:23].decode()
    words = [word.replace("{in}", str(inputs)).replace("{id}", identity) for word in scenarios()[name]]
    for word in words:
        if word.startswith("out.") and not (folder / word).exists() and not word.endswith(".jsonl"):
            (folder / word).write_bytes(LITMUS.encode() if word.endswith(".litmus") else EARLIER)
    environment = os.environ | {
        "TMPDIR": str(folder / "tmp"),
        "PATH": f"{inputs}:{os.environ['PATH']}",
        "MPLBACKEND": "agg",
    }
    return subprocess.Popen([*COMMAND, *words], cwd=folder, env=environment, start_new_session=True, text=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip


@cache
def _duration(name, inputs):
    """Return the shorter of two: the first may have to read everything from the disk."""
    import tempfile

    seconds = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            begun = time.monotonic()
            process = start(name, inputs, Path(folder))
            said = process.communicate()[1]
            assert process.returncode in (0, 1), f"{name}: {said}"
            seconds.append(time.monotonic() - begun)
    return min(seconds)


def left_behind(folder, session):
    """Return unfinished files, and processes that outlived the command by two seconds."""
    left = sorted(path.name for path in folder.rglob("*") if path.suffix in (".part", ".partial"))
    left += [f"tmp/{path.name}" for path in sorted((folder / "tmp").glob("*"))]
    deadline = time.monotonic() + 2
    while (alive := _session(session)) and time.monotonic() < deadline and session != os.getpid():
        time.sleep(0.02)
    if session != os.getpid():
        left += alive
    for number in alive if session != os.getpid() else []:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(number.split()[1]), signal.SIGKILL)
    return left


def _session(session):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session and fields[0] != "Z":
                    found.append(f"process {entry.name} {(entry / 'cmdline').read_bytes()[:80]!r}")
    return found


def broken(folder):
    """Return what is wrong with the outputs: each is the earlier one or whole."""
    problems = []
    for path in folder.glob("kept.npz"):
        try:
            Simulator.load(path)
        except (SpecError, InvariantError) as error:
            problems.append(f"{path.name}: {error!r}")
    for path in folder.glob("out.*"):
        try:
            data = path.read_bytes()
            if data == EARLIER:
                continue
            if path.suffix == ".cow":
                trace = load_trace(path)
                assert sum(map(len, trace.chunks())) == trace.events
            elif path.suffix == ".jsonl":
                with path.open("rb+") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if data:
                    assert load_results(path).torn == 0
            elif path.suffix == ".litmus":
                load_scenario(path)
            else:
                ends = {
                    ".csv": b"\n",
                    ".txt": b"\n",
                    ".html": b"</html>",
                    ".parquet": b"PAR1",
                    ".png": b"IEND\xaeB`\x82",
                }
                assert data.endswith(ends[path.suffix]), data[-40:]
        except (AssertionError, OSError, ResultsError, ValueError) as error:
            problems.append(f"{path.name}: {error!r}")
    return problems
