# SPDX-License-Identifier: MIT
"""Making a run again from its own row."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from cowfast.errors import SpecError
from cowfast.machine import Machine
from cowfast.policy import load_policy, policy_from_dict
from cowfast.simulate import Result, simulate_policies, source_from_spec


def rerun(row: Mapping[str, Any], *, engine: str = "fast", path: str | os.PathLike[str] | None = None) -> Result:
    """Run what the row says; the counters are identical, or SpecError says what is no longer the same.

    ``path`` is where a trace is now, if not where it was.
    """
    spec, origin = row["spec"], row.get("provenance", {})
    source = source_from_spec(spec["source"], path or origin.get("path"))
    policy = policy_from_dict(origin["policy"]) if "policy" in origin else load_policy(spec["policy"])
    if policy.hash != spec["policy_hash"]:
        raise SpecError(f"policy {policy.name} has other checks than when the row was written ({row['id']})")
    machine = Machine.from_dict(spec["machine"])
    options = {"seed": spec["seed"], "sample_every": spec.get("sample_every", 0)}
    [result] = simulate_policies(source, [policy], machine, engine=engine, **options)
    return result
