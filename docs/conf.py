"""How Sphinx builds these pages: `python -m sphinx -W docs docs/_build`."""

import importlib.metadata

project = "runq"
author = "the runq developers"
copyright = "the runq developers"  # noqa: A001 - the name that Sphinx looks for
release = importlib.metadata.version("runq")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.doctest", "sphinx.ext.napoleon"]
# Single backquotes in docstrings are code, as in the pages.
default_role = "code"
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"runq {release}"

myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
