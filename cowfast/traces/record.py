# SPDX-License-Identifier: MIT
"""``cowfast record``: runs a program under perf and imports what its page faults show."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cowfast.errors import TraceError
from cowfast.traces.perf import import_perf
from cowfast.traces.perf.lines import EVENTS, SCRIPT
from cowfast.traces.trace import Trace

_TRACEFS = ("/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events")
_HINT = "record it elsewhere and import the text: docs/formats/perf.md has the two commands"


class Recording(NamedTuple):
    """What came of it."""

    trace: Trace
    status: int
    """exit status of the program"""


def record(
    program: Sequence[str],
    out: str | os.PathLike[str],
    *,
    keep: str | os.PathLike[str] | None = None,
    buffer_pages: int = 16384,
    say: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> Recording:
    """Run a program, record every page fault of it and its children with perf, and write the trace ``out``.

    ``keep`` keeps the text of perf script as well (``.xz``, ``.gz`` and ``.zst`` are compressed), ``buffer_pages`` is
    perf's ``-m``, ``say`` is told what happens, ``options`` go to :func:`import_perf`.  Raises TraceError saying what to
    do if perf is not there, not permitted or fails.
    """
    if not program:
        raise TraceError("no program given; write: cowfast record -- PROGRAM ARGUMENTS")
    perf = _perf()
    if shutil.which(program[0]) is None:
        raise TraceError(f"{program[0]}: there is no such program")
    with tempfile.TemporaryDirectory(prefix="cowfast-record-") as directory:
        data, text = Path(directory) / "perf.data", Path(directory) / "perf.txt"
        status = _record(perf, program, data, buffer_pages, say)
        say("writing the recording as text")
        _script(perf, data, text)
        data.unlink()
        _only_family(text, Path(directory) / "family.txt")
        text = Path(directory) / "family.txt"
        if keep is not None:
            _keep(text, Path(keep))
        say("importing")
        return Recording(import_perf(text, out, **options), status)


def events_there() -> tuple[list[str], list[str]]:
    """Return the events of :data:`EVENTS` that this kernel has, and those that it has not."""
    roots = [Path(root) for root in _TRACEFS if Path(root).is_dir()]
    if not roots:
        return list(EVENTS), []  # not to be seen; perf will say
    have = [event for event in EVENTS if any((root / event.replace(":", "/")).is_dir() for root in roots)]
    return have, [event for event in EVENTS if event not in have]


def _perf() -> str:
    perf = shutil.which("perf")
    if perf is None:
        raise TraceError(
            f"perf is not installed (Debian: apt install linux-perf, Fedora: dnf install perf); or {_HINT}"
        )
    if os.geteuid():
        level = _read_int("/proc/sys/kernel/perf_event_paranoid")
        if level is None or level > -1:
            raise TraceError(
                "recording every process's faults needs root (or CAP_PERFMON and kernel.perf_event_paranoid=-1); "
                f"run: sudo cowfast record ...; or {_HINT}"
            )
    return perf


def _record(perf: str, program: Sequence[str], data: Path, buffer_pages: int, say: Callable[[str], None]) -> int:
    have, missing = events_there()
    if not any("page_fault" in event for event in have):
        raise TraceError(
            f"this kernel has no page-fault tracepoints (or tracefs is not mounted: mount -t tracefs nodev {_TRACEFS[0][:-7]}); {_HINT}"
        )
    for event in missing:
        say(f"this kernel has no {event}; the trace will say what is lost")
    command = [perf, "record", "-q", "-a", "-d", "-m", str(buffer_pages), "-o", str(data)]
    command += [word for event in have for word in ("-e", event)] + ["--", *program]
    log = data.with_suffix(".log")
    with log.open("w+b") as messages:
        # Only perf's own complaints are wanted here; the program keeps its terminal by a detour over a shell's fd 3.
        wrapped = ["sh", "-c", 'exec "$@" 3>&2 2>"$COWFAST_LOG"', "sh", *command[: -len(program)]]
        wrapped += ["sh", "-c", 'exec "$@" 2>&3 3>&-', "sh", *program]
        environment = os.environ | {"COWFAST_LOG": str(log)}
        process = subprocess.Popen(wrapped, env=environment)
        try:
            status = process.wait()
        except BaseException:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            raise
        messages.seek(0)
        complaint = messages.read().decode("utf-8", "replace").strip()
    if not data.exists() or not data.stat().st_size:
        raise TraceError(f"perf record failed (status {status}): {complaint[-400:] or 'it said nothing'}; {_HINT}")
    return status


def _script(perf: str, data: Path, text: Path) -> None:
    with text.open("wb") as out:
        done = subprocess.run(
            [*SCRIPT.replace("perf", perf, 1).split(), "-i", str(data)], stdout=out, stderr=subprocess.PIPE
        )
    if done.returncode or not text.stat().st_size:
        raise TraceError(f"perf script failed: {done.stderr.decode('utf-8', 'replace').strip()[-400:]}; {_HINT}")


def _only_family(text: Path, out: Path) -> None:
    """Keep the lines of the program and its descendants: -a records everybody, as only so no child is missed."""
    family: set[str] = set()
    with text.open(encoding="utf-8", errors="replace") as lines, out.open("w", encoding="utf-8") as kept:
        for line in lines:
            head, bracket, rest = line.partition(" [")
            pid = head.rsplit(None, 1)[-1].partition("/")[0] if bracket else ""
            if not family and pid.strip("0") and head.lstrip().startswith("perf-exec "):
                family.add(pid)
            at = rest.find("PERF_RECORD_FORK(")
            if at >= 0:
                child, _, parent = rest[at + 17 :].partition("):(")
                if parent.partition(":")[0] in family:
                    family.add(child.partition(":")[0])
                    kept.write(line)
                    continue
            if pid in family:
                kept.write(line)
    if not family:
        raise TraceError("the recording does not show the program's start; is it a perf older than 4.x? " + _HINT)


def _keep(text: Path, path: Path) -> None:
    import gzip
    import lzma

    import zstandard

    from cowfast.files import replacing

    with text.open("rb") as source, replacing(path, TraceError) as file:
        if path.suffix == ".zst":
            zstandard.ZstdCompressor(level=9).copy_stream(source, file)
        elif path.suffix in (".xz", ".gz"):
            opened = lzma.open(file, "wb") if path.suffix == ".xz" else gzip.open(file, "wb")
            with opened as packed:
                shutil.copyfileobj(source, packed)
        else:
            shutil.copyfileobj(source, file)


def _read_int(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None
