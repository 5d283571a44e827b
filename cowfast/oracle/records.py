# SPDX-License-Identifier: MIT
"""Reads kernel records: scripts of events, and what a booted kernel showed after each of them.

One JSON object a line, xz-compressed or plain: ``{"script": NAME, "pages": N}`` begins a script, then one object an
event (``e`` its text, ``p`` the processes' pages, ``f`` the frames, ``d`` the vmstat counters that changed, ...).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from cowfast.errors import TraceError
from cowfast.files import open_regular
from cowfast.traces.files import blocks

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
    file = open_regular(path, TraceError)
    with file:
        start = file.read(6)
    if path.suffix == ".xz" and not start.startswith(b"\xfd7zXZ"):
        raise TraceError(f"{path}: the file is truncated or damaged: an .xz file begins otherwise")
    return io.BufferedReader(_Unpacked(path), 1 << 16)


class _Unpacked(io.RawIOBase):
    """A file as it is or decompressed, in bounded memory, as :func:`cowfast.traces.files.blocks` yields it."""

    def __init__(self, path: Path) -> None:
        self._blocks = blocks(path)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._blocks, b""))
        n = min(len(buffer), len(self._rest))
        buffer[:n] = self._rest[:n]
        self._rest = self._rest[n:]
        return n

    def close(self) -> None:
        self._blocks.close()
        super().close()


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of each line; TraceError names the line that is none."""
    number = 0
    decoder = msgspec.json.Decoder(dict[str, Any])
    with open_record(path) as file:
        while True:
            try:
                line = file.readline(MAX_LINE)
            except TraceError as error:
                raise TraceError(f"{path}, after line {number}: the file is truncated or damaged ({error})") from None
            if not line:
                return
            number += 1
            try:
                yield number, decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise TraceError(f"{path}, line {number}: not a record ({error})") from None


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
