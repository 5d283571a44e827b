# SPDX-License-Identifier: MIT
"""Who does the work: one seam, ``concurrent.futures.Executor``.

Threads are the default, for the engine holds no GIL.  A cluster is dask's business: it notices dead workers and gives
their tasks to others.  Any other Executor object (loky, mpi4py, executorlib) is used as it is.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

from cowfast.errors import SpecError

KINDS = "threads:N, processes:N, serial, dask://HOST:PORT"


class Workers(NamedTuple):
    """An executor, how many tasks to have under way, and whether it shares memory with us."""

    executor: Executor
    window: int
    local: bool
    name: str


class Inline(Executor):
    """Does each task when it is submitted, in the thread that submits it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run ``fn`` now and return the finished future."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def open_executor(wanted: str | Executor = "threads") -> Iterator[Workers]:
    """Open the executor that a user names (see ``KINDS``) and shut it down afterwards; an Executor object is left open.

    Tasks that are still under way at the end are abandoned.
    """
    if isinstance(wanted, Executor):
        yield Workers(wanted, 2 * int(getattr(wanted, "_max_workers", 16)), False, type(wanted).__name__)
        return
    kind, _, rest = wanted.partition(":")
    if kind == "dask":
        with _dask(rest) as workers:
            yield workers
        return
    executor, window, local = _local(kind, rest, wanted)
    try:
        yield Workers(executor, window, local, wanted)
    finally:
        for process in list((getattr(executor, "_processes", None) or {}).values()):
            process.terminate()  # only when abandoned does one still work; nobody wants its rows
        executor.shutdown(cancel_futures=True)


def _local(kind: str, rest: str, wanted: str) -> tuple[Executor, int, bool]:
    if kind == "serial" and not rest:
        return Inline(), 1, True
    if kind not in ("threads", "processes") or not (rest.isdecimal() or not rest) or rest == "0":
        raise SpecError(f"executor {wanted!r}: write one of {KINDS}")
    number = int(rest) if rest else usable_cpus()
    if kind == "threads":
        return ThreadPoolExecutor(number, "cowfast"), number + 1, True
    import multiprocessing

    # Spawned, for a fork of a process with threads may inherit a lock that nobody will ever release.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(number, context, initializer=_leave_ctrl_c_to_the_parent), 2 * number, False


def usable_cpus() -> int:
    """Return how many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _leave_ctrl_c_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _dask(rest: str) -> Iterator[Workers]:
    """Connect to a scheduler at ``//host:port``; workers may come, go and die while tasks run."""
    try:
        from distributed import Client
    except ImportError as error:
        raise SpecError("dask:// needs dask.distributed: pip install 'cowfast[cluster]'") from error
    address = "tcp:" + rest
    try:
        client = Client(address, timeout=5, set_as_default=False)
    except (OSError, ValueError) as error:
        raise SpecError(f"dask:{rest}: no scheduler answers there; start one with `dask scheduler`") from error
    try:
        # A task whose worker dies goes to another one; it fails only when it has killed this many.
        executor = client.get_executor(retries=5, pure=False)
        cores = sum(client.nthreads().values())
        yield Workers(executor, max(16, 2 * cores), False, f"dask:{rest}")
    finally:
        client.close()
