# SPDX-License-Identifier: MIT
"""Files that are not what they should be, in place of every file that a command reads or writes.

A clear error with exit code 2, in bounded time and memory; what was there before is there after, and nothing else.
"""

import gzip
import lzma
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zstandard

from commands import run_many
from cowfast.cli import COMMANDS
from cowfast.errors import TraceError
from cowfast.events import make_events
from cowfast.traces import TraceWriter
from cowfast.traces import format as fmt
from cowfast.workloads import workload
from test_traces_fuzz import LACKEY, PERF

#: What a refusal may take and need, on a busy computer; an honest figure is drawn in the same process.
SECONDS, PEAK_MIB = 5, 1500
NOBODY = 65534

SPEC = 'source = "random-mix"\npolicy = ["linux-5.16", "linux-6.18"]\nsource_parameters = {events = 3000, pages = 64}\n'
EXPLORE = ["explore", "-p", "linux-5.7", "--pins", "0", "--properties", "no-leak", "--device", "sync", "-q"]
LITMUS = "name x\nspace 1\n\nwrite 0 0\nfork 0 1\n!write 0 0\n\nexpect disk\n  copy : linux-6.18\n"


@pytest.fixture(scope="module")
def good():
    """A folder with one honest file of each kind, readable by everybody."""
    folder = Path(tempfile.mkdtemp(prefix="cowfast-hostile-"))
    folder.chmod(0o755)
    (folder / "spec.toml").write_text(SPEC)
    (folder / "x.litmus").write_text(LITMUS)
    (folder / "p.toml").write_text('name = "p"\nbased_on = "linux-6.18"\n')
    (folder / "perf.txt").write_bytes(PERF)
    (folder / "lackey.log").write_bytes(LACKEY)
    (folder / "e.csv").write_text("op,pid,page\nwrite,0,1\n")
    (folder / "w.toml").write_text('name = "w"\nworkload = "random-mix"\nevents = 100\n')
    with TraceWriter(folder / "t.cow") as out:
        for chunk in workload("random-mix", events=3000, processes=3, pages=64).chunks(1):
            out.write(chunk)
    perf = folder / "perf"
    perf.write_text(FAKE_PERF)
    perf.chmod(0o755)
    results = str(folder / "r.jsonl")
    [ended] = run_many([["sweep", str(folder / "spec.toml"), "-o", results, "-q"]], seconds=120)
    assert ended.code == 0, ended
    yield folder
    shutil.rmtree(folder)


#: Answers as perf does: `record -o DATA -- PROGRAM` and `script -i DATA`.
FAKE_PERF = """#!/bin/sh
case "$1" in
record) while [ "$1" != -o ]; do shift; done; echo data > "$2"; while [ "$1" != -- ]; do shift; done; shift; "$@" ;;
script) echo nothing ;;
esac
"""


def readers(good, path):
    """Yield every command that reads a file, with ``path(suffix)`` as that file."""
    cow, toml, jsonl = path(".cow"), path(".toml"), path(".jsonl")
    out = str(good / "new")
    yield ["run", cow]
    yield ["run", toml]
    yield ["run", "random-mix", "--events", "10", "-p", toml]
    yield ["compare", cow]
    yield ["compare", toml]
    yield ["compare", jsonl, str(good / "r.jsonl"), "--only-changed"]
    yield ["compare", "random-mix", "--events", "10", "-p", toml]
    yield ["sweep", toml, "-o", f"{out}.jsonl"]
    yield ["rerun", jsonl, "ab"]
    yield ["export", jsonl, "-o", f"{out}.csv"]
    yield ["export", str(good / "r.jsonl"), jsonl, "-o", f"{out}.csv"]
    yield ["plot", jsonl, "copies", "-o", f"{out}.png"]
    yield ["plot", str(good / "r.jsonl"), "cost", "--set", f"costs={toml}", "-o", f"{out}.png"]
    yield ["report", jsonl, "-o", f"{out}.html"]
    for kind in ("perf", "lackey", "csv"):
        yield ["trace", "import", kind, path(".txt.xz"), "-o", f"{out}.cow"]
    yield ["trace", "info", cow]
    yield ["trace", "cat", cow]
    yield ["trace", "cut", cow, "-o", f"{out}.cow"]
    yield ["trace", "cut", cow, "-o", f"{out}.cow", "--partial"]
    yield ["trace", "convert", cow, f"{out}.csv"]
    yield ["trace", "merge", str(good / "t.cow"), cow, "-o", f"{out}.cow"]
    yield ["verify", path(".jsonl.xz")]
    yield ["verify", path(".txt")]
    yield ["litmus", path(".litmus")]
    yield ["litmus", path(".litmus"), "--promote"]
    yield ["step", path(".litmus"), "-p", "linux-6.18"]
    yield ["step", str(good / "x.litmus"), "-p", toml]
    yield ["explain", cow, "--event", "0"]
    yield ["explain", str(good / "t.cow"), "--event", "1", "-p", toml]
    yield ["explore", "-p", toml]
    yield ["policies", "show", toml]
    yield ["policies", "diff", "linux-6.18", toml]


