# SPDX-License-Identifier: MIT
"""Why one event of a run was decided as it was: which check, which references, and since when they are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from cowfast._engine import Engine
from cowfast._layout import Op, Outcome, PteBit
from cowfast.errors import InvariantError, SpecError
from cowfast.events import format_event
from cowfast.litmus import say
from cowfast.machine import Machine
from cowfast.policy import Policy
from cowfast.simulate import Progress, machine_for, resolve_policy, resolve_source
from cowfast.story._watch import Watch
from cowfast.story.hand_over import hand_over
from cowfast.story.teller import Teller, Telling

if TYPE_CHECKING:
    import os

    from cowfast.events import EventSource

CHUNK = 1 << 16
"""Events between two looks at Ctrl-C and at the progress bar."""

AHEAD = 1 << 20
"""How many events are looked at for the next decision when an event is none."""


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that refers to the page, and the event that brought it."""

    what: str
    """``map``, ``swap cache``, ``LRU batch``, ``get``, ``pin``, ``this fault``; ``swap entry`` and ``lock`` are no references"""
    who: str
    """``process 3``, ``slot 17``, ``CPU 0``, ``reference 5 of process 1``"""
    since: int
    """the event, counted from 0"""
    event: str
    outcome: str


class Explanation(msgspec.Struct, kw_only=True):
    """The story of one event of a run."""

    source: str
    policy: str
    machine: Machine
    index: int
    event: str
    outcome: str
    told: list[Telling]
    """every list of checks that was asked, in order; the last one decided"""
    born: Came
    """how the page came into being"""
    came: list[Came]
    """what refers to the page of the last list, references first"""


def explain(
    source: str | os.PathLike[str] | np.ndarray | EventSource,
    index: int,
    policy: str | os.PathLike[str] | Policy = "linux-6.18",
    machine: Machine | Mapping[str, Any] | None = None,
    seed: int = 0,
    *,
    memory: int | str | None = None,
    parameters: Mapping[str, Any] | None = None,
    engine: str = "fast",
    progress: Callable[[Progress], None] | None = None,
) -> Explanation:
    """Replay a run to event *index* and tell what was decided there, and why.

    The fast engine does the long part, twice: to the event, then once more watching the page that it was about.  The event
    itself is told by the reference model, which goes on from the engine's tables; both must find the same outcome.
    With ``engine="reference"`` the reference model does all of it, slowly.

    Parameters
    ----------
    source, policy, machine, seed, memory, parameters : as in :func:`cowfast.simulate`
    index : number of the event, counted from 0 as in error messages and arrays of outcomes
    progress : called after each chunk

    Raises
    ------
    SpecError
        the run ends before the event; nothing was decided in it (the message names the next event in which something was)
    EventError
        an event up to it that cannot be done
    InvariantError
        engine and reference model do not agree: a bug of cowfast
    """
    if index < 0:
        raise SpecError(f"event {index}: write 0 or more")
    if engine not in ("fast", "reference"):
        raise SpecError(f"unknown engine {engine!r}; there are fast and reference")
    events = resolve_source(source, parameters)
    loaded, sized = resolve_policy(policy), machine_for(events, machine, memory)
    run = _Replay(events, seed, index, progress)
    model, outcome = _decided(run, loaded, sized, engine)
    text = format_event(run.event)
    if not model.told:
        raise SpecError(
            f"event {index:,} ({text}): {_not_decided(run.event, outcome)}" + _next(run, loaded, sized, engine)
        )
    last = model.told[-1]
    watch: Watch | _Look = (
        Watch(Engine(loaded, sized), last.page, last.vpage)
        if engine == "fast"
        else _Look(Teller(loaded, sized), last.page, last.vpage)
    )
    born, came = _came(run, last, watch, model)
    return Explanation(
        source=events.name,
        policy=loaded.name,
        machine=sized,
        index=index,
        event=text,
        outcome=say(int(run.event["op"]), outcome, None),
        told=model.told,
        born=born,
        came=came,
    )


