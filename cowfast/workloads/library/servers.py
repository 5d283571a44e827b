# SPDX-License-Identifier: MIT
"""Processes forked to serve: prefork, zygote, dataloader, forkserver, fork-exec."""

from cowfast.workloads.program import Program, any_of, each, fresh, line, turn, zipf
from cowfast.workloads.registry import Count, Exponent, Pages, Processes, Share, builtin


@builtin
def prefork(
    *,
    pages: Pages = 8192,
    workers: Processes = 4,
    generations: Count = 0,
    worker_writes: Count = 3500,
    worker_reads: Count = 1500,
    worker_hot: Count = 40,
    worker_new: Count = 8,
    master_during: Count = 2500,
    master_after: Count = 2500,
    teardown: Share = 0.0,
    zipf_s: Exponent = 0.0,
) -> Program:
    """A pre-forking server whose workers write what they only read, because reference counts live in the objects.

    Process 0 builds the object heap, then for ever: it forks its workers, all look at random objects (CPython,
    gunicorn: a look is a write to the page), the workers exit, and the master goes on alone for a while.

    Parameters:
        pages: pages of the object heap
        workers: workers of a generation
        generations: how many; 0 = without end
        worker_writes: random looks of a worker at objects with reference counts
        worker_reads: random looks of a worker at other data
        worker_hot: pages that every worker writes first (stack, allocator, interpreter state)
        worker_new: pages that a worker maps anew
        master_during: random looks of the master while its workers live
        master_after: random looks of the master after its workers exited
        teardown: share of the heap that the master writes at the end (only with generations)
        zipf_s: exponent of the Zipf distribution of the looks, 0 = uniform
    """
    program = Program(workers + 1, pages + worker_new, footprint=(workers + 1) * pages + workers * worker_new)
    where, crew, one = zipf(0, pages, zipf_s), any_of(1, workers), turn(1, workers)
    program.mix(pages, line("write", page=each(0, pages)))
    with program.loop(generations or None):
        with program.loop(workers):
            program.do("fork", arg=one)
            program.mix(worker_hot, line("write", pid=one, page=each(0, pages)))
        program.mix(
            workers * (worker_writes + worker_reads) + master_during,
            line("write", pid=crew, page=where, weight=workers * worker_writes),
            line("read", pid=crew, page=where, weight=workers * worker_reads),
            line("write", page=where, weight=master_during),
        )
        with program.loop(workers):
            program.mix(worker_new, line("write", pid=one, page=each(pages, max(worker_new, 1))))
            program.do("exit", pid=one)
        program.mix(master_after, line("write", page=where))
    if generations:
        program.mix(round(teardown * pages), line("write", page=each(0, pages)))
    return program


@builtin
def zygote(
    *,
    pages: Pages = 6000,
    apps: Processes = 16,
    start_reads: Count = 2000,
    start_writes: Count = 400,
    own: Count = 1500,
    accesses: Count = 20_000,
    write: Share = 0.3,
    zipf_s: Exponent = 1.0,
) -> Program:
    """Applications forked from one warmed-up process (Android): each writes a little of what it inherits.

    Process 0 fills its pages and only forks from then on.  An application that starts reads and writes a part of
    what it inherits and fills pages of its own; then all applications run; the oldest is killed for the next one.

    Parameters:
        pages: pages of the zygote
        apps: applications that live at the same time
        start_reads: reads of inherited pages at the start of an application
        start_writes: writes to inherited pages at its start
        own: pages that it fills for itself
        accesses: accesses of all applications together between two starts
        write: share of writes in the accesses to own pages; inherited pages are read
        zipf_s: exponent of the Zipf distribution of the accesses, 0 = uniform
    """
    program = Program(apps + 1, pages + own, footprint=(apps + 1) * pages + apps * own)
    newest, running = turn(1, apps), any_of(1, apps)
    inherited, private = zipf(0, pages, zipf_s), zipf(pages, max(own, 1), zipf_s)

    def start() -> None:
        program.do("fork", arg=newest)
        program.mix(
            start_reads + start_writes + own,
            line("read", pid=newest, page=inherited, weight=start_reads),
            line("write", pid=newest, page=any_of(0, pages), weight=start_writes),
            line("write", pid=newest, page=each(pages, max(own, 1)), weight=own),
        )

    program.mix(pages, line("write", page=each(0, pages)))
    with program.loop(apps):
        start()
    with program.loop():
        program.mix(
            accesses,
            line("read", pid=running, page=inherited, weight=0.5),
            line("read", pid=running, page=private, weight=0.5 * (1 - write) if own else 0),
            line("write", pid=running, page=private, weight=0.5 * write if own else 0),
        )
        program.do("exit", pid=newest)
        start()
    return program


