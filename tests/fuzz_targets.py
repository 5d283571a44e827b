# SPDX-License-Identifier: MIT
"""What is fuzzed: every reader of files that strangers may have made, each as a function of the bytes of a file.

A target returns, or raises what is documented (:data:`DOCUMENTED`); anything else is a defect.  tests/test_fuzz.py tries
the saved corpus and some changes of it, benchmarks/fuzz.py a million inputs.
"""

import atexit
import io
import itertools
import json
import os
import shutil
import struct
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path

from cowfast.errors import CowfastError, EventError, InvariantError
from cowfast.litmus import format_scenario, judge, parse_scenario
from cowfast.oracle import perf, replay
from cowfast.policy import load_policy, policy_from_dict
from cowfast.results import ResultsWriter, load_results
from cowfast.results.export import write_csv
from cowfast.simulate import simulate
from cowfast.sweep import load_spec
from cowfast.sweep.plan import plan_sweep
from cowfast.traces import cat, import_csv, import_lackey, import_perf, load_trace, trace_info
from cowfast.traces import format as fmt
from cowfast.workloads import load_workload

#: Of an input in bytes: more adds length, not kinds of mistakes.
MAX_LENGTH = 8192
#: What a target may raise; an InvariantError is a CowfastError too, but a bug.
DOCUMENTED = (CowfastError, OSError)

_SHM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
#: A process that a fuzzer ends cannot clean up: its parent says where it works.
_ROOM = Path(os.environ.get("COWFAST_FUZZ_ROOM") or tempfile.mkdtemp(prefix="cowfast-fuzz-", dir=_SHM))
_OWNER = os.getpid()
_HERE = Path(__file__).parent


@atexit.register
def _leave() -> None:
    """Remove the room; a child that a library forked, and that ends as a process does, is in it as a guest."""
    if os.getpid() == _OWNER:
        shutil.rmtree(_ROOM, ignore_errors=True)


def call(name, data):
    """Run a target; return what it said, raise what it must not."""
    try:
        TARGETS[name](data)
    except InvariantError:
        raise
    except DOCUMENTED as error:
        said = type(error).__name__ if str(error) else ""
    else:
        said = "accepted"
    assert said, "an error that says nothing"
    left = [path.name for path in _ROOM.iterdir() if path.name.endswith((".part", ".partial"))]
    assert not left, left
    return said


def _file(name, data):
    path = _ROOM / name
    path.write_bytes(data)
    return path


def _importer(suffix, importer):
    def target(data):
        trace = importer(_file(f"input.{suffix}", data), _ROOM / "out.cow")
        assert sum(map(len, trace.chunks())) == trace.events
        _use(trace)
        if suffix == "perf":
            perf.verify_perf(trace.path)

    return target


def _use(trace):
    for _ in itertools.islice(cat(trace, extra=True), 50):
        pass
    trace_info(trace)
    if trace.space <= 1 << 20 and trace.processes <= 128 and trace.cpus <= 64 and trace.events <= 20_000:
        with suppress(EventError):
            simulate(trace, "linux-6.18", memory=0)


def container(data):
    """A .cow file as it is."""
    path = _file("input.cow", data)
    with suppress(CowfastError):
        part = load_trace(path, partial=True)
        assert sum(map(len, part.chunks())) == part.events
    trace = load_trace(path)
    assert sum(map(len, trace.chunks())) == trace.events
    _use(trace)


def sealed(data):
    """A .cow file whose checksums are right, whatever it says: what a stranger can make, not what a disk does."""
    container(seal(data))


def seal(data):
    """Return a .cow file with right checksums at all the places that it says are checked."""
    data = bytearray(data[:MAX_LENGTH].ljust(64, b"\0"))
    length = struct.unpack_from("<I", data, 8)[0] % (len(data) - 16)
    struct.pack_into("<I", data, 8, length)
    struct.pack_into("<I", data, 12, zlib.crc32(data[16 : 16 + length], zlib.crc32(struct.pack("<I", length))))
    place = 16 + length
    while place + fmt.FRAME_SIZE <= len(data):
        stored = struct.unpack_from("<I", data, place + 16)[0]
        payload = data[place + fmt.FRAME_SIZE : place + fmt.FRAME_SIZE + stored]
        struct.pack_into("<I", data, place + 24, zlib.crc32(payload))
        struct.pack_into("<I", data, place + 28, zlib.crc32(data[place : place + 28]))
        place += fmt.FRAME_SIZE + stored
    end = len(data) - fmt.FOOTER_SIZE
    struct.pack_into("<I", data, len(data) - 4, zlib.crc32(data[end:-4]))
    return bytes(data)


