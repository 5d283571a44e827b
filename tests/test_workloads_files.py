# SPDX-License-Identifier: MIT
"""Workload files: phases, parts side by side, and the words for what cannot be."""

import numpy as np
import pytest

from cowfast._layout import Op
from cowfast.errors import WorkloadError
from cowfast.workloads import load_workload, workload, workload_from_definition
from workload_rules import check_stream

PHASES = """
name = "fork-under-pressure"
processes = 3
pages = 200
references = 8

[[phase]]
do = "fill"

[[phase]]
do = "repeat"
times = 4

[[phase.phase]]
do = "fork"
child = 1

[[phase.phase]]
do = "mix"
pids = [0, 2]
events = 500
zipf_s = 0.9
weights = { read = 1, write = 2, get = 0.1, lock = 0.1 }

[[phase.phase]]
do = "sweep"
op = "pageout"
size = 64

[[phase.phase]]
do = "exit"
pid = 1

[[phase]]
do = "reclaim"
arg = 50
"""

PARTS = """
name = "server-and-fuzzer"
events = 50000

[[part]]
workload = "bgsave"
weight = 3
parameters = { pages = 300, during = 500, between = 500 }

[[part]]
workload = "forkserver"
parameters = { pages = 200 }

[[part]]
pages = 100
processes = 2
references = 4
weight = 2

[[part.phase]]
do = "fill"

[[part.phase]]
do = "fork"
child = 1

[[part.phase]]
do = "mix"
pids = [0, 2]
weights = { write = 1, pin = 0.1 }
events = 700
"""


def write(tmp_path, text, name="mine.toml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def all_events(source, seed=1, size=1 << 20):
    events = np.concatenate(list(source.chunks(seed, size)))
    check_stream(events, source.processes, source.space, source.references)
    return events


def test_phases_one_after_the_other(tmp_path):
    source = load_workload(write(tmp_path, PHASES))
    events = all_events(source)
    assert source.name == "fork-under-pressure"
    assert len(events) == source.events == 200 + 4 * (1 + 500 + 4 + 1) + 1
    assert (events["op"][:200] == Op.WRITE).all()
    assert (events["page"][:200] == np.arange(200)).all()
    assert np.count_nonzero(events["op"] == Op.FORK) == 4
    assert events["op"][-1] == Op.RECLAIM
    outs = events[events["op"] == Op.PAGEOUT]
    assert outs["page"][:4].tolist() == [0, 64, 128, 136]
    assert set(outs["arg"].tolist()) == {64}


def test_parts_have_processes_of_their_own(tmp_path):
    source = load_workload(write(tmp_path, PARTS))
    events = all_events(source)
    assert len(events) == 50_000
    assert source.processes == 2 + 2 + 2
    assert source.footprint == (2 * 300 + 2) + 2 * 216 + 2 * 100
    third = events[events["pid"] >= 4]
    assert np.count_nonzero(third["op"] != Op.FORK) == 100 + 700  # it ended long before the others
    # by weight while all three run: 3 to 1 to 2
    early = events[2:1800]["pid"] // 2
    assert 0.35 < np.mean(early == 0) < 0.65
    np.testing.assert_array_equal(all_events(source, size=333), events)


def test_a_file_may_be_parameters_of_a_workload(tmp_path):
    path = write(tmp_path, 'workload = "scan"\nevents = 500\n[parameters]\npages = 64\n')
    assert load_workload(path).spec() == workload("scan", pages=64, events=500).spec()
    assert load_workload(path, pages=32, events=7).spec() == workload("scan", pages=32, events=7).spec()


def test_parameters_replace_keys_of_the_file(tmp_path):
    path = write(tmp_path, PHASES)
    assert load_workload(path, events=300).events == 300
    assert load_workload(path, pages=400).space == 400
    with pytest.raises(WorkloadError, match=r"no parameter 'page': did you mean 'pages'\?"):
        load_workload(path, page=400)


def test_a_spec_makes_the_same_stream(tmp_path):
    for text in (PHASES, PARTS):
        source = load_workload(write(tmp_path, text))
        again = workload_from_definition(source.spec()["parameters"]["definition"])
        assert again.spec() == source.spec()
        np.testing.assert_array_equal(all_events(again, 5), all_events(source, 5))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "write one of workload, [[phase]], [[part]]"),
        ("name = ", "not TOML"),
        ("pages = 0\n[[phase]]\ndo = 'fill'", "pages: expected `int` >= 1"),
        ("pagse = 3\n[[phase]]\ndo = 'fill'", "`pagse`"),
        ("workload = 'bgsav'", "did you mean 'bgsave'?"),
        ("workload = 'bgsave'\nparameters = { page = 3 }", "did you mean 'pages'?"),
        ("workload = 'bgsave'\n[[phase]]\ndo = 'fill'", "write one of"),
        ("[[phase]]\ndo = 'fil'", "phase 1 (fil): unknown phase; did you mean 'fill'?"),
        ("[[phase]]\ndo = 'fill'\npid = 3", "phase 1 (fill): pid = 3"),
        ("[[phase]]\ndo = 'fork'\nchild = 3", "child = 3"),
        ("[[phase]]\ndo = 'fill'\npages = [1000, 100]", "pages = 1000"),
        ("[[phase]]\ndo = 'sweep'\nop = 'raed'", "did you mean 'read'?"),
        ("[[phase]]\ndo = 'mix'", "write weights"),
        ("[[phase]]\ndo = 'mix'\nweights = { wirte = 1 }", "unknown weight 'wirte'; did you mean 'write'?"),
        ("[[phase]]\ndo = 'mix'\nweights = { get = 1 }", "get needs references"),
        ("[[phase]]\ndo = 'mix'\nweights = { read = -1 }", "phase[0].weights[...]"),
        ("[[phase]]\ndo = 'get'\nflags = 'loko'", "did you mean 'look'?"),
        ("[[phase]]\ndo = 'repeat'", "nothing to repeat"),
        ("[[part]]\nweight = 1", "part 1: write either workload or [[part.phase]]"),
        ("[[phase]]\ndo = 'write'\npage = 5000", "page = 5000"),
    ],
)
def test_refused(tmp_path, text, words):
    with pytest.raises(WorkloadError) as error:
        load_workload(write(tmp_path, text))
    assert words in str(error.value)
    assert "mine.toml" in str(error.value) or "bgsav" in text


def test_a_missing_file(tmp_path):
    with pytest.raises(WorkloadError, match="No such file"):
        load_workload(tmp_path / "none.toml")


def test_weights_of_zero_are_no_events(tmp_path):
    source = load_workload(write(tmp_path, "[[phase]]\ndo = 'mix'\nweights = { read = 0 }"))
    assert source.events == 0
    assert list(source.chunks(1)) == []
