# SPDX-License-Identifier: MIT
"""docs/safety.md and docs/counter-examples.md: which policy keeps which promise, in every state of a small system."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations

from _page import emit
from cowfast import simulate
from cowfast.errors import PolicyError
from cowfast.events import make_events, parse_event
from cowfast.explore import DEVICES, PROPERTIES, Exploration, System, explore, tell
from cowfast.explore.system import EVENTS
from cowfast.policy import Policy, load_policy, policy_from_dict, policy_names
from cowfast.story import step
from cowfast.story.lines import lines

#: Read-only gets alone, then pins alone: two systems that close in a second, so that every "no" has one reason.
SYSTEMS = {"gets": System(pins=0), "pins": System(gets=0)}
COLUMNS = (("gets", "no-leak"), ("gets", "no-lost-write"), ("pins", "no-leak"), ("pins", "pins-coherent"),
           ("pins", "no-lost-write"), ("pins", "zero-pins-coherent"))  # fmt: skip
MUTATED = "linux-6.1"
RUN = f"cowfast run random-mix --policy {MUTATED} --events 300000 --memory 75% --seed 1"
COUNTERS = (
    "needless_copies",
    "futile_removals",
    "swap_cache_readds",
    "drains",
    "ksm_copies",
    "copies",
    "reuses",
    "swap_writes",
)
KINDS = ("write_fault", "swap_in")
SWAP = ("pageout", "reclaim", "prefetch")

#: Rows of the document's table 8.1: what is asked, in which system, and how it shows.
ROWS = {
    "A, A''": ("leak, nothing swapped", System(pins=0, without=SWAP), "no-leak", "get"),
    "A, A', A''": ("leak, swapped or not", System(pins=0), "no-leak", ""),
    "B": ("pin broken by fork", System(gets=0, without=(*SWAP, "protect", "merge")), "pins-coherent", "read-write pin"),
    "B'": ("pin broken by write protection", System(gets=0, without=(*SWAP, "fork")), "pins-coherent", "read-write pin"),
    "B''": ("pin broken by reclaim", System(gets=0, without=("fork", "protect")), "pins-coherent", "read-write pin"),
    "C": ("long-term read-only pin misses a store", System(gets=0), "pins-coherent", "long-term read-only pin"),
    "D": ("a process's own store lost", System(pins=0), "no-lost-write", ""),
}  # fmt: skip

#: What the document says to each row, yes or no, by column of its table.
SAID = {
    "1a": "no no no yes yes no yes",
    "1b": "no no no yes yes yes yes",
    "2": "yes no yes no no no yes",
    "3 with the swap-in draft": "yes yes yes no no no yes",
    "3e": "yes no yes no yes no yes",
    "4": "yes yes yes no no no yes",
    "5, 6": "yes yes yes yes yes yes yes",
}
#: Policy -> that column; 3a, 3b (as far as only the write fault is changed) and 7 have the same answers as 2.
COLUMN = {
    "linux-5.7": "1a", "linux-5.8": "1b", "linux-5.10": "2", "linux-5.16": "2", "linus-2022": "2", "linus-2022-precheck": "2",
    "no-mapcount-2022": "2", "swapin-draft-2022": "3 with the swap-in draft", "liang-2022": "3e", "willy-2022": "2", "unshare-2021": "2",
    "linux-5.18": "4", "linux-6.1": "5, 6", "linux-6.12": "5, 6", "linux-6.18": "5, 6", "linux-7.2": "5, 6", "linux-7.3": "5, 6",
}  # fmt: skip

#: The two directions of CVE-2020-29374.
DIRECTIONS = {
    "the child looks at what the parent stores": ["write 0 0", "fork 0 1", "get 1 0 ref=0 look", "discard 1 0", "write 0 0", "pinread ref=0"],
    "the parent looks at what the child stores": ["write 0 0", "get 0 0 ref=0 look", "fork 0 1", "discard 0 0", "write 1 0", "pinread ref=0"],
}  # fmt: skip

IN_FLIGHT = [
    "write 0 0",
    "pageout 0 0",
    "pin 0 0 ref=0 write",
    "drain",
    "drain",
    "pageout 0 0",
    "read 0 0",
    "write 0 0",
    "pinread ref=0",
]

HEAD = """\
# Is it safe?

