# SPDX-License-Identifier: MIT
"""What processes, pipes and pins read on real kernels and in both engines, beside an ideal memory.

The ideal memory knows nothing of pages: a process has what it stored itself last and what it inherited at fork; a pin is
its owner's memory; a pipe shows what was put in, or what its filler stored there later.  A kernel that shows anything else
leaks or loses something, and then the model must show the same thing at the same event, and nothing of the kind elsewhere.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from cowfast._layout import CONTENT, Op
from cowfast.events import make_events
from cowfast.machine import Machine
from cowfast.oracle.records import read_scripts
from cowfast.oracle.replay import SLOTS, guess
from cowfast.oracle.translate import PIPES, Translator, parse, processes
from cowfast.policy import load_policy
from cowfast.simulate import Simulator

ALL = bool(os.environ.get("COWFAST_ALL_RECORDS"))
PARTS = {"fast": 1, "reference": 1 if ALL else 12}
"""Every so many scripts are run; all of them by the reference only with COWFAST_ALL_RECORDS=1."""


Words = list[int]
"""First and last word of a page: a pin's store reaches the first only."""


@dataclass
class Ideal:
    """Memory as a program may expect it.

    A page is a list that its holders share: the process that has it mapped, its pin, a pipe it was put into.  A process
    that discards the page, or exits, leaves the list to the others.
    """

    memory: dict[int, dict[int, Words]] = field(default_factory=lambda: {0: {}})
    pipes: dict[int, tuple[Words, set[int]]] = field(default_factory=dict)
    """number -> the page, and what it may show: what went in, and what was stored there later"""
    pins: dict[int, tuple[int, Words]] = field(default_factory=dict)
    """process -> the number of its pinned page, and the page"""
    history: dict[int, set[tuple[int, int]]] = field(default_factory=lambda: {0: set()})
    """process -> (page, value): everything that it ever stored or inherited"""

    def page(self, pid: int, page: int) -> Words:
        return self.memory[pid].setdefault(page, [0, 0])

    def store(self, words: Words, value: int, places: tuple[int, ...] = (0, 1)) -> None:
        for place in places:
            words[place] = value
        for held, allowed in self.pipes.values():
            if held is words:
                allowed.add(value)

    def reading(self, pid: int, page: int, value: int) -> str:
        """What it is called if a process reads this value and should have read another."""
        return "lost store" if value == 0 or (page, value) in self.history[pid] else "foreign"

    def do(self, row: dict[str, Any], seen: dict[str, int]) -> list[tuple[str, int, int]]:
        """Do the event; return ``(kind, shown, expected)`` for each value that was not what it should have been."""
        name, numbers = parse(row["e"])
        pid, page = numbers.get("pid", 0), numbers.get("page", 0)
        looked: list[tuple[str, int, int]] = []
        match name:
            case "read":
                first, last = self.page(pid, page)
                looked += [
                    (self.reading(pid, page, seen[word]), seen[word], wanted)
                    for word, wanted in (("v", first), ("last", last))
                ]
            case "write":
                self.store(self.page(pid, page), row["v"])
                self.history[pid].add((page, row["v"]))
            case "pinwrite":
                self.store(self.pins[pid][1], row["v"], places=(0,))
                self.history[pid].add((self.pins[pid][0], row["v"]))
            case "pinread":
                looked.append(("stale pin", seen["v"], self.pins[pid][1][0]))
            case "splice_peek" | "splice_read":
                _, allowed = self.pipes[numbers["pipe"]]
                looked.append(("leak", seen["v"], seen["v"] if seen["v"] in allowed else min(allowed)))
                if name == "splice_read":
                    del self.pipes[numbers["pipe"]]
            case "vmsplice":
                words = self.page(pid, page)
                self.pipes[row["ref"]] = (words, set(words))
            case "fork":
                self.memory[numbers["child"]] = {v: list(words) for v, words in self.memory[pid].items()}
                self.history[numbers["child"]] = set(self.history[pid])
            case "exit":
                del self.memory[pid]
                self.pins.pop(pid, None)
            case "dontneed":
                self.memory[pid].pop(page, None)
            case "pin":
                self.pins[pid] = (page, self.page(pid, page))
            case "unpin":
                self.pins.pop(pid, None)
        if "view" in seen and pid in self.pins:
            page = self.pins[pid][0]
            looked.append((self.reading(pid, page, seen["view"]), seen["view"], self.page(pid, page)[0]))
        return [each for each in looked if each[1] != each[2]]


def shown_by_kernel(row):
    """The values in a row of a record; ``last`` is the page's last word, which is kept only if it differs."""
    seen = {name: row[name] for name in ("v", "view") if name in row}
    return seen | {"last": row.get("torn", row.get("v"))}


