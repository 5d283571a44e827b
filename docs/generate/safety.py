# SPDX-License-Identifier: MIT
"""docs/safety.md: which policy keeps which promise, in every state of a small system."""

from __future__ import annotations

from collections.abc import Iterator

from _page import emit
from cowfast.errors import PolicyError
from cowfast.explore import PROPERTIES, Exploration, System, explore
from cowfast.policy import Policy, load_policy, policy_from_dict, policy_names

#: Read-only gets alone, then pins alone: two systems that close in a second, so that every "no" has one reason.
SYSTEMS = {"gets": System(pins=0), "pins": System(gets=0)}
DEVICES = ("async", "sync")
COLUMNS = (("gets", "no-leak"), ("gets", "no-lost-write"), ("pins", "no-leak"), ("pins", "pins-coherent"),
           ("pins", "no-lost-write"), ("pins", "zero-pins-coherent"))  # fmt: skip
MUTATED = "linux-6.1"

HEAD = """\
# Is it safe?

`cowfast explore` looks at every reachable state of a small system: here two processes, one page, swap, and either one read-only
`FOLL_GET` reference (vmsplice) or one `FOLL_PIN`. What is asked:

"""

WORDS = """
A pin that has lost its page loses what is written through it: "no" under *pins-coherent* brings "no" under *no-lost-write*.
Read-write pins of kernels before 5.9 are shared by fork, so a device's writes are a leak as well.
"""

DIFFERENCES = """
## Where this differs from what is said elsewhere

* **MADV_WILLNEED loses writes on zram too (`linux-6.12`, `linux-6.18`).** That a write through a pin can be lost on an asynchronous
  device was measured on kernels. A synchronous device was taken to be safe, because a page read past the swap cache has no slot.
  MADV_WILLNEED reads through the swap cache on every device (measured as well): it leaves a clean page with a valid slot, and the
  same sequence loses the write. From 7.0 on no slot is left after a swap-in on such a device, and the search finds nothing.
* **Pins of memory that was never written** see zeros for ever before 6.2 (*zero-pins-coherent*). Callers that pinned for long asked
  for a forced write until then, so that it did not show; the rule itself came with 6.2.
* **No policy was said to lose a write** of a process itself. With gets alone none does. What is lost here is written through pins:
  by a broken pin, or from 6.11 on as above.
* Writes complete within the event that submits them: pages under writeback (stable pages) are not among these states.
"""


def story(found: Exploration, asked: str) -> str:
    """Return the shortest counter-example as a block of text."""
    example = found.shortest(asked)
    assert example is not None
    return "```text\n" + "\n".join(found.story(example)) + "\n```\n"


def verdicts(policy: Policy) -> dict[tuple[str, str], Exploration]:
    """Return (system, device) -> what was found."""
    return {
        (name, device): explore(policy, device, system, properties=PROPERTIES, every_state=True)
        for name, system in SYSTEMS.items()
        for device in DEVICES
    }


def cell(found: dict[tuple[str, str], Exploration], policy: str, system: str, asked: str) -> str:
    """Return yes or no, both devices; a no leads to its story."""
    said = {}
    for device in DEVICES:
        assert not found[system, device].stopped
        example = found[system, device].shortest(asked)
        link = f"#{policy.replace('.', '-')}-{system}-{device}-{asked}"
        said[device] = f"[no: {len(example.events)}]({link})" if example else "yes"
    return said["async"] if set(said.values()) == {"yes"} else " / ".join(said.values())


def mutants(policy: Policy) -> Iterator[tuple[str, Policy | str]]:
    """Yield every policy with one check left out, and with two neighbours swapped; a text where that is no policy."""
    for kind in ("write_fault", "swap_in"):
        checks = list(policy.to_dict()[kind])
        changed = [(f"without `{check}`", checks[:i] + checks[i + 1 :]) for i, check in enumerate(checks)]
        changed += [
            (f"`{checks[i + 1]}` before `{checks[i]}`", [*checks[:i], checks[i + 1], checks[i], *checks[i + 2 :]])
            for i in range(len(checks) - 1)
        ]
        for what, mutated in changed:
            try:
                yield f"{kind}: {what}", policy_from_dict({**policy.to_dict(), "name": "mutant", kind: mutated})
            except PolicyError as error:
                yield f"{kind}: {what}", error.problem


def fate(mutant: Policy) -> tuple[str, int]:
    """Return which properties a mutant breaks and in how few events; empty if it breaks none."""
    broken: dict[str, int] = {}
    for system in SYSTEMS.values():
        for device in DEVICES:
            found = explore(mutant, device, system)
            assert not found.stopped
            for name in PROPERTIES:
                example = found.shortest(name)
                if example:
                    broken[name] = min(broken.get(name, 99), len(example.events))
    return ", ".join(broken), min(broken.values(), default=0)


def page() -> str:
    """Return the page."""
    text = HEAD + "".join(f"* *{name}*: {meaning}.\n" for name, meaning in PROPERTIES.items())
    text += "\nAsynchronous device / synchronous device; a number is the length of the shortest counter-example and leads to it.\n\n"
    text += "| policy | " + " | ".join(f"{asked} ({system})" for system, asked in COLUMNS) + " | states |\n"
    text += "|---" * (len(COLUMNS) + 2) + "|\n"
    stories = ""
    for name in policy_names():
        found = verdicts(load_policy(name))
        states = sum(each.states for each in found.values())
        text += f"| `{name}` | " + " | ".join(cell(found, name, *column) for column in COLUMNS) + f" | {states:,} |\n"
        for system, asked in COLUMNS:
            for device in DEVICES:
                example = found[system, device].shortest(asked)
                if example:
                    title = f"({name.replace('.', '-')}-{system}-{device}-{asked})=\n"
                    stories += f"\n{title}### `{name}`, {device}: {asked} ({system}, {example.by})\n\n"
                    stories += story(found[system, device], asked)
    text += WORDS + DIFFERENCES
    text += f"\n## What each check is for\n\n`{MUTATED}` with one check left out, or two neighbours swapped, in the same four systems.\n\n"
    text += "| change | breaks | events |\n|---|---|---:|\n"
    for what, mutant in mutants(load_policy(MUTATED)):
        if isinstance(mutant, str):
            text += f"| {what} | refused: {mutant} | |\n"
        else:
            broken, events = fate(mutant)
            text += f"| {what} | {broken or 'nothing'} | {events or ''} |\n"
    text += "\n## The counter-examples\n\nA store is called by the number of the line that made it.\n"
    return text + stories


if __name__ == "__main__":
    emit("docs/safety.md", page())
