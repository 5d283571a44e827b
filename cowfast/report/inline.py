# SPDX-License-Identifier: MIT
"""Figures as SVG inside the page, in the colours of the reader's choice."""

from __future__ import annotations

import io
import re
from typing import Any

from cowfast.plotting import Document, figure
from cowfast.plotting.style import styled

#: Ink and paper of the style file -> what follows the page's light or dark scheme.
_SCHEME = {"#333333": "currentColor", "#555555": "currentColor", "#dddddd": "var(--line)"}


def inline_svg(kind: str, document: Document, name: str, **options: Any) -> str:
    """Return one figure as an ``<svg>`` element; ``name`` keeps its ids apart from those of other figures."""
    buffer = io.StringIO()
    with styled():
        canvas = figure(kind, document, title="", **options)
        canvas.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub("|".join(_SCHEME), lambda match: _SCHEME[match[0]], text)
    # The size is the page's business; text without a colour of its own takes the page's.
    head = '<svg role="img" fill="currentColor" xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return re.sub(r'<svg [^>]*(viewBox="[^"]+")[^>]*>', rf"{head} \1>", text, count=1)
