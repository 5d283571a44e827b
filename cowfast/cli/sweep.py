# SPDX-License-Identifier: MIT
"""``cowfast sweep SPEC.toml -o RESULTS``."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from cowfast.cli.options import every, quiet_options
from cowfast.cli.progress import duration, progress, say
from cowfast.cli.signals import heard

EPILOG = """\b
Examples
  cowfast sweep churn.toml --dry-run
  cowfast sweep churn.toml -o churn.jsonl
  cowfast sweep churn.toml -o churn.jsonl --executor dask://scheduler:8786
  cat monday.jsonl tuesday.jsonl > both.jsonl

\b
The smallest spec
  source = "random-mix"
  [source_parameters]
  events = 200000
  [grid]
  policy = ["linux-5.10", "linux-6.1"]
  seed = [1, 2, 3]
"""


@click.command(epilog=EPILOG)
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("-o", "--output", "output", type=click.Path(dir_okay=False, path_type=Path),
              help="Results file; runs that are in it already are not done again.")  # fmt: skip
@click.option("--executor", default="threads", show_default=True, metavar="KIND",
              help="threads:N, processes:N, serial or dask://HOST:PORT.")  # fmt: skip
@click.option("--max-tasks", type=click.IntRange(1), default=10_000, show_default=True, metavar="N",
              help="Refuse to do more runs than this.")  # fmt: skip
@click.option("--sample", callback=every, metavar="every=N", help="Keep the counters along each run.")
@click.option("--dry-run", is_flag=True, help="Only say how many runs it is, and how long they will take about.")
@quiet_options
def sweep(
    spec: Path,
    output: Path | None,
    executor: str,
    max_tasks: int,
    sample: int,
    dry_run: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Do the runs that SPEC asks for and append each to a results file as it finishes.

    Interrupted (Ctrl-C, a kill, a power cut), the same command goes on where it was.
    """
    import msgspec

    from cowfast.executors import open_executor
    from cowfast.results import ResultsWriter
    from cowfast.sweep import Summary, load_spec, plan_sweep, run_plan

    wanted = load_spec(spec)
    if sample:
        wanted = msgspec.structs.replace(wanted, sample_every=sample)
    plan = plan_sweep(wanted, max_tasks)
    if dry_run:
        from cowfast.sweep.estimate import estimate

        click.echo(estimate(plan, executor).sentence())
        return 0
    if output is None:
        raise click.UsageError("where to? Write -o RESULTS.jsonl")
    summary = Summary(plan.runs)
    with ResultsWriter(output) as writer, open_executor(executor) as workers, _interruptible() as stop:
        if writer.dropped:
            say(f"{output}: {writer.dropped} line was cut short and is dropped; its run is done again", quiet)
        with progress(quiet) as report:
            for step in run_plan(plan, writer, workers, summary, stop):
                label = f"run {step.runs + 1}/{step.total_runs}: {step.running}" if step.running else "done"
                report(label, step.events, step.total_events or None)
    for problem in summary.ended_early + summary.undone:
        say(problem)
    skipped = f", {summary.found:,} were there" if summary.found else ""
    failed = len(summary.ended_early) + len(summary.undone)
    ended = f", {failed:,} failed" if failed else ""
    say(f"{summary.finished:,} runs in {duration(summary.seconds)}{skipped}{ended}: {output}", quiet)
    if summary.stopped:
        say("interrupted; the same command goes on from here")
        return 128 + stop.number
    return 1 if failed else 0


class _Stop(threading.Event):
    """A flag that remembers the signal that set it."""

    number: int = signal.SIGINT


@contextmanager
def _interruptible() -> Iterator[_Stop]:
    """Yield a flag that the first Ctrl-C (or TERM) sets, so that the line being written is finished; the second breaks."""
    stop = _Stop()

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.number = number
        stop.set()

    before = {number: signal.signal(number, handle) for number in heard()}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
