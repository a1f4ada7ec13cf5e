"""What the README says, works."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mesocosm import load

KNOWN = ("make ", "mesocosm ", "pip install ")


def make_targets(root: Path) -> set[str]:
    """The targets that the Makefile has a rule for."""
    return set(re.findall(r"^([a-z][\w-]*):", (root / "Makefile").read_text(encoding="utf-8"), re.M))


def test_following_the_readme_works(root: Path, follow: Callable[[Path], None]) -> None:
    """Catches a scenario, Python snippet, plugin or command of the README that no longer works."""
    follow(root / "README.md")


def test_readme_has_a_scenario_a_python_snippet_and_commands(
    root: Path, blocks: Callable[[Path], list[object]]
) -> None:
    """Catches an extraction that finds nothing, which would make the test above pass emptily."""
    languages = [getattr(block, "language") for block in blocks(root / "README.md")]  # noqa: B009
    assert languages.count("yaml") == 2
    assert languages.count("python") == 2
    assert languages.count("sh") >= 4


@pytest.mark.parametrize("page", ["README.md", "docs/index.md", "docs/contributing.md"])
def test_make_commands_have_a_target(root: Path, commands: Callable[[Path], list[str]], page: str) -> None:
    """Catches a `make` command that the Makefile does not know, and any other command that no test looks at."""
    for line in commands(root / page):
        assert line.startswith(KNOWN), line
        if line.startswith("make "):
            assert line.split()[1] in make_targets(root), line


def test_make_targets_in_prose_exist(root: Path) -> None:
    """Catches prose about a `make` target that is gone."""
    for page in [root / "README.md", *sorted((root / "docs").rglob("*.md"))]:
        for target in re.findall(r"`(?:\w+=\S+ )?make ([\w-]+)`", page.read_text(encoding="utf-8")):
            assert target in make_targets(root), f"{page.name}: make {target}"


def test_continuous_integration_runs_what_the_readme_gives(root: Path, commands: Callable[[Path], list[str]]) -> None:
    """Catches an integration script that runs other commands than those the README asks of everyone."""
    script = (root / ".ci" / "run").read_text(encoding="utf-8")
    run = [line for line in script.splitlines() if line.startswith("make ")]
    assert run == ["make check", "make test"]
    assert set(run) <= set(commands(root / "README.md"))


def test_links_of_the_readme_lead_somewhere(root: Path) -> None:
    """Catches a link or picture whose file was moved."""
    for target in re.findall(r"\]\(([^)#]+)\)", (root / "README.md").read_text(encoding="utf-8")):
        assert (root / target).is_file(), target


def test_constraints_pin_every_dependency(root: Path) -> None:
    """Catches a dependency that was added without an exact version for the tests."""
    import tomllib

    def normal(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    pinned = {
        normal(line.split("==")[0])
        for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    names = {normal(re.split(r"[^\w.-]", requirement)[0]) for requirement in wanted}
    assert names <= pinned, names - pinned


@pytest.mark.parametrize("name", ["boarding-school", "sir-closures", "sir-effort"])
def test_bundled_scenarios_are_valid(root: Path, name: str) -> None:
    """Catches a bundled scenario that fell behind the options of its components."""
    assert load(root / "scenarios" / f"{name}.yaml").name == name


def test_the_scenario_on_public_data_is_valid(root: Path, data_folder: Path) -> None:
    """The same for the scenario whose network lies in the folder of public data."""
    assert load(root / "scenarios" / "highschool.yaml").name == "highschool"
