# SPDX-License-Identifier: MIT
"""docs/cli.md: the help of every command, as the command prints it."""

from importlib.util import find_spec

import click

from _page import emit
from cowfast.cli import COMMANDS, root

HEAD = """\
# Command line

What `cowfast COMMAND --help` prints. Results go to stdout, progress and errors to stderr; every printing command takes
`--format table|json|csv`, those that tell stories `table|json`. No file is written that was not named with `-o`.

| exit code | means |
|---:|---|
| 0 | all right |
| 1 | finished, but something does not hold: `verify` found a disagreement, `litmus` an outcome that was not expected, `rerun` another number, a run of a `sweep` failed, `doctor` found no engine; or a bug of cowfast, which says so |
| 2 | bad input: the message says what to write instead |
| 130 | interrupted; finished runs of a sweep are kept |

| environment | does |
|---|---|
| `NO_COLOR` | no colours |
| `COLUMNS` | width of tables, where it is not a terminal's |
| `_COWFAST_COMPLETE` | shell completion: `eval "$(_COWFAST_COMPLETE=bash_source cowfast)"`, likewise `zsh_source`; fish: `_COWFAST_COMPLETE=fish_source cowfast | source` |

`-q`/`--quiet` leaves errors only on stderr, `-v`/`--verbose` says more there. `-h`/`--help` works everywhere.
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
