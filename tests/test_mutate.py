# SPDX-License-Identifier: MIT
"""benchmarks/mutate.py: which mistakes it makes, and what it remembers of those it has tried."""

import argparse
import importlib.util
import json
import sys

import pytest


@pytest.fixture(scope="module")
def mutate(root):
    spec = importlib.util.spec_from_file_location("mutate", root / "benchmarks" / "mutate.py")
    module = sys.modules["mutate"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_one_mistake_of_each_kind(mutate):
    body = """
cdef inline bint fresh(Sim *s, uint32_t p) noexcept nogil:
    if s.pages[p].flags & PG_BATCH \\
            and s.cpus > 1:
        s.c[<int>DRAINS] += 2
        s.pages[p].flags |= PG_LRU
        s.pages[p].flags &= ~<uint32_t>PG_EXCL
    return s.cpus == 1  # why
cdef inline pte_t *count(Column *column) noexcept nogil:
    i += 1
    COWFAST_PREFETCH(s.pages if s.far else NULL)
    return s.n == 1
"""
    source, mutants = mutate.schema(f"{mutate.FIRST}{body}{mutate.LAST}\n")
    assert [(m.number, m.kind, m.function) for m in mutants] == [
        (1, "decision", "fresh"), (2, "count", "fresh"), (3, "flag", "fresh"), (4, "flag", "fresh"), (5, "decision", "fresh"),
    ]  # fmt: skip
    for line in (
        "    if (not (s.pages[p].flags & PG_BATCH and s.cpus > 1)) == (cowfast_mutant == 1):",
        "        s.c[<int>DRAINS] += (2) * (cowfast_mutant != 2)",
        "        s.pages[p].flags |= (PG_LRU) * (cowfast_mutant != 3)",
        "        s.pages[p].flags &= (~<uint32_t>PG_EXCL) | <uint32_t>-<int>(cowfast_mutant == 4)",
        "    return (not (s.cpus == 1)) == (cowfast_mutant == 5)",
        "    i += 1",
        "    return s.n == 1",
    ):
        assert f"{line}\n" in source


def test_the_engine_has_places_of_each_kind(mutate, root):
    """Were the engine's style another, the patterns would find nothing, and all of nothing is killed."""
    _, mutants = mutate.schema((root / mutate.ENGINE).read_text())
    kinds = [m.kind for m in mutants]
    assert min(kinds.count("count"), kinds.count("flag")) >= 80
    assert kinds.count("decision") >= 300
    functions = {m.function for m in mutants}
    assert {"holds", "write_fault", "map_entry"} <= functions
    assert len(functions) >= 60
    assert "?" not in functions


def test_what_was_tried_is_remembered_for_the_same_engine_and_tests_only(mutate, tmp_path):
    journal = tmp_path / "journal.jsonl"
    rows = [
        {"of": "this", "number": 3, "killed_by": "tests/test_litmus.py"},
        {"of": "other", "number": 4, "killed_by": ""},
        {"of": "this", "number": 5, "killed_by": ""},
    ]
    journal.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"of": "this", "numb')
    assert mutate._read(journal, "this") == {3: "tests/test_litmus.py", 5: ""}
    assert mutate._read(tmp_path / "none", "this") == {}


def test_the_figures_count_what_was_tried_and_name_what_survived(mutate):
    made = [mutate.Mutant(n, "count", "f", f"x += {n}") for n in range(1, 5)]
    made[0].killed_by, made[1].killed_by = "tests/test_litmus.py", "hang: tests/test_equality.py"
    figures = mutate.summary(made, made[:3], argparse.Namespace(seed=7, sample=3))
    assert (figures["places"], figures["tried"], figures["killed"], figures["seed"]) == (4, 3, 2, 7)
    assert figures["kinds"]["count"] == {"places": 4, "tried": 3, "killed": 2}
    assert figures["ways"] == {"hang": 1, "test": 1}
    assert [survivor["number"] for survivor in figures["survivors"]] == [3]
