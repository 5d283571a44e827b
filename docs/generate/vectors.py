# SPDX-License-Identifier: MIT
"""docs/vectors.md: what each policy does in a few short programs, and in the kernel's own selftest."""

from __future__ import annotations

from _evidence import recorded
from _page import emit
from _scenarios import RECORDED_SELFTESTS, SELFTEST_RUNS, SELFTESTS, VECTORS, Scenario
from _tables import by_outcome, table
from cowfast.policy import policy_names

POLICIES = policy_names()
SWAP_KINDS = {"sync": "zram", "async": "disk0", "async+readahead": "disk3"}
HEADS = {
    "sync": "zram",
    "async": "disk",
    "async+readahead": "disk with readahead",
    "async, stable writes": "disk with stable writes",
}
SELFTEST_POLICIES = (*POLICIES, "unshare-2021+write_fault=linux-5.7")


def measured(scenario: Scenario, policy: str, device: str) -> bool:
    """Return whether a kernel ran these very events and the policy reproduced everything it showed."""
    return bool(scenario.record and device in SWAP_KINDS and recorded(policy, SWAP_KINDS[device]))


def section(scenario: Scenario) -> str:
    """Return the table of one scenario."""

    def cells(policy: str) -> list[object]:
        found = [(scenario.compute(policy, device), measured(scenario, policy, device)) for device in scenario.devices]
        return [f"**{cell}**" if is_measured else cell for cell, is_measured in found]

    about = f"{scenario.about[0].upper()}{scenario.about[1:]}"
    script = f" Recorded script: `{scenario.record}`." if scenario.record else ""
    rows = by_outcome(POLICIES, cells)
    heads = ["policy", *(HEADS[device] for device in scenario.devices)]
    return f"### {about}\n\n`{scenario.program}`\n\nDocument: section {scenario.section}.{script}\n\n{table(heads, rows)}\n"


def selftest() -> str:
    """Return the table of the selftest."""
    heads = ["policy", *(each.number for each in SELFTESTS)]
    rows = by_outcome(SELFTEST_POLICIES, lambda name: [each.row(name) for each in SELFTESTS])
    return table(heads, rows)


def programs() -> str:
    """Return what each number stands for."""
    return table(["test", "what", "events"], [[each.number, each.about, f"`{each.program}`"] for each in SELFTESTS])


PAGE = """\
# Outcome vectors

A policy is known by what it does in a dozen short programs. Every cell below is computed (`python docs/generate/vectors.py`);
`tests/test_facts.py` computes it with the reference as well, and compares it with the document of the kernels' rules
("document" below: *Kernel semantics of anonymous-page COW reuse and swap-cache churn*, derived from the kernel sources) and with kernel records.

| sign | meaning |
| --- | --- |
| `R` | reuse: the same page is made writable |
| `C` | copy |
| `RW` | mapped writable by the swap-in itself |
| `–` | no fault at all |
| `+d` | one drain of the local LRU batch inside the fault (the one at the end of a readahead is not counted) |
| `s`, `f` | a swap slot is still held in the end; none is |
| **bold** | a booted kernel ran these very events, and everything that it showed after each of them is as computed |

The events that the cells show are marked with `!`. `linux-5.7` is measured by a kernel that has 5.7's write-fault checks in an otherwise 5.10 source.

## Scenarios

{sections}## The kernel's selftest

The small-page tests of `tools/testing/selftests/mm/cow.c`, in the order of the source. Three runs each: {runs}. `LEAK`: the other process saw
the overwrite; `STALE`: the pin did not see it; one verdict stands for three equal ones.

{selftest}
{programs}
In 7, 13 and 14 the test clears the soft-dirty bits between the two mprotect calls. Soft-dirty tracking is not modelled; its effect here is that mprotect leaves
the pte read-only, and so these three are run with `protect_restores = never`. `unshare-2021+write_fault=linux-5.7` is the series of December 2021 with the
mapcount rule that its author had announced for the write fault.

The kernel records have what tests {recorded} do to a base page, in the scripts {scripts}; `tests/test_facts.py` reads
the kernels' verdicts off them, and they are those of the table (5.10, 6.1, 6.18, 7.2, and `linux-5.10+write_fault=linux-5.7`; test 7 on 5.10 and 7.2).

## Where the document says something else

All cells are as the document has them, but for these two.

**Tests 9 and 10 on `linux-5.8`.** Section 9.3 has `STALE` in all three runs; computed: {five_eight}. The document contradicts itself: in its
section 5.5 a read-only pin takes a write fault first on this kernel (17839856fd58), after which the parent has a private, writable page, and in row C of 8.1 such pins
see later writes. No 5.8 was recorded; what decides is the rule that the same document states in both other places, and its own list of corrections (2.4) agrees.

**"Stable device: C everywhere" (6.3) on `willy-2022`.** Computed: `{willy}`. The proposal asks for `refs == 1 + cached` and removes nothing, so there is no place in which
it could notice that the page is being written; after the swap-in has refused to map it writable, the write fault reuses it, and the device sees a page that
changes (S10 of the document's section 8.2). The document's "everywhere" holds for the policies of its register that lock and leave the swap cache; its own note calls
this one unsafe. The kernel records say nothing: each of their events waits for its writes.
"""


def page() -> str:
    """Return the page."""
    scenario = next(each for each in VECTORS if each.name == "refault")
    nine = next(each for each in SELFTESTS if each.number == "9, 10")
    return PAGE.format(
        sections="".join(map(section, VECTORS)),
        runs=", ".join(SELFTEST_RUNS),
        selftest=selftest(),
        programs=programs(),
        recorded=", ".join(RECORDED_SELFTESTS),
        scripts=", ".join(f"`{script}`" for script, _ in RECORDED_SELFTESTS.values()),
        five_eight=nine.row("linux-5.8"),
        willy=scenario.compute("willy-2022", "async, stable writes"),
    )


if __name__ == "__main__":
    emit("docs/vectors.md", page())
