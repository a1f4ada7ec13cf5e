"""The bundled scenarios, smaller where that keeps their answer: each gives what its first comment expects."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import mesocosm
from mesocosm import Results

FOLDER = Path(__file__).parents[2] / "scenarios"


def run(name: str, out: Path, **settings: str) -> Results:
    changes = {key.replace("__", "."): value for key, value in settings.items()}
    results = mesocosm.run(FOLDER / f"{name}.yaml", out, settings=changes)
    assert results.folder is not None
    assert json.loads((results.folder / "manifest.json").read_text())["status"] == "done"
    assert (results.folder / "report.html").stat().st_size > 20_000
    return results


def test_every_scenario_has_a_question_and_is_short() -> None:
    """Catches a scenario without its question, without its expected answer, or of 40 lines and more."""
    found = sorted(FOLDER.glob("*.yaml"))
    assert {path.stem for path in found} >= {"boarding-school", "sir-closures", "sir-effort", "highschool"}
    for path in found:
        lines = path.read_text().splitlines()
        assert len(lines) < 40, path
        assert lines[0].startswith("# ")
        comment = " ".join(line for line in lines if line.startswith("#"))
        assert "?" in comment, path
        assert "Expected" in comment, path


def test_sir_closures(tmp_path: Path) -> None:
    """Catches closures in the wrong order: edge_based agrees with the agents, the others overshoot beyond noise."""
    results = run("sir-closures", tmp_path, population__size="10000", dynamics__agents__replicates="16")
    ends = {label: float(results[label].occupancy.sel(state="R")[:, -1].mean()) for label in results.labels}
    assert ends["homogeneous"] == pytest.approx(0.93932, abs=1e-4)
    assert ends["degree"] == pytest.approx(0.91272, abs=1e-4)
    assert ends["edges"] == pytest.approx(0.86333, abs=1e-4)
    assert ends["agents"] == pytest.approx(0.8633, abs=0.01)
    verdict = {row.dynamics: row for row in results.rows() if row.measure == "attack_rate"}
    for label in ("homogeneous", "degree"):
        assert verdict[label].exceeds_noise, label
        assert verdict[label].low > 0.03
    assert abs(verdict["edges"].gap) < 0.01


def test_sir_effort(tmp_path: Path) -> None:
    """Catches a policy that is not played: agents on a complete graph who play Nash see its peak and pay its cost."""
    results = run("sir-effort", tmp_path, population__size="4000", dynamics__agents__replicates="16")
    nash, agents = results["nash"], results["agents"]
    assert float(nash.occupancy.sel(state="I").max()) == pytest.approx(0.26810, rel=1e-3)
    assert float(nash.control.sel(state="S").min()) == pytest.approx(0.75080, rel=1e-3)
    assert float(nash.exploitability) < 1e-4 * float(results["careless"].value)
    peaks = agents.occupancy.sel(state="I").max("time")
    assert float(peaks.mean()) == pytest.approx(0.2681, abs=0.01)
    careless = float(results["careless"].occupancy.sel(state="I").max())
    assert careless == pytest.approx(0.30381, rel=1e-3)
    assert careless - float(peaks.mean()) > 0.02
    cost = agents.cost
    assert float(cost.mean()) == pytest.approx(float(nash.value), rel=0.02)
    least = agents.control.sel(state="S").min("time")
    assert float(np.abs(least - 0.7508).max()) < 1e-3


def test_boarding_school(tmp_path: Path) -> None:
    """Catches a table that is misread or a network that does not learn: the observed peak, and 100 steps of training."""
    results = run(
        "boarding-school",
        tmp_path,
        dynamics__agents__replicates="64",
        dynamics__learned__steps="100",
        dynamics__learned__seeds="2",
    )
    observed = results["observed"].occupancy.sel(state="I")[0].values * 763
    assert observed.round(6).tolist() == [3, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4]
    agents = results["agents"].occupancy.sel(state="I")
    assert 3 <= float(agents.mean("replicate").idxmax("time")) <= 7
    learned = results["learned"]
    assert float(learned.loss[-10:].mean()) < 0.7 * float(learned.loss[0])
    assert float(learned.heldout_score.mean()) < float(learned.heldout_score_persistence)


def test_highschool(tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a contact network that is misread, or classes that are lost: closures ordered by how much they know."""
    monkeypatch.setenv("MESOCOSM_DATA", str(data_folder))
    results = run("highschool", tmp_path, dynamics__agents__replicates="64")
    gaps = {row.dynamics: row for row in results.rows() if row.measure == "attack_rate"}
    assert gaps["homogeneous"].gap > gaps["classes"].gap > gaps["pupils"].gap > 0
    assert all(row.exceeds_noise for row in gaps.values())
    groups = results["classes"].group_occupancy
    assert groups.sizes["group"] == 9
    assert results["agents"].group_occupancy.sizes["group"] == 9
