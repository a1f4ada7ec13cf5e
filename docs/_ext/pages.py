"""The Sphinx extension of this site: puts the generated references into their pages, and checks what was built.

A page says where its reference goes by a comment, `<!-- generated: NAME -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from offline import remote_loads
from options import scenario_reference
from program import command_line_reference, hooks_reference, python_reference
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from mesocosm import Registry
from mesocosm.cli import cli

MARK = re.compile(r"<!-- generated: ([\w-]+) -->")

REFERENCES: dict[str, Callable[[], str]] = {
    "scenario": lambda: scenario_reference(Registry.discover()),
    "command-line": lambda: command_line_reference(cli),
    "hooks": hooks_reference,
    "python": python_reference,
}


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("source-read", _fill)
    app.connect("env-get-outdated", lambda *_: [f"reference/{name}" for name in REFERENCES])
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _fill(app: Sphinx, page: str, source: list[str]) -> None:
    source[0] = MARK.sub(lambda mark: REFERENCES[mark[1]](), source[0])


def _check(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        found = list(remote_loads(Path(app.outdir)))
        if found:
            raise ExtensionError("pages must load nothing from the network:\n  " + "\n  ".join(found))
