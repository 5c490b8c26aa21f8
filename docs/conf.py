"""How Sphinx builds these pages: `sphinx-build -W docs docs/_build`."""

import re
from pathlib import Path

project = "imgcrawl"
author = "the authors of imgcrawl"
copyright = "MIT licence"
release = re.search(r'__version__ = "(.+)"', (Path(__file__).parents[1] / "imgcrawl" / "__init__.py").read_text())[1]
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "An image crawler that loses nothing.", "page_width": "72em"}
myst_heading_anchors = 2
