"""Settings of the documentation site."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "mesocosm"
author = copyright = "the mesocosm authors"
release = version = metadata.version("mesocosm")

extensions = ["myst_parser", "pages"]
exclude_patterns = ["_build", "_ext", "examples"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = f"mesocosm {release}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_show_sphinx = False