def policy(data):
    """A policy TOML file."""
    loaded = load_policy(_file("input.toml", data))
    assert policy_from_dict(json.loads(json.dumps(loaded.to_dict()))).hash == loaded.hash


def workload(data):
    """A workload TOML file: its sizes, and its first events."""
    made = load_workload(_file("input.toml", data))
    made.spec()
    if made.space <= 1 << 24:
        next(made.chunks(size=1000), None)


def sweep(data):
    """A sweep spec, and the plan of its runs."""
    spec = load_spec(_file("input.toml", data))
    plan_sweep(spec, max_tasks=30)


def litmus(data):
    """The text of a litmus file, and its outcomes."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    scenario = parse_scenario(text)
    again = parse_scenario(format_scenario(scenario))
    assert (again.events == scenario.events).all()
    assert (again.marked, again.expect) == (scenario.marked, scenario.expect)
    if len(scenario.events) <= 100 and scenario.space <= 1 << 16 and scenario.processes <= 1024:
        for _ in judge(scenario, ["linux-7.2"], list(scenario.expect)[:1] or ["disk"]):
            pass


def results(data):
    """A results file: read, exported, compared, and appended to."""
    from cowfast.compare import changed, conditions, words

    path = _file("input.jsonl", data)
    with suppress(CowfastError), ResultsWriter(path) as writer:
        writer.write({"id": "0", "source": "s", "policy": "p", "seed": 0, "spec": {}, "counters": {}})
    path.write_bytes(data)
    rows = load_results(path)
    write_csv(rows, io.StringIO())
    repr(rows)
    changed(rows, rows)
    for condition in itertools.islice(conditions(rows), 5):
        words.records(condition, next(iter(condition.policies)), ())


def record(data):
    """A kernel record (JSON lines), replayed."""
    replay.verify_records(_file("7.2-disk0.jsonl", data), "linux-7.2")


TARGETS = {
    "perf": _importer("perf", import_perf),
    "lackey": _importer("log", lambda path, out: import_lackey([path], out)),
    "csv": _importer("csv", import_csv),
    "cow": container,
    "cow-sealed": sealed,
    "policy": policy,
    "workload": workload,
    "sweep": sweep,
    "litmus": litmus,
    "results": results,
    "record": record,
}

#: Words that readers look for, so that changes hit more than letters.
WORDS = {
    "perf": [
        "PERF_RECORD_FORK(",
        "PERF_RECORD_MMAP2",
        "exceptions:page_fault_user:",
        "address=0x",
        "error_code=0x7",
        "\n",
    ],
    "lackey": ["SYSCALL[10,1]( 56) sys_clone", "created child ", "Success(0x", " S ", " L ", " M ", "==10== "],
    "csv": ["op,pid,page,arg,flags", "write,", "4294967295", "65534", "look", '"', "\r"],
    "cow": ["COWE", "COWS", "COWX", "COW!", "\x00\x00\x00\x00", "zstd", "none"],
    "policy": [
        "based_on",
        "write_fault",
        "swap_in",
        "[switches]",
        "copy if ",
        "reuse",
        "refs",
        "mapped",
        '"""',
        "= 1e9",
        "[[",
    ],
    "workload": [
        "[[phase]]",
        "[[part]]",
        "do = ",
        "repeat",
        "times = 0",
        "mix",
        "weights = {",
        "zipf_s",
        "events = ",
        "size",
    ],
    "sweep": [
        "[grid]",
        "[zip]",
        "policy",
        "seed",
        "{ from = 0, to = 9 }",
        "memory",
        "machine.cpus",
        "source_parameters",
    ],
    "litmus": [
        "expect disk",
        "name ",
        "space ",
        "processes ",
        "!write 0 0",
        "fork 0 1",
        "pin 0 0 ref=1",
        ": linux-6.1",
    ],
    "results": ['{"id":"', '"spec":', '"counters":', '"rows":', "null", "1e999", "[[[[", "\\ud800", '"policy":'],
    "record": ['{"script":', '"pages":', '"e":', '"p":', '"f":', '"d":', '"sc":', "write 0 0", "null", "-1"],
}
WORDS["cow-sealed"] = WORDS["cow"]


