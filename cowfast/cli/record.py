# SPDX-License-Identifier: MIT
"""``cowfast record -- PROGRAM``: perf record, perf script and the import in one."""

from __future__ import annotations

import click

from cowfast.cli.options import quiet_options
from cowfast.cli.progress import say

EPILOG = """\b
Examples
  sudo cowfast record -o build.cow -- make -j2
  sudo cowfast record -o service.cow --keep service.txt.xz -- ./service --once
  cowfast verify build.cow

\b
Exit codes: 0 recorded, whatever the program's own was (it is said); 2 it could not be.
"""


@click.command(epilog=EPILOG, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("-o", "--output", required=True, help="The trace to write (.cow).")
@click.option("--keep", metavar="FILE", help="Keep the text of perf script too; .xz, .zst and .gz are compressed.")
@click.option("--buffer-pages", type=click.IntRange(1), default=16384, show_default=True,
              help="perf's buffer for each CPU; more if events are lost.")  # fmt: skip
@quiet_options
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED)
def record(
    program: tuple[str, ...], output: str, keep: str | None, buffer_pages: int, quiet: bool, verbose: bool
) -> None:
    """Run PROGRAM and record every page fault of it and its children, with the kernel's verdict on each.

    Needs perf and root, or kernel.perf_event_paranoid=-1; says what to do where they are missing.
    """
    from cowfast.traces import record as run

    made = run(program, output, keep=keep, buffer_pages=buffer_pages, say=lambda text: say(text, quiet or not verbose))
    found = made.trace.summary.found
    say(
        f"{output}: {made.trace.events:,} events; {found.get('write-protection faults', 0):,} write-protection faults, "
        f"{found.get('copied by the kernel', 0):,} copied and {found.get('reused by the kernel', 0):,} reused by this kernel",
        quiet,
    )
    if made.status:
        say(f"the program ended with status {made.status}", quiet)
    for note in made.trace.notes:
        say(f"note: {note}", quiet)
