"""Problems built by hand for the oracle tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mesocosm import Clock, ContactGraph, DegreeLaw, Population, Problem, resolve_device
from mesocosm_games.epidemics import SEIR, SIR, SIS
from mesocosm_games.options import EffortOptions, SEIROptions, SIROptions, SISOptions

GAMES = {"sir": (SIR, SIROptions), "sis": (SIS, SISOptions), "seir": (SEIR, SEIROptions)}

MakeProblem = Callable[..., Problem]


@pytest.fixture
def make_problem() -> MakeProblem:
    """`make(kind, rates, graph, infected=, end=, save_every=, effort=)`; the first state holds the rest."""

    def make(
        kind: str,
        rates: dict[str, float],
        graph: ContactGraph,
        *,
        infected: float = 0.01,
        end: float = 100.0,
        save_every: float = 1.0,
        effort: dict[str, float] | None = None,
    ) -> Problem:
        game_class, options_class = GAMES[kind]
        chosen: dict[str, Any] = dict(rates)
        if effort is not None:
            chosen["effort"] = EffortOptions(**effort)
        game = game_class(options_class(**chosen))
        shares = np.zeros(len(game.states))
        shares[0], shares[game.states.index("I")] = 1 - infected, infected
        clock = Clock(end, save_every)
        population = Population(graph.node_count, shares)
        return Problem("oracle", 1, game, graph, population, clock, resolve_device("cpu"), "float64", lambda _: graph)

    return make


def graph_with_law(degrees: np.ndarray, shares: np.ndarray) -> ContactGraph:
    """A token graph that carries a degree law; closures with `degrees: law` look at nothing else."""
    return ContactGraph.from_edges(3, [0, 1], [1, 2], degree_law=DegreeLaw(degrees.astype(float), shares))


@pytest.fixture
def poisson_10() -> ContactGraph:
    """Poisson degrees with mean 10, truncated at 59."""
    from scipy.stats import poisson

    degrees = np.arange(60)
    shares = poisson.pmf(degrees, 10)
    return graph_with_law(degrees, shares / shares.sum())


@pytest.fixture
def law_graph() -> Callable[[np.ndarray, np.ndarray], ContactGraph]:
    """A graph that carries the given degree law."""
    return graph_with_law
