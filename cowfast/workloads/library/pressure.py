# SPDX-License-Identifier: MIT
"""Memory that does not suffice: swap-storm, forceswap."""

from cowfast.workloads.library.random_mix import start_family
from cowfast.workloads.program import Program, any_of, each, line, turn, zipf
from cowfast.workloads.registry import Count, Exponent, Pages, Processes, Share, Weight, builtin


@builtin
def swap_storm(
    *,
    processes: Processes = 12,
    pages: Pages = 2048,
    active: Processes = 4,
    burst: Count = 60_000,
    write: Share = 0.5,
    reclaim: Weight = 0.002,
    fork_weight: Weight = 0.1,
    zipf_s: Exponent = 0.6,
) -> Program:
    """More working sets than memory: whoever wakes up finds its pages on the swap device.

    All processes come from one and share its pages at first.  A group of them is busy for a burst, then the next
    group; run it with a memory of less than its footprint (`memory=0.5`).

    Parameters:
        processes: processes in all
        pages: pages of each
        active: processes that are busy at the same time
        burst: events until the next group's turn
        write: share of writes in the accesses
        reclaim: weight of direct reclaim of 32 pages by somebody else, against accesses (weight 1)
        fork_weight: ptes copied by fork per event within the busy group; 0 = never
        zipf_s: exponent of the Zipf distribution of the accesses, 0 = uniform
    """
    active = min(active, processes)
    program = Program(processes, pages)
    where = zipf(0, pages, zipf_s)
    start_family(program, processes, pages)
    every = max(3, round(pages / fork_weight)) if fork_weight else 0
    with program.loop():
        for first in range(0, processes - active + 1, active):
            who = any_of(first, active)
            program.mix(
                burst,
                line("read", pid=who, page=where, weight=1 - write),
                line("write", pid=who, page=where, weight=write),
                line("reclaim", pid=who, page=where, arg=32, weight=reclaim),
                fork_every=every,
            )
    return program


@builtin
def forceswap(
    *, pages: Pages = 2048, batch: Pages = 64, children: Count = 1, child_life: Count = 2, reads: bool = True
) -> Program:
    """Page out, read, write, again and again: every write fault finds a page in the swap cache.

    Process 0 fills its pages.  In a round all pages are paged out, some batches at a time, read back in and written.
    Children forked before the page-out hold swap entries of every page and exit some rounds later.

    Parameters:
        pages: pages of process 0
        batch: pages of one MADV_PAGEOUT
        children: children alive at the same time; 0 = nobody shares
        child_life: rounds that a child lives
        reads: read each page before it is written; without, the write itself swaps in
    """
    batch = min(batch, pages)
    crew = max(children, 1)
    program = Program(children + 1, pages)
    everything = each(0, pages)
    program.mix(pages, line("write", page=everything))

    def rounds() -> None:
        program.mix(-(-pages // batch), line("pageout", page=everything, size=batch))
        if reads:
            program.mix(pages, line("read", page=everything))
        program.mix(pages, line("write", page=everything))

    with program.loop(children):
        program.do("fork", arg=turn(1, crew))
    with program.loop():
        with program.loop(child_life):
            rounds()
        if children:
            program.do("exit", pid=turn(1, crew))
            rounds()
            program.do("fork", arg=turn(1, crew))
    return program
