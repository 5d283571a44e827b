# SPDX-License-Identifier: MIT
"""Each ready-made sweep comes out as its comment says: the whole grid with its first seed, a few seconds each."""

import tomllib
from statistics import mean

import pytest

from conftest import ROOT
from cowfast.sweep import sweep

pytestmark = pytest.mark.long


class Runs(list):
    """Rows of one sweep, to be asked for means."""

    def mean(self, counter: str, **where) -> float:
        """Mean of a counter over the runs of these policies, sources, parameters and machines."""
        return mean(row["counters"][counter] for row in self if all(value(row, key) == where[key] for key in where))


def value(row: dict, key: str):
    parameters = row["spec"]["source"]["parameters"]
    return {"policy": row["policy"], "source": row["source"]}.get(key) or parameters.get(
        key, row["spec"]["machine"].get(key)
    )


@pytest.fixture
def run(tmp_path):
    def run(name: str) -> Runs:
        spec = tomllib.loads((ROOT / "benchmarks" / "sweeps" / f"{name}.toml").read_text())
        for where in (spec, spec["grid"]):
            if "seed" in where:
                where["seed"] = [1]
        rows = sweep(spec, tmp_path / "results.jsonl")
        assert not rows.failed
        return Runs(rows)

    return run


def test_thread(run):
    runs = run("thread")
    cause = "needless_by_cause.swap_cache"
    by_memory = [runs.mean(cause, policy="linux-5.16", memory=pages) for pages in (4096, 6144, 8192)]
    by_sharing = [runs.mean(cause, policy="linux-5.16", fork_weight=weight) for weight in (0.0, 0.1, 0.4, 1.0)]
    assert by_memory == sorted(by_memory, reverse=True)
    assert by_sharing == sorted(by_sharing, reverse=True)
    assert by_memory[0] > 1000
    assert runs.mean(cause, policy="linus-2022") == 0
    assert runs.mean("futile_removals", policy="linus-2022") > 1000
    assert runs.mean("avoidable_writes", policy="linus-2022") > 500
    assert runs.mean("avoidable_writes", policy="linus-2022-precheck") < 1
    sequence, precheck = (runs.mean("copies", policy=name) for name in ("linus-2022", "linus-2022-precheck"))
    assert precheck == pytest.approx(sequence, rel=0.001)
    for policy in ("linus-2022", "linus-2022-precheck", "linux-6.18"):
        alone, some, many = (runs.mean("needless_copies", policy=policy, references=n) for n in (0, 192, 1536))
        assert 20 < alone < 100 < some < many
        assert 300 < many < 1000
    assert runs.mean("needless_copies", policy="sole-owner") == 0


def test_churn(run):
    runs = run("churn")
    for source in ("swap-storm", "random-mix"):
        assert runs.mean("futile_removals", source=source, policy="linus-2022") > 2000
        assert runs.mean("futile_removals", source=source, policy="linus-2022-precheck") == 0
        assert runs.mean("avoidable_writes", source=source, policy="linus-2022") > 500
        assert runs.mean("avoidable_writes", source=source, policy="linus-2022-precheck") < 1
        with_it, without = (
            runs.mean("swap_writes", source=source, policy=policy) for policy in ("linus-2022-precheck", "linus-2022")
        )
        assert 1.02 < without / with_it < 1.08
    for source in ("forceswap", "swap-storm", "random-mix"):
        one, other = (runs.mean("copies", source=source, policy=p) for p in ("linus-2022", "linus-2022-precheck"))
        assert one == pytest.approx(other, rel=0.001)
    twice = runs.mean("copies", source="forceswap", policy="linux-5.16")
    assert twice / runs.mean("copies", source="forceswap", policy="linux-6.18") == pytest.approx(2, rel=0.05)


def test_history(run):
    runs = run("history")
    policies = {row["policy"] for row in runs}
    copies = {policy: runs.mean("copies", policy=policy) for policy in policies}
    bound = copies["sole-owner"]
    drains = [runs.mean("drains", policy=f"linux-{v}") for v in ("6.1", "6.12", "6.18", "7.3")]
    assert copies["linux-5.7"] < 1.005 * bound
    assert runs.mean("missed_copies", policy="linux-5.7") > 0
    assert runs.mean("broken_pins", policy="linux-5.7") > runs.mean("broken_pins", policy="linux-5.10") > 0
    for policy in ("linux-5.10", "linux-5.16"):
        assert 1.13 < copies[policy] / bound < 1.2
        assert runs.mean("needless_copies", policy=policy) > 0.95 * (copies[policy] - bound)
    for version in ("5.18", "6.1", "6.12", "6.18", "7.2", "7.3"):
        assert copies[f"linux-{version}"] < 1.005 * bound
        assert (runs.mean("broken_pins", policy=f"linux-{version}") == 0) == (version != "5.18")
    assert drains == sorted(drains, reverse=True)
    assert drains[0] == pytest.approx(runs.mean("drains", policy="linux-5.18"), rel=0.01)
    assert min(copies, key=copies.get) == "willy-2022"
    assert runs.mean("missed_copies", policy="willy-2022") > 100


