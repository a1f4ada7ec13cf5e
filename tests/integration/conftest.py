"""The program in a process of its own, and a toy dynamics loaded with -p that fails in any way asked for."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from mesocosm.cli import main

TOY = '''\
"""A dynamics for tests: a random walk of the occupancy, with faults on demand."""

import os
import signal
import time

import numpy as np

from mesocosm import Component, Dynamics, InputError, Labelled, Options, Reference, hookimpl


def kill_at(moment):
    """Let the process be killed just before its call number `moment` of those that bring a file to its final name."""
    calls = []

    def counted(name):
        original = getattr(os, name)

        def call(*arguments):
            calls.append(name)
            if len(calls) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments)

        setattr(os, name, call)

    counted("fsync")
    counted("replace")


if "TOY_KILL_AT" in os.environ:
    kill_at(int(os.environ["TOY_KILL_AT"]))


class ToyOptions(Options):
    fault: str = "none"
    at: float = 2.0
    pause: float = 0.0
    learn: Reference | None = None


class Toy(Dynamics):
    @property
    def replicates(self):
        return 3

    def prepare(self):
        if self.options.learn is not None:
            self.context.trajectories_of(self.options.learn.from_)

    def init(self):
        return np.tile(self.problem.population.shares, (self.replicates, 1))

    def advance(self, state, interval):
        time.sleep(self.options.pause)
        random = self.context.streams.generator("walk", interval=interval.index)
        moved = 0.1 * random.random(self.replicates) * state[:, 0]
        state = state + np.stack([-moved, moved, np.zeros_like(moved)], axis=-1)
        if interval.stop >= self.options.at:
            fault = self.options.fault
            if fault == "nan":
                state[1, 1] = np.nan
            if fault == "raise":
                raise ValueError("the toy is broken")
            if fault == "mass":
                state[0, 0] -= 0.01
            if fault == "shape":
                return state[:, :2]
            if fault == "interrupt":
                raise KeyboardInterrupt
        return state

    def observe(self, state):
        return {"occupancy": state}

    def summary(self, state):
        return {"cost": Labelled(("replicate",), state[:, 1])}


@hookimpl
def mesocosm_components():
    yield Component(
        kind="dynamics", name="toy", factory=f"{__name__}:Toy", options=f"{__name__}:ToyOptions", summary="for tests"
    )
'''

SCENARIO = """\
mesocosm: 1
name: toys
seed: 5
time: {end: 4, save_every: 1}
population: {size: 50, initial: {I: 0.1}}
graph: {kind: complete}
game: {kind: sir, beta: 0.5, gamma: 0.1}
dynamics:
  first: {kind: toy}
  second: {kind: toy}
"""


@dataclass(frozen=True)
class Done:
    """How the program ended, and what it printed."""

    code: int | str
    stdout: str
    stderr: str


def _checked(done: Done, code: int) -> Done:
    assert done.code == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@dataclass(frozen=True)
class Workbench:
    """A folder with the toy plugin and a scenario, and the program to run on them."""

    folder: Path
    environment: dict[str, str]

    @property
    def plugin(self) -> Path:
        return self.folder / "toy.py"

    def scenario(self, *changes: tuple[str, str], name: str = "s.yaml", text: str = SCENARIO) -> Path:
        """The scenario with some of its text replaced."""
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def command(self, *arguments: str | Path) -> list[str]:
        """`python -m mesocosm -p toy.py ...`."""
        return [sys.executable, "-m", "mesocosm", "-p", str(self.plugin), *map(str, arguments)]

    def start(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        """The program, not waited for."""
        return subprocess.Popen(
            self.command(*arguments), cwd=self.folder, env=self.environment | environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def __call__(self, *arguments: str | Path, code: int = 0) -> Done:
        """Run the program in this process (starting a new one takes a second), and check the exit code."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.chdir(self.folder)
            patch.setattr(sys, "argv", self.command(*arguments)[2:])
            patch.setenv("COLUMNS", self.environment["COLUMNS"])
            with pytest.raises(SystemExit) as ended:
                main()
        return _checked(Done(ended.value.code or 0, out.getvalue(), err.getvalue()), code)

    def process(self, *arguments: str | Path, code: int = 0, **environment: str) -> Done:
        """Run the program in a process of its own, and check the exit code."""
        done = subprocess.run(
            self.command(*arguments), cwd=self.folder, env=self.environment | environment, text=True,
            capture_output=True, timeout=300, check=False,
        )  # fmt: skip
        return _checked(Done(done.returncode, done.stdout, done.stderr), code)

    def runs(self) -> list[Path]:
        """The run folders, in the order in which they were made."""
        return sorted(
            (self.folder / "runs").glob("[!.]*"), key=lambda path: (path / "scenario.yaml").stat().st_mtime_ns
        )


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MESOCOSM")}
    environment |= {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    (tmp_path / "toy.py").write_text(TOY, encoding="utf-8")
    return Workbench(tmp_path, environment)


@pytest.fixture
def pure(bench: Workbench) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`pure("import mesocosm; ...")`: Python code in a process of its own, in the same folder."""

    def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code], cwd=bench.folder, env=bench.environment | environment, text=True,
            capture_output=True, timeout=300, check=False,
        )  # fmt: skip

    return run


ANNOUNCEMENT = """
from mesocosm import Component, hookimpl

@hookimpl
def mesocosm_components():
    yield Component(kind="dynamics", name="{name}", factory="{name}_parts:Made", options="{name}_parts:Choices",
                    summary="for tests", requires={requires}, api={api})
"""

PARTS = """
import numpy as np
from toy import Toy, ToyOptions
from mesocosm import Dynamics, Options

class Choices(ToyOptions):
    pass

class Made(Toy):
    pass
"""


@dataclass(frozen=True)
class Installer:
    """`install("weather", parts, announcement)`: a distribution `weather-package` 0.1 with a plugin; returns PYTHONPATH.

    `announcement` names the parts of another module, `parts`: a toy dynamics and its options.
    """

    folder: Path
    announcement: str = ANNOUNCEMENT
    parts: str = PARTS

    def __call__(
        self, name: str, parts: str = PARTS, announcement: str = ANNOUNCEMENT, requires: str = "()", api: int = 1
    ) -> str:
        site = self.folder / "site"
        info = site / f"{name}_package-0.1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-package\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text(f"[mesocosm.plugins]\n{name} = {name}_plugin\n")
        (site / f"{name}_plugin.py").write_text(announcement.format(name=name, requires=requires, api=api))
        (site / f"{name}_parts.py").write_text(parts)
        return f"{site}:{self.folder}"


@pytest.fixture
def install(bench: Workbench) -> Installer:
    return Installer(bench.folder)