class _Replay:
    """The events of a run up to one of them, as often as they are asked for."""

    def __init__(self, source: EventSource, seed: int, index: int, progress: Callable[[Progress], None] | None) -> None:
        self.source, self.seed, self.index, self.progress = source, seed, index, progress
        self.event: np.void = np.zeros(1, np.uint8)[0]  # known when the run got there

    def before(self) -> Iterator[np.ndarray]:
        """Events before the one that is explained, which is in ``event`` afterwards."""
        done = 0
        for chunk in self.source.chunks(seed=self.seed, size=CHUNK):
            if done + len(chunk) > self.index:
                self.event = chunk[self.index - done].copy()
                yield chunk[: self.index - done]
                return
            yield chunk
            done += len(chunk)
            if self.progress:
                self.progress(Progress(self.source.name, done, self.index))
        ends = f"its events are 0 to {done - 1:,}" if done else "it has none"
        raise SpecError(f"{self.source.name} has no event {self.index:,}: {ends}")


def _decided(run: _Replay, policy: Policy, machine: Machine, engine: str) -> tuple[Teller, int]:
    """The reference model after the event, and the event's outcome."""
    bits = np.zeros(1, np.uint32)
    if engine == "reference":
        model = Teller(policy, machine)
        for chunk in run.before():
            model.run(chunk)
        model.run(np.atleast_1d(run.event), bits)
        return model, int(bits[0])
    fast = Engine(policy, machine)
    for chunk in run.before():
        fast.run(chunk)
    model = hand_over(fast)
    fast.run(np.atleast_1d(run.event), bits)
    model.run(np.atleast_1d(run.event))
    if model.outcome != bits[0]:
        raise InvariantError(
            f"event {run.index}: outcome {int(bits[0]):#x} of the engine, {model.outcome:#x} of the reference"
        )
    return model, model.outcome


# ---- since when


class _Look:
    """What :class:`Watch` does, by looking at the reference model after every event; slow and plain."""

    def __init__(self, model: Teller, page: int, vpage: int) -> None:
        self.model, self.page, self.vpage = model, page, vpage
        self.page_since = self.slot_since = self.batch_since = -1
        machine = model.machine
        self.ptes = np.zeros(machine.processes, np.uint32)
        self.ptes_since = np.full(machine.processes, -1, np.int64)
        self.refs_since = np.full(max(machine.references, 1), -1, np.int64)
        self._was: tuple[object, ...] = (None, None, None)
        self._ptes: list[object] = [None] * machine.processes

    def run(self, events: np.ndarray, outcomes: np.ndarray) -> None:
        for i, event in enumerate(events):
            self.model.run(np.atleast_1d(event), outcomes[i : i + 1])
            self._look(event, self.model.time - 1)

    def _look(self, event: np.void, i: int) -> None:
        page = self.model.pages.get(self.page)
        if page is not None and page.vpage != self.vpage:
            page = None
        batch = next((each for each in self.model.batches if page in each), None) if page else None
        now = (page, page.slot if page else None, page if batch is not None else None)
        for name, old, new in zip(("page_since", "slot_since", "batch_since"), self._was, now, strict=True):
            if new is not old:
                setattr(self, name, i if new else -1)
        if page is not None and batch is not None and page in self.model.added:
            self.batch_since = i
        self._was = now
        if event["op"] in (Op.GET, Op.PIN, Op.LOCK):
            self.refs_since[event["arg"]] = i
        for process in self.model.processes:
            pte = process.ptes.get(self.vpage)
            names = (pte.word >> PteBit.PTE_SHIFT << 2 | pte.word & PteBit.PTE_KIND) if pte else 0
            if names != self.ptes[process.number] or pte is not self._ptes[process.number]:
                self._ptes[process.number] = pte
                self.ptes[process.number], self.ptes_since[process.number] = names, i


