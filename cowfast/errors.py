# SPDX-License-Identifier: MIT
"""What can go wrong, and how it is said: which event, line or key, what is wrong, what to write instead."""

from __future__ import annotations

from cowfast._layout import Status


class CowfastError(Exception):
    """Base of everything cowfast raises on purpose; the command line prints it and exits with 2."""


class EventError(CowfastError):
    """An event that cannot be done.  Nothing of it was done; the events before it were."""

    def __init__(self, index: int, event: str, reason: str, hint: str = "") -> None:
        super().__init__(index, event, reason, hint)
        self.index, self.event, self.reason, self.hint = index, event, reason, hint

    def __str__(self) -> str:
        return f"event {self.index} ({self.event}): {self.reason}" + (f"; {self.hint}" if self.hint else "")


class MemoryFullError(EventError):
    """The memory limit is reached and reclaim finds nothing to free."""


class SwapFullError(EventError):
    """More swap slots were asked for than are free."""


class PolicyError(CowfastError):
    """A policy that cannot be: names the file, the key and what is allowed."""

    def __init__(self, file: str, key: str, problem: str, hint: str = "") -> None:
        super().__init__(file, key, problem, hint)
        self.file, self.key, self.problem, self.hint = file, key, problem, hint

    def __str__(self) -> str:
        where = f"policy {self.file}" + (f", {self.key}" if self.key else "")
        return f"{where}: {self.problem}" + (f"; {self.hint}" if self.hint else "")


class MachineError(CowfastError):
    """A machine that cannot be."""


class WorkloadError(CowfastError):
    """An unknown workload, or parameters it cannot have."""


class TraceError(CowfastError):
    """A trace or record file that cannot be read, with file and line or frame."""


class ResultsError(CowfastError):
    """A results file that cannot be read or written."""


class SpecError(CowfastError):
    """A sweep spec, scenario or option that cannot be understood."""


class InvariantError(CowfastError):
    """``verify()`` found a count that is not what the page tables say: a bug of cowfast."""


_STATUS: dict[int, tuple[type[EventError], str, str]] = {
    Status.ERR_BAD_OP: (EventError, "there is no such operation", "known are the names of cowfast._layout.Op"),
    Status.ERR_BAD_PID: (EventError, "no such process number on this machine", "raise machine.processes or renumber"),
    Status.ERR_BAD_PAGE: (EventError, "beyond the address space", "raise machine.space or renumber the pages"),
    Status.ERR_DEAD_PID: (EventError, "the process is not alive", "fork it first"),
    Status.ERR_CHILD_ALIVE: (EventError, "the child is alive already", "let it exit first or take another number"),
    Status.ERR_BAD_REF: (EventError, "no such reference number on this machine", "raise machine.references"),
    Status.ERR_REF_BUSY: (EventError, "the reference number is in use", "put, unpin or unlock it first"),
    Status.ERR_REF_EMPTY: (EventError, "nothing is held under this reference number", "get, pin or lock first"),
    Status.ERR_REF_KIND: (EventError, "the reference is of another kind", "put a get, unpin a pin, unlock a lock"),
    Status.ERR_ALREADY_LOCKED: (EventError, "the page is locked already", "unlock it first"),
    Status.ERR_MEMORY_FULL: (
        MemoryFullError,
        "memory is full and nothing can be reclaimed",
        "give the machine more memory or swap slots",
    ),
    Status.ERR_SWAP_FULL: (SwapFullError, "not that many swap slots are free", "raise machine.swap_slots"),
    Status.ERR_COUNT_LIMIT: (EventError, "a reference count is at its limit", "use fewer references to one page"),
    Status.ERR_BAD_FLAGS: (EventError, "flags that this operation does not have", "look for LOOK, WRITE, LONGTERM"),
    Status.ERR_TABLE_LIMIT: (EventError, "more than 2^26 pages or slots are needed", "give the machine a memory limit"),
    Status.ERR_BAD_CPU: (EventError, "no such CPU on this machine", "raise machine.cpus"),
}


def raise_status(status: int, index: int, event: str, detail: str = "") -> None:
    """Raises what a negative native status means.

    Parameters
    ----------
    status : a negative ``cowfast._layout.Status``
    index : number of the event in the run
    event : its text (``cowfast.events.format_event``)
    detail : what the engine knows besides (how many pages, which limit)
    """
    kind, reason, hint = _STATUS[status]
    raise kind(index, event, f"{reason} ({detail})" if detail else reason, hint)
