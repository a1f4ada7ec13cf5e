"""The scenarios of the neural modes give what their first comments expect. Long, each as it stands in its file.

Would catch a scenario that no longer runs, an answer that is another one, and a table that is not shown.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mesocosm
from mesocosm import Results

FOLDER = Path(__file__).parents[2] / "scenarios"

pytestmark = pytest.mark.slow


def run(name: str, out: Path) -> Results:
    return mesocosm.run(FOLDER / f"{name}.yaml", out, report=False)


def number(results: Results, label: str, name: str) -> float:
    return float(np.mean(results[label][name].values))


def test_effort_found_by_play(tmp_path: Path) -> None:
    results = run("sir-effort-neural", tmp_path)
    assert float(results["played"]["occupancy"].sel(state="I").max()) == pytest.approx(0.26810, rel=0.01)
    assert float(results["played"]["control"].min()) == pytest.approx(0.75080, rel=0.01)
    assert number(results, "played", "value") == pytest.approx(number(results, "nash", "value"), rel=1e-4)
    assert number(results, "played", "exploitability") < 2e-6


def test_banks_by_play(tmp_path: Path) -> None:
    results = run("interbank-neural", tmp_path)
    assert number(results, "seeing", "value") == pytest.approx(0.0924, rel=0.02)
    assert number(results, "blind", "value") > 1.15 * number(results, "seeing", "value")
    variance = results["seeing"]["variance"].isel(time=-1).mean()
    assert float(variance) == pytest.approx(0.192, rel=0.05)


def test_the_meeting_by_play(tmp_path: Path) -> None:
    results = run("meeting-play", tmp_path)
    assert number(results, "learned", "start_time") == pytest.approx(1.32688, abs=0.01)
    assert number(results, "learned", "value") == pytest.approx(0.98596, rel=0.01)
    assert number(results, "learned", "exploitability") < 0.005


def test_people_on_their_way_learned(tmp_path: Path) -> None:
    results = run("meeting-neural", tmp_path)
    save = int(np.argmin(np.abs(results["agents"]["time"].values - 1.5)))
    spread = {label: float(results[label]["variance"].isel(time=save).mean()) for label in results.labels}
    assert spread["neural"] == pytest.approx(spread["agents"], rel=0.1)
    assert spread["mean_squared"] < 0.2 * spread["agents"]
    apart = {label: number(results, label, "heldout_distance") for label in ("neural", "mean_squared")}
    assert apart["mean_squared"] > 5 * apart["neural"]


def test_the_bar_learned_and_played(tmp_path: Path) -> None:
    results = run("el-farol-neural", tmp_path)
    late = {label: results[label]["attendance"].values[:, 40:] for label in ("predictors", "neural")}
    assert late["neural"].mean() == pytest.approx(late["predictors"].mean(), abs=0.03)
    assert late["neural"].std() == pytest.approx(late["predictors"].std(), rel=0.15)
    assert number(results, "neural", "heldout_distance") < 0.1 * number(results, "neural", "heldout_distance_unlearned")
    assert number(results, "played", "attendance") == pytest.approx(0.6, abs=1e-6)


def test_costs_and_rates_calibrated(tmp_path: Path) -> None:
    results = run("calibrate", tmp_path)
    values, errors = (results["calibrated"][name].values for name in ("parameter_value", "parameter_error"))
    assert values == pytest.approx([0.5, 0.125, 0.5], rel=0.05)
    assert (errors < 0.03 * values).all()
    both = results["both"]
    assert np.isinf(both["parameter_error"].values[2:]).all()
    assert float(both["parameter_value"][2] / both["parameter_value"][3]) == pytest.approx(0.5, rel=0.05)
    assert "Calibrated parameters" in results.table()
