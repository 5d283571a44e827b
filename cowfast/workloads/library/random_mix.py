# SPDX-License-Identifier: MIT
"""random-mix: independent events over equal processes."""

from cowfast.workloads.program import Line, Program, any_of, each, held, line, other, toggle, zipf
from cowfast.workloads.registry import Exponent, Pages, Processes, References, Weight, builtin


def start_family(program: Program, processes: int, pages: int) -> None:
    """Process 0 fills all pages; process p is forked from p / 2."""
    program.mix(pages, line("write", page=each(0, pages)))
    for child in range(1, processes):
        program.do("fork", pid=child // 2, arg=child)


@builtin
def random_mix(
    *,
    processes: Processes = 16,
    pages: Pages = 1024,
    read: Weight = 0.46,
    write: Weight = 0.46,
    pageout: Weight = 0.04,
    get: Weight = 0.01,
    look: Weight = 0.0,
    pin: Weight = 0.004,
    lock: Weight = 0.01,
    merge: Weight = 0.001,
    discard: Weight = 0.0,
    protect: Weight = 0.0,
    prefetch: Weight = 0.0,
    drain: Weight = 0.0,
    reclaim: Weight = 0.0,
    pinwrite: Weight = 0.0,
    references: References = 64,
    fork_weight: Weight = 0.4,
    zipf_s: Exponent = 0.0,
) -> Program:
    """Independent random events over equal processes: what no cache, no phase and no locality can excuse.

    Process 0 writes all pages, the others are forked from one another (p from p / 2), then every event is drawn
    alone: who, what, where; but now and then a random process exits and is forked again from another one.
    Weights are relative to their sum.  `get`, `pin` and `lock` events take a random reference number if it is free
    and release it if not, so about half of the numbers are held.

    Parameters:
        processes: processes, all alive but for the moment between an exit and its fork
        pages: pages of each process
        read: weight of reads
        write: weight of writes
        pageout: weight of MADV_PAGEOUT of one page
        get: weight of taking and dropping plain references whose holder never looks (a scanner)
        look: weight of taking and dropping plain references whose holder looks (vmsplice): reuse under one is a leak
        pin: weight of read-only pins and unpins
        lock: weight of page locks taken and let go by somebody else
        merge: weight of KSM merging the page of two processes
        discard: weight of MADV_DONTNEED of one page
        protect: weight of mprotect to read-only and back
        prefetch: weight of MADV_WILLNEED of one page
        drain: weight of draining the LRU batch of a CPU
        reclaim: weight of direct reclaim of 32 pages
        pinwrite: weight of device writes through a held pin
        references: reference numbers, a third each for get and look, pin, lock
        fork_weight: ptes copied by fork per event: an exit and a fork every pages / fork_weight events; 0 = never
        zipf_s: exponent of the Zipf distribution over the pages, 0 = uniform
    """
    program = Program(processes, pages, references)
    start_family(program, processes, pages)
    pids, where = any_of(0, processes), zipf(0, pages, zipf_s)
    third = references // 3

    def one(op: str, weight: float, **rest: object) -> Line:
        return line(op, pid=pids, page=where, weight=weight, **rest)  # type: ignore[arg-type]

    lines = [one("read", read), one("write", write), one("pageout", pageout)]
    if third:
        lines += [
            one("get", get, arg=toggle(0, third)),
            one("get", look, arg=toggle(0, third), flags="look"),
            one("pin", pin, arg=toggle(third, third)),
            one("pinwrite", pinwrite, arg=held(third, third)),
            one("lock", lock, arg=toggle(2 * third, third)),
        ]
    if processes > 1:
        lines.append(one("merge", merge, arg=other(0, processes)))
    lines += [
        one("discard", discard),
        one("protect", protect),
        one("prefetch", prefetch),
        one("drain", drain),
        one("reclaim", reclaim, arg=32),
    ]
    every = round(pages / fork_weight) if fork_weight and processes > 1 else 0
    program.mix(None, *lines, fork_every=max(every, 3) if every else 0)
    return program
