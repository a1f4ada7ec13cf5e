"""The law of the time step by enumeration, for few agents of any table game; it shares no code with the engines."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.stats import chi2, ncx2

from mesocosm import Clock, ContactGraph, FiniteStateGame, Policy, Population, Problem, Transition, resolve_device
from mesocosm_agents.contacts import Graphs
from mesocosm_agents.engine import Play, Stretch

ALPHA = 1e-5


class TableGame(FiniteStateGame):
    """A game given by its table; `exposes` [state, channel] is what each state emits, `price` [state] what it costs."""

    def __init__(self, states, transitions, exposes, normalise="sum", price=None, by_control=False):
        self.states, self.transitions, self.normalise = tuple(states), tuple(transitions), normalise
        self.exposes, self.price, self.by_control = np.asarray(exposes, float), price, by_control
        self.channels = tuple(f"c{n}" for n in range(self.exposes.shape[1]))

    def emission(self, t, state, control):
        emitted = self.exposes[np.asarray(state, int)] + 0.0 * np.asarray(control)[..., None]
        return emitted * np.asarray(control)[..., None] if self.by_control else emitted

    def running_cost(self, t, state, field, control):
        return np.zeros(np.shape(state)) if self.price is None else np.asarray(self.price)[state] * (2.0 - control)


class TimesRows(Policy):
    """Control `values` [row, state] until time 1, and half of it from then on; the row is the node modulo their number."""

    def __init__(self, values):
        self.values = np.asarray(values, float)

    @property
    def row_count(self):
        return len(self.values)

    def rows(self, graph):
        return np.arange(graph.node_count) % self.row_count

    def control(self, t, row, state, field):
        return self.values[row, state] * (1.0 if t < 1.0 - 1e-9 else 0.5)


def go(source, target, rate, channel=None, controlled=False):
    """A transition; induced where a channel is given."""
    return Transition(source, target, rate, channel, controlled)


GAMES = {
    "sir": TableGame("SIR", [go("S", "I", 0.8, "c0", True), go("I", "R", 0.5)], [[0], [1], [0]]),
    "sis": TableGame("SI", [go("S", "I", 0.8, "c0"), go("I", "S", 0.5)], [[0], [1]]),
    "sis, mean": TableGame("SI", [go("S", "I", 1.1, "c0"), go("I", "S", 0.5)], [[0], [1]], "mean"),
    "seir": TableGame("SEIR", [go("S", "E", 0.9, "c0"), go("E", "I", 0.7), go("I", "R", 0.3)], [[0], [0.4], [1], [0]]),
    "rumour": TableGame(
        "XYZ", [go("X", "Y", 0.7, "c0"), go("Y", "Z", 0.4, "c1"), go("Y", "Z", 0.1)], [[0, 0], [1, 1], [0, 1]]
    ),
}
"""Contagion-like games of each kind."""


def enumerated(game, weights, policy, steps, length, start):
    """Chance of each configuration of the agents, in the order of `itertools.product`, after all steps."""
    weights = np.asarray(weights, float)
    agents, count = len(weights), len(game.states)
    configurations = list(itertools.product(range(count), repeat=agents))
    law = np.array([float(configuration == tuple(start)) for configuration in configurations])
    for step in range(steps):
        matrix = np.zeros((len(configurations),) * 2)
        for number, now in enumerate(configurations):
            each = [_chances(game, weights, policy, step * length, length, now, agent) for agent in range(agents)]
            for column, then in enumerate(configurations):
                matrix[number, column] = np.prod([each[agent][then[agent]] for agent in range(agents)])
        law = law @ matrix
    return law


def _chances(game, weights, policy, t, length, now, agent):
    """Chance of each state of one agent after one step."""
    field = weights[agent] @ game.exposes[list(now)]
    if game.normalise == "mean":
        field = field / weights[agent].sum()
    q = np.zeros(len(game.states))
    for item in game.transitions:
        if game.states[now[agent]] == item.source:
            rate = item.rate * (1.0 if item.channel is None else field[game.channels.index(item.channel)])
            control = policy.control(t, agent % policy.row_count, now[agent], None) if item.controlled else 1.0
            q[game.states.index(item.target)] += rate * control
    total = q.sum()
    chances = (1.0 - np.exp(-total * length)) * (q / total if total else q)
    chances[now[agent]] = np.exp(-total * length)
    return chances


def p_value(counts, law):
    """Of a chi-square test of counts against a law; cells with fewer than 5 expected are merged."""
    keep, expected = _cells(law, counts.sum())
    observed = np.append(counts[keep], counts[~keep].sum())
    some = expected > 0
    assert not observed[~some].any()
    return float(chi2.sf(((observed - expected)[some] ** 2 / expected[some]).sum(), some.sum() - 1))


def power(law, other, samples):
    """Chance that the test at level ALPHA rejects when the truth is `other`."""
    keep, expected = _cells(law, samples)
    shifted = np.append(other[keep], other[~keep].sum()) * samples
    some = expected > 0
    shift = ((shifted - expected)[some] ** 2 / expected[some]).sum()
    degrees = int(some.sum()) - 1
    return float(ncx2.sf(chi2.isf(ALPHA, degrees), degrees, shift))


def _cells(law, samples):
    keep = law * samples >= 5
    return keep, np.append(law[keep], law[~keep].sum()) * samples


def copies(weights, count, alone=0):
    """Disjoint copies of a small graph, and nodes without contacts after them."""
    agents = len(weights)
    pairs = [(a, b) for a in range(agents) for b in range(a) if weights[a][b]]
    source = np.concatenate([agents * np.arange(count) + a for a, _ in pairs])
    target = np.concatenate([agents * np.arange(count) + b for _, b in pairs])
    values = np.concatenate([np.full(count, float(weights[a][b])) for a, b in pairs])
    return ContactGraph.from_edges(agents * count + alone, source, target, None if (values == 1).all() else values)


def play_of(game, graph, policy, step, seed=11):
    """A play on a graph, for engines to run; with the problem's streams."""
    start = np.eye(len(game.states))[0]
    problem = Problem(
        name="law",
        seed=seed,
        game=game,
        graph=graph,
        population=Population(graph.node_count, start, {}),
        clock=Clock(4.0, 1.0),
        device=resolve_device("cpu"),
        precision="float64",
        draw=lambda replicate: graph,
    )
    return Play(game, policy, Graphs(problem, policy, False), problem.streams("agents"), step)


def ran(engine, states, stretches):
    """States [replicate, N] after stretches of the given times, and what was paid [replicate]."""
    held = engine.load(states)
    numbers, paid = np.arange(len(states)), np.zeros(len(states))
    for index, (start, stop) in enumerate(itertools.pairwise(stretches)):
        held = engine.copy(held)
        paid += engine.advance(held, numbers, Stretch(index, start, stop))
    final = engine.unload(held)
    counts = np.stack([np.bincount(row, minlength=len(engine.play.game.states)) for row in final])
    assert np.array_equal(engine.occupancy(held), counts / states.shape[1])
    return final, paid
