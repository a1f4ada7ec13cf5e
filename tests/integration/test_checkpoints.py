"""A dynamics that packs its state goes on from where it was stopped, to the bytes of an uninterrupted run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mesocosm

PACKING = """
import os
import numpy as np
from toy import Toy, ToyOptions
from mesocosm import Component, hookimpl

class Packing(Toy):
    def advance(self, state, interval):
        with open("advanced.txt", "a") as log:
            log.write(f"{self.context.label}{interval.index} ")
        if interval.index == 2 and self.context.label == "second" and os.environ.get("STOP"):
            if os.environ["STOP"] == "kill":
                os.kill(os.getpid(), 9)
            raise KeyboardInterrupt
        return super().advance(state, interval)

    def pack(self, state):
        return {"shares": state.astype(object) if os.environ.get("ODD") else state}

    def unpack(self, arrays):
        return arrays["shares"]

@hookimpl
def mesocosm_components():
    yield Component(kind="dynamics", name="packing", factory=f"{__name__}:Packing", options=f"{__name__}:ToyOptions",
                    summary="for tests")
"""


@pytest.fixture
def packing(bench: Any) -> tuple[Path, Path]:
    """A scenario with two dynamics that pack their state, and the plugin file."""
    (bench.folder / "packing.py").write_text(PACKING)
    scenario = bench.scenario(
        ("first: {kind: toy}", "first: {kind: packing}"), ("second: {kind: toy}", "second: {kind: packing}")
    )
    return scenario, bench.folder / "packing.py"


def advanced(bench: Any) -> list[str]:
    """The intervals that were computed since the last look, with their label."""
    path = bench.folder / "advanced.txt"
    found = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return found


def run(bench: Any, plugin: Path, *arguments: Any, code: int = 0, **environment: str) -> Any:
    return bench.process(
        "-p", plugin, *arguments, "--no-report", code=code, PYTHONPATH=str(bench.folder), **environment
    )


def test_an_interrupted_dynamics_goes_on(bench: Any, packing: tuple[Path, Path]) -> None:
    """Catches a resumed run that computes again what was saved, loses what was recorded, or ends elsewhere."""
    scenario, plugin = packing
    run(bench, plugin, "run", scenario, "--quiet")
    whole = bench.runs()[0]
    assert advanced(bench) == [f"{label}{index}" for label in ("first", "second") for index in range(4)]
    run(bench, plugin, "run", scenario, "--quiet", code=130, STOP="interrupt")
    assert advanced(bench)[-3:] == ["second0", "second1", "second2"]
    folder = bench.runs()[1]
    assert (folder / "checkpoints" / "second.npz").is_file()
    run(bench, plugin, "resume", folder)
    assert advanced(bench) == ["second2", "second3"]
    assert (folder / "results.nc").read_bytes() == (whole / "results.nc").read_bytes()
    assert not (folder / "checkpoints").exists()


def test_a_killed_dynamics_goes_on_from_its_last_checkpoint(bench: Any, packing: tuple[Path, Path], pure: Any) -> None:
    """Catches checkpoints that are written only when a run ends by itself."""
    scenario, plugin = packing
    code = (
        "import sys, mesocosm.scheduler as s; s.CHECKPOINT_SECONDS = 0.0\n"
        f"sys.argv = ['mesocosm', '-p', 'toy.py', '-p', {str(plugin)!r}, 'run', {str(scenario)!r}, '--no-report']\n"
        "from mesocosm.cli import main; main()"
    )
    done = pure(code, STOP="kill", PYTHONPATH=str(bench.folder))
    assert done.returncode == -9, done.stderr
    advanced(bench)
    (folder,) = bench.runs()
    with np.load(folder / "checkpoints" / "second.npz", allow_pickle=False) as kept:
        assert int(kept["save"]) == 2
    run(bench, plugin, "resume", folder)
    assert advanced(bench) == ["second2", "second3"]
    assert json.loads((folder / "manifest.json").read_text())["status"] == "done"


def test_a_state_that_cannot_be_packed_is_refused(bench: Any, packing: tuple[Path, Path]) -> None:
    """Catches a checkpoint that would have to be unpickled."""
    scenario, plugin = packing
    told = run(bench, plugin, "run", scenario, "--quiet", code=1, STOP="interrupt", ODD="1").stderr
    assert "pack gave 'shares' of type object" in told
    assert "dynamics 'second'" in told


def test_a_checkpoint_that_cannot_be_read_is_an_error(bench: Any, packing: tuple[Path, Path]) -> None:
    """Catches a damaged checkpoint that is passed over in silence, or ends in a traceback."""
    scenario, plugin = packing
    run(bench, plugin, "run", scenario, "--quiet", code=130, STOP="interrupt")
    (folder,) = bench.runs()
    kept = folder / "checkpoints" / "second.npz"
    kept.write_bytes(kept.read_bytes()[:100])
    told = run(bench, plugin, "resume", folder, code=1).stderr
    assert f"{kept}: cannot be read" in told
    assert "delete it to start at time 0" in told


@pytest.mark.parametrize("engine", ["agent_based, replicates: 3", "classical_mfg", "edge_based"])
def test_a_bundled_dynamics_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    """Catches a bundled dynamics whose resumed run differs, in whatever it records, from an uninterrupted one."""
    text = f"""
mesocosm: 1
name: resumed
seed: 3
time: {{end: 6, save_every: 1}}
population: {{size: 60, initial: {{I: 0.1}}}}
graph: {{kind: regular, degree: 4}}
game: {{kind: sir, beta: 0.3, gamma: 0.2}}
dynamics: {{only: {{kind: {engine}}}}}
"""
    scenario = mesocosm.parse(text)
    whole = mesocosm.run(scenario, tmp_path / "whole", report=False)
    maker = mesocosm.makers_of(scenario)["only"]
    cls = type(maker(mesocosm.build(scenario), mesocosm.Context("only", mesocosm.Streams(3, "only"))))
    advance = cls.advance

    def stopped(self: Any, state: Any, interval: mesocosm.Interval) -> Any:
        if interval.index == 4:
            raise KeyboardInterrupt
        return advance(self, state, interval)

    monkeypatch.setattr(cls, "advance", stopped)
    with pytest.raises(KeyboardInterrupt):
        mesocosm.run(scenario, tmp_path / "stopped", report=False)
    (folder,) = (tmp_path / "stopped").iterdir()
    assert (folder / "checkpoints" / "only.npz").is_file()
    counted: list[int] = []

    def counting(self: Any, state: Any, interval: mesocosm.Interval) -> Any:
        counted.append(interval.index)
        return advance(self, state, interval)

    monkeypatch.setattr(cls, "advance", counting)
    mesocosm.resume(folder, report=False)
    assert counted == [4, 5]
    assert whole.folder is not None
    assert (folder / "results.nc").read_bytes() == (whole.folder / "results.nc").read_bytes()
