# SPDX-License-Identifier: MIT
"""Options that several sub-commands share: one name, one meaning, one help text each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def format_option(*more: str, rows: bool = True) -> Callable[[F], F]:
    """``--format table|json`` and ``csv`` where there are ``rows``, and whatever ``more`` a command can print."""
    choices = ["table", "json", *["csv"] * rows, *more]
    return click.option("--format", "format", type=click.Choice(choices), default="table", show_default=True,
                        help="What to print.")  # fmt: skip


def quiet_options(command: F) -> F:
    """``--quiet`` and ``--verbose``."""
    command = click.option("-q", "--quiet", is_flag=True, help="Nothing on stderr but errors.")(command)
    return click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")(command)


def policy_option(command: F) -> F:
    """``--policy`` of a command that runs one."""
    return click.option("-p", "--policy", default="linux-6.18", show_default=True,
                        help="Built-in policy, or a policy TOML file.")(command)  # fmt: skip


def source_options(command: F) -> F:
    """What a source is run on: ``--events --set --seed --memory --machine --engine``."""
    for option in reversed(
        [
            click.option("--events", type=click.IntRange(0), help="Events to make (workloads).", metavar="N"),
            click.option("--set", "parameters", multiple=True, callback=settings, metavar="PARAM=VALUE",
                         help="Parameter of the workload; `cowfast workloads` lists them."),
            click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the workload."),
            click.option("--memory", metavar="SIZE",
                         help="Memory: pages (4000), 16MiB, or a share of what the source touches (75%). 0: no limit."
                              "  [default: no limit]"),
            click.option("--machine", "machine", multiple=True, callback=settings, metavar="FIELD=VALUE",
                         help="Field of the machine: swap=sync, cpus=4, lru_batch=0, page_cluster=0, ..."),
            click.option("--engine", type=click.Choice(["fast", "reference"]), default="fast", show_default=True,
                         help="The compiled engine, or the slow readable one; both count the same."),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


def settings(_ctx: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    """Return ``A=1,B=x`` and repeated options as a mapping, values read as TOML reads them, else as text."""
    found: dict[str, Any] = {}
    for text in (part for each in given for part in each.split(",")):
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise click.BadParameter(f"{text!r} has no value; write NAME=VALUE")
        found[name.strip()] = literal(value.strip())
    return found


def literal(text: str) -> Any:
    """Return the number, truth value or text that is written."""
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def with_events(parameters: Mapping[str, Any], events: int | None) -> dict[str, Any]:
    """Return the parameters of a source with ``--events`` among them."""
    return dict(parameters) if events is None else {**parameters, "events": events}


def every(_ctx: click.Context, _parameter: click.Parameter, given: str | None) -> int:
    """Return the number in ``every=N``."""
    if given is None:
        return 0
    text = given.removeprefix("every=").replace("_", "")
    if not text.isdecimal() or text == "0":
        raise click.BadParameter(f"{given!r}; write every=100000")
    return int(text)
