# SPDX-License-Identifier: MIT
"""What a workload function writes: mixes of events and loops around them, compiled for the generator.

A :class:`Program` is a list of steps.  A step is a *mix* of ``n`` events, each drawn from weighted *lines*; a mix
of one line is a sweep, or a single event.  In a line, pid, page and argument are numbers or a :class:`Pick`::

    program = Program(processes=2, pages=100)
    program.mix(100, line("write", page=each(0, 100)))                # process 0 fills
    with program.loop():                                              # for ever
        program.mix(1, line("fork", arg=1))
        program.mix(500, line("write", page=any_of(0, 100), weight=0.8),
                         line("read", pid=1, page=each(0, 100), weight=0.2))
        program.mix(1, line("exit", pid=1))
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from cowfast._layout import EventFlag, Op
from cowfast.workloads._generate import LINE, MAX_DEPTH, MAX_LINES, STEP, Rule, StepKind, spread

FLAGS = {"look": EventFlag.EV_LOOK, "write": EventFlag.EV_WRITE, "longterm": EventFlag.EV_LONGTERM}


@dataclass(frozen=True)
class Pick:
    """One of ``count`` numbers from ``first`` on, by a rule of the generator; ``s`` is the exponent of zipf."""

    rule: Rule
    first: int
    count: int
    s: float = 0.0
    outer: int = 0
    scattered: bool = True


def any_of(first: int, count: int) -> Pick:
    """Each with the same probability."""
    return Pick(Rule.RANDOM, first, count)


def zipf(first: int, count: int, s: float, *, scattered: bool = True) -> Pick:
    """Rank k with probability ~ k^-s; ranks are scattered over the range, or in order. ``s = 0`` is uniform."""
    return Pick(Rule.ZIPF, first, count, s, scattered=scattered) if s else any_of(first, count)


def each(first: int, count: int) -> Pick:
    """One after the other, from the first again when the step begins."""
    return Pick(Rule.CURSOR, first, count)


def jumping(first: int, count: int) -> Pick:
    """Each once a round in an order that jumps; the same order each time the step begins."""
    return Pick(Rule.SPREAD, first, count)


def fresh(first: int, count: int) -> Pick:
    """Like :func:`jumping`, beginning at a random place each time: ``n < count`` events name n different pages."""
    return Pick(Rule.FRESH, first, count)


def turn(first: int, count: int, *, outer: int = 0) -> Pick:
    """By the iteration of the loop around the step (``outer`` loops further out)."""
    return Pick(Rule.TURN, first, count, outer=outer)


def other(first: int, count: int) -> Pick:
    """For an argument that is a process: any but the event's own; pids must be picked from the same range."""
    return Pick(Rule.OTHER, first, count)


def toggle(first: int, count: int) -> Pick:
    """For the argument of get, pin, lock: a random reference number, taken if it is free and released if not."""
    return Pick(Rule.TOGGLE, first, count)


def held(first: int, count: int) -> Pick:
    """For the argument of pinread, pinwrite: a random reference number; if it is free the event is a read."""
    return Pick(Rule.HELD, first, count)


@dataclass(frozen=True)
class Line:
    """One kind of event in a mix."""

    op: Op
    pid: Pick
    page: Pick
    arg: Pick
    flags: int
    weight: float
    size: int


def line(
    op: str,
    *,
    pid: int | Pick = 0,
    page: int | Pick = 0,
    arg: int | Pick = 0,
    flags: str = "",
    weight: float = 1.0,
    size: int = 1,
) -> Line:
    """Return a line of a mix: an operation and who does it where; ``flags`` are words ("look write longterm").

    ``size`` is the number of pages that a range operation (pageout, discard, protect, prefetch) names.
    """
    bits = sum(FLAGS[word] for word in flags.split())
    return Line(Op[op.upper()], _pick(pid), _pick(page), _pick(size if size > 1 else arg), bits, weight, size)


def _pick(number: int | Pick) -> Pick:
    return number if isinstance(number, Pick) else Pick(Rule.FIXED, number, 1)


