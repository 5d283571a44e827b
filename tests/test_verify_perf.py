# SPDX-License-Identifier: MIT
"""Policy beside kernel, fault by fault: on real recordings, and on small ones where every case is known."""

import pytest

from cowfast.errors import TraceError
from cowfast.oracle.perf import is_perf, verify_perf
from cowfast.traces import TraceWriter, import_perf
from perf_text import HEAP, LIB, Recording


def started() -> Recording:
    r = Recording()
    r.mmap(100, HEAP, 0x400000, name="[heap]")
    for page in range(8):
        r.touch(100, HEAP + page * 0x1000)
    return r


def add_up(found) -> None:
    assert found.agree + found.disagree + found.ambiguous + found.unknown == found.faults
    assert found.copies + found.reuses + found.zero_pages + found.unknown >= found.faults


RECORDINGS = {  # faults, copies, reuses, zero pages; smallest agreement; ambiguous at most
    "redis-bgsave": ((20_430, 15_758, 4_002, 670), 0.999, 40),
    "cpython-prefork": ((55_959, 43_602, 12_350, 7), 1.0, 1_200),
    "make-build": ((3_166, 1_636, 0, 1_530), 1.0, 0),
}


@pytest.mark.parametrize("name", RECORDINGS)
@pytest.mark.slow
def test_the_recordings(shared, name):
    figures, agreement, ambiguous = RECORDINGS[name]
    found = verify_perf(shared / "traces" / f"{name}.txt.xz", "linux-6.18")
    add_up(found)
    assert (found.faults, found.copies, found.reuses, found.zero_pages) == figures
    assert found.agreement >= agreement
    assert found.ambiguous <= ambiguous
    assert found.unknown <= 8  # signal frames of bash: written with page faults off, and again
    assert found.to_dict()["kind"] == "perf"


def test_the_recording_of_the_repository(data, tmp_path):
    path = data / "redis-bgsave.txt.xz"
    found = verify_perf(path, "linux-6.18")
    add_up(found)
    assert (found.faults, found.copies, found.reuses, found.zero_pages) == (13_360, 10_116, 2_682, 562)
    assert (found.disagree, found.asked, found.asked_right) == (0, 11_991, 11_991)
    trace = import_perf(path, tmp_path / "redis.cow")
    again = verify_perf(trace.path, "linux-6.18")
    assert again.to_dict() | {"file": ""} == found.to_dict() | {"file": ""}
    bound = verify_perf(trace.path, "always-copy")
    assert bound.disagree > 2_000
    assert all("kernel reuse, policy copy" in str(one) for one in bound.disagreements)


def test_both_engines_say_the_same(data, tmp_path):
    from cowfast.traces import cut

    whole = import_perf(data / "redis-bgsave.txt.xz", tmp_path / "redis.cow")
    part = cut(whole, tmp_path / "part.cow", events=(0, 6_000))
    assert (
        verify_perf(part.path, "linux-5.10", "reference").to_dict()
        == verify_perf(part.path, "linux-5.10", "fast").to_dict()
    )


def verified(tmp_path, recording: Recording, policy: str = "linux-6.18"):
    found = verify_perf(recording.write(tmp_path / "perf.txt"), policy)
    add_up(found)
    return found


def test_one_disagreement_does_not_spread(tmp_path):
    r = started()
    r.fork(100, 200)
    for page in range(8):
        r.reuse(100, HEAP + page * 0x1000)  # though 200 has them: it must have lost them unseen
    for page in range(4):
        r.touch(200, HEAP + page * 0x1000)  # and so it was
    found = verified(tmp_path, r)
    assert (found.faults, found.disagree) == (8, 8)
    assert "kernel reuse, policy copy" in str(found.disagreements[0])
    assert "line" in str(found.disagreements[0])


def test_after_a_copy_that_the_policy_would_not_make_all_is_as_before(tmp_path):
    r = started()
    r.fork(100, 200)
    r.gone(200)
    r.copy(100, HEAP)  # a transient reference, say
    r.fork(100, 300)
    r.copy(300, HEAP)
    r.reuse(100, HEAP)
    r.reuse(100, HEAP + 0x1000)  # 300 has it
    found = verified(tmp_path, r)
    assert (found.faults, found.agree, found.disagree) == (4, 2, 2)


@pytest.mark.parametrize("kernel", ["copy", "reuse"])
def test_a_sharer_in_teardown_makes_it_ambiguous_whatever_the_kernel_did(tmp_path, kernel):
    r = started()
    r.fork(100, 200)
    r.exit(200)
    getattr(r, kernel)(100, HEAP)
    r.exit_mmap(200)
    r.reuse(100, HEAP + 0x1000)
    found = verified(tmp_path, r)
    assert (found.faults, found.ambiguous, found.agree) == (2, 1, 1)


def test_a_living_sharer_beside_one_in_teardown_decides(tmp_path):
    r = started()
    r.fork(100, 200)
    r.fork(100, 300)
    r.exit(200)
    r.copy(100, HEAP)
    found = verified(tmp_path, r)
    assert (found.ambiguous, found.agree) == (0, 1)


def test_zero_pages_and_files_leave_no_choice(tmp_path):
    r = started()
    r.mmap(100, LIB, 0x4000, "rw-p", "/lib/a.so")
    r.copy(100, LIB)
    r.fault(100, HEAP + 0x10000, 4)
    r.fault(100, HEAP + 0x10000, 7)
    r.alloc(100, zero=True)
    found = verified(tmp_path, r)
    assert (found.faults, found.agree, found.asked, found.copies, found.zero_pages) == (2, 2, 0, 1, 1)


def test_a_page_never_seen_counts_against(tmp_path):
    r = started()
    r.copy(100, HEAP + 0x20000)
    found = verified(tmp_path, r)
    assert (found.agree, found.disagree) == (0, 1)
    assert "never seen" in str(found.disagreements[0])


def test_without_allocations_all_is_unknown(tmp_path):
    r = started()
    r.fork(100, 200)
    r.reuse(100, HEAP)
    r.lines = [line for line in r.lines if "kmem" not in line]
    found = verified(tmp_path, r)
    assert (found.faults, found.unknown, found.agree) == (1, 1, 0)
    assert found.to_dict()["agreement"] is None


def test_what_is_no_recording(tmp_path, shared):
    plain = tmp_path / "plain.cow"
    with TraceWriter(plain) as out:
        from cowfast.events import make_events

        out.write(make_events([(1, 0, 0)]))
    with pytest.raises(TraceError, match="no kernel verdicts"):
        verify_perf(plain)
    assert is_perf(plain)
    assert is_perf(shared / "traces" / "make-build.txt.xz")
    assert not is_perf(next((shared / "oracle").glob("*.jsonl.xz")))
