"""What EoN is asked to run, and what it must leave alone."""

import random
from dataclasses import replace

import numpy as np
import pytest
from eon_reference.dynamics import EonReference
from eon_reference.options import EonOptions

import mesocosm
from mesocosm import ContactGraph, Context, FiniteStateGame, InputError, Interval, Population, Transition

PROBLEM = """
mesocosm: 1
name: test
seed: 1
time: {end: 4, save_every: 1}
population: {size: 30, initial: {I: 0.5}}
graph: {kind: regular, degree: 3}
game: {kind: sir, beta: 0.7, gamma: 0.4}
"""


class Talk(FiniteStateGame):
    """Two channels, two ways from one state to another, and emissions that are neither 0 nor 1."""

    states = ("quiet", "keen", "bored")
    channels = ("keen", "all")

    def __init__(self, normalise="sum", emit=lambda t: 2.0, last=None):
        self.normalise, self.emit = normalise, emit
        self.transitions = (
            Transition.induced("quiet", "keen", rate=0.5, channel="keen"),
            Transition.induced("quiet", "keen", rate=0.25, channel="all"),
            Transition.spontaneous("quiet", "keen", rate=0.1),
            last or Transition.spontaneous("keen", "bored", rate=0.2),
        )

    def emission(self, t, state, control):
        return self.stack([self.emit(t) * (state == 1), 1.0 + 0.0 * state], like=control)


def dynamics(game=None, graph=None, **options):
    """The dynamics on SIR on a regular graph, or on another game and graph."""
    problem = mesocosm.build(mesocosm.parse(PROBLEM))
    graph = graph or problem.graph
    population = Population(graph.node_count, np.full(len((game or problem.game).states), 1 / 3))
    problem = replace(problem, game=game or problem.game, graph=graph, population=population)
    return EonReference(problem, EonOptions(**options), Context("eon", problem.streams("eon"), None, None))


@pytest.mark.parametrize(("normalise", "weights"), [("sum", None), ("mean", [0.5, 2.0])])
def test_the_rate_of_the_one_in_the_middle(normalise, weights):
    """Catches weights, degrees or channels that are left out of a rate: 12 % of it is 5 standard errors, 4 are allowed.

    In paths of three the middle is quiet and its contacts are keen and bored for good: it becomes keen at a constant rate.
    """
    count = 10000
    first, weight = np.arange(0, 3 * count, 3), np.array(weights or [1.0, 1.0])
    source, target = np.concatenate([first, first + 1]), np.concatenate([first + 1, first + 2])
    graph = ContactGraph.from_edges(3 * count, source, target, np.repeat(weight, count) if weights else None)
    game = Talk(normalise, last=Transition.spontaneous("keen", "bored", rate=0.0))
    eon = dynamics(game, graph, replicates=1)
    after = eon.advance(np.tile([1, 0, 2], count)[None].astype(np.int8), Interval(0, 0.0, 0.4))[0]
    share = weight / weight.sum() if normalise == "mean" else weight
    expected = 1 - np.exp(-0.4 * (0.5 * 2.0 * share[0] + 0.25 * share.sum() + 0.1))
    assert (after[first] == 1).all()
    assert (after[first + 2] == 2).all()
    assert abs((after[first + 1] == 1).mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / count)


def test_other_random_numbers_are_left_alone():
    """Catches draws from the generators that everyone shares, which would change what runs beside it, or be changed by it."""
    before, numpy_before = random.getstate(), str(np.random.get_state())  # noqa: NPY002  the shared one is meant
    eon = dynamics(replicates=3)
    state = eon.init()
    first = eon.advance(state, Interval(0, 0.0, 1.0))
    assert random.getstate() == before
    assert str(np.random.get_state()) == numpy_before  # noqa: NPY002
    random.seed(99)
    np.random.seed(99)  # noqa: NPY002
    np.testing.assert_array_equal(eon.advance(state, Interval(0, 0.0, 1.0)), first)
    assert not np.array_equal(first[0] - state[0], first[1] - state[1])


@pytest.mark.parametrize(
    ("game", "says"),
    [
        (Talk(last=Transition.general("keen", "bored", lambda t, field, control: 1.0)), "keen -> bored"),
        (Talk(emit=lambda t: 2.0 - t / 4), "emissions that change with time"),
        (Talk(emit=lambda t: -1.0), "negative"),
    ],
)
def test_what_it_refuses(game, says):
    """Catches a game that EoN would run as another one."""
    with pytest.raises(InputError, match=says):
        dynamics(game).check()


def test_a_large_complete_graph():
    """Catches millions of edges written out without a word."""
    with pytest.raises(InputError, match="501 agents on a complete graph"):
        dynamics(graph=ContactGraph.complete(501)).check()
    dynamics(graph=ContactGraph.complete(10)).check()
