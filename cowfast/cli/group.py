# SPDX-License-Identifier: MIT
"""A group of commands that are imported only when they are called, with help for names that do not exist."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping

import click


class LazyGroup(click.Group):
    """``commands_at``: name -> ("module:attribute", one line of help)."""

    commands_at: Mapping[str, tuple[str, str]] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the registry."""
        return list(self.commands_at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in self.commands_at:
            return None
        module, _, attribute = self.commands_at[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is answered with the nearest names."""
        name = args[0]
        if name not in self.commands_at and not name.startswith("-"):
            close = difflib.get_close_matches(name, self.commands_at, 3, 0.5)
            meant = f"did you mean {', '.join(close)}?" if close else f"there are: {', '.join(self.commands_at)}"
            raise click.UsageError(f"no command {name!r}; {meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.commands_at.items()])
