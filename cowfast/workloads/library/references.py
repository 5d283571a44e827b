# SPDX-License-Identifier: MIT
"""References from outside the page tables: pinned-io, scan."""

from cowfast.workloads.program import Line, Program, any_of, each, line, toggle
from cowfast.workloads.registry import Count, Pages, Share, Weight, builtin


@builtin
def pinned_io(
    *,
    pages: Pages = 4096,
    buffers: Pages = 64,
    longterm: bool = True,
    io: Count = 4000,
    accesses: Count = 8000,
    write: Share = 0.5,
    pageout: Weight = 0.01,
    short: Weight = 0.01,
    child_writes: Count = 300,
) -> Program:
    """Buffers pinned for a device (RDMA, io_uring, vfio) under fork, reclaim and the process's own writes.

    Process 0 fills its pages and pins its buffers for writing.  Then for ever: the device reads and writes through the
    pins while the process works and somebody pages out; a child is forked, both write, the child exits; at the end
    of a round the buffers are unpinned and pinned again.  Other pages are pinned for short reads (O_DIRECT).

    Parameters:
        pages: pages of the process; the buffers are the first ones
        buffers: pages pinned
        longterm: the pins are long-term ones (RDMA), else short (io_uring)
        io: device accesses in each half of a round
        accesses: accesses of the process in each half of a round
        write: share of writes, of the process and of the device
        pageout: weight of MADV_PAGEOUT of one page, against accesses (weight 1)
        short: weight of taking and dropping short read-only pins of other pages
        child_writes: writes of the child
    """
    buffers = min(buffers, pages)
    program = Program(2, pages, references=buffers + 32)
    pins, everywhere = each(0, buffers), any_of(0, pages)
    flags = "write longterm" if longterm else "write"
    program.mix(pages, line("write", page=each(0, pages)))

    def work(*more: Line, extra: int = 0) -> None:
        program.mix(
            io + accesses + extra,
            line("pinwrite", arg=any_of(0, buffers), weight=io * write),
            line("pinread", arg=any_of(0, buffers), weight=io * (1 - write)),
            line("write", page=everywhere, weight=accesses * write),
            line("read", page=everywhere, weight=accesses * (1 - write)),
            line("pageout", page=everywhere, weight=accesses * pageout),
            line("pin", page=everywhere, arg=toggle(buffers, 32), weight=accesses * short),
            *more,
        )

    with program.loop():
        program.mix(buffers, line("pin", page=pins, arg=each(0, buffers), flags=flags))
        work()
        program.do("fork", arg=1)
        work(line("write", pid=1, page=everywhere, weight=child_writes), extra=child_writes)
        program.do("exit", pid=1)
        program.mix(buffers, line("unpin", arg=each(0, buffers)))
    return program


@builtin
def scan(
    *,
    pages: Pages = 4096,
    writes: Count = 8000,
    child_reads: Count = 2000,
    get: Weight = 0.05,
    look: Weight = 0.0,
    lock: Weight = 0.02,
    holds: Pages = 48,
) -> Program:
    """A scanner (compaction, idle-page tracking, a memory cgroup's counter) that holds pages for a moment.

    Process 0 fills its pages, forks, and writes; its child reads and exits; it writes again.  All the while somebody
    takes a reference or the lock of a random page and drops it soon: a policy that counts references copies for it.

    Parameters:
        pages: pages of the process
        writes: writes of the process while the child lives, and again after its exit
        child_reads: reads of the child
        get: weight of taking and dropping plain references, against accesses (weight 1)
        look: weight of taking and dropping references whose holder looks (vmsplice)
        lock: weight of taking and letting go page locks
        holds: references and locks at most at the same time, half each; on average half of them are held
    """
    half = max(1, holds // 2)
    program = Program(2, pages, references=2 * half, footprint=2 * pages)
    where = any_of(0, pages)
    program.mix(pages, line("write", page=each(0, pages)))

    def work(reads: int) -> None:
        scanner = [
            line("get", page=where, arg=toggle(0, half), weight=get * (writes + reads)),
            line("get", page=where, arg=toggle(0, half), flags="look", weight=look * (writes + reads)),
            line("lock", page=where, arg=toggle(half, half), weight=lock * (writes + reads)),
        ]
        n = writes + reads + round((get + look + lock) * (writes + reads))
        program.mix(
            n,
            line("write", page=where, weight=writes),
            line("read", pid=1, page=where, weight=reads),
            *scanner,
        )

    with program.loop():
        program.do("fork", arg=1)
        work(child_reads)
        program.do("exit", pid=1)
        work(0)
    return program
