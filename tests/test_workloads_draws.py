# SPDX-License-Identifier: MIT
"""Distributions of the generator: uniform, Zipf at any exponent and size, and orders that visit every page."""

import math

import numpy as np
import pytest
from scipy import stats

from cowfast._layout import EVENT
from cowfast.workloads import workload
from cowfast.workloads._generate import Generator, spread
from cowfast.workloads.program import Program, any_of, compile_programs, each, fresh, jumping, line, zipf


def events_of(program: Program, n: int, seed: int = 5) -> np.ndarray:
    it = compile_programs([program], [1])
    out = np.zeros(n, EVENT)
    made = Generator(it.steps, it.lines, it.parts, it.zipfs, it.bulks, program.references, seed, n).fill(out)
    assert made == n
    return out


def mix(n: int, *lines, pages: int) -> np.ndarray:
    program = Program(8, pages)
    program.mix(None, *lines)
    return events_of(program, n)


@pytest.mark.parametrize("pages", [1, 2, 7, 512, 1000])
def test_uniform_pages_and_pids(pages):
    events = mix(400_000, line("read", pid=any_of(0, 8), page=any_of(0, pages)), pages=pages)
    cells = np.bincount(events["pid"] * pages + events["page"], minlength=8 * pages)
    assert len(cells) == 8 * pages
    assert stats.chisquare(cells).pvalue > 1e-4


@pytest.mark.parametrize("in_bulk", [True, False])
@pytest.mark.parametrize("s", [0.3, 0.99, 1.0, 1.0000004, 1.3, 3.0])
@pytest.mark.parametrize("pages", [1, 2, 10, 3000])
def test_zipf_is_zipf(s, pages, in_bulk):
    lines = [line("read", page=zipf(0, pages, s, scattered=False))]
    if not in_bulk:  # another page rule in the mix: events are made one by one
        lines.append(line("read", page=each(0, pages), weight=1e-12))
    ranks = mix(400_000, *lines, pages=pages)["page"]
    expected = np.arange(1, pages + 1) ** -s
    expected *= len(ranks) / expected.sum()
    seen = np.bincount(ranks, minlength=pages)
    assert len(seen) == pages
    rare = np.cumsum(expected[::-1])[::-1] < 50  # the tail is one cell
    tail = [expected[rare].sum()] if rare.any() else []
    cells = np.append(expected[~rare], tail)
    counts = np.append(seen[~rare], [seen[rare].sum()] if rare.any() else [])
    if len(cells) > 1:
        assert stats.chisquare(counts, cells * counts.sum() / cells.sum()).pvalue > 1e-4


def test_zipf_over_many_pages_reaches_all_of_them():
    pages = 1 << 26
    drawn = mix(200_000, line("read", page=zipf(0, pages, 0.5)), pages=pages)["page"]
    assert drawn.max() > 0.99 * pages
    assert len(np.unique(drawn)) > 150_000


def test_scattered_ranks_are_the_same_ranks():
    plain, scattered = (
        np.bincount(mix(100_000, line("read", page=zipf(0, 97, 1.1, scattered=how)), pages=97)["page"], minlength=97)
        for how in (False, True)
    )
    np.testing.assert_array_equal(np.sort(plain), np.sort(scattered))
    np.testing.assert_array_equal(plain, scattered[np.arange(97) * spread(97) % 97])


@pytest.mark.parametrize("n", [1, 2, 3, 4, 12, 30, 512, 1000, 6_000_000])
def test_spread_visits_all(n):
    assert math.gcd(spread(n), n) == 1


@pytest.mark.parametrize("rule", [each, jumping, fresh])
def test_an_order_names_each_page_once(rule):
    program = Program(1, 100)
    with program.loop():
        program.mix(60, line("write", page=rule(10, 60)))
    pages = events_of(program, 600)["page"].reshape(10, 60)
    np.testing.assert_array_equal(np.sort(pages), np.tile(np.arange(10, 70), (10, 1)))
    same_each_time = (pages == pages[0]).all()
    assert same_each_time == (rule is not fresh)


def test_lines_have_their_weights_whether_in_bulk_or_one_by_one():
    weights = np.arange(1, 20)
    where = any_of(0, 64)
    lines = [line("read", pid=0, page=where, arg=0, flags="", weight=float(w)) for w in weights]
    lines = [type(each)(i, each.pid, each.page, each.arg, 0, each.weight, 1) for i, each in enumerate(lines)]
    for extra in ([], [line("read", page=each(0, 64), weight=1e-12)]):
        seen = np.bincount(mix(400_000, *lines, *extra, pages=64)["op"], minlength=19)
        assert stats.chisquare(seen[:19], weights * seen[:19].sum() / weights.sum()).pvalue > 1e-4


def test_streams_of_neighbouring_seeds_are_unrelated():
    one, two = (np.concatenate(list(workload("random-mix", events=60_000).chunks(seed)))[20_000:] for seed in (1, 2))
    assert abs(np.corrcoef(one["page"], two["page"])[0, 1]) < 0.03
