# SPDX-License-Identifier: MIT
"""docs/counters.md: every counter, from the registry that results, tables and figures use."""

from _page import emit
from cowfast.counters import COUNTERS

HEAD = """\
# Counters

What a run counts. Counters are integers that add up over runs, but for those marked *max*, of which the larger one is kept; ratios are computed when they are shown.
The same names are keys in JSON, columns in CSV and Parquet, and what `--metric` takes. [The glossary](glossary.md) explains the words, [the model](model.md) when exactly each is counted.

| counter | unit | meaning |
|---|---|---|
"""


def page() -> str:
    """Return the page."""
    lines = (
        f"| `{info.name}` | {info.unit}{' (max)' if info.combine == 'max' else ''} | {info.meaning} |\n"
        for info in COUNTERS
    )
    return HEAD + "".join(lines)


if __name__ == "__main__":
    emit("docs/counters.md", page())