def shown_by_model(script, policy, machine, engine):
    """The same of a run of the script: one dictionary a row."""
    translator, events, fields, stamps = Translator(), [], [], {0: 0}
    for at, row in enumerate(script.events):
        for say, event in [] if "skip" in row else translator.steps(row):
            events.append(event)
            fields.append((at, say, parse(row["e"])[0]))
            if event[0] in (Op.WRITE, Op.PINWRITE):
                stamps[len(events)] = row["v"]
    most = max([8, *(processes(row["e"]) for row in script.events)])
    sized = machine.replace(space=script.pages, processes=most, references=PIPES + most)
    values = np.zeros(len(events), CONTENT)
    Simulator(policy, sized, engine=engine, contents=True).run(make_events(events), values=values)
    seen = [{} for _ in script.events]
    for (at, say, name), value in zip(fields, values, strict=True):
        first, last = (stamps.get(int(value[word]), -1) for word in ("first", "last"))
        if say:
            seen[at][say] = last if name == "splice_read" else first
        if name == "read":
            seen[at]["last"] = last
    return seen


def departures(script, seen):
    """Where the values of a run are not the ideal memory's: ``{(event, text, kind): (shown, expected)}``."""
    ideal, found = Ideal(), {}
    for at, row in enumerate(script.events):
        if "skip" not in row and not row.get("ret"):
            for kind, shown, expected in ideal.do(row, seen[at]):
                found[at, row["e"], kind] = (shown, expected)
    return found


@pytest.fixture(scope="module")
def records(shared):
    """Files, with what their names say and their scripts."""
    files = sorted((shared / "oracle").glob("*.jsonl.xz"))
    assert len(files) >= 14
    return [(path, *guess(path), list(read_scripts(path))) for path in files]


@pytest.mark.parametrize("engine", PARTS)
@pytest.mark.slow
def test_the_model_shows_what_the_kernel_showed_where_memory_is_not_ideal(records, engine):
    for path, policy, swap, scripts in records:
        machine, rule = Machine(swap_slots=SLOTS, **swap), load_policy(policy)
        for script in scripts[:: PARTS[engine]]:
            kernel = departures(script, [shown_by_kernel(row) for row in script.events])
            model = departures(script, shown_by_model(script, rule, machine, engine))
            assert model == kernel, (path.name, script.name)


def test_no_process_reads_what_another_one_stored(records):
    """On no kernel, in no script.  What goes wrong goes wrong in pipes and pins, and where the rules say so."""
    for path, policy, _, scripts in records:
        found = Counter()
        for script in scripts:
            for at, text, kind in departures(script, [shown_by_kernel(row) for row in script.events]):
                found[kind] += 1
                before = {row["e"].split()[0] for row in script.events[: at + 1]}
                where = (path.name, script.name, at, text, kind)
                if kind == "leak":  # a pipe, on a kernel that decides about swapped pages without asking for references
                    assert text.startswith("splice"), where
                    assert "vmsplice" in before, where
                    assert policy in ("linux-5.10", "linux-5.10+write_fault=linux-5.7"), where
                    assert "reclaim" in before or policy != "linux-5.10", where
                else:  # a pin that mprotect has made stale (to 5.18), or a store through a pin that left no dirty bit (from 6.11)
                    assert kind in ("lost store", "stale pin"), where
                    assert "pin" in before, where
                    assert "protect" in before, where
                    assert kind == "stale pin" or "pinwrite" in before, where
        assert "foreign" not in found
        if policy in ("linux-6.1", "linux-6.18"):
            assert not found, path.name


def test_leaks_are_there_to_be_seen(records):
    """CVE-2020-29374 while the page is mapped needs 5.7's checks; by way of swap, 5.10's let it through as well."""
    for path, policy, _, scripts in records:
        if not policy.startswith("linux-5.10") or "protect" in path.name:
            continue
        leaking = {
            script.name
            for script in scripts
            if any(kind == "leak" for _, _, kind in departures(script, [shown_by_kernel(row) for row in script.events]))
        }
        assert {"vmsplice-swap-leak", "vmsplice-swap-leak-exit", "vmsplice-swap-leak-parent"} <= leaking
        assert ("vmsplice-child-dontneed" in leaking) == (policy != "linux-5.10")


def test_the_ideal_memory():
    """Inheritance, a pin that outlives its page, a pipe that shows later stores of its filler and nobody else's."""

    def run(*rows):
        return [what for event, seen in rows for what in ideal.do({"e": event, "v": 1, "ref": 0} | seen, seen)]

    ideal = Ideal()
    assert run(("write 0 0", {"v": 1}), ("fork 0 1", {}), ("write 0 0", {"v": 3}), ("vmsplice 0 0", {})) == []
    assert run(("read 1 0", {"v": 1, "last": 1}), ("read 0 0", {"v": 3, "last": 3})) == []
    assert run(("read 1 0", {"v": 3, "last": 1})) == [("foreign", 3, 1)]
    assert run(("read 0 0", {"v": 3, "last": 1})) == [("lost store", 1, 3)]
    assert run(("pin 0 0", {}), ("pinwrite 0", {"v": 7}), ("read 0 0", {"v": 7, "last": 3})) == []
    assert run(("splice_peek 0", {"v": 7}), ("splice_peek 0", {"v": 1})) == [("leak", 1, 3)]
    assert run(("dontneed 0 0", {}), ("pinread 0", {"v": 7}), ("read 0 0", {"v": 0, "last": 0})) == []
    assert run(("write 0 0", {"v": 9}), ("splice_peek 0", {"v": 9})) == [("leak", 9, 3)]
    assert run(("pinread 0", {"v": 9})) == [("stale pin", 9, 7)]
