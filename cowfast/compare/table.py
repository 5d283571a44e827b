# SPDX-License-Identifier: MIT
"""A table of texts, and its forms: Markdown, LaTeX, CSV (the terminal's is the command line's business)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Column:
    """A heading and how the texts below it stand."""

    heading: str
    align: Literal["left", "right"] = "right"


@dataclass(slots=True)
class Table:
    """Headings, lines of texts, a title above and notes below."""

    columns: Sequence[Column]
    rows: list[list[str]]
    title: str = ""
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """Return the table as GitHub-flavoured Markdown."""
        lines = [f"**{self.title}**", ""] if self.title else []
        lines.append(_bar(column.heading for column in self.columns))
        lines.append(_bar("---:" if column.align == "right" else "---" for column in self.columns))
        lines += [_bar(text.replace("|", "\\|") for text in row) for row in self.rows]
        lines += ["", *(f"* {note}" for note in self.notes)] if self.notes else []
        return "\n".join(lines) + "\n"

    def latex(self) -> str:
        """Return the table as a LaTeX ``tabular`` (package booktabs), its notes as comments."""
        shape = "".join("r" if column.align == "right" else "l" for column in self.columns)
        lines = [f"% {note}" for note in ([self.title] if self.title else []) + self.notes]
        lines += [f"\\begin{{tabular}}{{{shape}}}", "\\toprule", _line(column.heading for column in self.columns)]
        lines += ["\\midrule", *(_line(row) for row in self.rows), "\\bottomrule", "\\end{tabular}"]
        return "\n".join(lines) + "\n"

    def csv(self) -> str:
        """Return the table as CSV with a header."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(column.heading for column in self.columns)
        writer.writerows(self.rows)
        return stream.getvalue()

    def _repr_html_(self) -> str:
        from html import escape

        head = "".join(f"<th>{escape(column.heading)}</th>" for column in self.columns)
        body = "".join(
            "<tr>"
            + "".join(
                f"<td style='text-align:{column.align}'>{escape(text)}</td>"
                for column, text in zip(self.columns, row, strict=True)
            )
            + "</tr>"
            for row in self.rows
        )
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return f"<p>{escape(self.title)}</p><table><tr>{head}</tr>{body}</table><ul>{notes}</ul>"


_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "×": r"$\times$",
        "±": r"$\pm$",
        "–": "--",
        **{character: "\\" + character for character in "&%$#_{}"},
    }
)


def _bar(texts: Iterable[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def _line(texts: object) -> str:
    return " & ".join(text.translate(_LATEX) for text in texts) + " \\\\"  # type: ignore[attr-defined]
