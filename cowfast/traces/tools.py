# SPDX-License-Identifier: MIT
"""Traces out of traces: cut, convert, merge; and as text to read."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cowfast._layout import Op
from cowfast.errors import TraceError
from cowfast.events import format_event
from cowfast.files import replacing
from cowfast.traces.trace import Trace, load_trace
from cowfast.traces.writer import TraceWriter

_FLAG_WORDS = {Op.GET: {1: "look", 2: "write"}, Op.PIN: {2: "write", 4: "longterm"}}
_KERNEL = {1: "copied", 2: "reused", 3: "zeroed page", 4: "unknown", 5: "not handled"}


def cat(trace: Trace, start: int = 0, stop: int | None = None, *, extra: bool = False) -> Iterator[str]:
    """Yield each event as a line of text; ``extra`` puts index, time, line and the kernel's verdict behind it."""
    index = start
    for events, columns in trace.records(start, stop, 1 << 12):
        rows = zip(*(columns[name].tolist() for name in columns), strict=True) if columns else [()] * len(events)
        for event, row in zip(events, rows, strict=False):
            text = format_event(event)
            if extra:
                known = dict(zip(columns, row, strict=True))
                words = [f"#{index}"]
                if "time" in known:
                    words.append(f"{known['time'] / 1e6:.6f}s")
                if "line" in known:
                    words.append(f"line {known['line']}")
                if known.get("kernel", 0) & 7:
                    words.append(f"kernel: {_KERNEL.get(known['kernel'] & 7, '?')}")
                text = f"{text:<24} {' '.join(words)}"
            yield text
            index += 1


def cut(
    trace: Trace,
    out: str | os.PathLike[str],
    *,
    events: tuple[int, int] | None = None,
    processes: Sequence[int] | None = None,
    seconds: tuple[float, float] | None = None,
    **options: Any,
) -> Trace:
    """Write a part of a trace: events ``[start, stop)``, of some processes, between two times; and return it.

    The processes that are alive where the cut begins are forked from process 0 first, without pages, and an ancestor of
    a chosen process is forked even if it is not chosen: every cut can be run.  Times need a trace that knows them (perf).
    """
    start, stop = events or (0, trace.events)
    if not 0 <= start <= stop:
        raise TraceError(f"events {start}:{stop}: write START:STOP with 0 <= START <= STOP")
    if seconds is not None:
        start, stop = _between(trace, seconds, start, stop)
    wanted = _family(trace, processes) if processes is not None else None
    chosen = np.isin(np.arange(1 << 16), list(processes)) if processes is not None else None
    source = trace.header.source | {"cut": {"from": trace.path.name, "events": [start, min(stop, trace.events)]}}
    if processes is not None:
        source["cut"]["processes"] = sorted(processes)
    with _like(trace, out, source, options) as writer:
        alive, cpus = _alive_at(trace, start)
        first = [(Op.FORK, 0, 0, pid) for pid in sorted(alive) if pid and (wanted is None or pid in wanted)]
        first += [
            (Op.CPU, pid, 0, cpu) for pid, cpu in sorted(cpus.items()) if cpu and (wanted is None or pid in wanted)
        ]
        if 0 not in alive:
            raise TraceError(f"{trace.path.name}: process 0 is dead at event {start}: a cut must begin before its exit")
        if first:
            from cowfast.events import make_events

            zeros = {name: np.zeros(len(first), dtype) for name, dtype in trace.columns.items()}
            writer.write(make_events(first), **zeros)
            writer.note(f"the cut begins with {len(alive) - 1} processes alive whose pages are not known")
        held: set[int] = set()
        for chunk, columns in trace.records(start, stop):
            keep = np.ones(len(chunk), bool)
            if chosen is not None and wanted is not None:
                keep = _of(chunk, chosen, wanted)
            if start or chosen is not None:
                _drop_unheld(chunk, keep, held)
            writer.write(chunk[keep], **{name: column[keep] for name, column in columns.items()})
    return load_trace(out)


def convert(trace: Trace, out: str | os.PathLike[str], **options: Any) -> Path:
    """Write a trace in the form that the name of ``out`` says: ``.csv``, ``.parquet`` (extra ``analysis``), or ``.cow``.

    CSV is what :func:`import_csv` reads; extra columns come after the events' own.  ``.cow`` to ``.cow`` recompresses:
    ``compression="none"`` makes a file that is read through a memory map.
    """
    path = Path(out)
    if path.suffix == ".csv":
        _to_csv(trace, path)
    elif path.suffix == ".parquet":
        _to_parquet(trace, path)
    elif path.suffix == ".cow":
        with _like(trace, path, trace.header.source, options) as writer:
            for events, columns in trace.records():
                writer.write(events, **columns)
    else:
        raise TraceError(f"{path.name}: write a name that ends in .csv, .parquet or .cow")
    return path