[`cowfast explore`](explore.md) looks at every reachable state of a small system: here two processes, one page, swap, and either one
read-only `FOLL_GET` reference (vmsplice) or one `FOLL_PIN`. What is asked:

"""

ASKED = """
A foreign store counts as a leak however it is seen: through a pte, a get or a pin. A process that reads another's store instead of its own
has a leak; that is not counted as a lost write as well. *zero-pins-coherent* is a property of its own, not asked by default: it fails in
every kernel before 6.2, by design and with a known way round it (below), and would hide what *pins-coherent* is about.

## What holds

Asynchronous device / synchronous device. A number is the length of the shortest counter-example, the reads that show it included, and leads
to it, told by `cowfast step`.

"""

WORDS = """
A pin that has lost its page loses what is written through it: "no" under *pins-coherent* brings "no" under *no-lost-write*.
Read-write pins of kernels before 5.9 are shared by fork, so a device's writes are a leak as well.

## Both directions of CVE-2020-29374

The search does not tell parent from child: processes are names to it. A reference that the child takes after fork and one that the parent took
before it lead to the same state, and the shortest way to that state is told. Here are both ways under `linux-5.7`; `linux-5.8`, where a get takes
a write fault first, leaves the second.

"""

BESIDE = """
## Beside what is said elsewhere

"Document" is *Kernel semantics of anonymous-page COW reuse and swap-cache churn*, derived from the kernel sources; its table 8.1 says who keeps
which property. Each row of it is asked here in all states of a system from which the events that belong to other rows are left out
(`--without pageout,reclaim,prefetch`: nothing is ever swapped). Yes: it holds in all states, on both devices. No: with the length of the
shortest counter-example. Where document and search differ the cell is bold and says what the document says.

"""

SAID_WORDS = """
What the selftest of the kernel says (section 9 of the document), test by test, is in [Vectors](vectors.md).

## Where this differs from what is said elsewhere

* **Row C on `linux-5.8`** (said: yes). The forced write fault makes the page private when it is pinned; a fork after that shares it again, as in
  row B, and the owner's next store goes to a copy. The row does not say what comes after the pin.
* **Row B''** is no in the document for kernels before 5.19 and for the proposals, in two ways. A `FOLL_GET` with write (S4), which is no
  reference that is explored here: [Vectors](vectors.md) computes it, with the document's answers. And a `FOLL_PIN` of a page that has a slot
  already (S5): the pin is asked about before a slot is given, not after. In the states looked at here no page that is pinned for writing has a slot,
  because writes complete within the event that submits them. With a device that takes time a pin comes in between, on 5.9 to 5.17
  (told below); 5.18 copies at that pin.
* **Pins of memory that was never written** see zeros for ever before 6.2 (*zero-pins-coherent*). Callers that pinned for long asked
  for a forced write until then, so that it did not show; the rule itself came with 6.2.
* **"No policy loses a write"** (row D) is true of what processes store, in every state. Writes through pins are lost: by a broken pin, and
  from 6.11 on as the next section says. The document's corrections (2.1) say so of asynchronous devices, from runs on kernels.
  Row D has stable writeback in it as well, which is not among these states, again because writes complete at once.

S5 under `linux-5.10`, on a device whose writes take two events:

"""

SINCE_6_11 = """
## Writes through a pin, from 6.11 on

Read swap-in maps an exclusive page writable but clean. A pin needs no fault then, what its device writes makes nothing dirty, and reclaim
drops the page as a clean one: the old contents come back from its slot. That takes a clean page whose slot is valid.

* **On an asynchronous device** every read swap-in leaves one. Lost in eight events; measured on kernels.
* **On a synchronous device** a page read past the swap cache (up to 6.19) has no slot, and from 7.0 on it leaves the swap cache at once.
  The document calls such devices safe for that reason. All states say so too, as long as nobody calls MADV_WILLNEED:

