# SPDX-License-Identifier: MIT
"""docs/stories.md: how to see why a page was copied; what the commands print is printed by them when the page is made."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import tempfile
from pathlib import Path

from _page import ROOT, emit
from cowfast.cli.main import invoke

STEP = "cowfast step tests/litmus/swap-read-write-fresh.litmus --policy linux-5.16"
BESIDE = "cowfast step tests/litmus/vmsplice-swap-leak.litmus --policy linux-5.10,linux-6.1"
EXPLORE = "cowfast explore --policy linux-6.12 --gets 0 --properties no-lost-write --device async -o lost.litmus"
LOST = "cowfast step lost.litmus --policy linux-6.12"
EXPLAIN = "cowfast explain random-mix --event 999452 --policy linux-5.16 --events 1000000 --memory 75% --seed 1"

HEAD = """\
# Stories

Counters say how many pages were copied. A story says why this one was: which check decided, which references made it true, and since when
they are there. What the commands print below is printed when this page is made; the commands run in a checkout.

## One scenario, one policy

"""

READING = """
Under each event stand its outcome, the checks that acted or decided, the pages and slots that are not as they were, and who sees which store
when that changed. A store is called by the number of the line that made it: `#1` is what event 1 stored.

| what is said | means |
|---|---|
| `refs 3 (map 1, swap cache 1, LRU batch 1)` | the page's reference count, and what it is made of; a pin counts 1024 |
| `copy: refs 3 != 1 (...)` | the check that decided was true, with these numbers |
| `reuse: refs 1 == 1 (map 1)` | the list ended in a verdict without condition: the last question before it was answered with no |
| `drain: off lru, refs 3 -> 2` | an action: why it was taken, and what it changed |
| `swap in: ...`, `unshare: ...` | the list of checks for a page that comes from swap; the write-fault list, asked by a pin or get |
| `this fault 1` | the reference that the fault holds until the page is mapped |
| `mapped by 0 (rw dirty), 1 (ro)` | process 0 may write and its pte is dirty, process 1 may read |
| `swapped out: process 0, exclusive for process 0` | whose swap pte names the slot, and whose says that the page was its own |
| `LEAK`, `LOST`, `APART` | somebody sees a store that is none of his business; not his own last store; a pin sees another page than its owner |

A scenario that `cowfast litmus` finds wrong is told in the same way; where the file expects something else, the outcome says so.

## Two policies side by side

`~` marks events after which refs, maps, flags or counts differ, `#` those in which something else happened or is seen.

"""

FOUND = """
## A counter-example

What [`cowfast explore`](explore.md) finds is a scenario file. Here the write through a pin that a clean page in the swap cache loses:

"""

RUN = """
## One event of a run

`cowfast explain` takes the options of `cowfast run` and the number of an event, counted from 0 as in error messages. It lists every check that was asked, and
for each reference the event that brought it. The fast engine replays the run to the event, hands its tables to the reference model, which tells the event, and replays once more
to see when the references came. Both must find the same outcome.

"""

THREAD = """
The page was read in from swap 193 events before, and stayed in the swap cache because nobody had a reason to take it out. That is the needless copy that
[the discussion of January 2022](thread.md) is about.

In an event in which nothing was decided there is nothing to explain; the message names the next one in which something was.

From Python: `cowfast.story.step(scenario, policy)` and `cowfast.story.explain(source, index, policy, ...)` return the same as data,
`--format json` prints it.
"""


def said(command: str, folder: str) -> str:
    """Return what a command prints, run in *folder*."""
    out = io.StringIO()
    before = Path.cwd()
    os.environ["COLUMNS"] = "80"
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            code = invoke(shlex.split(command)[1:])
    finally:
        os.chdir(before)
    assert code in (0, 1), command
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines()).rstrip() + "\n"


def block(command: str, folder: str) -> str:
    """Return a command and what it prints."""
    return f"```console\n$ {command}\n{said(command, folder)}```\n"


def page() -> str:
    """Return the page."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "tests").symlink_to(ROOT / "tests")
        text = HEAD + block(STEP, folder) + READING + block(BESIDE, folder) + FOUND
        said(EXPLORE, folder)
        text += f"```console\n$ {EXPLORE} || true   # exit code 1: something was found\n```\n\n" + block(LOST, folder)
        return text + RUN + block(EXPLAIN, folder) + THREAD


if __name__ == "__main__":
    emit("docs/stories.md", page())
