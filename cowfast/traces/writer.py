# SPDX-License-Identifier: MIT
"""Writing ``.cow`` files: streaming, in bounded memory, whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import numpy as np
import zstandard

from cowfast import files
from cowfast._version import __version__
from cowfast.errors import TraceError
from cowfast.events import EVENT
from cowfast.traces import format as fmt
from cowfast.traces._tally import Tally

#: Events in a frame: small enough to seek well, large enough to compress well.
FRAME_EVENTS = 1 << 17


class TraceWriter:
    """Writes one trace; nothing appears at ``path`` before :meth:`close`, and nothing stays if it is not reached.

        >>> with TraceWriter("small.cow", semantics="access") as out:   # doctest: +SKIP
        ...     out.write(make_events([(Op.WRITE, 0, 3)]))

    Parameters
    ----------
    path
        where the finished file goes; an existing file is replaced at the end, in one step
    semantics
        ``access`` or ``fault``
    source, renumbering, provenance
        what the header says about where the events come from and how processes and pages got their numbers
    columns
        name -> numpy type (``u1 u2 u4 u8``) of further numbers for each event
    compression
        ``zstd``, or ``none`` for a file that is read through a memory map
    level
        of zstd

    Raises
    ------
    TraceError
        bad events, a path that cannot be written, a full disk
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        semantics: str = "access",
        source: Mapping[str, Any] | None = None,
        renumbering: str = "",
        provenance: Mapping[str, Any] | None = None,
        columns: Mapping[str, str] | None = None,
        compression: str = "zstd",
        level: int = 1,
        frame_events: int = FRAME_EVENTS,
    ) -> None:
        self.path = Path(os.path.realpath(path))
        header = fmt.Header(
            semantics=semantics,
            compression=compression,
            columns=list((columns or {}).items()),
            source=dict(source or {}),
            renumbering=renumbering,
            provenance={"cowfast": __version__} | dict(provenance or {}),
        )
        try:
            start = fmt.pack_header(header)
            fmt.unpack_header(*fmt.unpack_prefix(start[: fmt.PREFIX_SIZE]), start[fmt.PREFIX_SIZE :])
        except ValueError as error:
            raise TraceError(f"{self.path.name}: {error}") from None
        if not 1 <= frame_events <= fmt.MAX_FRAME_EVENTS:
            raise TraceError(
                f"{self.path.name}: frames have 1 to {fmt.MAX_FRAME_EVENTS:,} events, not {frame_events:,}"
            )
        self._types = fmt.dtypes(header.columns)
        self._compress = zstandard.ZstdCompressor(level=level).compress if compression == "zstd" else None
        self._frame_events = frame_events
        self._frame = [np.empty(frame_events, dtype) for dtype in (EVENT, *self._types.values())]
        self._filled = self._written = 0
        self._tally = Tally()
        self._sha = hashlib.sha256()
        self._index: list[tuple[int, int]] = []
        self._notes: list[str] = []
        self.found: dict[str, Any] = {}
        self._part = files.part_of(self.path)
        self._remove = weakref.finalize(self, files.unlink, self._part)  # before it is there: a signal may come between
        self._file = files.start(self.path, self._part, TraceError)
        self._put(start)

    def write(self, events: np.ndarray, **columns: np.ndarray) -> None:
        """Append events (dtype ``EVENT``), with as many numbers in each declared column."""
        events = np.ascontiguousarray(events)
        if events.dtype != EVENT or events.ndim != 1:
            raise TraceError(f"events must be a one-dimensional EVENT array, not {events.dtype}; see make_events()")
        columns = {name: np.ascontiguousarray(column, self._types.get(name)) for name, column in columns.items()}
        if columns.keys() != self._types.keys() or any(column.shape != events.shape for column in columns.values()):
            raise TraceError(f"each event needs a number in {list(self._types) or 'no column'}, given {list(columns)}")
        bad = self._tally.add(events)
        if bad >= 0:
            raise TraceError(
                f"event {self._written + self._filled + bad}: {events[bad]} has an unknown operation or process, or ends beyond page 2^32"
            )
        arrays = [events, *(columns[name] for name in self._types)]
        done = 0
        while done < len(events):
            n = min(len(events) - done, self._frame_events - self._filled)
            if n == self._frame_events:
                self._flush([array[done : done + n] for array in arrays])
            else:
                for frame, array in zip(self._frame, arrays, strict=True):
                    # As bytes: numpy copies records field by field.
                    frame[self._filled : self._filled + n].view(np.uint8)[:] = array[done : done + n].view(np.uint8)
                self._filled += n
                if self._filled == self._frame_events:
                    self._flush(self._frame)
                    self._filled = 0
            done += n

    def note(self, text: str) -> None:
        """Say in the file what it lacks; the same note twice is one."""
        if text not in self._notes:
            self._notes.append(text)

    def close(self) -> None:
        """Finish the file and put it in its place."""
        try:
            self._flush([array[: self._filled] for array in self._frame])
            self._finish()
            files.finish(self._part, self._file, self.path)
        except OSError as error:
            self.abort()
            raise TraceError(f"{self.path} cannot be written: {error.strerror}; nothing was changed") from None
        self._remove.detach()

    def abort(self) -> None:
        """Leave nothing behind."""
        with contextlib.suppress(OSError):
            self._file.close()
        self._remove()

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _flush(self, arrays: list[np.ndarray]) -> None:
        n = len(arrays[0])
        if not n:
            return
        self._sha.update(arrays[0].view(np.uint8))
        if self._compress:
            raw = fmt.by_column(arrays)
            payload = self._compress(raw)
        else:
            raw = payload = b"".join(array.tobytes() for array in arrays)
        self._index.append((self._file.tell(), n))
        self._put(fmt.pack_frame(fmt.EVENTS_FRAME, n, self._written, len(raw), payload))
        self._written += n

    def _finish(self) -> None:
        tally = self._tally
        summary = fmt.Summary(
            events=self._written,
            processes=tally.processes,
            space=tally.space,
            references=tally.references,
            cpus=tally.cpus,
            footprint=tally.footprint,
            events_by_op={name: int(n) for name, n in zip(fmt.OP_NAMES, tally.ops, strict=True) if n},
            sha256=self._sha.hexdigest(),
            notes=self._notes,
            found=self.found,
        )
        text = msgspec.json.encode(summary)
        index = np.zeros(len(self._index), fmt.INDEX)
        index["offset"], index["events"] = np.array(self._index, np.uint64).reshape(-1, 2).T
        place = self._file.tell()
        self._put(fmt.pack_frame(fmt.SUMMARY_FRAME, 0, self._written, len(text), text))
        there = self._file.tell()
        self._put(fmt.pack_frame(fmt.INDEX_FRAME, len(index), self._written, index.nbytes, index.tobytes()))
        self._put(fmt.pack_footer(place, there))

    def _put(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            self.abort()
            raise TraceError(f"{self.path} cannot be written: {error.strerror}; nothing was changed") from None