def merge(traces: Sequence[Trace], out: str | os.PathLike[str], *, by: str = "turns", **options: Any) -> Trace:
    """Write several traces as one machine's: processes, pages and references numbered one after another.

    ``by="turns"`` interleaves them evenly by event, ``by="time"`` by their times (each from its own beginning),
    ``by="end"`` appends.  Process 0 of each but the first is forked from process 0 at the beginning.
    """
    if len(traces) < 2:
        raise TraceError("merge needs two traces or more")
    if len({trace.semantics for trace in traces}) > 1:
        raise TraceError("one trace holds accesses, another only faults: they cannot be merged into one stream")
    total = sum(trace.processes for trace in traces)
    if total > 0xFFFF or sum(trace.space for trace in traces) > 1 << 32:
        raise TraceError(
            f"together they have {total:,} processes and more pages than one machine: 65,535 and 2^32 are the limits"
        )
    keys = {"turns": _by_turns, "time": _by_time, "end": _by_end}
    if by not in keys:
        raise TraceError(f"merge by {by!r}; write one of {', '.join(keys)}")
    source = {"merged": [trace.path.name for trace in traces], "by": by}
    from cowfast.events import make_events

    with TraceWriter(
        out, semantics=traces[0].semantics, source=source, renumbering="the traces' own, one after another", **options
    ) as writer:
        bases = np.cumsum([0] + [trace.processes for trace in traces])[:-1].tolist()
        writer.write(make_events([(Op.FORK, 0, 0, base) for base in bases[1:]]))
        pages = refs = 0
        streams = []
        for trace, base in zip(traces, bases, strict=True):
            streams.append(keys[by](trace, len(streams), base, pages, refs))
            pages += trace.space
            refs += trace.references
        held: list[np.ndarray] = []
        for _, _, event in heapq.merge(*streams, key=lambda item: item[:2]):
            held.append(event)
            if len(held) >= 1 << 10:
                writer.write(np.concatenate(held))
                held = []
        if held:
            writer.write(np.concatenate(held))
        for trace in traces:
            for note in trace.notes:
                writer.note(f"{trace.path.name}: {note}")
    return load_trace(out)


_PIECE = 256  # events of one trace that stay together in a merge


def _by_end(trace: Trace, k: int, base: int, page: int, ref: int) -> Iterator[tuple[float, int, np.ndarray]]:
    for events in trace.chunks():
        yield k, k, _shift(events, base, page, ref)


def _by_turns(trace: Trace, k: int, base: int, page: int, ref: int) -> Iterator[tuple[float, int, np.ndarray]]:
    done = 0
    for events in trace.chunks(size=_PIECE):
        yield done / max(trace.events, 1), k, _shift(events, base, page, ref)
        done += len(events)


def _by_time(trace: Trace, k: int, base: int, page: int, ref: int) -> Iterator[tuple[float, int, np.ndarray]]:
    _needs_time(trace)
    first: int | None = None
    for events, columns in trace.records(size=1 << 16):
        times = columns["time"]
        first = int(times[0]) if first is None and len(times) else first
        for begin in range(0, len(events), 16):
            yield int(times[begin]) - (first or 0), k, _shift(events[begin : begin + 16], base, page, ref)


def _shift(events: np.ndarray, base: int, page: int, ref: int) -> np.ndarray:
    """Renumber; numbers that an event does not have stay 0."""
    events = events.copy()
    op = events["op"]
    paged = np.isin(
        op, [Op.READ, Op.WRITE, Op.DISCARD, Op.PROTECT, Op.PAGEOUT, Op.PREFETCH, Op.GET, Op.PIN, Op.LOCK, Op.MERGE]
    )
    other = np.isin(op, [Op.FORK, Op.MERGE])
    referenced = (op >= Op.GET) & (op <= Op.UNLOCK)
    events["pid"] += np.uint16(base)
    events["page"][paged] += np.uint32(page)
    events["arg"][other] += np.uint32(base)
    events["arg"][referenced] += np.uint32(ref)
    return events


def _like(trace: Trace, out: str | os.PathLike[str], source: dict[str, Any], options: dict[str, Any]) -> TraceWriter:
    writer = TraceWriter(
        out,
        semantics=trace.semantics,
        source=source,
        renumbering=trace.header.renumbering,
        provenance=trace.header.provenance,
        columns={name: f"u{dtype.itemsize}" for name, dtype in trace.columns.items()},
        **({"compression": trace.header.compression} | options),
    )
    for note in trace.notes:
        writer.note(note)
    return writer


