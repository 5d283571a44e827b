# SPDX-License-Identifier: MIT
"""docs/policies/: one page a policy, and an index.

From the policy files, their comments, ``cowfast policies diff``, the outcome vectors and the kept output of ``cowfast verify``.
"""

from __future__ import annotations

import sys

from click.testing import CliRunner

from _evidence import LEGACY, applications, scripted, under_pressure
from _page import ROOT, emit
from _published import forced_swap
from _scenarios import SELFTESTS, VECTORS
from _tables import table
from cowfast.cli import root
from cowfast.policy import SWITCH_MEANINGS, load_policy, policy_names, setting
from cowfast.policy_notes import policy_notes, predecessor

DEVICES = {"sync": "zram", "async": "disk", "async+readahead": "disk with readahead"}
MORE = {"async, stable writes": "disk with stable writes"}
ROUNDS = 1000
TOTALS = {"copies": "copies", "reuses": "reuses", "swapmaj": "major faults", "pswpout": "swap writes"}


def checks(name: str) -> str:
    """Return the two lists in their order, with the notes of the file."""
    policy, notes = load_policy(name), policy_notes(name)
    text = ""
    for title, lines, said in (
        ("When a protected page is written", policy.write_fault, notes.write_fault),
        ("When a page is swapped in", policy.swap_in, notes.swap_in),
    ):
        heads = ["", "check", "in the kernel"]
        rows = [[i, f"`{line}`", note] for i, (line, note) in enumerate(zip(lines, said, strict=True), 1)]
        text += f"## {title}\n\n{table(heads, rows)}\n"
    return text


def switches(name: str) -> str:
    """Return the table of switches."""
    notes = policy_notes(name).switches
    values = load_policy(name).to_dict()["switches"]
    rows = [
        [f"`{key}`", setting(key, value), SWITCH_MEANINGS[key], notes.get(key, "")] for key, value in values.items()
    ]
    return f"## Besides\n\n{table(['switch', 'setting', 'meaning', 'in the kernel'], rows)}\n"


def changes(name: str, before: str) -> str:
    """Return what the command says about the difference, and the outcomes that are others."""
    said = CliRunner().invoke(root, ["policies", "diff", before, name], color=False)
    assert said.exit_code == 0, said.output
    text = f"## Against [{before}]({before}.md)\n\n```console\n$ cowfast policies diff {before} {name}\n{said.output}```\n\n"
    rows = [
        [scenario.about, (DEVICES | MORE)[device], was, now]
        for scenario in VECTORS
        for device in scenario.devices
        if (was := scenario.compute(before, device)) != (now := scenario.compute(name, device))
    ]
    rows += [
        [f"selftest {test.number}: {test.about}", "all three runs", was, now]
        for test in SELFTESTS
        if (was := test.row(before)) != (now := test.row(name))
    ]
    if not rows:
        return text + "No outcome below changes.\n\n"
    return text + f"Outcomes that change:\n\n{table(['program', 'on', before, name], rows)}\n"


def outcomes(name: str) -> str:
    """Return the vectors of one policy."""
    rows = []
    for scenario in VECTORS:
        cells = [scenario.compute(name, device) if device in scenario.devices else "" for device in (*DEVICES, *MORE)]
        rows.append([scenario.about, *cells])
    loops = [forced_swap(name, device, ROUNDS) for device in DEVICES]
    said = [
        f"{each.reuses:,} R, {each.copies:,} C, {each.drains:,} d, {each.slots_allocated:,} slots, {each.leaked:,} leaked"
        for each in loops
    ]
    rows.append([f"{{MADV_PAGEOUT, read, write}} × {ROUNDS:,}", *said, ""])
    tests = table([test.number for test in SELFTESTS], [[test.row(name) for test in SELFTESTS]])
    heads = ["program", *DEVICES.values(), *MORE.values()]
    return (
        "## Outcomes\n\nComputed; the signs and the events of each program are in [Outcome vectors](../vectors.md).\n\n"
        f"{table(heads, rows)}\nThe kernel's selftest, `cow.c`:\n\n{tests}\n"
    )


