"""Agents on a contact graph: cases with a known answer, reproducibility, and what is recorded."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import ClassVar

import numpy as np
import pytest

from mesocosm import (
    Clock,
    ContactGraph,
    Context,
    FiniteStateGame,
    InputError,
    Population,
    Problem,
    Transition,
    resolve_device,
)
from mesocosm_agents.contacts import Contacts
from mesocosm_agents.dynamics import AgentBased
from mesocosm_agents.engine import Stretch
from mesocosm_agents.lists import ListEngine
from mesocosm_agents.options import AgentBasedOptions
from mesocosm_agents.vectorised import VectorisedEngine
from mesocosm_games.epidemics import SIR, SIS
from mesocosm_games.options import SIROptions, SISOptions

CERTAIN = 1e9
"""A rate at which every step infects."""

ENGINES = ["compiled", "general", "mesa"]


def generalised(game):
    """The same game with every transition as a general function: what the compiled engine cannot take."""

    def general(transition):
        def intensity(t, field, control):
            return FiniteStateGame.intensity(game, transition, t, field, control)

        return Transition.general(transition.source, transition.target, intensity)

    twin = type(game).__new__(type(game))
    twin.__dict__.update(game.__dict__)
    twin.transitions = tuple(general(transition) for transition in game.transitions)
    return twin


@pytest.fixture
def make():
    """A dynamics on a hand-made problem; `engine` is compiled, general or mesa."""

    def build(game, graph, *, shares=None, groups=None, end=4.0, seed=5, draw=None, engine="compiled", **options):
        problem = Problem(
            name="hand-made",
            seed=seed,
            game=generalised(game) if engine == "general" else game,
            graph=graph,
            population=Population(
                graph.node_count, np.array([1.0, 0, 0] if shares is None else shares, float), groups or {}
            ),
            clock=Clock(end, 1.0),
            device=resolve_device("cpu"),
            precision="float64",
            draw=draw or (lambda replicate: graph),
        )
        context = Context("agents", problem.streams("agents"), lambda label: None, lambda label: None)
        chosen = AgentBasedOptions(engine="mesa" if engine == "mesa" else "step", **({"replicates": 1} | options))
        return AgentBased(problem, chosen, context)

    return build


def play(dynamics):
    """The state at every save."""
    dynamics.check()
    dynamics.prepare()
    states = [dynamics.init()]
    for interval in dynamics.problem.clock.intervals():
        states.append(dynamics.advance(states[-1], interval))
    return states


def sir(beta, gamma=0.0, **effort):
    return SIR(SIROptions(beta=beta, gamma=gamma, effort=effort or None))


def seeded(graph, seeds):
    """The graph with the nodes `seeds` in the group `seed`, and the population that starts those as infected."""
    names = np.where(np.isin(np.arange(graph.node_count), seeds), "seed", "rest")
    source, target, weights = graph.edges()
    return ContactGraph.from_edges(graph.node_count, source, target, weights, {"group": names})


SEED_IS_INFECTED = {"seed": np.array([0.0, 1.0, 0.0])}


def random_graph(size, edges, seed, weights=False):
    rng = np.random.default_rng(seed)
    pairs = np.unique(np.sort(rng.integers(0, size, (edges, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    values = rng.random(len(pairs)) + 0.1 if weights else None
    return ContactGraph.from_edges(size, pairs[:, 0], pairs[:, 1], values)


def distances(graph, start):
    """Contacts between each node and `start`, by breadth-first search."""
    result = np.full(graph.node_count, np.inf)
    result[start], frontier, steps = 0, [start], 0
    while frontier:
        steps += 1
        reached = {int(n) for node in frontier for n in graph.indices[graph.indptr[node] : graph.indptr[node + 1]]}
        frontier = [node for node in reached if np.isinf(result[node])]
        result[frontier] = steps
    return result


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("start", [0, 17])
def test_certain_infection_walks_one_contact_per_step(make, engine, start):
    """Would catch moves that are not simultaneous, contacts of the wrong node, and states read after they changed."""
    graph = random_graph(60, 70, 1, weights=start == 17)
    dynamics = make(sir(CERTAIN), seeded(graph, [start]), groups=SEED_IS_INFECTED, step=0.5, engine=engine)
    far = distances(graph, start)
    assert far[np.isfinite(far)].max() >= 7
    for time, state in enumerate(play(dynamics)):
        np.testing.assert_array_equal(state.states[0] == 1, far <= 2 * time)


@pytest.mark.parametrize("engine", ENGINES)
def test_isolated_agents_are_never_infected(make, engine):
    """Would catch a field at agents without contacts, a division by their degree of zero included."""

    class Averaging(SIR):
        normalise: ClassVar[str] = "mean"

    graph = seeded(ContactGraph.from_edges(5, [0, 1], [1, 2]), [0])
    for game in (sir(CERTAIN), Averaging(SIROptions(beta=CERTAIN, gamma=0))):
        last = play(make(game, graph, groups=SEED_IS_INFECTED, engine=engine))[-1]
        np.testing.assert_array_equal(last.states[0], [1, 1, 1, 0, 0])


@pytest.mark.parametrize("engine", ENGINES)
def test_zero_rates_freeze_and_absorbing_states_keep(make, engine):
    """Would catch jumps at intensity zero and out of states that have no transition."""
    graph = random_graph(40, 90, 2)
    frozen = play(make(sir(0.0), graph, shares=[0.5, 0.3, 0.2], engine=engine, replicates=3))
    np.testing.assert_array_equal(frozen[0].states, frozen[-1].states)
    moving = play(make(sir(0.5, 0.8), graph, shares=[0.5, 0.3, 0.2], engine=engine, replicates=3))
    for before, after in itertools.pairwise(moving):
        assert (after.states[before.states == 2] == 2).all()
    assert (moving[-1].states == 2).sum() > (moving[0].states == 2).sum()


@pytest.mark.parametrize("engine", ENGINES)
def test_same_seed_same_bytes_and_replicates_do_not_depend_on_their_number(make, engine):
    """Would catch randomness from elsewhere, and streams shared between replicates."""
    graph = random_graph(50, 120, 3)

    def run(replicates, seed=5):
        dynamics = make(sir(0.6, 0.3), graph, shares=[0.8, 0.2, 0], engine=engine, replicates=replicates, seed=seed)
        return np.stack([state.states for state in play(dynamics)])

    first = run(5)
    assert first.tobytes() == run(5).tobytes()
    np.testing.assert_array_equal(first[:, :2], run(2))
    assert (first != run(5, seed=6)).any()
    assert (first[:, 0] != first[:, 1]).any()


@pytest.mark.parametrize("engine", ENGINES)
def test_replicates_draw_their_own_numbers(make, engine):
    """Would catch one stream for all replicates or all intervals; everyone starts alike, and only recovers."""
    graph = random_graph(200, 10, 3)
    states = play(make(sir(0.0, 0.7), graph, shares=[0, 1, 0], engine=engine, replicates=2, end=2.0))
    recovered = [state.states == 2 for state in states]
    assert (recovered[1][0] != recovered[1][1]).any()
    generators = make(sir(0.0), graph)._play
    first, second = (generators.generator(Stretch(number, number, number + 1.0), 0).random() for number in range(2))
    assert first != second


@pytest.mark.parametrize("engine", ENGINES)
def test_redraw_runs_each_replicate_on_its_own_graph(make, engine):
    """Would catch replicates that share a graph under `redraw`, or fresh draws without it."""
    pair, apart = ContactGraph.from_edges(2, [0], [1]), ContactGraph.from_edges(2, [], [])
    asked = []

    def draw(replicate):
        asked.append(replicate)
        return pair if replicate % 2 == 0 else apart

    options = {"shares": [0.5, 0.5, 0], "engine": engine, "replicates": 4, "draw": draw, "end": 2.0}
    last = play(make(sir(CERTAIN), pair, redraw=True, **options))[-1]
    np.testing.assert_array_equal((last.states == 1).sum(axis=1), [2, 1, 2, 1])
    assert set(asked) == {1, 2, 3}
    asked.clear()
    last = play(make(sir(CERTAIN), pair, **options))[-1]
    np.testing.assert_array_equal((last.states == 1).sum(axis=1), [2, 2, 2, 2])
    assert not asked


def test_redraw_refuses_graphs_of_another_size(make):
    """Would catch replicates of different populations being averaged together."""
    dynamics = make(
        sir(1.0), random_graph(9, 12, 0), redraw=True, replicates=2, draw=lambda r: random_graph(9 + r, 12, 0)
    )
    with pytest.raises(InputError, match="10 nodes"):
        dynamics.init()


@pytest.mark.parametrize("engine", ENGINES)
def test_advance_leaves_its_argument_alone_and_repeats(make, engine):
    """Would catch in-place updates and anything carried outside the state, which a restart would lose."""
    game, graph = sir(0.8, 0.2, cost=1.0), random_graph(50, 120, 4, weights=True)
    dynamics = make(game, graph, shares=[0.8, 0.2, 0], engine=engine, replicates=2)
    first, second = list(dynamics.problem.clock.intervals())[:2]
    start = dynamics.init()
    kept = start.states.copy(), start.cost.copy()
    middle = dynamics.advance(start, first)
    end = dynamics.advance(middle, second)
    np.testing.assert_array_equal(start.states, kept[0])
    np.testing.assert_array_equal(start.cost, kept[1])
    other = make(game, graph, shares=[0.8, 0.2, 0], engine=engine, replicates=2).advance(middle, second)
    assert other.states.tobytes() == end.states.tobytes()
    assert other.cost.tobytes() == end.cost.tobytes()


@pytest.mark.parametrize("normalise", ["sum", "mean"])
@pytest.mark.parametrize("kind", ["plain", "weighted", "complete"])
def test_fields_equal_those_of_the_contact_graph(make, kind, normalise):
    """Would catch a compiled aggregation that differs from `ContactGraph.neighbour_sum`, and one that minds labels."""
    graph = ContactGraph.complete(30) if kind == "complete" else random_graph(30, 60, 5, weights=kind == "weighted")
    contacts = Contacts.of(graph, make(sir(1.0), graph)._policy, normalise)
    emission = np.random.default_rng(0).random((4, 30, 2))
    expected = np.moveaxis(graph.neighbour_sum(np.moveaxis(emission, -1, 1)), 1, -1)
    if normalise == "mean":
        strengths = graph.strengths[:, None]
        expected = np.divide(expected, strengths, out=np.zeros_like(expected), where=strengths > 0)
    np.testing.assert_allclose(contacts.field(emission), expected, rtol=1e-12, atol=1e-14)
    if kind != "complete":
        new = np.random.default_rng(1).permutation(30)
        source, target, weights = graph.edges()
        relabelled = Contacts.of(
            ContactGraph.from_edges(30, new[source], new[target], weights), make(sir(1.0), graph)._policy, normalise
        )
        moved = np.empty_like(emission)
        moved[:, new] = emission
        np.testing.assert_allclose(relabelled.field(moved)[:, new], expected, rtol=1e-12, atol=1e-14)


def test_fields_with_fractional_weights_do_not_drift(make):
    """Would catch fields kept by adding and subtracting: 0.1 + 0.2 - 0.1 - 0.2 is not 0, and a field below 0 is fatal."""
    graph = random_graph(60, 200, 6, weights=True)
    game = SIS(SISOptions(beta=0.3, gamma=1.0))
    dynamics = make(game, graph, shares=[0.5, 0.5], step=0.05, end=200.0, replicates=2)
    states = play(dynamics)
    assert any((state.states == 1).any() for state in states[5:])


def test_plugin_and_options_import_nothing_heavy():
    """Would catch `mesocosm validate` becoming slow."""
    code = (
        "import sys, mesocosm_agents, mesocosm_agents.options; list(mesocosm_agents.mesocosm_components()); "
        "print(*sorted({'numpy', 'numba', 'mesa', 'torch', 'xarray'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_compiled_engine_is_chosen_for_tables(make):
    """Would catch the fast engine being lost, or taken for a game whose own intensities it would ignore."""

    class Own(SIR):
        def intensity(self, transition, t, field, control):
            return 2 * super().intensity(transition, t, field, control)

    assert isinstance(make(sir(1.0), random_graph(5, 9, 0))._engine, ListEngine)
    own = make(Own(SIROptions(beta=1.0, gamma=0)), random_graph(5, 9, 0))
    assert isinstance(own._engine, VectorisedEngine)
