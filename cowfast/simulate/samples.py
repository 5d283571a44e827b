# SPDX-License-Identifier: MIT
"""Counters and gauges along a run, for timelines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cowfast._layout import SlotFlag
from cowfast.errors import SpecError

if TYPE_CHECKING:
    from cowfast.simulate.simulator import Simulator


class Sampler:
    """Runs events in a simulator and keeps a sample after every ``every`` of them."""

    def __init__(self, simulator: Simulator, every: int) -> None:
        if every < 1:
            raise SpecError(f"sample: every {every} events; write 1 or more")
        self.simulator, self.every = simulator, every
        self.samples: list[dict[str, int]] = []

    def run(self, events: np.ndarray) -> None:
        """Process events; samples fall on the same events however the run is cut into chunks."""
        start = 0
        while start < len(events):
            left = self.every - self.simulator.done % self.every
            start += self.simulator.run(events[start : start + left])
            if self.due():
                self.samples.append(sample(self.simulator))

    def due(self) -> bool:
        """Say whether a sample falls on this moment and is not there yet."""
        done = self.simulator.done
        return done % self.every == 0 and done > (self.samples[-1].get("events", 0) if self.samples else 0)


def sample(simulator: Simulator) -> dict[str, int]:
    """Return every counter, and the gauges: what is held at this moment."""
    counters = simulator.counters.to_dict()
    return counters | {
        "pages_in_use": counters["page_allocs"] - counters["page_frees"],
        "slots_in_use": counters["slot_allocs"] - counters["slot_frees"],
        "swap_cache_pages": counters["swap_cache_adds"] - counters["swap_cache_removals"],
        "slots_held_idle": _slots_held_idle(simulator, counters["slots_peak"]),
    }


def _slots_held_idle(simulator: Simulator, peak: int) -> int:
    """Count slots that no pte names any more and only the swap cache holds."""
    if simulator.engine_name == "fast":
        slots = simulator.slots
        cached = (slots["flags"] & SlotFlag.SLOT_CACHED) != 0
        return int(np.count_nonzero(cached & (slots["swap_count"] == 0)))
    slots = simulator.state()["slots"].values()
    return sum(kind == "cached" and count == 0 for kind, _, count, _ in slots)
