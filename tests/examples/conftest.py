"""An environment of its own for each example package, into which pip installs it as a stranger would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
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
class Environment:
    """A virtual environment in `folder`; what runs in it starts in `folder`."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def __call__(self, *arguments: str | Path, cwd: Path | None = None) -> str:
        """Run `python ARGUMENTS` in it, and return what it printed; a test fails where the exit code is not 0."""
        variables = {key: value for key, value in os.environ.items() if not key.startswith(("MESOCOSM", "PYTEST"))}
        variables |= {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [self.python, *map(str, arguments)], cwd=cwd or self.folder, env=variables, text=True,
            capture_output=True, timeout=1800, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

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


def _make(folder: Path, name: str) -> Environment:
    """A new environment with one example, installed by pip from a copy of its folder.

    Everything else comes from the environment that the tests run in, so that nothing is fetched. A .pth file names it by
    `addsitedir`, which follows its own .pth files as well: an editable mesocosm is one.
    """
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    environment = Environment(folder)
    paths = {"base": str(folder), "platbase": str(folder)}
    inside = Path(sysconfig.get_path("purelib", "venv", paths))
    outside = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    lines = [f"import site; site.addsitedir({path!r})" for path in sorted(outside)]
    (inside / "around.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    source = shutil.copytree(EXAMPLES / name, folder / "package")
    pip = [sys.executable, "-m", "pip", "--python", environment.python, "install", "--quiet"]
    done = subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "--no-index", source], text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return environment


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Environment]:
    """`installed(name)`: the environment of an example, made when it is first asked for, once for all test processes."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def get(name: str) -> Environment:
        place = root / f"example-{name}"
        try:
            place.mkdir()
        except FileExistsError:
            while not (place / "ready").exists():
                assert time.time() - place.stat().st_ctime < 120, f"the environment of {name} could not be made"
                time.sleep(0.2)
            return Environment(place / "environment")
        environment = _make(place / "environment", name)
        (place / "ready").touch()
        return environment

    return cache(get)


@pytest.fixture(scope="session")
def ran(installed: Callable[[str], Environment]) -> Callable[[str], tuple[Path, Results]]:
    """`ran(name)`: run folder and results of the scenario of an example; run once."""
    return cache(lambda name: installed(name).run("package/scenario.yaml"))


@pytest.fixture
def fresh() -> Callable[..., Environment]:
    """`fresh(folder, *projects)`: an environment with nothing but what pip installs for these projects; needs an index."""

    def make(folder: Path, *projects: Path) -> Environment:
        venv.create(folder, with_pip=True, symlinks=os.name != "nt")
        environment = Environment(folder)
        constraints = EXAMPLES.parents[1] / "constraints.txt"
        environment("-m", "pip", "install", "--quiet", "-c", constraints, *projects)
        return environment

    return make
