# SPDX-License-Identifier: MIT
"""The driver: chunks of events through one or several policies, to results."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from cowfast.errors import CowfastError, EventError, SpecError
from cowfast.simulate.keep import keeping, rest
from cowfast.simulate.result import Result, provenance, spec_hash
from cowfast.simulate.samples import Sampler
from cowfast.simulate.setup import is_built_in, machine_for, resolve_policy
from cowfast.simulate.simulator import Simulator
from cowfast.simulate.source import CHUNK, resolve_source

if TYPE_CHECKING:
    import os

    import numpy as np

    from cowfast.events import EventSource
    from cowfast.machine import Machine
    from cowfast.policy import Policy

    AnyPolicy: TypeAlias = str | os.PathLike[str] | Policy
    AnySource: TypeAlias = str | os.PathLike[str] | np.ndarray | EventSource

#: Seconds of engine time between two looks at signals and at the stop flag, and the first guess of how many events
#: that is: under memory pressure an event can take a hundred times as long as without.
_SLICE, _FIRST_SLICE = 0.05, {"fast": 1 << 14, "reference": 1 << 7}

#: The reference is some hundred times slower: smaller chunks keep progress and Ctrl-C prompt.
_CHUNKS = {"fast": CHUNK, "reference": 1 << 13}


class Progress(NamedTuple):
    """How far a run is: ``done`` of ``total`` events (None: not known), all its policies together."""

    label: str
    done: int
    total: int | None


class Stopped(CowfastError):
    """The run was told to stop; it has no result."""


def simulate(
    source: AnySource,
    policy: AnyPolicy = "linux-6.18",
    machine: Machine | Mapping[str, Any] | None = None,
    seed: int = 0,
    *,
    memory: int | str | None = None,
    parameters: Mapping[str, Any] | None = None,
    engine: str = "fast",
    chunk: int | None = None,
    check_every: int = 0,
    sample_every: int = 0,
    progress: Callable[[Progress], None] | None = None,
    snapshot: str | os.PathLike[str] | None = None,
) -> Result:
    """Run a source under a policy and return its :class:`Result`.

        >>> result = simulate("random-mix", "linux-5.10", memory="75%", seed=1, parameters={"events": 20_000})
        >>> result.counters["events"]
        20000

    ``source`` is a workload's name (with ``parameters``), a workload TOML file, a trace, an ``EVENT`` array or an
    ``EventSource``; ``policy`` a name, a TOML file or a ``Policy``.  The machine is sized for the source unless it says
    otherwise; ``memory`` in pages, "16MiB" or a share such as "75%" of what the source touches.  The counters do not
    depend on ``chunk``.  ``sample_every=n`` keeps counters each n events in ``result.samples``; ``progress`` is called
    after each chunk.  An event that cannot be processed raises EventError; its ``result`` attribute is what was counted
    before.  If the run is interrupted (Ctrl-C), its state is written to the file ``snapshot``; a call with the same
    arguments goes on from there, to the same counters, and removes the file at the end.
    """
    options: dict[str, Any] = {"machine": machine, "seed": seed, "memory": memory, "parameters": parameters}
    options |= {"engine": engine, "chunk": chunk, "check_every": check_every, "sample_every": sample_every}
    runs = _start(source, [policy], **options)
    with keeping(runs[0], snapshot) if snapshot is not None else nullcontext():
        _drive(runs, threads=1, progress=progress, stop=None)
    result = runs[0].result()
    if runs[0].error is not None:
        runs[0].error.result = result  # type: ignore[attr-defined]
        raise runs[0].error
    return result


def simulate_policies(
    source: AnySource,
    policies: Sequence[AnyPolicy],
    machine: Machine | Mapping[str, Any] | None = None,
    seed: int = 0,
    *,
    memory: int | str | None = None,
    parameters: Mapping[str, Any] | None = None,
    engine: str = "fast",
    chunk: int | None = None,
    check_every: int = 0,
    sample_every: int = 0,
    threads: int = 1,
    progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
) -> list[Result]:
    """Run several policies on the same events, made once, and return a result each, in the order of ``policies``.

    As :func:`simulate`, but for these: ``threads`` policies run at a time (the engine needs no GIL); a policy that cannot
    process an event ends there with ``result.error`` while the others go on; setting ``stop`` raises :class:`Stopped`
    within a tenth of a second or the time that one event takes.
    """
    options: dict[str, Any] = {"machine": machine, "seed": seed, "memory": memory, "parameters": parameters}
    options |= {"engine": engine, "chunk": chunk, "check_every": check_every, "sample_every": sample_every}
    runs = _start(source, policies, **options)
    _drive(runs, threads=threads, progress=progress, stop=stop)
    return [run.result() for run in runs]


def run_spec(source: EventSource, policy: Policy, machine: Machine, seed: int, sample_every: int = 0) -> dict[str, Any]:
    """Return all that decides the row of a run, as JSON-able data; its hash (``spec_hash``) names the run."""
    spec: dict[str, Any] = {
        "source": source.spec(),
        "policy": policy.name,
        "policy_hash": policy.hash,
        "machine": machine.to_dict(),
        "seed": seed,
    }
    return spec | {"sample_every": sample_every} if sample_every else spec


class Run:
    """One policy on its way through the events."""

    def __init__(self, source: EventSource, simulator: Simulator, seed: int, sample_every: int, chunk: int) -> None:
        self.source, self.simulator, self.seed, self.chunk = source, simulator, seed, chunk
        self.sampler = Sampler(simulator, sample_every) if sample_every else None
        self.seconds = 0.0
        self.error: EventError | None = None
        self._slice = _FIRST_SLICE.get(simulator.engine_name, 1)
        self.started = datetime.now(UTC)
        self._clock = time.perf_counter()

    def feed(self, events: np.ndarray, stopped: Callable[[], bool]) -> None:
        """Process events in slices so short that a signal is obeyed at once, until ``stopped()``."""
        start, every = 0, max(1, self.simulator.check_every)
        while start < len(events) and self.error is None and not stopped():
            begun = time.perf_counter()
            size = -(-self._slice // every) * every
            self._feed(events[start : start + size])
            start += size
            if start <= len(events):  # a shorter piece says nothing of how long a whole one takes
                self._slice = max(1, int(self._slice * min(4.0, _SLICE / max(time.perf_counter() - begun, 1e-9))))

    def _feed(self, events: np.ndarray) -> None:
        begun = time.thread_time()
        try:
            if self.sampler:
                self.sampler.run(events)
            else:
                self.simulator.run(events)
        except EventError as error:
            self.error = error
        self.seconds += time.thread_time() - begun

    def spec(self) -> dict[str, Any]:
        """Return all that decides its row."""
        every = self.sampler.every if self.sampler else 0
        return run_spec(self.source, self.simulator.policy, self.simulator.machine, self.seed, every)

    def spec_hash(self) -> str:
        """Return the name of the row."""
        return spec_hash(self.spec())

    def result(self) -> Result:
        """Return what was counted so far."""
        simulator, policy, spec = self.simulator, self.simulator.policy, self.spec()
        origin = provenance(simulator.engine_name)
        origin["started"] = self.started.isoformat(timespec="seconds")
        origin["elapsed"] = round(time.perf_counter() - self._clock, 6)
        if not is_built_in(policy):
            origin["policy"] = policy.to_dict()
        if (path := getattr(self.source, "path", None)) is not None:
            origin["path"] = str(path)
        return Result(
            source=self.source.name,
            policy=policy.name,
            seed=self.seed,
            machine=simulator.machine,
            counters=simulator.counters,
            seconds=self.seconds,
            spec=spec,
            spec_hash=spec_hash(spec),
            provenance=origin,
            samples=self.sampler.samples if self.sampler else [],
            error=str(self.error) if self.error else None,
        )


def _start(
    source: AnySource,
    policies: Sequence[AnyPolicy],
    *,
    machine: Machine | Mapping[str, Any] | None,
    seed: int,
    memory: int | str | None,
    parameters: Mapping[str, Any] | None,
    engine: str,
    chunk: int | None,
    check_every: int,
    sample_every: int,
) -> list[Run]:
    if seed < 0:
        raise SpecError(f"seed: {seed} is negative; write 0 or more")
    if chunk is not None and chunk < 1:
        raise SpecError(f"chunk: {chunk} events; write 1 or more")
    events = resolve_source(source, parameters)
    loaded = [resolve_policy(policy) for policy in policies]
    sized = machine_for(events, machine, memory)
    size = chunk or _CHUNKS.get(engine, CHUNK)
    return [
        Run(events, Simulator(policy, sized, engine=engine, check_every=check_every), seed, sample_every, size)
        for policy in loaded
    ]


def _drive(
    runs: Sequence[Run],
    threads: int,
    progress: Callable[[Progress], None] | None,
    stop: threading.Event | None,
) -> None:
    if not runs:
        return
    source = runs[0].source
    total = None if source.events is None else source.events * len(runs)
    begun = runs[0].simulator.done  # all begin at once, but one that goes on from a snapshot
    done = begun * len(runs)
    chunks = rest(source.chunks(seed=runs[0].seed, size=runs[0].chunk), begun)
    for events in _fed(runs, chunks, threads, stop):
        done += events * len(runs)
        if progress:
            progress(Progress(source.name, done, total))
        if stop is not None and stop.is_set():
            raise Stopped("stopped")
        if all(run.error for run in runs):
            return


def _fed(
    runs: Sequence[Run], chunks: Iterator[np.ndarray], threads: int, stop: threading.Event | None
) -> Iterator[int]:
    """Feed each chunk to every run and yield its length; with threads, the next one is made meanwhile."""
    given_up = threading.Event()  # of our own: the caller's is for the caller to set

    def stopped() -> bool:
        return given_up.is_set() or (stop is not None and stop.is_set())

    if threads <= 1:
        for chunk in chunks:
            for run in runs:
                run.feed(chunk, stopped)
            yield len(chunk)
        return
    pool = ThreadPoolExecutor(threads, "cowfast")
    try:
        upcoming: Future[np.ndarray | None] = pool.submit(next, chunks, None)
        while (ready := upcoming.result()) is not None:
            upcoming = pool.submit(next, chunks, None)
            for fed in [pool.submit(run.feed, ready, stopped) for run in runs]:
                fed.result()
            yield len(ready)
    finally:
        given_up.set()  # interrupted: the other policies need not finish a chunk that nobody will look at
        pool.shutdown(cancel_futures=True)
