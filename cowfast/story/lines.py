# SPDX-License-Identifier: MIT
"""A story as lines of text; what an event did not change is not said again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cowfast.story.step import Step, Story
from cowfast.story.teller import Telling
from cowfast.story.words import changed


class Line(NamedTuple):
    """One sentence, and what it is about: ``check``, ``action``, ``page``, ``sees``."""

    kind: str
    text: str


def lines(story: Story, number: int) -> list[Line]:
    """What happened in event *number* (counted from 1): the checks, then pages, slots and views that are not as before."""
    now = story.steps[number - 1]
    before = story.steps[number - 2] if number > 1 else None
    found = [line for telling in now.told for line in decision(telling)]
    old, new = _facts(before, story.several), _facts(now, story.several)
    found += [Line("page", text) for name, text in new.items() if old.get(name) != text]
    cached = {f"slot {page.slot}" for page in now.pages}
    found += [Line("page", f"{name}: free") for name in old if name not in new and name not in cached]
    sees = ", ".join(f"{who} {what}" for who, what in now.sees.items())
    if before is None or sees != ", ".join(f"{who} {what}" for who, what in before.sees.items()):
        found.append(Line("sees", f"seen: {sees}" if sees else "seen: by nobody"))
    return found


def decision(telling: Telling) -> Iterator[Line]:
    """The actions that a list of checks took and the check that decided; a check that only said no is left out."""
    prefix = "swap in: " if telling.rules == "swap_in" else "unshare: " if telling.unshare else ""
    for asked in telling.asked:
        if asked.number == telling.number:
            again = " (again: making room for the copy took the page away)" if telling.dropped else ""
            yield Line("check", prefix + telling.words + again)
        elif asked.holds and (asked.because or asked.did):
            action = asked.check.partition(" if ")[0]
            yield Line("action", prefix + changed(action, asked.because, asked.did))


def _facts(step: Step | None, several: bool) -> dict[str, str]:
    """``page 1`` -> the sentence about it; the same for slots whose page is not in memory."""
    if step is None:
        return {}
    pages = {f"page {page.page}": page.words(several) for page in step.pages}
    return pages | {f"slot {slot.slot}": slot.words() for slot in step.slots}