def _followed(run: _Replay, watch: Watch | _Look) -> dict[int, tuple[np.void, int]]:
    """Run to the event; return the events since which anything is as it is now, with their outcomes."""
    kept: dict[int, tuple[np.void, int]] = {}
    done = 0
    for chunk in run.before():
        bits = np.zeros(len(chunk), np.uint32)
        watch.run(chunk, bits)
        single = [watch.page_since, watch.slot_since, watch.batch_since]
        since = np.unique(np.concatenate([single, watch.ptes_since, watch.refs_since]))
        kept = {i: kept[i] for i in since[(since >= 0) & (since < done)].tolist()}
        kept |= {i: (chunk[i - done].copy(), int(bits[i - done])) for i in since[since >= done].tolist()}
        done += len(chunk)
    return kept


def _came(run: _Replay, told: Telling, watch: Watch | _Look, model: Teller) -> tuple[Came, list[Came]]:
    """Who holds the page at the decision, each with the event that brought it; what the watch has not seen came in this event."""
    kept = _followed(run, watch)
    now, held = run.index, told.holders
    present = told.page << 2 | PteBit.PTE_PRESENT
    swapped = held.slot << 2 | PteBit.PTE_SWAP

    def pte(pid: int, names: int) -> int:
        return int(watch.ptes_since[pid]) if watch.ptes[pid] == names else now

    def reference(number: int) -> int:
        return int(watch.refs_since[number])

    def owner(number: int) -> str:
        pid = model.references[number].pid
        return f"reference {number} of " + (f"process {pid}" if pid < model.machine.processes else "one that is gone")

    here = watch.page_since >= 0
    rows = [("map", f"process {pid}", pte(pid, present)) for pid in held.maps]
    if held.slot:
        rows.append(("swap cache", f"slot {held.slot}", watch.slot_since if watch.slot_since >= 0 else now))
    if held.batch is not None:
        rows.append(("LRU batch", f"CPU {held.batch}", watch.batch_since if watch.batch_since >= 0 else now))
    rows += [("get", owner(n), reference(n)) for n in held.gets]
    rows += [("pin", owner(n), reference(n)) for n in held.pins]
    rows += [("this fault", f"process {told.pid}", now)] * held.fault
    rows += [("swap entry", f"process {pid}", pte(pid, swapped)) for pid in held.entries]
    rows += [("lock", owner(n), reference(n)) for n in held.locks]
    rows.append(("page", f"page {told.page}", watch.page_since if here else now))
    kept[now] = (run.event, model.outcome)
    *came, born = [
        Came(what=what, who=who, since=since, event=format_event(event), outcome=say(int(event["op"]), bits, None))
        for what, who, since in rows
        for event, bits in [kept[since]]
    ]
    return born, came


# ---- what is no decision


def decided(outcomes: np.ndarray) -> np.ndarray:
    """In which events a list of checks had a say: bool, one for each of the outcome bits (uint32).

    An unshare of the zero page is none: there is nothing to ask.
    """
    unshared = (outcomes & Outcome.UNSHARED != 0) & (outcomes & (Outcome.COPIED | Outcome.REUSED) != 0)
    asked: np.ndarray = (outcomes & (Outcome.WRITE_FAULT | Outcome.SWAP_IN) != 0) | unshared
    return asked


def _not_decided(event: np.void, outcome: int) -> str:
    if outcome & Outcome.ZERO_FILLED:
        return "a new page of zeros; no check is asked"
    if outcome & Outcome.ZERO_PAGE:
        return "the zero page was mapped; no check is asked"
    if event["op"] in (Op.READ, Op.WRITE, Op.GET, Op.PIN):
        return "no fault, so nothing was decided"
    return "no access, so nothing was decided"


def _next(run: _Replay, policy: Policy, machine: Machine, engine: str) -> str:
    """The next event in which something is decided, as the end of a message."""
    simulator: Engine | Teller = Engine(policy, machine) if engine == "fast" else Teller(policy, machine)
    done = 0
    for chunk in run.source.chunks(seed=run.seed, size=CHUNK):
        if done > run.index + AHEAD:
            break
        bits = np.zeros(len(chunk), np.uint32)
        try:
            simulator.run(chunk, bits)
        finally:
            found = np.flatnonzero(decided(bits)) + done
            later = found[found > run.index]
        if len(later):
            i = int(later[0])
            return f"; the next decision is event {i:,} ({format_event(chunk[i - done])})"
        done += len(chunk)
    return ""
