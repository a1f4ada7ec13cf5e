"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Environment:
    """A virtual environment; what runs in it starts in its folder unless said otherwise."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Environment:
        """One into which nothing is fetched: it finds everything else in the environment that runs the tests."""
        venv.create(folder, with_pip=False, symlinks=os.name != "nt")
        inside = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
        outside = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        # Not mere paths: the .pth files there matter too, such as that of an editable install of mesocosm.
        lines = [f"import site; site.addsitedir({path!r})" for path in sorted(outside)]
        (inside / "around.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return cls(folder)

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def __call__(self, *arguments: str | Path, within: Path | None = None) -> str:
        """Run `python ARGUMENTS` in it, and return what it printed; a test fails where the exit code is not 0."""
        variables = {
            key: value for key, value in os.environ.items() if not key.startswith(("MESOCOSM", "PYTHON", "PYTEST"))
        }
        variables |= {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        done = subprocess.run(
            [self.python, *map(str, arguments)], cwd=within or self.folder, env=variables, text=True,
            capture_output=True, timeout=1800, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def install(self, package: Path, *options: str) -> None:
        """`pip install` a folder, with nothing from an index."""
        flags = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", *options)
        self("-m", "pip", "install", *flags, package)


@pytest.fixture(scope="session")
def environments() -> type[Environment]:
    """`environments.make(folder)`: an environment of its own, in a twentieth of a second."""
    return Environment


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of public data named by MESOCOSM_DATA; skips without it, and fails under CI."""
    folder = os.environ.get("MESOCOSM_DATA")
    if folder:
        return Path(folder)
    if os.environ.get("CI"):
        pytest.fail("MESOCOSM_DATA is not set: under CI the tests on public data must run")
    pytest.skip("MESOCOSM_DATA is not set: it names the folder of public data")
