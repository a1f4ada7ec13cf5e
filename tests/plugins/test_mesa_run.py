"""A run of ours as a `mesa.Model`: the same numbers, and what Mesa offers for models works on it."""

from __future__ import annotations

import gc
import pickle
import runpy
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import mesocosm
from mesocosm import InputError
from mesocosm_agents.mesa_loading import start_method_kept

with start_method_kept():
    import mesa

SCENARIO = """
mesocosm: 1
name: test
seed: 3
time: {end: 6, save_every: 0.5, unit: day}
population: {size: 60, initial: {I: 0.1}}
graph: {kind: erdos_renyi, mean_degree: 6}
game: {kind: sir, beta: 0.15, gamma: 0.2, effort: {cost: 1, infection_cost: 8}}
dynamics:
  agents: {kind: agent_based, policy: {from: nash}, deviations: 0}
  nash: {kind: classical_mfg}
  plain: {kind: agent_based, replicates: 2}
"""
APP = Path(__file__).parents[2] / "docs" / "examples" / "solara_app" / "app.py"


def curves(model: Any) -> Any:
    """Shares of the states, [time, state], after all steps that are left."""
    while model.running:
        model.step()
    frame = model.datacollector.get_model_vars_dataframe()
    return frame[["S", "I", "R"]].to_numpy()


def test_the_numbers_are_those_of_the_run() -> None:
    """Catches steps, seeds, policies of another dynamics or settings that are not those of the scenario: not one number may
    differ from that of the run with one replicate."""
    scenario = mesocosm.parse(SCENARIO, {"dynamics.agents.replicates": "1", "game.gamma": "0.1"})
    found = mesocosm.simulate(mesocosm.build(scenario), mesocosm.makers_of(scenario))
    model = mesocosm.mesa_model(SCENARIO, **{"game.gamma": 0.1})
    np.testing.assert_array_equal(curves(model), found["agents"].array("occupancy")[0])
    assert isinstance(model, mesa.Model)
    assert model.label == "agents"
    times = model.datacollector.model_vars["time"]
    np.testing.assert_array_equal(times, found["agents"].times)
    other = curves(mesocosm.mesa_model(SCENARIO, "plain", rng=4))
    assert not np.array_equal(other, curves(mesocosm.mesa_model(SCENARIO, "plain", rng=5)))
    np.testing.assert_array_equal(other, curves(mesocosm.mesa_model(SCENARIO, "plain", rng=4)))


def test_agents_show_the_states() -> None:
    """Catches agents of other nodes, states that are not the latest, and a space whose contacts are not those of the graph."""
    model = mesocosm.mesa_model(SCENARIO, "plain")
    model.datacollector = mesa.DataCollector({"I": "share_I"}, {"state": "state", "node": "node"})
    problem = mesocosm.build(mesocosm.parse(SCENARIO))
    for _ in range(4):
        model.step()
    names = [model.state_names[number] for number in model.state_numbers]
    assert model.agents.get("state") == names
    assert model.share_I == model.agents.get("state").count("I") / 60 == model.datacollector.model_vars["I"][-1]
    frame = model.datacollector.get_agent_vars_dataframe().loc[4]
    assert frame["state"].tolist() == names
    assert frame["node"].tolist() == list(range(60))
    assert len(model.grid.all_cells) == 60
    for agent in model.agents:
        (here,) = agent.cell.agents
        assert here is agent
        contacts = sorted(cell.coordinate for cell in agent.cell.connections.values())
        graph = problem.graph
        assert contacts == graph.indices[graph.indptr[agent.node] : graph.indptr[agent.node + 1]].tolist()


def test_a_pickle_goes_on_as_if_nothing_had_happened() -> None:
    """Catches a state, the random numbers or what was collected that a pickle loses; a space is made again."""
    model = mesocosm.mesa_model(SCENARIO)
    for _ in range(5):
        model.step()
    assert model.grid is not None
    model.remark = "mine"
    copy = pickle.loads(pickle.dumps(model))
    assert (copy.steps, copy.now, copy.remark, copy.label) == (5, 2.5, "mine", "agents")
    assert copy.agents.get("state") == model.agents.get("state")
    assert len(list(copy.grid.all_cells.agents)) == 60
    np.testing.assert_array_equal(curves(copy), curves(model))
    assert copy.random.random() == model.random.random()


