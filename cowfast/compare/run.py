# SPDX-License-Identifier: MIT
"""Policies on the same events, run now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cowfast.compare.statistics import Condition, conditions
from cowfast.compare.table import Table
from cowfast.compare.words import check_metrics, comparison_table
from cowfast.errors import SpecError
from cowfast.executors import usable_cpus
from cowfast.policy import Policy, policy_names
from cowfast.results import Results
from cowfast.simulate import Progress, Result, resolve_policy, resolve_source, simulate_policies, unlike_namesakes

if TYPE_CHECKING:
    import os

    import numpy as np

    from cowfast.events import EventSource
    from cowfast.machine import Machine

#: The code that the discussion of January 2022 starts from.
BASELINE = "linux-5.16"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Results of several policies on the same events, a ``Result`` for each policy and seed."""

    results: list[Result]
    baseline: str

    @property
    def condition(self) -> Condition:
        """The results that ended well, as :func:`cowfast.compare.conditions` sorts them."""
        return conditions([result.row() for result in self.results if result.error is None])[0]

    @property
    def baseline_ran(self) -> bool:
        """Whether there is anything to compare with."""
        return any(result.policy == self.baseline and result.error is None for result in self.results)

    @property
    def errors(self) -> dict[str, str]:
        """Policy -> what ended its run early."""
        return {result.policy: result.error for result in self.results if result.error is not None}

    def rows(self) -> Results:
        """Return the runs that ended well as rows, with ``to_numpy``, ``to_polars`` and ``to_pandas``."""
        rows = [result.row() for result in self.results]
        failed = [row for row in rows if "error" in row]
        return Results([row for row in rows if "error" not in row], failed)

    def table(self, *metrics: str) -> Table:
        """Return one line a policy: each metric and how it stands to the baseline's."""
        if not self.baseline_ran:
            raise SpecError(f"the baseline {self.baseline} failed ({self.errors[self.baseline]}); choose another one")
        return comparison_table(self.condition, self.baseline, check_metrics(metrics), self.errors)

    def __repr__(self) -> str:
        return f"<Comparison of {len({result.policy for result in self.results})} policies, {len(self.results)} runs>"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def compare(
    source: str | os.PathLike[str] | np.ndarray | EventSource,
    policies: str | Sequence[str | os.PathLike[str] | Policy] = "all",
    machine: Machine | Mapping[str, Any] | None = None,
    seed: int = 0,
    *,
    seeds: int = 1,
    memory: int | str | None = None,
    parameters: Mapping[str, Any] | None = None,
    baseline: str | None = None,
    engine: str = "fast",
    threads: int = 0,
    progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
) -> Comparison:
    """Run policies on the same events, under ``seeds`` seeds from ``seed`` on, and return a :class:`Comparison`.

        >>> compare("random-mix", "linux-5.10,linux-6.1", memory="75%", parameters={"events": 20_000})
        <Comparison of 2 policies, 2 runs>

    ``policies`` is ``"all"``, names separated by commas, or a list of names, files and ``Policy``.  Each chunk of events is
    made once and given to every policy; ``threads`` policies run at a time (0: one for each CPU).  Other arguments as
    for :func:`cowfast.simulate`.
    """
    chosen = choose_policies(policies)
    base = choose_baseline(baseline, [policy.name for policy in chosen])
    if seeds < 1:
        raise SpecError(f"seeds: {seeds}; write 1 or more")
    events = resolve_source(source, parameters)
    results: list[Result] = []

    def report(one: Progress) -> None:
        assert progress is not None
        total = None if one.total is None else one.total * seeds
        progress(Progress(one.label, one.done + (one.total or 0) * (number - seed), total))

    for number in range(seed, seed + seeds):
        results += simulate_policies(
            events,
            chosen,
            machine,
            number,
            memory=memory,
            engine=engine,
            threads=threads or usable_cpus(),
            progress=report if progress else None,
            stop=stop,
        )
    return Comparison(results, base)


def choose_policies(policies: str | Sequence[str | os.PathLike[str] | Policy]) -> list[Policy]:
    """Return the policies meant, each once, in the order given; "all" means the built-in ones."""
    listed = policies.split(",") if isinstance(policies, str) else policies
    names = [name for each in listed for name in (policy_names() if each == "all" else [each])]
    named: dict[str, Policy] = {}
    for name in names:
        unlike_namesakes(resolve_policy(name), named)
    return list(named.values())


def choose_baseline(baseline: str | None, names: Sequence[str]) -> str:
    """Return the policy that the others are compared with; SpecError if it is not among them."""
    if not names:
        raise SpecError("no policy to compare; write --policy all, or names separated by commas")
    if baseline is None:
        return BASELINE if BASELINE in names else names[0]
    if baseline not in names:
        raise SpecError(f"baseline {baseline!r} is not among the policies compared: {', '.join(names)}")
    return baseline
