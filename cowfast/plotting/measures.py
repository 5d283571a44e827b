# SPDX-License-Identifier: MIT
"""What a figure can put on its value axis: counters by their names, and the few ratios of them that have one."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from cowfast.plotting.rows import Row, counter


class Measure(NamedTuple):
    """A number that a row has: how to compute it, and what to write on the axis."""

    value: Callable[[Row], float]
    label: str
    percent: bool = False


def _ratio(part: str, whole: str, times: float = 1.0) -> Callable[[Row], float]:
    # A ratio to nothing is nothing: no copy at all has no needless share.
    return lambda row: times * counter(row, part) / (counter(row, whole) or 1)


RATIOS = {
    "needless_share": Measure(_ratio("needless_copies", "copies", 100), "needless copies [% of copies]", True),
    "copy_share": Measure(_ratio("copies", "write_faults", 100), "copies [% of write faults]", True),
    "copies_per_fork": Measure(_ratio("copies", "forks"), "copies [pages per fork]"),
    "readd_share": Measure(_ratio("swap_cache_readds", "swap_cache_adds", 100), "re-adds [% of swap-cache adds]", True),
    "futile_share": Measure(
        _ratio("futile_removals", "swap_cache_removals", 100), "futile removals [% of swap-cache removals]", True
    ),
    "avoidable_share": Measure(
        _ratio("avoidable_writes", "swap_writes", 100), "avoidable writes [% of device writes]", True
    ),
}


def measure(name: str) -> Measure:
    """Return the measure of that name: a ratio above, else the counter itself with its unit."""
    if name in RATIOS:
        return RATIOS[name]
    from cowfast.counters import COUNTERS
    from cowfast.errors import ResultsError

    for info in COUNTERS:
        if info.name == name:
            return Measure(lambda row: counter(row, name), f"{name.replace('_', ' ')} [{info.unit}]")
    raise ResultsError(f"no measure {name!r}; write a counter's name (cowfast counters) or one of {', '.join(RATIOS)}")


#: Units of parameters that have one; the others are counts of what they are called, or shares.
_UNITS = {
    "memory": "pages",
    "space": "pages",
    "pages": "",
    "swap_latency": "events",
    "swap_slots": "slots",
    "lru_batch": "pages",
}


def axis_label(parameter: str) -> str:
    """Return what to write on the axis of a parameter, with its unit if it has one."""
    name = parameter.rpartition(".")[2]
    unit = _UNITS.get(name, "")
    return name.replace("_", " ") + (f" [{unit}]" if unit else "")
