# SPDX-License-Identifier: MIT
"""``cowfast policies [list|show|diff]``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cowfast.cli.options import format_option
from cowfast.cli.output import print_json, print_table, records_table

if TYPE_CHECKING:
    from cowfast.policy import Policy

EPILOG = """\b
Examples
  cowfast policies
  cowfast policies show linux-6.18
  cowfast policies diff linux-6.12 linux-7.2
  cowfast policies show linux-5.10+write_fault=linux-5.7
"""


@click.group(epilog=EPILOG, invoke_without_command=True)
@click.pass_context
def policies(ctx: click.Context) -> None:
    """The reuse policies: the checks that a kernel makes when a protected page is written, in order.

    A policy of your own is a TOML file: `based_on = "linux-6.18"` and what is different.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_policies, format="table")


@policies.command("list", epilog="\b\nExample\n  cowfast policies list --format json\n")
@format_option("markdown")
def list_policies(format: str) -> None:
    """List the built-in policies, history first."""
    from cowfast.policy import load_policy, policy_names

    records = [{"policy": name, "what it is": load_policy(name).summary} for name in policy_names()]
    if format == "json":
        print_json({"policies": [load_policy(name).to_dict() for name in policy_names()]})
    else:
        print_table(records_table(records), format)


@policies.command(epilog="\b\nExamples\n  cowfast policies show linux-6.18\n  cowfast policies show my-policy.toml\n")
@click.argument("policy")
@format_option()
def show(policy: str, format: str) -> None:
    """Show the checks of POLICY in their order, and its switches."""
    from cowfast.policy import load_policy

    found = load_policy(policy)
    if format == "json":
        print_json(found.to_dict())
    elif format == "csv":
        print_table(records_table(_lines(found)), "csv")
    else:
        _tell(found)


@policies.command(epilog="\b\nExample\n  cowfast policies diff linux-5.10 linux-6.18\n")
@click.argument("before")
@click.argument("after")
@format_option()
def diff(before: str, after: str, format: str) -> None:
    """Show what is different in AFTER: checks gone (-) and new (+), switches before and after."""
    from cowfast.policy import load_policy

    old, new = load_policy(before), load_policy(after)
    checks = {title: _changes(old_list, new_list) for title, old_list, new_list in _lists(old, new)}
    was, now = old.to_dict()["switches"], new.to_dict()["switches"]
    switches = {name: [was[name], now[name]] for name in now if was[name] != now[name]}
    if format == "json":
        print_json({"before": old.name, "after": new.name, "checks": checks, "switches": switches})
        return
    if format == "csv":
        records = [{"part": title, "change": line[0], "what": line[2:]} for title, lines in checks.items()
                   for line in lines if line[0] != " "]  # fmt: skip
        records += [{"part": "switch", "change": name, "what": f"{a} -> {b}"} for name, (a, b) in switches.items()]
        print_table(records_table(records), "csv")
        return
    _tell_changes(old, new, checks, switches)


def _lists(old: Policy, new: Policy) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return [
        ("when a protected page is written", old.write_fault, new.write_fault),
        ("when a page is swapped in", old.swap_in, new.swap_in),
    ]


def _changes(old: tuple[str, ...], new: tuple[str, ...]) -> list[str]:
    from difflib import SequenceMatcher

    lines: list[str] = []
    for kind, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            lines += [f"  {check}" for check in old[i:j]]
        else:
            lines += [f"- {check}" for check in old[i:j]] + [f"+ {check}" for check in new[k:m]]
    return lines


def _lines(policy: Policy) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    for part in ("write_fault", "swap_in"):
        lines += [{"part": part, "line": i, "what": check} for i, check in enumerate(getattr(policy, part), 1)]
    switches = policy.to_dict()["switches"]
    return lines + [{"part": "switch", "line": name, "what": str(value)} for name, value in switches.items()]


def _tell(policy: Policy) -> None:
    from cowfast.policy import SWITCH_MEANINGS

    click.secho(policy.name, bold=True)
    click.echo(f"{policy.summary}\n")
    for title, checks, _ in _lists(policy, policy):
        click.secho(f"{title}, in this order", bold=True)
        for place, check in enumerate(checks, 1):
            click.echo(f"  {place}. {check}")
        click.echo()
    rows = [
        {"switch": name, "setting": _word(value), "meaning": SWITCH_MEANINGS[name]}
        for name, value in policy.to_dict()["switches"].items()
    ]
    print_table(records_table(rows))
    if policy.sources:
        click.secho("sources", bold=True)
        for source in policy.sources:
            click.echo(f"  {source}")


def _tell_changes(old: Policy, new: Policy, checks: dict[str, list[str]], switches: dict[str, list[object]]) -> None:
    from cowfast.policy import SWITCH_MEANINGS

    click.secho(f"{old.name} -> {new.name}", bold=True)
    click.echo(f"- {old.summary}\n+ {new.summary}\n")
    colors = {"-": "red", "+": "green", " ": None}
    for title, lines in checks.items():
        same = all(line[0] == " " for line in lines)
        click.secho(title + (": the same" if same else ""), bold=True)
        for line in [] if same else lines:
            click.secho(f"  {line}", fg=colors[line[0]])
        click.echo()
    for name, (was, now) in switches.items():
        click.secho(f"{name}: {_word(was)} -> {_word(now)}", bold=True)
        click.echo(f"  {SWITCH_MEANINGS[name]}")
    if old.hash == new.hash:
        click.echo("They do the same.")


def _word(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
