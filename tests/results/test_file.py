# SPDX-License-Identifier: MIT
"""A results file survives whatever happens to it."""

import io
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cowfast.errors import ResultsError
from cowfast.results import ResultsWriter, load_results
from cowfast.results.export import export
from cowfast.results.lines import decode, encode


def row(number, **more):
    spec = {"source": {"workload": "w", "parameters": {"pages": 4}}, "machine": {"memory": 3}}
    common = {"policy": "p", "source": "w", "seed": number, "spec": spec, "seconds": 0.5}
    return {"id": f"{number:016x}", **common, "counters": {"events": number, "copies": 2 * number}, **more}


def write(path, *rows):
    with ResultsWriter(path) as writer:
        for each in rows:
            writer.write(each)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.jsonl"


def test_rows_come_back(path):
    write(path, row(1), row(2))
    assert list(load_results(path)) == [row(1), row(2)]


def test_a_row_that_is_there_is_not_repeated(path):
    write(path, row(1))
    write(path, row(1), row(2))
    assert [each["seed"] for each in load_results(path)] == [1, 2]
    assert path.read_bytes().count(b"\n") == 2


@given(cut=st.integers(0, len(encode(row(3)))))
def test_a_line_torn_anywhere_is_dropped_and_its_run_done_again(tmp_path_factory, cut):
    path = write(tmp_path_factory.mktemp("torn") / "results.jsonl", row(1), row(2))
    whole = encode(row(3))
    with path.open("ab") as file:
        file.write(whole[:cut])
    complete = cut >= len(whole) - 1  # but for the newline
    assert [each["seed"] for each in load_results(path)] == ([1, 2, 3] if complete else [1, 2])
    write(path, row(3), row(4))
    assert list(load_results(path)) == [row(1), row(2), row(3), row(4)]
    assert load_results(path).torn == 0


def test_cat_merges(path, tmp_path):
    other = write(tmp_path / "other.jsonl", row(2), row(3))
    write(path, row(1), row(2))
    both = tmp_path / "both.jsonl"
    both.write_bytes(path.read_bytes() + other.read_bytes())
    assert [each["seed"] for each in load_results(both)] == [1, 2, 3]
    assert [each["seed"] for each in load_results(path, other)] == [1, 2, 3]


def test_cat_behind_a_torn_line_loses_only_that(path, tmp_path):
    other = write(tmp_path / "other.jsonl", row(2), row(3))
    write(path, row(1), row(9))
    both = tmp_path / "both.jsonl"
    both.write_bytes(path.read_bytes()[:-30] + other.read_bytes())
    found = load_results(both)
    assert [each["seed"] for each in found] == [1, 2, 3]
    assert found.torn == 1
    write(both, row(9))
    assert sorted(each["seed"] for each in load_results(both)) == [1, 2, 3, 9]


def test_zeros_that_a_power_cut_leaves(path):
    write(path, row(1))
    with path.open("ab") as file:
        file.write(bytes(512))
    assert len(load_results(path)) == 1
    write(path, row(2))
    assert [each["seed"] for each in load_results(path)] == [1, 2]


def test_two_results_of_one_run_must_agree(path, tmp_path):
    write(path, row(1))
    other = write(tmp_path / "other.jsonl", row(1, counters={"events": 7}))
    with pytest.raises(ResultsError, match="other counters"):
        load_results(path, other)


def test_a_second_writer_is_refused(path):
    with ResultsWriter(path) as writer:
        with pytest.raises(ResultsError, match="written by another"):
            ResultsWriter(path)
        writer.write(row(1))
    write(path, row(2))
    assert len(load_results(path)) == 2


def test_a_second_process_is_refused(path):
    code = "import sys; from cowfast.results import ResultsWriter; ResultsWriter(sys.argv[1])"
    with ResultsWriter(path):
        found = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert "written by another cowfast" in found.stderr


