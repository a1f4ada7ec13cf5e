"""A foreign `mesa.Model` as a dynamics: what goes into it, what comes out, and what is refused.

Models run in processes of their own, whose start takes a second, so that each test asks for what it can in one run.
"""

from __future__ import annotations

import gc
import random
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import foreign_models
import numpy as np
import pytest

import mesocosm
from mesocosm import Context, DynamicsError, InputError, Registry, Trajectories
from mesocosm.testing import check_dynamics
from mesocosm_agents import mesa_crew
from mesocosm_agents.mesa_loading import start_method_kept
from mesocosm_agents.mesa_model import MesaModel

PLUGIN = Path(foreign_models.__file__)
VIRUS = "{SUSCEPTIBLE: S, INFECTED: I, RESISTANT: R}"
ILL = "states: record.ill, mapping: {'true': I, 'false': S}"

SCENARIO = """
mesocosm: 1
name: test
seed: 1
time: {{end: {end}, save_every: {save_every}}}
population: {{size: {size}, initial: {initial}}}
graph: {graph}
game: {game}
dynamics:
  mesa: {{kind: mesa_model, {options}}}
  {more}
"""


@pytest.fixture(scope="module")
def plugins() -> Registry:
    """What is installed, and the foreign models as a file given with -p."""
    with start_method_kept():
        return Registry.discover([PLUGIN])


@pytest.fixture
def scenario(plugins: Registry) -> Callable[..., Any]:
    """`scenario(options, ...)`: a scenario in which `mesa` has these options."""

    def make(options: str, **changes: Any) -> Any:
        given = {"end": 4, "save_every": 1, "size": 20, "graph": "{kind: complete}", "initial": "{I: 0.1}", "more": ""}
        given |= {"game": "{kind: sir, beta: 0.3, gamma: 0.1}", "options": options, **changes}
        return mesocosm.parse(SCENARIO.format(**given), registry=plugins)

    return make


@pytest.fixture
def simulated(plugins: Registry, scenario: Callable[..., Any]) -> Callable[..., dict[str, Trajectories]]:
    """`simulated(options, ...)`: what the dynamics of such a scenario recorded, by label."""

    def run(options: str, notify: Any = None, **changes: Any) -> dict[str, Trajectories]:
        chosen = scenario(options, **changes)
        makers = mesocosm.makers_of(chosen, plugins)
        return mesocosm.simulate(mesocosm.build(chosen, plugins), makers, notify=notify)

    return run


@pytest.fixture
def made(plugins: Registry, scenario: Callable[..., Any]) -> Callable[..., MesaModel]:
    """`made(options, ...)`: the dynamics itself, checked."""

    def make(options: str, folder: Path | None = None, report: Any = None, **changes: Any) -> MesaModel:
        chosen = scenario(options, **changes)
        problem = mesocosm.build(chosen, plugins)
        context = Context("mesa", problem.streams("mesa"), folder=folder)
        if report is not None:
            context = replace(context, report=report)
        dynamics = mesocosm.makers_of(chosen, plugins)["mesa"](problem, context)
        assert isinstance(dynamics, MesaModel)
        dynamics.check()
        return dynamics

    return make


def test_two_nodes_of_mesas_own_example(simulated: Callable[..., Any]) -> None:
    """Catches parameters, seeds or states of Mesa's unedited VirusOnNetwork that are not what was asked for.

    One of two is infected, and in each step infects the other with probability p before it recovers with probability f: the
    other is infected in the end with probability p / (p + f - p f). In continuous time it is beta / (beta + gamma), which
    beta = p / (1 - f) and gamma = f make the same. Either mean may miss it by 4.4 standard errors, by chance with one seed in
    100,000. With p = 0.5 for 0.3 it would miss by 7.4, with f = 0.5 for 0.3 by 5.1, with one seed for all by 16 or more.
    """
    p, f, runs = 0.3, 0.3, 400
    parameters = (
        f"{{num_nodes: 2, avg_node_degree: 2, initial_outbreak_size: 1, virus_spread_chance: {p}, "
        f"virus_check_frequency: {f}, recovery_chance: 1, gain_resistance_chance: 1}}"
    )
    found = simulated(
        f"model: virus, states: state, mapping: {VIRUS}, parameters: {parameters}, replicates: {runs}",
        size=2,
        initial="{I: 0.5}",
        end=40,
        save_every=40,
        game=f"{{kind: sir, beta: {p / (1 - f)}, gamma: {f}}}",
        more=f"agents: {{kind: agent_based, replicates: {runs}, step: 0.02}}",
    )
    law = p / (p + f - p * f)
    for label in ("mesa", "agents"):
        occupancy = found[label].array("occupancy")
        assert (occupancy[:, 0] == [0.5, 0.5, 0.0]).all()
        others = 2 * occupancy[:, -1, 2] - 1
        assert set(others.tolist()) == {0.0, 1.0}
        assert abs(others.mean() - law) < 4.4 * np.sqrt(law * (1 - law) / runs)


