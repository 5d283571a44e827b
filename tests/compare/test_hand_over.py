# SPDX-License-Identifier: MIT
"""Results in other hands: numpy, polars, pandas, pickle, a notebook."""

import pickle
import sys
from types import SimpleNamespace

import pytest

import cowfast
from cowfast.counters import COUNTERS


@pytest.fixture(scope="module")
def comparison():
    parameters = {"events": 5_000, "pages": 64, "processes": 4}
    return cowfast.compare("random-mix", "linux-5.16,linux-6.18", memory="75%", parameters=parameters, seeds=2)


def test_to_numpy(comparison):
    array = comparison.rows().to_numpy()
    assert array.shape == (4,)
    assert array.dtype.names == ("policy", "seed", *(info.name for info in COUNTERS))
    expected = {(each.policy, each.seed): each.counters["copies"] for each in comparison.results}
    assert {(record["policy"], record["seed"]): record["copies"] for record in array} == expected
    assert array["events"].sum() == 20_000


def test_to_polars(comparison):
    polars = pytest.importorskip("polars")
    frame = comparison.rows().to_polars()
    assert isinstance(frame, polars.DataFrame)
    assert frame["copies"].to_list() == [each.counters["copies"] for each in comparison.results]


def test_to_pandas_gets_flat_rows(comparison, monkeypatch):
    seen = []
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=seen.append))
    comparison.rows().to_pandas()
    assert [row["copies"] for row in seen[0]] == [each.counters["copies"] for each in comparison.results]
    assert not any(isinstance(value, (dict, list)) for row in seen[0] for value in row.values())


def test_results_are_pickled(comparison):
    for each in (*comparison.results, comparison):
        again = pickle.loads(pickle.dumps(each))
        assert again == each
        assert repr(again) == repr(each)


@pytest.mark.parametrize("name", ["Result", "Comparison", "Results"])
def test_what_a_notebook_shows(comparison, name):
    each = {"Result": comparison.results[0], "Comparison": comparison, "Results": comparison.rows()}[name]
    html = each._repr_html_()
    assert html.count("<table") == html.count("</table>") == 1
    assert "linux-5.16" in html
    assert "copies" in html or "copied" in html


@pytest.mark.parametrize("name", cowfast.__all__)
def test_help_is_complete(name):
    import inspect

    thing = getattr(cowfast, name)
    if not callable(thing):
        return
    assert inspect.getdoc(thing), name
    members = inspect.getmembers(thing, callable) if inspect.isclass(thing) else []
    without = [member for member, value in members if not member.startswith("_") and not inspect.getdoc(value)]
    assert not without, f"{name}: {without}"
