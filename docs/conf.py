# SPDX-License-Identifier: MIT
"""Sphinx: Markdown pages of this directory, built with ``make docs``; warnings are errors."""

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
# The pages of sub-commands are one heading deeper; pages that a glob may find need not be there.
suppress_warnings = ["myst.header", "toc.empty_glob"]
