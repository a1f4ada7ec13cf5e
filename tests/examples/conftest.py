"""An environment of its own for each example package, into which pip installs it as a stranger would."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from mesocosm import Results, open_results

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@dataclass(frozen=True)
class Example:
    """An environment with an example in it, whose source is in `package` below its folder."""

    environment: Any

    @property
    def folder(self) -> Path:
        """Where it is, and where its programs start."""
        folder: Path = self.environment.folder
        return folder

    def __call__(self, *arguments: str | Path, within: Path | None = None) -> str:
        """What `python ARGUMENTS` prints in it."""
        printed: str = self.environment(*arguments, within=within)
        return printed

    def mesocosm(self, *arguments: str | Path) -> str:
        """`mesocosm ARGUMENTS`."""
        return self("-m", "mesocosm", *arguments)

    def run(self, scenario: Path | str) -> tuple[Path, Results]:
        """The run folder and the results of a scenario, which has no report."""
        out = Path(tempfile.mkdtemp(dir=self.folder, prefix="runs-"))
        self.mesocosm("run", scenario, "--no-report", "--out", out)
        (folder,) = out.glob("[!.]*")
        return folder, open_results(folder / "results.nc")

    def simulate(self, scenario: dict[str, Any]) -> Results:
        """The results of a scenario that is given as data."""
        path = self.folder / f"{scenario['name']}.yaml"
        path.write_text(yaml.safe_dump({"mesocosm": 1, **scenario}, sort_keys=False), encoding="utf-8")
        return self.run(path)[1]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, environments: Any) -> Callable[[str], Example]:
    """`installed(name)`: the environment of an example, made when it is first asked for, once for all test processes."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def get(name: str) -> Example:
        place = root / f"example-{name}"
        try:
            place.mkdir()
        except FileExistsError:
            while not (place / "ready").exists():
                assert time.time() - place.stat().st_ctime < 120, f"the environment of {name} could not be made"
                time.sleep(0.2)
            return Example(environments(place / "environment"))
        environment = environments.make(place / "environment")
        environment.install(shutil.copytree(EXAMPLES / name, environment.folder / "package"))
        (place / "ready").touch()
        return Example(environment)

    return cache(get)


@pytest.fixture(scope="session")
def ran(installed: Callable[[str], Example]) -> Callable[[str], tuple[Path, Results]]:
    """`ran(name)`: run folder and results of the scenario of an example; run once."""
    return cache(lambda name: installed(name).run("package/scenario.yaml"))


@pytest.fixture
def fresh(environments: Any) -> Callable[..., Example]:
    """`fresh(folder, *projects)`: an environment with nothing but what pip installs for these projects; needs an index."""

    def make(folder: Path, *projects: Path) -> Example:
        venv.create(folder, with_pip=True, symlinks=os.name != "nt")
        environment = environments(folder)
        constraints = EXAMPLES.parents[1] / "constraints.txt"
        environment("-m", "pip", "install", "--quiet", "-c", constraints, *projects)
        return Example(environment)

    return make
