# SPDX-License-Identifier: MIT
"""Stories: what an event did to a page, which check decided, and which references made it true."""

from cowfast.story.explain import Came, Explanation, explain
from cowfast.story.step import Step, Story, first_difference, step
from cowfast.story.teller import Asked, Teller, Telling
from cowfast.story.words import Holders

__all__ = [
    "Asked",
    "Came",
    "Explanation",
    "Holders",
    "Step",
    "Story",
    "Teller",
    "Telling",
    "explain",
    "first_difference",
    "step",
]
