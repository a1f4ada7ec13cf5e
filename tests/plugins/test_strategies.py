"""Strategies of vaccination: against networkx, exact probabilities, and what is published."""

from __future__ import annotations

import importlib
from itertools import permutations

import networkx
import numpy as np
import pytest
from scipy.stats import chi2

import mesocosm_graphs
from mesocosm import ContactGraph, InputError, Options, Strategy
from mesocosm_graphs.configuration import configuration
from mesocosm_graphs.options import Configuration
from mesocosm_graphs.strategies import ByAcquaintance, ByBetweenness, ByCore, ByDegree, Randomly
from mesocosm_graphs.strategy_options import (
    HighestBetweenness,
    HighestCore,
    HighestDegree,
    RandomAcquaintances,
    RandomNodes,
)

FALSE_ALARM = 1e-6

GRAPHS = {
    "karate": networkx.karate_club_graph(),
    "random": networkx.gnp_random_graph(300, 0.03, seed=1),
    "growth": networkx.barabasi_albert_graph(200, 3, seed=2),
    "parts": networkx.disjoint_union(networkx.path_graph(6), networkx.complete_graph(5)),
    "isolated": networkx.empty_graph(4),
}
RANDOM, ACQUAINTANCE = Randomly(RandomNodes()), ByAcquaintance(RandomAcquaintances())
DEGREE, CORE, BETWEENNESS = ByDegree(HighestDegree()), ByCore(HighestCore()), ByBetweenness(HighestBetweenness())


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def unweighted(graph: networkx.Graph) -> ContactGraph:
    return ContactGraph.from_networkx(networkx.Graph(graph), weight="none")


def chi_square(counts: np.ndarray, expected: np.ndarray) -> float:
    """The probability of a deviation as large as that."""
    return float(chi2.sf(((counts - expected) ** 2 / expected).sum(), len(counts) - 1))


def test_strategies_can_be_loaded() -> None:
    """Catches a component whose factory or options do not exist, and a factory that makes something else."""
    found = [item for item in mesocosm_graphs.mesocosm_components() if item.kind == "strategy"]
    assert {item.name for item in found} == {"random", "degree", "core", "betweenness", "acquaintance"}
    for item in found:
        (home, maker), (other, model) = item.factory.split(":"), item.options.split(":")
        options = getattr(importlib.import_module(other), model)()
        assert isinstance(options, Options)
        assert isinstance(getattr(importlib.import_module(home), maker)(options), Strategy)


@pytest.mark.parametrize("name", GRAPHS)
def test_core_numbers_are_those_of_networkx(name: str) -> None:
    """Catches a peeling that takes a node out of order, or counts edges to nodes that are gone."""
    graph = unweighted(GRAPHS[name])
    assert CORE.scores(graph).tolist() == list(networkx.core_number(networkx.Graph(GRAPHS[name])).values())


@pytest.mark.parametrize("name", GRAPHS)
def test_betweenness_is_that_of_networkx(name: str) -> None:
    """Catches shortest paths that are missed or counted twice, and ends of paths that are counted as between."""
    graph = unweighted(GRAPHS[name])
    exact = np.array(list(networkx.betweenness_centrality(GRAPHS[name], normalized=False).values()))
    assert BETWEENNESS.scores(graph) == pytest.approx(exact / max(exact.max(), 1.0), abs=1e-11)


def test_betweenness_from_pivots_finds_those_that_the_exact_one_finds() -> None:
    """Catches pivots that are not uniform, of which the first nodes of a growing graph would be an example; ranks come within
    the noise of 100 of 600 pivots. Two draws of pivots differ, and one draw does not."""
    graph = unweighted(networkx.barabasi_albert_graph(600, 2, seed=5))
    exact = set(BETWEENNESS.choose(graph, 20, rng()).tolist())
    scores = [ByBetweenness(HighestBetweenness(samples=100, seed=seed)).scores(graph) for seed in (1, 1, 2)]
    for found in scores:
        assert len(exact & set(np.argsort(-found)[:20].tolist())) >= 16
    assert (scores[0] == scores[1]).all()
    assert (scores[0] != scores[2]).any()


def test_who_is_chosen_first_on_the_karate_club() -> None:
    """Catches the lowest instead of the highest. Nodes 33, 0, 32 have 17, 16 and 12 contacts (Zachary 1977); the innermost
    core, of number 4, has ten members."""
    graph = unweighted(GRAPHS["karate"])
    assert DEGREE.choose(graph, 3, rng()).tolist() == [33, 0, 32]
    assert set(CORE.choose(graph, 10, rng()).tolist()) == {0, 1, 2, 3, 7, 8, 13, 30, 32, 33}
    assert BETWEENNESS.choose(graph, 3, rng()).tolist() == [0, 33, 32]


def test_weights_count_for_the_degree() -> None:
    """Catches contacts that are counted where their weights add up to what matters."""
    graph = ContactGraph.from_edges(5, [0, 0, 0, 3], [1, 2, 3, 4], [0.1, 0.1, 0.1, 9.0])
    assert sorted(DEGREE.choose(graph, 2, rng()).tolist()) == [3, 4]
    assert DEGREE.choose(ContactGraph.from_edges(5, [0, 0, 0, 3], [1, 2, 3, 4]), 1, rng()).tolist() == [0]


