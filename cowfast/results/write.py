# SPDX-License-Identifier: MIT
"""The one writer of a results file."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from cowfast.errors import ResultsError
from cowfast.results.lines import MAX_LINE, decode, encode, looks_torn, parts

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "the file size limit is reached",
}


class ResultsWriter:
    """Appends rows to a file, each in one write that is whole or taken back.

        >>> with ResultsWriter("results.jsonl") as results:  # doctest: +SKIP
        ...     if row["id"] not in results.ids:
        ...         results.write(row)

    Opening creates the file, locks it against a second writer, drops a torn last line, and reads the ids of the rows
    that are there.  Raises ResultsError if the file cannot be written, is written by somebody else, or holds something
    that is not results.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.dropped = 0
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise ResultsError(
                f"{self.path} cannot be written: {error.strerror}; choose another file with -o"
            ) from error
        try:
            if not stat.S_ISREG(os.fstat(self._file).st_mode):
                raise ResultsError(
                    f"{self.path} is not a file that rows can be appended to; choose another one with -o"
                )
            self._lock()
            self.ids = self._read()
        except BaseException:
            os.close(self._file)
            raise

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row; when this returns, the operating system has all of it. A row that is there is not repeated."""
        if row["id"] in self.ids:
            return
        text = encode(row)
        length = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, text)
            while written < len(text):  # a disk that is nearly full takes a part
                written += os.write(self._file, text[written:])
        except OSError as error:
            os.ftruncate(self._file, length)
            why = _FULL.get(error.errno or 0, error.strerror)
            raise ResultsError(
                f"{self.path}: {why}; the {len(self.ids):,} finished rows are kept. "
                f"Make room and start the same command again: it goes on from there"
            ) from error
        self.ids.add(row["id"])

    def close(self) -> None:
        """Bring everything to the device and give the lock back."""
        if self._file >= 0:
            os.fsync(self._file)
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ResultsError(
                f"{self.path} is being written by another cowfast; wait for it, or write to another file "
                f"and merge them later with cat"
            ) from error
        except OSError as error:  # some network file systems cannot lock
            raise ResultsError(f"{self.path} cannot be locked: {error.strerror}; choose a local file") from error

    def _read(self) -> set[str]:
        """Return the ids that are there, and leave the file ending in a whole line."""
        ids = set()
        with open(self._file, "rb", closefd=False) as stream:
            for line in decode(stream):
                if line.row is not None:
                    ids.add(line.row["id"])
                elif looks_torn(line.text) and len(line.text) < MAX_LINE:
                    self.dropped += 1
                else:
                    raise ResultsError(
                        f"{self.path}, line {line.number}: not a results file; choose another file with -o"
                    )
            self._mend(_tail(stream), stream.tell())
        return ids

    def _mend(self, tail: bytes, length: int) -> None:
        """Leave the file ending in a whole line: ``tail`` is what follows its last newline."""
        lines = list(parts(tail))
        torn = lines.pop().text if lines and lines[-1].row is None else b""
        if torn:
            os.ftruncate(self._file, length - len(torn))
        if lines:
            os.write(self._file, b"\n")


def _tail(stream: BinaryIO) -> bytes:
    """Return what follows the last newline, reading backwards; the stream is left at its end."""
    end = stream.seek(0, os.SEEK_END)
    tail = b""
    for back in range(end, -1, -(1 << 16)):
        start = max(back - (1 << 16), 0)
        stream.seek(start)
        _, newline, rest = stream.read(back - start).rpartition(b"\n")
        tail = rest + tail
        if newline or not start:
            break
    stream.seek(0, os.SEEK_END)
    return tail
