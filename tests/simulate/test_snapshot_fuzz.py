# SPDX-License-Identifier: MIT
"""A snapshot from a stranger: refused, or a state like any other.  In a child process, for a crash is what is looked for."""

import contextlib
import subprocess
import sys

import numpy as np
import pytest

from cowfast import Simulator
from cowfast._engine import SIM
from cowfast._layout import LINK, Op, PageFlag
from cowfast.errors import EventError, InvariantError, SpecError
from cowfast.events import make_events
from cowfast.simulate import machine_for, resolve_source
from cowfast.simulate.snapshot import save

EXAMPLES = 400  # of each of the five
MACHINES = [
    ("linux-5.10", {}, "60%", 4),
    ("linux-6.18", {"swap_latency": 40, "cpus": 2}, "60%", 4),
    ("linux-6.1", {"swap": "sync", "swap_slots": 100}, "80%", 4),
    ("linux-5.7", {}, None, 64),
    ("linux-6.18", {"swap_latency": 40, "cpus": 2}, "60%", 70),
]
FEW, MANY = MACHINES[1], MACHINES[4]  # more than 64 processes: pages have rings of ptes


def started(policy, more, memory, processes):
    """A simulator in the middle of things: shared and swapped pages, references, full lists."""
    source = resolve_source("random-mix", {"events": 6000, "pages": 60, "processes": processes})
    machine = machine_for(source, {"swap_slots": 3000, "references": 300} | more, memory=memory)
    simulator = Simulator(policy, machine, contents=True)
    [events] = source.chunks(seed=3)
    simulator.run(events[:4000])
    alive = int(np.flatnonzero(simulator.procs["flags"])[0])
    simulator.run(make_events([(Op.GET, alive, 1, 291), (Op.PIN, alive, 2, 292)]))
    return simulator, events[4000:]


def change(draw, snapshot):
    """Bytes of one to three places, mostly where something is, and numbers that are nearly right."""
    for _ in range(int(draw.integers(1, 4))):
        name = str(draw.choice(sorted(name for name in snapshot if snapshot[name].size)))
        data = bytearray(snapshot[name].tobytes())
        filled = np.flatnonzero(np.frombuffer(data, np.uint8))
        at = int(draw.choice(filled)) if len(filled) and draw.random() < 0.8 else int(draw.integers(len(data)))
        data[at] = [int(draw.integers(256)), data[at] ^ 1 << int(draw.integers(8)), (data[at] + 1) % 256, 255][
            int(draw.integers(4))
        ]
        snapshot[name] = np.frombuffer(bytes(data), snapshot[name].dtype).reshape(snapshot[name].shape)


def bombard(number):
    """Examples of one machine; how many were refused."""
    simulator, rest = started(*MACHINES[number])
    good = simulator.snapshot()
    draw = np.random.default_rng(number)
    refused = 0
    for _ in range(EXAMPLES):
        snapshot = dict(good)
        change(draw, snapshot)
        try:
            simulator.restore(snapshot)
        except (ValueError, InvariantError):
            refused += 1
            continue
        with contextlib.suppress(EventError):
            simulator.run(rest)
        simulator.verify()
    print(refused)


