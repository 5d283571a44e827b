# SPDX-License-Identifier: MIT
"""docs/thread.md: what was said in the discussion of January 2022, each sentence beside an experiment and what it counts.

Every number on the page is counted here, by the command that the page shows; a claim holds if :attr:`Claim.judge` says so
of those numbers.  The claims themselves are in ``_thread_claims.py``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import tempfile
from pathlib import Path

from _page import ROOT, emit
from _thread_claims import CLAIMS, Claim, Rows
from cowfast.cli.main import invoke
from cowfast.counters import COUNTERS
from cowfast.workloads import workload_names

HEAD = """\
# The thread, in numbers

In January 2022 the kernel's memory-management developers discussed what `do_wp_page()` should ask before it reuses a page. This page takes
their claims one by one, as condensed in [the model](model.md), and puts an experiment beside each: what was run, what was counted, whether the claim holds
*in this model and on these events*. A workload can refute a claim; it cannot prove one for all workloads.

All numbers are counted when the page is made (`python docs/generate/thread.py`, a few seconds; CI checks that none has changed). The commands run in a checkout.

| claim | result | where it shows |
|---|---|---|
"""


def numbers(command: str) -> Rows:
    """Run a command with JSON output and return {policy: counters}, or for litmus files the runs and leaks of each policy."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        code = invoke([*shlex.split(command)[1:], *(["--format", "json"] if " trace " not in command else [])])
    assert code == 0, f"{command}: exit code {code}"
    if " trace " in command:
        return Rows()
    document, rows = json.loads(out.getvalue()), Rows()
    for row in document.get("scenarios", []):
        add(rows, row["policy"], {"runs": 1, "leaks": int("LEAK" in row["seen"])})
    for row in document.get("rows", []):
        add(rows, row["policy"], row["counters"])
        rows.seeds.setdefault(row["seed"], {})[row["policy"]] = row["counters"]
    return rows


def add(rows: Rows, policy: str, counters: dict[str, int]) -> None:
    """Add counters to those of a policy."""
    so_far = rows.setdefault(policy, dict.fromkeys(counters, 0))
    for name, value in counters.items():
        so_far[name] += value


def table(rows: Rows, columns: tuple[str, ...]) -> str:
    """Return counters of each policy as a Markdown table."""
    heads = [name.replace("needless_by_cause.", "needless: ").replace("_", " ") for name in columns]
    lines = ["| policy | " + " | ".join(heads) + " |", "|---" + "|---:" * len(columns) + "|"]
    lines += [
        f"| `{policy}` | " + " | ".join(f"{row[name]:,}" for name in columns) + " |" for policy, row in rows.items()
    ]
    return "\n".join(lines) + "\n"


def section(number: int, claim: Claim) -> tuple[str, str]:
    """Run a claim's commands; return its line of the first table and its section."""
    ran = [numbers(command) for command in claim.commands]
    shown = [rows for rows in ran if rows]
    holds, result, brief = claim.judge(shown)
    word = "holds" if holds else "**does not hold**"
    anchor = f"{number}-{claim.title.lower()}"
    for sign in ",.()`":
        anchor = anchor.replace(sign, "")
    text = f"\n## {number}. {claim.title}\n\n> {claim.said}\n\n{claim.experiment}\n\n```console\n"
    text += "".join(f"$ {command}\n" for command in claim.commands) + "```\n\n"
    for command, rows in zip(
        [each for each, found in zip(claim.commands, ran, strict=True) if found], shown, strict=True
    ):
        if len(shown) > 1:
            text += f"`{' '.join(word for word in shlex.split(command)[2:] if word.partition('=')[0] in (*workload_names(), 'lru_batch'))}`:\n\n"
        text += table(rows, claim.columns) + "\n"
    text += f"**{'Holds' if holds else 'Does not hold'}.** {result}\n"
    return f"| [{claim.title}](#{anchor.replace(' ', '-')}) | {word} | {brief} |\n", text


def page() -> str:
    """Return the page."""
    known = {info.name for info in COUNTERS} | {"runs", "leaks"}
    assert all(set(claim.columns) <= known for claim in CLAIMS)
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "tests").symlink_to(ROOT / "tests")
        os.chdir(scratch)
        try:
            parts = [section(number, claim) for number, claim in enumerate(CLAIMS, 1)]
        finally:
            os.chdir(before)
    return HEAD + "".join(line for line, _ in parts) + "".join(text for _, text in parts)


if __name__ == "__main__":
    emit("docs/thread.md", page())
