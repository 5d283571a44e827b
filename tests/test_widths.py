# SPDX-License-Identifier: MIT
"""No count wraps silently: the widths of the records against what can be counted, by computation and at the limits themselves."""

import numpy as np
import pytest

from cowfast import Simulator
from cowfast._layout import EVENT, LINK, PAGE, PLACE, PROC, REF, SLOT, Op, PteBit
from cowfast.errors import EventError, MachineError
from cowfast.machine import _LIMITS, Machine

GETS = PINS = 65_535  # the engine refuses more to one page
PIN = 1024
PROCESSES = _LIMITS["processes"][1]
NUMBERS = 2 ** (32 - PteBit.PTE_SHIFT)
HALF = 2**16 - 1  # of page_t.who, on machines with rings: the lower how many map it, the next who owns it


def most(record, field):
    """The largest number that a field holds."""
    return int(np.iinfo(record[field]).max)


def rows(n, op, **fields):
    events = np.zeros(n, EVENT)
    events["op"] = op
    for name, value in fields.items():
        events[name] = value
    return events


@pytest.mark.parametrize(
    ("what", "reached", "width"),
    [
        ("maps: a pte in each process, one swap cache, one batch, one isolation, gets and pins",
         PROCESSES + 3 + GETS + PIN * PINS, most(PAGE, "refs")),
        ("a process maps a page once", PROCESSES, HALF),
        ("both of them are in one word", HALF << 16 | HALF, most(PAGE, "who")),
        ("a process has one swap pte of a slot", PROCESSES, most(SLOT, "swap_count")),
        ("numbers of processes, and nobody", PROCESSES, most(REF, "pid")),
        ("numbers of processes in rings", PROCESSES - 1, min(most(LINK, "next"), most(LINK, "prev"), HALF)),
        ("numbers of processes in events", PROCESSES - 1, most(EVENT, "pid")),
        ("parents", PROCESSES - 1, most(PROC, "parent")),
        ("CPUs", _LIMITS["cpus"][1] - 1, most(PROC, "cpu")),
        ("numbers of pages", _LIMITS["memory"][1], NUMBERS - 1),
        ("numbers of slots", _LIMITS["swap_slots"][1], NUMBERS - 1),
        ("numbers of references", _LIMITS["references"][1] - 1, most(EVENT, "arg")),
        ("addresses", _LIMITS["space"][1] - 1, min(most(PLACE, "vpage"), most(REF, "vpage"), most(EVENT, "page"))),
        ("ptes of a process", _LIMITS["space"][1] - 1, most(PROC, "zeros")),
        ("ptes of a process that name a page", NUMBERS - 1, min(most(PROC, "present"), most(PROC, "swapped"))),
        ("leaf tables: at most 2^30 places for them, and leaf 0", 2**30 + 1, most(PROC, "leaves")),
        ("places of an LRU ring: half as many again as pages", NUMBERS + NUMBERS // 2 + 66, most(PLACE, "lru")),
        ("entries of all batches", _LIMITS["cpus"][1] * _LIMITS["lru_batch"][1], 2**32 - 1),
    ],
)  # fmt: skip
def test_what_is_counted_fits(what, reached, width):
    assert reached <= width, what


def test_beyond_2_to_the_26_pages_a_run_stops(monkeypatch):
    """The number that a pte can hold; the limit is lowered here, for at its place the tables are gigabytes."""
    from cowfast import _engine

    assert _engine._MOST == NUMBERS - 1
    monkeypatch.setattr(_engine, "_MOST", 8192)
    simulator = Simulator("linux-6.1", {"space": 9000, "processes": 1})
    with pytest.raises(EventError, match=r"more than 2\^26 pages or slots") as raised:
        simulator.run(rows(9000, Op.WRITE, page=np.arange(9000)))
    assert 8000 < raised.value.index < 8192
    assert raised.value.index == simulator.done
    simulator.verify()


@pytest.mark.parametrize("field", ["memory", "swap_slots"])
def test_no_machine_has_numbers_that_a_pte_cannot_hold(field):
    with pytest.raises(MachineError, match=field):
        Machine(**{field: NUMBERS})


@pytest.mark.parametrize(("kind", "back"), [(Op.GET, Op.PUT), pytest.param(Op.PIN, Op.UNPIN, marks=pytest.mark.long)])
@pytest.mark.slow
def test_the_65_536th_reference_to_a_page_is_refused(kind, back):
    simulator = Simulator("linux-6.1", {"space": 4, "processes": 2, "references": GETS + 1, "memory": 60})
    simulator.run(rows(1, Op.WRITE))
    if kind is Op.PIN:  # each pin beyond the 64th counts those before it; the page is looked at from its limit on
        simulator.run(rows(GETS - 65_000, kind, arg=np.arange(65_000, GETS)))
        simulator.run(rows(65_000, kind, arg=np.arange(65_000)))
    else:
        simulator.run(rows(GETS, kind, arg=np.arange(GETS)))
    [page] = simulator.pages[simulator.pages["refs"] > 1000]
    assert page["refs"] == 2 + GETS * (1 if kind is Op.GET else PIN)  # a pte, a batch
    before = simulator.state()
    with pytest.raises(EventError, match="a reference count is at its limit"):
        simulator.run(rows(1, kind, arg=GETS))
    assert simulator.state() == before
    simulator.verify()
    simulator.run(rows(1, back, arg=5))
    simulator.run(rows(1, kind, arg=5))
    simulator.verify()


@pytest.mark.parametrize("processes", [1, 2, 63, 64, 65, 66])
def test_all_processes_map_a_page_and_none_does(processes):
    """Up to 64 of them are bits of a word, the last its highest; more are counted, and linked in a ring."""
    simulator = Simulator("linux-6.18", {"space": 1, "processes": processes})
    assert len(simulator._engine.tables()["links"]) == (0 if processes <= 64 else len(simulator.ptes))
    simulator.run(rows(1, Op.WRITE))
    simulator.run(rows(processes - 1, Op.FORK, arg=np.arange(1, processes)))
    assert simulator.pages["maps"].max() == processes
    for pid in range(processes):
        assert sorted(simulator.mappers(pid, 0)) == list(range(processes))
    simulator.verify()
    simulator.run(rows(processes - 1, Op.EXIT, pid=np.arange(processes - 1)))
    assert simulator.mappers(processes - 1, 0) == [processes - 1]
    assert simulator.pages["maps"].max() == 1
    simulator.run(rows(1, Op.DISCARD, pid=processes - 1, arg=1))
    simulator.run(rows(1, Op.DRAIN))
    assert simulator.mappers(processes - 1, 0) == []
    assert not simulator.pages["refs"].any()
    simulator.verify()


def test_all_kinds_of_references_to_one_page_at_once():
    """65,534 other processes' ptes are left out: they would need a quarter of a gigabyte; their share is computed above."""
    processes = 2000
    simulator = Simulator("linux-6.1", {"space": 1, "processes": processes, "references": 2 * GETS})
    simulator.run(rows(1, Op.WRITE))
    simulator.run(rows(GETS, Op.GET, arg=np.arange(GETS)))
    simulator.run(rows(1, Op.DRAIN))
    simulator.run(rows(processes - 1, Op.FORK, arg=np.arange(1, processes)))
    simulator.verify()
    assert simulator.pages["maps"].max() == processes
    assert simulator.pages["refs"].max() == GETS + processes


@pytest.mark.long
def test_all_65535_processes_share_a_page_and_a_slot():
    machine = {"space": 1, "processes": PROCESSES, "swap_slots": 4, "references": 1}
    simulator = Simulator("linux-5.7", machine)  # later ones take so many references for a pin, and leave the page
    simulator.run(rows(1, Op.WRITE))
    simulator.run(rows(PROCESSES - 1, Op.FORK, arg=np.arange(1, PROCESSES)))
    assert simulator.pages["maps"].max() == PROCESSES
    simulator.run(["drain", "reclaim"])
    assert simulator.slots["swap_count"].max() == PROCESSES
    with pytest.raises(EventError, match="alive already"):
        simulator.run(["fork 0 1"])
    simulator.run(rows(PROCESSES, Op.READ, pid=np.arange(PROCESSES)))
    assert simulator.pages["maps"].max() == PROCESSES
    assert simulator.slots["swap_count"].max() == 0
    simulator.verify()


def test_unmovable_pages_do_not_run_past_the_page_table():
    """Pages of both kinds have numbers of their own: more numbers than pages are ever live (found by the soak)."""
    n = 3900  # nearly the first table
    simulator = Simulator("linux-6.1", {"space": n, "processes": 1, "references": n})
    simulator.run(rows(n, Op.WRITE, page=np.arange(n)))
    simulator.run([f"discard 0 0 n={n}", "drain"])
    simulator.run(rows(n, Op.PIN, page=np.arange(n), arg=np.arange(n), flags=6))
    simulator.verify()
    numbers = np.flatnonzero(simulator.pages["refs"])
    assert len(numbers) == n
    assert simulator.pages["refs"][numbers].min() >= PIN
    assert numbers.max() == 2 * n < len(simulator.pages)


@pytest.mark.parametrize("first", ["write", "pin"])
def test_when_numbers_have_run_out_a_page_of_the_other_kind_is_taken(first):
    """Nobody had tried: mutants that took number 0 then survived."""
    n = 8
    machine = {"space": n, "processes": 1, "references": n, "memory": n, "swap": "none"}
    pins = [f"pin 0 {page} ref={page} write longterm" for page in range(n)]
    freed = [*(f"unpin ref={page}" for page in range(n)), "discard 0 0 n=8", "drain"]
    writes = [f"write 0 {page}" for page in range(n)]
    texts = [*pins, *freed, *writes] if first == "pin" else [*writes, "discard 0 0 n=8", "drain", *pins]
    both = [Simulator("linux-6.1", machine, engine=engine, contents=True) for engine in ("fast", "reference")]
    for simulator in both:
        simulator.run(texts)
        simulator.verify()
    assert both[0].state() == both[1].state()
    assert both[0].counters["pages_peak"] == n


@pytest.mark.parametrize("space", [2**32, 2**32 - 1])
def test_the_last_address_there_is(space):
    """A swap-in there stores the address after it in the readahead word: 32 bits must hold it."""
    if space > most(PROC, "ra_last"):
        with pytest.raises(MachineError, match="space"):
            Machine(space=space)
        return
    machine = {"space": space, "processes": 1, "references": 1}
    texts = [f"write 0 {space - 1}", "drain", "reclaim", f"read 0 {space - 1}", f"write 0 {space - 2}", "drain", "reclaim", f"read 0 {space - 1}",
             f"read 0 {space - 2}"]  # fmt: skip
    both = [Simulator("linux-6.1", machine, engine=engine, contents=True) for engine in ("fast", "reference")]
    for simulator in both:
        simulator.run(texts)
    assert both[0].state() == both[1].state()
    both[0].verify()
