# SPDX-License-Identifier: MIT
"""The perf importer: one test for each rule of docs/formats/perf.md, and for each kind of bad input."""

import gzip
import lzma
import re
import time
import tracemalloc

import pytest
import zstandard

from cowfast.errors import TraceError
from cowfast.events import format_event
from cowfast.traces import import_perf
from cowfast.traces.perf import Kernel
from cowfast.traces.perf.importer import Importer
from perf_text import HEAP, LIB, STACK, Recording


@pytest.fixture
def imported(tmp_path):
    """Import a recording; returns [(event text, kernel word)] without the events that only say where a process runs."""

    def run(recording: Recording, *, marks: bool = False) -> list[tuple[str, int]]:
        trace = import_perf(recording.write(tmp_path / "perf.txt"), tmp_path / "x.cow")
        found = []
        for events, columns in trace.records():
            texts = map(format_event, events)
            found += [
                (t, k)
                for t, k in zip(texts, columns["kernel"].tolist(), strict=True)
                if marks or not t.startswith("cpu")
            ]
        run.trace = trace
        return found

    return run


def started(pid: int = 100) -> Recording:
    """A recording that begins with one process and its heap."""
    recording = Recording()
    recording.mmap(pid, HEAP, 0x400000, name="[heap]")
    return recording


def texts(found: list[tuple[str, int]]) -> list[str]:
    return [text for text, _ in found]


WP = Kernel.WP


def test_first_writes_forks_copies_and_reuses(imported):
    r = started()
    r.touch(100, HEAP)
    r.touch(100, HEAP + 0x1000)
    r.fork(100, 200)
    r.copy(200, HEAP)
    r.reuse(100, HEAP)
    r.gone(200)
    r.reuse(100, HEAP + 0x1008)
    assert imported(r) == [
        ("fork 0 1", 0), ("write 1 0", Kernel.ZERO), ("write 1 1", Kernel.ZERO), ("fork 1 2", 0), ("write 2 0", WP | Kernel.COPY),
        ("write 1 0", WP | Kernel.REUSE), ("exit 2", 0), ("write 1 1", WP | Kernel.REUSE),
    ]  # fmt: skip


def test_a_read_maps_the_zero_page_and_a_write_replaces_it(imported):
    r = started()
    r.fault(100, HEAP, 4)
    r.fault(100, HEAP, 7)
    r.alloc(100, zero=True)
    assert imported(r)[1:] == [("read 1 0", Kernel.UNKNOWN), ("write 1 0", WP | Kernel.ZERO)]


def test_allocations_that_are_not_the_faults(imported):
    r = started()
    for page in range(5):
        r.touch(100, HEAP + page * 0x1000)
    r.fork(100, 200)
    r.reuse(100, HEAP)
    r.wait(600)  # too late
    r.alloc(100, zero=False)
    r.reuse(100, HEAP + 0x1000)
    r.alloc(100, zero=False, flags="GFP_HIGHUSER_MOVABLE|__GFP_WRITE|__GFP_COMP")  # page cache
    r.reuse(100, HEAP + 0x2000)
    r.alloc(101, zero=False)  # another thread's
    r.reuse(100, HEAP + 0x3000)
    r.alloc(100, zero=False, flags="GFP_KERNEL_ACCOUNT|__GFP_ZERO|__GFP_COMP")  # a page table
    r.reuse(100, HEAP + 0x4000)
    r.alloc(100, zero=True)  # an execve that follows; a copy is not zeroed
    assert [word for text, word in imported(r) if word & WP] == [WP | Kernel.REUSE] * 5


def test_a_page_table_before_the_page_does_not_hide_it(imported):
    r = started()
    r.fault(100, HEAP, 6)
    r.alloc(100, zero=True, flags="GFP_KERNEL_ACCOUNT|__GFP_ZERO|__GFP_COMP")
    r.alloc(100, zero=True)
    assert imported(r)[-1] == ("write 1 0", Kernel.ZERO)


