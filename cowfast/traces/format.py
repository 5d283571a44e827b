# SPDX-License-Identifier: MIT
"""The bytes of a ``.cow`` file; docs/formats/cow.md shows the same with a ten-line reader.

::

    magic (8)  length (4)  crc (4)  header JSON
    frames of events        32 bytes of frame head, then the payload
    summary frame           JSON: what is known only at the end
    index frame             16 bytes for each frame of events
    footer (24)             where the summary and the index are

Every byte is under some CRC-32, each checked before what it covers is used.  All numbers are little-endian.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, NamedTuple

import msgspec
import numpy as np

from cowfast._layout import Op
from cowfast.errors import TraceError
from cowfast.events import EVENT

VERSION = 1
#: Starts with a byte that is no text and ends lines in both ways, so that a transfer "as text" shows at once.
MAGIC = b"\x93COW\r\n\x1a\n"
EVENTS_FRAME, SUMMARY_FRAME, INDEX_FRAME, FOOTER = b"COWE", b"COWS", b"COWX", b"COW!"

#: Bounds that hold before anything is allocated, whatever a file claims.
MAX_FRAME_EVENTS = 1 << 20
MAX_JSON = 1 << 20
MAX_INDEX = 1 << 28  # of 16 million frames: two thousand billion events
MAX_COLUMNS = 8

_PREFIX = struct.Struct("<8sII")  # magic, bytes of the header, CRC of length and header
_FRAME = struct.Struct("<4sIQIII")  # kind, events, index of the first, bytes stored, bytes raw, CRC of the payload
_FOOTER = struct.Struct("<4sQQ")  # kind, offset of the summary, offset of the index
_CRC = struct.Struct("<I")
PREFIX_SIZE, FRAME_SIZE, FOOTER_SIZE = _PREFIX.size, _FRAME.size + _CRC.size, _FOOTER.size + _CRC.size
INDEX = np.dtype([("offset", "<u8"), ("events", "<u4"), ("reserved", "<u4")])

OP_NAMES = tuple(op.name.lower() for op in Op if op.name != "NR_OPS")


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What is known when writing starts."""

    format: str = "cowfast trace"
    version: int = VERSION
    semantics: str = "access"
    """``access``: every access is an event; ``fault``: only those that faulted under the recording kernel"""
    compression: str = "zstd"
    """``zstd`` (bytes of a frame ordered by column) or ``none`` (events as they are in memory)"""
    columns: list[tuple[str, str]] = []
    """name and numpy type of further numbers that each event has, such as the kernel's own verdict"""
    source: dict[str, Any] = {}
    renumbering: str = ""
    provenance: dict[str, Any] = {}


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What is known when writing ends."""

    events: int
    processes: int
    space: int
    references: int
    cpus: int
    footprint: int | None
    events_by_op: dict[str, int]
    sha256: str
    """of the event records as they are in memory, so that recompressing changes nothing"""
    notes: list[str] = []
    """what the recording lacks or the import left out"""
    found: dict[str, Any] = {}
    """figures of the import: faults, verdicts, lines"""


class FrameHead(NamedTuple):
    """The head of one frame."""

    kind: bytes
    events: int
    first: int
    stored: int
    raw: int
    crc: int


def pack_header(header: Header) -> bytes:
    """Return the beginning of a file."""
    text = msgspec.json.encode(header)
    if len(text) > MAX_JSON:
        raise TraceError(f"the header of a trace may have {MAX_JSON:,} bytes, not {len(text):,}: shorten its source")
    length = len(text)
    return _PREFIX.pack(MAGIC, length, zlib.crc32(text, zlib.crc32(_CRC.pack(length)))) + text


def unpack_prefix(data: bytes) -> tuple[int, int]:
    """Return the header's length and CRC; ValueError says what the file is instead."""
    if data[:8] != MAGIC[: len(data[:8])] or len(data) < PREFIX_SIZE:
        raise ValueError(what_is(data))
    _, length, crc = _PREFIX.unpack(data)
    if length > MAX_JSON:
        raise ValueError(f"its header claims {length:,} bytes; {MAX_JSON:,} are allowed")
    return length, crc


