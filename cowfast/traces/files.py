# SPDX-License-Identifier: MIT
"""Opening what users name: regular files only, compressed or not, in bounded memory."""

from __future__ import annotations

import gzip
import lzma
import os
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO

import zstandard

from cowfast.errors import TraceError
from cowfast.files import open_regular

BLOCK = 1 << 20
MAX_LINE = 1 << 16
#: What is compressed more than so many times, beyond the first so many bytes, is no recording: each line has a time.
_RATIO, _FREE = 500, 1 << 24
_PIECE = 1 << 14  # read so little of a compressed file at a time that the ratio is known
_XZ_MEMORY = 1 << 28
_ZSTD_WINDOW = 1 << 27


def blocks(path: str | os.PathLike[str]) -> Generator[bytes]:
    """Yield the contents of a file, decompressed if it is .xz, .zst or .gz (by its first bytes), a block at a time."""
    name = Path(path).name
    with open_regular(path, TraceError) as file:
        start = file.read(6)
        file.seek(0)
        if start.startswith(b"\xfd7zXZ"):
            source = _xz(file)
        elif start.startswith(b"\x1f\x8b"):
            source = _read(gzip.GzipFile(fileobj=file))
        elif start.startswith(b"\x28\xb5\x2f\xfd"):
            reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
            source = _read(reader.stream_reader(file, read_size=_PIECE, read_across_frames=True))
        else:
            source = _read(file)
        try:
            unpacked = 0
            for block in source:
                unpacked += len(block)
                if unpacked > _FREE and unpacked > _RATIO * max(file.tell(), 1):
                    raise TraceError(
                        f"{name}: it unpacks to more than {_RATIO} times its size: is it made to fill memory and time? "
                        "If it is honest, unpack it yourself first"
                    )
                yield block
        except (lzma.LZMAError, zstandard.ZstdError, zlib.error, gzip.BadGzipFile) as error:
            raise TraceError(f"{name}: the compressed data are damaged: {error}") from None
        except EOFError:
            raise TraceError(f"{name}: the compressed data end too early: the file is cut off") from None
        except OSError as error:
            raise TraceError(f"{name} cannot be read: {error.strerror}") from None


def lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield whole lines, some thousand at a time, as (number of the first, texts); TraceError if this is no text."""
    rest = b""
    number = 1
    for block in blocks(path):
        if b"\0" in block:
            raise TraceError(f"{Path(path).name}, after line {number}: this is a binary file, not text")
        head, newline, tail = block.rpartition(b"\n")
        if not newline:
            rest += block
            if len(rest) > MAX_LINE:
                raise TraceError(
                    f"{Path(path).name}, line {number}: longer than {MAX_LINE:,} bytes: this is not a recording"
                )
            continue
        texts = (rest + head).decode("utf-8", "replace").split("\n")
        rest = tail
        yield number, texts
        number += len(texts)
        if len(rest) > MAX_LINE:
            raise TraceError(
                f"{Path(path).name}, line {number}: longer than {MAX_LINE:,} bytes: this is not a recording"
            )
    if rest:
        yield number, [rest.decode("utf-8", "replace")]


def _read(file: BinaryIO | gzip.GzipFile | zstandard.ZstdDecompressionReader) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block


def _xz(file: BinaryIO) -> Iterator[bytes]:
    """Like ``lzma.open``, but refuses a dictionary that would take more memory than an honest file needs."""
    data = b""
    while True:
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
        while not unpacker.eof:
            if unpacker.needs_input and not data:
                data = file.read(_PIECE)
                if not data:
                    raise EOFError
            out = unpacker.decompress(data, BLOCK)
            data = b""
            if out:
                yield out
        data = unpacker.unused_data.lstrip(b"\0") or file.read(_PIECE)  # streams may follow one another, padded
        if not data:
            return
