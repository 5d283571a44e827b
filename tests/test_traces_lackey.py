# SPDX-License-Identifier: MIT
"""The lackey importer: on logs written here, and on real ones where valgrind is installed."""

import shutil
import subprocess
import sys
import time

import pytest

from conftest import FOREIGN
from cowfast.errors import TraceError
from cowfast.events import format_event
from cowfast.simulate import simulate
from cowfast.traces import Trace, import_lackey

PAGE = 0x1000


class Log:
    """One log of lackey."""

    def __init__(self, pid: int, parent: int = 1) -> None:
        self.pid = pid
        self.lines = [f"=={pid}== Lackey, an example Valgrind tool", f"=={pid}== Parent PID: {parent}", f"=={pid}== "]

    def load(self, address: int, size: int = 8) -> None:
        self.lines.append(f" L {address:08x},{size}")

    def store(self, address: int, size: int = 8) -> None:
        self.lines.append(f" S {address:08x},{size}")

    def modify(self, address: int, size: int = 8) -> None:
        self.lines.append(f" M {address:08x},{size}")

    def fetch(self, address: int) -> None:
        self.lines.append(f"I  {address:08x},3")

    def call(self, number: int, text: str) -> None:
        self.lines.append(f"SYSCALL[{self.pid},1]({number:3}) {text}")

    def fork(self, child: int) -> None:
        self.call(
            56,
            f"sys_clone ( 1200011, 0x0, 0x0, 0x4a28a10, 0x0 )   clone(fork): process {self.pid} created child {child}",
        )

    def wait(self, child: int) -> None:
        self.call(61, f"sys_wait4 ( {child}, 0x0, 0, 0x0 ) --> [async] ... ")
        self.call(61, f"... [async] --> Success(0x{child:x}) ")

    def write(self, directory) -> str:
        path = directory / f"x.{self.pid}.log"
        path.write_text("\n".join(self.lines) + "\n")
        return path


def merged(tmp_path, *logs: Log, **options) -> list[str]:
    trace = import_lackey([log.write(tmp_path) for log in logs], tmp_path / "x.cow", **options)
    merged.trace = trace
    return [format_event(event) for chunk in trace.chunks() for event in chunk]


def test_runs_of_one_page_are_one_access(tmp_path):
    log = Log(10)
    for address in (0, 8, 16):
        log.load(address)
    log.store(24)
    log.load(32)  # after a write a read says nothing new
    log.store(40)
    log.fetch(PAGE)
    log.load(PAGE)
    log.load(0)
    assert merged(tmp_path, log, window=1) == ["fork 0 1", "read 1 0", "write 1 0", "read 1 1", "read 1 0", "exit 1"]
    assert merged(tmp_path, log, window=8) == ["fork 0 1", "read 1 0", "write 1 0", "read 1 1", "exit 1"]


def test_an_access_over_the_edge_is_two(tmp_path):
    log = Log(10)
    log.modify(PAGE - 4, 8)
    assert merged(tmp_path, log)[1:-1] == ["write 1 0", "write 1 1"]


def test_a_fork_makes_every_access_count_again(tmp_path):
    parent, child = Log(10), Log(11, 10)
    parent.store(0)
    parent.fork(11)
    parent.store(0)
    parent.wait(11)
    parent.store(PAGE)
    child.store(0)
    for seed in range(20):
        events = merged(tmp_path, parent, child, seed=seed, quantum=1)
        assert events[:3] == ["fork 0 1", "write 1 0", "fork 1 2"]
        assert events.index("exit 2") < events.index("write 1 1")  # the wait
        assert events.count("write 1 0") == 2


def test_the_seed_draws_the_order_and_nothing_else(tmp_path):
    parent, children = Log(10), [Log(11 + i, 10) for i in range(3)]
    parent.store(0)
    for i, child in enumerate(children):
        parent.fork(child.pid)
        for page in range(40):
            child.store((i * 64 + page) * PAGE)
    for child in children:
        parent.wait(child.pid)
    ways = [merged(tmp_path, parent, *children, seed=seed, quantum=5) for seed in (1, 1, 2)]
    assert ways[0] == ways[1] != ways[2]
    # Numbers of processes and pages depend on the order, what each does does not.
    assert next(sorted(e.split()[0] for e in way) for way in ways[1:]) == sorted(e.split()[0] for e in ways[2])


def test_unmapping_and_shared_memory(tmp_path):
    log = Log(10)
    log.store(0x10000)
    log.call(11, "sys_munmap ( 0x10000, 4096 )[sync] --> Success(0x0) ")
    log.store(0x10000)
    log.call(28, "sys_madvise ( 0x10000, 4096, 4 )[sync] --> Success(0x0) ")
    log.call(12, "sys_brk ( 0x0 ) --> [pre-success] Success(0x30000)")
    log.store(0x2F000)
    log.call(12, "sys_brk ( 0x2f000 ) --> [pre-success] Success(0x2f000)")
    log.call(9, "sys_mmap ( 0x0, 8192, 3, 1, 4, 0 ) --> [pre-success] Success(0x50000) ")
    log.store(0x50000)
    log.store(0x52000)
    assert merged(tmp_path, log)[1:-1] == [
        "write 1 16", "discard 1 16 n=1", "write 1 16", "discard 1 16 n=1", "write 1 47", "discard 1 47 n=1", "write 1 82",
    ]  # fmt: skip
    assert merged.trace.summary.found["accesses to shared memory"] == 1


def test_a_child_without_a_log_is_left_out_and_said(tmp_path):
    log = Log(10)
    log.fork(11)
    log.wait(11)
    log.store(0)
    assert merged(tmp_path, log) == ["fork 0 1", "write 1 0", "exit 1"]
    assert "1 children have no log" in " ".join(merged.trace.notes)


