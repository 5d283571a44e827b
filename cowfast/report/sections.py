# SPDX-License-Identifier: MIT
"""What a set of results is about: runs of one thing, or a sweep over parameters; and which figures say it."""

from __future__ import annotations

from typing import NamedTuple

from cowfast.compare import conditions
from cowfast.plotting import Document
from cowfast.plotting.rows import by_policy, parameters, varying
from cowfast.report.inline import inline_svg
from cowfast.report.table import Table, paired_table

#: A sweep shows each of its points as a table of its own up to so many; beyond, its figures say it.
POINTS_SHOWN = 12
MAPS_SHOWN = 6


class Figure(NamedTuple):
    """A picture and its caption."""

    caption: str
    svg: str


class Section(NamedTuple):
    """A table, with the figures that go with it."""

    title: str
    table: Table | None
    figures: list[Figure]


def sections(document: Document, baseline: str) -> list[Section]:
    """Return the parts of the report that hold results."""
    found = conditions(document.rows)
    if len(found) == 1:
        return [Section("Policies on the same events", paired_table(found[0], baseline), _figures(document))]
    parts = [Section("The sweep", None, _sweep_figures(document))]
    parts += [Section(point.label, paired_table(point, baseline), []) for point in found[:POINTS_SHOWN]]
    if len(found) > POINTS_SHOWN:
        more = f"{len(found) - POINTS_SHOWN} more points are in the figures and in the results file"
        parts.append(Section(more, None, []))
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


def _sweep_figures(document: Document) -> list[Figure]:
    axes = varying(document.rows)
    numeric = all(isinstance(parameters(row).get(axes[0]), int | float) for row in document.rows)
    if len(axes) == 1 and numeric:
        return [
            Figure(caption, inline_svg("lines", document, measure, x=axes[0], y=measure))
            for measure, caption in (
                ("needless_share", "Needless share of copies: mean over seeds, 95 % interval."),
                ("copies", "Copies: mean over seeds, 95 % interval."),
            )
        ]
    if len(axes) == 2:
        return [
            Figure(
                f"{policy}: needless share of copies, mean over seeds.",
                inline_svg("map", document, f"map{number}", x=axes[0], y=axes[1], policy=policy),
            )
            for number, policy in enumerate(list(by_policy(document.rows))[:MAPS_SHOWN])
        ]
    return []