def writers(good, path):
    """Yield every command that writes a file, with ``path(suffix)`` as that file."""
    results, trace = str(good / "r.jsonl"), str(good / "t.cow")
    yield ["sweep", str(good / "spec.toml"), "-o", path(".jsonl")]
    yield ["export", results, "-o", path(".csv")]
    yield ["export", results, "-o", path(".parquet")]
    for suffix in (".png", ".svg", ".pdf"):
        yield ["plot", results, "copies", "-o", path(suffix)]
    yield ["report", results, "-o", path(".html")]
    yield ["trace", "import", "perf", str(good / "perf.txt"), "-o", path(".cow")]
    yield ["trace", "import", "lackey", str(good / "lackey.log"), "-o", path(".cow")]
    yield ["trace", "import", "csv", str(good / "e.csv"), "-o", path(".cow")]
    yield ["trace", "cut", trace, "-o", path(".cow")]
    for suffix in (".csv", ".parquet", ".cow"):
        yield ["trace", "convert", trace, path(suffix)]
    yield ["trace", "merge", trace, trace, "-o", path(".cow")]
    yield ["litmus", path(".litmus"), "--promote"]
    yield [*EXPLORE, "-o", path(".litmus")]


def test_no_command_is_forgotten(good):
    used = {words[0] for words in [*readers(good, str), *writers(good, str)]}
    # These name no file of the user's; record is tried by itself, bench leaves out a folder that is none and says so.
    assert used | {"record", "workloads", "counters", "doctor", "bench"} == set(COMMANDS)


def honest(good):
    """What loads every module, so that what is measured afterwards is the refusal."""
    out = Path(tempfile.mkdtemp(prefix="cowfast-honest-"))
    made = {".litmus": str(good / "x.litmus")}
    commands = writers(good, lambda suffix: made.get(suffix, str(out / f"x{suffix}")))
    return [[*words[:-1], str(out / "e.litmus")] if words[0] == "explore" else words for words in commands], out


def refused(good, commands, code=2, warm=True, **limits):
    """Run commands and check that each is refused as it should be and leaves nothing."""
    first, out = honest(good) if warm else ([], None)
    before = sorted(good.rglob("*"))
    try:
        ended = run_many(list(commands), first, seconds=3 * SECONDS, **limits)
    finally:
        if out:
            shutil.rmtree(out)
    bad = [
        f"{each}"
        for each in ended
        if each.code != code
        or not each.err.startswith("cowfast: ")
        or "Traceback" in each.err
        or len(each.err.splitlines()) > 4
        or each.seconds > SECONDS
        or each.peak_mib > PEAK_MIB
    ]
    assert not bad, "\n\n".join(bad)
    assert sorted(good.rglob("*")) == before
    return ended


@pytest.fixture(scope="module")
def odd(good):
    """Return a function kind -> (function suffix -> name) of things that are no files; not below ``good``."""
    folder = Path(tempfile.mkdtemp(prefix="cowfast-odd-"))
    folder.chmod(0o755)

    def named(kind):
        def path(suffix):
            place = folder / f"{kind.replace(' ', '-')}{suffix}"
            if not os.path.lexists(place):
                MAKE[kind](place)
            return str(place)

        return path

    yield named
    shutil.rmtree(folder)


