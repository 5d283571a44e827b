# SPDX-License-Identifier: MIT
"""docs/cli.md: the help of every command, as the command prints it."""

from importlib.util import find_spec

import click

from _page import emit
from cowfast.cli import COMMANDS, root

HEAD = """\
# Command line

What `cowfast COMMAND --help` prints. Results go to stdout, progress and errors to stderr; every printing command takes
`--format table|json|csv`.
"""


def helps(command: click.Command, path: str, parent: click.Context | None = None) -> str:
    """Return the sections of a command and of the commands below it."""
    context = click.Context(command, info_name=path.split()[-1], parent=parent, terminal_width=96, max_content_width=96)
    level = "#" * (1 + len(path.split()))
    text = f"\n{level} {path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group) and command is not root:
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            text += helps(inner, f"{path} {name}", context)
    return text


def page() -> str:
    """Return the page."""
    context = click.Context(root, info_name="cowfast")
    text = HEAD + f"\n```text\n{root.get_help(click.Context(root, info_name='cowfast', terminal_width=96))}\n```\n"
    for name, (place, _) in COMMANDS.items():
        assert find_spec(place.partition(":")[0]), f"{name} is offered but not there"
        command = root.get_command(context, name)
        assert command is not None
        text += helps(command, f"cowfast {name}", context)
    return text


if __name__ == "__main__":
    emit("docs/cli.md", page())
