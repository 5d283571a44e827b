# SPDX-License-Identifier: MIT
"""The command ``cowfast``: one file for each sub-command, loaded when it is called.

This is the only room that prints.  Results go to stdout, everything else (progress, errors) to stderr.
Exit codes: 0 all right; 1 finished, but something does not hold (a disagreement, a run that failed); 2 bad input;
130 interrupted (Ctrl-C), 143 terminated (SIGTERM), 129 hung up (SIGHUP): 128 and the number of the signal.

To add a sub-command, write ``cowfast/cli/NAME.py`` with a click command and add a line to ``COMMANDS``.
"""

from __future__ import annotations

from cowfast.cli.group import LazyGroup
from cowfast.cli.main import main, root

#: Name -> where the command is, and what ``cowfast --help`` says about it.
COMMANDS = {
    "run": ("cowfast.cli.run:run", "One run: a source under a policy."),
    "compare": ("cowfast.cli.compare:compare", "Policies on the same events, or results of a sweep, side by side."),
    "sweep": ("cowfast.cli.sweep:sweep", "Many runs: a grid of parameters, resumable."),
    "rerun": ("cowfast.cli.rerun:rerun", "Make a run again from its row and compare."),
    "export": ("cowfast.cli.export:export", "Results as CSV or Parquet."),
    "plot": ("cowfast.cli.plot:plot", "A figure from results."),
    "report": ("cowfast.cli.report:report", "One self-contained HTML page about results."),
    "trace": ("cowfast.cli.trace:trace", "Import real traces, look at them, cut them."),
    "record": ("cowfast.cli.record:record", "Record a program's page faults with perf."),
    "verify": ("cowfast.cli.verify:verify", "Compare with what real kernels did, event by event."),
    "litmus": ("cowfast.cli.litmus:litmus", "Scenario files with expected outcomes."),
    "step": ("cowfast.cli.step:step", "A scenario told event by event: refs, maps, values, checks."),
    "explain": ("cowfast.cli.explain:explain", "Why one event of a run was decided as it was."),
    "explore": ("cowfast.cli.explore:explore", "Is a policy safe? Every state of a small system."),
    "policies": ("cowfast.cli.policies:policies", "The reuse policies: list, show, diff."),
    "workloads": ("cowfast.cli.workloads:workloads", "The built-in workloads and their parameters."),
    "counters": ("cowfast.cli.counters:counters", "What is counted, in which unit."),
    "bench": ("cowfast.cli.bench:bench", "Rates of this machine beside yardsticks."),
    "doctor": ("cowfast.cli.doctor:doctor", "What this installation is and can."),
}

root.commands_at = COMMANDS

__all__ = ["COMMANDS", "LazyGroup", "main", "root"]