def _socket(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def _sparse(path):
    with path.open("wb") as file:
        file.truncate(10 << 30)


def _secret(path):
    path.write_text("secret")
    path.chmod(0)


MAKE = {
    "nothing": lambda path: None,
    "directory": lambda path: path.mkdir(),
    "FIFO": os.mkfifo,
    "socket": _socket,
    "symlink loop": lambda path: path.symlink_to(path),
    "symlink to nothing": lambda path: path.symlink_to(path.with_name("nowhere")),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "10 GB sparse file": _sparse,
    "empty file": lambda path: path.touch(),
    "no permission": _secret,
}


@pytest.mark.long
@pytest.mark.parametrize("kind", [kind for kind in MAKE if kind != "no permission"])
def test_every_reader_refuses_what_is_no_file(good, odd, kind):
    # A name with nothing behind it may be a workload's: the message says so.  An empty .toml is TOML.
    commands = list(readers(good, odd(kind)))
    if kind == "empty file":  # beside an honest one it adds nothing: what an interrupted sweep leaves
        commands = [words for words in commands if words[:2] != ["export", str(good / "r.jsonl")]]
    refused(good, commands)


@pytest.mark.long
def test_every_reader_without_permission(good, odd):
    refused(good, readers(good, odd("no permission")), user=NOBODY if os.geteuid() == 0 else None)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["directory", "FIFO", "socket", "symlink loop", "device"])
def test_every_writer_refuses_what_is_no_file(good, odd, kind):
    ended = refused(good, writers(good, odd(kind)))
    name = Path(odd(kind)(".csv")).name.split(".")[0]
    assert all(name in each.err or (kind == "device" and "/dev/zero" in each.err) for each in ended)


@pytest.mark.long
def test_every_writer_without_permission(good, odd):
    user = NOBODY if os.geteuid() == 0 else None
    refused(good, writers(good, odd("no permission")), user=user)
    if user is not None:  # a folder of somebody else's
        refused(good, writers(good, lambda suffix: str(good / f"new{suffix}")), user=user)


def earlier(folder, good):
    """Return a function suffix -> name of an output of an earlier run, and what is in each."""
    kept = {}

    def path(suffix):
        place = folder / f"kept{suffix}"
        if place not in kept:
            text = {".jsonl": (good / "r.jsonl").read_bytes().splitlines(keepends=True)[0]}.get(
                suffix, b"earlier\n" * 9
            )
            place.write_bytes((LITMUS * 1).encode() if suffix == ".litmus" else text)
            kept[place] = place.read_bytes()
        return str(place)

    return path, kept


def check_full(good, folder, **limits):
    path, kept = earlier(folder, good)
    commands = [[*words] for words in writers(good, path)]
    limits.pop("fill", lambda: None)()
    ended = refused(good, commands, **limits)
    for place, content in kept.items():
        assert place.read_bytes() == content, place
    assert sorted(folder.iterdir()) == sorted(
        {*kept, *(folder / name for name in ("filler",) if (folder / name).exists())}
    )
    return ended


@pytest.mark.long
def test_a_file_that_may_not_grow(good, tmp_path):
    """RLIMIT_FSIZE, as a batch system sets it: what every writer has to write is larger."""
    check_full(good, tmp_path, file_size=30)