def test_a_model_on_our_graph_has_the_law_of_our_agents(simulated: Callable[..., Any]) -> None:
    """Catches a graph, weights or a fresh draw that do not reach the model, and steps that are lost or too many.

    The model and `agent_based` with step 1 have the same law on every graph. 4.4 combined standard errors are allowed at
    each of 6 saves; a beta that is 20 % off is at 5.7 in the number of susceptible, and found with probability 0.9; without
    the weights of 0.5 it is at more than 10.
    """
    found = simulated(
        "model: contagion, states: health, graph_argument: graph, redraw: true, replicates: 300, step: 1, "
        "parameters: {beta: 0.08, gamma: 0.15}",
        size=40,
        end=12,
        save_every=2,
        graph="{kind: erdos_renyi, mean_degree: 6}",
        game="{kind: sir, beta: 0.08, gamma: 0.15}",
        more="agents: {kind: agent_based, replicates: 1500, step: 1, redraw: true, engine: step}",
    )
    ours, theirs = (found[label].array("occupancy") for label in ("agents", "mesa"))
    error = np.sqrt(ours.var(axis=0, ddof=1) / len(ours) + theirs.var(axis=0, ddof=1) / len(theirs))
    gap = np.abs(ours.mean(axis=0) - theirs.mean(axis=0))
    assert (gap <= 4.4 * error + 1e-12).all(), gap / np.maximum(error, 1e-12)
    edges = found["mesa"].array("Edges")
    assert (edges == edges[:, :1]).all()
    assert len(np.unique(edges[:, 0])) > 5  # a fresh graph for each
    assert "Label" not in found["mesa"].variables
    assert "Ratio" not in found["mesa"].variables  # it is never finite


def test_columns_of_the_data_collector(simulated: Callable[..., Any]) -> None:
    """Catches columns of another save or replicate than the states, and a ratio that is infinite as a number."""
    notes: set[str] = set()

    def notify(hook: str, **values: Any) -> None:
        notes.add(values.get("note", ""))

    found = simulated(
        f"model: virus, states: state, mapping: {VIRUS}, parameters: {{num_nodes: 20, avg_node_degree: 5}}, replicates: 6",
        notify=notify,
        end=12,
        save_every=3,
    )["mesa"]
    occupancy = found.array("occupancy")
    for name, number in {"Susceptible": 0, "Infected": 1, "Resistant": 2}.items():
        np.testing.assert_array_equal(found.array(name), 20 * occupancy[:, :, number])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = occupancy[:, :, 2] / occupancy[:, :, 0]
    np.testing.assert_allclose(found.array("R_over_S"), np.where(occupancy[:, :, 0] > 0, ratio, np.nan))
    assert found.variables["Infected"].dims == ("replicate", "time")
    # Mesa's example draws its graph from the generator that everyone shares.
    assert "replicate 6 of 6; draws from the shared random, seeded for each" in notes


def test_a_model_that_ends_keeps_its_state(simulated: Callable[..., Any]) -> None:
    """Catches steps after `running = False`, a dotted attribute, and truth values that are read wrongly."""
    found = simulated(f"model: stopping, {ILL}, replicates: 2", end=5)["mesa"]
    np.testing.assert_allclose(found.array("occupancy")[:, :, 1], [[0.0, 0.1, 0.2, 0.3, 0.3, 0.3]] * 2)


