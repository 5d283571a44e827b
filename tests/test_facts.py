# SPDX-License-Identifier: MIT
"""Published facts and the outcome tables of the rules' document, computed by both engines and held against each other.

What the document says is typed here, once, with its section; what the model says is computed by the programs behind
the pages ``docs/facts.md`` and ``docs/vectors.md``.
"""

from __future__ import annotations

import pytest

from _published import forced_swap, paged_out_then_read_and_written, write_pageout_write
from _scenarios import RECORDED_SELFTESTS, SELFTEST_RUNS, SELFTESTS, VECTORS
from cowfast.events import parse_event
from cowfast.machine import Machine
from cowfast.oracle.records import read_scripts
from cowfast.oracle.replay import Replay, guess
from cowfast.policy import load_policy, policy_names

ENGINES = ("fast", "reference")
MAP = ("linux-5.7", "linux-5.8")
FREES = ("linux-5.16", "no-mapcount-2022", "unshare-2021")  # column 2b of the register, and what decides as it does
SEQUENCE = ("linus-2022", "linus-2022-precheck")
MARKED = ("linux-6.12", "linux-6.18", "linux-7.2", "linux-7.3")

SCENARIO = {each.name: each for each in VECTORS}


def cells(*groups):
    """``{policy: cells}`` from ``(policies, cell, cell, ...)``; a policy stands once."""
    table = {}
    for policies, *row in groups:
        for policy in (policies,) if isinstance(policies, str) else policies:
            assert policy not in table
            table[policy] = row
    return table


CLAIMS = {
    # section 6.1: sync, async window 1, async window 8
    "read-write": cells(
        (MAP, "R f", "R f", "R f"),
        ("linux-5.10", "C f", "C s", "C s"),
        (FREES, "C f", "C f", "C f"),
        (SEQUENCE, "C f", "C f", "R f"),
        ("liang-2022", "C f", "R f", "R f"),
        ("linux-5.18", "R+d f", "R+d f", "R f"),
        ("linux-6.1", "R f", "R s", "R s"),
        (MARKED, "– f", "– s", "– s"),
    ),
    # section 6.2
    "write": cells(
        ((*MAP, "linux-5.10", *FREES, *SEQUENCE, "liang-2022"), "RW f", "RW f", "RW f"),
        ("swapin-draft-2022", "C f", "C f", "RW f"),
        (("linux-5.18", "linux-6.1", "linux-6.12", "linux-6.18"), "RW f", "RW+d f", "RW f"),
        ("linux-7.2", "RW+d f", "RW+d s", "RW s"),
        ("linux-7.3", "RW f", "RW f", "RW f"),
    ),
    # section 6.3, first two rows; "the same page" of the document is RW here: the page is found in the swap cache
    "refault": cells(
        ((*MAP, "linux-5.10", *FREES, *SEQUENCE, "liang-2022", "linux-6.1", *MARKED), "RW", "C"),
        (("linux-5.18", "swapin-draft-2022"), "C", "C"),
    ),
    # "parent C everywhere (5.18-7.2 +d at w1/SYNC; ...); child RW everywhere <= 6.19; 7.2/7.3: child goes through do_wp_page"
    "fork-write-write": cells(
        ((*MAP, "linux-5.10", *FREES, *SEQUENCE, "liang-2022"), "C, RW", "C, RW", "C, RW"),
        (("linux-5.18", "linux-6.1", "linux-6.12", "linux-6.18"), "C+d, RW", "C+d, RW", "C, RW"),
        ("linux-7.2", "C+d, R", "C+d, R", "C, R"),
        ("linux-7.3", "C+d, R", "C+d, R", "C+d, R"),
    ),
    # two rows: SYNC and ASYNC/w1.  The document has no slot here but for 2a; the rest is what its 6.1 says of the same pages
    "fork-exit-read-write": cells(
        (MAP, "R f", "R f"),
        ("linux-5.10", "C f", "C s"),
        ((*FREES, *SEQUENCE), "C f", "C f"),
        ("liang-2022", "C f", "R f"),
        ("linux-5.18", "R+d f", "R+d f"),
        ("linux-6.1", "R f", "R+d f"),
        (("linux-6.12", "linux-6.18"), "– f", "R+d f"),
        (("linux-7.2", "linux-7.3"), "R+d f", "R+d f"),
    ),
    "fork-exit-write-fresh": cells(
        ((*MAP, "linux-5.10", *FREES, *SEQUENCE, "liang-2022", "linux-5.18", "linux-6.1", "linux-6.12"), "R"),
        (("linux-6.18", "linux-7.2", "linux-7.3"), "R+d"),
    ),
    "fork-write-write-fresh": cells(
        (MAP, "C, R"),
        (("linux-5.10", *FREES, *SEQUENCE, "liang-2022"), "C, C"),
        (("linux-5.18", "linux-6.1", "linux-6.12", "linux-6.18", "linux-7.2"), "C+d, R"),
        ("linux-7.3", "C, R+d"),
    ),
    "clean-again": cells((policy_names(), "new slot, write", "same slot, no write")),
    "get-reclaim": cells(
        ((*MAP, "liang-2022", "linux-6.1", *MARKED), "coherent", "coherent"),
        (("linux-5.10", *FREES, *SEQUENCE, "swapin-draft-2022", "linux-5.18"), "lost", "lost"),
    ),
}
"""Scenario -> policy -> cells, one a device of the scenario.  Proposals that the document does not name have none."""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", SCENARIO)
def test_an_outcome_vector_is_what_the_document_says(name, engine):
    scenario = SCENARIO[name]
    computed = {
        policy: [scenario.compute(policy, device, engine) for device in scenario.devices] for policy in CLAIMS[name]
    }
    assert computed == CLAIMS[name]