@builtin
def dataloader(
    *,
    pages: Pages = 16_384,
    workers: Processes = 4,
    refcounted: Share = 0.8,
    buffers: Pages = 256,
    main_writes: Count = 4000,
) -> Program:
    """Workers of a training loop, forked anew each epoch, that look at every sample once (PyTorch DataLoader).

    Process 0 fills the data set.  In an epoch each page is looked at once by some worker, in random order; where
    samples are Python objects, the look writes.  Workers fill batch buffers of their own; the main process trains.

    Parameters:
        pages: pages of the data set
        workers: workers of an epoch
        refcounted: share of the pages where a look is a write
        buffers: pages of batch buffers of a worker, and of the main process's own
        main_writes: writes of the main process to its own pages during an epoch
    """
    program = Program(workers + 1, pages + buffers)
    crew, one = any_of(1, workers), turn(1, workers)
    program.mix(pages, line("write", page=each(0, pages)))
    with program.loop():
        with program.loop(workers):
            program.do("fork", arg=one)
        program.mix(
            2 * pages + main_writes,
            line("write", pid=crew, page=fresh(0, pages), weight=pages * refcounted),
            line("read", pid=crew, page=any_of(0, pages), weight=pages * (1 - refcounted)),
            line("write", pid=crew, page=any_of(pages, buffers), weight=pages),
            line("write", page=any_of(pages, buffers), weight=main_writes),
        )
        with program.loop(workers):
            program.do("exit", pid=one)
    return program


@builtin
def forkserver(
    *,
    pages: Pages = 2000,
    child_reads: Count = 600,
    child_writes: Count = 120,
    child_new: Count = 16,
    server_writes: Count = 6,
    zipf_s: Exponent = 0.8,
) -> Program:
    """A fuzzer's fork server (AFL): one short-lived child after another, thousands a second.

    Process 0 is the program under test, stopped after its start; each child runs one input and exits.

    Parameters:
        pages: pages of the program
        child_reads: reads of a run
        child_writes: writes of a run
        child_new: pages that a run maps anew
        server_writes: writes of the server between two runs
        zipf_s: exponent of the Zipf distribution of the accesses, 0 = uniform
    """
    program = Program(2, pages + child_new)
    where = zipf(0, pages, zipf_s)
    program.mix(pages, line("write", page=each(0, pages)))
    with program.loop():
        program.do("fork", arg=1)
        program.mix(
            child_reads + child_writes + child_new,
            line("read", pid=1, page=where, weight=child_reads),
            line("write", pid=1, page=where, weight=child_writes),
            line("write", pid=1, page=each(pages, max(child_new, 1)), weight=child_new),
        )
        program.do("exit", pid=1)
        program.mix(server_writes, line("write", page=where))
    return program


@builtin
def fork_exec(
    *,
    pages: Pages = 300,
    jobs: Processes = 2,
    launches: Count = 0,
    before_exec: Count = 27,
    child_new: Count = 4,
    parent_writes: Count = 19,
    image: Pages = 900,
    image_zero: Count = 0,
    image_reads: Count = 300,
    vfork: bool = False,
) -> Program:
    """A shell or make that starts one short program after another: fork, a few writes, exec.

    Process 0 is the shell.  A child writes some inherited pages (its stack, the job table), execs, fills the pages of
    the new program and exits when its turn comes again; the shell writes some of the same pages.

    Parameters:
        pages: pages of the shell
        jobs: programs that run at the same time
        launches: programs started in all; 0 = without end
        before_exec: inherited pages that a child writes before exec
        child_new: pages that a child maps anew before exec
        parent_writes: pages that the shell writes after each fork, the same ones as the child first
        image: pages that a program writes
        image_zero: pages that a program reads before it writes them (the zero page is replaced)
        image_reads: random reads of a program in its own pages
        vfork: the child borrows the address space until exec (posix_spawn): nothing is copied
    """
    empty = jobs + 1  # vfork and exec: a process with an empty address space, so fork it from one that has none
    program = Program(jobs + 1 + vfork, max(pages + child_new, image), footprint=pages + jobs * image)
    job = turn(1, jobs)
    if vfork:
        program.do("fork", arg=empty)

    def launch() -> None:
        program.do("fork", pid=empty if vfork else 0, arg=job)
        if not vfork:
            program.mix(before_exec, line("write", pid=job, page=each(0, pages)))
            program.mix(child_new, line("write", pid=job, page=each(pages, max(child_new, 1))))
        program.mix(parent_writes, line("write", page=each(0, pages)))
        if not vfork:
            program.do("exec", pid=job)
        program.mix(image_zero, line("read", pid=job, page=each(0, image)))
        program.mix(
            image + image_reads,
            line("write", pid=job, page=each(0, image), weight=image),
            line("read", pid=job, page=any_of(0, image), weight=image_reads),
        )

    program.mix(pages, line("write", page=each(0, pages)))
    with program.loop(min(jobs, launches) if launches else jobs):
        launch()
    with program.loop(max(0, launches - jobs) if launches else None):
        program.do("exit", pid=job)
        launch()
    return program
