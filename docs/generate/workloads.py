# SPDX-License-Identifier: MIT
"""docs/workloads.md: every built-in workload, from its docstring and its parameters."""

import textwrap

from _page import emit
from cowfast.workloads import GENERATOR_VERSION, Kind, kinds, presets

HEAD = f"""\
# Workloads

A workload makes events. The same name, parameters and seed make the same events on every machine (generator version
{GENERATOR_VERSION}, part of every result row). `events` is how many (default: all, or 1,000,000 where there is no end).

```console
$ cowfast run bgsave --set pages=4096 --set read=0.5 --policy linux-6.18 --memory 75%
$ cowfast run bgsave --set preset=redis-7.0
```

```python
from cowfast.workloads import workload

source = workload("bgsave", pages=4096, read=0.5)
```

Memory shares (`--memory 75%`) refer to the *footprint*: the pages that all processes would touch if they shared none.
What the presets stand for is in [Calibration](calibration.md); a new workload is one function, see
[Write your own](#write-your-own).

"""

TAIL = '''
## Workload files

A TOML file says phases one after another, or parts that run beside each other in processes of their own.

```toml
name = "fork-under-pressure"
processes = 3
pages = 4096

[[phase]]                 # process 0 writes all pages
do = "fill"

[[phase]]
do = "repeat"             # times = 0: without end
times = 10

[[phase.phase]]
do = "fork"
child = 1

[[phase.phase]]
do = "mix"                # events drawn by weights, over pids first, count
pids = [0, 2]
events = 20000
zipf_s = 0.9
weights = { read = 1, write = 2 }

[[phase.phase]]
do = "sweep"              # an operation on all pages in order
op = "pageout"
size = 64

[[phase.phase]]
do = "exit"
pid = 1
```

| `do` | keys |
|---|---|
| `fill` | `pid`, `pages = [first, count]` |
| `sweep` | `op`, `pid`, `pages`, `size` (pages an event names), `arg`, `flags` |
| `mix` | `events` (0: without end), `weights`, `zipf_s`, `fork_every`; `pids`, `pages`, `references` = `[first, count]` |
| `repeat` | `times` (0: without end), `[[phase.phase]]` |
| an event's name | `pid`, `page`, `arg` or `child`, `flags` ("look write longterm") |

Weights of a mix: `read write pageout discard protect prefetch drain reclaim`, and `get look pin lock`, which take a random
reference number if it is free and release it if not (`references` beside `processes` says how many there are).

Parts take turns by their weights, 64 events at a time:

```toml
name = "server-and-fuzzer"

[[part]]
workload = "bgsave"
weight = 3
parameters = { pages = 4096 }

[[part]]
processes = 2
pages = 512
[[part.phase]]
do = "fill"
```

A file with `workload = "bgsave"` and `[parameters]` gives a set of parameters a name.

## Write your own

A workload is a function that returns a program: mixes of events, and loops around them. Keyword parameters with
defaults become the workload's parameters, the docstring its documentation. Put it in a module of
`cowfast/workloads/library/`; the generator that runs it is compiled already.

```python
@builtin
def ping_pong(*, pages: Pages = 1024, rounds: Count = 0) -> Program:
    """Parent and child write the same pages in turn.

    Process 0 fills its pages, forks, and both write everything once; then the child exits.

    Parameters:
        pages: pages of the parent
        rounds: how many forks; 0 = without end
    """
    program = Program(processes=2, pages=pages)
    program.mix(pages, line("write", page=each(0, pages)))
    with program.loop(rounds or None):
        program.do("fork", arg=1)
        program.mix(2 * pages, line("write", pid=any_of(0, 2), page=any_of(0, pages)))
        program.do("exit", pid=1)
    return program
```

Pages, pids and arguments are numbers or are picked: `any_of(first, count)` (uniform), `zipf(first, count, s)`, `each`
(one after the other), `jumping` (each once, in an order that jumps), `fresh` (the same, from another place each time),
`turn` (by the iteration of a loop), `other` (another process), `toggle` and `held` (reference numbers). Then add its
hash with `python tests/golden_workloads.py`; the tests of all workloads hold for it already.
'''


def section(kind: Kind) -> str:
    """Return the section of one workload."""
    notes = "\n\n".join(textwrap.fill(" ".join(each.split()), 120) for each in kind.notes.split("\n\n"))
    text = f"## {kind.name}\n\n{kind.summary}\n\n{notes}\n\n| parameter | default | meaning |\n|---|---:|---|\n"
    for name, default in kind.defaults().items():
        shown = str(default).lower() if isinstance(default, bool) else f"{default:,}"
        text += f"| `{name}` | {shown} | {kind.meanings[name]} |\n"
    for preset in presets():
        if preset.workload == kind.name:
            text += f"\nPreset `{preset.name}`: {preset.summary[0].lower()}{preset.summary[1:]}.\n"
    return text


if __name__ == "__main__":
    emit("docs/workloads.md", HEAD + "\n".join(map(section, kinds())) + TAIL)
