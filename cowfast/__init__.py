# SPDX-License-Identifier: MIT
"""cowfast: Linux copy-on-write reuse policies, as numbers.

    >>> import cowfast
    >>> result = cowfast.simulate("random-mix", policy="linux-6.1", seed=1, parameters={"events": 100_000})
    >>> result.counters["copies"] > 0
    True

One run is :func:`simulate`, several policies on the same events :func:`compare`, many runs :func:`sweep`; event by
event with live tables, :class:`Simulator`.  The command ``cowfast`` does the same from a shell.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING

from cowfast._version import __version__

if TYPE_CHECKING:
    from cowfast.compare import Comparison, compare
    from cowfast.counters import COUNTERS, Counters
    from cowfast.errors import CowfastError, EventError
    from cowfast.events import EventSource, make_events
    from cowfast.machine import Machine
    from cowfast.policy import Policy, load_policy, policy_names
    from cowfast.results import load_results
    from cowfast.simulate import Result, Simulator, simulate
    from cowfast.sweep import sweep
    from cowfast.traces import load_trace
    from cowfast.workloads import Workload, load_workload, workload, workload_names

#: Public name -> the module that has it; loaded when first asked for, so that ``import cowfast`` costs nothing.
_HOME = {
    "COUNTERS": "cowfast.counters",
    "Comparison": "cowfast.compare",
    "Counters": "cowfast.counters",
    "CowfastError": "cowfast.errors",
    "EventError": "cowfast.errors",
    "EventSource": "cowfast.events",
    "Machine": "cowfast.machine",
    "Policy": "cowfast.policy",
    "Result": "cowfast.simulate",
    "Simulator": "cowfast.simulate",
    "Workload": "cowfast.workloads",
    "compare": "cowfast.compare",
    "load_policy": "cowfast.policy",
    "load_results": "cowfast.results",
    "load_trace": "cowfast.traces",
    "load_workload": "cowfast.workloads",
    "make_events": "cowfast.events",
    "policy_names": "cowfast.policy",
    "simulate": "cowfast.simulate",
    "sweep": "cowfast.sweep",
    "workload": "cowfast.workloads",
    "workload_names": "cowfast.workloads",
}

__all__ = [
    "COUNTERS",
    "Comparison",
    "Counters",
    "CowfastError",
    "EventError",
    "EventSource",
    "Machine",
    "Policy",
    "Result",
    "Simulator",
    "Workload",
    "__version__",
    "compare",
    "load_policy",
    "load_results",
    "load_trace",
    "load_workload",
    "make_events",
    "policy_names",
    "simulate",
    "sweep",
    "workload",
    "workload_names",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'cowfast' has no attribute {name!r}; it has {', '.join(__all__)}")
    value: object = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


class _Package(types.ModuleType):
    """Keeps ``cowfast.simulate`` the function: importing the module of that name would put the module in its place."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
