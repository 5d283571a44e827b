# SPDX-License-Identifier: MIT
"""Streams of the built-in workloads: the same for ever, for every chunk size, and always allowed."""

import json
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cowfast._layout import EVENT, Op
from cowfast.workloads import GENERATOR_VERSION, kinds, workload, workload_names
from golden_workloads import FILE, golden
from workload_rules import check_stream

NAMES = workload_names()


def test_the_issue_names_these_workloads():
    assert set(NAMES) >= {
        "random-mix", "bgsave", "prefork", "zygote", "dataloader", "fork-exec", "forkserver", "swap-storm", "forceswap",
        "vm-snapshot", "pinned-io", "scan",
    }  # fmt: skip


def test_golden_file_is_of_this_version():
    hashes = json.loads(FILE.read_text())
    assert hashes.pop("generator_version") == GENERATOR_VERSION
    assert sorted(hashes) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_golden(name):
    assert golden(name) == json.loads(FILE.read_text())[name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 511, 4096])
@pytest.mark.slow
def test_chunk_size_does_not_matter(name, size):
    source = workload(name, events=30_000)
    whole = np.concatenate(list(source.chunks(3)))
    assert len(whole) == 30_000
    parts = list(source.chunks(3, size))
    assert all(len(part) == size for part in parts[:-1])
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_events_are_allowed(name):
    source = workload(name, events=100_000)
    events = np.concatenate(list(source.chunks(7)))
    check_stream(events, source.processes, source.space, source.references)


@pytest.mark.parametrize("name", sorted({*NAMES} - {"forceswap"}))  # which has nothing random
def test_seeds_differ(name):
    one, two = (np.concatenate(list(workload(name, events=50_000).chunks(seed))) for seed in (1, 2))
    assert (one != two).any()


@st.composite
def any_workload(draw):
    kind = draw(st.sampled_from(kinds()))
    values = {}
    for field in kind.parameters.__struct_encode_fields__:
        default = kind.defaults()[field]
        if isinstance(default, bool):
            values[field] = draw(st.booleans())
        elif isinstance(default, float):
            values[field] = draw(st.sampled_from([0.0, 0.3, 1.0]))
        else:
            least = 1 if field in ("pages", "processes", "workers", "jobs", "clones", "apps", "active") else 0
            positive = field in ("buffers", "batch", "holds", "image")
            values[field] = draw(st.integers(max(least, int(positive)), 40))
    return kind.name, values


@given(any_workload(), st.integers(0, 2**63), st.integers(1, 700))
def test_any_parameters_make_an_allowed_stream(chosen, seed, size):
    name, values = chosen
    source = workload(name, events=2000, **values)
    events = np.concatenate([np.empty(0, EVENT), *source.chunks(seed, size)])
    assert len(events) == source.events
    check_stream(events, source.processes, source.space, source.references)
    np.testing.assert_array_equal(events, np.concatenate([np.empty(0, EVENT), *source.chunks(seed)]))


def test_random_mix_has_the_shares_it_is_asked_for():
    source = workload("random-mix", read=6, write=3, pageout=1, get=0, pin=0, lock=0, merge=0, fork_weight=0.4)
    events = np.concatenate(list(source.chunks(1)))[2000:]
    shares = np.bincount(events["op"], minlength=Op.NR_OPS) / len(events)
    np.testing.assert_allclose(shares[[Op.READ, Op.WRITE, Op.PAGEOUT]], [0.6, 0.3, 0.1], atol=0.003)
    forks = np.flatnonzero(events["op"] == Op.FORK)
    assert set(np.diff(forks)) == {1024 / 0.4}
    assert (events["op"][forks - 1] == Op.EXIT).all()
    assert (events["pid"][forks - 1] == events["arg"][forks]).all()
    assert (events["pid"][forks] != events["arg"][forks]).all()


def test_the_global_lock_is_free_while_events_are_made():
    """A second thread counts while one call makes events that take much longer than its first step."""
    generator = workload("forkserver", events=1 << 40).generator(1)
    events = np.empty(1 << 21, EVENT)
    steps, stop = [0], threading.Event()

    def count() -> None:
        while not stop.is_set():
            steps[0] += 1

    other = threading.Thread(target=count)
    other.start()
    try:
        while not steps[0]:
            pass
        before = steps[0]
        generator.fill(events)
        after = steps[0]
    finally:
        stop.set()
        other.join()
    assert after > before