@pytest.mark.parametrize("number", range(len(MACHINES)))
def test_changed_snapshots_are_refused_or_run(number):
    command = [sys.executable, "-X", "faulthandler", __file__, str(number)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    # what may differ: contents, addresses beside the tables, counters, ages, bits that mean only less or more speed
    assert EXAMPLES // 4 < int(done.stdout) <= EXAMPLES


@pytest.mark.parametrize("which", MACHINES)
def test_an_honest_snapshot_is_taken(which):
    simulator, rest = started(*which)
    other = Simulator(simulator.policy, simulator.machine, contents=True)
    other.restore(simulator.snapshot())
    for each in (simulator, other):
        each.run(rest)
    assert other.state() == simulator.state()


def scalar(name, value):
    def to(snapshot):
        sim = snapshot["sim"] = snapshot["sim"].copy()
        sim.view(SIM)[name] = value

    return to


def entry(table, field, value, where, of=None):
    """The first record of a table where that holds (of the record in another table), another value or what becomes of it."""

    def to(snapshot):
        array = snapshot[table] = snapshot[table].copy()
        view = array[field] if field else array
        at = np.flatnonzero(where(snapshot[of or table]))[0]
        view[at] = value(view[at]) if callable(value) else value

    return to


def bit(which):
    return lambda before: before ^ before.dtype.type(which)


def sized(table, records):
    def to(snapshot):
        snapshot[table] = records

    return to


def present(ptes):
    return ptes["word"] & 3 == 2


def shared(pages):
    return pages["who"] & (pages["who"] - np.uint64(1)) != 0


def freed(leaf):
    def to(snapshot):
        sim = snapshot["sim"] = snapshot["sim"].copy()
        free = snapshot["leaf_free"] = snapshot["leaf_free"].copy()
        free[sim.view(SIM)["nleaf_free"][0]] = leaf
        sim.view(SIM)["nleaf_free"] += 1

    return to


def listed(page):
    def to(snapshot):
        ring = snapshot["ring"] = snapshot["ring"].copy()
        sim = snapshot["sim"].view(SIM)[0]
        which = int(np.argmax(sim["length"]))
        places = (sim["tail"][which] + np.arange(sim["span"][which])) % sim["ring_cap"]
        ring[which, places[np.flatnonzero(ring[which, places])[0]]] = page

    return to


LIES = {
    "page number": entry("ptes", "word", (2**26 - 1) << 6 | 2, present),
    "slot number": entry("ptes", "word", (2**26 - 1) << 6 | 3, lambda t: t["word"] & 3 == 3),
    "leaf": entry("leaf_place", None, 2**63, lambda t: t),
    "leaf in the place of another": entry("leaf_place", None, 1, lambda t: t > 1),
    "leaf twice": freed(1),
    "slot of a page": entry("places", "slot", 2**32 - 1, lambda t: t["slot"]),
    "no slot of a page": entry("places", "slot", 0, lambda t: t["slot"]),
    "slot of a free page": entry("places", "slot", 1, lambda t: t["flags"] == 0, "pages"),
    "address of a page": entry("places", "vpage", 2**32 - 1, lambda t: t["refs"], "pages"),
    "flag of a slot": entry("pages", "flags", bit(PageFlag.PG_SWAPCACHE), lambda t: t["slot"], "places"),
    "flag of no slot": entry("pages", "flags", bit(PageFlag.PG_SWAPCACHE), lambda t: t["who"]),
    "unknown flag": entry("pages", "flags", bit(1 << 31), lambda t: t["who"]),
    "place in a list": entry("places", "lru", 2**32 - 1, lambda t: t["flags"] & 2, "pages"),
    "cached page": entry("slots", "page", 2**32 - 1, lambda t: t["flags"] & 2),
    "list": listed(2**32 - 1),
    "referenced page": entry("refs", "page", 2**32 - 1, lambda t: t["kind"]),
    "CPU of a process": entry("procs", "cpu", 65_535, lambda t: t["flags"]),
    "readahead window": entry("procs", "ra_window", 65_535, lambda t: t["flags"]),
    "batch length": entry("batch_len", None, 2**32 - 1, lambda t: t >= 0),
    "processes": scalar("processes", 65_535),
    "policy": scalar("exclusive", 7),
    "pages in use": scalar("next_page", 2**32 - 1),
    "slots in use": scalar("next_slot", 2**32 - 1),
    "free page": scalar("free_movable", 2**32 - 1),
    "tail": scalar("tail", 2**32 - 1),
    "queue": scalar("wb_len", 2**32 - 1),
    "plug": scalar("nplug", 33),
    "references in use": scalar("ref_high", 2**32 - 1),
}
LIES_OF_BITS = {
    "a process that has another page": entry("pages", "who", bit(1), lambda t: t["who"] & np.uint64(1) == 0),
    "a process that there is not": entry("pages", "who", bit(1 << 4), lambda t: t["who"]),
    "the last process that could be": entry("pages", "who", bit(1 << 63), lambda t: t["who"]),
    "nobody": entry("pages", "who", 0, lambda t: t["who"]),
    "one less": entry("pages", "who", lambda before: before & (before - np.uint64(1)), shared),
    "somebody maps a free page": entry("pages", "who", 1, lambda t: t["refs"] == 0),
    "links where there are none": sized("links", np.zeros(512, LINK)),
}
LIES_OF_RINGS = {
    "ring of ptes": entry("links", "next", 65_535, present, "ptes"),
    "ring of ptes, backwards": entry("links", "prev", 65_535, present, "ptes"),
    "ring to another process": entry("links", "next", bit(1), present, "ptes"),
    "ring from another process": entry("links", "prev", bit(1), present, "ptes"),
    "owner": entry("pages", "who", bit(65_535 << 16), lambda t: t["who"]),
    "owner of another page": entry("pages", "who", bit(1 << 16), lambda t: t["who"] & np.uint64(65_535) == 1),
    "more than an owner": entry("pages", "who", bit(1 << 32), lambda t: t["who"]),
    "owner of a page that nobody maps": entry("pages", "who", 1 << 16, lambda t: t["refs"] == 0),
    "one more": entry("pages", "who", lambda before: before + np.uint64(1), lambda t: t["who"]),
    "nobody": entry("pages", "who", 0, lambda t: t["who"]),
    "no links": sized("links", np.zeros(0, LINK)),
    "links of a leaf": sized("links", np.zeros(512, LINK)),
}


def cases():
    for lies, which in ((LIES, FEW), (LIES, MANY), (LIES_OF_BITS, FEW), (LIES_OF_RINGS, MANY)):
        yield from (pytest.param(lies[name], which, id=f"{name}, {which[-1]} processes") for name in lies)


@pytest.mark.parametrize(("lie", "which"), list(cases()))
def test_a_lie_is_named(lie, which):
    simulator, _ = started(*which)
    before = simulator.state()
    snapshot = simulator.snapshot()
    lie(snapshot)
    with pytest.raises(ValueError, match=r"not a possible state: "):
        simulator.restore(snapshot)
    assert simulator.state() == before


def test_addresses_in_a_snapshot_are_not_used():
    """The pointers among the scalars: whatever they are, the engine makes its own."""
    simulator, rest = started(*MACHINES[1])
    snapshot = simulator.snapshot()
    known = np.zeros(SIM.itemsize, bool)
    for kind, at in (SIM.fields[name][:2] for name in SIM.names):
        known[at : at + kind.itemsize] = True
    snapshot["sim"] = np.where(known, snapshot["sim"], np.uint8(0xA5))
    other = Simulator(simulator.policy, simulator.machine, contents=True)
    other.restore(snapshot)
    for each in (simulator, other):
        each.run(rest)
    assert other.state() == simulator.state()


def test_tables_in_another_order_of_bytes_are_the_same_tables():
    simulator, rest = started(*MACHINES[1])
    snapshot = simulator.snapshot()
    snapshot["ring"] = np.asfortranarray(snapshot["ring"])
    other = Simulator(simulator.policy, simulator.machine, contents=True)
    other.restore(snapshot)
    for each in (simulator, other):
        each.run(rest)
    assert other.state() == simulator.state()


@pytest.mark.parametrize("table", ["pages", "places", "sim", "ring", "ptes", "refs"])
@pytest.mark.parametrize("how", ["missing", "short", "wide", "flat", "floats"])
def test_tables_of_another_shape_are_refused(tmp_path, table, how):
    simulator, _ = started(*MACHINES[1])
    snapshot = simulator.snapshot()
    array = snapshot.pop(table)
    if how != "missing":
        snapshot[table] = {
            "short": array[: len(array) // 2],
            "wide": np.concatenate([array, array]),
            "flat": array[None],
            "floats": np.zeros(array.shape),
        }[how]
    save(tmp_path / "a.npz", simulator.policy, simulator.machine, snapshot)
    with pytest.raises(SpecError, match="run the events again"):
        Simulator.load(tmp_path / "a.npz")


def test_compressed_tables_are_refused(tmp_path):
    simulator, _ = started(*MACHINES[1])
    np.savez_compressed(tmp_path / "a.npz", **simulator.snapshot())
    with pytest.raises(SpecError, match="compressed"):
        Simulator.load(tmp_path / "a.npz")


if __name__ == "__main__":
    bombard(int(sys.argv[1]))
