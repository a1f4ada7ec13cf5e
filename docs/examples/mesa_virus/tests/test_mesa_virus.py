"""The adapter: Mesa's own model on our graph, seeded, freed, and nothing of the process changed."""

import gc
import random
import subprocess
import sys

import numpy as np
import pytest

import mesocosm
from mesocosm import InputError

PROBLEM = """
mesocosm: 1
name: test
seed: 1
time: {end: 6, save_every: 2}
population: {size: 40, initial: {infected: 0.2, resistant: 0.1}}
graph: {kind: regular, degree: 4}
game: {kind: virus}
dynamics:
  mesa: {kind: mesa_virus, replicates: 3}
"""


def dynamics(text=PROBLEM):
    """The dynamics of a scenario, checked."""
    scenario = mesocosm.parse(text)
    problem = mesocosm.build(scenario)
    context = mesocosm.Context("mesa", problem.streams("mesa"), None, None)
    made = mesocosm.makers_of(scenario)["mesa"](problem, context)
    made.check()
    return made


def test_the_contacts_are_those_of_the_graph():
    """Catches agents on a graph of Mesa's own making, and agents in another order than the nodes."""
    mesa = dynamics()
    model, agents, _ = mesa._model
    graph = mesa.problem.graph
    for node, agent in enumerate(agents):
        contacts = sorted(cell.coordinate for cell in agent.cell.neighborhood)
        assert contacts == graph.indices[graph.indptr[node] : graph.indptr[node + 1]].tolist()
    assert sorted(map(sorted, model.grid.G.edges)) == np.transpose(graph.edges()[:2]).tolist()


def test_random_numbers():
    """Catches draws from the generator that everyone shares, and an outcome that depends on what ran before."""
    mesa, before = dynamics(), random.getstate()
    first, second, *_ = mesa.problem.clock.intervals()
    start = mesa.init()
    kept = start.copy()
    middle = mesa.advance(start, first)
    end = mesa.advance(middle, second)
    assert random.getstate() == before
    np.testing.assert_array_equal(start, kept)
    random.seed(4)
    np.testing.assert_array_equal(mesa.advance(start, first), middle)
    np.testing.assert_array_equal(dynamics().advance(middle, second), end)
    assert not np.array_equal(middle[0], middle[1])


def test_states_are_translated():
    """Catches two states of the game that are exchanged, in what goes into the model or in what comes out of it."""
    mesa = dynamics()
    np.testing.assert_allclose(mesa.observe(mesa.init())["occupancy"], [[0.7, 0.2, 0.1]] * 3)
    names = "{SUSCEPTIBLE: S, INFECTED: I, RESISTANT: R}"
    text = PROBLEM.replace("replicates: 3", f"replicates: 3, gain_resistance_chance: 0, states: {names}")
    text = (
        text.replace("kind: virus", "kind: sir, beta: 0.1, gamma: 0.1")
        .replace("infected", "I")
        .replace("resistant", "R")
    )
    sir = dynamics(text)
    state = sir.init()
    for interval in sir.problem.clock.intervals():
        state = sir.advance(state, interval)
    assert (sir.observe(state)["occupancy"][:, 2] == 0.1).all()  # nobody becomes resistant, nobody stops being so
    assert (sir.observe(state)["occupancy"][:, 1] > 0.2).all()


def test_models_are_freed():
    """Catches a model for every run that is kept until the process ends."""
    from mesa.examples.basic.virus_on_network.model import VirusOnNetwork

    for _ in range(4):
        mesa = dynamics()
        mesa.advance(mesa.init(), next(mesa.problem.clock.intervals()))
    del mesa
    gc.collect()
    alive = [item for item in gc.get_objects() if type(item) is VirusOnNetwork]
    assert len(alive) <= 1  # a cache of Mesa's holds the last one


def test_the_start_method_of_processes():
    """Catches a change of how the whole program starts processes, by an import."""
    code = (
        "import multiprocessing as m; m.set_start_method('fork'); import mesocosm\n"
        f"scenario = mesocosm.parse({PROBLEM!r})\n"
        "mesocosm.simulate(mesocosm.build(scenario), mesocosm.makers_of(scenario))\n"
        "import sys; assert 'mesa' in sys.modules; assert m.get_start_method() == 'fork'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("save_every: 2", "save_every: 1.5", "save_every 1.5"),
        ("save_every: 2", "save_every: 0.5", "save_every 0.5"),
        ("kind: regular, degree: 4", "kind: complete", "contacts with weights"),
        (
            "replicates: 3",
            "states: {SUSCEPTIBLE: susceptible, INFECTED: infected, RESISTANT: infected}",
            "names every state",
        ),
    ],
)
def test_what_it_refuses(old, new, says):
    """Catches part of a step, weights that are ignored, and states without a counterpart."""
    with pytest.raises(InputError, match=says):
        dynamics(PROBLEM.replace(old, new))


def test_a_rate_that_is_infinite():
    """Catches a chance of 1 as a rate."""
    with pytest.raises(InputError, match="not both can be 1"):
        dynamics(PROBLEM.replace("kind: virus", "kind: virus, virus_check_frequency: 1, recovery_chance: 1"))