@pytest.mark.parametrize("name", SCENARIO)
def test_both_engines_fill_every_cell_alike(name):
    scenario = SCENARIO[name]
    for policy in policy_names():
        for device in scenario.devices:
            assert scenario.compute(policy, device) == scenario.compute(policy, device, "reference"), (policy, device)


SELFTEST_CLAIMS = {  # section 9.3: columns 1 3 5 6 7 8 9/10 11/12 13/14
    "linux-5.7": "ok | LEAK ×3 | LEAK ×3 | LEAK ×3 | ok | STALE ×3 | STALE ×3 | ok | ok",
    "linux-5.8": "ok | ok | LEAK ×3 | ok | ok | STALE ×3 | ok | ok | ok",
    "linux-5.10": "ok | ok/LEAK/LEAK | ok | ok | STALE ×3 | ok | STALE ×3 | STALE ×3 | STALE ×3",
    "linux-5.16": "ok | ok/LEAK/LEAK | ok | ok | STALE ×3 | ok | STALE ×3 | STALE ×3 | STALE ×3",
    "linus-2022": "ok | ok/LEAK/LEAK | ok | ok | STALE ×3 | ok | STALE ×3 | STALE ×3 | STALE ×3",
    "swapin-draft-2022": "ok | ok | ok | ok | STALE ×3 | ok | STALE ×3 | STALE ×3 | STALE ×3",
    "liang-2022": "ok | ok/LEAK/LEAK | ok/LEAK/ok | ok/LEAK/ok | STALE ×3 | ok | STALE ×3 | STALE/ok/STALE | STALE/ok/STALE",
    "linux-5.18": "ok | ok | ok | ok | STALE ×3 | ok | STALE ×3 | STALE ×3 | STALE ×3",
    **dict.fromkeys(("linux-6.1", *MARKED), " | ".join(["ok"] * 9)),
    "unshare-2021": "ok | ok/LEAK/LEAK | ok | ok | STALE ×3 | ok | STALE ×3 | STALE ×3 | STALE ×3",
    "unshare-2021+write_fault=linux-5.7": "ok | ok/LEAK/LEAK | LEAK ×3 | ok | ok | ok | ok/STALE/STALE | ok | ok",
}
COLUMNS = ("1", "3", "5", "6", "7", "8", "9, 10", "11, 12", "13, 14")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("policy", SELFTEST_CLAIMS)
def test_the_cow_selftest_ends_as_the_document_says(policy, engine):
    tests = {each.number: each for each in SELFTESTS}
    computed = [tests[number].row(policy, engine) for number in COLUMNS]
    assert computed == SELFTEST_CLAIMS[policy].split(" | ")


@pytest.mark.parametrize("engine", ENGINES)
def test_mprotect_does_not_open_a_leak(engine):
    """Cases 2 and 4 are 1 and 3 with an mprotect pair before the overwrite (section 9.2): no policy does worse in them."""
    tests = {each.number: each for each in SELFTESTS}
    for policy in policy_names():
        for plain, with_mprotect in (("1", "2"), ("3", "4")):
            assert tests[plain].row(policy, engine) == tests[with_mprotect].row(policy, engine), policy


