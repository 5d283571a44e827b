# SPDX-License-Identifier: MIT
"""The saved corpus and changes of it through every reader: what is documented, nothing else.

The corpus is what benchmarks/fuzz.py --save kept: the smallest inputs that reach all the code that a million reached.
"""

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fuzz_targets
from cowfast.errors import CowfastError, SpecError, TraceError
from cowfast.litmus import parse_scenario
from cowfast.results import load_results
from cowfast.sweep import load_spec
from cowfast.traces import TraceWriter, load_trace, trace_info


@pytest.fixture(scope="module")
def corpora():
    return {name: fuzz_targets.corpus(name) for name in fuzz_targets.TARGETS}


@pytest.mark.parametrize("name", fuzz_targets.TARGETS)
def test_the_saved_corpus(corpora, name):
    said = [fuzz_targets.call(name, data) for data in corpora[name]]
    assert "accepted" in said, "a corpus in which nothing is honest tests little"


@pytest.mark.parametrize("name", fuzz_targets.TARGETS)
@given(data=st.data())
@pytest.mark.slow
def test_changes_of_it(corpora, name, data):
    words = st.sampled_from([word.encode() for word in fuzz_targets.WORDS[name]])
    content = data.draw(st.sampled_from(corpora[name]))
    for place, length, put in data.draw(
        st.lists(
            st.tuples(st.integers(0, 8192), st.integers(0, 40), st.one_of(st.binary(max_size=8), words)),
            min_size=1,
            max_size=3,
        )
    ):
        place %= len(content) + 1
        content = content[:place] + put + content[place + length :]
    fuzz_targets.call(name, content[: fuzz_targets.MAX_LENGTH])


def test_a_night_tries_a_million_inputs(root):
    text = (root / ".ci" / "nightly").read_text()
    [each] = re.findall(r"\$\{FUZZ:-(\d+)\}", text)
    assert int(each) * len(fuzz_targets.TARGETS) >= 1_000_000
    assert '--corpus "$out/corpus"' in text


def test_a_night_soaks_a_billion_events(root):
    [events] = re.findall(r"\$\{EVENTS:-(\d+)\}", (root / ".ci" / "nightly").read_text())
    assert int(events) >= 10**9


def test_a_trace_without_accesses_has_figures(tmp_path):
    """Found by fuzzing: `trace info` of a trace in which nobody reads or writes."""
    from cowfast._layout import Op
    from cowfast.events import make_events

    with TraceWriter(tmp_path / "x.cow") as out:
        out.write(make_events([(Op.FORK, 0, 0, 1), (Op.GET, 0, 3, 7)]))
    assert trace_info(load_trace(tmp_path / "x.cow"))["pages_touched"] == 0


@pytest.mark.parametrize("number", ["0000000000011111111", "1" * 5000, "0" * 12 + "1" * 5000, "٣"])
def test_a_litmus_size_with_too_many_digits(number):
    """A number was judged by its first twelve digits; Python refuses those of more than 4300 with its own error."""
    with pytest.raises(SpecError, match="not a whole number"):
        parse_scenario(f"space {number}\nwrite 0 0\n")


@pytest.mark.parametrize(("text", "said"), [("seed = " + "9" * 5000, "not TOML"), ("x = " + "[" * 5000, "not TOML")])
def test_toml_that_python_itself_refuses(tmp_path, text, said):
    from cowfast.policy import load_policy
    from cowfast.workloads import load_workload

    path = tmp_path / "x.toml"
    path.write_text(text)
    for read in (load_spec, load_workload, load_policy):
        with pytest.raises(CowfastError, match=said):
            read(path)


def test_a_range_that_would_fill_memory(tmp_path):
    """It became a list before anybody asked how long it is."""
    with pytest.raises(SpecError, match="more than 1,000,000 numbers"):
        load_spec({"source": "random-mix", "policy": "linux-6.18", "seed": {"from": 0, "to": 10**15}})


@pytest.mark.parametrize(
    "change", [{"counters": 3}, {"counters": {"copies": "many"}}, {"policy": None}, {"spec": []}, {"seed": "x"}]
)
def test_a_row_that_others_cannot_rely_on(tmp_path, change):
    import json

    from cowfast.errors import ResultsError

    row = {"id": "0", "source": "s", "policy": "p", "seed": 0, "spec": {}, "counters": {"copies": 1}}
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"rows": [row]}))
    assert len(load_results(path)) == 1
    for text in (json.dumps(row | change) + "\n", json.dumps({"rows": [row | change]})):
        path.write_text(text)
        with pytest.raises(ResultsError, match=r"line 1|row 1|no results"):
            load_results(path)