"""

SYNC = """
* **MADV_WILLNEED on a synchronous device, `linux-6.12` and `linux-6.18`**: it reads through the swap cache on every device, and so leaves
  the clean page with a valid slot that the reason given excludes. The search finds the same loss in nine events. No kernel record has the whole
  sequence: whether a kernel loses the write was not measured. Its steps are in the records one by one (`tests/explore/test_records.py` reads them):
"""

STEPS = (
    ("6.18-zram", "swap-willneed-read-write", 4,
     "after MADV_WILLNEED and a load the page is exclusive, clean, in the swap cache, with its slot"),
    ("6.18-zram", "swap-willneed-read-write", 5, "a store to it takes no fault: it is mapped writable, so a pin takes none either"),
    ("6.18-disk0", "pin-036", 55, "what is written through a pin leaves such a page clean (nothing in it depends on the device)"),
    ("6.18-zram", "ref-104", 65, "reclaim drops such a page: the same slot, nothing is written"),
    ("6.1-zram", "swap-willneed-read-write", 5, "6.1 takes a fault at the store, which makes the pte dirty: safe"),
    ("7.2-zram", "swap-willneed-read-write", 4, "7.2 takes the page out of the swap cache, dirty: safe"),
)  # fmt: skip
"""(record file, script, event, what it shows)."""

MUTANTS = f"""
## What each check is for

`{MUTATED}` with one check left out, in the same four systems. *Unsafe*: a promise fails, after so many events. *Refused*: it is no policy
any more. *Equal*: all states and all steps between them are those of `{MUTATED}`; what a step costs may differ. *Safe*: it gets to other
states, and every promise holds in all of them. What such a check is good for is then said by a run: counters that are not as they were in

    {RUN}

"""

SWAPPED = """
Two checks in each other's place: **U**nsafe, **s**afe, **=** equal, **r**efused. What is unsafe is so because a pinned page is copied before
anybody asks whether it is exclusive.

"""

LETTERS = {"unsafe": "**U**", "safe": "s", "equal": "=", "refused": "r"}


@cache
def searched(policy: str, device: str, system: System) -> Exploration:
    """Return what is found in all states; several tables ask the same system of the same policy."""
    found = explore(load_policy(policy), device, system, properties=PROPERTIES, every_state=True)
    assert not found.stopped
    return found


def verdicts(policy: str) -> dict[tuple[str, str], Exploration]:
    """Return (system, device) -> what was found."""
    return {(name, device): searched(policy, device, system) for name, system in SYSTEMS.items() for device in DEVICES}


# ---- counter-examples


def label(policy: str, system: str, device: str, asked: str) -> str:
    """Return the name by which a counter-example is linked."""
    return f"{policy.replace('.', '-')}-{system}-{device}-{asked}"


def story(found: Exploration, asked: str) -> str:
    """Return the shortest counter-example as `cowfast step` tells it, unwrapped."""
    example = found.shortest(asked)
    assert example is not None
    told = step(found.scenario(example), found.policy, DEVICES[found.device])
    text = []
    for each in told.steps:
        text.append(f"{each.number:>3}  {each.event}: {each.outcome}")
        text += [f"       {line.text}" for line in lines(told, each.number)]
    return "```text\n" + "\n".join(text) + "\n```\n"


def stories(policy: str, found: dict[tuple[str, str], Exploration]) -> str:
    """Return all counter-examples of a policy; one that both devices have is told once."""
    text = ""
    for system, asked in COLUMNS:
        told: dict[str, list[str]] = {}
        for device in DEVICES:
            if found[system, device].shortest(asked):
                told.setdefault(story(found[system, device], asked), []).append(device)
        for block, devices in told.items():
            example = found[system, devices[0]].shortest(asked)
            assert example is not None
            text += "\n" + "".join(f"({label(policy, system, device, asked)})=\n" for device in devices)
            text += f"### {' and '.join(devices)}: {asked} ({system}: {example.by})\n\n{block}"
    return f"\n## `{policy}`\n{text}" if text else ""


def cell(found: dict[tuple[str, str], Exploration], policy: str, system: str, asked: str) -> str:
    """Return yes or no, both devices; a no leads to its story."""
    said = {}
    for device in DEVICES:
        example = found[system, device].shortest(asked)
        link = f"counter-examples.md#{label(policy, system, device, asked)}"
        said[device] = f"[no: {len(example.events)}]({link})" if example else "yes"
    return said["async"] if set(said.values()) == {"yes"} else " / ".join(said.values())


# ---- beside the document


def holds(policy: str, row: str) -> int:
    """Return 0 if what a row asks holds in all states on both devices, else the length of the shortest counter-example."""
    _, system, asked, by = ROWS[row]
    found = [searched(policy, device, system) for device in DEVICES]
    return min((len(way.events) for each in found for way in each.ways(asked) if by in ("", way.by)), default=0)


def beside(policy: str) -> list[str]:
    """Return the cells of one policy, one for each row of the document's table."""
    said = SAID[COLUMN[policy]].split() if policy in COLUMN else [""] * len(ROWS)
    cells = []
    for row, document in zip(ROWS, said, strict=True):
        events = holds(policy, row)
        mine = f"no: {events}" if events else "yes"
        cells.append(mine if not document or mine.startswith(document) else f"**{mine}** (said: {document})")
    return cells