@pytest.mark.parametrize("model", ["unseeded", "shared"])
def test_the_seed_decides(simulated: Callable[..., Any], model: str) -> None:
    """Catches a model that is seeded by the operating system, one that shares numbers with another replicate or with this
    process, and an outcome that depends on which worker ran it."""
    before = random.getstate()
    options = f"model: {model}, {ILL}, replicates: 4, workers"
    one = simulated(f"{options}: 1")["mesa"].array("occupancy")
    np.testing.assert_array_equal(simulated(f"{options}: 2")["mesa"].array("occupancy"), one)
    assert random.getstate() == before
    assert len(np.unique(one[:, 1:, 1].round(6), axis=0)) == 4


def test_states_from_a_function(simulated: Callable[..., Any]) -> None:
    """Catches a registered function that is not asked. Mesa's unedited BoltzmannWealth has no states; all begin with 1."""
    found = simulated("model: wealth, states: {observable: poverty}, parameters: {n: 25}, replicates: 1", end=3)["mesa"]
    poor = found.array("occupancy")[0, :, 1]
    assert poor[0] == 0
    assert (poor[1:] > 0.1).all()
    assert found.array("Gini")[0, -1] > 0.2


def test_finished_replicates_are_kept(
    made: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a run that is resumed and runs every replicate again, or reads them back wrongly."""
    options = f"model: virus, states: state, mapping: {VIRUS}, replicates: 3"
    first = made(options, folder=tmp_path)
    first.prepare()
    (tmp_path / "replicate-1.npz").rename(tmp_path / "kept")
    partly = made(options, folder=tmp_path)
    todo: list[int] = []
    real = mesa_crew.answers

    def watched(recipe: Any, jobs: Iterator[Any], workers: int) -> Any:
        kept = list(jobs)
        todo.extend(job.replicate for job in kept)
        return real(recipe, iter(kept), workers)

    monkeypatch.setattr("mesocosm_agents.mesa_model.answers", watched)
    partly.prepare()
    assert todo == [1]
    for save in range(5):
        before, after = (dynamics.observe(np.array([save])) for dynamics in (first, partly))
        assert before.keys() == after.keys()
        for name, values in before.items():
            np.testing.assert_array_equal(values, after[name])


@pytest.mark.parametrize("model", ["sleeping", "stopping"])
def test_an_interrupted_run_leaves_no_process(
    made: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """Catches workers that go on after Ctrl-C, such as one whose model never returns from a step."""
    started: list[subprocess.Popen[bytes]] = []

    class Watched(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            started.append(self)

    def press(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(mesa_crew.subprocess, "Popen", Watched)
    dynamics = made(f"model: {model}, {ILL}, replicates: 2, workers: 2", report=press)
    with pytest.raises(KeyboardInterrupt):
        dynamics.prepare()
    assert len(started) == 2
    assert all(process.poll() is not None for process in started)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            f"model: failing, {ILL}",
            r"replicate 0 of the model 'failing', after time 1: OSError: no room for a log; raised",
        ),
        (f"model: dying, {ILL}", "replicate 0 of the model 'dying': its process ended with code 7"),
        ("model: wealth, states: state, parameters: {n: 5}", "has no attribute 'state'; states names an attribute"),
        ("model: wealth, states: wealth, parameters: {n: 5}", "an agent is in the state '1'; a state of the game, or"),
        ("model: wealth, states: {observable: nobody}", "the model has no agents"),
    ],
)
def test_what_goes_wrong_in_a_model(made: Callable[..., Any], options: str, says: str) -> None:
    """Catches a failure of a model that does not say which replicate, when and why, or that hangs."""
    with pytest.raises(DynamicsError, match=says):
        made(f"{options}, replicates: 1").prepare()


@pytest.mark.parametrize(
    ("options", "changes", "says"),
    [
        ("model: nothing, states: state", {}, "no model is called 'nothing'"),
        ("model: local, states: state", {}, r"another process cannot find _inner\.<locals>\.Inner"),
        (
            "model: virus, states: {observable: povrety}",
            {},
            "no observable is called 'povrety'; did you mean 'poverty'",
        ),
        (
            "model: virus, states: state, mapping: {INFECTED: sick}",
            {},
            "mapping takes INFECTED to 'sick'; states of the game",
        ),
        ("model: virus, states: state, parameters: {nodes: 3}", {}, "has no argument 'nodes'; it has: num_nodes"),
        ("model: virus, states: state, graph_argument: graph", {}, "has no argument 'graph'; it has: num_nodes"),
        (
            "model: virus, states: state, parameters: {seed: 3}",
            {},
            "seed among the parameters; the seed is that of the",
        ),
        ("model: contagion, states: health, graph_argument: graph", {}, "needs the argument 'beta'"),
        ("model: virus, states: state, redraw: true", {}, "redraw without graph_argument"),
        ("model: virus, states: state, step: 0.4", {}, "step 0.4 with save_every 1; a model makes whole steps"),
        ("model: virus, states: state, step: 2", {}, "step 2 with save_every 1; a model makes whole steps"),
        ("model: open, states: state, graph_argument: g", {"size": 3000}, "a complete graph of 3000 nodes"),
        ("model: virus, states: state", {"game": "{kind: el_farol}", "initial": "{}"}, "a finite-state game is needed"),
    ],
)
def test_what_is_refused(made: Callable[..., Any], options: str, changes: dict[str, Any], says: str) -> None:
    """Catches what cannot be run and is only found when the run is under way, or not at all."""
    with pytest.raises(InputError, match=says):
        made(options, **changes)


def test_nothing_beyond_a_fixed_game_is_promised() -> None:
    """Catches a promise that no foreign model can keep: what it does not express is refused by name."""
    assert not MesaModel.expresses
    assert MesaModel.follows == "own"


def test_models_are_freed(plugins: Registry, made: Callable[..., Any]) -> None:
    """Catches models that Mesa keeps for ever: in `Agent._ids`, and by the cells in the caches of `Cell`."""
    from mesa.examples.basic.virus_on_network.model import VirusOnNetwork

    from mesocosm_agents.mesa_messages import Job
    from mesocosm_agents.mesa_worker import play

    recipe = made(f"model: virus, states: state, mapping: {VIRUS}, parameters: {{num_nodes: 4}}")._recipe
    alive: weakref.WeakSet[VirusOnNetwork] = weakref.WeakSet()
    original, before = VirusOnNetwork.__init__, random.getstate()

    def remember(model: VirusOnNetwork, *args: Any, **kwargs: Any) -> None:
        alive.add(model)
        original(model, *args, **kwargs)

    remember.__signature__ = __import__("inspect").signature(original)  # type: ignore[attr-defined]
    VirusOnNetwork.__init__ = remember
    shared = np.random.get_state()  # noqa: NPY002
    try:
        for replicate in range(50):
            play(recipe, Job(replicate, replicate, None), lambda _: None)
    finally:
        VirusOnNetwork.__init__ = original
        random.setstate(before)
        np.random.set_state(shared)  # noqa: NPY002
    gc.collect()
    assert not alive


@pytest.mark.slow
def test_it_passes_the_kit(plugins: Registry) -> None:
    """Catches whatever the kit says, such as draws from the generators of this process, or a seed that does not decide."""
    options = {"model": "contagion", "states": "health", "graph_argument": "graph", "step": 0.05, "replicates": 3}
    options |= {"workers": 1, "parameters": {"beta": 0.1, "gamma": 0.1}}
    outcomes = check_dynamics("mesa_model", options=options, registry=plugins)
    passed = {outcome.check.name for outcome in outcomes if outcome.status == "passed"}
    assert {"runs_a_game", "same_seed_same_bytes", "stops_restores_and_goes_on", "frees_its_memory"} <= passed


SCRIPT = """
import mesocosm

print("once")
scenario = mesocosm.parse({text!r}, registry=(found := mesocosm.Registry.discover([__import__("pathlib").Path({file!r})])))
outcome = mesocosm.simulate(mesocosm.build(scenario, found), mesocosm.makers_of(scenario, found))
print(outcome["mesa"].array("occupancy").shape)
"""


def test_a_script_is_not_run_again(tmp_path: Path) -> None:
    """Catches workers that import the program that started them: a script without `if __name__ == "__main__"` would run again
    in each. What a model prints goes to the error stream, and not among the answers."""
    options = f"model: open, {ILL}, parameters: {{file: here}}, replicates: 2, workers: 2"
    given = {"end": 2, "save_every": 1, "size": 20, "graph": "{kind: complete}", "more": ""}
    given |= {"options": options, "initial": "{I: 0.1}"}
    text = SCENARIO.format(**given, game="{kind: sir, beta: 0.3, gamma: 0.1}")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(text=text, file=str(PLUGIN)), encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "once\n(2, 3, 3)\n"
    assert done.stderr.count("a model prints") == 2