def test_accesses_beyond_what_the_summary_says(tmp_path):
    """A trace with right checksums and a summary that lies: an error, not numpy's."""
    import msgspec

    from cowfast._layout import Op
    from cowfast.events import make_events
    from cowfast.traces import format as fmt

    events = make_events([(Op.WRITE, 0, 100)])
    raw = fmt.by_column([events])
    import zstandard

    start = fmt.pack_header(fmt.Header())
    body = start + fmt.pack_frame(fmt.EVENTS_FRAME, 1, 0, len(raw), zstandard.compress(raw))
    said = msgspec.json.encode(
        fmt.Summary(events=1, processes=1, space=1, references=0, cpus=1, footprint=1, events_by_op={}, sha256="")
    )
    place = len(body)
    body += fmt.pack_frame(fmt.SUMMARY_FRAME, 0, 1, len(said), said)
    there = len(body)
    import numpy as np

    index = np.array([(len(start), 1, 0)], fmt.INDEX).tobytes()
    body += fmt.pack_frame(fmt.INDEX_FRAME, 1, 1, len(index), index) + fmt.pack_footer(place, there)
    (tmp_path / "x.cow").write_bytes(body)
    with pytest.raises(TraceError, match="beyond the sizes"):
        trace_info(load_trace(tmp_path / "x.cow"))


@pytest.mark.slow
def test_reading_never_executes_anything():
    """No code is compiled or run, nothing unpickled, no program started, while the whole corpus is read a second time."""
    code = """
import sys
sys.path.insert(0, sys.argv[1])
import fuzz_targets as f
corpora = {name: f.corpus(name) for name in f.TARGETS}
seen, on = [], False
BAD = ("compile", "exec", "import", "pickle.find_class", "marshal.loads", "subprocess.Popen", "os.system", "os.exec",
       "os.posix_spawn", "os.fork", "ctypes.dlopen", "code.__new__", "socket.connect")
def hook(name, arguments):
    if on and name in BAD:
        frame = sys._getframe(1)
        while frame and not frame.f_code.co_filename.endswith("msgspec/_utils.py"):  # it evaluates our annotations
            frame = frame.f_back
        if frame is None:
            seen.append((name, arguments))
sys.addaudithook(hook)
for on in (False, True):
    for name, corpus in corpora.items():
        for data in corpus:
            f.call(name, data)
on = False
assert not seen, seen[:3]
on = True
eval("1 + 1")
on = False
assert seen, "the hook does not see what it is for"
print(sum(map(len, corpora.values())))
"""
    tests = str(fuzz_targets._HERE)
    done = subprocess.run([sys.executable, "-c", code, tests], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 100


def test_no_source_can_execute_what_it_reads(root):
    """No pickle, marshal or shelve, no eval, exec or compile of text, and numpy.load only without pickles."""
    import ast

    for path in sorted((root / "cowfast").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path.name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = (
                    [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
                )
                assert not {name.split(".")[0] for name in names} & {
                    "pickle",
                    "marshal",
                    "shelve",
                    "dill",
                    "yaml",
                    "joblib",
                }, where
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec", "compile", "__import__"), where
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.load":
                assert any(k.arg == "allow_pickle" and ast.unparse(k.value) == "False" for k in node.keywords), where


def test_figures_of_a_trace_take_no_longer_for_a_high_page_number(tmp_path):
    """Found by fuzzing: one access to a high page made every lower page number be looked at, in seconds and gigabytes."""
    import resource
    import time

    from cowfast._layout import Op
    from cowfast.events import make_events

    with TraceWriter(tmp_path / "x.cow") as out:
        out.write(make_events([(Op.WRITE, 0, (1 << 28) - 2), (Op.READ, 0, 3), (Op.FORK, 0, 0, 1), (Op.WRITE, 1, 3)]))
    trace = load_trace(tmp_path / "x.cow")
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    found = trace_info(trace)
    assert time.process_time() - begun < 0.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10
    assert (found["pages_touched"], found["shared_pages"]) == (2, [(1, 1), (2, 1)])
    assert found["accesses_per_page"] == [(1, 1), (2, 1)]