def corpus(name):
    """Return the honest inputs of a target and those that were saved."""
    import zipfile

    path = _HERE / "data" / "corpus" / f"{name}.zip"
    if not path.exists():
        return seeds(name)
    with zipfile.ZipFile(path) as file:
        return [*seeds(name), *(file.read(entry) for entry in sorted(file.namelist()))]


def seeds(name):
    """Return honest inputs of a target, to start from."""
    from test_oracle_records import HEAD, ROWS
    from test_traces_fuzz import CSV, LACKEY, PERF

    if name in ("cow", "cow-sealed"):
        few = [_container(compression, frame) for compression in ("zstd", "none") for frame in (7, 64)]
        return [*few, _container("none", 64, 70)]
    if name == "results":
        path = _ROOM / "seed.jsonl"
        rows = [
            simulate("random-mix", policy, parameters={"events": 50}).row() for policy in ("linux-5.16", "linux-6.18")
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        document = {"source": "random-mix", "machine": rows[0]["spec"]["machine"], "rows": rows[:1]}
        return [path.read_bytes(), json.dumps(document, indent=1).encode()]
    built_in = sorted((_HERE.parent / "cowfast" / "policies").glob("*.toml"))
    texts = {
        "perf": [PERF],
        "lackey": [LACKEY],
        "csv": [CSV],
        "policy": [path.read_bytes() for path in built_in] + [b'based_on = "linux-6.18"\n[switches]\nbatch = 0\n'],
        "workload": [_WORKLOAD, _PARTS],
        "sweep": [path.read_bytes() for path in sorted((_HERE.parent / "benchmarks" / "sweeps").rglob("*.toml"))]
        + [_SWEEP],
        "litmus": [path.read_bytes() for path in sorted((_HERE / "litmus").glob("*.litmus"))],
        "record": ["".join(json.dumps(row) + "\n" for row in [HEAD, *ROWS]).encode()],
    }
    return [text[:MAX_LENGTH] for text in texts[name]]


def _container(compression, frame, processes=3):
    from cowfast.traces import TraceWriter
    from cowfast.workloads import workload as built_in

    path = _ROOM / "seed.cow"
    with TraceWriter(path, frame_events=frame, compression=compression, columns={"time": "u4"}) as out:
        for chunk in built_in("random-mix", events=60, processes=processes, pages=20).chunks(1):
            out.write(chunk, time=chunk["page"])
    return path.read_bytes()


_WORKLOAD = b"""name = "x"
processes = 3
pages = 64
references = 4
[[phase]]
do = "fill"
[[phase]]
do = "repeat"
times = 3
[[phase.phase]]
do = "fork"
child = 1
[[phase.phase]]
do = "mix"
events = 20
pids = [0, 2]
weights = { read = 0.5, write = 0.4, pin = 0.1 }
zipf_s = 1.1
[[phase.phase]]
do = "exit"
pid = 1
"""
_PARTS = b"""name = "y"
events = 500
[[part]]
workload = "random-mix"
[part.parameters]
pages = 64
[[part]]
processes = 2
pages = 8
[[part.phase]]
do = "sweep"
op = "read"
size = 2
"""
_SWEEP = b"""source = "random-mix"
policy = ["linux-5.10", "linux-6.1"]
seed = { from = 1, to = 3 }
[source_parameters]
events = 1000
[machine]
swap = "sync"
[grid]
memory = ["50%", 100]
[zip]
pages = [64, 128]
processes = [2, 4]
"""
