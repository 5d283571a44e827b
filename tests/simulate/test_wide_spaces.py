# SPDX-License-Identifier: MIT
"""Address spaces of which next to nothing is mapped: what they cost, and that nobody walks what was never touched."""

import resource
import sys

import numpy as np
import pytest

from cowfast import Machine, Simulator
from cowfast.errors import MachineError
from cowfast.events import EVENT, Op

SPACE = 1 << 30  # pages: 4 TiB
PAGES = (0, 511, 512, 77 << 20, SPACE - 512, SPACE - 1)


def stream(*events: tuple[Op, int, int, int]) -> np.ndarray:
    """Return (op, pid, page, arg) as an array."""
    out = np.zeros(len(events), EVENT)
    for at, (op, pid, page, arg) in enumerate(events):
        out[at] = (op, 0, pid, page, arg)
    return out


def wide(processes: int = 1000) -> Simulator:
    """Return a simulator whose directories in one piece are 8 MiB a process."""
    return Simulator("linux-6.18", Machine(space=SPACE, processes=processes, memory=256, swap_slots=256))


def family() -> np.ndarray:
    """Return stores all over the space, a child that stores too, an exit, and stores again."""
    writes = [(Op.WRITE, 0, page, 0) for page in PAGES]
    theirs = [(Op.WRITE, 1, page, 0) for page in PAGES[::2]]
    rest = [(Op.FORK, 1, 0, 999), (Op.EXIT, 1, 0, 0), (Op.WRITE, 999, PAGES[-1], 0), (Op.PAGEOUT, 999, PAGES[-1], 1)]
    return stream(*writes, (Op.FORK, 0, 0, 1), *theirs, *rest, (Op.READ, 999, PAGES[-1], 0))


def test_it_does_what_a_narrow_one_does() -> None:
    """The same pages, numbered densely, give the same outcomes and counts."""
    narrow = family()
    dense = {page: at * 512 + page % 512 for at, page in enumerate(PAGES)}
    narrow["page"] = [dense[int(page)] for page in narrow["page"]]
    other = Simulator("linux-6.18", Machine(space=4096, processes=1000, memory=256, swap_slots=256))
    sim = wide()
    outcomes = np.zeros((2, len(narrow)), np.uint32)
    sim.run(family(), outcomes[0])
    other.run(narrow, outcomes[1])
    assert np.array_equal(outcomes[0], outcomes[1])
    assert sim.counters.to_dict() == other.counters.to_dict()
    sim.verify()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux does")
def test_untouched_directories_take_no_memory() -> None:
    """8 GiB of directories are address space, not memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sim = wide()
    sim.run(family())
    sim.verify()
    assert sim.counters["forks"] == 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 << 10  # KiB


def test_a_snapshot_of_it_is_small_and_goes_on() -> None:
    """Only leaves that exist are in a snapshot, and what follows is the same."""
    events = family()
    for cut in range(len(events) + 1):
        sim, other = wide(), wide()
        sim.run(events[:cut])
        saved = sim.snapshot()
        assert sum(array.nbytes for array in saved.values()) < 8 << 20
        other.run(events)  # restore has to forget this
        other.restore(saved)
        sim.run(events[cut:])
        other.run(events[cut:])
        other.verify()
        assert sim.state() == other.state()


def test_a_saved_file_is_checked_and_loaded(tmp_path: object) -> None:
    """From disk it is validated like any other."""
    path = f"{tmp_path}/wide.npz"
    sim = wide()
    sim.run(family())
    sim.save(path)
    assert Simulator.load(path).state() == sim.state()


def test_no_address_space_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives no more address space (``ulimit -v``, strict overcommit)."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("mmap.mmap", refuse)
    with pytest.raises(MachineError, match=r"8 GiB of address space .* renumber the pages densely or use fewer"):
        wide(1024)


def test_the_largest_machine_can_be_made() -> None:
    """65,535 processes of 2^32 - 1 pages."""
    sim = Simulator("linux-6.18", Machine(space=(1 << 32) - 1, processes=65_535, memory=256, swap="none", swap_slots=0))
    sim.run(stream((Op.WRITE, 0, (1 << 32) - 2, 0), (Op.FORK, 0, 0, 65_534), (Op.WRITE, 65_534, (1 << 32) - 2, 0)))
    assert sim.counters["copies"] == 1


def test_forks_and_exits_do_not_walk_the_space() -> None:
    """10,000 of them over 2^30 pages: 2 x 10^10 directory entries, if they did."""
    sim = wide()
    sim.run(stream((Op.WRITE, 0, 12345, 0)))
    events = stream(*[(Op.FORK, 0, 0, 1), (Op.EXIT, 1, 0, 0)] * 10_000)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    sim.run(events)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - used < 2000  # a walk would touch 2,048 pages each time
