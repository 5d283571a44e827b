# SPDX-License-Identifier: MIT
"""The CSV importer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cowfast._layout import Op
from cowfast.errors import TraceError
from cowfast.events import NAMES, format_event, make_events
from cowfast.traces import TraceWriter, convert, import_csv, load_trace


def imported(tmp_path, text: str) -> list[str]:
    path = tmp_path / "events.csv"
    path.write_text(text)
    trace = import_csv(path, tmp_path / "x.cow")
    return [format_event(event) for chunk in trace.chunks() for event in chunk]


def test_columns_in_any_order_and_missing_values(tmp_path):
    text = "# made by hand\npage,op,pid,arg,flags\n3,write,0,,\n,fork,0,1,\n3,GET,1,7,look write\n\n4,discard,1,2,\n"
    assert imported(tmp_path, text) == ["write 0 3", "fork 0 1", "get 1 3 ref=7 look write", "discard 1 4 n=2"]
    assert imported(tmp_path, "op\r\ndrain\r\n") == ["drain"]


BAD = {
    "empty": ("", "empty"),
    "no header": ("write,0,3\n", "line 1.*must name columns"),
    "unknown column": ("op,pid,colour\n", "line 1.*columns"),
    "column twice": ("op,pid,pid\n", "line 1.*columns"),
    "unknown event": ("op,pid,page\nwrite,0,1\nwrote,0,2\n", "line 3.*'wrote'.*known"),
    "too many values": ("op,pid\nwrite,0,3\n", "line 2: 3 values"),
    "negative page": ("op,pid,page\nwrite,0,-3\n", "line 2: page '-3'"),
    "huge page": ("op,pid,page\nwrite,0,4294967296\n", "line 2: page.*4294967295"),
    "huge process": ("op,pid,page\nwrite,65535,0\n", "line 2: pid.*65534"),
    "endless number": ("op,pid,page\nwrite,0," + "9" * 5000 + "\n", "line 2: page"),
    "a flag of another event": ("op,pid,page,flags\nwrite,0,1,look\n", "line 2: flag 'look'.*none"),
    "not UTF-8": (b"op,pid\n\xff\xfe,0\n", "line 2"),
    "a carriage return within a line": (b"op,pid\nwrite,\r0\n", "line 2"),
    "binary": (b"op,pid\nwrite,\0\n", "binary"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_lines_are_named(tmp_path, what):
    text, said = BAD[what]
    path = tmp_path / "events.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TraceError, match=said):
        import_csv(path, tmp_path / "x.cow")
    assert not (tmp_path / "x.cow").exists()


@given(st.lists(st.tuples(st.sampled_from([op for op in Op if op.name.lower() in NAMES]), st.integers(0, 65_534),
                          st.integers(0, 2**32 - 2), st.integers(0, 65_534)), max_size=30))  # fmt: skip
def test_csv_and_back(tmp_path_factory, rows):
    directory = tmp_path_factory.mktemp("csv")
    events = make_events([(op, pid, page, arg, 1 if op == Op.GET else 0) for op, pid, page, arg in rows])
    with TraceWriter(directory / "a.cow") as out:
        out.write(events)
    convert(load_trace(directory / "a.cow"), directory / "a.csv")
    again = import_csv(directory / "a.csv", directory / "b.cow")
    assert again.summary.sha256 == load_trace(directory / "a.cow").summary.sha256
