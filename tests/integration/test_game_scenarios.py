"""The bundled scenario of each game, smaller where that keeps its answer: each gives what its first comment expects.

Would catch a scenario that no longer runs, an equilibrium that is another one, and a report without its maps.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

import mesocosm
from mesocosm import Results

FOLDER = Path(__file__).parents[2] / "scenarios"


def run(name: str, out: Path, **settings: str) -> Results:
    changes = {key.replace("__", "."): value for key, value in settings.items()}
    results = mesocosm.run(FOLDER / f"{name}.yaml", out, settings=changes)
    assert results.folder is not None
    assert json.loads((results.folder / "manifest.json").read_text())["status"] == "done"
    return results


def number(results: Results, label: str, name: str) -> float:
    return float(np.mean(results[label][name].values))


def test_every_game_has_a_scenario() -> None:
    """Catches a bundled game that no scenario plays."""
    played = {yaml.safe_load(path.read_text())["game"]["kind"] for path in FOLDER.glob("*.yaml")}
    bundled = mesocosm.Registry.discover().entries("game")
    assert played >= {entry.component.name for entry in bundled if entry.plugin.distribution == "mesocosm"}


@pytest.mark.slow
def test_meeting(tmp_path: Path) -> None:
    few = {"dynamics__agents__replicates": "20", "dynamics__myopic__replicates": "10"}
    results = run("meeting", tmp_path, dynamics__nash__step="0.02", **few)
    assert number(results, "nash", "start_time") == pytest.approx(3.14614, rel=1e-3)
    assert number(results, "nash", "value") == pytest.approx(2.78719, rel=2e-3)
    assert number(results, "myopic", "cost") > 3 * number(results, "agents", "cost")
    assert number(results, "myopic", "exploitability") > 5
    assert {"density", "value_function", "absorbed"} <= set(results["nash"].data_vars)
    has_sections(results, "When agents leave")


def has_sections(results: Results, *more: str) -> None:
    """The report of a diffusion has its maps."""
    report = (results.folder / "report.html").read_text()  # type: ignore[operator]
    for heading in ("Costs and equilibrium", "Where agents are", "Value functions", *more):
        assert f"<h2>{heading}</h2>" in report


def test_interbank(tmp_path: Path) -> None:
    results = run("interbank", tmp_path, dynamics__ten__replicates="100", dynamics__ten_in_the_limit__replicates="100")
    has_sections(results)
    assert number(results, "limit", "value") == pytest.approx(0.2463113467, rel=1e-3)
    assert float(results["limit"]["variance"][0, -1, 0]) == pytest.approx(0.5131703906, rel=1e-3)
    gain, error = (number(results, "ten_in_the_limit", name) for name in ("deviation_gain", "deviation_gain_error"))
    assert gain > 4 * error > 0
    assert number(results, "ten", "deviation_gain") < 4 * number(results, "ten", "deviation_gain_error")


def test_torus(tmp_path: Path) -> None:
    few = {"population__size": "40", "dynamics__agents__replicates": "2", "dynamics__agents__deviations": "0"}
    results = run("torus", tmp_path, dynamics__agents__step="0.01", **few)
    assert number(results, "ergodic", "ergodic_constant") == pytest.approx(0.827, abs=2e-3)


@pytest.mark.slow
def test_stage_games(tmp_path: Path) -> None:
    """Static meeting and El Farol: closed forms."""
    few = {"dynamics__agents__replicates": "8", "dynamics__learners__replicates": "8"}
    meeting = run("meeting-static", tmp_path, **few)
    assert float(meeting["nash"]["start_time"][0, -1]) == pytest.approx(12.5474841684, rel=1e-9)
    assert float(meeting["nash"]["action"][0, -1]) == pytest.approx(12.1266735516, rel=1e-9)
    few = {f"dynamics__{label}__replicates": "8" for label in ("limit", "ten", "predictors", "logit")}
    bar = run("el-farol", tmp_path, **few)
    assert number(bar, "ten", "equilibrium_probability") == pytest.approx(0.6069151672, rel=1e-9)
    assert float(bar["nash"]["attendance"][0, -1]) == 0.6


def test_people_in_the_bar(tmp_path: Path, data_folder: Path) -> None:
    """51 groups of people; the mean attendance that was observed in rounds 1 to 50."""
    few = {f"dynamics__{label}__replicates": "51" for label in ("one_shot", "coin", "predictors", "logit")}
    results = run("el-farol-humans", tmp_path, **few)
    people = results["humans"]
    assert people.sizes["replicate"] == 51
    assert float(people["attendance_so_far"][:, 49].mean()) == pytest.approx(0.5561, abs=1e-3)
    assert float(people["imbalance_so_far"][:, 49].mean()) == pytest.approx(0.172, abs=2e-3)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        (
            "opinion",
            {"population__size": "60", "dynamics__agents__replicates": "2", "dynamics__mean_field__step": "0.1"},
        ),
        ("left-right", {"dynamics__agents__replicates": "8"}),
        ("rock-paper-scissors", {"dynamics__agents__replicates": "8"}),
        ("susceptible-infected", {"dynamics__wandering__iterations": "5", "dynamics__agents__replicates": "2"}),
        ("sis", {"population__size": "400", "dynamics__agents__replicates": "2"}),
        ("seir", {"population__size": "400", "dynamics__agents__replicates": "2"}),
    ],
)
def test_the_others_run(tmp_path: Path, name: str, settings: dict[str, str]) -> None:
    """Every solver converges but the one that is there to show that it does not; agents observe what solvers do."""
    results = run(name, tmp_path, **settings)
    for label in results.labels:
        if "converged" in results[label] and label != "wandering":
            assert float(results[label]["converged"]) == 1.0, label
    assert results.rows()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["congestion", "effort", "vaccination", "synchronisation", "beach-bar"])
def test_the_long_ones(tmp_path: Path, name: str) -> None:
    """As they stand in the file."""
    results = run(name, tmp_path)
    assert float(results["nash"]["converged"]) == 1.0
    assert abs(number(results, "nash", "exploitability")) < 1e-4 * abs(number(results, "nash", "value"))
