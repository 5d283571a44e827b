# SPDX-License-Identifier: MIT
"""The claims of docs/thread.md: what was said, what is run, and how to tell from the counts whether it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise


class Rows(dict[str, dict[str, int]]):
    """{policy: {counter: value}}, summed over seeds; ``seeds`` has the same for each seed alone."""

    def __init__(self) -> None:
        super().__init__()
        self.seeds: dict[int, dict[str, dict[str, int]]] = {}


#: Holds or not, a sentence about it, and the figure for the table at the top.
Verdict = tuple[bool, str, str]


@dataclass(frozen=True)
class Claim:
    """One sentence of the discussion; ``judge`` gets the rows of each command that counts something."""

    title: str
    said: str
    experiment: str
    commands: tuple[str, ...]
    columns: tuple[str, ...]
    judge: Callable[[list[Rows]], Verdict]


def two_questions(ran: list[Rows]) -> Verdict:
    """One policy per way of asking a single question."""
    rows = ran[0]
    cached = rows["linux-5.16"]["needless_by_cause.swap_cache"]
    leaks, wrong = rows["willy-2022"]["missed_copies"], rows["linux-5.7"]["missed_copies"]
    both = rows["linus-2022"]
    return (
        cached > 0
        and leaks > 0
        and wrong > 0
        and both["needless_by_cause.swap_cache"] == 0
        and both["missed_copies"] == 0,
        f"`linux-5.16` never asks the first question and copies {cached:,} pages only because they are in the swap cache. "
        f"`willy-2022` lets the answer to the second depend on the first (one reference more is fine if the page is cached) and hands out {leaks:,} pages "
        f"that somebody else still sees; `linux-5.7` counts mappings and swap entries for both and hands out {wrong:,}. "
        "`linus-2022`, which asks one after the other, does neither.",
        f"needless copies by the swap cache {cached:,} → 0; leaks {leaks:,} and {wrong:,} → 0",
    )


def clean_sequence(ran: list[Rows]) -> Verdict:
    """The sequence against what it was to replace, and against the bound."""
    rows = ran[0]
    needless = {name: row["needless_copies"] for name, row in rows.items()}
    saved = 1 - needless["linus-2022"] / needless["linux-5.16"]
    return (
        saved > 0.99 and rows["linus-2022"]["missed_copies"] == 0,
        f"Of {needless['linux-5.16']:,} needless copies {needless['linus-2022']:,} are left ({saved:.1%} fewer). `sole-owner`, the bound, has {needless['sole-owner']:,}. "
        f"What is left is the reference that an LRU batch holds ({rows['linus-2022']['needless_by_cause.lru_batch']:,}); `linux-5.18` drains the batch and has {needless['linux-5.18']:,}. "
        "Nobody else holds a page lock here; what taken locks do is the next claim.",
        f"needless copies {needless['linux-5.16']:,} → {needless['linus-2022']:,}",
    )


def trylock(ran: list[Rows]) -> Verdict:
    """Waiting against copying."""
    rows = ran[0]
    waits, fails = rows["linux-5.7"]["lock_waits"], rows["linus-2022"]["lock_failures"]
    needless = rows["linus-2022"]["needless_by_cause.lock"]
    return (
        waits > rows["linus-2022"]["lock_waits"] and needless < fails,
        f"`linux-5.7` waits for the lock {waits:,} times. `linus-2022` waits {rows['linus-2022']['lock_waits']:,} times and copies {fails:,} times instead; "
        f"{fails - needless:,} of those pages would have been copied anyway, {needless:,} would not. With the pre-check in front it meets a taken lock {rows['linus-2022-precheck']['lock_failures']:,} times.",
        f"lock waits {waits:,} → {rows['linus-2022']['lock_waits']:,} for {needless:,} needless copies",
    )


def pre_check(ran: list[Rows]) -> Verdict:
    """With and without it: the same decisions, less work."""
    without, with_it = ran[0]["linus-2022"], ran[0]["linus-2022-precheck"]
    same = all(
        without[name] == with_it[name]
        for name in ("copies", "reuses", "missed_copies", "needless_copies", "zero_fills")
    )
    return (
        same and with_it["futile_removals"] == 0 < without["futile_removals"],
        f"Copies, needless copies and reuses are the same numbers. What it saves: {without['futile_removals']:,} removals from the swap cache in faults that copied anyway, "
        f"{without['swap_cache_readds'] - with_it['swap_cache_readds']:,} later re-additions, {without['avoidable_writes'] - with_it['avoidable_writes']:,} writes of pages that the device had already. "
        "Under memory pressure the decisions drift apart a little, because a page that left the swap cache is reclaimed differently: see the first table.",
        f"futile removals {without['futile_removals']:,} → 0, decisions the same" if same else "decisions differ",
    )


def mapcount(ran: list[Rows]) -> Verdict:
    """Every counter of every workload."""
    pairs = [(rows["linux-5.16"], rows["no-mapcount-2022"]) for rows in ran]
    different = sum(before[name] != after[name] for before, after in pairs for name in before)
    counters = sum(len(before) for before, _ in pairs)
    faults = sum(before["write_faults"] for before, _ in pairs)
    return (
        different == 0 and faults > 0,
        f"Of {counters:,} counters in these four runs ({faults:,} write faults), {different} differ.",
        f"{different} of {counters:,} counters differ",
    )


def swap_in(ran: list[Rows]) -> Verdict:
    """The decision that is made before the page is mapped, and the leak in it."""
    leaks = {name: row["leaks"] for name, row in ran[0].items()}
    runs = ran[0]["linus-2022"]["runs"]
    return (
        leaks["linus-2022"] > 0
        and leaks["swapin-draft-2022"] == 0
        and leaks["linux-5.18"] == 0
        and leaks["linux-6.18"] == 0,
        f"A sound `do_wp_page()` is not enough: in {leaks['linus-2022']} of {runs} runs `linus-2022` maps a page writable at swap-in while a pipe still refers to it. "
        "The draft of the day after asks for references there too, and so does every kernel from 5.18 on: none.",
        f"leaks by swap-in {leaks['linus-2022']} of {runs} → 0",
    )


def swap_in_cost(ran: list[Rows]) -> Verdict:
    """What the draft costs while nothing drains LRU batches before it looks; and without batches."""
    before, draft, after = (
        ran[0][name]["needless_copies"] for name in ("linus-2022-precheck", "swapin-draft-2022", "linux-5.18")
    )
    bare = ran[1]["swapin-draft-2022"]["needless_copies"]
    return (
        draft > before >= after and bare == 0,
        f"The draft makes {draft:,} needless copies, where `linus-2022-precheck`, which does not ask for references at swap-in, makes {before:,}. It is the LRU batch: on a machine without "
        f"batches the draft makes {bare:,}. `linux-5.18` drains the batch before it looks ({ran[0]['linux-5.18']['drains']:,} drains in all, the draft {ran[0]['swapin-draft-2022']['drains']:,}) and makes {after:,}.",
        f"needless copies {before:,} → {draft:,} (draft) → {after:,} (5.18, with drains)",
    )


def exclusive(ran: list[Rows]) -> Verdict:
    """The flag against the reference count."""
    before, after = ran[0]["linux-5.18"], ran[0]["linux-6.1"]
    return (
        before["broken_pins"] > 0 == after["broken_pins"] and after["needless_copies"] < before["needless_copies"],
        f"`linux-5.18`, which can only count references, copies {before['needless_copies']:,} pages because of a reference that nobody reads through and {before['broken_pins']:,} times gives "
        f"a process a copy of a page that a device is using. With the exclusive flag and its marker in swap entries (`linux-6.1`) both are {after['needless_copies']:,} and {after['broken_pins']:,}.",
        f"pins broken {before['broken_pins']:,} → {after['broken_pins']:,}, needless copies {before['needless_copies']:,} → {after['needless_copies']:,}",
    )


def limits_of_exclusive(ran: list[Rows]) -> Verdict:
    """Fork takes the flag away, and then references count again."""
    before, after = (ran[0][name]["needless_by_cause.transient_get"] for name in ("linux-5.18", "linux-6.1"))
    return (
        before == after > 0,
        f"After a fork the flag is gone, and the page whose other owner has left is judged by references again: {before:,} needless copies under `linux-5.18`, {after:,} under `linux-6.1`. "
        "What the flag buys is pages that were never shared, or no longer since a copy.",
        f"needless copies by references {before:,} → {after:,}",
    )


TRADES = ("needless_copies", "swap_cache_readds", "swap_writes", "lock_waits", "drains", "missed_copies", "broken_pins")


def trades(ran: list[Rows]) -> Verdict:
    """For each step from kernel to kernel: what fell with every seed, what rose with every seed."""
    seeds = ran[0].seeds
    names = list(ran[0])
    mixed, lines = 0, []
    for old, new in pairwise(names):
        changes = {name: [rows[new][name] - rows[old][name] for rows in seeds.values()] for name in TRADES}
        fell = [name for name, each in changes.items() if max(each) < 0]
        rose = [name for name, each in changes.items() if min(each) > 0]
        mixed += bool(fell and rose)
        lines.append(f"* `{old}` → `{new}`: less of {words(fell)}; more of {words(rose)}")
    steps = len(names) - 1
    return (
        mixed >= steps / 2,
        f"{mixed} of {steps} steps made something better and something else worse on these events, with each of {len(seeds)} seeds:\n\n"
        + "\n".join(lines),
        f"{mixed} of {steps} steps give and take",
    )


def words(names: list[str]) -> str:
    """Return a list for people."""
    return ", ".join(name.replace("_", " ") for name in names) or "nothing"


def service(ran: list[Rows]) -> Verdict:
    """A recorded redis: do the policies differ there?"""
    rows = ran[0]
    copies = {row["copies"] for name, row in rows.items() if name.startswith("linux-")}
    drains = rows["linux-5.18"]["drains"] / rows["linux-5.16"]["drains"]
    late, early = rows["linux-7.3"]["reuses"], rows["linux-5.16"]["reuses"]
    return (
        len(copies) == 1,
        f"Every kernel from 5.7 to 7.3 copies the same {copies.pop():,} pages: a server that writes into pages its snapshot still needs must copy them. The rules differ in the rest: "
        f"`linux-5.18` drains ×{drains:.1f} as often as `linux-5.16`, and `linux-7.3` takes {late:,} write faults on pages that were its own where `linux-5.16` takes {early:,}. A recording of "
        "faults holds no accesses that hit, so that this understates re-use under memory pressure.",
        f"copies the same; drains ×{drains:.1f} from 5.16 to 5.18",
    )


CLAIMS = (
    Claim(
        "Two questions, not one",
        "“Can this page leave the swap cache?” (a question about swap entries) and “may this page be reused for COW?” (a question about references) are two different questions and must not be mixed.",
        "Random events under memory pressure, with references whose holder looks at the page (vmsplice).",
        ("cowfast compare random-mix --events 200000 --memory 75% --set look=0.01,reclaim=0.001,protect=0.002 --seed 1 "
         "--policy linux-5.7,linux-5.16,willy-2022,linus-2022,linus-2022-precheck,sole-owner "
         "--metric copies,reuses,needless_copies,needless_by_cause.swap_cache,missed_copies",),
        ("copies", "reuses", "needless_copies", "needless_by_cause.swap_cache", "missed_copies"),
        two_questions,
    ),
    Claim(
        "The clean sequence",
        "Try to lock the page, copy if that fails; try to remove it from the swap cache; reuse if the reference count is now 1.",
        "`forceswap`, the program that the discussion measured with: page out, read, write, so that every write fault finds a page in the swap cache.",
        ("cowfast compare forceswap --events 200000 --seed 1 --policy linux-5.7,linux-5.16,linus-2022,linux-5.18,always-copy,sole-owner "
         "--metric copies,needless_copies,needless_by_cause.swap_cache,needless_by_cause.lru_batch,missed_copies,drains",),
        ("copies", "needless_copies", "needless_by_cause.swap_cache", "needless_by_cause.lru_batch", "missed_copies", "drains"),
        clean_sequence,
    ),
    Claim(
        "Copy instead of waiting for the lock",
        "Try to lock the page, copy if that fails: it removes a pointless wait.",
        "Random events with somebody else taking page locks, twenty times as often as by default.",
        ("cowfast compare random-mix --events 200000 --memory 75% --set lock=0.2 --seed 1 --policy linux-5.7,linus-2022,linus-2022-precheck,linux-6.18 "
         "--metric copies,lock_waits,lock_failures,needless_by_cause.lock",),
        ("copies", "lock_waits", "lock_failures", "needless_by_cause.lock"),
        trylock,
    ),
    Claim(
        "Pre-checks save work and change nothing",
        "Optimistic pre-checks may skip hopeless cases. They save work (a removal and a later re-addition) and must not matter for semantics.",
        "The clean sequence with and without `copy if refs > 1 + cached` in front, on random events with all the memory they want.",
        ("cowfast compare random-mix --events 200000 --set get=0.05 --seed 1 --policy linus-2022,linus-2022-precheck "
         "--metric copies,reuses,needless_copies,futile_removals,swap_cache_removals,swap_cache_readds,avoidable_writes",),
        ("copies", "reuses", "needless_copies", "futile_removals", "swap_cache_removals", "swap_cache_readds", "avoidable_writes"),
        pre_check,
    ),
    Claim(
        "The mapcount test is redundant",
        "If the reference count is 1, asking for mapcount 1 as well is redundant: the mapping holds a reference.",
        "`linux-5.16` with and without its test of the mapcount; every counter of both is compared. Events are atomic here, so that this says nothing about races.",
        tuple(
            f"cowfast compare {source} --events 200000 --memory 75% --seed 1 --policy linux-5.16,no-mapcount-2022 --metric write_faults,copies,reuses,swap_writes"
            for source in ("random-mix", "bgsave", "swap-storm", "pinned-io")
        ),
        ("write_faults", "copies", "reuses", "swap_writes"),
        mapcount,
    ),
    Claim(
        "A swap-in decides about copy-on-write too",
        "`do_swap_page()` makes a COW decision too, before the page is even mapped.",
        "Four scenarios on two kinds of swap device: a child keeps a reference in a pipe (vmsplice) to a page that is swapped out, the parent writes to it.",
        ("cowfast litmus tests/litmus/vmsplice-swap-leak.litmus tests/litmus/vmsplice-swap-leak-exit.litmus tests/litmus/vmsplice-swap-leak-read.litmus tests/litmus/vmsplice-swap-leak-parent.litmus "
         "--policy linux-5.7,linux-5.16,linus-2022,linus-2022-precheck,swapin-draft-2022,linux-5.18,linux-6.1,linux-6.18,linux-7.3",),
        ("runs", "leaks"),
        swap_in,
    ),
    Claim(
        "Counting references at swap-in costs copies",
        "A fresh page's place in an LRU batch is a reference too, and makes a count of 1 fail: why 5.18 came with drains.",
        "A server that saves itself through a forked child, with three quarters of the memory it wants; and the same on a machine without LRU batches.",
        ("cowfast compare bgsave --events 200000 --memory 75% --seed 1 --policy linus-2022-precheck,swapin-draft-2022,linux-5.18,linux-6.1 "
         "--metric copies,needless_copies,swap_cache_readds,drains",
         "cowfast compare bgsave --events 200000 --memory 75% --seed 1 --policy linus-2022-precheck,swapin-draft-2022,linux-5.18,linux-6.1 "
         "--metric copies,needless_copies,swap_cache_readds,drains --machine lru_batch=0"),
        ("copies", "needless_copies", "swap_cache_readds", "drains"),
        swap_in_cost,
    ),
    Claim(
        "Mine alone, or a transient reference",
        "Every later answer (exclusive flag per page, exclusive marker in swap entries) is about telling “mine alone” from “has a transient reference”.",
        "Buffers pinned for a device under fork, reclaim and the process's own writes.",
        ("cowfast compare pinned-io --events 200000 --memory 75% --seed 1 --policy linux-5.7,linux-5.16,linux-5.18,linux-6.1,linux-6.18,linux-7.3,sole-owner "
         "--metric copies,needless_copies,needless_by_cause.transient_get,broken_pins,missed_copies",),
        ("copies", "needless_copies", "needless_by_cause.transient_get", "broken_pins", "missed_copies"),
        exclusive,
    ),
    Claim(
        "The flag does not help a page that was shared",
        "The exclusive flag is lost at fork; what was shared once is told apart by its references again.",
        "A scanner that holds pages for a moment, while processes fork and write.",
        ("cowfast compare scan --events 200000 --set get=0.2,holds=256 --seed 1 --policy linux-5.7,linux-5.18,linux-6.1,linux-6.18,sole-owner "
         "--metric copies,needless_copies,needless_by_cause.transient_get",),
        ("copies", "needless_copies", "needless_by_cause.transient_get"),
        limits_of_exclusive,
    ),
    Claim(
        "Each change trades one cost for another",
        "Linux changed the list again and again, each time trading copies, swap-cache churn, lock waits, LRU drains, information leaks and broken DMA pins against each other.",
        "Everything at once: random events under memory pressure, with scanners, pipes, devices, locks and mprotect; five seeds, added up.",
        ("cowfast compare random-mix --events 200000 --memory 75% --set look=0.01,pinwrite=0.01,protect=0.002,reclaim=0.001 --seed 1 --seeds 5 "
         "--policy linux-5.7,linux-5.8,linux-5.10,linux-5.16,linux-5.18,linux-6.1,linux-6.12,linux-6.18,linux-7.2,linux-7.3 "
         f"--metric {','.join(TRADES)}",),
        TRADES,
        trades,
    ),
    Claim(
        "A snapshotting server copies the same pages under every kernel",
        "What does a change of checks do to copies, reuses, swap-cache adds and removals, device writes and drains on redis?",
        "A redis server that saves itself (BGSAVE) while clients write, recorded with perf on Linux 6.18, replayed with 60 % of its memory. This is a question of the discussion, not a claim; the title is the answer.",
        ("cowfast trace import perf tests/data/redis-bgsave.txt.xz -o redis.cow",
         "cowfast compare redis.cow --memory 60% --policy linux-5.7,linux-5.10,linux-5.16,linus-2022,linux-5.18,linux-6.18,linux-7.3,always-copy,sole-owner "
         "--metric copies,needless_copies,reuses,swap_cache_removals,swap_writes,drains"),
        ("copies", "needless_copies", "reuses", "swap_cache_removals", "swap_writes", "drains"),
        service,
    ),
)  # fmt: skip
