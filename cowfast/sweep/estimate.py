# SPDX-License-Identifier: MIT
"""How long a sweep will take, from a short calibration."""

from __future__ import annotations

import time
from dataclasses import dataclass

from cowfast.executors import usable_cpus
from cowfast.simulate import Simulator
from cowfast.sweep.plan import Plan, Task

#: Tasks to try, and events of each.
_TRIALS, _EVENTS = 3, 200_000


@dataclass(frozen=True, slots=True)
class Guess:
    """How much a sweep is: ``seconds`` is about how long it takes, None if that cannot be said."""

    runs: int
    tasks: int
    events: int
    seconds: float | None
    workers: int | None

    def sentence(self) -> str:
        """Return it in words."""
        size = f"{self.runs:,} runs in {self.tasks:,} tasks, {self.events:,} events"
        if self.seconds is None or self.workers is None:
            return f"{size}; the time depends on the cluster"
        unit, scale = ("minutes", 60.0) if self.seconds < 7200 else ("hours", 3600.0)
        if self.seconds < 90:
            unit, scale = "seconds", 1.0
        return f"{size}; about {self.seconds / scale:.2g} {unit} with {self.workers} at a time"


def estimate(plan: Plan, executor: str = "threads") -> Guess:
    """Return the size of a plan and, where the work is done here, the time: a few tasks are begun and timed."""
    kind, _, number = executor.partition(":")
    workers = {"serial": 1, "dask": None}.get(kind, int(number) if number.isdecimal() else usable_cpus())
    trials = plan.tasks[:: max(1, len(plan.tasks) // _TRIALS)][:_TRIALS]
    seconds = None
    if workers is not None and trials:
        # An event costs what it cost in the trials, on average over them; starting a task costs what it cost.
        starts, rates = zip(*map(_try, trials), strict=True)
        work = plan.events * sum(rates) / len(rates) + len(plan.tasks) * sum(starts) / len(starts)
        seconds = work / min(workers, usable_cpus())
    return Guess(plan.runs, len(plan.tasks), plan.events, seconds, workers)


def _try(task: Task) -> tuple[float, float]:
    """Return the seconds to start a task and the seconds an event takes."""
    begun = time.perf_counter()
    simulators = [Simulator(policy, task.machine, engine=task.engine) for policy in task.policies]
    started = time.perf_counter()
    done = 0
    for chunk in task.source.chunks(seed=task.seed, size=_EVENTS // 4):
        for simulator in simulators:
            simulator.run(chunk)
        done += len(chunk) * len(simulators)
        if done >= _EVENTS * len(simulators):
            break
    return started - begun, (time.perf_counter() - started) / max(done, 1)
