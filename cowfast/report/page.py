# SPDX-License-Identifier: MIT
"""Puts the report together."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from cowfast._version import __version__
from cowfast.compare.run import choose_baseline
from cowfast.compare.statistics import flatten
from cowfast.errors import CowfastError, ResultsError
from cowfast.files import replacing
from cowfast.machine import Machine
from cowfast.plotting import Document, read_document
from cowfast.plotting.document import common
from cowfast.plotting.rows import Row, by_policy
from cowfast.report.sections import sections


def write_report(
    results: str | Path, page: str | Path, *, baseline: str | None = None, title: str | None = None
) -> None:
    """Write a self-contained HTML page about a results file.

    ``baseline`` is the policy the others are compared with (default: as ``cowfast compare``). Raises ``ResultsError`` if
    the file has no results, ``SpecError`` if the baseline is not among them.
    """
    text = render(read_document(results), baseline=baseline, title=title)
    with replacing(page, ResultsError) as file:
        file.write(text.encode())


def render(document: Document, *, baseline: str | None = None, title: str | None = None) -> str:
    """Return the page as text."""
    from jinja2 import Environment, StrictUndefined

    from cowfast.counters import COUNTERS

    if not document.rows:
        raise ResultsError("a report needs results of cowfast run, compare or sweep; this file has none")
    names = list(by_policy(document.rows))
    base = choose_baseline(baseline, names)
    here = resources.files(__package__)
    template = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string((here / "page.html.j2").read_text(encoding="utf-8"))
    return template.render(
        title=title or document.title or "results",
        version=__version__,
        style=(here / "page.css").read_text(encoding="utf-8"),
        script=(here / "page.js").read_text(encoding="utf-8"),
        facts=_facts(document.rows),
        sections=sections(document, base),
        failed=document.failed,
        policies=[_policy(name) for name in names],
        provenance=_flat_common([row.get("provenance", {}) for row in document.rows]),
        commands=_commands(document.rows),
        counters=COUNTERS,
    )


def _flat_common(records: Sequence[Any]) -> dict[str, Any]:
    return common([flatten(record) for record in records])


def _facts(rows: Sequence[Row]) -> dict[str, str]:
    """What was run, in the words of the spec: whatever all runs have in common."""
    seeds = sorted({row.get("seed", 0) for row in rows})
    spec = _flat_common([row.get("spec", {}) for row in rows])
    shown = {
        key: value for key, value in spec.items() if value is not None and not key.endswith(("hash", "policy", "seed"))
    }
    facts = {"runs": f"{len(rows)}", "seeds": ", ".join(map(str, seeds)) if len(seeds) < 12 else f"{len(seeds)} seeds"}
    return facts | {key.rpartition(".")[2].replace("_", " "): f"{value}" for key, value in shown.items()}


def _policy(name: str) -> dict[str, Any]:
    """The checks of a policy; one that is no longer there keeps its name."""
    from cowfast.policy import load_policy

    try:
        policy = load_policy(name)
    except CowfastError:
        return {
            "name": name,
            "summary": "a policy of the user's; its file is not at hand",
            "write_fault": (),
            "swap_in": (),
        }
    return {"name": name, "summary": policy.summary, "write_fault": policy.write_fault, "swap_in": policy.swap_in}


def _commands(rows: Sequence[Row]) -> list[str]:
    """How to make these results again."""
    sources = {str(row.get("source", "")) for row in rows}
    if len(sources) > 1 or not any(sources):
        return []
    spec = _flat_common([row.get("spec", {}) for row in rows])
    seeds = sorted({row["seed"] for row in rows})
    words = ["cowfast compare", sources.pop(), f"--policy {','.join(by_policy(rows))}", f"--seed {seeds[0]}"]
    words += [f"--seeds {len(seeds)}"] if len(seeds) > 1 else []
    chosen = {key.removeprefix("source.parameters."): value for key, value in spec.items() if ".parameters." in key}
    words += [f"--set {key}={value}" for key, value in chosen.items() if isinstance(value, int | float | str)]
    defaults = Machine().to_dict()
    machine = {key.removeprefix("machine."): value for key, value in spec.items() if key.startswith("machine.")}
    words += [f"--memory {memory}"] if (memory := machine.pop("memory", 0)) else []
    words += [f"--machine {key}={value}".lower() for key, value in machine.items() if defaults.get(key) != value]
    return [" ".join(words)]
