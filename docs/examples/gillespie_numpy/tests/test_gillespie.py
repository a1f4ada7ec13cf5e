"""The exact simulation: its rates, its law where that is known in closed form, and its errors."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from gillespie_numpy.dynamics import Gillespie
from gillespie_numpy.options import GillespieOptions
from scipy.linalg import expm

import mesocosm
from mesocosm import ContactGraph, Context, DynamicsError, FiniteStateGame, Interval, Transition

PROBLEM = """
mesocosm: 1
name: test
seed: 1
time: {end: 4, save_every: 1}
population: {size: 1000, initial: {I: 0.5}}
graph: {kind: complete}
game: {kind: sir, beta: 0.7, gamma: 0.4}
"""


class Talk(FiniteStateGame):
    """Two channels, and a transition of every kind."""

    states = ("quiet", "keen", "bored")
    channels = ("keen", "all")

    def __init__(self, normalise="sum", intensity=lambda t, field, control: 0.2 + field[..., 0] ** 2):
        self.normalise = normalise
        self.transitions = (
            Transition.induced("quiet", "keen", rate=0.5, channel="keen"),
            Transition.spontaneous("quiet", "bored", rate=0.1),
            Transition.general("keen", "bored", intensity),
            Transition.induced("bored", "quiet", rate=0.3, channel="all"),
        )

    def emission(self, t, state, control):
        return self.stack([2.0 * (state == 1), 1.0 + 0.0 * state], like=control)


def dynamics(game=None, graph=None, **options):
    """The dynamics on SIR on a complete graph, or on another game and graph."""
    problem = mesocosm.build(mesocosm.parse(PROBLEM))
    graph = graph or problem.graph
    shares = problem.population.shares
    problem = replace(
        problem, game=game or problem.game, graph=graph, population=mesocosm.Population(graph.node_count, shares)
    )
    context = Context("exact", problem.streams("exact"), policy_of=None, trajectories_of=None)
    return Gillespie(problem, GillespieOptions(**options), context)


@pytest.mark.parametrize("normalise", ["sum", "mean"])
@pytest.mark.parametrize("kind", ["weighted", "plain", "complete"])
def test_rates_are_those_of_the_definition(normalise, kind):
    """Catches weights or degrees that are left out, channels mixed up, and agents that jump out of another's state."""
    source, target, weights = [0, 0, 1, 2], [1, 2, 2, 3], [0.5, 2.0, 1.0, 3.0]
    graph = ContactGraph.from_edges(5, source, target, weights if kind == "weighted" else None)  # node 4 is alone
    if kind == "complete":
        graph = ContactGraph.complete(5)
    states, (first, second, given) = np.array([0, 1, 2, 1, 0]), graph.edges()
    weight = np.zeros((5, 5))
    weight[first, second] = weight[second, first] = 1.0 if given is None else given
    if normalise == "mean":
        weight /= np.maximum(weight.sum(axis=1), 1e-300)[:, None]
    keen, everyone = 2.0 * weight @ (states == 1), weight.sum(axis=1)
    rates = dynamics(Talk(normalise), graph).rates(0.0, states[None], np.array([0]))[0]
    expected = [0.5 * keen, 0.1 + 0 * keen, 0.2 + keen**2, 0.3 * everyone]
    expected = np.stack(expected) * (states == np.array([[0], [0], [1], [2]]))
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


def test_the_law_of_two_agents():
    """Catches jumps out of proportion and waiting times of another law: times 15 % too short are 8 standard errors away.

    The nine states of the pair are a Markov chain whose law at time 1.5 is a matrix exponential.
    """
    generator = np.zeros((3, 3, 3, 3))  # from (first, second) to (first, second)
    for first, second in product(range(3), repeat=2):
        for mine, other, swap in ((first, second, False), (second, first, True)):
            keen = 2.0 * (other == 1)
            for target, rate in {0: {1: 0.5 * keen, 2: 0.1}, 1: {2: 0.2 + keen**2}, 2: {0: 0.3}}[mine].items():
                after = (other, target) if swap else (target, other)
                generator[(first, second, *after)] += rate
    generator = generator.reshape(9, 9)
    law = expm(1.5 * (generator - np.diag(generator.sum(axis=1))))[0 * 3 + 1].reshape(3, 3)
    draws = 10000
    exact = dynamics(Talk(), ContactGraph.from_edges(2, [0], [1]), replicates=draws, hold=2)
    pairs = exact.advance(np.tile([0, 1], (draws, 1)), Interval(0, 0.0, 1.5))
    seen = np.bincount(3 * pairs[:, 0] + pairs[:, 1], minlength=9).reshape(3, 3) / draws
    assert (np.abs(seen - law) < 4.5 * np.sqrt(law * (1 - law) / draws) + 1e-12).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1])
def test_an_intensity_that_is_none(value):
    """Catches a choice among rates that are not numbers, and a negative rate that cancels another one."""
    game = Talk(intensity=lambda t, field, control: np.where(t >= 1.5, value, 0.2))
    exact = dynamics(game, ContactGraph.complete(50), replicates=2)
    state = exact.advance(exact.init(), Interval(0, 0.0, 1.0))
    with pytest.raises(DynamicsError, match=r"intensity of keen -> bored is"):
        exact.advance(state, Interval(1, 1.0, 2.0))


def test_a_rate_that_begins_late():
    """Catches a waiting time that jumps over a rate which is zero at first."""
    game = Talk(intensity=lambda t, field, control: np.where(t >= 0.5, 100.0, 0.0))
    exact = dynamics(game, ContactGraph.complete(200), replicates=1)
    state = np.ones((1, 200), int)
    assert (exact.advance(state, Interval(0, 0.0, 0.4)) == 1).all()
    assert (exact.advance(state, Interval(0, 0.0, 1.0)) != 1).mean() > 0.9