def test_files_shared_memory_and_special_mappings(imported):
    r = started()
    r.mmap(100, LIB, 0x10000, "rw-p", "/usr/lib/libc.so.6")
    r.mmap(100, LIB + 0x20000, 0x10000, "rw-s", "/dev/shm/x")
    r.mmap(100, LIB + 0x40000, 0x4000, "r--p", "[vvar]")
    r.fault(100, LIB, 4)  # page cache: nothing of ours
    r.copy(100, LIB + 8)  # its first write copies from the page cache: a new page whatever the policy
    r.fault(100, LIB + 0x1000, 6)
    r.alloc(100, zero=False)
    r.fault(100, LIB + 0x20000, 6)
    r.fault(100, LIB + 0x20000, 7)
    r.fault(100, LIB + 0x40000, 4)
    r.fault(100, LIB + 0x2000, 0x14)
    r.fork(100, 200)
    r.copy(200, LIB + 8)  # now it is anonymous
    found = imported(r)
    assert [(t.split()[0], k) for t, k in found[1:]] == [
        ("write", WP | Kernel.FILE | Kernel.COPY), ("write", Kernel.FILE | Kernel.COPY), ("fork", 0), ("write", WP | Kernel.COPY),
    ]  # fmt: skip
    assert imported.trace.summary.found["faults on shared memory"] == 3
    assert imported.trace.summary.found["write-protection faults"] == 2


def test_an_mprotect_record_keeps_pages_and_a_new_mapping_does_not(imported):
    r = started()
    r.mmap(100, LIB, 0x4000, "rw-p", "/lib/a.so")
    r.copy(100, LIB)
    r.mmap(100, LIB, 0x4000, "r--p", "/lib/a.so")  # mprotect after relocation
    assert not [t for t in texts(imported(r)) if t.startswith("discard")]
    r.mmap(100, LIB, 0x4000, "r--p", "/lib/b.so")
    assert texts(imported(r))[-1] == "discard 1 0 n=1"


def test_a_growing_anonymous_mapping_keeps_its_pages(imported):
    r = Recording()
    r.mmap(100, LIB, 0x4000)
    r.touch(100, LIB)
    r.mmap(100, LIB - 0x4000, 0x8000)
    r.fork(100, 200)
    r.copy(100, LIB)
    assert imported(r)[-1] == ("write 1 0", WP | Kernel.COPY)


def test_munmap_and_madvise_discard_what_is_there(imported):
    r = started()
    for page in (3, 4, 511, 512, 700):
        r.touch(100, HEAP + page * 0x1000)
    r.madvise(100, HEAP, 0x4000, 4)
    r.munmap(100, HEAP + 0x4000, 512 * 0x1000)
    r.madvise(100, HEAP, 0x100000, 8)  # MADV_FREE: the pages stay
    r.madvise(100, HEAP + 700 * 0x1000, 0x1000, 21)
    r.madvise(100, HEAP + 700 * 0x1000, 0x1000, 3)
    r.munmap(100, 0, 1 << 47)  # all of it
    found = texts(imported(r))
    assert found[6:] == ["discard 1 3 n=1", "discard 1 4 n=508", "discard 1 512 n=1", "pageout 1 700 n=1", "prefetch 1 700 n=1",
                         "discard 1 700 n=1"]  # fmt: skip
    assert any("1 MADV_FREE calls are left out" in note for note in imported.trace.notes)


def test_a_page_that_went_without_a_record(imported):
    r = started()
    r.touch(100, HEAP)
    r.fork(100, 200)
    r.touch(200, HEAP)  # absent, though the child should have it: brk and sbrk leave no record
    found = imported(r)
    assert found[-2:] == [("discard 2 0", Kernel.IMPLIED), ("write 2 0", Kernel.ZERO)]


def test_two_threads_that_fault_on_one_absent_page(imported):
    r = started()
    r.fork(100, 100, tid=101)
    r.fault(100, HEAP, 6, tid=100)
    r.fault(100, HEAP, 6, tid=101, cpu=1)
    r.alloc(100, zero=True, tid=100)
    r.fault(100, HEAP + 0x1000, 6, tid=101, cpu=1)
    r.alloc(100, zero=True, tid=101, cpu=1)
    r.exit(100)
    r.line(100, "kmem:mm_page_alloc: page=0x1 pfn=0x1 order=0 migratetype=0 gfp_flags=GFP_KERNEL", tid=101)
    assert texts(imported(r)) == ["fork 0 1", "write 1 0", "write 1 1"]  # and it is not gone: 101 runs on


