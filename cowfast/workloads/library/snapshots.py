# SPDX-License-Identifier: MIT
"""Processes that fork to have a picture of themselves: bgsave, vm-snapshot."""

from cowfast.workloads.program import Program, any_of, each, jumping, line, other, turn, zipf
from cowfast.workloads.registry import Count, Exponent, Pages, Processes, Share, Weight, builtin


@builtin
def bgsave(
    *,
    pages: Pages = 8192,
    filled: Share = 1.0,
    snapshots: Count = 0,
    during: Count = 12_000,
    between: Count = 24_000,
    read: Share = 0.2,
    child_writes: Count = 48,
    child_new: Count = 2,
    zipf_s: Exponent = 0.0,
) -> Program:
    """A server that saves itself through a forked child (redis BGSAVE) while its clients go on writing.

    Process 0 fills its pages, then for ever: fork; the child writes a few pages of its own business (stack,
    allocator, stdio), reads everything once and exits; meanwhile the server's random writes copy what they hit.
    Between two snapshots the server writes alone: pages it did not copy are reused.

    Parameters:
        pages: pages of the server
        filled: share of the pages written before the first snapshot; the others are new when they are first written
        snapshots: how many; 0 = without end
        during: accesses of the server while the child lives
        between: accesses of the server between a child's exit and the next fork
        read: share of reads in the server's accesses
        child_writes: inherited pages that a child writes, the same ones in each snapshot
        child_new: pages that a child maps anew
        zipf_s: exponent of the Zipf distribution of the server's accesses, 0 = uniform
    """
    full = max(1, round(filled * pages))
    program = Program(processes=2, pages=pages + child_new, footprint=2 * pages + child_new)
    program.mix(full, line("write", page=jumping(0, pages)))
    where = zipf(0, pages, zipf_s)
    with program.loop(snapshots or None):
        program.do("fork", arg=1)
        program.mix(child_writes, line("write", pid=1, page=jumping(0, pages)))
        program.mix(
            during + full + child_new,
            line("write", page=where, weight=during * (1 - read)),
            line("read", page=where, weight=during * read),
            line("read", pid=1, page=jumping(0, pages), weight=full),
            line("write", pid=1, page=each(pages, max(child_new, 1)), weight=child_new),
        )
        program.do("exit", pid=1)
        program.mix(between, line("write", page=where, weight=1 - read), line("read", page=where, weight=read))
    return program


@builtin
def vm_snapshot(
    *,
    pages: Pages = 4096,
    clones: Processes = 12,
    accesses: Count = 20_000,
    start_writes: Count = 600,
    write: Share = 0.3,
    merge: Weight = 0.01,
    zipf_s: Exponent = 0.9,
) -> Program:
    """Virtual machines cloned from one booted image, memory merged by KSM (Firecracker snapshots, cloud functions).

    Process 0 boots: it fills its memory and never runs again.  Clones are forked from it one after the other; when
    there are enough, the oldest exits for the next.  A new clone writes a part of its memory at once (its clock, its
    network, its function), then all clones work; KSM merges pages that clones made equal.

    Parameters:
        pages: pages of a machine
        clones: machines that run at the same time
        accesses: accesses of all clones together between two starts
        start_writes: writes of a new clone before it serves
        write: share of writes in the accesses
        merge: weight of merges against accesses (weight 1)
        zipf_s: exponent of the Zipf distribution of the accesses, 0 = uniform
    """
    program = Program(clones + 1, pages)
    newest, running = turn(1, clones), any_of(1, clones)
    where = zipf(0, pages, zipf_s)
    program.mix(pages, line("write", page=each(0, pages)))
    with program.loop(clones):
        program.do("fork", arg=newest)
        program.mix(start_writes, line("write", pid=newest, page=where))
    with program.loop():
        program.mix(
            accesses,
            line("read", pid=running, page=where, weight=1 - write),
            line("write", pid=running, page=where, weight=write),
            line("merge", pid=running, page=where, arg=other(1, clones), weight=merge if clones > 1 else 0),
        )
        program.do("exit", pid=newest)
        program.do("fork", arg=newest)
        program.mix(start_writes, line("write", pid=newest, page=where))
    return program
