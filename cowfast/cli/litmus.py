# SPDX-License-Identifier: MIT
"""``cowfast litmus FILE...``: scenarios with expected outcomes."""

from __future__ import annotations

import click

from cowfast.cli.options import format_option, quiet_options
from cowfast.cli.output import print_json, print_table, records_table
from cowfast.cli.progress import say

EPILOG = """\b
Examples
  cowfast litmus tests/litmus/*.litmus
  cowfast litmus swap-read-write.litmus --policy linux-5.16,linux-6.18
  cowfast litmus my.litmus --policy my-policy.toml --promote

A scenario that is not as expected is told event by event by `cowfast step`.

\b
Exit codes: 0 all as expected; 1 something is not; 2 bad input.
"""

MOST = 5  # stories that are offered; who has more to read knows how by then


@click.command(epilog=EPILOG)
@click.argument("files", nargs=-1, required=True)
@click.option("-p", "--policy", default="all", show_default=True, help="Policies, separated by commas.")
@click.option("--on", "machines", default=None, help="Machines, separated by commas (default: those of the file).")
@click.option(
    "--engine",
    type=click.Choice(["fast", "reference"]),
    default="fast",
    show_default=True,
    help="Which engine computes it.",
)
@click.option("--promote", is_flag=True, help="Accept what happens now: rewrite the files' expectations.")
@format_option()
@quiet_options
def litmus(files: tuple[str, ...], policy: str, machines: str | None, engine: str, promote: bool, format: str,
           quiet: bool, verbose: bool) -> int:  # fmt: skip
    """Run scenario files under policies and hold them against their expectations."""
    from cowfast import litmus as scenarios
    from cowfast.policy import policy_names

    policies = list(policy_names()) if policy == "all" else policy.split(",")
    rows, failed = [], []
    for name in files:
        scenario = scenarios.load_scenario(name)
        on = machines.split(",") if machines else list(scenario.expect) or ["disk"]
        for machine in on:
            if machine not in scenarios.MACHINES:
                raise click.UsageError(f"no machine {machine!r}; there are {', '.join(scenarios.MACHINES)}")
        if promote:
            changed = scenarios.promote(name, policies, on)
            say(f"{name}: {'rewritten' if changed else 'as it was'}", quiet)
            continue
        for verdict in scenarios.judge(scenario, policies, on, engine):
            if verdict.expected is None and machines is None and policy == "all":
                continue
            if not verdict.right:
                failed.append((name, verdict))
            rows.append(
                {
                    "scenario": verdict.scenario,
                    "machine": verdict.machine,
                    "policy": verdict.policy,
                    "right": verdict.right,
                    "seen": verdict.seen,
                    "expected": verdict.expected or "(nothing)",
                }
            )
    wrong = sum(not row["right"] for row in rows)
    if promote:
        return 0
    say(f"{len(rows) - wrong} of {len(rows)} as expected", quiet)
    if format == "json":
        print_json({"scenarios": rows})
    else:
        print_table(records_table([row for row in rows if verbose or not row["right"] or policy != "all"]), format)
    for file, verdict in failed[:MOST]:
        say(f"the story: cowfast step {file} --policy {verdict.policy} --on {verdict.machine}", quiet)
    if len(failed) > MOST:
        say(f"... and likewise for {len(failed) - MOST} more", quiet)
    return 1 if wrong else 0