def test_threads_do_not_end_a_process(imported):
    r = started()
    r.fork(100, 100, tid=101)
    r.touch(100, HEAP)
    r.exit(100, tid=100)
    r.touch(100, HEAP + 0x1000)
    r.exit(100, tid=101)
    r.exit_mmap(100)
    assert texts(imported(r))[1:] == ["write 1 0", "write 1 1", "exit 1"]


def test_exec_brings_a_new_address_space_and_a_filled_stack(imported):
    r = started()
    r.touch(100, HEAP)
    r.alloc(100, zero=True)  # execve writes arguments into the new stack; no fault
    r.alloc(100, zero=True)
    r.exec(100)
    r.mmap(100, STACK, 0x21000, name="[stack]")
    r.mmap(100, HEAP, 0x400000, name="[heap]")
    r.touch(100, HEAP)
    r.fork(100, 200)
    r.copy(100, STACK + 0x20000)  # the top page was never faulted in
    found = imported(r)
    assert texts(found)[:3] == ["fork 0 1", "write 1 0", "exec 1"]
    stack = [text for text, word in found if word == Kernel.IMPLIED]
    assert len(stack) == 2
    assert found[-1] == (stack[0], WP | Kernel.COPY)


def test_a_vfork_shares_memory_until_its_exec(imported):
    r = started()
    r.touch(100, HEAP)
    r.fork(100, 200)
    r.fork(200, 300)
    r.touch(300, HEAP + 0x1000)  # in 200's memory
    r.exec(300, vfork=True)
    r.mmap(300, HEAP, 0x1000, name="[heap]")
    r.touch(300, HEAP)
    r.copy(200, HEAP)
    r.gone(300)
    r.gone(200)
    assert texts(imported(r)) == [
        "fork 0 1",
        "write 1 0",
        "fork 1 2",
        "write 2 1",
        "fork 0 3",
        "write 3 0",
        "write 2 0",
        "exit 3",
        "exit 2",
    ]
    assert imported.trace.summary.found["vforks"] == 1


def test_the_stack_that_a_vforked_child_execs_into_is_filled_too(imported):
    r = started()
    r.fork(100, 200)
    r.touch(200, HEAP)  # in 100's memory
    r.alloc(200, zero=True)
    r.exec(200, vfork=True)
    r.mmap(200, STACK, 0x21000, name="[stack]")
    r.fork(200, 300)
    r.copy(200, STACK + 0x20000)
    r.gone(300)
    r.gone(200)
    found = imported(r, marks=True)
    [stack] = [text for text, word in found if word == Kernel.IMPLIED]
    assert (stack, WP | Kernel.COPY) in found
    assert imported.trace.summary.found["vforks"] == 1


def test_a_vfork_that_only_exits(imported):
    r = started()
    r.fork(100, 200)
    r.touch(200, HEAP)
    r.exit(200)
    r.fork(100, 300)
    r.copy(300, HEAP)
    r.gone(300)
    assert texts(imported(r)) == ["fork 0 1", "write 1 0", "fork 1 2", "write 2 0", "exit 2"]


def test_teardown_is_marked_where_it_begins(imported):
    r = started()
    r.fork(100, 200)
    r.exit(200)
    r.touch(100, HEAP)
    r.exit_mmap(200)
    found = imported(r, marks=True)
    assert [(t, k) for t, k in found if k & Kernel.TEARDOWN] == [("cpu 2 0", Kernel.TEARDOWN)]
    assert texts(found).index("cpu 2 0") < texts(found).index("write 1 0") < texts(found).index("exit 2")


def test_teardown_of_an_exec_begins_where_the_process_was_last_heard_of(imported):
    r = started()
    r.touch(100, HEAP)
    r.fork(100, 200)
    r.copy(200, HEAP)
    r.touch(100, HEAP + 0x1000)
    r.exec(200)
    found = imported(r, marks=True)
    mark = next(i for i, (_, word) in enumerate(found) if word & Kernel.TEARDOWN)
    assert texts(found)[mark - 1 : mark + 3] == ["write 2 0", "cpu 2 0", "write 1 1", "exec 2"]


