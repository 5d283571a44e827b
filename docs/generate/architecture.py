# SPDX-License-Identifier: MIT
"""docs/architecture.svg: the layers, drawn from the list that import-linter enforces."""

import re
import tomllib

from _page import ROOT, emit

# What each line of the list is about, from the top; the list itself is in pyproject.toml.
WORDS = {
    "cli": "one command",
    "report": "what it means",
    "compare": "what it means",
    "sweep": "many runs",
    "results": "many runs",
    "oracle": "is it true, is it safe",
    "story": "is it true, is it safe",
    "litmus": "is it true, is it safe",
    "simulate": "what happens",
    "reference": "what happens",
    "workloads": "where events come from",
    "errors": "what things are",
    "_layout": "records, once, in C",
}
WIDTH, HEIGHT, GAP, LEFT = 860, 40, 14, 210
ARROW = (
    '<defs><marker id="up" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0 L8 4 L0 8z" fill="#777"/></marker></defs>'
)
USED_BY = (
    '<path d="M{x} {foot} V20" stroke="#777" stroke-width="1.5" marker-end="url(#up)"/>'
    '<text x="{turned}" y="{middle}" fill="#777" text-anchor="middle" transform="rotate(-90 {turned} {middle})">'
    "is used by</text>"
)
HIDDEN = {"_version", "_checks", "policies", "policy_notes", "tables"}
COMPILED = {"_layout", "_engine"}


def box(x: float, y: int, width: float, name: str) -> str:
    """Return one module: compiled ones are dark."""
    fill, ink = ("#0072B2", "#fff") if name in COMPILED else ("#E8F1F8", "#1a1a1a")
    return (
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{HEIGHT}" rx="5" fill="{fill}" stroke="#0072B2"/>'
        f'<text x="{x + width / 2:.1f}" y="{y + 25}" text-anchor="middle" fill="{ink}">{name}</text>'
    )


def picture() -> str:
    """Return the SVG."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    layers = [[name for name in re.findall(r"\w+", line) if name not in HIDDEN] for line in contract["layers"]]
    parts, y, said = [], 10, None
    for names in layers:
        words = next((WORDS[name] for name in names if name in WORDS), "")
        label = "" if words == said else words
        said = words
        width = (WIDTH - LEFT - GAP * (len(names) - 1)) / len(names)
        parts.append(f'<text x="0" y="{y + 25}" fill="#555">{label}</text>')
        parts += [box(LEFT + i * (width + GAP), y, width, name) for i, name in enumerate(names)]
        y += HEIGHT + GAP
    parts.append(USED_BY.format(x=LEFT - 22, foot=y - GAP, turned=LEFT - 28, middle=y // 2))
    view = f'viewBox="-10 0 {WIDTH + 20} {y}" font-family="sans-serif" font-size="14"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {view}>', ARROW, *parts, "</svg>\n"])


if __name__ == "__main__":
    emit("docs/architecture.svg", picture())