def test_an_exec_ends_what_the_log_shows(tmp_path):
    log = Log(10)
    log.store(0)
    log.call(59, "sys_execve ( 0x4a2b040(/bin/true), 0x1, 0x2 ) --> [async] ... ")
    log.store(PAGE)
    assert merged(tmp_path, log) == ["fork 0 1", "write 1 0", "exit 1"]


def test_mixed_processes_are_refused_with_the_reason(tmp_path):
    log = Log(10)
    log.store(0)
    log.lines.append("==11== Warning: something")
    with pytest.raises(TraceError, match=r"processes 10 and 11.*%p"):
        merged(tmp_path, log)
    log = Log(10)
    log.lines.append("SYSCALL[11,1]( 60) sys_exit ( 0 )")
    with pytest.raises(TraceError, match=r"do not say whose.*%p"):
        merged(tmp_path, log)


BAD = {
    "prose": ("hello\n" * 300, "not a lackey log"),
    "empty": ("", "not a lackey log"),
    "a strange line": ("==5== Parent PID: 1\n S 1000,8\nwhat\n", "line 3.*'what'"),
    "an address of 20 digits": ("==5== Parent PID: 1\n S 12345678901234567890,8\n", "line 2.*not a line"),
    "a size that is none": ("==5== Parent PID: 1\n S 1000,x\n", "not a line"),
    "a line without end": ("==5== Parent PID: 1\n" + "S" * 3_000_000, "longer than|not a line"),
    "binary": ("==5== Parent PID: 1\n S 1000,8\n\0\0\0\n", "not a line"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_logs_are_refused(tmp_path, what):
    text, said = BAD[what]
    path = tmp_path / "x.5.log"
    path.write_text(text)
    with pytest.raises(TraceError, match=said):
        import_lackey([path], tmp_path / "x.cow")
    assert not (tmp_path / "x.cow").exists()


def test_logs_of_different_runs(tmp_path):
    one, two = Log(10), Log(10)
    a = one.write(tmp_path)
    (tmp_path / "b").mkdir()
    with pytest.raises(TraceError, match="same process"):
        import_lackey([a, two.write(tmp_path / "b")], tmp_path / "x.cow")
    with pytest.raises(TraceError, match="no log shows how"):
        merged(tmp_path, Log(10), Log(11, 10))
    with pytest.raises(TraceError, match="no logs given"):
        import_lackey([], tmp_path / "x.cow")


def test_a_million_lines_a_second_in_little_memory(tmp_path):
    log = Log(10)
    body = "".join(
        f"I  0401{i & 0xFFF:04x},3\n S 1ffe{i * 37 & 0xFFFF:04x}78,8\n L 0{i * 101 & 0xFFFFF:05x}08,4\n"
        for i in range(20_000)
    )
    path = tmp_path / "x.10.log"
    path.write_text("\n".join(log.lines) + "\n" + body * 20)
    before = time.process_time()
    trace = import_lackey([path], tmp_path / "x.cow")
    assert time.process_time() - before < 1.2  # 1.2 million lines
    assert trace.summary.found["lines of access"] == 1_200_000


# ---------------------------------------------------------------- real logs


def valgrind(tmp_path, *program: str) -> Trace:
    if shutil.which("valgrind") is None:
        pytest.skip("needs valgrind")
    command = [
        "valgrind",
        "--tool=lackey",
        "--trace-mem=yes",
        "--trace-syscalls=yes",
        f"--log-file={tmp_path}/x.%p.log",
    ]
    subprocess.run([*command, *program], check=True, capture_output=True, env=FOREIGN)
    logs = sorted(tmp_path.glob("x.*.log"))
    try:
        return import_lackey(logs, tmp_path / "real.cow", seed=1)
    finally:
        for log in logs:  # a gigabyte, maybe
            log.unlink()


def test_a_forking_c_program(tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    (tmp_path / "f.c").write_text(
        "#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n#include <sys/wait.h>\n"
        "int main(void) { char *p = aligned_alloc(4096, 200 * 4096); memset(p, 1, 200 * 4096);\n"
        "  for (int k = 0; k < 2; k++) { pid_t c = fork();\n"
        "    if (!c) { for (int i = 0; i < 100; i++) p[i * 4096] = 2; _exit(0); }\n"
        "    waitpid(c, 0, 0); for (int i = 50; i < 150; i++) p[i * 4096] = 3; }\n  return 0; }\n"
    )
    subprocess.run([compiler, "-O0", "-o", tmp_path / "f", tmp_path / "f.c"], check=True)
    trace = valgrind(tmp_path, str(tmp_path / "f"))
    by_op = trace.summary.events_by_op
    assert (by_op["fork"], by_op["exit"]) == (3, 3)
    result = simulate(trace, "linux-6.18")
    # Each child copies its 100 pages and a few of its stack; the parent, alone again, reuses.
    assert 200 <= result.counters["copies"] <= 240
    assert result.counters["reuses"] >= 150


@pytest.mark.long
def test_a_forking_python(tmp_path):
    """A log of 50 million lines, most of them the interpreter's start."""
    script = "import os\nd = [str(i) for i in range(9000)]\np = os.fork()\n[s for s in d]\nif p: os.wait()\nelse: os._exit(0)\n"
    trace = valgrind(tmp_path, sys.executable, "-S", "-E", "-c", script)
    assert trace.summary.events_by_op["fork"] == 2
    assert trace.summary.found["accesses"] > 1_000_000
    assert simulate(trace, "linux-6.18").counters["copies"] > 50
