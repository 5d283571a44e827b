# SPDX-License-Identifier: MIT
import math

import numpy as np
import pytest
from scipy import stats

from cowfast.compare import Column, Table, changed, comparison_table, conditions, estimate
from cowfast.compare.statistics import half_interval
from cowfast.compare.words import check_metrics, factor, standing
from cowfast.errors import SpecError


def row(policy, seed, copies, memory=100, **more):
    machine = {"memory": memory, "swap": "async"}
    spec = {"source": {"workload": "w", "parameters": {"pages": 4}}, "policy": policy, "machine": machine, "seed": seed}
    return {
        "id": f"{policy}-{seed}-{memory}",
        "source": "w",
        "policy": policy,
        "seed": seed,
        "spec": spec,
        "seconds": 1.0,
        "counters": {"copies": copies, **more},
    }


def by_seed(policy, values):
    return {seed: row(policy, seed, copies) for seed, copies in enumerate(values)}


def test_the_interval_is_that_of_the_paired_t_test():
    rng = np.random.default_rng(5)
    base = rng.integers(900, 1100, 8)
    mine = base - rng.integers(10, 60, 8)
    one = estimate("b", "copies", by_seed("b", mine.tolist()), by_seed("a", base.tolist()))
    expected = stats.ttest_rel(mine, base).confidence_interval(0.95)
    assert one.low == pytest.approx(1 + expected.low / base.mean())
    assert one.high == pytest.approx(1 + expected.high / base.mean())
    assert one.ratio == pytest.approx(mine.mean() / base.mean())
    assert (one.verdict, one.pairs) == ("less", 8)


def test_what_only_one_side_has_does_not_count():
    mine, base = by_seed("b", [10, 20, 900]), by_seed("a", [10, 20])
    one = estimate("b", "copies", mine, base)
    assert (one.mean, one.pairs, one.verdict) == (15, 2, "same")


def test_noise_is_no_difference():
    one = estimate("b", "copies", by_seed("b", [100, 90, 110, 95]), by_seed("a", [95, 100, 100, 101]))
    assert one.verdict == "no difference"
    assert one.low < 1 < one.high
    assert standing(one) == "no difference"


def test_a_single_seed_has_no_interval_and_still_a_ratio():
    one = estimate("b", "copies", by_seed("b", [150]), by_seed("a", [100]))
    assert (one.verdict, one.ratio) == ("more", 1.5)
    assert math.isnan(one.low)
    assert standing(one) == "1.50"


def test_a_baseline_of_none():
    one = estimate("b", "copies", by_seed("b", [3, 5]), by_seed("a", [0, 0]))
    assert math.isnan(one.ratio)
    assert one.verdict in ("more", "no difference")
    assert estimate("b", "copies", by_seed("b", [0, 0]), by_seed("a", [0, 0])).verdict == "same"


def test_the_same_difference_in_every_pair_is_certain():
    one = estimate("b", "copies", by_seed("b", [90, 190, 290]), by_seed("a", [100, 200, 300]))
    assert one.low == one.high == pytest.approx(0.95)
    assert one.verdict == "less"


def test_half_interval_of_one_value():
    assert math.isnan(half_interval([3.0]))


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (0.5, "0.50"),
        (1.004, "1.004"),
        (0.9993, "0.999"),
        (0.99996, "0.99996"),
        (12345.6, "12,345.60"),
        (0.0, "0.00"),
        (1.0, "1.00"),
    ],
)
def test_a_ratio_near_one_keeps_the_digits_that_matter(ratio, text):
    assert factor(ratio) == text


def test_a_ratio_and_its_interval_have_the_same_digits():
    one = estimate("b", "copies", by_seed("b", [990, 991, 989]), by_seed("a", [1000, 1000, 1000]))
    assert standing(one) == "0.990 ± 0.002"


def test_rows_are_sorted_by_what_they_were_run_on():
    rows = [row(policy, 1, 5, memory) for memory in (100, 200) for policy in ("a", "b")]
    found = conditions(rows)
    assert [condition.label for condition in found] == ["memory = 100", "memory = 200"]
    assert [list(condition.policies) for condition in found] == [["a", "b"]] * 2
    assert conditions(rows[:2])[0].label == ""


def test_a_table_leaves_out_what_never_happened_and_says_so():
    rows = [row(policy, seed, 5 + seed, needless_copies=0) for policy in ("a", "b") for seed in (1, 2)]
    table = comparison_table(conditions(rows)[0], "a")
    assert [column.heading for column in table.columns] == ["policy", "pages copied", "× baseline"]
    assert table.rows == [["a (baseline)", "6.50", ""], ["b", "6.50", "same"]]
    assert any("none under any policy" in note and "needless" in note for note in table.notes)


def test_an_unknown_metric_is_answered_with_the_nearest():
    with pytest.raises(SpecError, match="needless_copies"):
        check_metrics(["needles_copies"])


def test_only_what_changed_between_two_results():
    before = [row("a", 1, 5), row("a", 2, 5), row("b", 1, 5)]
    after = [row("a", 1, 5), row("a", 2, 10), row("c", 1, 5)]
    table = changed(before, after)
    assert table.rows == [["a", "w", "2", "copies", "5", "10", "2.000"]]
    assert table.notes == [
        "1 runs are the same in both",
        "1 runs are in the first only",
        "1 runs are in the second only",
    ]


def test_what_changed_says_which_run_it_was():
    def at(memory, copies, source="w"):
        spec = {
            "source": {"workload": source, "parameters": {"pages": memory}},
            "machine": {"memory": memory, "pages": memory},
        }
        return row("a", 1, copies) | {"source": source, "spec": spec}

    before = [at(50, 5), at(60, 5), at(70, 5), at(50, 5, "other")]
    after = [at(50, 6), at(60, 7), at(70, 5), at(50, 5, "other")]
    table = changed(before, after)
    assert [column.heading for column in table.columns][:4] == ["policy", "source", "where", "seed"]
    assert [line[2] for line in table.rows] == ["pages = 50, memory = 50", "pages = 60, memory = 60"]
    assert table.notes == ["2 runs are the same in both"]


def test_markdown_latex_and_csv_of_a_table():
    table = Table([Column("a|b", "left"), Column("50 %")], [["x_1|y", "1.0 ± 0.1"]], "title", ["note & more"])
    assert table.markdown().splitlines()[4] == r"| x_1\|y | 1.0 ± 0.1 |"
    assert r"x\_1|y & 1.0 $\pm$ 0.1 \\" in table.latex()
    assert r"a|b & 50 \% \\" in table.latex()
    assert table.csv() == "a|b,50 %\nx_1|y,1.0 ± 0.1\n"
