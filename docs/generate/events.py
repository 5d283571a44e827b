# SPDX-License-Identifier: MIT
"""docs/events.md: events and outcomes: numbers from ``_layout.pxd``, text forms from the parser, meanings from the contract."""

import re

from _page import ROOT, emit
from cowfast._layout import EVENT, Cause, EventFlag, Op, Outcome
from cowfast.events import FIELDS, FLAG_WORDS, FLAGGED

HEAD = """\
# Events and outcomes

A workload or trace is a stream of events, records of {size} bytes: {layout}. Files and standard input hold them as text, one a line, a word and its numbers:

```python
import cowfast
from cowfast._layout import Outcome

simulator = cowfast.Simulator("linux-6.18", {{"space": 16, "processes": 2}})
for event in ("write 0 7", "fork 0 1", "get 1 7 ref=3 look", "write 0 7"):
    outcome = simulator.step(event)
    print(event, "->", [bit.name for bit in Outcome if outcome & bit and not bit.name.endswith("SHIFT")])
```

`pid` is a process, `page` a virtual page (the same number is the same address in every process), `n` a number of pages (1 if left out), `ref` the number under which a reference is kept until it is given back.

| event | `op` | as text | meaning |
|---|---:|---|---|
"""

FLAGS = """
Flags: {flags}.

## Outcomes

What an event led to, a set of bits for each; `verify`, `litmus` and the tests compare them one by one.

| bit | name | meaning |
|---:|---|---|
"""

CAUSES = """
Two numbers stand above the bits: from bit {check} on (5 bits) 1 + the place of the write-fault check that decided, from bit {cause} on (4 bits) the cause of a needless copy: {causes}.
"""

#: Outcomes that are named as what they are.
PLAIN = {
    "FAULT": "the event made a page fault",
    "SWAP_IN": "a fault on a swap pte",
    "REUSED": "the page was made writable as it is",
    "COPIED": "the page was copied",
    "NEEDLESS": "nobody else could ever have read the old page",
    "MISSED": "the page was made writable while somebody else could still see it: a leak",
    "PIN_BROKEN": "a pinned page was replaced under its owner",
    "LOCK_FAILED": "somebody held the page lock, so the page was copied",
    "UNSHARED": "a get or pin made the page the process's own first",
}


def meanings() -> dict[str, str]:
    """Return what the table of events in docs/model.md says of each."""
    table = (ROOT / "docs" / "model.md").read_text().partition("## 2. Events")[2].partition("## 3.")[0]
    rows = re.findall(r"^\| (`[^|]*) \| [^|]* \| ([^|\n]+) \|$", table, re.MULTILINE)
    return {"unlock": "gives the page lock back"} | {
        name: meaning.replace(" ;", ";") for names, meaning in rows for name in re.findall(r"`(\w+)`", names)
    }


def comments() -> dict[str, str]:
    """Return the remarks on the outcomes in ``_layout.pxd``."""
    text = (ROOT / "cowfast" / "_layout.pxd").read_text().partition("enum Outcome:")[2].partition("cpdef")[0]
    return dict(re.findall(r"^ +(\w+) = \d+ +# (.*)$", text, re.MULTILINE))


def words(op: Op) -> str:
    """Return the text form of an event."""
    names = {
        "arg": "child" if op is Op.FORK else "cpu" if op is Op.CPU else "pid",
        "ref": "ref=R",
        "n": "[n]",
        "pid?": "[pid]",
    }
    fields = [names.get(field, field) for field in FIELDS[op]]
    return " ".join([op.name.lower(), *fields, *(f"[{word}]" for word in FLAGGED.get(op, ()))])


def page() -> str:
    """Return the page."""
    said, remarks = meanings(), comments() | PLAIN
    layout = ", ".join(f"`{name}` ({EVENT[name].itemsize})" for name in EVENT.names)
    text = HEAD.format(size=EVENT.itemsize, layout=layout)
    text += "".join(
        f"| `{op.name.lower()}` | {op.value} | `{words(op)}` | {said[op.name.lower()]} |\n" for op in FIELDS
    )
    text += FLAGS.format(flags=", ".join(f"`{word}` = {EventFlag(value).value}" for word, value in FLAG_WORDS.items()))
    bits = [outcome for outcome in Outcome if not outcome.name.endswith("_SHIFT")]
    text += "".join(f"| {bit.value.bit_length() - 1} | `{bit.name}` | {remarks[bit.name]} |\n" for bit in bits)
    causes = ", ".join(
        f"{cause.value} {cause.name.removeprefix('CAUSE_').lower().replace('_', ' ')}" for cause in Cause
    )
    return text + CAUSES.format(check=Outcome.CHECK_SHIFT.value, cause=Outcome.CAUSE_SHIFT.value, causes=causes)


if __name__ == "__main__":
    emit("docs/events.md", page())
