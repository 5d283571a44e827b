# SPDX-License-Identifier: MIT
"""``cowfast compare SOURCE`` runs policies on the same events; ``cowfast compare RESULTS`` looks at runs made before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cowfast.cli.options import format_option, quiet_options, source_options, with_events
from cowfast.cli.output import print_json, print_table
from cowfast.cli.progress import progress, say

if TYPE_CHECKING:
    from cowfast.compare import Comparison

EPILOG = """\b
Examples
  cowfast compare random-mix --policy all --events 1000000 --memory 75%
  cowfast compare service.cow --policy linux-5.16,linux-6.18 --baseline linux-5.16
  cowfast compare random-mix --policy linux-5.10,linux-6.1 --seeds 10 --format latex
  cowfast compare sweep.jsonl --metric copies,needless_copies,swap_writes
  cowfast compare before.jsonl after.jsonl --only-changed
"""


def _names(_ctx: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> list[str]:
    names = [name.strip() for each in given for name in each.split(",") if name.strip()]
    if given and not names:
        raise click.BadParameter("no name in it; write names separated by commas")
    return names


@click.command(epilog=EPILOG)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE | RESULTS...")
@click.option("-p", "--policy", "policies", multiple=True, callback=_names, metavar="A,B|all",
              help="Policies to compare, built-in or TOML files.  [default: all]")  # fmt: skip
@click.option("--baseline", metavar="POLICY", help="The policy the others are compared with.  [default: linux-5.16]")
@click.option("--metric", "metrics", multiple=True, callback=_names, metavar="A,B",
              help="Counters to show; `cowfast counters` lists them.  [default: copies and swap traffic]")  # fmt: skip
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True,
              help="Seeds to run, from --seed on; two or more give confidence intervals.")  # fmt: skip
@source_options
@click.option("--threads", type=click.IntRange(0), default=0, help="Policies at a time.  [default: one for each CPU]")
@click.option("--only-changed", is_flag=True, help="Only the counters that differ between two results files.")
@format_option("markdown", "latex")
@quiet_options
def compare(
    sources: tuple[str, ...],
    policies: list[str],
    baseline: str | None,
    metrics: list[str],
    seeds: int,
    events: int | None,
    parameters: dict[str, Any],
    seed: int,
    memory: str | None,
    machine: dict[str, Any],
    engine: str,
    threads: int,
    only_changed: bool,
    format: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Compare policies on the same events, or the runs in RESULTS files.

    SOURCE is a workload's name, a workload TOML file or a trace (.cow). RESULTS is what `cowfast sweep` wrote, or the
    JSON of `cowfast run` and `cowfast compare`.
    """
    from cowfast.compare import words

    words.check_metrics(metrics)
    if only_changed:
        return _changes(sources, metrics, format)
    if all(_holds_results(source) for source in sources):
        return _results(sources, policies, baseline, metrics, format)
    if len(sources) > 1:
        raise click.UsageError(f"one source at a time, or results files only; {sources[1]} is one too many")
    from cowfast.compare import compare as run_policies

    with progress(quiet) as report:
        found = run_policies(
            sources[0],
            policies or "all",
            machine,
            seed,
            seeds=seeds,
            memory=memory,
            parameters=with_events(parameters, events),
            baseline=baseline,
            engine=engine,
            threads=threads,
            progress=lambda one: report(one.label, one.done, one.total),
        )
    done = sum(result.counters["events"] for result in found.results)
    seconds = sum(result.seconds for result in found.results)
    say(f"{done:,} events in {seconds:.2f} s of engine time, {done / max(seconds, 1e-9) / 1e6:,.1f} M/s", quiet)
    _print(found, metrics, format)
    return 2 if found.errors else 0


def _print(found: Comparison, metrics: Sequence[str], format: str) -> None:
    from cowfast.cli.run import document, write_csv
    from cowfast.compare import words

    good = [result for result in found.results if result.error is None]
    for policy, error in found.errors.items():
        say(f"{policy}: {error}")
    if format == "json":
        statistics = words.records(found.condition, found.baseline, metrics) if found.baseline_ran else []
        print_json(document(found.results) | {"baseline": found.baseline, "statistics": statistics})
    elif format == "csv":
        write_csv(found.results)
    elif good:
        table = found.table(*metrics)
        table.title = _title(found)
        print_table(table, format)


def _title(found: Comparison) -> str:
    first = found.results[0]
    machine = first.machine
    events = max(result.counters["events"] for result in found.results)
    memory = f"{machine.memory:,} pages of memory" if machine.memory else "memory without limit"
    swap = {"async": "swap on a disk", "sync": "swap in compressed memory", "none": "no swap"}[machine.swap]
    return f"{first.source}: {events:,} events under each policy, {memory}, {swap}"


def _holds_results(source: str) -> bool:
    path = Path(source)
    if path.suffix in (".toml", ".cow") or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(1) == b"{"


def _results(
    paths: Sequence[str], policies: Sequence[str], baseline: str | None, metrics: Sequence[str], format: str
) -> int:
    from cowfast.cli.output import records_table
    from cowfast.compare import comparison_table, conditions, words
    from cowfast.compare.run import choose_baseline
    from cowfast.results import load_results

    results = load_results(*paths)
    wanted = [row for row in results if not policies or "all" in policies or row["policy"] in policies]
    missing = set(policies) - {"all"} - {row["policy"] for row in results}
    if missing:
        raise click.UsageError(
            f"no runs of {', '.join(sorted(missing))}; there are {', '.join({row['policy'] for row in results})}"
        )
    found = conditions(wanted)
    base = choose_baseline(baseline, list(dict.fromkeys(row["policy"] for row in wanted)))
    comparable = [condition for condition in found if base in condition.policies]
    if format in ("json", "csv"):
        records = [record for condition in comparable for record in words.records(condition, base, metrics)]
        if format == "csv":
            print_table(records_table(records), "csv")
        else:
            print_json({"baseline": base, "statistics": records})
        return 0
    for place, condition in enumerate(comparable):
        table = comparison_table(condition, base, metrics)
        if place < len(comparable) - 1:
            table.notes = []
        print_table(table, format)
    if len(comparable) < len(found):
        say(f"{len(found) - len(comparable)} conditions have no run of the baseline {base} and are left out")
    return 0


def _changes(paths: Sequence[str], metrics: Sequence[str], format: str) -> int:
    from cowfast.compare import changed
    from cowfast.results import load_results

    if len(paths) != 2:
        raise click.UsageError("--only-changed compares two results files: cowfast compare BEFORE AFTER --only-changed")
    table = changed(load_results(paths[0]), load_results(paths[1]), metrics)
    if format == "json":
        headings = [column.heading for column in table.columns]
        print_json({"changed": [dict(zip(headings, row, strict=True)) for row in table.rows], "notes": table.notes})
        return 0
    if not table.rows:
        table.title = "nothing changed"
    print_table(table, format)
    return 0
