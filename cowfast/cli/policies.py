# SPDX-License-Identifier: MIT
"""``cowfast policies [list|show|diff]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cowfast.cli.options import format_option
from cowfast.cli.output import print_json, print_table, records_table

if TYPE_CHECKING:
    from cowfast.policy import Policy
    from cowfast.policy_notes import Notes

EPILOG = """\b
Examples
  cowfast policies
  cowfast policies show linux-6.18
  cowfast policies diff linux-6.12 linux-7.2
  cowfast policies show linux-5.10+write_fault=linux-5.7
"""

NOTE_COLUMN = 52  # a longer check pushes its note to the right


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
    from cowfast.policy_notes import policy_notes

    found = load_policy(policy)
    if format == "json":
        print_json(found.to_dict())
    elif format == "csv":
        print_table(records_table(_lines(found)), "csv")
    else:
        _tell(found, policy_notes(policy))


@policies.command(epilog="\b\nExample\n  cowfast policies diff linux-5.10 linux-6.18\n")
@click.argument("before")
@click.argument("after")
@format_option()
def diff(before: str, after: str, format: str) -> None:
    """Show what is different in AFTER: checks gone (-) and new (+), switches before and after."""
    from cowfast.policy import load_policy
    from cowfast.policy_notes import policy_notes

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
    _tell_changes(old, new, switches, policy_notes(before), policy_notes(after))


def _lists(old: Policy, new: Policy) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return [
        ("when a protected page is written", old.write_fault, new.write_fault),
        ("when a page is swapped in", old.swap_in, new.swap_in),
    ]


def _changes(old: tuple[str, ...], new: tuple[str, ...]) -> list[str]:
    return [f"{sign} {check}" for sign, check, _ in _edits(old, new)]


def _edits(old: tuple[str, ...], new: tuple[str, ...]) -> list[tuple[str, str, int]]:
    """Sign, check, and its place in the list that has it (the new one, where both do)."""
    from difflib import SequenceMatcher

    lines: list[tuple[str, str, int]] = []
    for kind, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            lines += [(" ", new[place], place) for place in range(k, m)]
        else:
            lines += [("-", old[place], place) for place in range(i, j)]
            lines += [("+", new[place], place) for place in range(k, m)]
    return lines


def _lines(policy: Policy) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    for part in ("write_fault", "swap_in"):
        lines += [{"part": part, "line": i, "what": check} for i, check in enumerate(getattr(policy, part), 1)]
    switches = policy.to_dict()["switches"]
    return lines + [{"part": "switch", "line": name, "what": str(value)} for name, value in switches.items()]


def _tell(policy: Policy, notes: Notes) -> None:
    from cowfast.policy import SWITCH_MEANINGS, setting

    click.secho(policy.name, bold=True)
    click.echo(f"{policy.summary}\n")
    if notes.remark:
        click.echo(f"{notes.remark}\n")
    for (title, checks, _), said in zip(_lists(policy, policy), (notes.write_fault, notes.swap_in), strict=True):
        click.secho(f"{title}, in this order", bold=True)
        width = min(NOTE_COLUMN, max(map(len, checks)))
        for place, check in enumerate(checks):
            click.echo(_noted(f"  {place + 1}. {check:<{width}}", said, place))
        click.echo()
    rows = [
        {"switch": name, "setting": setting(name, value), "meaning": SWITCH_MEANINGS[name]}
        for name, value in policy.to_dict()["switches"].items()
    ]
    print_table(records_table(rows))
    if policy.sources:
        click.secho("sources", bold=True)
        for source in policy.sources:
            click.echo(f"  {source}")


def _tell_changes(old: Policy, new: Policy, switches: dict[str, list[Any]], before: Notes, after: Notes) -> None:
    from cowfast.policy import SWITCH_MEANINGS, setting

    click.secho(f"{old.name} -> {new.name}", bold=True)
    width = max(len(old.name), len(new.name))
    for policy in (old, new):
        click.echo(f"  {policy.name:<{width}}  {policy.summary}")
    if after.remark:
        click.echo(f"\n{after.remark}")
    if new.sources:
        click.echo("Sources:\n" + "\n".join(f"  {source}" for source in new.sources))
    if old.hash == new.hash:
        click.echo("\nThey do the same.")
        return
    notes = ((before.write_fault, after.write_fault), (before.swap_in, after.swap_in))
    for (title, old_list, new_list), (old_notes, new_notes) in zip(_lists(old, new), notes, strict=True):
        click.echo()
        if old_list == new_list:
            click.echo(f"{click.style(title, bold=True)}: the same {len(new_list)} checks")
        else:
            click.secho(title, bold=True)
            _tell_edits(_edits(old_list, new_list), old_notes, new_notes)
    if switches:
        click.secho("\nbesides", bold=True)
    for name, (was, now) in switches.items():
        click.echo(f"  {click.style(name, bold=True)}: {setting(name, was)} -> {setting(name, now)}")
        click.echo(f"    {SWITCH_MEANINGS[name]}" + (f"; {note}" if (note := after.switches.get(name)) else ""))


def _tell_edits(edits: list[tuple[str, str, int]], old_notes: tuple[str, ...], new_notes: tuple[str, ...]) -> None:
    """The lines of a list, changed and not; a check that only changed its place says so."""
    gone = [check for sign, check, _ in edits if sign == "-"]
    new = [check for sign, check, _ in edits if sign == "+"]
    width = min(NOTE_COLUMN, max(len(check) for sign, check, _ in edits if sign != " "))
    colors = {"-": "red", "+": "green", " ": None}
    for sign, check, place in edits:
        line = f"  {sign} {check:<{width}}"
        if sign == "-" and check in new:
            said = f"{line}  (asked {'later' if edits.index((sign, check, place)) < _place_of(edits, check) else 'earlier'} now)"
        elif sign == " ":
            said = line.rstrip()
        else:
            said = _noted(line, old_notes if sign == "-" else new_notes, place)
            if check in gone and sign == "+":
                said = said if said != line.rstrip() else f"{line}  (moved)"
        click.secho(said, fg=colors[sign])


def _place_of(edits: list[tuple[str, str, int]], check: str) -> int:
    return next(i for i, (sign, text, _) in enumerate(edits) if (sign, text) == ("+", check))


def _noted(line: str, notes: tuple[str, ...], place: int) -> str:
    """The line with its note, or without blanks at its end."""
    return f"{line}  # {notes[place]}" if place < len(notes) and notes[place] else line.rstrip()
