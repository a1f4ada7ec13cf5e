"""The law of the step of the engines for contagion-like games: lists of the active, and many replicates in a word."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, norm
from step_law import ALPHA, GAMES, TableGame, TimesRows, copies, enumerated, go, p_value, play_of, power, ran

from mesocosm import ContactGraph
from mesocosm_agents import lists, words
from mesocosm_agents.compiled import CompiledEngine
from mesocosm_agents.lists import ListEngine
from mesocosm_agents.vectorised import VectorisedEngine
from mesocosm_agents.words import WordEngine

STEPS, LENGTH = 4, 0.5
TIMES = [0.0, 0.5, 2.0]
PAIR = [[0, 1], [1, 0]]
STAR = [[0, 1, 1], [1, 0, 0], [1, 0, 0]]
TRIANGLE = [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
WEIGHTED = [[0, 2.0, 0.7], [2.0, 0, 1.3], [0.7, 1.3, 0]]
GRAPHS = {"pair": PAIR, "star": STAR, "triangle": TRIANGLE, "weighted": WEIGHTED}

ONE = [[1.0] * 4]
UNLIKE = [[1.0, 0.6, 0.8, 1.0], [0.4, 0.9, 0.3, 1.0], [0.7, 0.2, 1.0, 0.5]]

SAMPLES = 60_000


@pytest.fixture
def choose(monkeypatch):
    """Make both engines push always, or pull always."""

    def choose(way):
        heavy = 1e12 if way == "pull" else 0.0
        light = 1e12 - heavy
        monkeypatch.setattr(lists, "COSTS", lists.Costs(heavy, heavy, light, light, light))
        monkeypatch.setattr(words, "COSTS", words.Costs(heavy, 0.0, light))

    return choose


def sample(engine, replicates, game, weights, rows, step_length=LENGTH):
    """Counts of the configurations of all copies at the end; the first agent of each begins in the first state that emits."""
    agents, states = len(weights), len(game.states)
    count = SAMPLES // replicates
    # Not a multiple of anything, and with two agents that meet nobody.
    graph = copies(weights, count, alone=2)
    infected = int(np.flatnonzero(game.exposes[:, 0])[-1 if states == 4 else 0])
    start = np.zeros((replicates, graph.node_count), np.int8)
    start[:, : agents * count : agents] = infected
    play = play_of(game, graph, TimesRows(rows), step_length)
    final, _ = ran(engine(play), start, TIMES)
    assert not final[:, agents * count :].any()
    keys = final[:, : agents * count].reshape(-1, agents).astype(int) @ states ** np.arange(agents)[::-1]
    return np.bincount(keys, minlength=states**agents), (infected, *([0] * (agents - 1)))


@pytest.mark.parametrize("way", ["push", "pull"])
@pytest.mark.parametrize(("engine", "replicates"), [(ListEngine, 3), (WordEngine, 40), (WordEngine, 100)])
@pytest.mark.parametrize("name", GAMES)
def test_engines_follow_the_enumerated_law(choose, name, engine, replicates, way):
    """Would catch any error in chances, thinning, marking, word layout or simultaneity, for either way of tossing contacts.

    Triangles, weights, averages, and controls by row and time, which thin hits; words that are partly filled, of 32 and of 64
    bits. 60,000 copies: intensities 8 % too high are rejected with a probability above 0.99, and are here.
    """
    choose(way)
    game = GAMES[name]
    graphs = {"sir": "weighted", "sis": "pair", "sis, mean": "weighted", "seir": "triangle", "rumour": "star"}
    weights, rows = GRAPHS[graphs[name]], UNLIKE if name == "sir" else ONE
    counts, start = sample(engine, replicates, game, weights, rows)
    law = enumerated(game, weights, TimesRows(rows), STEPS, LENGTH, start)
    faster = enumerated(game, weights, TimesRows(rows), STEPS, 1.08 * LENGTH, start)
    if len(rows) == 1:
        assert power(law, faster, counts.sum()) > 0.99
    assert p_value(counts, law) > ALPHA
    assert p_value(counts, faster) < ALPHA


@pytest.mark.parametrize("engine", [CompiledEngine, VectorisedEngine])
def test_the_other_engines_follow_the_same_enumeration(engine):
    """Would catch an enumeration that only the fast engines agree with."""
    game = GAMES["seir"]
    counts, start = sample(engine, 3, game, TRIANGLE, ONE)
    assert p_value(counts, enumerated(game, TRIANGLE, TimesRows(ONE), STEPS, LENGTH, start)) > ALPHA


@pytest.mark.parametrize("way", ["push", "pull"])
@pytest.mark.parametrize("replicates", [64, 128])
def test_replicates_in_a_word_are_independent(choose, replicates, way):
    """Would catch bits of a word that share coins: 15,000 pairs of agents, correlated between any two replicates.

    The sum of squares of all correlations catches a common part of 1 % of the variance everywhere, their maximum one pair of
    replicates that share 5 %.
    """
    choose(way)
    pairs = 15_000
    graph = copies(PAIR, pairs)
    start = np.zeros((replicates, 2 * pairs), np.int8)
    start[:, ::2] = 1
    final, _ = ran(WordEngine(play_of(GAMES["sis"], graph, TimesRows(ONE), LENGTH)), start, [0.0, 0.5])
    for agent in (0, 1):
        correlation = np.corrcoef(final[:, agent::2].astype(float))
        found = correlation[np.triu_indices(replicates, 1)] * np.sqrt(pairs)
        assert np.abs(found).max() < norm.isf(ALPHA / 2 / len(found))
        assert ALPHA < chi2.sf((found**2).sum(), len(found)) < 1 - ALPHA


def test_successive_agents_and_steps_are_independent():
    """Would catch coins that repeat from one agent, or one step, to the next: correlations of 5e-3 over 640,000 coins."""
    size = 10_000
    graph = ContactGraph.from_edges(size, [0], [1])
    game = TableGame("AB", [go("A", "B", 0.7), go("B", "A", 0.7)], [[0], [0]])
    start = np.zeros((64, size), np.int8)
    engine = WordEngine(play_of(game, graph, TimesRows(ONE), 1.0))
    first, _ = ran(engine, start, [0.0, 1.0])
    # Rates are equal, so that whether an agent changes in the second step does not depend on where it is.
    second = (ran(engine, start, [0.0, 1.0, 2.0])[0] != first).astype(float)
    moved = first.astype(float)
    for one, other in ((moved[:, 1:], moved[:, :-1]), (moved[:, 64:], moved[:, :-64]), (moved, second)):
        found = np.corrcoef(one.ravel(), other.ravel())[0, 1] * np.sqrt(one.size)
        assert abs(found) < norm.isf(ALPHA / 2)


def test_moments_on_karate_are_those_of_the_compiled_engine():
    """Would catch an error that shows on a graph with hubs only. 4,000 replicates: a mean off by 0.15 standard deviations,
    or a variance off by 20 %, is seen with a probability above 0.99."""
    networkx = pytest.importorskip("networkx")
    graph = ContactGraph.from_networkx(networkx.Graph(networkx.karate_club_graph().edges))
    game = TableGame("SIR", [go("S", "I", 0.08, "c0"), go("I", "R", 0.2)], [[0], [1], [0]])
    start = np.zeros((4_000, 34), np.int8)
    start[:, 5] = 1
    found = []
    for engine in (CompiledEngine, ListEngine, WordEngine):
        made = engine(play_of(game, graph, TimesRows(ONE), 0.5, seed=len(found)))
        halfway, end = ran(made, start, [0.0, 5.0])[0], ran(made, start, [0.0, 5.0, 30.0])[0]
        found.append(np.stack([(halfway == 1).sum(axis=1), (end == 2).sum(axis=1)], axis=1).astype(float))
    for other in found[1:]:
        for one, two in zip(_moments(found[0]), _moments(other), strict=True):
            error = np.sqrt(one.var(axis=0) + two.var(axis=0)) / np.sqrt(4_000)
            assert (np.abs(one.mean(axis=0) - two.mean(axis=0)) < norm.isf(ALPHA / 2) * error).all()


def _moments(values):
    """What averages to means, and what averages to variances and the covariance."""
    centred = values - values.mean(axis=0)
    return values, np.column_stack([centred**2, centred[:, 0] * centred[:, 1]])
