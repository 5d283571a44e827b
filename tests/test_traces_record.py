# SPDX-License-Identifier: MIT
"""`cowfast record`: really, where perf is there and permitted; and what is said where it is not."""

import os
import shutil
import subprocess
import sys

import pytest

from cowfast.errors import TraceError
from cowfast.oracle.perf import verify_perf
from cowfast.traces import record
from cowfast.traces.record import events_there

FORKS = (
    "import os\nheap = [{'i': i} for i in range(20000)]\n"
    "for g in range(2):\n"
    "    p = os.fork()\n"
    "    if not p:\n        sum(o['i'] for o in heap)\n        os._exit(0)\n"
    "    os.waitpid(p, 0)\n    sum(o['i'] for o in heap)\n"
    "raise SystemExit(3)\n"
)


@pytest.fixture
def perf(tmp_path) -> None:
    """Skip where page faults cannot be recorded, saying why."""
    if shutil.which("perf") is None:
        pytest.skip("needs perf")
    command = ["perf", "record", "-q", "-a", "-e", "exceptions:page_fault_user", "-o", tmp_path / "probe", "--", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (tmp_path / "probe").unlink(missing_ok=True)
    if done.returncode:
        pytest.skip(f"perf may not record page faults here: {done.stderr.strip()[-120:]}")


def test_a_forking_python_is_recorded_and_verifies(perf, tmp_path):
    said = []
    found = record([sys.executable, "-c", FORKS], tmp_path / "x.cow", keep=tmp_path / "x.txt.zst", say=said.append)
    assert found.status == 3
    assert found.trace.summary.events_by_op["fork"] >= 3
    agreement = verify_perf(found.trace.path, "linux-6.18")
    assert agreement.faults > 1000
    assert agreement.agreement >= 0.999
    again = verify_perf(tmp_path / "x.txt.zst", "linux-6.18")
    assert again.faults == agreement.faults
    assert sorted(os.listdir(tmp_path)) == ["x.cow", "x.txt.zst"]


def test_a_parallel_make_is_recorded_and_verifies(perf, tmp_path):
    if shutil.which("make") is None or shutil.which("cc") is None:
        pytest.skip("needs make and cc")
    for i in range(4):
        (tmp_path / f"f{i}.c").write_text(f"int f{i}(int x) {{ return x + {i}; }}\n")
    rules = (
        "all: f0.o f1.o f2.o f3.o\n\tx=$$(echo $^ | sed s/f/g/); (y=$$x; echo $$y) >names\n%.o: %.c\n\tcc -c $< -o $@\n"
    )
    (tmp_path / "Makefile").write_text(rules)
    found = record(["make", "-s", "-j2", "-C", str(tmp_path)], tmp_path / "make.cow")
    assert found.status == 0
    assert (tmp_path / "names").read_text() == "g0.o f1.o f2.o f3.o\n"
    agreement = verify_perf(found.trace.path, "linux-6.18")
    assert agreement.faults > 300
    assert agreement.agreement >= 0.999


def test_what_is_said_where_it_cannot_be(tmp_path, monkeypatch):
    from cowfast.traces import record as function

    out = tmp_path / "x.cow"
    with pytest.raises(TraceError, match="no program given"):
        function([], out)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(TraceError, match="perf is not installed.*apt install"):
        function(["true"], out)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/perf" if name == "perf" else None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(TraceError, match="no such program"):
        function(["no-such-program"], out)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(TraceError, match="sudo cowfast record"):
        function(["true"], out)
    assert not out.exists()


def test_events_of_this_kernel():
    have, missing = events_there()
    assert set(have).isdisjoint(missing)
    assert len(have) + len(missing) == 6