def test_a_fault_with_page_faults_off_comes_again(imported):
    r = started()
    r.touch(100, HEAP)
    r.fork(100, 200)
    r.fault(100, HEAP, 3, kernel=True)
    r.fault(100, HEAP, 3, kernel=True)
    r.alloc(100, zero=False)
    assert [word for _, word in imported(r) if word & WP] == [WP | Kernel.NOT_HANDLED, WP | Kernel.COPY]


def test_two_writers_at_one_moment(imported):
    r = started()
    r.touch(100, HEAP)
    r.touch(100, HEAP + 0x1000)
    r.fork(100, 200)
    r.fault(100, HEAP, 7, cpu=0)
    r.fault(200, HEAP, 7, cpu=1)
    r.alloc(100, zero=False)
    r.alloc(200, zero=False, cpu=1)
    r.wait(1000)
    r.copy(100, HEAP + 0x1000)
    r.wait(200)  # long over
    r.copy(200, HEAP + 0x1000, cpu=1)
    assert [word for _, word in imported(r) if word & WP] == [
        WP | Kernel.COPY | Kernel.RACE_AFTER, WP | Kernel.COPY | Kernel.RACE_BEFORE, WP | Kernel.COPY, WP | Kernel.COPY
    ]  # fmt: skip


def test_a_process_id_used_again(imported):
    r = started()
    r.touch(100, HEAP)
    r.fork(100, 200)
    r.fork(100, 200)  # its exit was not seen
    assert texts(imported(r)) == ["fork 0 1", "write 1 0", "fork 1 2", "exit 2", "fork 1 2"]
    assert imported.trace.summary.found["process ids used again before their end was seen"] == 1


def test_numbers_are_used_again(imported):
    r = started()
    r.touch(100, HEAP)
    for child in range(200, 260):
        r.fork(100, child)
        r.mmap(child, LIB + child * 0x400000, 0x1000)
        r.touch(child, LIB + child * 0x400000)
        r.gone(child)
    imported(r)
    assert (imported.trace.processes, imported.trace.space) == (3, 513)


def test_what_was_there_before_the_recording(imported):
    r = Recording()
    r.lines.append("  prog     0/0     [000]     0.000000: PERF_RECORD_FORK(100:100):(1:1)")
    r.lines.append(
        f"  prog     0/0     [000]     0.000000: PERF_RECORD_MMAP2 100/100: [{LIB:#x}(0x1000) @ 0 00:00 0 0]: rw-p /lib/a"
    )
    r.lines.append(
        "  swapper  0/0     [000]     0.000000: PERF_RECORD_MMAP -1/0: [0xffffffff81000000(0x1000) @ 0xffffffff81000000]: x [k]"
    )
    r.fault(100, LIB, 7)
    r.alloc(100, zero=False)
    assert imported(r) == [("fork 0 1", 0), ("write 1 0", WP | Kernel.FILE | Kernel.COPY)]


def test_processes_run_where_they_ran(tmp_path):
    r = started()
    r.touch(100, HEAP, cpu=5)
    r.touch(100, HEAP + 0x1000, cpu=5)
    r.touch(100, HEAP + 0x2000, cpu=3)
    trace = import_perf(r.write(tmp_path / "perf.txt"), tmp_path / "x.cow")
    assert list(map(format_event, next(trace.chunks()))) == [
        "fork 0 1",
        "cpu 1 0",
        "write 1 0",
        "write 1 1",
        "cpu 1 1",
        "write 1 2",
    ]
    assert trace.cpus == 2
    without = import_perf(tmp_path / "perf.txt", tmp_path / "y.cow", cpus=False)
    assert without.cpus == 1
    assert "cpu" not in without.summary.events_by_op


def test_columns_say_when_and_where(tmp_path):
    r = started()
    r.touch(100, HEAP)
    r.wait(1_000_000)
    r.touch(100, HEAP + 0x1000)
    trace = import_perf(r.write(tmp_path / "perf.txt"), tmp_path / "x.cow")
    _, columns = next(trace.records())
    assert columns["line"].tolist() == [1, 2, 2, 4]
    assert columns["time"].tolist() == [0, 1, 1, 1_000_003]


