# SPDX-License-Identifier: MIT
"""Doing the tasks of a sweep and keeping every finished run."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field
from typing import Any

from cowfast._version import __version__
from cowfast.errors import CowfastError, ResultsError, SpecError
from cowfast.executors import Workers, open_executor
from cowfast.results import Results, ResultsWriter, load_results
from cowfast.simulate import Stopped, simulate_policies
from cowfast.sweep.plan import Plan, Task, plan_sweep
from cowfast.sweep.spec import SweepSpec

#: Seconds between looks at the stop flag while nothing finishes.
_TICK = 0.1


@dataclass(frozen=True, slots=True)
class SweepProgress:
    """How far a sweep is, in runs and events; ``running`` is the oldest task under way."""

    runs: int
    total_runs: int
    events: int
    total_events: int
    running: str


@dataclass(slots=True)
class Summary:
    """What a sweep did: runs found done, finished now, ended early, and tasks that could not run and have no row."""

    planned: int
    found: int = 0
    finished: int = 0
    ended_early: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    stopped: bool = False
    seconds: float = 0.0


def sweep(
    spec: str | os.PathLike[str] | Mapping[str, Any] | SweepSpec,
    results: str | os.PathLike[str],
    *,
    executor: str | Executor = "threads",
    max_tasks: int = 10_000,
    progress: Callable[[SweepProgress], None] | None = None,
) -> Results:
    """Do every run of a sweep that is not in the results file yet, and return all that is in it.

        >>> rows = sweep({"source": "random-mix", "source_parameters": {"events": 20_000},
        ...               "grid": {"policy": ["linux-5.10", "linux-6.1"], "seed": [1, 2]}},
        ...              tmp_path / "results.jsonl", executor="serial")
        >>> len(rows)
        4

    ``spec`` is a TOML file or what is in one; ``executor`` a name (``threads:2``, ``processes:2``,
    ``dask://host:port``) or any ``concurrent.futures.Executor``.  Raises SpecError, ResultsError, and what is wrong with
    a source, policy or machine; finished runs stay in the file whatever happens.
    """
    plan = plan_sweep(spec, max_tasks)
    with ResultsWriter(results) as writer, open_executor(executor) as workers:
        summary = Summary(plan.runs)
        for step in run_plan(plan, writer, workers, summary):
            if progress:
                progress(step)
    if summary.undone:
        raise ResultsError("some runs could not be done; the others are kept:\n" + "\n".join(summary.undone))
    return load_results(results)


def run_plan(
    plan: Plan, writer: ResultsWriter, workers: Workers, summary: Summary, stop: threading.Event | None = None
) -> Iterator[SweepProgress]:
    """Do what is left of a plan, yielding progress several times a second; ``summary`` is kept up to date.

    Setting ``stop`` ends it after the row being written; tasks under way are given up, for they can be done again.
    """
    rest = plan.without(writer.ids)
    summary.found = plan.runs - rest.runs
    stop = stop or threading.Event()
    start, events, last = time.monotonic(), 0, 0.0
    queue = iter(rest.tasks)
    pending: dict[Future[list[dict[str, Any]]], Task] = {}
    try:
        while not stop.is_set():
            _refill(pending, queue, workers, stop)
            if not pending:
                break
            done, _ = wait(pending, _TICK, FIRST_COMPLETED)
            for future in done:
                task = pending.pop(future)
                _keep(future, task, writer, summary)
                events += task.events
            if done or time.monotonic() - last > 1:
                last = time.monotonic()
                running = str(next(iter(pending.values()), ""))
                runs = summary.found + summary.finished + len(summary.ended_early)
                yield SweepProgress(runs, plan.runs, events, rest.events, running)
        summary.stopped = stop.is_set()
    finally:
        stop.set()  # local tasks notice it at their next chunk
        for future in pending:
            future.cancel()
        summary.seconds = time.monotonic() - start


def run_task(task: Task, stop: threading.Event | None = None) -> list[dict[str, Any]]:
    """Do one task and return its rows; this is what an executor runs, here or elsewhere."""
    if task.version != __version__:
        raise SpecError(f"this worker has cowfast {__version__}, the sweep {task.version}; install the same everywhere")
    results = simulate_policies(
        task.source,
        task.policies,
        task.machine,
        task.seed,
        engine=task.engine,
        sample_every=task.sample_every,
        stop=stop,
    )
    return [result.row() for result in results]


def _refill(
    pending: dict[Future[list[dict[str, Any]]], Task], queue: Iterator[Task], workers: Workers, stop: threading.Event
) -> None:
    """Keep as many tasks under way as the workers need and no more: a sweep may have any number of them."""
    while len(pending) < workers.window and (task := next(queue, None)) is not None:
        shared = (stop,) if workers.local else ()
        pending[workers.executor.submit(run_task, task, *shared)] = task


def _keep(future: Future[list[dict[str, Any]]], task: Task, writer: ResultsWriter, summary: Summary) -> None:
    try:
        rows = future.result()
    except Stopped:
        return
    except BrokenExecutor as error:
        raise ResultsError(
            f"a worker died (killed, or out of memory) during {task}; finished runs are kept, start again to go on"
        ) from error
    except (CowfastError, MemoryError, OSError) as error:
        summary.undone.append(f"{task}: {str(error) or type(error).__name__}")
        return
    for row in rows:
        writer.write(row)
        if "error" in row:
            summary.ended_early.append(f"{row['policy']} on {row['source']}, seed {row['seed']}: {row['error']}")
        else:
            summary.finished += 1
