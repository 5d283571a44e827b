# SPDX-License-Identifier: MIT
"""The report as text: what it must say, and that it asks for nothing from outside."""

import re

import pytest

from cowfast.compare import conditions
from cowfast.errors import ResultsError, SpecError
from cowfast.plotting import Document
from cowfast.report import render
from cowfast.report.table import paired_table


def row(policy, seed, copies, memory=3000, **counters):
    return {
        "policy": policy,
        "seed": seed,
        "source": "random-mix",
        "spec": {"machine": {"memory": memory, "swap": "async"}, "policy": policy, "seed": seed},
        "counters": {"copies": copies, "needless_copies": copies // 10, "swap_cache_adds": 50, **counters},
        "provenance": {"cowfast": "0.1.0", "host": {"processor": "<b>fast & new</b>"}},
    }


ROWS = [row("linux-5.16", seed, 200 + seed) for seed in (1, 2, 3)] + [
    row("linux-6.18", seed, 100) for seed in (1, 2, 3)
]


def test_asks_for_nothing_from_outside():
    page = render(Document(ROWS))
    links = re.findall(r'(?:href|src|action|data)\s*=\s*"([^"]*)"', page) + re.findall(r"url\(([^)]*)\)", page)
    assert links
    assert [link for link in links if not link.startswith(("#", "data:"))] == []
    assert "@import" not in page


def test_ids_are_unique_and_every_reference_is_there():
    page = render(Document(ROWS))
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)


def test_names_from_results_are_text_not_markup():
    page = render(Document([{**each, "policy": "<script>alert(1)</script>"} for each in ROWS]))
    assert "<script>alert" not in page
    assert "<b>fast" not in page
    assert "&lt;b&gt;fast &amp; new" in page


def test_pairs_are_of_equal_seeds():
    table = paired_table(*conditions(ROWS), "linux-5.16")
    copies = {line.policy: line.cells[0] for line in table.lines}
    assert table.baseline == "linux-5.16"
    assert copies["linux-5.16"].shown == "202"
    assert copies["linux-5.16"].change == ""
    # differences -101, -102, -103 of a mean of 202: t(2) x 1 / sqrt(3) = 2.48 of 202
    assert copies["linux-6.18"].change == "× 0.50 ± 0.01"


def test_baseline_can_be_chosen():
    changes = [line.cells[0].change for line in paired_table(*conditions(ROWS), "linux-6.18").lines]
    assert changes == ["× 2.02 ± 0.02", ""]
    with pytest.raises(SpecError, match=r"'linux-9.9' is not among the policies compared: linux-5.16, linux-6.18"):
        render(Document(ROWS), baseline="linux-9.9")


def test_leaks_and_broken_pins_are_alarms():
    rows = [row("linux-5.16", 1, 10), row("mine", 1, 5, missed_copies=2, broken_pins=0)]
    table = paired_table(*conditions(rows), "linux-5.16")
    assert [name for name, *_ in table.columns] == ["copies", "needless_copies", "missed_copies", "swap_cache_adds"]
    assert [cell.alarm for cell in table.lines[1].cells] == [False, False, True, False]


def test_a_sweep_is_told_by_its_points():
    rows = [row(policy, seed, 100 * seed, memory) for policy in ("a", "b") for seed in (1, 2) for memory in (10, 20)]
    page = render(Document(rows))
    assert "The sweep" in page
    assert re.findall("<h2>(memory = [0-9]+)", page) == ["memory = 10", "memory = 20"]


def test_no_results_no_report():
    with pytest.raises(ResultsError, match="a report needs results"):
        render(Document([]))
