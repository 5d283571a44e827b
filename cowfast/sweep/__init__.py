# SPDX-License-Identifier: MIT
"""Many runs: a grid of sources, policies, machines and seeds, done by any executor, kept in a results file."""

from cowfast.sweep.plan import Plan, Task, plan_sweep
from cowfast.sweep.run import Summary, SweepProgress, run_plan, sweep
from cowfast.sweep.spec import SweepSpec, load_spec

__all__ = ["Plan", "Summary", "SweepProgress", "SweepSpec", "Task", "load_spec", "plan_sweep", "run_plan", "sweep"]
