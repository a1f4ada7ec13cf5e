"""What is built loads nothing from the network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "planted",
    [
        '<script src="https://example.org/x.js"></script>',
        '<link rel="stylesheet" href="//example.org/x.css">',
        '<img src="http://example.org/x.png">',
        "<style>@import url(https://example.org/x.css);</style>",
        '<p style="background: url(https://example.org/x.png)">x</p>',
    ],
)
def test_a_page_that_loads_from_the_network_is_found(site: Path, tmp_path: Path, planted: str) -> None:
    """Catches a check that would let a script, style, font or picture from elsewhere through."""
    from offline import remote_loads

    page = tmp_path / "page.html"
    page.write_text('<a href="https://example.org">link</a><link rel="canonical" href="https://example.org">')
    assert not list(remote_loads(tmp_path))
    page.write_text(f"<html>{planted}</html>")
    assert len(list(remote_loads(tmp_path))) == 1


def test_a_style_sheet_that_loads_a_font_is_found(site: Path, tmp_path: Path) -> None:
    """Catches a style sheet that fetches a font."""
    from offline import remote_loads

    (tmp_path / "style.css").write_text("@font-face { src: url('https://example.org/font.woff2') }")
    assert len(list(remote_loads(tmp_path))) == 1


@pytest.mark.slow
def test_the_site_builds_and_loads_nothing_from_the_network(site: Path, tmp_path: Path) -> None:
    """Catches a broken page or link, and anything that a built page would fetch. `make check` builds the site as well."""
    from offline import remote_loads

    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "-b", "html", str(site), str(tmp_path)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "reference" / "scenario.html").is_file()
    assert not list(remote_loads(tmp_path))
