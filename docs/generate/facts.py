# SPDX-License-Identifier: MIT
"""docs/facts.md: figures that others published, beside what the model computes."""

from __future__ import annotations

from _page import emit
from _published import (
    FORCESWAP_ROUNDS,
    Loop,
    forced_swap,
    paged_out_then_read_and_written,
    write_pageout_write,
)
from _tables import by_outcome, table
from cowfast.policy import policy_names

POLICIES = policy_names()
KERNELS = [name for name in POLICIES if name.startswith("linux-")]
ROUNDS = 1000
EARLY, REUSED, LOCKED = 983_396, 1_799, 1
"""Counters of the prototype, as published: early copies, reuses, copies after the lock."""
MISSING = FORCESWAP_ROUNDS - EARLY - REUSED - LOCKED
"""Rounds in none of them."""


def faults(policy: str, device: str, out: str) -> str:
    found = paged_out_then_read_and_written(policy, device, out)
    return f"{found.minor} + {found.major}"


def two_megabytes() -> str:
    columns = (("sync", "pageout 0 0 n=512"), ("async", "reclaim"), ("async", "pageout 0 0 n=512"))
    rows = by_outcome(KERNELS, lambda name: [faults(name, *column) for column in columns])
    return table(["kernel", "zram, MADV_PAGEOUT", "disk, reclaimed", "disk, MADV_PAGEOUT alone"], rows)


def loop_row(loop: Loop) -> list[object]:
    return [loop.reuses, loop.copies, loop.drains, loop.slots_allocated, loop.leaked]


def loops(device: str) -> str:
    rows = by_outcome(POLICIES, lambda name: loop_row(forced_swap(name, device, ROUNDS)))
    heads = ["policy", "reuses", "copies", "drains in the write fault", "slots allocated", "slots leaked"]
    return table(heads, rows, range(1, 6))


def swap_in_drains() -> str:
    def cells(name: str) -> list[object]:
        found = [write_pageout_write(name, device) for device in ("sync", "async")]
        return [f"{each.drained:,} of {each.swap_ins:,}" for each in found]

    return table(["kernel", "zram", "disk"], by_outcome(KERNELS, cells), (1, 2))


def prototype() -> str:
    heads = ["", "early copies", "copies under the lock", "reuses", "no write fault"]
    rows: list[list[object]] = [["published", EARLY, LOCKED, REUSED, f"{MISSING:,} (the rest of a million)"]]
    for name in ("linus-2022-precheck", "swapin-draft-2022", "linus-2022"):
        rows.append([f"`{name}`", *prototype_row(forced_swap(name, "sync", FORCESWAP_ROUNDS))])
    drained = forced_swap("linus-2022-precheck", "sync", FORCESWAP_ROUNDS, drain_every=10)
    rows.append(["`linus-2022-precheck`, the batch emptied before every tenth write", *prototype_row(drained)])
    moved = forced_swap("linus-2022-precheck", "sync", FORCESWAP_ROUNDS, move_every=1000)
    rows.append(["`linus-2022-precheck`, moved to the other of two CPUs every 1,000 rounds", *prototype_row(moved)])
    unbatched = forced_swap("linus-2022-precheck", "sync", FORCESWAP_ROUNDS, lru_batch=0)
    rows.append(["`linus-2022-precheck`, no LRU batch", *prototype_row(unbatched)])
    return table(heads, rows, (1, 2, 3, 4))


def prototype_row(loop: Loop) -> list[object]:
    return [loop.early_copies, loop.copies - loop.early_copies, loop.reuses, loop.no_fault]


