# SPDX-License-Identifier: MIT
"""Results in DuckDB and polars, as docs/sweeps.md reads them."""

import re

import pytest

from conftest import ROOT
from cowfast.results import load_results
from cowfast.results.export import export
from cowfast.sweep import sweep

SPEC = {
    "source": "random-mix",
    "source_parameters": {"events": 5000, "pages": 64},
    "grid": {"policy": ["linux-5.10", "linux-6.1"], "seed": [1, 2]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grid")
    sweep(SPEC, folder / "grid.jsonl", executor="serial")
    export(load_results(folder / "grid.jsonl"), folder / "grid.parquet")
    return folder


@pytest.fixture(scope="module")
def means(folder):
    rows = load_results(folder / "grid.jsonl")
    policies = {row["policy"] for row in rows}
    assert len(policies) == 2
    return {name: sum(r["counters"]["copies"] for r in rows if r["policy"] == name) / 2 for name in policies}


def test_the_sql_of_the_docs(folder, means, monkeypatch):
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(folder)
    query = re.search(r"```sql\n(.*?)```", (ROOT / "docs" / "sweeps.md").read_text(), re.DOTALL)[1]
    assert dict(duckdb.sql(query).fetchall()) == means
    exported = "SELECT policy, avg(copies) FROM 'grid.parquet' GROUP BY policy"
    assert dict(duckdb.sql(exported).fetchall()) == means


def test_polars_reads_the_export(folder, means):
    polars = pytest.importorskip("polars")
    frame = polars.read_parquet(folder / "grid.parquet")
    assert dict(frame.group_by("policy").agg(polars.col("copies").mean()).rows()) == means