# ---------------------------------------------------------------- the same cells on kernels

FILES = {"sync": "zram", "async": "disk0", "async+readahead": "disk3"}
RECORDED = {"legacy": "linux-5.7", **{name.removeprefix("linux-"): name for name in policy_names()}}


def kernel_letter(before, after, pid):
    """The verdict of a one-page write fault, read off a record: see ``oracle/README.md`` for the fields."""
    was, now = before["p"][str(pid)], after["p"][str(pid)]
    if not after["d"].get("pgfault"):
        return "–"
    if after["d"].get("pgreuse"):
        return "R"
    if was.startswith("f"):
        return "R" if was == now or was + "x" == now else "C"
    mine = after["f"][now.rstrip("x")].split()
    in_cache_myself = "S" in mine[1]
    return "C" if after["sc"] > in_cache_myself else "RW"  # a page of the swap cache that is not the one mapped


@pytest.fixture(scope="module")
def records(shared):
    """(path, kernel, kind of swap, scripts by name) of every file."""
    found = []
    for path in sorted((shared / "oracle").glob("*.jsonl.xz")):
        kernel, _, kind = path.name.removesuffix(".jsonl.xz").partition("-")
        found.append((path, kernel, kind, {script.name: script for script in read_scripts(path)}))
    return found


@pytest.fixture(scope="module")
def recorded_cells(records):
    """(file, scenario, policy, device, script) of every cell that a kernel record decides."""
    return [
        (path, scenario, RECORDED[kernel], device, scripts[scenario.record])
        for path, kernel, kind, scripts in records
        for scenario in VECTORS
        for device in scenario.devices
        if kernel in RECORDED and FILES.get(device) == kind and scenario.record in scripts
    ]


@pytest.mark.slow
def test_recorded_scripts_are_the_scenarios(recorded_cells):
    assert len(recorded_cells) >= 60
    for path, scenario, _, _, script in recorded_cells:
        program = [parse_event(text.removeprefix("!"))[:4] for text in scenario.texts]
        recorded = [parse_event(row["e"])[:4] for row in script.events[: len(program)]]
        assert program == recorded, (path.name, scenario.name)


def test_kernels_decide_these_cells_alike(recorded_cells):
    """Verdicts and slots straight from the records' rows; the whole state after each event, by replaying the script."""
    for path, scenario, policy, device, script in recorded_cells:
        cell = scenario.compute(policy, device)
        for event, said in zip(scenario.marked, cell.removesuffix(" s").removesuffix(" f").split(", "), strict=False):
            if scenario.texts[event].startswith("!write"):
                pid = parse_event(scenario.texts[event].removeprefix("!"))[1]
                shown = kernel_letter(script.events[event - 1], script.events[event], pid)
                assert shown == said.removesuffix("+d"), (path.name, scenario.name, event)
            else:
                written = bool(script.events[event]["d"].get("pswpout"))
                assert cell.endswith(", write") == written, (path.name, scenario.name)
        if cell[-2:] in (" s", " f"):
            last = script.events[len(scenario.texts) - 1]
            held = bool(last["sc"]) or any(pte.startswith("s") for pte in last["p"].values())
            assert cell.endswith(" s") == held, (path.name, scenario.name)
        guessed, swap = guess(path)
        replay = Replay(script, load_policy(guessed), Machine(swap_slots=4095, **swap), "fast")
        assert replay.run(path) is None, (path.name, scenario.name)


def test_kernels_end_recorded_selftests_as_the_table_does(records):
    tests, base = {each.number: each for each in SELFTESTS}, next(iter(SELFTEST_RUNS))
    seen = set()
    for path, kernel, _, scripts in records:
        for number, (name, text) in RECORDED_SELFTESTS.items():
            if name in scripts:
                events = scripts[name].events
                shown = next(row["v"] for row in events if row["e"] == text)
                overwritten = next(row["v"] for row in events[1:] if row["e"].startswith("write"))
                is_pin = text.startswith("pin")
                verdict = "ok" if (shown == overwritten) == is_pin else "STALE" if is_pin else "LEAK"
                # The recorded `legacy` has 5.7's write fault only; its fork copies pinned pages, as 5.10's does.
                policy = guess(path)[0]
                assert tests[number].compute(policy, base) == verdict, (path.name, name)
                seen.add((kernel, number, verdict))
    assert {("legacy", "3", "LEAK"), ("5.10", "3", "ok"), ("5.10", "7", "STALE"), ("7.2", "7", "ok")} <= seen
    assert {number for _, number, _ in seen} == set(RECORDED_SELFTESTS)