def agreement(name: str) -> str:
    """Return the figures of the kernel records, or that there are none."""
    text = "## Agreement with kernels\n\n"
    recorded = LEGACY if name == "linux-5.7" else name
    found, totals, traces = scripted(recorded), under_pressure(recorded), applications(name)
    if not (found or totals or traces):
        return text + (
            "No kernel with this policy is among the records. What vouches for it: the two engines compute it alike, and "
            "its outcomes are held against those that the rules' document derives from the sources ([Outcome vectors](../vectors.md)).\n"
        )
    if recorded != name:
        text += f"The kernel behind these figures has this policy's write-fault checks in an otherwise 5.10 source: `{recorded}`.\n\n"
    heads = ["record", "scripts right", "of", "events right", "of"]
    rows = [
        [f"`{row['file']}`", row["scripts_right"], row["scripts"], row["events_right"], row["events"]] for row in found
    ]
    text += "Scripts: every pte, page, flag, slot, counter and value after each event.\n\n" + table(
        heads, rows, range(1, 5)
    )
    if totals:
        pressure = [[TOTALS[total], near, compared] for total, compared, near in totals]
        text += "\nStreams under memory pressure, totals of 50 and more beside the kernel's own:\n\n"
        text += table(["total", "within 5 %", "of"], pressure, (1, 2))
    if traces:
        text += "\nApplication traces, fault by fault:\n\n"
        heads = [
            "trace",
            "agree",
            "disagree",
            "ambiguous or unknown",
            "where the policy had a choice",
            "of these right",
        ]
        rows = [
            [
                f"`{row['file']}`", row["agree"], row["disagree"], row["ambiguous"] + row["unknown"],
                row["asked"], row["asked_right"],
            ]
            for row in traces
        ]  # fmt: skip
        text += table(heads, rows, range(1, 6))
    return text + (
        "\nFrom `docs/data/agreement.json`, which `cowfast verify ../shared/oracle/*.jsonl.xz ../shared/oracle/bulk/*.jsonl.xz "
        "../shared/traces/*.txt.xz --format json` wrote.\n"
    )


def page(name: str) -> str:
    """Return the page of one policy."""
    policy, notes, before = load_policy(name), policy_notes(name), predecessor(name)
    text = f"# {name}\n\n{policy.summary[0].upper()}{policy.summary[1:]}.\n"
    if notes.remark:
        text += f"\n{notes.remark}\n"
    text += "\nSources: " + "; ".join(policy.sources) + ".\n\n"
    text += checks(name) + switches(name)
    if before:
        text += changes(name, before)
    return text + outcomes(name) + agreement(name)


def right(name: str) -> str:
    """Return the index's word on how far records vouch for a policy."""
    found = scripted(LEGACY if name == "linux-5.7" else name)
    return (
        f"{sum(row['scripts_right'] for row in found):,} of {sum(row['scripts'] for row in found):,}" if found else "–"
    )


def index() -> str:
    """Return the index of the policies."""
    rows = [
        [f"[{name}]({name}.md)", load_policy(name).summary, f"[{before}]({before}.md)" if before else "", right(name)]
        for name in policy_names()
        for before in [predecessor(name)]
    ]
    listed = "\n".join(policy_names())
    return f"""\
# Policies

Kernels from old to new, with the proposals of 2021 and 2022 where they belong, and two bounds. Each page has the checks in the kernel's
order with the functions that they stand for, what is different from its predecessor, what comes of it in a dozen programs, and how far kernels that were recorded agree.

{table(["policy", "what it is", "changes", "recorded scripts that agree"], rows, (3,))}
A policy of your own is a TOML file ([the model](../model.md), section 4); `cowfast policies diff` compares any two.

```{{toctree}}
:hidden:

{listed}
```
"""


if __name__ == "__main__":
    emit("docs/policies/index.md", index())
    for each in policy_names():
        emit(f"docs/policies/{each}.md", page(each))
    known = {"index", *policy_names()}
    stale = [path.name for path in (ROOT / "docs" / "policies").glob("*.md") if path.stem not in known]
    if stale:
        sys.exit(f"docs/policies: no such policy any more: {', '.join(stale)}")
