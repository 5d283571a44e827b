# SPDX-License-Identifier: MIT
"""Reading ``.cow`` files: a frame at a time, from any event on, each checked before it is used."""

from __future__ import annotations

import mmap
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import zstandard

from cowfast.errors import TraceError
from cowfast.events import EVENT
from cowfast.files import open_regular
from cowfast.traces import format as fmt
from cowfast.traces._tally import Tally

CHUNK = 1 << 20


class Trace:
    """A trace file as an ``EventSource``; holds the index, never the events.

    Attributes
    ----------
    path : pathlib.Path
    name : str
        file name without ``.cow``
    header : Header
        source, renumbering, provenance, semantics, extra columns
    summary : Summary
        sizes, events by operation, notes on what is lost
    events, processes, space, references, cpus, footprint, semantics
        as ``EventSource`` says; ``footprint`` is the most pages that the processes alive at one time have touched
    """

    def __init__(self, path: str | os.PathLike[str], *, partial: bool = False) -> None:
        self.path = Path(path)
        self.name = self.path.name.removesuffix(".cow")
        self._partial = partial
        with open_regular(self.path, TraceError) as file:
            try:
                self.header, first = _read_header(file)
                self._types = fmt.dtypes(self.header.columns)
                self.summary, self._frames = _read_end(file, first)
            except ValueError as error:
                if not partial or not hasattr(self, "_types"):
                    raise self._error(str(error)) from None
                self._frames = _scan(file, first)
                self.summary = self._recount(file, str(error))
        self._first = np.concatenate([[0], np.cumsum(self._frames["events"], dtype=np.int64)])
        summary = self.summary
        self.events: int = summary.events
        self.processes, self.space, self.footprint = summary.processes, summary.space, summary.footprint
        self.references, self.cpus = summary.references, summary.cpus
        self.semantics = self.header.semantics

    @property
    def columns(self) -> Mapping[str, np.dtype[Any]]:
        """Names and types of the extra columns."""
        return self._types

    @property
    def notes(self) -> list[str]:
        """What the recording lacks or the import left out."""
        return self.summary.notes

    def spec(self) -> dict[str, Any]:
        """Return what identifies the events: not where they lie, but what they are."""
        return {"trace": self.path.name, "events": self.events, "sha256": self.summary.sha256}

    def chunks(self, seed: int = 0, size: int = CHUNK, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield events ``start`` to ``stop`` in arrays of at most ``size``; ``seed`` changes nothing."""
        for events, _ in self.records(start, stop, size, columns=False):
            yield events

    def records(
        self, start: int = 0, stop: int | None = None, size: int = CHUNK, *, columns: bool = True
    ) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Yield ``(events, {column: numbers})`` for events ``start`` to ``stop``, at most ``size`` at a time.

        Only the frames that are needed are read.  Raises TraceError at a damaged frame, after what is before it.
        """
        stop = self.events if stop is None else min(stop, self.events)
        types = self._types if columns else {}
        with open_regular(self.path, TraceError) as file:
            if self.header.compression == "none":
                yield from self._mapped(file, start, stop, size, types)
                return
            while start < stop:
                n = min(size, stop - start)
                events, extra = np.empty(n, EVENT), {name: np.empty(n, dtype) for name, dtype in types.items()}
                good = start
                try:
                    for frame, low, high in self._parts(start, start + n):
                        raw = np.frombuffer(self._payload(file, frame), np.uint8)
                        here = slice(good - start, good - start + high - low)
                        outs = [events[here], *(extra[name][here] for name in types)]
                        fmt.from_columns(raw, int(self._frames["events"][frame]), low, outs)
                        good += high - low
                except TraceError:
                    if good > start:
                        yield events[: good - start], {name: array[: good - start] for name, array in extra.items()}
                    raise
                yield events, extra
                start += n

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (str(self.path), self._partial)

    def __repr__(self) -> str:
        return (
            f"<Trace {self.name}: {self.events:,} events ({self.semantics}), {self.processes:,} processes, "
            f"{self.space:,} pages each>"
        )

    def _parts(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Yield ``(frame, low, high)``: the pieces of frames that make up events start to stop."""
        frame = int(np.searchsorted(self._first, start, "right")) - 1
        while start < stop:
            begin, end = int(self._first[frame]), int(self._first[frame + 1])
            yield frame, start - begin, min(end, stop) - begin
            start = end
            frame += 1

    def _mapped(
        self, file: BinaryIO, start: int, stop: int, size: int, types: Mapping[str, np.dtype[Any]]
    ) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        if start >= stop:
            return
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # closed when the last view of it goes
        for frame, low, high in self._parts(start, stop):
            self._payload(file, frame, memory)
            count = int(self._frames["events"][frame])
            place = int(self._frames["offset"][frame]) + fmt.FRAME_SIZE
            events = np.frombuffer(memory, EVENT, count, place)
            extra = {}
            for name, dtype in self._types.items():
                offset = place + fmt.record_size({k: self._types[k] for k in list(self._types)[: len(extra)]}) * count
                extra[name] = np.frombuffer(memory, dtype, count, offset)
            for begin in range(low, high, size):
                end = min(begin + size, high)
                yield events[begin:end], {name: extra[name][begin:end] for name in types}

    def _payload(self, file: BinaryIO, frame: int, memory: mmap.mmap | None = None) -> bytes | None:
        """Return the raw bytes of a frame, checked; with a memory map, only check."""
        try:
            offset, count = int(self._frames["offset"][frame]), int(self._frames["events"][frame])
            file.seek(offset)
            head = fmt.unpack_frame_head(file.read(fmt.FRAME_SIZE))
            raw = count * fmt.record_size(self._types)
            if head[:3] != (fmt.EVENTS_FRAME, count, int(self._first[frame])) or head.raw != raw:
                raise ValueError("its head does not fit the index")
            if memory is not None:
                end = offset + fmt.FRAME_SIZE + raw
                if head.stored != raw or end > len(memory):
                    raise ValueError("the file ends in it")
                with memoryview(memory) as whole, whole[end - raw : end] as stored_view:
                    if zlib.crc32(stored_view) != head.crc:
                        raise ValueError("checksum")
                return None
            stored = file.read(head.stored) if head.stored <= raw + (raw >> 7) + 1024 else b""
            if len(stored) != head.stored:
                raise ValueError("the file ends in it")
            if zlib.crc32(stored) != head.crc:
                raise ValueError("checksum")
            return _unpack(stored, raw)
        except (ValueError, OSError, zstandard.ZstdError) as error:
            raise self._damaged(frame, str(error)) from None

    def _damaged(self, frame: int, problem: str) -> TraceError:
        first, end = int(self._first[frame]), int(self._first[frame + 1])
        before = (
            f"the events before it can be read: cowfast trace cut {self.path.name} --events 0:{first} -o good.cow"
            if first
            else "nothing is before it"
        )
        return self._error(
            f"frame {frame + 1} of {len(self._frames)} (events {first:,} to {end - 1:,}) is damaged: {problem}; {before}"
        )

    def _error(self, problem: str) -> TraceError:
        return TraceError(f"{self.path}: {problem}")

    def _recount(self, file: BinaryIO, why: str) -> fmt.Summary:
        """Make the summary of a cut-off file from the frames that are whole."""
        import hashlib

        tally, sha, good = Tally(), hashlib.sha256(), 0
        self._first = np.concatenate([[0], np.cumsum(self._frames["events"], dtype=np.int64)])
        for frame, count in enumerate(self._frames["events"].tolist()):
            events = np.empty(count, EVENT)
            try:
                payload = self._payload(file, frame) if self.header.compression == "zstd" else self._plain(file, frame)
            except TraceError:
                break
            if self.header.compression == "zstd":
                fmt.from_columns(np.frombuffer(payload or b"", np.uint8), count, 0, [events])
            else:
                events = np.frombuffer(payload or b"", EVENT, count)
            if tally.add(events) >= 0:
                break
            sha.update(np.ascontiguousarray(events))
            good += 1
        self._frames = self._frames[:good]
        total = int(self._frames["events"].sum())
        by_op = {name: int(n) for name, n in zip(fmt.OP_NAMES, tally.ops, strict=True) if n}
        return fmt.Summary(
            events=total, processes=tally.processes, space=tally.space, references=tally.references, cpus=tally.cpus,
            footprint=tally.footprint, events_by_op=by_op, sha256=sha.hexdigest(),
            notes=[f"cut off: only its first {total:,} events are whole ({why})"],
        )  # fmt: skip

    def _plain(self, file: BinaryIO, frame: int) -> bytes:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
            self._payload(file, frame, memory)
            place = int(self._frames["offset"][frame]) + fmt.FRAME_SIZE
            return memory[place : place + int(self._frames["events"][frame]) * EVENT.itemsize]


def load_trace(path: str | os.PathLike[str], *, partial: bool = False) -> Trace:
    """Return the trace in a ``.cow`` file.

    ``partial=True`` also takes a file whose end is missing: the whole frames at its beginning are the trace.
    Raises TraceError for a file that is no trace, is cut off, or has a damaged header, summary or index.
    """
    return Trace(path, partial=partial)


def _again(path: str, partial: bool) -> Trace:
    return Trace(path, partial=partial)


def _read_header(file: BinaryIO) -> tuple[fmt.Header, int]:
    length, crc = fmt.unpack_prefix(file.read(fmt.PREFIX_SIZE))
    return fmt.unpack_header(length, crc, file.read(length)), fmt.PREFIX_SIZE + length


def _read_end(file: BinaryIO, first: int) -> tuple[fmt.Summary, np.ndarray]:
    """Return the summary and the index; ValueError if the file is cut off or they contradict it."""
    size = file.seek(0, os.SEEK_END)
    cut = "it is cut off: its index is missing; `cowfast trace cut --partial` keeps the events that are whole"
    if size < first + fmt.FOOTER_SIZE:
        raise ValueError(cut)
    file.seek(size - fmt.FOOTER_SIZE)
    try:
        place, there = fmt.unpack_footer(file.read(fmt.FOOTER_SIZE))
    except ValueError:
        raise ValueError(cut) from None
    text, head = _read_plain(file, place, fmt.SUMMARY_FRAME, "summary", min(fmt.MAX_JSON, size))
    try:
        summary = msgspec.json.decode(text, type=fmt.Summary)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"its summary cannot be understood: {error}") from None
    data, head = _read_plain(file, there, fmt.INDEX_FRAME, "index", min(fmt.MAX_INDEX, size))
    index = np.frombuffer(data, fmt.INDEX) if len(data) % fmt.INDEX.itemsize == 0 else np.zeros(0, fmt.INDEX)
    counts, offsets = index["events"].astype(np.int64), index["offset"]
    if (
        len(index) != head.events
        or int(counts.sum()) != summary.events
        or (len(index) and (counts.min() < 1 or counts.max() > fmt.MAX_FRAME_EVENTS or int(offsets.max()) >= size))
    ):
        raise ValueError(f"its index does not fit its {summary.events:,} events")
    if not (
        0 < summary.processes <= 0xFFFF
        and 0 < summary.space <= 1 << 33
        and 0 <= summary.references <= 1 << 32
        and 0 < summary.cpus <= 1 << 32
        and (summary.footprint is None or summary.footprint >= 0)
    ):
        raise ValueError("its summary has sizes that cannot be")
    return summary, index


def _read_plain(file: BinaryIO, place: int, kind: bytes, what: str, limit: int) -> tuple[bytes, fmt.FrameHead]:
    try:
        file.seek(place)
        head = fmt.unpack_frame_head(file.read(fmt.FRAME_SIZE))
        if head.kind != kind or head.stored != head.raw or head.stored > limit:
            raise ValueError("not where the footer says")
        data = file.read(head.stored)
        if len(data) != head.stored or zlib.crc32(data) != head.crc:
            raise ValueError("checksum")
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"its {what} is damaged: {error}") from None
    return data, head


def _scan(file: BinaryIO, place: int) -> np.ndarray:
    """Return the index of the frames that follow one another from ``place`` on."""
    found = []
    total = 0
    while True:
        file.seek(place)
        try:
            head = fmt.unpack_frame_head(file.read(fmt.FRAME_SIZE))
        except ValueError:
            break
        if head.kind != fmt.EVENTS_FRAME or head.first != total or not 1 <= head.events <= fmt.MAX_FRAME_EVENTS:
            break
        found.append((place, head.events, 0))
        total += head.events
        place += fmt.FRAME_SIZE + head.stored
    return np.array(found, fmt.INDEX)


def _unpack(stored: bytes, raw: int) -> bytes:
    """Decompress to exactly ``raw`` bytes; what claims to be larger is refused before it is unpacked."""
    if zstandard.frame_content_size(stored) != raw:
        raise ValueError("it claims another size than its events have")
    data = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompress(stored, max_output_size=raw)
    if len(data) != raw:
        raise ValueError("it is shorter than its events")
    return data
