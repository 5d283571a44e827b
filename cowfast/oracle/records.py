# SPDX-License-Identifier: MIT
"""Reads kernel records: scripts of events, and what a booted kernel showed after each of them.

One JSON object a line, xz-compressed or plain: ``{"script": NAME, "pages": N}`` begins a script, then one object an
event (``e`` its text, ``p`` the processes' pages, ``f`` the frames, ``d`` the vmstat counters that changed, ...).
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from cowfast.errors import TraceError

MAX_LINE = 1 << 22
MAX_EVENTS = 1 << 17  # of one script, which is held in memory


@dataclass
class Script:
    """One script of a record file."""

    name: str
    pages: int
    line: int
    events: list[dict[str, Any]] = field(default_factory=list)


def open_record(path: Path) -> BinaryIO:
    """Opens a record, compressed or not; TraceError if it is not a regular file."""
    if not path.is_file():
        raise TraceError(f"{path}: no such file (a regular file is needed)")
    try:
        return lzma.open(path) if path.suffix == ".xz" else path.open("rb")  # type: ignore[return-value]
    except OSError as error:
        raise TraceError(f"{path}: cannot be read ({error.strerror})") from None


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of each line; TraceError names the line that is none."""
    number = 0
    decoder = msgspec.json.Decoder(dict[str, Any])
    try:
        with open_record(path) as file:
            while line := file.readline(MAX_LINE):
                number += 1
                try:
                    yield number, decoder.decode(line)
                except msgspec.DecodeError as error:
                    raise TraceError(f"{path}, line {number}: not a record ({error})") from None
    except (lzma.LZMAError, EOFError) as error:
        raise TraceError(f"{path}, after line {number}: the file is truncated or damaged ({error})") from None


def check_state(row: dict[str, Any], where: str) -> None:
    """TraceError unless the row holds a state: texts in ``p`` and ``f``, whole numbers in ``d``, ``sc``."""
    for name, kind in (("p", str), ("f", str), ("d", int)):
        table = row.get(name)
        if not isinstance(table, dict) or not all(isinstance(value, kind) for value in table.values()):
            raise TraceError(f'{where}: "{name}" should be a table of {"numbers" if kind is int else "texts"}')
    if not all(len(text.split(" ")) >= 2 for text in row["f"].values()):
        raise TraceError(f'{where}: a frame in "f" is "MAPCOUNT FLAGS [SLOT]"')
    if not isinstance(row.get("sc"), int):
        raise TraceError(f'{where}: "sc" should be a number')


def read_scripts(path: Path) -> Iterator[Script]:
    """The scripts of a file, one at a time."""
    script: Script | None = None
    for number, row in read_lines(path):
        if "script" in row:
            if script is not None:
                yield script
            pages = row.get("pages")
            if not isinstance(pages, int) or not 0 < pages <= 1 << 20 or not isinstance(row["script"], str):
                raise TraceError(f'{path}, line {number}: a script needs a name and "pages"')
            script = Script(row["script"], pages, number)
        elif script is None or not isinstance(row.get("e"), str) or not row["e"].strip():
            raise TraceError(f'{path}, line {number}: expected an event ("e") of a script')
        elif len(script.events) == MAX_EVENTS:
            raise TraceError(f"{path}, line {number}: more than {MAX_EVENTS} events in one script")
        else:
            if "skip" not in row:
                check_state(row, f"{path}, line {number}")
            script.events.append(row)
    if script is not None:
        yield script