def _alive_at(trace: Trace, start: int) -> tuple[set[int], dict[int, int]]:
    """Return the living processes before event ``start``, and the CPU of each that was moved."""
    alive, cpus = {0}, {}
    for events in trace.chunks(stop=start):
        telling = events[np.isin(events["op"], [Op.FORK, Op.EXIT, Op.CPU])]
        for op, _, pid, _, arg in telling.tolist():
            if op == Op.FORK:
                alive.add(arg)
                cpus.pop(arg, None)
            elif op == Op.EXIT:
                alive.discard(pid)
            else:
                cpus[pid] = arg
    return alive, {pid: cpu for pid, cpu in cpus.items() if pid in alive}


def _family(trace: Trace, processes: Sequence[int]) -> set[int]:
    """Return the processes and all their ancestors."""
    bad = [pid for pid in processes if not 0 <= pid < trace.processes]
    if bad:
        raise TraceError(f"process {bad[0]}: the trace has processes 0 to {trace.processes - 1}")
    family = set(processes) | {0}
    while True:
        before = len(family)
        for events in trace.chunks():
            forks = events[events["op"] == Op.FORK]
            family.update(forks["pid"][np.isin(forks["arg"], list(family))].tolist())
        if len(family) == before:
            return family


def _of(events: np.ndarray, chosen: np.ndarray, family: set[int]) -> np.ndarray:
    """Return which events belong to the chosen processes, or keep their ancestors alive."""
    op, pid, arg = events["op"], events["pid"], events["arg"]
    lives = np.isin(pid, list(family))
    keep = chosen[pid] | (np.isin(op, [Op.EXIT, Op.EXEC, Op.CPU]) & lives)
    keep |= (op >= Op.GET) & (op <= Op.UNLOCK) & ~np.isin(op, [Op.GET, Op.PIN, Op.LOCK])  # theirs if the reference is
    keep = np.where(op == Op.FORK, lives & np.isin(arg, list(family)), keep)
    return keep & ~((op == Op.MERGE) & ~chosen[np.minimum(arg, 0xFFFF)])


def _drop_unheld(events: np.ndarray, keep: np.ndarray, held: set[int]) -> None:
    """Clear ``keep`` where an event uses a reference that was not taken in the cut; ``held`` are those that were."""
    for i in np.flatnonzero((events["op"] >= Op.GET) & (events["op"] <= Op.UNLOCK)).tolist():
        op, number = int(events["op"][i]), int(events["arg"][i])
        if op in (Op.GET, Op.PIN, Op.LOCK):
            if keep[i]:
                held.add(number)
        elif number not in held:
            keep[i] = False
        elif op in (Op.PUT, Op.UNPIN, Op.UNLOCK):
            held.discard(number)


def _needs_time(trace: Trace) -> None:
    if "time" not in trace.columns:
        raise TraceError(f"{trace.path.name}: it does not know times; cut or merge it by events")


def _between(trace: Trace, seconds: tuple[float, float], start: int, stop: int) -> tuple[int, int]:
    _needs_time(trace)
    low, high = (second * 1e6 for second in seconds)
    first, last, index = stop, start, start
    for events, columns in trace.records(start, stop):
        inside = np.flatnonzero((columns["time"] >= low) & (columns["time"] < high))
        if len(inside):
            first, last = min(first, index + int(inside[0])), index + int(inside[-1]) + 1
        index += len(events)
    if first >= last:
        raise TraceError(f"{trace.path.name}: nothing between {seconds[0]:g} and {seconds[1]:g} s")
    return first, last


def _flag_text(op: int, flags: int) -> str:
    return " ".join(word for bit, word in _FLAG_WORDS.get(Op(op), {}).items() if flags & bit)


def _to_csv(trace: Trace, path: Path) -> None:
    from cowfast.traces.format import OP_NAMES

    with replacing(path, TraceError) as file:
        file.write((",".join(["op", "pid", "page", "arg", "flags"]) + "\n").encode())
        for events in trace.chunks(size=1 << 16):
            rows = [
                f"{OP_NAMES[op]},{pid},{page},{arg},{_flag_text(op, flags) if flags else ''}\n"
                for op, flags, pid, page, arg in events.tolist()
            ]
            file.write("".join(rows).encode())


def _to_parquet(trace: Trace, path: Path) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise TraceError("Parquet needs pyarrow: pip install 'cowfast[analysis]'; or write a .csv") from None

    names = [*("op", "flags", "pid", "page", "arg"), *trace.columns]
    with replacing(path, TraceError) as file:
        writer = None
        for events, columns in trace.records():
            arrays = [pa.array(np.ascontiguousarray(events[name])) for name in names[:5]]
            table = pa.table([*arrays, *(pa.array(columns[name]) for name in trace.columns)], names)
            writer = writer or pq.ParquetWriter(file, table.schema)
            writer.write_table(table)
        if writer is None:
            raise TraceError(f"{trace.path.name}: it has no events")
        writer.close()