def summary() -> str:
    old, new = (faults(name, "sync", "pageout 0 0 n=512") for name in ("linux-6.1", "linux-6.12"))
    shares = []
    for name in ("linux-7.2", "linux-7.3"):
        found = write_pageout_write(name, "sync")
        shares.append(f"{100 * found.drained / found.swap_ins:.0f} %")
    early = forced_swap("linus-2022-precheck", "sync", FORCESWAP_ROUNDS)
    share = f"{100 * early.early_copies / (early.copies + early.reuses):.2f} %"
    published = f"{EARLY:,} of {EARLY + REUSED + LOCKED:,} ({100 * EARLY / (EARLY + REUSED + LOCKED):.2f} %)"
    copies = [forced_swap(name, "sync", ROUNDS).copies / ROUNDS for name in ("linux-5.8", "linux-5.16")]
    rows = [
        [
            "2 MB written, paged out, each page read and then written: minor + major faults, `linux-6.1` → `linux-6.12`",
            "512 + 512 → 0 + 512", f"{old} → {new}", "c18160dba5ff (6.11), the patch's description",
        ],
        [
            "write, MADV_PAGEOUT, write: swap-ins that drain the LRU batch, `linux-7.2` → `linux-7.3`",
            "100 % → none", " → ".join(shares), "series of June and July 2026 (7.3): lkml.iu.edu 2606.3/03194",
        ],
        [
            "forced swap, prototype of 20 January 2022: write faults that the early check copies",
            published, f"{early.early_copies:,} of {early.copies + early.reuses:,} ({share})",
            "David's counters, `forceswap 2 1000000 1`; see [below](#the-prototype-of-january-2022)",
        ],
        [
            "forced swap: copies an operation, `linux-5.8` → `linux-5.16`",
            "one more TLB flush an operation (300,000 → 399,935 flushes)", f"{copies[0]:g} → {copies[1]:g}",
            "Nadav's `forceswap 2 100000 1` on v5.8 and cb690f5238d7; a copy costs one flush",
        ],
    ]  # fmt: skip
    return table(["what", "published", "computed", "source"], rows)


def page() -> str:
    """Return the page."""
    return f"""\
# Published facts

What kernel developers measured and wrote down, and what the model counts for the same program. No figure in the columns
"computed" was typed: `python docs/generate/facts.py` makes this page, `tests/test_facts.py` holds the figures to what was
published, in both engines.

{summary()}
## 2 MB paged out, then read and written

512 pages are written and paged out; then each is read and written. Minor + major faults of those accesses:

{two_megabytes()}
From 6.11 on a read maps an exclusive page writable, so the write that follows takes no fault. MADV_PAGEOUT alone leaves a page
of a disk in the swap cache: it comes back without I/O, as a minor fault.

## Forced swap: {{MADV_PAGEOUT, read, write}} × {ROUNDS:,}

One page, {ROUNDS:,} rounds. *Drains* are those inside the write fault; MADV_PAGEOUT drains once a round everywhere. *Leaked* are slots
of pages that stay in the swap cache although nobody maps them and no swap entry names them.

### On zram

{loops("sync")}
### On a disk

{loops("async")}
5.10 copies and leaves the old page idle in the swap cache, with its slot, until reclaim finds it: one slot a round. 5.16 frees it in
the fault (f4c4a3f48480). From 5.19 on the exclusive page stays in the swap cache and the same slot is written again: one slot for the whole run.

## Write, MADV_PAGEOUT, write

Swap-ins of 512 rounds on one page that drained the LRU batch:

{swap_in_drains()}
The page of a swap-in has just been put into the batch. 7.0 sends zram through the swap cache too, and with that through the drain that the
swap cache needed; 7.3 decides by the marker alone and drains no more.

## The prototype of January 2022

The check `refs > 1 + cached` in front of the lock, no drain, one million rounds of forced swap on a synchronous device:

{prototype()}
What the published counters say is reproduced: nearly every write is copied, by the early check, and next to none under the lock. The last row says why:
the page that was just swapped in is still in the LRU batch, whose reference makes 2; without batches all are reused.

What is *not* reproduced are the {REUSED:,} reuses ({100 * REUSED / (EARLY + REUSED + LOCKED):.2f} %), the one copy under the lock and the {MISSING:,} rounds
that appear in none of the counters. The model has one quiet CPU and counts none of either. It can say what would make them:

* a reuse: anything that empties the batch between the read and the write, one for one. The program ran two threads, and each MADV_PAGEOUT
  drains the CPU that it runs on; it would be enough that the second thread gets its turn in between.
* a round without a write fault: a page that waits in another CPU's batch. MADV_PAGEOUT drains its own CPU, cannot isolate the page and
  passes it over, and the write finds a writable pte, for as long as the thread stays away from that CPU.

How often either happened was not published, so no rate was chosen to meet the figures.
"""


if __name__ == "__main__":
    emit("docs/facts.md", page())