@pytest.mark.parametrize(
    "strategy", [RANDOM, DEGREE, CORE, BETWEENNESS, ACQUAINTANCE], ids=lambda item: type(item).__name__
)
def test_among_equals_everybody_has_the_same_chance(strategy: Strategy) -> None:
    """Catches ties that go to the lowest numbers. On a ring all are alike: chi-square of 20,000 doses over 40 nodes, false
    alarms 1e-6; a node that is chosen 20 % too often is found with probability 0.99."""
    nodes, draws, generator = 40, 2000, rng(3)
    ring = unweighted(networkx.cycle_graph(nodes))
    counts = np.zeros(nodes)
    for _ in range(draws):
        counts[strategy.choose(ring, 10, generator)] += 1
    # Ten different ones of 40: the variance of a count is 3/4 of that of free draws.
    assert chi2.sf(((counts - draws / 4) ** 2 / (draws / 4)).sum() / 0.75, nodes - 1) > FALSE_ALARM


def test_acquaintances_are_named_as_often_as_they_should_be() -> None:
    """Catches named nodes in proportion to degree, where each node names one contact: exact probabilities of the two that are
    named first, from those of naming p_j = sum_i A_ij / k_i / N. Chi-square over ten pairs, 20,000 draws, false alarms 1e-6;
    probabilities in proportion to degree are found with certainty."""
    graph = networkx.Graph([(0, 1), (0, 2), (0, 3), (3, 4)])
    adjacency = networkx.to_numpy_array(graph, nodelist=range(5))
    named = (adjacency / adjacency.sum(axis=1, keepdims=True)).mean(axis=0)
    pairs = {frozenset(pair): 0.0 for pair in permutations(range(5), 2)}
    for first, second in permutations(range(5), 2):
        pairs[frozenset((first, second))] += named[first] * named[second] / (1 - named[first])
    draws, generator, contacts = 20_000, rng(4), unweighted(graph)
    counts = dict.fromkeys(pairs, 0)
    for _ in range(draws):
        counts[frozenset(ACQUAINTANCE.choose(contacts, 2, generator).tolist())] += 1
    assert chi_square(np.array([*counts.values()]), draws * np.array([*pairs.values()])) > FALSE_ALARM


def test_acquaintances_have_more_contacts_than_people_have() -> None:
    """Catches acquaintances who are just anyone. On an uncorrelated graph their mean degree is <k^2>/<k> (Feld 1991; Cohen,
    Havlin, ben-Avraham 2003): here 15.8, to 4 standard errors of 300 draws on each of 12 graphs; anyone has 6.5."""
    options = Configuration.model_validate({"degrees": {"power_law": {"exponent": 2.5, "minimum": 3, "maximum": 100}}})
    generator, differences = rng(5), []
    for _ in range(12):
        graph = configuration(options, 4000, generator)
        chosen = [int(ACQUAINTANCE.choose(graph, 1, generator)[0]) for _ in range(300)]
        degrees = graph.degrees.astype(float)
        differences.append(degrees[chosen].mean() - (degrees**2).mean() / degrees.mean())
    error = np.std(differences, ddof=1) / np.sqrt(len(differences))
    assert error < 0.5
    assert abs(np.mean(differences)) < 4 * error


def test_nobody_names_a_node_without_contacts() -> None:
    """Catches doses for people whom nobody knows, and a search without end for more acquaintances than there are."""
    graph = unweighted(networkx.disjoint_union(networkx.path_graph(3), networkx.empty_graph(5)))
    assert set(ACQUAINTANCE.choose(graph, 3, rng()).tolist()) == {0, 1, 2}
    with pytest.raises(InputError, match="4 doses; only 3 nodes have contacts"):
        ACQUAINTANCE.check(graph, 4)


@pytest.mark.parametrize(
    ("strategy", "name"),
    [(DEGREE, "degree"), (CORE, "core"), (BETWEENNESS, "betweenness"), (ACQUAINTANCE, "acquaintance")],
)
def test_on_a_complete_graph_only_chance_is_left(strategy: Strategy, name: str) -> None:
    """Catches a complete graph that is taken for one without any contacts."""
    with pytest.raises(InputError, match=f"strategy '{name}' on a complete graph; everybody meets everybody there"):
        strategy.check(ContactGraph.complete(9), 2)
    RANDOM.check(ContactGraph.complete(9), 2)
    assert len(set(RANDOM.choose(ContactGraph.complete(9), 9, rng()).tolist())) == 9


def test_scores_are_worked_out_once_for_a_graph() -> None:
    """Catches all shortest paths of a graph for every replicate, and scores of one graph that are used for another."""

    class Counting(ByDegree):
        calls = 0

        def scores(self, graph: ContactGraph) -> np.ndarray:
            self.calls += 1
            return super().scores(graph)

    strategy = Counting(HighestDegree())
    star, path = unweighted(networkx.star_graph(4)), unweighted(networkx.path_graph(3))
    for graph, best in ((star, 0), (star, 0), (path, 1), (star, 0)):
        assert strategy.choose(graph, 1, rng()).tolist() == [best]
    assert strategy.calls == 2
