"""The population of a problem: shares of types and nodes, whole agents at time 0; and building from a scenario."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mesocosm
from mesocosm import Clock, ContactGraph, Population, Problem, RunError, ScenarioError, resolve_device
from mesocosm.problem import largest_remainders
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import SIROptions

GROUPS = {"north": np.array([0.5, 0.5, 0.0])}


def problem(graph: ContactGraph, shares: list[float], groups: dict[str, np.ndarray] | None = None) -> Problem:
    population = Population(graph.node_count, np.array(shares), groups or {})
    game = SIR(SIROptions(beta=1, gamma=1))
    return Problem("p", 1, game, graph, population, Clock(1, 1), resolve_device("cpu"), "float64", lambda _: graph)


def path_graph() -> ContactGraph:
    names = ["north"] * 4 + ["south"] * 6
    return ContactGraph.from_edges(10, range(9), range(1, 10), attributes={"group": names})


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=5).filter(lambda x: sum(x) > 0.01), st.integers(1, 10_000))
def test_whole_agents_keep_their_sum(parts: list[float], size: int) -> None:
    """Catches agents lost or made by rounding, and a count more than one away from its share."""
    amounts = np.array(parts) / sum(parts) * size
    whole = largest_remainders(amounts)
    assert whole.sum() == size
    assert (np.abs(whole - amounts) <= 1 + 1e-6).all()


def test_exact_amounts_are_kept() -> None:
    """Catches 0.29 * 100 = 28.999999999999996 losing an agent to another state."""
    assert largest_remainders(np.array([0.29, 0.71]) * 100).tolist() == [29, 71]


def test_initial_states_are_whole_agents_placed_at_random() -> None:
    """Catches agents drawn one by one (then the count would vary), and states placed in node order."""
    generator = np.random.default_rng(1)
    drawn = np.stack([problem(path_graph(), [0.7, 0.3, 0]).initial_states(path_graph(), generator) for _ in range(400)])
    assert (np.sum(drawn == 1, axis=1) == 3).all()
    share = (drawn == 1).mean(axis=0)
    assert np.abs(share - 0.3).max() < 4.5 * np.sqrt(0.3 * 0.7 / 400)


def test_groups_keep_their_own_shares() -> None:
    """Catches shares that hold only in the whole, or groups matched by order."""
    states = problem(path_graph(), [1, 0, 0], GROUPS).initial_states(path_graph(), np.random.default_rng(1))
    assert np.sum(states[:4] == 1) == 2
    assert np.sum(states[4:] == 1) == 0


def test_shares_of_types() -> None:
    """Catches the shares of a closure that forget the groups; worked out by hand for a path of 10 nodes.

    Degree 1 are the two ends, one of them in the north; degree 2 are eight nodes, three of them in the north.
    """
    grouped = problem(path_graph(), [0.9, 0.1, 0], GROUPS)
    by_type = {
        closure: grouped.type_shares(path_graph().mixing(closure))[:, 1]
        for closure in ("homogeneous", "degree", "group", "individual")
    }
    assert by_type["homogeneous"] == pytest.approx([(4 * 0.5 + 6 * 0.1) / 10])
    assert by_type["degree"] == pytest.approx([(0.5 + 0.1) / 2, (3 * 0.5 + 5 * 0.1) / 8])
    assert by_type["group"] == pytest.approx([0.5, 0.1])
    assert by_type["individual"] == pytest.approx([0.5] * 4 + [0.1] * 6)
    assert grouped.node_shares(path_graph())[:, 1] == pytest.approx(by_type["individual"])


def test_shares_of_a_degree_law_are_those_of_the_whole() -> None:
    """Catches groups that are silently left out where the types are no nodes of the graph."""
    law = mesocosm.DegreeLaw(np.array([1.0, 2.0]), np.array([0.2, 0.8]))
    graph = ContactGraph.from_edges(10, range(9), range(1, 10), None, dict(path_graph().attributes), law)
    shares = problem(graph, [0.9, 0.1, 0], GROUPS).type_shares(graph.mixing("degree", degrees="law"))
    assert shares[:, 1] == pytest.approx([0.26, 0.26])


SCENARIO = """\
mesocosm: 1
name: p
seed: 1
time: {end: 1, save_every: 1}
population: {size: 10, initial: {I: 0.1}}
graph: {kind: complete}
game: {kind: sir, beta: 0.5, gamma: 0.1}
"""


def build(old: str = "", new: str = "") -> Problem:
    assert old in SCENARIO
    return mesocosm.build(mesocosm.parse(SCENARIO.replace(old, new) if old else SCENARIO))


def test_the_rest_is_in_the_first_state() -> None:
    """Catches shares that do not add up to one, or a rest in the wrong state."""
    assert build().population.shares == pytest.approx([0.9, 0.1, 0])
    assert build("initial: {I: 0.1}", "initial_counts: {I: 3, R: 2}").population.shares == pytest.approx(
        [0.5, 0.3, 0.2]
    )
    assert build(", initial: {I: 0.1}", "").population.shares == pytest.approx([1, 0, 0])
    assert build("{I: 0.1}", "{S: 0.2, I: 0.8}").population.shares == pytest.approx([0.2, 0.8, 0])


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("{I: 0.1}", "{J: 0.1}", "scenario:5:34: population.initial.J: the game 'sir' has no state 'J'"),
        ("{I: 0.1}", "{S: 0.5, I: 0.1}", "scenario:5:24: population.initial: the shares add up to 0.6"),
        (
            "{size: 10, initial: {I: 0.1}}\ngraph: {kind: complete}",
            "{initial_counts: {I: 900}}\ngraph: {kind: lattice, shape: [2, 5]}",
            "scenario:5:14: population.initial_counts: the shares add up to 90",
        ),
        (
            "graph: {kind: complete}",
            "graph: {kind: lattice, shape: [3, 5]}",
            "scenario:5:14: population.size: 10 agents, but the contact graph 'lattice' has 15 nodes",
        ),
        ("size: 10, ", "", "graph: "),
        ("{I: 0.1}}", "{I: 0.1}, groups: {x: {initial: {I: 0.5}}}}", "population.groups.x: "),
    ],
)
def test_faults_found_when_building(old: str, new: str, fault: str) -> None:
    """Catches a population that is silently cut to fit, and a fault without its place in the file."""
    with pytest.raises(ScenarioError) as caught:
        build(old, new)
    assert fault in str(caught.value)


def test_the_same_seed_builds_the_same_graph_and_another_does_not() -> None:
    """Catches a graph drawn from global state, and a redraw that repeats the first."""
    random_graph = ("{kind: complete}", "{kind: erdos_renyi, mean_degree: 3}")

    def edges(graph: ContactGraph) -> list[list[int]]:
        source, target, _ = graph.edges()
        return [source.tolist(), target.tolist()]

    first, second = build(*random_graph), build(*random_graph)
    other = mesocosm.build(mesocosm.parse(SCENARIO.replace(*random_graph).replace("seed: 1", "seed: 2")))
    assert edges(first.graph) == edges(second.graph)
    assert edges(first.draw(3)) == edges(second.draw(3))
    assert first.draw(0) is first.graph
    assert len({str(edges(graph)) for graph in (first.graph, other.graph, first.draw(1), first.draw(2))}) == 4


def test_a_component_that_raises_is_named() -> None:
    """Catches a bare traceback of a plugin's factory: it ends as a failed run that names the place."""

    def broken(kind: str, name: str):
        raise KeyError("lost")

    registry = mesocosm.Registry.discover()
    scenario = mesocosm.parse(SCENARIO)
    registry.factory = broken  # type: ignore[method-assign]
    with pytest.raises(RunError, match=r"scenario:7:1: game could not be built: KeyError: 'lost'"):
        mesocosm.build(scenario, registry)
