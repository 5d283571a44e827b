# SPDX-License-Identifier: MIT
"""The tables of docs/performance.md, from what was measured (benchmarks/figures); the text around them is written by hand.

A table stands between ``<!-- NAME -->`` and ``<!-- end of NAME -->``.
"""

import json
import re
from typing import Any

from _page import ROOT, emit
from cowfast.bench import MEASUREMENTS

PAGE = "docs/performance.md"
FIGURES = ROOT / "benchmarks" / "figures"


def conditions(found: dict[str, Any]) -> str:
    """Return a sentence that says where figures are from."""
    return "Measured on " + ", ".join(f"{name} {value}" for name, value in found.items()) + "."


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table whose first column is text."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float) -> str:
    """Return three significant digits, and no more than there are."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def rates() -> str:
    """Return the rows of `cowfast bench`."""
    found = json.loads((FIGURES / "bench.json").read_text())
    rows = [
        [
            f"`{row['name']}`",
            number(row["cowfast"]),
            number(row["yardstick"]),
            row["unit"],
            f"{row['ratio']:.2f}",
            f"{row['goal']:.2f}",
            "yes" if row["ratio"] >= row["goal"] else "no",
        ]
        for row in found["rows"]
    ]
    missing = [f"* `{name}` was not measured: {reason}" for name, reason in found["missing"].items()]
    head = ["row", "cowfast", "yardstick", "unit", "ratio", "at least", "holds"]
    return "\n\n".join([conditions(found["conditions"]), table(head, rows), *(["\n".join(missing)] if missing else [])])


def meanings() -> str:
    """Return what each row of `cowfast bench` compares; rows that compare the same thing stand together."""
    whats: dict[str, list[str]] = {}
    for measurement in MEASUREMENTS:
        whats.setdefault(measurement.what, []).extend(f"`{promise.name}`" for promise in measurement.promises)
    return "\n".join(f"* {', '.join(names)}: {what}." for what, names in whats.items())


def kinds() -> str:
    """Return nanoseconds by kind of outcome, a column for each scale."""
    found = json.loads((FIGURES / "kinds.json").read_text())
    scales = found["scales"]
    head = ["ns", *(f"{scale['processes']} × {scale['pages']:,}" for scale in scales)]
    rows = [[kind, *(number(scale["kinds"][kind]) for scale in scales)] for kind in scales[0]["kinds"]]
    return f"{conditions(found['conditions'])}\n\n{table(head, rows)}"


def counts() -> str:
    """Return the ceilings of instructions and mispredicted branches."""
    import tomllib

    found = tomllib.loads((ROOT / "benchmarks" / "ceilings.toml").read_text())
    compiler = found.pop("compiler")
    rows = [[f"`{name}`", number(mix["instructions"]), f"{mix['mispredictions']:.2f}"] for name, mix in found.items()]
    return f"Compiled by {compiler}.\n\n{table(['mix', 'instructions', 'mispredicted branches'], rows)}"


def page() -> str:
    """Return the page with its tables made anew."""
    text = (ROOT / PAGE).read_text()
    for name, made in {"rates": rates, "meanings": meanings, "kinds": kinds, "counts": counts}.items():
        if not re.search(rf"<!-- {name} -->\n.*<!-- end of {name} -->\n", text, re.DOTALL):
            raise SystemExit(f"{PAGE} has no place for {name}: write <!-- {name} --> and <!-- end of {name} -->")
        before, start, after = text.partition(f"<!-- {name} -->\n")
        text = f"{before}{start}\n{made()}\n\n{after[after.index(f'<!-- end of {name} -->') :]}"
    return text


if __name__ == "__main__":
    emit(PAGE, page())
