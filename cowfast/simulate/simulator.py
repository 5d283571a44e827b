# SPDX-License-Identifier: MIT
"""Stepwise use of an engine, with its tables in view."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from cowfast.errors import EventError, InvariantError, SpecError
from cowfast.events import make_events, parse_event
from cowfast.machine import Machine
from cowfast.policy import Policy
from cowfast.simulate._validate import validate
from cowfast.simulate.setup import resolve_policy
from cowfast.simulate.snapshot import Snapshot, load, save

if TYPE_CHECKING:
    import os

    from cowfast.counters import Counters

ENGINES = ("fast", "reference")

#: Seconds of engine time after which a signal is looked for, and the first guess of how many events that is: under memory
#: pressure an event can take a hundred times as long as without.
_SLICE, _FIRST_SLICE = 0.05, {"fast": 1 << 14, "reference": 1 << 7}


class Simulator:
    """One policy on one machine, run as far as you like and looked at whenever you like.

        >>> sim = Simulator("linux-5.10", {"space": 16, "processes": 2})
        >>> sim.run(["write 0 3", "fork 0 1", "write 0 3"])
        3
        >>> sim.counters["copies"]
        1

    ``engine`` is ``"fast"`` or ``"reference"``; both compute the same.  ``contents=True`` keeps what is in every page,
    so that reads return values (the reference always does).  ``check_every=n`` recomputes every count from the page
    tables after each n events and raises InvariantError at the first that is wrong; slow, for finding bugs.

    ``pages``, ``ptes``, ``slots``, ``procs`` and ``refs`` are the fast engine's tables: numpy structured arrays, read-only.
    ``pages`` is put together whenever it is asked for, and stays what it was then.  The others are live views: look them up
    again after :meth:`run`, which may replace a table that had to grow, and after :meth:`restore`; an older view stays
    what the table was then.

    A simulator does one thing at a time.  While a method is at work, a second thread's :meth:`run`, :meth:`step`,
    :meth:`snapshot`, :meth:`save`, :meth:`restore`, :meth:`state`, :meth:`mappers` and :meth:`verify` raise
    RuntimeError.  The five tables, ``counters`` and ``done`` can be read at any time: while another thread runs, the
    numbers in them are of different moments.
    """

    def __init__(
        self,
        policy: str | os.PathLike[str] | Policy,
        machine: Machine | Mapping[str, Any] | None = None,
        *,
        engine: str = "fast",
        contents: bool = False,
        check_every: int = 0,
    ) -> None:
        self.policy = resolve_policy(policy)
        self.machine = machine if isinstance(machine, Machine) else Machine.from_dict(dict(machine or {}))
        self.engine_name = engine
        self.check_every = check_every
        self._contents = contents
        self._lock = threading.Lock()
        self._slice = _FIRST_SLICE.get(engine, 1)
        self._engine = engine_class(engine)(self.policy, self.machine, **({"contents": contents} if contents else {}))

    def run(
        self,
        events: np.ndarray | Iterable[str],
        outcomes: np.ndarray | None = None,
        values: np.ndarray | None = None,
    ) -> int:
        """Process events and return how many; stopping after any event and going on later changes nothing.

        ``events`` is an array of dtype ``EVENT`` or event texts ("write 0 3").  ``outcomes`` (uint32, one per event)
        receives the outcome bits, ``values`` (``CONTENT``, one per event) what reads saw.  An event that is refused
        raises EventError and changes nothing; the ones before it are done.  Its index counts from the first event
        that this simulator ever processed.  After a signal whose handler raises (Ctrl-C), some events are done: see
        :attr:`done`.
        """
        array = events if isinstance(events, np.ndarray) else make_events(map(parse_event, events))
        for name, each in (("outcomes", outcomes), ("values", values)):
            if each is not None and len(each) < len(array):
                raise ValueError(f"{name} has room for {len(each)} events, there are {len(array)}")
        with self._alone():
            self._run(array, outcomes, values)
        return len(array)

    def _run(self, array: np.ndarray, outcomes: np.ndarray | None, values: np.ndarray | None) -> None:
        """In slices so short that a signal is obeyed at once: the engine itself does not look for one."""
        start = 0
        while start < len(array):
            begun = time.perf_counter()
            piece = slice(start, start + (self.check_every or self._slice))
            try:
                self._engine.run(
                    array[piece],
                    None if outcomes is None else outcomes[piece],
                    None if values is None else values[piece],
                )
            except EventError as error:  # which one it is of all, not of this piece
                raise type(error)(self.done, error.event, error.reason, error.hint) from None
            if self.check_every:
                self._engine.verify()
            start = piece.stop
            if start <= len(array):  # a shorter piece says nothing of how long a whole one takes
                self._slice = max(1, int(self._slice * min(4.0, _SLICE / max(time.perf_counter() - begun, 1e-9))))

    def _alone(self) -> threading.Lock:
        """Refuse a second thread, or a signal handler's use, while a method is at work; of two that begin at once, one waits."""
        if self._lock.locked():
            raise RuntimeError("this simulator is at work in another thread; give each thread its own")
        return self._lock

    def step(self, event: str | np.ndarray) -> int:
        """Process one event and return its outcome bits (``cowfast._layout.Outcome``)."""
        outcome = np.zeros(1, np.uint32)
        self.run([event] if isinstance(event, str) else np.atleast_1d(event), outcome)
        return int(outcome[0])

    @property
    def done(self) -> int:
        """How many events were processed so far."""
        return self.counters["events"]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a snapshot, from which :meth:`load` goes on as if nothing had happened (fast engine only).

        A snapshot is for the same build of cowfast on the same kind of computer; keep results, not snapshots.
        """
        save(path, self.policy, self.machine, self.snapshot())

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, check_every: int = 0) -> Self:
        """Return the simulator that :meth:`save` wrote; SpecError if the file is damaged or of another build.

        A file from a stranger is safe to load: each number in it is checked before native code sees the tables, and every
        count is recomputed.
        """
        kept = load(path)
        simulator = cls(kept.policy, kept.machine, contents="contents" in kept.arrays, check_every=check_every)
        simulator.go_on(kept, path)
        return simulator

    def go_on(self, kept: Snapshot, path: str | os.PathLike[str]) -> None:
        """Go back to what ``load`` read from a file; SpecError, which names it, if that is not a state that can be."""
        try:
            self.restore(kept.arrays)
        except (ValueError, InvariantError) as error:
            raise SpecError(f"{path}: {error}; run the events again instead") from error

    def snapshot(self) -> dict[str, np.ndarray]:
        """Return a copy of everything that the next event depends on, for :meth:`restore` (fast engine only)."""
        if self.engine_name != "fast":
            raise SpecError("only the fast engine has snapshots; the reference has to be run again")
        with self._alone():
            snapshot: dict[str, np.ndarray] = self._engine.snapshot()
        return snapshot

    def restore(self, snapshot: Mapping[str, np.ndarray], *, trusted: bool = False) -> None:
        """Go back to what :meth:`snapshot` returned.

        ``trusted`` skips the checks of every number, for a snapshot that this process made and nobody changed: a
        changed one can crash the process then.

        Raises
        ------
        ValueError
            it is of another machine, policy or build, or not a state that can be; the simulator is as it was
        InvariantError
            a count in it is wrong; the simulator is as it was
        RuntimeError
            another thread uses the simulator; it is as that thread makes it
        """
        if self.engine_name != "fast":
            raise SpecError("only the fast engine has snapshots; the reference has to be run again")
        with self._alone():
            self._restore(snapshot, trusted)

    def _restore(self, snapshot: Mapping[str, np.ndarray], trusted: bool) -> None:
        if trusted:
            self._engine.restore(snapshot)
            return
        from cowfast._engine import SIM

        trial = engine_class("fast")(self.policy, self.machine, contents=self._contents)
        validate(snapshot, trial.snapshot(), SIM)
        trial.restore(snapshot)
        trial.verify()
        self._engine = trial

    @property
    def counters(self) -> Counters:
        """What was counted so far."""
        counters: Counters = self._engine.counters
        return counters

    def state(self) -> dict[str, Any]:
        """Return the whole state as a plain dictionary (docs/model.md section 10)."""
        with self._alone():
            state: dict[str, Any] = self._engine.state()
        return state

    def mappers(self, pid: int, page: int) -> list[int]:
        """Return the processes with a present pte of the page that ``pid`` has at this address; empty if it has none."""
        with self._alone():
            found: list[int] = self._engine.mappers(pid, page)
        return found

    def verify(self) -> None:
        """Recompute every count from the page tables; InvariantError names the first that is wrong."""
        with self._alone():
            self._engine.verify()

    @property
    def pages(self) -> np.ndarray:
        """Pages by number, a copy: refs, maps, flags (``PageFlag``), vpage and slot; 0 does not exist, ``refs == 0`` is free."""
        return self._table("pages")

    @property
    def ptes(self) -> np.ndarray:
        """Page table entries (``PTE``) in leaves of 512."""
        return self._table("ptes")

    @property
    def slots(self) -> np.ndarray:
        """Swap slots by number (``SLOT``)."""
        return self._table("slots")

    @property
    def procs(self) -> np.ndarray:
        """Processes by number (``PROC``)."""
        return self._table("procs")

    @property
    def refs(self) -> np.ndarray:
        """Gets, pins and locks by their number (``REF``)."""
        return self._table("refs")

    def _table(self, name: str) -> np.ndarray:
        if self.engine_name != "fast":
            raise AttributeError(
                f"the reference has no tables of records; state()[{name!r}] is the same as a dictionary"
            )
        table: np.ndarray = getattr(self._engine, name).view()
        table.flags.writeable = False  # the engine follows the numbers in it without asking
        return table

    def __repr__(self) -> str:
        return f"<Simulator {self.policy.name}, {self.engine_name} engine, {self.done:,} events done>"


def engine_class(name: str) -> Callable[..., Any]:
    """Return the class of an engine by its name."""
    if name == "fast":
        from cowfast._engine import Engine

        return Engine
    if name == "reference":
        from cowfast.reference import Reference

        return Reference
    raise SpecError(f"unknown engine {name!r}; there are {' and '.join(ENGINES)}")