def unpack_header(length: int, crc: int, text: bytes) -> Header:
    """Return the header; ValueError if it is damaged or of another version."""
    if len(text) != length or zlib.crc32(text, zlib.crc32(_CRC.pack(length))) != crc:
        raise ValueError("its header is damaged (checksum)")
    try:
        header = msgspec.json.decode(text, type=Header)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"its header cannot be understood: {error}") from None
    if header.version != VERSION:
        raise ValueError(f"it has format version {header.version}, this cowfast reads {VERSION}: use a newer cowfast")
    if header.semantics not in ("access", "fault") or header.compression not in ("zstd", "none"):
        raise ValueError(f"semantics {header.semantics!r} or compression {header.compression!r} is not known")
    dtypes(header.columns)
    return header


def dtypes(columns: list[tuple[str, str]]) -> dict[str, np.dtype[Any]]:
    """Return the types of the extra columns; ValueError for any but unsigned numbers."""
    known = {"u1": "<u1", "u2": "<u2", "u4": "<u4", "u8": "<u8"}
    if len(columns) > MAX_COLUMNS or any(kind not in known for _, kind in columns):
        raise ValueError(f"columns {columns!r}: at most {MAX_COLUMNS}, each u1, u2, u4 or u8")
    return {name: np.dtype(known[kind]) for name, kind in columns}


def pack_frame(kind: bytes, events: int, first: int, raw: int, payload: bytes) -> bytes:
    """Return a frame with its head."""
    head = _FRAME.pack(kind, events, first, len(payload), raw, zlib.crc32(payload))
    return head + _CRC.pack(zlib.crc32(head)) + payload


def unpack_frame_head(data: bytes) -> FrameHead:
    """Return the head of a frame; ValueError if it is damaged."""
    if len(data) != FRAME_SIZE:
        raise ValueError("the file ends in its head")
    if zlib.crc32(data[: _FRAME.size]) != _CRC.unpack(data[_FRAME.size :])[0]:
        raise ValueError("its head is damaged (checksum)")
    return FrameHead(*_FRAME.unpack(data[: _FRAME.size]))


def pack_footer(summary: int, index: int) -> bytes:
    """Return the last bytes of a file."""
    footer = _FOOTER.pack(FOOTER, summary, index)
    return footer + _CRC.pack(zlib.crc32(footer))


def unpack_footer(data: bytes) -> tuple[int, int]:
    """Return the offsets of the summary and of the index; ValueError if this is no footer."""
    if len(data) != FOOTER_SIZE or data[:4] != FOOTER or zlib.crc32(data[:-4]) != _CRC.unpack(data[-4:])[0]:
        raise ValueError("it has no footer")
    _, summary, index = _FOOTER.unpack(data[:-4])
    return summary, index


def record_size(columns: dict[str, np.dtype[Any]]) -> int:
    """Return the bytes of one event with its extra columns."""
    return int(EVENT.itemsize + sum(dtype.itemsize for dtype in columns.values()))


def by_column(arrays: list[np.ndarray]) -> bytes:
    """Return the bytes of equally long arrays, byte 0 of every element first: what compresses well."""
    return b"".join(
        np.ascontiguousarray(array.view(np.uint8).reshape(len(array), array.itemsize).T).tobytes() for array in arrays
    )


def from_columns(raw: np.ndarray, count: int, low: int, out: list[np.ndarray]) -> None:
    """Undo :func:`by_column` for elements ``low`` and on of ``count``, into the whole of the arrays ``out``."""
    place = 0
    for array in out:
        target = array.view(np.uint8).reshape(len(array), array.itemsize)
        for byte in range(array.itemsize):
            target[:, byte] = raw[place + low : place + low + len(array)]
            place += count


def what_is(start: bytes) -> str:
    """Return what a file that begins so is, for a message that helps."""
    hints = [
        (
            b"PERFILE2",
            "it is a binary perf.data file: write it as text with perf script, then `cowfast trace import perf`",
        ),
        (b"\xfd7zXZ", "it is an .xz file: if it is a perf recording, `cowfast trace import perf`"),
        (b"\x28\xb5\x2f\xfd", "it is a .zst file: if it is a perf recording, `cowfast trace import perf`"),
        (b"\x1f\x8b", "it is a .gz file: if it is a perf recording, `cowfast trace import perf`"),
        (b"PAR1", "it is a Parquet file; `cowfast trace convert` writes them but does not read them"),
        (b"op,", "it is a CSV file: `cowfast trace import csv`"),
    ]
    for magic, hint in hints:
        if start.startswith(magic):
            return f"it is not a .cow trace; {hint}"
    if start and MAGIC.startswith(start[:8]):
        return "it ends within its header"
    if not start:
        return "it is empty"
    return "it is not a .cow trace; `cowfast trace import` makes one from perf, lackey or CSV recordings"
