# SPDX-License-Identifier: MIT
"""Rates for comparison between commits (``--benchmark-compare``); `cowfast bench` measures the same and more.

Each round measures the yardstick on the same events first; the ratio of the least times and its goal are in
``extra_info``. Thread CPU time, on one CPU.
"""

import os
import time
from functools import partial

import numpy as np
import pytest

from cowfast.bench import choices, forks, hits, mixes
from cowfast.bench._yardstick import Plain
from cowfast.bench.tables import all_private, bytes_per_page
from cowfast.bench.timing import pin, seconds
from cowfast.events import EVENT

ROUNDS = 7


@pytest.fixture(autouse=True, scope="module")
def one_cpu():
    """Stay on one CPU."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    pin()
    yield
    if allowed:
        os.sched_setaffinity(0, allowed)


def beside(benchmark, work, yardstick, prepare=lambda: None, *, events, theirs=None, goal):
    """Run ``work`` and ``yardstick`` in turns on what ``prepare`` returns, and keep the ratio of their rates."""
    least = float("inf")

    def setup():
        nonlocal least
        given = prepare()
        least = min(least, seconds(yardstick, given))
        return (given,), {}

    benchmark._timer = time.thread_time
    benchmark.pedantic(work, setup=setup, rounds=ROUNDS, iterations=1)
    if benchmark.stats:
        ours, other = benchmark.stats["min"] / events, least / (theirs or events)
        benchmark.extra_info.update(
            unit="ns/event", cowfast=ours * 1e9, yardstick=other * 1e9, ratio=other / ours, goal=goal
        )
        print(
            f"\n{benchmark.name}: {ours * 1e9:.2f} ns, yardstick {other * 1e9:.2f} ns, ratio {other / ours:.2f}, goal {goal}"
        )


@pytest.mark.parametrize("policy", mixes.POLICIES)
@pytest.mark.parametrize("scale", [(16, 1024), (64, 4096)], ids=lambda scale: "x".join(map(str, scale)))
def test_mix(benchmark, scale, policy):
    """The full mix, beside the plain loop with prefetch."""
    sim, stream = choices.warm(policy, *scale)
    plain = Plain(*scale, True)
    again, before = mixes.segments(mixes.mix(*scale), 1 << 20)
    plain.run(before)
    plain.run(next(again))
    beside(benchmark, sim.run, plain.run, partial(next, stream), events=1 << 20, goal=0.5)


def test_hits(benchmark, tmp_path):
    """Hits in L2, beside the same number of random accesses."""
    size, processes = 1 << 20, 16
    state = hits.STATES["hits-L2"]
    pages = int(state / bytes_per_page() / processes)
    rng = np.random.default_rng(1)
    events = np.zeros(size, EVENT)
    events["op"], events["pid"] = rng.integers(0, 2, size), rng.integers(0, processes, size)
    events["page"] = rng.integers(0, pages, size)
    sim = all_private(processes, pages)
    setting = mixes.Setting(None, tmp_path, "", ROUNDS, True)
    random = hits.yardsticks(setting, state // 24, size)["random access, prefetch 32"]
    beside(benchmark, sim.run, random, lambda: events, events=size, goal=0.7)


@pytest.mark.parametrize("order", forks.ORDERS)
def test_fork(benchmark, order, tmp_path):
    """Fork of 64 Ki ptes, beside the copy of a page table."""
    n = 1 << 16
    numbers = np.arange(n) if order == "sequential" else np.random.default_rng(9).permutation(n)
    family = forks.Forks(numbers, 2)
    copy = forks.yardstick(mixes.Setting(None, tmp_path, "", ROUNDS, True), numbers, 16)
    beside(benchmark, family.fork, copy, family.exit, events=2 * n, theirs=16 * n, goal=round(1 / 1.4, 4))


def test_generation(benchmark):
    """Events made chunk by chunk, beside events that were there before."""
    sim, stream = choices.warm("linux-6.18", 16, 1024)
    beside(
        benchmark,
        lambda _: sim.run(next(stream)),
        sim.run,
        partial(next, stream),
        events=1 << 20,
        goal=round(1 / 1.2, 4),
    )