def directions() -> str:
    """Return both directions of the CVE, told."""
    text = ""
    for what, events in DIRECTIONS.items():
        told = tell(make_events(map(parse_event, events)), load_policy("linux-5.7"), SYSTEMS["gets"].machine("async"))
        text += f"{what[0].upper()}{what[1:]}:\n\n```text\n" + "\n".join(told) + "\n```\n\n"
    return text


def pinned_in_flight() -> str:
    """Return the story of a pin taken while the page is being written (S5)."""
    machine = SYSTEMS["pins"].machine("async").replace(swap_latency=2)
    told = tell(make_events(map(parse_event, IN_FLIGHT)), load_policy("linux-5.10"), machine)
    assert "APART" in told[-1]
    return "```text\n" + "\n".join(told) + "\n```\n"


def synchronous() -> str:
    """Return the table of the synchronous device with and without MADV_WILLNEED: one get and one pin."""
    text = "| policy | all events | without MADV_WILLNEED (`--without prefetch`) |\n|---|---|---|\n"
    for name in ("linux-6.12", "linux-6.18", "linux-7.2", "linux-7.3"):
        cells = []
        for without in ((), ("prefetch",)):
            found = searched(name, "sync", System(without=without))
            assert found.complete
            broken = [asked for asked in PROPERTIES if found.shortest(asked) and asked != "zero-pins-coherent"]
            example = found.shortest(broken[0]) if broken else None
            said = f"{', '.join(broken)} fails: {len(example.events)} events" if example else "all three hold"
            cells.append(f"{said} ({found.states:,} states)")
        text += f"| `{name}` | " + " | ".join(cells) + " |\n"
    return text


# ---- mutations


def rules(policy: Policy, kind: str) -> list[str]:
    """Return the checks of one list as texts."""
    return list(policy.to_dict()[kind])


def mutant(policy: Policy, kind: str, checks: list[str]) -> Policy | str:
    """Return the policy with another list of checks; a text where that is no policy."""
    try:
        return policy_from_dict({**policy.to_dict(), "name": "mutant", kind: checks})
    except PolicyError as error:
        return error.problem


def left_out(policy: Policy) -> Iterator[tuple[str, str, Policy | str]]:
    """Yield (list, check, policy without it) for every check."""
    for kind in KINDS:
        checks = rules(policy, kind)
        for i, check in enumerate(checks):
            yield kind, check, mutant(policy, kind, checks[:i] + checks[i + 1 :])


def swapped(policy: Policy, kind: str) -> Iterator[tuple[int, int, Policy | str]]:
    """Yield (i, j, policy with checks i and j in each other's place) for every two of a list, i < j."""
    checks = rules(policy, kind)
    for i, j in combinations(range(len(checks)), 2):
        changed = list(checks)
        changed[i], changed[j] = checks[j], checks[i]
        yield i, j, mutant(policy, kind, changed)