@pytest.mark.parametrize("text", ["# notes\n", '{"a": 1}\n', "[1, 2]\n", '{"rows": []}\n', "\x7fELF"])
def test_a_file_of_something_else_is_left_alone(path, text):
    path.write_text(text)
    with pytest.raises(ResultsError, match="not a results file"):
        ResultsWriter(path)
    assert path.read_text() == text
    with pytest.raises(ResultsError):
        load_results(path)


def test_a_place_that_cannot_be_written_is_found_at_once(tmp_path):
    with pytest.raises(ResultsError, match="cannot be written"):
        ResultsWriter(tmp_path / "none" / "results.jsonl")
    with pytest.raises(ResultsError, match="cannot be written"):
        ResultsWriter(tmp_path)
    with pytest.raises(ResultsError, match="not a file"):
        ResultsWriter("/dev/zero")
    with pytest.raises(ResultsError, match="not a regular file"):
        load_results("/dev/zero")


def test_what_is_not_there_cannot_be_read(path):
    with pytest.raises(ResultsError, match="cannot be read"):
        load_results(path)
    path.write_text("")
    with pytest.raises(ResultsError, match="no results"):
        load_results(path)


def test_the_json_of_run_and_compare_is_results_too(path):
    document = {"source": "w", "machine": {"memory": 3}, "rows": [row(1), row(2)]}
    path.write_text(json.dumps(document, indent=2))
    assert [each["seed"] for each in load_results(path)] == [1, 2]


def test_runs_that_ended_early_are_apart(path):
    write(path, row(1), row(2, error="memory is full"))
    found = load_results(path)
    assert [each["seed"] for each in found] == [1]
    assert [each["error"] for each in found.failed] == ["memory is full"]


FILL = """
import sys
from cowfast.errors import ResultsError
from cowfast.results import ResultsWriter
sys.path.insert(0, sys.argv[2])
from test_file import row
try:
    with ResultsWriter(sys.argv[1]) as writer:
        for number in range(1, 10_000):
            writer.write(row(number, note="x" * 500))
except ResultsError as error:
    sys.exit(f"{error}")
"""


def fill(path, **options):
    command = [sys.executable, "-c", FILL, str(path), str(Path(__file__).parent)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def check_full(path, found, why):
    assert found.returncode == 1
    assert why in found.stderr
    assert "finished rows are kept" in found.stderr
    rows = load_results(path)
    assert rows.torn == 0
    assert [each["seed"] for each in rows] == list(range(1, len(rows) + 1))
    assert f"the {len(rows):,} finished rows" in found.stderr


def test_a_file_that_may_not_grow(path):
    limit = 100_000
    found = fill(path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    check_full(path, found, "file size limit")
    assert limit - 1500 < path.stat().st_size <= limit


def test_a_disk_that_is_full(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        check_full(small / "results.jsonl", fill(small / "results.jsonl"), "the disk is full")
    finally:
        subprocess.run(["umount", small], check=True)


def test_export_is_flat(path, tmp_path):
    polars = pytest.importorskip("polars")
    results = load_results(write(path, row(1), row(2)))
    for name, read in (("out.csv", polars.read_csv), ("out.parquet", polars.read_parquet)):
        export(results, tmp_path / name)
        frame = read(tmp_path / name)
        assert frame["copies"].to_list() == [2, 4]
        assert frame["parameter.pages"].to_list() == [4, 4]
        assert frame["machine.memory"].to_list() == [3, 3]
    with pytest.raises(ResultsError, match=r"\.csv or \.parquet"):
        export(results, tmp_path / "out.xls")


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data):
    for line in decode(io.BytesIO(data)):
        assert line.row is None or "id" in line.row


def test_rows_are_whole_for_a_reader_at_any_moment(path):
    with ResultsWriter(path) as writer:
        for number in range(1, 50):
            writer.write(row(number))
            assert len(load_results(path)) == number
            assert os.stat(path).st_size == sum(len(encode(row(n))) for n in range(1, number + 1))
