"""Equilibria of problems that change at known times, against shooting with scipy, and costs as integrals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from mesocosm import (
    ConstantControl,
    ContactGraph,
    Event,
    Events,
    GraphRecord,
    Problem,
    Trajectories,
    assess,
    constant_control,
    simulate,
)
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import EffortOptions, SIROptions
from mesocosm_mfg.classical import ClassicalMFG
from mesocosm_mfg.options import ClassicalMFGOptions

Make = Callable[..., Problem]
BETA, LATER, GAMMA, COST, ILLNESS, INFECTED, END, CHANGE = 0.4, 0.22, 0.125, 0.3, 1.0, 0.01, 50.0, 20.0
EFFORT = {"cost": COST, "infection_cost": ILLNESS}
TIGHT = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-14}


def make_game(parameters: dict[str, float]) -> SIR:
    rates = {"beta": BETA, "gamma": GAMMA} | {name.removeprefix("game."): value for name, value in parameters.items()}
    return SIR(SIROptions(**rates, effort=EffortOptions(**EFFORT)))


def posed(make_problem: Make, graph: ContactGraph, *items: Event, save_every: float = 1.0) -> Problem:
    rates = {"beta": BETA, "gamma": GAMMA}
    problem = make_problem("sir", rates, graph, end=END, save_every=save_every, effort=EFFORT, infected=INFECTED)
    return replace(problem, events=Events(items, make_game))


def solved(problem: Problem, **options: object) -> Trajectories:
    return simulate(problem, {"mfg": ClassicalMFG.bind(ClassicalMFGOptions(**options))})["mfg"]


DROP = Event("drop", at=CHANGE, parameters={"game.beta": LATER})


class Shooting:
    """The Nash equilibrium with one change, from (S, I, u_S) at time 0 forward: u_S(0) is such that u_S(end) = 0.

    u_I = c_I (1 - exp(-gamma (end - t))) / gamma, since the infected choose nothing. `rate(t)` is the infection rate.
    """

    def __init__(self, rate: Callable[[float], float], pieces: list[float]) -> None:
        self.rate, self.pieces = rate, pieces
        self.start = brentq(lambda guess: self.path(guess)[-1][2, -1], 0.5, 8.0, xtol=1e-13)

    @staticmethod
    def infected(t: float) -> float:
        return float(ILLNESS * (1 - np.exp(-GAMMA * (END - t))) / GAMMA)

    def level(self, t: float, beta: float, i: float, u: float) -> float:
        return float(np.clip(1 - beta * i * (self.infected(t) - u) / COST, 0.0, 1.0))

    def path(self, guess: float) -> list[np.ndarray]:
        y, rows = np.array([1 - INFECTED, INFECTED, guess]), []
        for left, right in zip(self.pieces, self.pieces[1:], strict=False):
            beta = self.rate((left + right) / 2)

            def slope(t: float, now: np.ndarray, beta: float = beta) -> list[float]:
                s, i, u = now
                a = self.level(t, beta, i, u)
                new = beta * a * s * i
                return [-new, new - GAMMA * i, -COST / 2 * (1 - a) ** 2 - beta * a * i * (self.infected(t) - u)]

            when = np.unique(np.append(np.arange(np.ceil(left), np.floor(right) + 1), [left, right]))
            found = solve_ivp(slope, (left, right), y, t_eval=when, **TIGHT)
            rows.append(found.y)
            y = found.y[:, -1]
        return rows


@cache
def reference() -> Shooting:
    return Shooting(lambda t: BETA if t < CHANGE else LATER, [0.0, CHANGE, END])


def test_a_drop_that_is_foreseen(make_problem: Make) -> None:
    """Catches agents that do not foresee a drop of beta at time 20, or foresee it at another time, and a control that is
    smeared over the step in which it jumps: value and occupancy against shooting, to 1e-6 relative; the control just after
    the drop is the recorded one."""
    shot = reference()
    rows = shot.path(shot.start)
    found = solved(posed(make_problem, ContactGraph.complete(10), DROP), step=0.25, tolerance=1e-9)
    assert found.array("converged") == 1
    value = (1 - INFECTED) * shot.start + INFECTED * shot.infected(0)
    assert found.array("value") == pytest.approx(value, rel=1e-6)
    expected = np.concatenate([rows[0][:2, :-1], rows[1][:2]], axis=1).T
    np.testing.assert_allclose(found.array("occupancy")[0][:, :2], expected, rtol=1e-6)
    _, i, u = rows[1][:, 0]
    before, after = (shot.level(CHANGE, beta, i, u) for beta in (BETA, LATER))
    assert after - before > 0.1
    control = found.array("control")[0, int(CHANGE), 0]
    assert min(abs(control - before), abs(control - after)) < 1e-6


@pytest.mark.parametrize("method", ["newton", "mirror_descent"])
def test_other_methods_foresee(make_problem: Make, method: str) -> None:
    """Catches a method with the slopes, or the response, of another time: it ends where anderson does."""
    problem = posed(make_problem, ContactGraph.complete(10), DROP)
    found = solved(problem, method=method, step=1.0, tolerance=1e-8)
    expected = solved(problem, step=1.0, tolerance=1e-10)
    assert found.array("converged") == 1
    np.testing.assert_allclose(found.array("occupancy"), expected.array("occupancy"), rtol=0, atol=1e-6)


def test_the_order_is_kept_where_the_control_jumps(make_problem: Make) -> None:
    """Catches one value of field or control where there are two: the error of the final size falls with order 4."""
    shot = reference()
    left = shot.path(shot.start)[-1][0, -1]
    problem = posed(make_problem, ContactGraph.complete(10), DROP)
    errors = [
        abs(solved(problem, step=step, tolerance=1e-12).array("occupancy")[0, -1, 0] - left) for step in (1.0, 0.5)
    ]
    assert np.log2(errors[0] / errors[1]) > 3.5


def test_a_policy_is_played_as_it_was_found(make_problem: Make) -> None:
    """Catches a table that loses its jump: {from: nash} gives back the flow, the value and no exploitability."""
    problem = posed(make_problem, ContactGraph.complete(10), DROP)
    makers = {
        "nash": ClassicalMFG.bind(ClassicalMFGOptions(step=0.5, tolerance=1e-11)),
        "again": ClassicalMFG.bind(ClassicalMFGOptions(step=0.5, policy={"from": "nash"})),
    }
    found = simulate(problem, makers)
    nash, again = found["nash"], found["again"]
    np.testing.assert_allclose(again.array("occupancy"), nash.array("occupancy"), rtol=0, atol=1e-13)
    assert again.array("value") == pytest.approx(float(nash.array("value")), rel=1e-12)
    assert abs(float(again.array("exploitability"))) < 1e-7  # the error of the grid: 7e-9


def test_value_and_exploitability_of_a_constant(make_problem: Make) -> None:
    """Catches a value that forgets the change, in the summary and in `assess`: the cost of a = 0.6 as an integral by scipy,
    and what the best response to its flow costs, by a backward equation in scipy; both to 1e-7."""
    problem, level = posed(make_problem, ContactGraph.complete(10), DROP), 0.6

    def slope(t: float, y: np.ndarray, beta: float) -> list[float]:
        new = beta * level * y[0] * y[1]
        return [-new, new - GAMMA * y[1], COST / 2 * (1 - level) ** 2 * y[0] + ILLNESS * y[1]]

    first = solve_ivp(slope, (0, CHANGE), [1 - INFECTED, INFECTED, 0.0], args=(BETA,), dense_output=True, **TIGHT)
    second = solve_ivp(slope, (CHANGE, END), first.y[:, -1], args=(LATER,), dense_output=True, **TIGHT)

    def backward(t: float, u: np.ndarray, beta: float, flow: Callable[[float], np.ndarray]) -> list[float]:
        i = flow(t)[1]
        harm = Shooting.infected(t) - u[0]
        a = np.clip(1 - beta * i * harm / COST, 0.0, 1.0)
        return [-COST / 2 * (1 - a) ** 2 - beta * a * i * harm]

    middle = solve_ivp(backward, (END, CHANGE), [0.0], args=(LATER, second.sol), **TIGHT).y[:, -1]
    best = solve_ivp(backward, (CHANGE, 0), middle, args=(BETA, first.sol), **TIGHT).y[0, -1]
    lowest = (1 - INFECTED) * best + INFECTED * Shooting.infected(0)
    found = solved(problem, policy=ConstantControl(constant=level), step=0.1)
    assert found.array("value") == pytest.approx(second.y[2, -1], rel=1e-7)
    assert found.array("exploitability") == pytest.approx(second.y[2, -1] - lowest, rel=1e-6)
    measured = assess(problem, constant_control(problem.finite_game, level), {"occupancy": found.array("occupancy")})
    assert measured.value == pytest.approx(second.y[2, -1], rel=1e-6)
    assert measured.exploitability == pytest.approx(second.y[2, -1] - lowest, rel=1e-5)
    assert measured.consistency < 1e-6


def contacts_by_turns() -> ContactGraph:
    """Four nodes that all meet for the first 6 of every 10, and in two pairs of weight 0.2 for the rest."""
    source, target = np.triu_indices(4, 1)
    together = ContactGraph.from_edges(4, source, target)
    pairs = ContactGraph.from_edges(4, [0, 2], [1, 3], [0.2, 0.2])
    total = together.adjacency * 0.6 + pairs.adjacency * 0.4
    average = ContactGraph.from_edges(4, source, target, [total[i, j] for i, j in zip(source, target, strict=True)])
    record = GraphRecord([0.0, 6.0, 10.0], [0, 1], [together, pairs].__getitem__, loop=True, afterwards=0)
    return replace(average, changes=record)


def test_contacts_that_are_foreseen(make_problem: Make) -> None:
    """Catches agents who do not foresee when they meet whom: homogeneous closure, mean degree 3 and 0.2 by turns, where the
    rate of infection is beta times that; value and final shares against shooting, to 1e-6 relative."""
    pieces = sorted({10.0 * k for k in range(6)} | {10.0 * k + 6 for k in range(5)})
    shot = Shooting(lambda t: BETA * (3.0 if t % 10 < 6 else 0.2) / 3, pieces)
    graph = contacts_by_turns()
    problem = posed(make_problem, graph, save_every=2.5)
    problem = replace(problem, game=make_game({"game.beta": BETA / 3}))
    found = solved(problem, step=0.25, tolerance=1e-9)
    value = (1 - INFECTED) * shot.start + INFECTED * shot.infected(0)
    assert found.array("value") == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(found.array("occupancy")[0, -1, :2], shot.path(shot.start)[-1][:2, -1], rtol=1e-6)


def test_social_optimum_foresees(make_problem: Make) -> None:
    """Catches a planner with the slopes of another time: no constant and no Nash policy is cheaper than the optimum, and its
    gap is below 1e-6 of its cost; slopes at the wrong time would leave one that no step closes."""
    problem = posed(make_problem, ContactGraph.complete(10), DROP)
    best = solved(problem, policy="social_optimum", step=1.0, tolerance=1e-6)
    value = float(best.array("value"))
    assert best.array("social_gap") <= 1e-6 * value
    others = [solved(problem, policy=ConstantControl(constant=level), step=1.0) for level in (0.0, 0.3, 0.6, 0.8, 1.0)]
    others.append(solved(problem, step=1.0))
    assert all(value < float(other.array("value")) for other in others)
