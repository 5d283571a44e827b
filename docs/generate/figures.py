# SPDX-License-Identifier: MIT
"""docs/images/*.svg: the figures of the documentation, each by the commands that its page shows.

A figure's file holds a digest of the counters that it was drawn from. ``--check`` runs the commands again and compares the
digests: the drawing itself also depends on the version of matplotlib, the numbers on nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shlex
import tempfile
from pathlib import Path

from _page import ROOT, checking
from cowfast.cli.main import invoke

KERNELS = "linux-5.7,linux-5.8,linux-5.10,linux-5.16,linux-5.18,linux-6.1,linux-6.12,linux-6.18,linux-7.2,linux-7.3"

#: File -> commands; the last but one writes results to stdout, which the last one draws.
FIGURES = {
    "kernels": (
        "cowfast compare random-mix --events 1000000 --memory 75% --set look=0.01,pinwrite=0.01,protect=0.002,reclaim=0.001"
        f" --seed 1 --policy {KERNELS} --format json",
        "cowfast plot results.json history -o figure.svg",
    ),
    "forceswap": (
        "cowfast compare forceswap --events 200000 --seed 1 --format json",
        "cowfast plot results.json copies -o figure.svg",
    ),
    "redis-copies": (
        "cowfast trace import perf tests/data/redis-bgsave.txt.xz -o redis.cow",
        "cowfast compare redis.cow --memory 60% --format json",
        "cowfast plot results.json copies -o figure.svg",
    ),
    "redis-churn": (
        "cowfast trace import perf tests/data/redis-bgsave.txt.xz -o redis.cow",
        "cowfast compare redis.cow --memory 60% --format json",
        "cowfast plot results.json churn -o figure.svg",
    ),
}


def run(command: str) -> str:
    """Run a command of cowfast and return what it printed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        code = invoke(shlex.split(command)[1:])
    assert code == 0, f"{command}: exit code {code}"
    return out.getvalue()


def digest(results: str) -> str:
    """Return the name of the counters in results, wherever and whenever they were made."""
    rows = [(row["policy"], row["seed"], row["counters"]) for row in json.loads(results)["rows"]]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16]


def figure(commands: tuple[str, ...]) -> tuple[str, str]:
    """Return the SVG and the digest of its results."""
    *before, make, draw = commands
    for command in before:
        run(command)
    Path("results.json").write_text(run(make))
    run(draw)
    found = digest(Path("results.json").read_text())
    said = "\n".join(commands).replace("--", "- -")  # no two hyphens in a comment
    return Path("figure.svg").read_text().replace("<svg", f"<!-- results {found}, made by\n{said}\n-->\n<svg", 1), found


def main() -> None:
    """Make all figures, or check that their numbers are still those of their commands."""
    check, stale = checking(), []
    target = ROOT / "docs" / "images"
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "tests").symlink_to(ROOT / "tests")
        os.chdir(scratch)
        for name, commands in FIGURES.items():
            svg, found = figure(commands)
            path = target / f"{name}.svg"
            if check:
                stale += [] if path.exists() and f"results {found}," in path.read_text() else [name]
            else:
                path.write_text(svg)
        os.chdir(ROOT)
    if stale:
        raise SystemExit(f"docs/images: {', '.join(stale)} out of date: run python docs/generate/figures.py")


if __name__ == "__main__":
    main()