@pytest.mark.long
def test_a_disk_that_is_full(good, tmp_path):
    """A small tmpfs on which nothing is left."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "none", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount; RLIMIT_FSIZE is tried in any case")

    def fill():
        with (disk / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 512)
            except OSError:
                pass

    try:
        ended = check_full(good, disk, fill=fill)
        assert all("No space left" in each.err or "disk is full" in each.err for each in ended), "\n".join(
            map(str, ended)
        )
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize(
    "words", [["counters"], ["policies", "--help"], ["run", "random-mix", "--events", "9", "--format", "json"]]
)
def test_output_that_nobody_can_take(words):
    with Path("/dev/full").open("wb") as full:
        code = "from cowfast.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "cowfast: output: No space left on device"


@pytest.mark.parametrize(("keep", "code"), [([], 2), (["--keep", "new.xz"], 2)])
@pytest.mark.slow
def test_record_leaves_nothing_if_it_fails(good, tmp_path, keep, code):
    environment = os.environ | {"PATH": f"{good}:{os.environ['PATH']}", "TMPDIR": str(tmp_path / "scratch")}
    (tmp_path / "scratch").mkdir()
    for output in ("new.cow", "none/new.cow", "."):
        words = ["record", "-o", output, *keep, "--", "true"]
        run = [sys.executable, "-c", "from cowfast.cli import main; main()", *words]
        done = subprocess.run(
            run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == code, done.stderr
        assert done.stderr.startswith("cowfast: ")
        assert [path.name for path in tmp_path.iterdir()] == ["scratch"]
        assert list((tmp_path / "scratch").iterdir()) == []


# ---------------------------------------------------------------- what is in the file


def container(events=2**60, index=(), first_frame=b"", header=None, head_events=None, length=None):
    """Return a .cow whose checksums are right and whose claims are not."""
    text = msgspec.json.encode(header or fmt.Header())
    start = fmt.pack_header(fmt.Header()) if header is None else fmt.pack_header(header)
    if length is not None:
        start = start[:8] + struct.pack("<I", length) + start[12:]
    assert text
    body = start + first_frame
    summary = fmt.Summary(
        events=events, processes=1, space=16, references=0, cpus=1, footprint=1, events_by_op={}, sha256=""
    )
    said = msgspec.json.encode(summary)
    table = np.array(list(index), fmt.INDEX)
    place = len(body)
    body += fmt.pack_frame(fmt.SUMMARY_FRAME, 0, 0, len(said), said)
    there = len(body)
    body += fmt.pack_frame(
        fmt.INDEX_FRAME, len(table) if head_events is None else head_events, 0, table.nbytes, table.tobytes()
    )
    return body + fmt.pack_footer(place, there)


def frame(count, payload, raw=None):
    return fmt.pack_frame(fmt.EVENTS_FRAME, count, 0, raw or count * 12, payload)


START = len(fmt.pack_header(fmt.Header()))
#: A zstd frame that says it holds 2^60 bytes.
HUGE_ZSTD = b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 2**60) + b"\x01\x00\x00"
CLAIMS = {
    "2^60 events in the summary": container(),
    "2^60 events, one frame": container(index=[(START, 5, 0)], first_frame=frame(5, b"x" * 60)),
    "2^32-1 events in a frame": container(2**32 - 1, [(START, 2**32 - 1, 0)], frame(5, b"x" * 60)),
    "a frame that unpacks to 2^60 bytes": container(5, [(START, 5, 0)], frame(5, HUGE_ZSTD)),
    "a frame that unpacks to more": container(5, [(START, 5, 0)], frame(5, zstandard.compress(bytes(1 << 26)))),
    "a frame beyond the end": container(5, [(2**63, 5, 0)]),
    "2^32-1 bytes of header": container(length=2**32 - 1),
    "2^60 frames": container(head_events=2**32 - 1),
    "uncompressed, beyond the end": container(1 << 20, [(0, 1 << 20, 0)], header=fmt.Header(compression="none")),
}


@pytest.mark.long
@pytest.mark.parametrize("claim", CLAIMS)
def test_a_trace_that_claims_too_much(good, tmp_path, claim):
    path = str(tmp_path / "claims.cow")
    Path(path).write_bytes(CLAIMS[claim])
    commands = [
        words for words in readers(good, lambda _: path) if words[0] in ("run", "compare", "trace") and path in words
    ]
    partial = [words for words in commands if "--partial" in words]
    refused(good, [words for words in commands if "--partial" not in words and "import" not in words], warm=False)
    for ended in run_many(
        [[str(tmp_path / "cut.cow") if word.endswith("new.cow") else word for word in words] for words in partial]
    ):
        assert ended.code in (0, 2), ended


@pytest.mark.long
def test_a_sparse_trace_with_an_honest_end(good, tmp_path):
    """10 GB of nothing between the header and an index that claims 4 GB."""
    path = tmp_path / "sparse.cow"
    data = container(5, [(START, 5, 0)])
    place = 10 << 30
    head = fmt._FRAME.pack(fmt.INDEX_FRAME, 2**28 - 1, 0, 2**32 - 16, 2**32 - 16, 0)
    with path.open("wb") as file:
        file.write(data)
        file.seek(place)
        file.write(head + struct.pack("<I", __import__("zlib").crc32(head)))
        file.seek(place + 2**32 + 100)
        file.write(fmt.pack_footer(START, place))
    refused(
        good,
        [
            ["trace", "info", path],
            ["run", path],
            ["trace", "cut", path, "-o", tmp_path / "x.cow", "--partial", "--events", "5:9"],
        ][:2],
    )


BOMBS = {
    "zstd": lambda data: zstandard.ZstdCompressor(level=3).compress(data) * 160,
    "gz": lambda data: gzip.compress(data) * 160,
    "xz": lambda data: lzma.compress(data, preset=0) * 160,
}


@pytest.mark.long
@pytest.mark.parametrize("packer", BOMBS)
@pytest.mark.parametrize("filling", [b"\n", b"a", b"\0", b"# a comment\n"])
def test_a_decompression_bomb(good, tmp_path, packer, filling):
    """10 GB in a small file: refused by its contents, or because it unpacks to too many times its size."""
    bomb = BOMBS[packer]((filling * (64 << 20))[: 64 << 20])
    assert len(bomb) < 80 << 20
    paths = {}

    def path(suffix):
        paths[suffix] = tmp_path / f"bomb{suffix}"
        paths[suffix].write_bytes(bomb)
        return str(paths[suffix])

    kinds = ("perf", "lackey", "csv")
    commands = [["trace", "import", kind, path(".txt"), "-o", str(tmp_path / "new.cow")] for kind in kinds]
    commands += [
        ["verify", path(".jsonl.xz")],
        ["run", path(".cow")],
        ["trace", "cut", path(".cow"), "-o", str(tmp_path / "n.cow"), "--partial"],
    ]
    refused(good, commands, warm=False)
    assert sorted(tmp_path.iterdir()) == sorted(paths.values())


@pytest.mark.slow
def test_the_largest_page_numbers(good, tmp_path):
    """Page 2^32-1, and ranges that end there, in every operation: done or refused, never for long."""
    from cowfast._layout import Op

    last, commands, refused_at = 2**32 - 1, [], []
    for op in Op:
        if op == Op.NR_OPS:
            continue
        for page, arg in ((last, 0), (last, last), (0, last), (2**31, 2**31)):
            path = tmp_path / f"{op.name.lower()}-{page}-{arg}.cow"
            try:
                with TraceWriter(path) as out:
                    out.write(make_events([(Op.WRITE, 0, last), (op, 0, page, arg)]))
            except TraceError:
                refused_at.append((page + arg, op))
                continue
            commands += [["run", str(path), "-q"], ["run", str(path), "-q", "--memory", "100"]]
    # The writer refuses what ends beyond the last page, or names a process beyond the last, and nothing else.
    assert refused_at
    assert all(end > 2**32 or op in (Op.FORK, Op.MERGE, Op.CPU) for end, op in refused_at)
    text = tmp_path / "last.cow"
    commands += [["trace", "info", str(text)], ["trace", "cat", str(text)], ["compare", str(text), "-q"]]
    commands += [
        ["trace", "cut", str(text), "-o", str(tmp_path / "c.cow")],
        ["trace", "convert", str(text), str(tmp_path / "c.csv")],
    ]
    with TraceWriter(text) as out:
        out.write(make_events([(Op.WRITE, 0, last), (Op.FORK, 0, 0, 1), (Op.WRITE, 1, last), (Op.READ, 0, 0)]))
    for ended in run_many(commands, seconds=30):
        assert ended.code in (0, 2), ended
        assert ended.peak_mib <= PEAK_MIB, ended
        assert ended.seconds < SECONDS, ended
    assert run_many([["trace", "info", str(text)], ["trace", "cat", str(text)]])[0].code == 0
    [ended] = refused(good, [["trace", "merge", str(text), str(text), "-o", str(tmp_path / "m.cow")]])
    assert "2^32" in ended.err


@pytest.mark.long
def test_as_many_processes_as_there_can_be(tmp_path):
    from cowfast._layout import Op

    path = tmp_path / "many.cow"
    rows = [(Op.WRITE, 0, 5), *((Op.FORK, 0, 0, pid) for pid in range(1, 65_535))]
    rows += [(Op.WRITE, pid, 5) for pid in range(0, 65_535, 7)] + [(Op.EXIT, pid) for pid in range(65_534, 0, -1)]
    with TraceWriter(path) as out:
        out.write(make_events(rows))
    commands = [["run", str(path)], ["run", str(path), "--memory", "50"], ["trace", "info", str(path)]]
    commands += [["trace", "cut", str(path), "-o", str(tmp_path / "c.cow"), "--process", "65534"]]
    commands += [["run", "random-mix", "--events", "30000", "--set", "processes=65535,pages=4"]]
    for ended in run_many(commands, seconds=60):
        assert ended.code == 0, ended
        assert ended.peak_mib < PEAK_MIB, ended
    for pid in (65_535, 10**9):
        text = tmp_path / "beyond.csv"
        text.write_text(f"op,pid,page\nwrite,{pid},0\n")
        [ended] = run_many([["trace", "import", "csv", str(text), "-o", str(tmp_path / "b.cow")]])
        assert ended.code == 2, ended
        assert "65534" in ended.err
