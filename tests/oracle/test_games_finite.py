"""The games `effort` and `vaccination` against published and independent numbers: catches a wrong cost, rate or response.

References: the reference values of the documentation, made by independent scripts; and, at much finer accuracy, the same
equations solved here by SciPy from what is known of the answer (where the one jump is), without the games and their solver.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

import mesocosm

EFFORT = """
mesocosm: 1
name: effort
seed: 1
precision: float64
time: {end: 360, save_every: 1}
population: {size: 1000, initial: {I: 0.01}}
graph: {kind: complete}
game: {kind: effort}
dynamics:
  nash: {kind: classical_mfg, step: 0.5}
  none: {kind: classical_mfg, policy: none, step: 0.5}
"""

VACCINATION = """
mesocosm: 1
name: vaccination
seed: 1
precision: float64
time: {end: 1, save_every: 0.0025}
population: {size: 10, initial: {I: 0.4, R: 0.2}}
graph: {kind: complete}
game: {kind: vaccination}
dynamics:
  nash: {kind: classical_mfg, step: 0.0025}
"""


@cache
def solved(text: str) -> Any:
    scenario = mesocosm.parse(text)
    return mesocosm.simulate(mesocosm.build(scenario), mesocosm.makers_of(scenario))


def value_of_infected(end: float = 360.0, cost: float = 30.0, recovery: float = 0.1) -> float:
    """r_I (1 - exp(-gamma T)) / gamma: the infected choose nothing."""
    return cost * (1 - np.exp(-recovery * end)) / recovery


def top_of(curve: np.ndarray) -> float:
    """The maximum between samples, by a parabola through the three highest."""
    left, top, right = curve[curve.argmax() + np.arange(-1, 2)]
    return float(top + (right - left) ** 2 / (8 * (2 * top - left - right)))


def test_effort_equilibrium() -> None:
    """Catches an error anywhere in the effort game: cost of a susceptible, attack, peak and the lowest contact rate."""
    found = solved(EFFORT)["nash"]
    occupancy, control = found.array("occupancy")[0], found.array("control")[0]
    susceptible = (float(found.array("value")) - 0.01 * value_of_infected()) / 0.99
    assert susceptible == pytest.approx(211.3266, rel=1e-6)
    assert 1 - occupancy[-1, 0] == pytest.approx(0.647347, rel=2e-6)
    assert top_of(occupancy[:, 1]) == pytest.approx(0.086475, rel=1e-5)
    assert control[:, 0].min() == pytest.approx(0.131269, rel=1e-5)
    assert found.array("converged") == 1


def test_effort_that_nobody_makes() -> None:
    """Catches a neutral rate that is not beta0: what a susceptible pays in the plain epidemic."""
    found = solved(EFFORT)["none"]
    susceptible = (float(found.array("value")) - 0.01 * value_of_infected()) / 0.99
    assert susceptible == pytest.approx(239.4557, rel=1e-6)
    assert found.array("control")[0] == pytest.approx(0.2, rel=1e-12)


def bang_bang(stop: float) -> tuple[float, float]:
    """Value of a susceptible at `stop` and at 0, where everyone is vaccinated at the full rate until `stop`; SciPy."""
    infection, recovery, fastest, price = 73.0, 36.5, 10.0, 0.5
    accuracy: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-13, "dense_output": True}

    def spread(rate: float) -> Any:
        return lambda _, y: [-(infection * y[1] + rate) * y[0], (infection * y[0] - recovery) * y[1]]

    def priced(rate: float, path: Any) -> Any:
        def change(t: float, value: np.ndarray) -> np.ndarray:
            infected = 1 - np.exp(-recovery * (1 - t))
            return -(price * rate - rate * value + infection * path.sol(t)[1] * (infected - value))

        return change

    before = solve_ivp(spread(fastest), (0, stop), [0.4, 0.4], **accuracy)
    after = solve_ivp(spread(0.0), (stop, 1), before.y[:, -1], **accuracy)
    at_stop = solve_ivp(priced(0.0, after), (1, stop), [0.0], **accuracy).y[:, -1]
    return float(at_stop[0]), float(solve_ivp(priced(fastest, before), (stop, 0), at_stop, **accuracy).y[0, -1])


def cost_of_stopping(stop: float) -> float:
    """Expected cost when everyone is vaccinated until `stop`."""
    return 0.4 * bang_bang(stop)[1] + 0.4 * (1 - float(np.exp(-36.5)))


def test_vaccination_equilibrium() -> None:
    """Catches an error anywhere in the vaccination game: its cost, and the one time at which vaccination stops.

    A solver in time steps can only stop at one of them, and what others do costs everyone: the error of its cost is that of
    the time of stopping, at most a step away.
    """
    jump = brentq(lambda stop: bang_bang(stop)[0] - 0.5, 0.01, 0.1, xtol=1e-12)
    assert jump == pytest.approx(0.0246514, abs=1e-7)
    cost = cost_of_stopping(jump)
    assert cost == pytest.approx(0.6822968, abs=1e-7)
    step = 0.0025 / 2
    found = solved(VACCINATION)["nash"]
    control, times = found.array("control")[0, :, 0], found.times
    assert control[times < jump - step] == pytest.approx(10.0, rel=1e-12)
    assert control[times > jump + step] == pytest.approx(0.0, abs=1e-12)
    within = max(abs(cost_of_stopping(jump + away) - cost) for away in (-step, step))
    assert within < 1e-3
    assert float(found.array("value")) == pytest.approx(cost, abs=within)
    assert abs(float(found.array("exploitability"))) < 1e-6
    assert found.array("converged") == 1


PLAYED = """
mesocosm: 1
name: vaccination-agents
seed: 3
precision: float64
time: {end: 1, save_every: 0.01}
population: {size: 10, initial: {I: 0.4, R: 0.2}}
graph: {kind: complete}
game: {kind: vaccination}
dynamics:
  nash: {kind: classical_mfg, step: 0.0025}
  agents: {kind: agent_based, replicates: 4000, step: 0.0005, deviations: 0, policy: {from: nash}}
"""


@pytest.mark.slow
def test_vaccination_by_ten_agents() -> None:
    """Catches costs of agents that are not those of the game: N players who know each other pay about 0.6828 - 0.28/(N+1)."""
    cost = solved(PLAYED)["agents"].array("cost")
    error = cost.std(ddof=1) / np.sqrt(len(cost))
    assert 4 * error < 0.28 / 11
    assert cost.mean() == pytest.approx(0.6828 - 0.28 / 11, abs=4 * error)
