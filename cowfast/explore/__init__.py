# SPDX-License-Identifier: MIT
"""Is a policy safe?  Every reachable state of a small system, and the shortest way to one where a property fails."""

from cowfast.explore.search import DEFAULT, PROPERTIES, Exploration, Finding, explore
from cowfast.explore.story import tell
from cowfast.explore.system import DEVICES, System

__all__ = ["DEFAULT", "DEVICES", "PROPERTIES", "Exploration", "Finding", "System", "explore", "tell"]