# ---------------------------------------------------------------- less than everything


def test_a_plain_recording_imports_with_its_losses_named(shared, tmp_path):
    """As of `perf record -e exceptions:page_fault_user -e kmem:mm_page_alloc` without -d."""
    with lzma.open(shared / "traces" / "cpython-prefork.txt.xz", "rt") as full:
        kept = [line for line in full if re.search("page_fault_user|mm_page_alloc|PERF_RECORD_(FORK|EXIT|COMM)", line)]
    path = tmp_path / "plain.txt"
    path.write_text("".join(kept))
    trace = import_perf(path, tmp_path / "x.cow")
    lost = " ".join(trace.notes)
    for name in ("page_fault_kernel", "exit_mmap", "munmap", "madvise", "MMAP"):
        assert name in lost
    assert trace.summary.events_by_op["write"] > 60_000
    assert trace.summary.events_by_op["fork"] == 13
    bare = tmp_path / "bare.txt"
    bare.write_text("".join(line for line in kept if "page_fault_user" in line))
    trace = import_perf(bare, tmp_path / "y.cow")
    assert "cannot be verified" in trace.notes[0]


BAD = {
    "nothing at all": ("", "no page faults"),
    "another event set": ("a 1/1 [000] 1.000000: cycles: 12\n", "no page faults.*perf record"),
    "no pid": ("a 1 [000] 1.000000: exceptions:page_fault_user: address=0x1 ip=0x1 error_code=0x6\n", "line 1.*pid,tid.*perf script"),
    "no cpu": ("a 1/1 1.000000: exceptions:page_fault_user: address=0x1 ip=0x1 error_code=0x6\n", r"line 1.*\[cpu\]"),
    "no time": ("a 1/1 [000] exceptions:page_fault_user: address=0x1 ip=0x1 error_code=0x6\n", "line 1.*no time"),
    "no trace": ("a 1/1 [000] 1.000000: exceptions:page_fault_user:\n", "line 1.*address="),
    "no error code": ("a 1/1 [000] 1.000000: exceptions:page_fault_user: address=0x1 ip=0x1\n", "error_code"),
    "prose": ("# perf\n\nexceptions:page_fault_user is what we wanted\n", "line 3.*not a line of perf script"),
    "time goes back": (
        "a 1/1 [000] 2.000000: exceptions:page_fault_user: address=0x1000 ip=0x1 error_code=0x6\n"
        "a 1/1 [000] 1.000000: exceptions:page_fault_user: address=0x1000 ip=0x1 error_code=0x6\n", "line 2: time goes back"),
    "an address of 70 bits": (
        "a 1/1 [000] 2.000000: exceptions:page_fault_user: address=0x3fffffffffffffffff ip=0x1 error_code=0x6\n", "line 1.*64 bits"),
    "a process below zero": (
        "a -1/-1 [000] 2.000000: exceptions:page_fault_user: address=0x1000 ip=0x1 error_code=0x6\n", "line 1.*process -1"),
    "a broken allocation": (
        "a 1/1 [000] 2.000000: exceptions:page_fault_user: address=0x1000 ip=0x1 error_code=0x6\n"
        "a 1/1 [000] 2.000000: kmem:mm_page_alloc: (nothing)\n", "line 2.*gfp_flags"),
    "a broken fork": (
        "a 1/1 [000] 2.000000: exceptions:page_fault_user: address=0x1000 ip=0x1 error_code=0x6\n"
        "a 1/1 [000] 2.000000: PERF_RECORD_FORK(x:y)\n", "line 2.*parent"),
    "a broken mapping": (
        "a 1/1 [000] 2.000000: exceptions:page_fault_user: address=0x1000 ip=0x1 error_code=0x6\n"
        "a 1/1 [000] 2.000000: PERF_RECORD_MMAP2 what\n", "line 2.*mapping"),
    "a mapping the wrong way round": (
        "a 1/1 [000] 2.000000: exceptions:page_fault_user: address=0x1000 ip=0x1 error_code=0x6\n"
        "a 1/1 [000] 2.000000: PERF_RECORD_MMAP2 1/1: [0x1000(0x0) @ 0 00:00 0 0]: rw-p x\n", "line 2.*mapping"),
    "a broken call": (
        "a 1/1 [000] 2.000000: exceptions:page_fault_user: address=0x1000 ip=0x1 error_code=0x6\n"
        "a 1/1 [000] 2.000000: syscalls:sys_enter_munmap: addr\n", "line 2.*system call"),
    "a line without end": ("exceptions:page_fault_user" + "x" * 3_000_000, "line"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_text_says_where_and_what_to_do(tmp_path, what):
    text, said = BAD[what]
    path = tmp_path / "perf.txt"
    path.write_text(text)
    with pytest.raises(TraceError, match=said):
        import_perf(path, tmp_path / "x.cow")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["perf.txt"]


def test_binary_and_damaged_files(tmp_path):
    good = started()
    good.touch(100, HEAP)
    text = ("\n".join(good.lines) + "\n").encode() * 200
    cases = [
        (b"PERFILE2" + bytes(4000), "perf script"),
        (b"a 1/1 [000] 1.000000: exceptions:page_fault_user: \0\0\n", "binary"),
        (lzma.compress(text)[:-20], "cut off|end too early"),
        (gzip.compress(text)[:-20], "end too early"),
        (lzma.compress(text)[:50] + b"xxxx" + lzma.compress(text)[54:], "damaged"),
        (b"\xfd7zXZ\0garbage garbage garbage", "damaged"),
        (b"\x28\xb5\x2f\xfdgarbage", "damaged"),
    ]
    for data, said in cases:
        path = tmp_path / "perf"
        path.write_bytes(data)
        with pytest.raises(TraceError, match=said):
            import_perf(path, tmp_path / "x.cow")
    assert not (tmp_path / "x.cow").exists()


@pytest.mark.parametrize("pack", [lambda d: d, lzma.compress, gzip.compress, zstandard.compress,
                                  lambda d: lzma.compress(d[:999]) + lzma.compress(d[999:])])  # fmt: skip
def test_compressed_by_content_not_by_name(tmp_path, pack):
    r = started()
    for page in range(50):
        r.touch(100, HEAP + page * 0x1000)
    path = tmp_path / "recording"
    path.write_bytes(pack(("\n".join(r.lines) + "\n").encode()))
    assert import_perf(path, tmp_path / "x.cow").summary.events_by_op["write"] == 50


@pytest.mark.slow
def test_a_long_recording_needs_no_more_memory(tmp_path):
    r = started()
    for _ in range(500):
        r.touch(100, HEAP)
        r.madvise(100, HEAP, 0x1000, 4)
    path = r.write(tmp_path / "perf.txt")

    def peak(times: int) -> int:
        one = path.read_text().splitlines(keepends=True)
        long = tmp_path / "long.txt"
        with long.open("w") as out:
            for i in range(times):
                out.writelines(line.replace("  100.", f" {100 + i:4}.") for line in one)
        tracemalloc.start()
        rows = sum(len(events) for events, _ in Importer(str(long)).run())
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert rows == 1000 * times + 2
        return top

    assert peak(40) < peak(20) * 1.2


def test_the_recordings_import_as_their_description_says(shared, tmp_path):
    told = {"redis-bgsave": (78_195, 20_430, 15_758, 4_002, 670), "cpython-prefork": (119_928, 55_959, 43_602, 12_350, 7),
            "make-build": (90_082, 3_166, 1_636, 0, 1_530)}  # fmt: skip
    for name, figures in told.items():
        before = time.process_time()
        trace = import_perf(shared / "traces" / f"{name}.txt.xz", tmp_path / f"{name}.cow")
        assert time.process_time() - before < 3
        found = trace.summary.found
        keys = (
            "lines",
            "write-protection faults",
            "copied by the kernel",
            "reused by the kernel",
            "zero page replaced by the kernel",
        )
        assert tuple(found.get(key, 0) for key in keys) == figures
        assert "write-protected pages never seen before" not in found
