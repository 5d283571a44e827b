# SPDX-License-Identifier: MIT
"""Sphinx: Markdown pages of this directory, built with ``make docs``; warnings are errors."""

from cowfast._version import __version__

project = "cowfast"
version = release = __version__
html_title = f"cowfast {__version__}"
html_show_copyright = False

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "generate"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["cowfast.css"]

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
