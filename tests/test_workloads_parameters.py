# SPDX-License-Identifier: MIT
"""Names and parameters of workloads: what is refused, with which words, and what a spec holds."""

import numpy as np
import pytest

from cowfast.errors import WorkloadError
from cowfast.workloads import GENERATOR_VERSION, kinds, presets, workload, workload_names


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("random-mx", {}, "unknown workload 'random-mx': did you mean 'random-mix'?"),
        ("random_mix", {}, "did you mean 'random-mix'?"),
        ("quake", {}, "known are bgsave, dataloader"),
        ("random-mix", {"proceses": 4}, "random-mix has no parameter 'proceses': did you mean 'processes'?"),
        ("random-mix", {"event": 4}, "did you mean 'events'?"),
        ("random-mix", {"pages": 0}, "random-mix: pages = 0: expected `int` >= 1"),
        ("random-mix", {"pages": "many"}, "random-mix: pages = 'many'"),
        ("random-mix", {"pages": 1 << 27}, "pages = 134217728: expected `int` <= 67108864"),
        ("random-mix", {"read": -1}, "read = -1"),
        ("random-mix", {"processes": 65_536}, "processes = 65536"),
        ("random-mix", {"events": -5}, "events = -5"),
        ("random-mix", {"preset": "plian"}, "random-mix has no preset 'plian': it has plain"),
        ("bgsave", {"read": 1.5}, "bgsave: read = 1.5"),
    ],
)
def test_refused(name, parameters, words):
    with pytest.raises(WorkloadError) as error:
        workload(name, **parameters)
    assert words in str(error.value)


def test_a_negative_seed_and_an_empty_chunk_are_refused():
    with pytest.raises(WorkloadError, match="seed -1"):
        next(workload("scan").chunks(-1))
    with pytest.raises(WorkloadError, match="chunks of 0 events"):
        next(workload("scan").chunks(1, 0))


def test_no_events_are_no_chunks():
    assert list(workload("scan", events=0).chunks(1)) == []


def test_values_may_come_as_text_or_numpy_numbers():
    by_text = workload("random-mix", pages="512", **{"fork-weight": "0.2"})
    by_number = workload("random-mix", pages=np.int64(512), fork_weight=np.float64(0.2))
    assert by_text.spec() == by_number.spec()


def test_a_spec_makes_the_same_stream():
    source = workload("prefork", preset="cpython-3.11") if has("prefork", "cpython-3.11") else workload("prefork")
    spec = source.spec()
    assert spec["generator_version"] == GENERATOR_VERSION
    again = workload(spec["workload"], **spec["parameters"])
    assert again.spec() == spec
    np.testing.assert_array_equal(next(again.chunks(4, 9999)), next(source.chunks(4, 9999)))


def has(name: str, preset: str) -> bool:
    return any((each.workload, each.name) == (name, preset) for each in presets())


def test_a_finite_workload_knows_its_length():
    source = workload("bgsave", snapshots=2, pages=100)
    assert source.events == sum(map(len, source.chunks(1)))
    assert workload("bgsave", snapshots=2, pages=100, events=150).events == 150
    assert workload("bgsave", snapshots=2, pages=100, events=10**9).events == source.events


def test_events_of_a_longer_stream_begin_alike():
    short, long = (np.concatenate(list(workload("zygote", events=n).chunks(2))) for n in (20_000, 40_000))
    np.testing.assert_array_equal(short, long[:20_000])


def test_presets_are_valid():
    for preset in presets():
        assert workload(preset.workload, preset=preset.name).spec()["parameters"].items() >= preset.parameters.items()


@pytest.mark.parametrize("kind", kinds(), ids=workload_names())
def test_every_workload_says_what_it_is(kind):
    assert kind.summary.endswith((".", "."))
    assert "\n" not in kind.summary
    assert kind.notes
    assert set(kind.meanings) == set(kind.defaults())
