"""The Sphinx extension of this site: puts what is generated into its pages, and checks what was built.

A page says what goes where by a comment, `<!-- generated: NAME ARGUMENT... -->`; most names take no arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components import components_reference
from gallery import Gallery
from games import games_reference
from offline import remote_loads
from options import scenario_reference
from program import command_line_reference, hooks_reference, python_reference, testing_reference
from rules import rules_reference
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from spread import spread

from mesocosm import Registry
from mesocosm.cli import cli

MARK = re.compile(r"^<!-- generated: ([\w-]+)((?: [\w.-]+)*) -->$", re.M)
ROOT = Path(__file__).resolve().parents[2]
GALLERY = Gallery(ROOT / "docs", ROOT / "scenarios", (ROOT / "framework", ROOT / "plugins"))

REFERENCES: dict[str, Callable[[], str]] = {
    "scenario": lambda: scenario_reference(Registry.discover()),
    "components": lambda: components_reference(Registry.discover()),
    "games": lambda: games_reference(Registry.discover(), ROOT / "scenarios"),
    "command-line": lambda: command_line_reference(cli),
    "hooks": hooks_reference,
    "python": python_reference,
    "testing": testing_reference,
    "checks": rules_reference,
}
"""Generated pages, each in the page of `reference/` that has its name."""

GENERATED: dict[str, Callable[..., str]] = {
    **REFERENCES,
    "gallery": GALLERY.fragment,
    "spread": lambda *words: spread(GALLERY, *words),
}


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("source-read", _fill)
    app.connect("env-get-outdated", lambda *_: ["gallery", *(f"reference/{name}" for name in REFERENCES)])
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _fill(app: Sphinx, page: str, source: list[str]) -> None:
    source[0] = MARK.sub(lambda mark: GENERATED[mark[1]](*mark[2].split()), source[0])


def _check(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        found = list(remote_loads(Path(app.outdir)))
        if found:
            raise ExtensionError("pages must load nothing from the network:\n  " + "\n  ".join(found))
