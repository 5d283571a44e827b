# SPDX-License-Identifier: MIT
"""A counter-example told event by event, replayed from the start by the reference model.

The search runs on the fast engine and packed states; what is told here is found again without either.
"""

from __future__ import annotations

import numpy as np

from cowfast.events import format_event
from cowfast.machine import Machine
from cowfast.policy import Policy
from cowfast.story.sight import Watcher

WRONG = {"no-leak": "LEAK", "no-lost-write": "LOST", "pins-coherent": "APART", "zero-pins-coherent": "APART"}
"""Property -> the word that a story has where it does not hold."""


def tell(events: np.ndarray, policy: Policy, machine: Machine) -> list[str]:
    """Return the story of *events*: one line each, with what happened and who sees which store afterwards.

    A store is called by the number of its line; 0 is zeros.
    """
    watcher = Watcher(policy, machine)
    rows = []
    for event in events:
        said = watcher.do(event)
        sees = "; ".join(f"{who} sees {text}" for who, text, _ in watcher.views())
        rows.append((format_event(event), said, sees))
    wide, far = (max((len(row[i]) for row in rows), default=0) for i in (0, 1))
    return [
        f"{i:>3}  {event:<{wide}}   {said:<{far}}   {sees}".rstrip() for i, (event, said, sees) in enumerate(rows, 1)
    ]


def closing_events(events: np.ndarray, policy: Policy, machine: Machine, name: str, by: str = "") -> np.ndarray:
    """Return the reads that show what is wrong after *events*, as *by* says (``pte``, ``get``, ...) if it is given.

    Empty if the reference model finds nothing wrong.
    """
    viewer = "" if not by else "process" if by == "pte" else "get" if by == "get" else "pin"
    watcher = Watcher(policy, machine)
    for event in events:
        watcher.do(event)
    for who, text, shown in watcher.views():
        if WRONG[name] in text and who.startswith(viewer):
            return shown
    return events[:0]


__all__ = ["Watcher", "closing_events", "tell"]
