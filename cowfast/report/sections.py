# SPDX-License-Identifier: MIT
"""What a set of results is about: runs of one thing, or a sweep over parameters; and which figures say it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cowfast.plotting import Document
from cowfast.plotting.measures import axis_label
from cowfast.plotting.rows import Row, by_policy, parameters
from cowfast.report.inline import inline_svg
from cowfast.report.table import Table, paired_table

#: A sweep shows each of its points as a table of its own up to so many; beyond, its figures say it.
POINTS_SHOWN = 12
MAPS_SHOWN = 6
#: What tells two policies or two seeds apart, not two points of a sweep.
_NOT_A_POINT = ("policy", "seed", "spec.policy", "spec.policy_hash", "spec.seed", "spec_hash", "id", "seconds", "error")


class Figure(NamedTuple):
    """A picture and its caption."""

    caption: str
    svg: str


class Section(NamedTuple):
    """A table, with the figures that go with it."""

    title: str
    table: Table | None
    figures: list[Figure]


def points(rows: Sequence[Row]) -> dict[tuple[tuple[str, Any], ...], list[Row]]:
    """Return the runs by what they have apart from policy and seed: the parameters that vary, with their values."""
    flats = [
        {
            key: value
            for key, value in parameters(row).items()
            if key not in _NOT_A_POINT and not key.startswith("provenance")
        }
        for row in rows
    ]
    keys = dict.fromkeys(key for flat in flats for key in flat)
    varying = [key for key in keys if len({repr(flat.get(key)) for flat in flats}) > 1]
    found: dict[tuple[tuple[str, Any], ...], list[Row]] = {}
    for row, flat in zip(rows, flats, strict=True):
        found.setdefault(tuple((key, flat.get(key)) for key in varying), []).append(row)
    return found


def sections(document: Document, baseline: str | None) -> list[Section]:
    """Return the parts of the report that hold results."""
    groups = points(document.rows)
    if len(groups) == 1:
        return [Section("Policies on the same events", paired_table(document.rows, baseline), _figures(document))]
    parts = [Section("The sweep", None, _sweep_figures(document, [key for key, _ in next(iter(groups))]))]
    for point, rows in list(groups.items())[:POINTS_SHOWN]:
        title = ", ".join(f"{axis_label(key)} {value}" for key, value in point)
        parts.append(Section(title, paired_table(rows, baseline), []))
    if len(groups) > POINTS_SHOWN:
        parts.append(
            Section(f"… and {len(groups) - POINTS_SHOWN} more points, in the figures and in the results file", None, [])
        )
    return parts


def _figures(document: Document) -> list[Figure]:
    captions = {
        "copies": "Copies in write faults. Coloured: for nothing, by cause. Grey: somebody else could see the page.",
        "churn": "What left the swap cache, by cause (left), what entered it (right), and writes to the device.",
        "cost": "The same in time, at set prices: relations, not predictions.",
    }
    if sum(name.startswith("linux-") for name in by_policy(document.rows)) >= 3:
        captions["history"] = "Kernels from old to new; each column has its own scale."
    figures = [Figure(caption, inline_svg(kind, document, kind)) for kind, caption in captions.items()]
    for number, row in enumerate(row for row in document.rows if row.get("samples")):
        if number < MAPS_SHOWN:
            svg = inline_svg("timeline", Document([row]), f"timeline{number}")
            figures.append(Figure(f"{row['policy']}, seed {row.get('seed')}: the run over its events.", svg))
    return figures


def _sweep_figures(document: Document, varying: list[str]) -> list[Figure]:
    numeric = [
        key for key in varying if all(isinstance(parameters(row).get(key), int | float) for row in document.rows)
    ]
    if len(varying) == 1 and numeric:
        return [
            Figure(caption, inline_svg("lines", document, measure, x=varying[0], y=measure))
            for measure, caption in (
                ("needless_share", "Needless share of copies: mean over seeds, 95 % interval."),
                ("copies", "Copies: mean over seeds, 95 % interval."),
            )
        ]
    if len(varying) == 2:
        return [
            Figure(
                f"{policy}: needless share of copies, mean over seeds.",
                inline_svg("map", document, f"map{number}", x=varying[0], y=varying[1], policy=policy),
            )
            for number, policy in enumerate(list(by_policy(document.rows))[:MAPS_SHOWN])
        ]
    return []
