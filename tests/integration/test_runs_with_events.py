"""Runs with events, from the file to the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import mesocosm
from mesocosm import Context, Dynamics, InputError, Interval, Labelled, Options, open_results

FOLDER = Path(__file__).parents[2] / "scenarios"


def test_vaccinate_the_few(tmp_path: Path) -> None:
    """Catches events that are lost on the way to the folder, the report or the manifest, and doses for anyone at all: with
    those, 46 % of people fall ill and not 3 %."""
    settings = {"dynamics.agents.replicates": "6", "time.save_every": "10", "population.size": "5000"}
    ran = mesocosm.run(FOLDER / "vaccinate-the-few.yaml", tmp_path, settings=settings)
    assert ran.folder is not None
    manifest = json.loads((ran.folder / "manifest.json").read_text())
    assert ("strategy", "degree") in {(item["kind"], item["name"]) for item in manifest["plugins"]}
    assert "Share of replicates in which each happened" in (ran.folder / "report.html").read_text()
    agents = open_results(ran.folder)["agents"]
    assert agents.fired.dims == ("replicate", "event")
    assert agents.event.values.tolist() == ["doses"]
    assert (agents.fired == 0).all()
    ill = 1 - agents.occupancy.sel(state="S")[:, -1] - 0.099
    assert float(ill.mean()) == pytest.approx(0.033, abs=0.012)
    assert "doses" in str(open_results(ran.folder))


def test_lockdown(tmp_path: Path) -> None:
    """Catches agents whose lockdown is not that of the edge-based equations: 0.791 fall ill, and it begins on day 19."""
    settings = {"dynamics.agents.replicates": "8", "population.size": "8000", "dynamics.homogeneous": "null"}
    ran = mesocosm.run(FOLDER / "lockdown.yaml", tmp_path, settings=settings, report=False)
    agents, edges = ran["agents"], ran["edges"]
    assert edges.fired.values.tolist() == [[19.0, 59.0]]
    assert np.median(agents.fired[:, 0]) == pytest.approx(19, abs=2)
    ill = 1 - agents.occupancy.sel(state="S")[:, -1]
    assert float(ill.mean()) == pytest.approx(0.7912, abs=0.015)


@pytest.mark.parametrize("label", ["agents", "edges", "homogeneous"])
def test_a_state_knows_which_events_have_happened(label: str) -> None:
    """Catches a run that is taken up again and has its events once more, or no longer, or in another order."""
    settings = {"dynamics.agents.replicates": "3", "population.size": "400", "time.end": "90"}
    scenario = mesocosm.load(FOLDER / "lockdown.yaml", settings)
    problem, makers = mesocosm.build(scenario), mesocosm.makers_of(scenario)
    whole = mesocosm.simulate(problem, {label: makers[label]})[label]
    dynamics = makers[label](problem, Context(label, problem.streams(label)))
    dynamics.check()
    dynamics.prepare()
    state = dynamics.init()
    for interval in problem.clock.intervals():
        packed = dynamics.pack(dynamics.advance(state, interval))
        assert packed is not None
        state = dynamics.unpack({name: np.array(values) for name, values in packed.items()})
        seen = dynamics.observe(state)["occupancy"]
        np.testing.assert_allclose(seen, whole.array("occupancy")[:, interval.index + 1], rtol=1e-12)
    fired = dynamics.summary(state)["fired"]
    assert isinstance(fired, Labelled)
    np.testing.assert_array_equal(fired.values, whole.array("fired"))
    assert np.isfinite(fired.values).all(axis=0)[0]


def test_a_dynamics_that_cannot_express_events_is_refused_by_name() -> None:
    """Catches events that a dynamics passes over in silence, so that its results seem to be those of the scenario."""

    class Still(Dynamics):
        def init(self) -> None:
            raise AssertionError("it runs")

        def advance(self, state: None, interval: Interval) -> None:
            raise AssertionError("it runs")

        def observe(self, state: None) -> dict[str, np.ndarray]:
            raise AssertionError("it runs")

    problem = mesocosm.build(mesocosm.load(FOLDER / "lockdown.yaml", {"population.size": "100"}))
    with pytest.raises(InputError, match=r"dynamics 'still': .* cannot express events"):
        mesocosm.simulate(problem, {"still": Still.bind(Options())})
