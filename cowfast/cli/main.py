# SPDX-License-Identifier: MIT
"""The root command, and how every error becomes a message and an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from cowfast._version import __version__
from cowfast.cli.group import LazyGroup
from cowfast.cli.signals import Ended, asked, listen, stop_listening

EPILOG = """\b
Examples
  cowfast compare random-mix --events 1000000 --policy all --memory 75%
  cowfast trace import perf recording.txt.xz -o service.cow
  cowfast compare service.cow --policy linux-5.16,linux-6.18 --memory 75%
  cowfast policies diff linux-5.10 linux-6.18

\b
Exit codes: 0 all right; 1 finished, but something does not hold; 2 bad input;
130 interrupted, 143 terminated (128 and the signal's number). NO_COLOR is honoured.
Shell completion for bash (zsh, fish):
  eval "$(_COWFAST_COMPLETE=bash_source cowfast)"
"""


def _version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from cowfast.simulate.result import build_profile

        click.echo(f"cowfast {__version__} (engine: {build_profile()})")
        ctx.exit()


@click.command("cowfast", cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version,
              help="Version and build profile.")  # fmt: skip
def root() -> None:
    """Linux copy-on-write reuse policies, as numbers.

    Replays memory events of real services or made-up workloads under the reuse policies of Linux kernels, and counts
    what each costs: copies, needless ones by cause, swap-cache churn, device writes.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; a signal that asks it to end is obeyed after the clean-up."""
    listen()
    code = invoke(sys.argv[1:] if arguments is None else list(arguments))
    stop_listening()
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # `cowfast ... | head`: the reader has seen enough
        _drop_output()
    except OSError as error:
        _drop_output()
        code = code or _explain(error)
    sys.exit(code)


def invoke(arguments: list[str]) -> int:
    """Run a command and return its exit code; whatever is the user's to mend is one line on stderr."""
    try:
        result: Any = root.main(arguments, prog_name="cowfast", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted", 130)
    except Ended as error:
        return _fail("terminated", int(error.code or 1))
    except BrokenPipeError:
        _drop_output()
        return 0
    except Exception as error:
        if number := asked():  # code below Python may make another error of the signal's
            return _fail("terminated", 128 + number)
        return _explain(error)


def _explain(error: Exception) -> int:
    """Print what a user can do about an error; what is not his to mend is raised again."""
    from cowfast.errors import CowfastError, InvariantError  # brings numpy along, which --help need not wait for

    match error:
        case click.exceptions.NoArgsIsHelpError():
            error.show()
            return 2
        case click.ClickException():
            context = getattr(error, "ctx", None)
            hint = f"\nSee `{context.command_path} --help`." if context else ""
            return _fail(error.format_message().rstrip(".") + hint)
        case InvariantError():
            return _fail(f"a bug of cowfast, please report it: {error}", 1)
        case CowfastError():
            return _fail(str(error))
        case OSError():
            return _fail(f"{error.filename or 'output'}: {error.strerror or error}")
        case MemoryError():
            return _fail("not enough memory on this computer; use fewer policies at a time or a smaller machine")
        case _:
            raise error


def _fail(message: str, code: int = 2) -> int:
    with contextlib.suppress(OSError):  # the terminal may be gone
        click.echo(f"cowfast: {message}", err=True)
    return code


def _drop_output() -> None:
    """Let what is still to be printed vanish: nobody can take it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