def fate(changed: Policy | str) -> tuple[str, str]:
    """Return what becomes of a mutant (refused, unsafe, equal, safe), and why."""
    if isinstance(changed, str):
        return "refused", changed
    broken: dict[str, int] = {}
    equal = True
    for system in SYSTEMS.values():
        for device in DEVICES:
            found = explore(changed, device, system)
            assert not found.stopped
            equal = equal and found.graph == searched(MUTATED, device, system).graph
            for asked in PROPERTIES:
                example = found.shortest(asked)
                if example:
                    broken[asked] = min(broken.get(asked, 99), len(example.events))
    if broken:
        return "unsafe", ", ".join(f"{name} after {events} events" for name, events in broken.items())
    return ("equal" if equal else "safe"), ""


def counted(policy: Policy) -> dict[str, int]:
    """Return the counters of the run."""
    found = simulate("random-mix", policy, seed=1, memory="75%", parameters={"events": 300_000}).counters
    return {name: found[name] for name in COUNTERS}


def mutations() -> list[str]:
    """Return the lines of the table of checks left out."""
    policy = load_policy(MUTATED)
    before = counted(policy)
    rows = ["| list | without | what becomes of it | the run |", "|---|---|---|---|"]
    for kind, check, changed in left_out(policy):
        what, why = fate(changed)
        after = before if isinstance(changed, str) or what == "unsafe" else counted(changed)
        differs = [f"{name} {before[name]:,} → {after[name]:,}" for name in COUNTERS if before[name] != after[name]]
        said = f"**{what}**" if what == "unsafe" else what
        rows.append(f"| {kind} | `{check}` | {said}{': ' * bool(why)}{why} | {', '.join(differs)} |")
    return rows


def swaps(kind: str) -> list[str]:
    """Return the lines of the triangle of swapped checks."""
    policy = load_policy(MUTATED)
    checks = rules(policy, kind)
    letters = {(i, j): LETTERS[fate(changed)[0]] for i, j, changed in swapped(policy, kind)}
    rows = [
        f"| {kind} | " + " | ".join(str(j + 1) for j in range(1, len(checks))) + " |",
        "|---" + "|:-:" * (len(checks) - 1) + "|",
    ]
    for i, check in enumerate(checks):
        rows.append(
            f"| {i + 1} `{check}` | " + " | ".join(letters.get((i, j), "") for j in range(1, len(checks))) + " |"
        )
    return rows


def pages() -> tuple[str, str]:
    """Return both pages."""
    text = HEAD + "".join(f"* *{name}*: {meaning}.\n" for name, meaning in PROPERTIES.items()) + ASKED
    text += "| policy | " + " | ".join(f"{asked} ({system})" for system, asked in COLUMNS) + " | states |\n"
    text += "|---" * (len(COLUMNS) + 1) + "|---:|\n"
    examples = '# Counter-examples\n\nThe shortest sequences behind every "no" of [Is it safe?](safety.md), as `cowfast step` tells them '
    examples += "([how to read them](stories.md)). A store is called by\nthe number of the line that made it.\n"
    for name in policy_names():
        found = verdicts(name)
        states = sum(each.states for each in found.values())
        text += f"| `{name}` | " + " | ".join(cell(found, name, *column) for column in COLUMNS) + f" | {states:,} |\n"
        examples += stories(name, found)
    text += WORDS + directions() + BESIDE.lstrip("\n")
    text += (
        "| policy | "
        + " | ".join(f"{ROWS[row][0]} ({row})" for row in ROWS)
        + " |\n"
        + "|---" * (len(ROWS) + 1)
        + "|\n"
    )
    for name in policy_names():
        text += f"| `{name}` | " + " | ".join(beside(name)) + " |\n"
    text += SAID_WORDS + pinned_in_flight() + SINCE_6_11 + synchronous() + SYNC
    text += "".join(f"  * `{record}`, `{script}` #{event}: {what}.\n" for record, script, event, what in STEPS)
    text += (
        MUTANTS + "\n".join(mutations()) + "\n" + SWAPPED + "\n\n".join("\n".join(swaps(kind)) for kind in KINDS) + "\n"
    )
    return text, examples


assert set(SWAP) <= set(EVENTS)

if __name__ == "__main__":
    safety, examples = pages()
    emit("docs/counter-examples.md", examples)
    emit("docs/safety.md", safety)