def test_batch_run_in_two_processes(tmp_path: Path) -> None:
    """Catches a model that another process cannot make, and parameters that do not reach the scenario."""
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    parameters = {"scenario": str(path), "label": "plain", "rng": [1, 2], "game.beta": [0.0, 0.5]}
    with start_method_kept():
        rows = mesa.batch_run(
            mesocosm.mesa_model, parameters, number_processes=2, data_collection_period=1, display_progress=False
        )
    assert len(rows) == 2 * 2 * 12
    for row in rows:
        alone = mesocosm.mesa_model(str(path), "plain", rng=row["rng"], **{"game.beta": row["game.beta"]})
        for _ in range(row["Step"]):
            alone.step()
        assert row["S"] == alone.share_S
        assert row["game.beta"] or row["S"] == 0.9


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            {"label": "nash"},
            r"dynamics 'nash'; it is the label of a dynamics of kind agent_based; there are: agents, plain",
        ),
        ({"game.bta": 1}, "game.bta: unknown option; did you mean 'beta'"),
        ({"scenario": "nowhere.yaml"}, "nowhere.yaml"),
    ],
)
def test_what_is_refused(arguments: dict[str, Any], says: str) -> None:
    """Catches another dynamics than the one that was meant, and settings that are passed over."""
    with pytest.raises(InputError, match=says):
        mesocosm.mesa_model(**{"scenario": SCENARIO, **arguments})


def test_it_ends_with_the_scenario() -> None:
    """Catches steps past the end, and a model that does not say that it is over."""
    model = mesocosm.mesa_model(SCENARIO, "plain", **{"time.end": 1})
    model.run_model()
    assert (model.running, model.now, model.steps) == (False, 1.0, 2)
    with pytest.raises(InputError, match="a step at time 1; the scenario ends there"):
        model.step()


def test_models_are_freed() -> None:
    """Catches models that are kept for ever, by Mesa's table of numbers or by a cache of ours."""
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    for _ in range(50):
        model = mesocosm.mesa_model(SCENARIO, "plain", **{"time.end": 0.5})
        model.step()
        assert model.grid is not None
        alive.add(model)
    del model
    gc.collect()
    assert not alive


def test_the_start_method_of_processes() -> None:
    """Catches a change of how the whole program starts processes, by an import."""
    code = (
        "import multiprocessing as m; m.set_start_method('fork'); import mesocosm\n"
        f"mesocosm.mesa_model({SCENARIO!r}, 'plain').step(); assert m.get_start_method() == 'fork'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the example app gives to SolaraViz. The browser is left out: these are stand-ins for Mesa's visualisation."""
    found: dict[str, Any] = {}

    def show(model: Any, **kwargs: Any) -> None:
        found.update(kwargs, model=model)

    package, components = ModuleType("mesa.visualization"), ModuleType("mesa.visualization.components")
    vars(package).update(
        SolaraViz=show, make_space_component=lambda function: function, make_plot_component=lambda measures: measures
    )
    vars(components)["AgentPortrayalStyle"] = SimpleNamespace
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setitem(sys.modules, components.__name__, components)
    runpy.run_path(str(APP))
    return found


def test_the_example_app(shown: dict[str, Any]) -> None:
    """Catches an example whose parameters make no model, that colours no state, or plots what is not collected."""
    portrayal, measures = shown["components"]
    chosen = {
        name: value["value"] if isinstance(value, dict) else value for name, value in shown["model_params"].items()
    }
    model = type(shown["model"])(**chosen)  # as SolaraViz makes one on Reset
    np.testing.assert_array_equal(curves(model), curves(shown["model"]))
    assert set(measures) <= set(model.datacollector.model_vars)
    assert {portrayal(agent).color for agent in model.agents} <= set(measures.values())
