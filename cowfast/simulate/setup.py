# SPDX-License-Identifier: MIT
"""The machine and the policy of a run, from what a user writes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from cowfast.errors import MachineError, SpecError
from cowfast.machine import Machine
from cowfast.policy import Policy, load_policy, policy_names

if TYPE_CHECKING:
    import os

    from cowfast.events import EventSource

_PAGE = 4096
_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def resolve_policy(policy: str | os.PathLike[str] | Policy) -> Policy:
    """Return the policy itself, the built-in one of that name, or the one in that file."""
    return policy if isinstance(policy, Policy) else load_policy(policy)


def unlike_namesakes(policy: Policy, others: dict[str, Policy]) -> Policy:
    """Return the policy and enter it under its name; a different one of that name is refused, for rows go by name."""
    if others.setdefault(policy.name, policy).hash != policy.hash:
        raise SpecError(f"two different policies are called {policy.name!r}; give the one in your file another name")
    return policy


def is_built_in(policy: Policy) -> bool:
    """Whether the name alone says what the policy does."""
    return _built_in_hash(policy.name) == policy.hash


@cache
def _built_in_hash(name: str) -> str | None:
    return load_policy(name).hash if name in policy_names() else None


def machine_for(
    source: EventSource, machine: Machine | Mapping[str, Any] | None = None, memory: int | str | None = None
) -> Machine:
    """Return the machine for a source: what the user gave, and the source's own sizes for the rest.

    A ``Machine`` is taken as it is.  A mapping (or nothing) is completed with the source's address space, processes,
    CPUs and references.  ``memory`` is a number of pages, ``"16MiB"``, or a share of the source's footprint such as
    ``"75%"``; 0 is no limit.
    """
    if isinstance(machine, Machine):
        given: dict[str, Any] = machine.to_dict()
    else:
        sized = {name: getattr(source, name, None) for name in ("space", "processes", "cpus", "references")}
        given = {name: value for name, value in sized.items() if value is not None} | dict(machine or {})
    if memory is not None:
        given["memory"] = memory
    given["memory"] = memory_pages(given.get("memory", 0), source)
    return Machine.from_dict(given)


def memory_pages(memory: int | str, source: EventSource) -> int:
    """Return a size of memory in pages; see :func:`machine_for` for what may be written."""
    if isinstance(memory, str):
        text = memory.strip()
        try:
            if text.endswith("%"):
                return _share(float(text[:-1]), source)
            for unit, size in _UNITS.items():
                if text.endswith(unit):
                    return int(float(text.removesuffix(unit)) * size) // _PAGE
            memory = int(text.replace("_", "").replace(",", ""))
        except (ValueError, OverflowError) as error:
            raise MachineError(
                f"memory: {memory!r} is no size; write pages (4000), 16MiB, 75% or 0 (no limit)"
            ) from error
    if memory < 0:
        raise MachineError(f"memory: {memory} pages is less than none; write 0 for no limit")
    return memory


def _share(percent: float, source: EventSource) -> int:
    if not 0 < percent <= 10_000:
        raise MachineError(
            f"memory: {percent:g}% of what the source touches; write a share above 0%, or 0 for no limit"
        )
    if source.footprint is None:
        raise MachineError(f"memory: {source.name} does not know how many pages it touches; write a number of pages")
    return max(1, round(source.footprint * percent / 100))