@dataclass
class Program:
    """Steps, and how many processes, pages of address space and reference numbers they name.

    ``footprint`` is what memory shares refer to: the pages that all processes would touch together if they
    shared none; None means that every process touches all pages.
    """

    processes: int
    pages: int
    references: int = 0
    footprint: int | None = None
    steps: list[tuple[int, int, int, int, int, int, int]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    open_loops: int = 0

    def mix(self, n: int | None, *lines: Line, fork_every: int = 0) -> None:
        """Add ``n`` events drawn from the lines (None: without end; 0: nothing).

        ``fork_every`` = k: the last two of each k events are an exit of a random process and a fork of it from
        another one; the pids are those of the first line.
        """
        chosen = [each for each in lines if each.weight > 0]
        if n == 0 or not chosen:
            return
        first = len(self.lines)
        self.lines += chosen
        who = chosen[0].pid
        every = fork_every if who.count > 1 else 0
        self.steps.append((n or 0, first, len(self.lines), every, who.first, who.count, StepKind.MIX))

    def do(self, op: str, *, pid: int | Pick = 0, page: int | Pick = 0, arg: int | Pick = 0, flags: str = "") -> None:
        """Add a single event."""
        self.mix(1, line(op, pid=pid, page=page, arg=arg, flags=flags))

    @contextmanager
    def loop(self, n: int | None = None) -> Iterator[None]:
        """Repeat the steps in the block ``n`` times (None: without end)."""
        start = len(self.steps)
        self.steps.append((0, 0, 0, 0, 0, 0, StepKind.LOOP))
        self.open_loops += 1
        if self.open_loops > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} loops inside one another")
        yield
        self.open_loops -= 1
        if len(self.steps) == start + 1 or n == 0:
            del self.steps[start:]
            return
        self.steps.append((0, start, 0, 0, 0, 0, StepKind.END))
        self.steps[start] = (n or 0, 0, len(self.steps) - 1, 0, 0, 0, StepKind.LOOP)

    def length(self) -> int | None:
        """Return how many events the program makes, None if without end."""
        sums, times = [0], [1]
        for n, *_, kind in self.steps:
            if kind == StepKind.LOOP:
                sums.append(0)
                times.append(n)
            if kind != StepKind.END and n == 0:
                return None
            if kind == StepKind.MIX:
                sums[-1] += n
            elif kind == StepKind.END:
                inner = sums.pop() * times.pop()
                sums[-1] += inner
        return sums[0]

    def moved(self, pid: int, reference: int) -> Program:
        """Return the same program with other process and reference numbers, counted from these on."""

        def move(it: Line) -> Line:
            by = pid if it.op in _ARG_IS_PID else reference if it.op in _ARG_IS_REFERENCE else 0
            who, what = replace(it.pid, first=it.pid.first + pid), replace(it.arg, first=it.arg.first + by)
            return replace(it, pid=who, arg=what)

        return Program(
            self.processes + pid,
            self.pages,
            self.references + reference,
            self.processes * self.pages if self.footprint is None else self.footprint,
            [(*step[:4], step[4] + pid, *step[5:]) for step in self.steps],
            [move(each) for each in self.lines],
        )


_ARG_IS_PID = {Op.FORK, Op.MERGE}
_ARG_IS_REFERENCE = {Op.GET, Op.PUT, Op.PIN, Op.UNPIN, Op.PINREAD, Op.PINWRITE, Op.LOCK, Op.UNLOCK}


@dataclass
class Compiled:
    """The arguments of ``_generate.Generator`` for programs that run at the same time."""

    steps: np.ndarray
    lines: np.ndarray
    parts: list[tuple[int, int, int]]
    zipfs: list[tuple[int, float, int]]
    bulks: list[tuple[int, int]]


def compile_programs(programs: list[Program], weights: list[int]) -> Compiled:
    """Lower programs to records; programs must not share pids or references."""
    steps: list[tuple[int, ...]] = []
    lines: list[list[int]] = []
    parts: list[tuple[int, int, int]] = []
    zipfs: dict[tuple[int, float, int], int] = {}
    bulks: list[tuple[int, int]] = []
    for program, weight in zip(programs, weights, strict=True):
        step0, line0 = len(steps), len(lines)
        lines += [_record(each, zipfs) for each in program.lines]
        for n, first, last, every, fork_pid, fork_pids, kind in program.steps:
            base, bulk = step0, 0
            if kind == StepKind.MIX:
                base, chosen = line0, program.lines[first:last]
                _set_limits(lines, line0 + first, chosen)
                if _is_bulk(chosen):
                    bulks.append((line0 + first, line0 + last))
                    bulk = len(bulks)
            steps.append((n, base + first, base + last, every, fork_pid, fork_pids, kind, 0, bulk))
        parts.append((step0, len(steps), weight))
    # One record more than there are: nothing has to ask whether a table is empty.
    return Compiled(
        np.array([*steps, (0,) * 9], STEP),
        np.array([*map(tuple, lines), (0,) * 17], LINE),
        parts,
        list(zipfs),
        bulks,
    )


def _record(each: Line, zipfs: dict[tuple[int, float, int], int]) -> list[int]:
    multiplier, index = spread(each.page.count), 0
    if each.page.rule == Rule.ZIPF:
        key = (each.page.count, each.page.s, multiplier if each.page.scattered else 1)
        index = zipfs.setdefault(key, len(zipfs))
    who, where, what = each.pid, each.page, each.arg
    numbers = [0, who.first, who.count, where.first, where.count, what.first, what.count, multiplier, index, each.size]
    outer = max(who.outer, where.outer, what.outer)
    return [*numbers, each.op, each.flags, who.rule, where.rule, what.rule, outer, 0]


def _set_limits(lines: list[list[int]], first: int, chosen: list[Line]) -> None:
    total, below = sum(each.weight for each in chosen), 0.0
    for i, each in enumerate(chosen):
        lines[first + i][0] = min(round(below / total * 2**32), 2**32 - 1)
        below += each.weight


def _is_bulk(chosen: list[Line]) -> bool:
    """Do all lines pick pid and page in the same way, one that the bulk loops know?"""
    head = chosen[0]
    return (
        len(chosen) <= MAX_LINES
        and len({(each.pid, each.page) for each in chosen}) == 1
        and head.pid.rule in (Rule.FIXED, Rule.RANDOM)
        and head.page.rule in (Rule.RANDOM, Rule.ZIPF)
        and all(each.arg.rule in (Rule.FIXED, Rule.RANDOM, Rule.OTHER, Rule.TOGGLE, Rule.HELD) for each in chosen)
    )
