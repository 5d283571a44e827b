# SPDX-License-Identifier: MIT
"""Sphinx: Markdown pages of this directory, built with ``make docs``; warnings are errors."""

import re

from cowfast._version import __version__

project = "cowfast"
version = release = __version__
html_title = f"cowfast {__version__}"
html_show_copyright = False

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "generate", "jupyter_execute"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["cowfast.css"]

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
# The notebook is run at each build, so that what it shows is what this version does.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
autodoc_member_order = "bysource"
autodoc_typehints = "description"
suppress_warnings = ["myst.header"]  # the pages of sub-commands are one heading deeper


def list_all_pages(app, docname, source):
    """A page that no list of the index names is listed at its end, under "More"."""
    if docname == "index":
        named = set(re.findall(r"^[\w./-]+$", source[0], re.MULTILINE))
        rest = sorted(app.env.found_docs - named - {"index"})
        if rest:
            source[0] += "\n```{toctree}\n:hidden:\n:caption: More\n\n" + "\n".join(rest) + "\n```\n"


def setup(app):
    app.connect("source-read", list_all_pages)
    app.connect("env-get-outdated", lambda _app, _env, added, _changed, removed: ["index"] if added or removed else [])
