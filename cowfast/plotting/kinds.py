# SPDX-License-Identifier: MIT
"""The list of figures, and the one way from a results file to an image."""

from __future__ import annotations

import io
from importlib import import_module
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple

from cowfast.errors import ResultsError
from cowfast.files import replacing
from cowfast.plotting.document import Document, read_document
from cowfast.plotting.rows import seeds, varying
from cowfast.plotting.style import SIZES, letters, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
# The same results make the same file: no date inside.
_UNDATED: dict[str, dict[str, Any]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


WHISKERS, BANDS = (f" ({what}: 95 % interval)" for what in ("whiskers", "bands"))


class Kind(NamedTuple):
    """One kind of figure. Options are the keyword arguments of its function that a user may give."""

    name: str
    #: ``module:function`` in this package; loaded when it is drawn.
    function: str
    #: What the figure answers.
    summary: str
    #: ``rows`` or ``files`` of the document.
    input: str = "rows"
    options: tuple[str, ...] = ()
    #: Those of them that must be given.
    needs: tuple[str, ...] = ()
    #: How it shows the spread over seeds.
    spread: str = ""


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "copies",
            "copies:copies_by_cause",
            "how many pages each policy copies, and which of them for nothing",
            spread=WHISKERS,
        ),
        Kind("churn", "churn:swap_cache_churn", "what each policy puts into the swap cache and takes out of it"),
        Kind("history", "history:policy_history", "what each kernel generation did to the same events"),
        Kind("cost", "cost:cost_in_time", "what the counters cost in time, at set prices", options=("costs",)),
        Kind(
            "lines",
            "lines:against_parameter",
            "a measure over a swept parameter",
            options=("x", "y", "log"),
            needs=("x",),
            spread=BANDS,
        ),
        Kind(
            "fanout",
            "lines:fork_fanout",
            "copies a fork costs, over the number of children",
            options=("x",),
            spread=BANDS,
        ),
        Kind(
            "map",
            "heat:sweep_map",
            "a sweep over two parameters",
            options=("x", "y", "value", "policy"),
            needs=("x", "y"),
        ),
        Kind("timeline", "timeline:timeline", "pages and copies along one run", options=("policy",)),
        Kind("agreement", "agreement:agreement", "how often cowfast said what the kernel did", "files"),
    )
}


def figure(kind: str, document: Document, *, size: str = "page", title: str | None = None, **options: Any) -> Figure:
    """Return a figure of one kind; ``title=None`` says what was run, ``""`` is none.

    Raises ``ResultsError`` for an unknown kind, or a document that lacks what the kind needs.
    """
    if kind not in KINDS:
        raise ResultsError(f"no figure of kind {kind!r}; write one of {', '.join(KINDS)}")
    chosen = KINDS[kind]
    rows = getattr(document, chosen.input)
    if not rows:
        made_by = "cowfast verify" if chosen.input == "files" else "cowfast run, compare or sweep"
        raise ResultsError(f"figure {kind!r} needs the {chosen.input} that {made_by} writes; this file has none")
    unknown = set(options) - set(chosen.options)
    if unknown:
        allowed = ", ".join(chosen.options) or "none"
        raise ResultsError(f"figure {kind!r} has no option {', '.join(sorted(unknown))}; its options: {allowed}")
    missing = [option for option in chosen.needs if option not in options]
    if missing:
        candidates = ", ".join(varying(rows)) or "nothing, so there is nothing to draw over"
        raise ResultsError(
            f"figure {kind!r} needs {' and '.join(missing)}: a parameter that varies; here: {candidates}"
        )
    module, name = chosen.function.split(":")
    lines = len({row["policy"] for row in rows}) if chosen.input == "rows" else len(rows)
    with styled(size):
        canvas, ax = new_figure(max(7.0, 0.8 * lines), size)
        getattr(import_module(f"{__package__}.{module}"), name)(ax, rows, **options)
        text = _title(chosen, document) if title is None else title
        canvas.suptitle(fill(text, int(0.68 * letters(ax))), x=0.01, ha="left")
    return canvas


def _title(kind: Kind, document: Document) -> str:
    """Return what was run, and of how many seeds a figure shows means."""
    count = seeds(document.rows) if kind.input == "rows" and kind.name != "timeline" else 1
    return f"{document.title}; means of {count} seeds{kind.spread}" if count > 1 else document.title


def draw(kind: str, results: str | Path, image: str | Path, *, size: str = "page", **options: Any) -> None:
    """Draw one kind of figure from a results file into ``image``: .png, .svg or .pdf by its name.

    ``size`` is ``paper`` (one column), ``page`` or ``slide``.
    """
    image = Path(image)
    if image.suffix not in SUFFIXES:
        raise ResultsError(f"{image}: the name must end in {', '.join(SUFFIXES)}")
    if size not in SIZES:
        raise ResultsError(f"no size {size!r}; write one of {', '.join(SIZES)}")
    whole = io.BytesIO()
    with styled(size):
        canvas = figure(kind, read_document(results), size=size, **options)
        canvas.savefig(whole, format=image.suffix[1:], metadata=_UNDATED.get(image.suffix))
    with replacing(image, ResultsError) as file:
        file.write(whole.getbuffer())
