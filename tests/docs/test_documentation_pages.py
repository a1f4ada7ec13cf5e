"""What the documentation says, works; and every scenario is in the gallery."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mesocosm import Registry
from mesocosm.testing import check_dynamics

PAGES = [
    "tutorial.md",
    "gallery.md",
    "howto/compare.md",
    "howto/find-an-equilibrium.md",
    "howto/fit-data.md",
    "howto/neural-games.md",
    "howto/agents-at-scale.md",
    "howto/graphs-that-change.md",
    "howto/groups.md",
    "howto/interventions.md",
    "howto/mesa.md",
    "howto/use-a-gpu.md",
    "howto/write-a-game.md",
    "howto/write-a-dynamics.md",
    "howto/write-a-graph.md",
    "howto/test-a-plugin.md",
    "howto/plugins.md",
]


@pytest.mark.parametrize("page", PAGES)
def test_following_a_page_works(root: Path, follow: Callable[[Path], None], page: str) -> None:
    """Catches a scenario, Python snippet, plugin or command of a page that no longer works."""
    follow(root / "docs" / page)


def test_no_page_with_snippets_is_left_out(root: Path, blocks: Callable[[Path], list[object]]) -> None:
    """Catches a new page whose snippets nobody runs."""
    docs = root / "docs"
    for page in sorted(docs.rglob("*.md")):
        languages = {getattr(block, "language") for block in blocks(page)}  # noqa: B009
        if languages & {"yaml", "python", "console"}:
            assert str(page.relative_to(docs)) in PAGES, page.name


@pytest.mark.slow
def test_the_dynamics_of_a_page_passes_the_whole_kit(
    root: Path, blocks: Callable[[Path], list[Any]], shell: Any
) -> None:
    """Catches a page that says so of an example that does not: the page itself leaves the statistical checks out."""
    (block,) = [each for each in blocks(root / "docs/howto/write-a-dynamics.md") if each.file == "gillespie.py"]
    Path(block.file).write_text(block.text, encoding="utf-8")
    outcomes = check_dynamics("gillespie", options={"replicates": 4}, registry=Registry.discover([Path(block.file)]))
    assert sum(outcome.status == "passed" for outcome in outcomes) >= 38


def test_every_scenario_is_in_the_gallery(root: Path) -> None:
    """Catches a scenario that nobody can find, and an entry whose scenario is gone."""
    scenarios = {path.stem for path in (root / "scenarios").glob("*.yaml")}
    gallery = (root / "docs" / "gallery.md").read_text(encoding="utf-8")
    assert scenarios == {line.removeprefix("## ") for line in gallery.splitlines() if line.startswith("## ")}


def test_every_scenario_begins_with_its_question(root: Path) -> None:
    """Catches a scenario without the question that it answers and the answer that is expected."""
    for path in sorted((root / "scenarios").glob("*.yaml")):
        comment = path.read_text(encoding="utf-8").split("mesocosm:")[0]
        assert comment.startswith("# "), path.name
        assert "?" in comment, path.name
        assert "Expected" in comment, path.name


def test_the_layers_of_the_design_are_those_that_are_checked(root: Path, blocks: Callable[[Path], list[Any]]) -> None:
    """Catches a page about layers that fell behind the import contracts."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    known = [set(re.findall(r"\w+", layer)) for layer in layers]
    (shown,) = [each.text for each in blocks(root / "docs/design.md") if each.text.startswith("cli")]
    assert [set(line.split(", ")) for line in shown.splitlines()] == known