def test_scanner(run):
    runs = run("scanner")
    held = (16, 64, 256, 1024, 2048)
    assert runs.mean("needless_copies", policy="linux-5.7") == 0
    for policy in ("linux-5.10", "linux-5.16", "linux-5.18", "linux-6.18"):
        needless = [runs.mean("needless_copies", policy=policy, holds=n) for n in held]
        shares = [n / many for n, many in zip(needless, held, strict=True)]
        assert needless == sorted(needless)
        assert max(shares) < 2 * min(shares)
        assert needless[0] >= 10
        assert 700 < needless[-1] < 2000
        assert 45_000 < runs.mean("copies", policy=policy) < 47_000


def test_pins(run):
    runs = run("pins")
    broken = {policy: runs.mean("broken_pins", policy=policy) for policy in {row["policy"] for row in runs}}
    assert min(broken["linux-5.7"], broken["linux-5.8"]) > 200
    for policy in ("linux-5.10", "linux-5.16", "linux-5.18"):
        assert 0.15 < broken[policy] / broken["linux-5.7"] < 0.25
        assert runs.mean("early_copies", policy=policy) > 0
    assert broken["linux-6.1"] == broken["linux-6.18"] == 0


def test_batches(run):
    runs = run("batches")
    cause = "needless_by_cause.lru_batch"
    for policy in ("linux-5.10", "linux-5.16", "linus-2022"):
        none, small, large = (runs.mean(cause, policy=policy, source="forceswap", lru_batch=n) for n in (0, 15, 31))
        assert none == 0
        assert small > 100
        assert 0 < large < small
        for source in ("pinned-io", "bgsave"):
            none, small, large = (runs.mean(cause, policy=policy, source=source, lru_batch=n) for n in (0, 15, 31))
            assert 0 == none < small < large
    assert runs.mean(cause, policy="linux-5.18") == runs.mean(cause, policy="linux-6.18") == 0


def test_memory(run):
    runs = run("memory")
    bound = {memory: runs.mean("copies", policy="sole-owner", memory=memory) for memory in (4096, 8192, 16384)}
    for policy in ("linux-5.10", "linux-5.16"):
        assert 1.1 < runs.mean("copies", policy=policy, memory=8192) / bound[8192] < 1.15
        assert 1 < runs.mean("copies", policy=policy, memory=16384) / bound[16384] < 1.02
    for policy in ("linux-5.7", "linus-2022", "linus-2022-precheck", "linux-5.18", "linux-6.1", "linux-6.18"):
        for memory, copies in bound.items():
            assert runs.mean("copies", policy=policy, memory=memory) == pytest.approx(copies, rel=0.005)


def test_map(run):
    runs = run("map")
    sizes = sorted({row["spec"]["machine"]["memory"] for row in runs})
    needless = {
        s: [runs.mean("needless_copies", zipf_s=s, memory=size) for size in sizes] for s in (0.0, 0.3, 0.6, 0.9, 1.2)
    }
    copies = [runs.mean("copies", zipf_s=s) for s in needless]
    assert copies == sorted(copies, reverse=True)
    assert max(needless[0.0]) == needless[0.0][sizes.index(8192)] > 6 * needless[0.0][-1]
    assert needless[0.0][sizes.index(8192)] == pytest.approx(
        0.1 * runs.mean("copies", zipf_s=0.0, memory=8192), rel=0.1
    )
    assert max(needless[1.2]) < 1.25 * min(needless[1.2])


def test_fanout(run):
    runs = run("fanout")
    counts = (1, 2, 4, 8, 16)
    copies, reuses = ([runs.mean(c, policy="linux-6.18", workers=n) for n in counts] for c in ("copies", "reuses"))
    assert copies == sorted(copies)
    assert reuses == sorted(reuses, reverse=True)
    assert copies[0] / reuses[0] == pytest.approx(2, rel=0.1)
    assert copies[-1] / reuses[-1] == pytest.approx(30, rel=0.1)
    for n, bound in zip(counts, copies, strict=True):
        for policy in ("linux-5.7", "linux-5.10", "linux-5.16", "linus-2022", "sole-owner"):
            assert runs.mean("copies", policy=policy, workers=n) == pytest.approx(bound, rel=0.0002)
    worst = [runs.mean("copies", policy="always-copy", workers=n) / copies[i] for i, n in enumerate(counts)]
    assert worst[0] == pytest.approx(1.5, rel=0.05)
    assert worst[-1] == pytest.approx(1.033, rel=0.01)