# ---------------------------------------------------------------- published figures


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("device", "out"), [("sync", "pageout 0 0 n=512"), ("async", "reclaim")])
@pytest.mark.slow
def test_two_megabytes_take_512_faults_less(device, out, engine):
    """c18160dba5ff: 512 minor + 512 major faults before, 0 + 512 after (section 10); in 6.11, so 6.1 and 6.12 are the sides."""
    kernels = [name for name in policy_names() if name.startswith("linux-")]
    before, after = kernels[: kernels.index("linux-6.12")], kernels[kernels.index("linux-6.12") :]
    assert before[-1] == "linux-6.1"
    for kernel in before:
        found = paged_out_then_read_and_written(kernel, device, out, engine)
        assert (found.minor, found.major) == (512, 512), kernel
    for kernel in after:
        found = paged_out_then_read_and_written(kernel, device, out, engine)
        assert (found.minor, found.major) == (0, 512), kernel


N = 300
FORCED_SWAP = {  # section 6.3: reuses, copies, drains in the fault, slots allocated, leaked
    "sync": cells(
        ((*MAP, "linux-6.1"), N, 0, 0, N, 0),
        (("linux-5.10", *FREES, *SEQUENCE, "liang-2022"), 0, N, 0, N, 0),
        ("linux-5.18", N, 0, N, N, 0),
        (MARKED, 0, 0, 0, N, 0),
    ),
    "async": cells(
        ((*MAP, "liang-2022"), N, 0, 0, N, 0),
        ("linux-5.10", 0, N, 0, N, N),
        ((*FREES, *SEQUENCE), 0, N, 0, N, 0),
        ("linux-5.18", N, 0, N, N, 0),
        ("linux-6.1", N, 0, 0, 1, 0),
        (MARKED, 0, 0, 0, 1, 0),
    ),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("device", FORCED_SWAP)
def test_forced_swap(device, engine):
    computed = {}
    for policy in FORCED_SWAP[device]:
        loop = forced_swap(policy, device, N, engine=engine)
        computed[policy] = [loop.reuses, loop.copies, loop.drains, loop.slots_allocated, loop.leaked]
    assert computed == FORCED_SWAP[device]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("device", ["sync", "async"])
def test_write_pageout_write_drains_always_on_7_2_and_never_on_7_3(device, engine):
    """Section 10: "a write/PAGEOUT/write program drains on 100 % of its swap-ins"; 7.3 took the drain away."""
    drained = {name: write_pageout_write(name, device, 100, engine) for name in ("linux-7.2", "linux-7.3")}
    assert (drained["linux-7.2"].swap_ins, drained["linux-7.2"].drained) == (100, 100)
    assert (drained["linux-7.3"].swap_ins, drained["linux-7.3"].drained) == (100, 0)


def test_the_prototype_of_january_2022_copies_early():
    """Published: 983,396 early copies, 1 under the lock, 1,799 reuses; "the LRU-batch ref decides" (section 10).

    The model has no noise: all are early copies.  What the sentence claims is tested: no batch, no copy; and one reuse
    for each time that something else empties the batch in between; no fault while the page waits in another CPU's batch.
    """
    rounds = 1_000_000
    quiet = forced_swap("linus-2022-precheck", "sync", rounds)
    assert (quiet.early_copies, quiet.copies - quiet.early_copies, quiet.reuses, quiet.no_fault) == (rounds, 0, 0, 0)
    assert quiet.early_copies / rounds == pytest.approx(983_396 / (983_396 + 1 + 1_799), rel=0.002)
    for every in (10, 1000):
        disturbed = forced_swap("linus-2022-precheck", "sync", rounds, drain_every=every)
        assert (disturbed.early_copies, disturbed.reuses) == (rounds - rounds // every, rounds // every)
        assert disturbed.no_fault == 0
    moved = forced_swap("linus-2022-precheck", "sync", rounds, move_every=1000)
    assert (moved.early_copies, moved.reuses, moved.no_fault) == (rounds // 2, 0, rounds // 2)
    without_batches = forced_swap("linus-2022-precheck", "sync", rounds, lru_batch=0)
    assert (without_batches.copies, without_batches.reuses) == (0, rounds)
