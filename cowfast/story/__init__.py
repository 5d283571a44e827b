# SPDX-License-Identifier: MIT
"""Stories: what an event did to a page, which check decided, and which references made it true."""

from cowfast.story.step import Step, Story, first_difference, step
from cowfast.story.teller import Asked, Teller, Telling
from cowfast.story.words import Holders

__all__ = ["Asked", "Holders", "Step", "Story", "Teller", "Telling", "first_difference", "step"]
