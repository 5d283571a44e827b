# SPDX-License-Identifier: MIT
"""The workload bgsave and the recording of a redis server tell the same story about the policies."""

import itertools

import pytest

from cowfast.compare import compare
from cowfast.traces import import_perf

#: Two policies whose copies differ by less than this are as good as each other.
ALIKE = 0.01


def copies(source, memory: str | None, **parameters) -> dict[str, int]:
    found = compare(source, "all", memory=memory, parameters=parameters or None)
    return {result.policy: result.counters["copies"] for result in found.results}


@pytest.fixture(scope="module")
def redis(data, tmp_path_factory):
    return import_perf(data / "redis-bgsave.txt.xz", tmp_path_factory.mktemp("redis") / "redis.cow")


@pytest.mark.parametrize("preset", [None, "redis-7.0"])
@pytest.mark.parametrize("memory", [None, "60%"])
@pytest.mark.slow
def test_no_two_policies_change_places(redis, memory, preset):
    recorded = copies(redis, memory)
    made = copies("bgsave", memory, **({"preset": preset} if preset else {"events": 500_000}))
    told_apart = 0
    for one, other in itertools.combinations(recorded, 2):
        if recorded[one] > recorded[other] * (1 + ALIKE):
            told_apart += 1
            assert made[one] > made[other], (one, other)
        elif recorded[other] > recorded[one] * (1 + ALIKE):
            told_apart += 1
            assert made[other] > made[one], (one, other)
    assert told_apart >= len(recorded) - 1  # always-copy beside all, at least
