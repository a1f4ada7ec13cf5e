"""Closures of problems with events, against scipy: rates that are set, layers that close, thresholds and doses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from piecewise_epidemics import BETA, GAMMA, INFECTED, TIGHT, joined, sir, solved, start_of
from scipy.integrate import solve_ivp
from scipy.stats import poisson

from mesocosm import ContactGraph, Event, Events, Problem, Strategy, Threshold, simulate
from mesocosm import Vaccination as Doses
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import SIROptions
from mesocosm_mfg.edge_based import EdgeBased
from mesocosm_mfg.options import EdgeBasedOptions

Make = Callable[..., Problem]


class Chosen(Strategy):
    """The nodes that it is told."""

    def __init__(self, nodes: list[int]) -> None:
        self.nodes = np.array(nodes)

    def choose(self, graph: ContactGraph, count: int, generator: np.random.Generator) -> np.ndarray:
        return self.nodes


def with_events(problem: Problem, *items: Event, beta: float = BETA, gamma: float = GAMMA) -> Problem:
    def make(parameters: dict[str, float]) -> SIR:
        return SIR(SIROptions(**{"beta": beta, "gamma": gamma} | {k.split(".")[1]: v for k, v in parameters.items()}))

    return replace(problem, events=Events(items, make))


def test_a_rate_that_is_set_at_a_time(make_problem: Make) -> None:
    """Catches a rate that changes at another save than its own, or never: occupancy at every save, to 1e-6."""
    problem = make_problem("sir", {"beta": BETA, "gamma": GAMMA}, ContactGraph.complete(50), end=60)
    problem = with_events(problem, Event("drop", at=20.0, parameters={"game.beta": 0.15}))
    found, one, times = solved(problem), np.ones((1, 1)), problem.clock.times
    expected = joined((one, BETA, times[:21]), (one, 0.15, times[20:]), start=start_of(1))[:, 0]
    assert np.abs(found.array("occupancy")[0] - expected).max() < 1e-6
    assert found.array("fired").tolist() == [[20.0]]


def test_events_of_one_save_happen_in_their_order(make_problem: Make) -> None:
    """Catches events at time 0 that come a save late, and events of one save in another order: the later one wins, and
    doses are given to those whom the first ones left; to 1e-6."""
    problem = make_problem("sir", {"beta": BETA, "gamma": GAMMA}, ContactGraph.complete(50), end=20)
    first = Event("first", at=0.0, parameters={"game.beta": 0.9})
    second = Event("second", at=0.0, parameters={"game.beta": 0.2}, after=0)
    one, times = np.ones((1, 1)), problem.clock.times
    expected = sir(one, 0.2, start_of(1), times)[:, 0]
    found = solved(with_events(problem, first, second))
    assert np.abs(found.array("occupancy")[0] - expected).max() < 1e-6
    assert found.array("fired").tolist() == [[0.0, 0.0]]
    twice = [
        Event(f"doses {n}", at=0.0, vaccination=Doses(25, 2, frozenset({0}), "random", Chosen([]))) for n in (1, 2)
    ]
    jumped = np.array([[0.25 * (1 - INFECTED), INFECTED, 0.75 * (1 - INFECTED)]])
    expected = sir(one, 0.2, jumped, times)[1:, 0]
    found = solved(with_events(problem, first, second, *twice))
    assert np.abs(found.array("occupancy")[0, 1:] - expected).max() < 1e-6


def test_thresholds_that_follow_each_other(make_problem: Make) -> None:
    """Catches a threshold that is looked at between saves, one that is not armed by another, and rates of the wrong
    situation: a lockdown above 5 % infected, its end below 3 %; occupancy at every save to 1e-6."""
    problem = make_problem("sir", {"beta": BETA, "gamma": GAMMA}, ContactGraph.complete(50), end=60)
    lockdown = Event("lockdown", threshold=Threshold((1,), above=0.05), parameters={"game.beta": 0.02})
    end = Event("end", threshold=Threshold((1,), below=0.03), after=0, parameters={"game.beta": 0.3})
    found, one, times = solved(with_events(problem, lockdown, end)), np.ones((1, 1)), problem.clock.times
    first = sir(one, BETA, start_of(1), times)[:, 0]
    down = int((first[:, 1] > 0.05).argmax())
    second = sir(one, 0.02, first[down][None], times[down:])[:, 0]
    up = down + int((second[:, 1] < 0.03).argmax())
    parts = (one, BETA, times[: down + 1]), (one, 0.02, times[down : up + 1]), (one, 0.3, times[up:])
    assert 0 < down < up < 60
    assert found.array("fired").tolist() == [[times[down], times[up]]]
    assert np.abs(found.array("occupancy")[0] - joined(*parts, start=start_of(1))[:, 0]).max() < 1e-6


def two_layers() -> ContactGraph:
    """Six nodes in two groups: households as pairs across groups with weight 2, and a school in which all of a meet."""
    home = ContactGraph.from_edges(6, [0, 1, 2], [3, 4, 5], [2.0] * 3)
    school = ContactGraph.from_edges(6, [0, 1, 0], [1, 2, 2], [0.5] * 3)
    both = ContactGraph.from_edges(
        6, [0, 1, 2, 0, 1, 0], [3, 4, 5, 1, 2, 2], [2.0] * 3 + [0.5] * 3, {"group": list("aaabbb")}
    )
    return replace(both, layers={"home": home, "school": school})


@pytest.mark.parametrize("closure", ["homogeneous", "degree", "group", "individual"])
def test_a_layer_that_closes(make_problem: Make, closure: str) -> None:
    """Catches a closure that does not see which layer is closed, and types that change with it: the matrices of every
    closure are written here by hand, with the school and without; occupancy to 1e-6."""
    problem = make_problem("sir", {"beta": BETA, "gamma": GAMMA}, two_layers(), end=20, infected=0.1)
    problem = with_events(problem, Event("close", at=4.0, close=("school",)), Event("open", at=9.0, open=("school",)))
    with_school = {
        "homogeneous": np.array([[2.5]]),
        "degree": np.outer([2.0, 3.0], np.array([2.0, 3.0]) / 2) / 2.5,
        "group": np.array([[1.0, 2.0], [2.0, 0.0]]),
        "individual": two_layers().adjacency.toarray(),
    }[closure]
    without = {
        "homogeneous": np.array([[2.0]]),
        "degree": np.ones((2, 2)),
        "group": np.array([[0.0, 2.0], [2.0, 0.0]]),
        "individual": two_layers().layers["home"].adjacency.toarray(),
    }[closure]
    times = problem.clock.times
    expected = joined(
        (with_school, BETA, times[:5]),
        (without, BETA, times[4:10]),
        (with_school, BETA, times[9:]),
        start=start_of(len(without), 0.1),
    )
    assert np.abs(solved(problem, closure=closure).array("occupancy")[0] - expected.mean(axis=1)).max() < 1e-6


@pytest.mark.parametrize("closure", ["homogeneous", "individual", "degree"])
def test_doses(make_problem: Make, closure: str) -> None:
    """Catches doses that reach other nodes or states, that are lost on the infected, or that come at another save: a jump
    of the shares, written here by hand; occupancy to 1e-6."""
    graph = two_layers()
    problem = make_problem("sir", {"beta": BETA, "gamma": GAMMA}, graph, end=20, infected=0.1)
    strategy = {"homogeneous": "random", "individual": "told", "degree": "degree"}[closure]
    event = Event("doses", at=4.0, vaccination=Doses(4, 2, frozenset({0}), strategy, Chosen([0, 2, 3, 5])))
    matrix, doses = {
        "homogeneous": (np.array([[2.5]]), np.array([4 / 6])),
        "individual": (graph.adjacency.toarray(), np.array([1, 0, 1, 1, 0, 1.0])),
        # Strengths 2 and 3, three nodes of each: all of the second get a dose, and one in three of the first.
        "degree": (np.outer([2.0, 3.0], np.array([2.0, 3.0]) / 2) / 2.5, np.array([1 / 3, 1.0])),
    }[closure]
    times = problem.clock.times
    before = sir(matrix, BETA, start_of(len(doses), 0.1), times[:5])
    jumped = before[-1].copy()
    jumped[:, 2] += doses * jumped[:, 0]
    jumped[:, 0] *= 1 - doses
    after = sir(matrix, BETA, jumped, times[4:])
    expected = np.concatenate([before, after[1:]]).mean(axis=1)
    found = solved(with_events(problem, event), closure=closure).array("occupancy")[0]
    assert np.abs(found - expected).max() < 1e-6
    everyone = Event("doses", at=4.0, vaccination=replace(event.vaccination, sources=None))
    assert solved(with_events(problem, everyone), closure=closure).array("occupancy")[0][5, 1] < found[5, 1] - 1e-3


def test_edge_based_follows_rates(make_problem: Make, poisson_10: ContactGraph) -> None:
    """Catches an edge-based solution that takes the rates of the end for those of all times: the equations of Volz (J. Math.
    Biol. 56, 293, 2008), which keep the states of edges and not their history, with both rates set at time 15; to 1e-6."""
    k = np.arange(60)
    p = poisson.pmf(k, 10) / poisson.pmf(k, 10).sum()

    def derivatives(x: float) -> tuple[float, float, float]:
        return p @ x**k, (p * k) @ x ** np.maximum(k - 1, 0), (p * k * (k - 1)) @ x ** np.maximum(k - 2, 0)

    def slope(t: float, y: np.ndarray, beta: float, gamma: float) -> np.ndarray:
        theta, p_i, p_s, r = y
        g, g1, g2 = derivatives(theta)
        excess = theta * g2 / g1
        return np.array([
            -beta * p_i * theta,
            beta * p_s * p_i * excess - beta * p_i * (1 - p_i) - gamma * p_i,
            beta * p_s * p_i * (1 - excess),
            gamma * (1 - (1 - INFECTED) * g - r),
        ])  # fmt: skip

    y, rows, times = np.array([1.0, INFECTED, 1 - INFECTED, 0.0]), [], np.arange(61.0)
    for (beta, gamma), when in (((0.03, 0.1), times[:16]), ((0.012, 0.2), times[15:])):
        found = solve_ivp(slope, when[[0, -1]], y, t_eval=when, args=(beta, gamma), **TIGHT).y
        y = found[:, -1]
        rows.append(found[:, : len(when) - (when[-1] == 15)])
    solution = np.concatenate(rows, axis=1)
    expected = (1 - INFECTED) * np.array([derivatives(theta)[0] for theta in solution[0]])
    problem = make_problem("sir", {"beta": 0.03, "gamma": 0.1}, poisson_10, end=60)
    event = Event("both", at=15.0, parameters={"game.beta": 0.012, "game.gamma": 0.2})
    problem = with_events(problem, event, beta=0.03)
    found = simulate(problem, {"edge": EdgeBased.bind(EdgeBasedOptions(degrees="law"))})["edge"]
    assert np.abs(found.array("occupancy")[0, :, 0] - expected).max() < 1e-6
    assert np.abs(found.array("occupancy")[0, :, 2] - solution[3]).max() < 1e-6
    assert found.array("fired").tolist() == [[15.0]]
