# SPDX-License-Identifier: MIT
"""Runs scenarios and says what happened in words, one outcome an event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cowfast._layout import CONTENT, Cause, Op, Outcome
from cowfast.errors import SpecError
from cowfast.files import replacing
from cowfast.litmus.format import Scenario, format_scenario, load_scenario
from cowfast.policy import load_policy
from cowfast.simulate import Simulator

VALUED = frozenset({Op.READ, Op.PINREAD})
"""Events that show a value: the number (from 1) of the event that stored it, 0 for zeros."""

WORDS = (  # in the order in which they are said
    (Outcome.SKIPPED, "skipped"),
    (Outcome.ZERO_PAGE, "zero-page"),
    (Outcome.PAST_CACHE, "past-cache"),
    (Outcome.FROM_CACHE, "from-cache"),
    (Outcome.MAPPED_WRITABLE, "mapped-writable"),
    (Outcome.UNSHARED, "unshare"),
    (Outcome.ZERO_FILLED, "zero-fill"),
    (Outcome.REUSED, "reuse"),
    (Outcome.COPIED, "copy"),
    (Outcome.EARLY_COPY, "early-copy"),
    (Outcome.MISSED, "LEAK"),
    (Outcome.PIN_BROKEN, "PIN-BROKEN"),
    (Outcome.DRAINED, "drained"),
    (Outcome.REMOVED, "left-cache"),
)


@dataclass(frozen=True)
class Verdict:
    """What one scenario gave under one policy on one machine."""

    scenario: str
    machine: str
    policy: str
    expected: str | None
    seen: str

    @property
    def right(self) -> bool:
        """Is it as the file says?"""
        return self.expected == self.seen


def say(op: int, outcome: int, value: np.void | None) -> str:
    """The outcome of one event in words: ``from-cache+copy``, ``hit=3``, ``reuse+drained``."""
    words = [word for bit, word in WORDS if outcome & bit]
    if outcome & Outcome.MAJOR and not outcome & Outcome.PAST_CACHE:
        words.insert(0, "major")
    cause = outcome >> Outcome.CAUSE_SHIFT
    if outcome & Outcome.NEEDLESS:
        words.append("needless(" + Cause(cause).name.removeprefix("CAUSE_").lower().replace("_", "-") + ")")
    text = "+".join(words) or ("fault" if outcome & Outcome.FAULT else "hit" if op in (Op.READ, Op.WRITE) else "done")
    if op in VALUED and value is not None:
        text += f"={value['first']}" + (f"/{value['last']}" if value["last"] != value["first"] else "")
    return text


def outcomes_of(scenario: Scenario, policy: str, machine: str, engine: str = "fast") -> list[str]:
    """The outcome of every event of *scenario*, in words."""
    simulator = Simulator(load_policy(policy), scenario.machine(machine), engine=engine, contents=True)
    outcomes = np.zeros(len(scenario.events), np.uint32)
    values = np.zeros(len(scenario.events), CONTENT)
    simulator.run(scenario.events, outcomes=outcomes, values=values)
    return [
        say(int(event["op"]), int(bits), value)
        for event, bits, value in zip(scenario.events, outcomes, values, strict=True)
    ]


def judge(
    scenario: Scenario, policies: Iterable[str], machines: Iterable[str], engine: str = "fast"
) -> Iterator[Verdict]:
    """Runs *scenario* under every policy and machine and holds it against its expectations."""
    policies = list(policies)
    for machine in machines:
        for policy in policies:
            said = outcomes_of(scenario, policy, machine, engine)
            yield Verdict(
                scenario.name,
                machine,
                policy,
                scenario.expect.get(machine, {}).get(policy),
                ", ".join(said[i] for i in scenario.marked),
            )


def promote(path: str | Path, policies: Iterable[str], machines: Iterable[str]) -> bool:
    """Rewrites the expectations of a litmus file to what happens now; true if the file changed.

    The reference model decides, not the engine: an expectation is a statement about the rules.
    """
    path = Path(path)
    scenario = load_scenario(path)
    expect = {machine: dict(block) for machine, block in scenario.expect.items()}
    for verdict in judge(scenario, policies, machines, engine="reference"):
        expect.setdefault(verdict.machine, {})[verdict.policy] = verdict.seen
    text = format_scenario(replace(scenario, expect=expect))
    changed = text.encode() != path.read_bytes()
    if changed:
        with replacing(path, SpecError) as file:
            file.write(text.encode())
    return changed
