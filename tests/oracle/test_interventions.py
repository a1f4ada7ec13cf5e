"""A lockdown on a threshold, against equations that are solved here on their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.stats import poisson

import mesocosm

SCENARIO = Path(__file__).parents[2] / "scenarios" / "lockdown.yaml"
SEEDS, RECOVERY, DAYS = 0.005, 0.1, 300
DEGREES = np.arange(60)
LAW = poisson.pmf(DEGREES, 10) / poisson.pmf(DEGREES, 10).sum()
MEAN = LAW @ DEGREES

Law = Callable[[np.ndarray, float], list[float]]


def course(law: Law, start: list[float], shares: Callable[[np.ndarray], tuple[float, float]]) -> dict[str, float]:
    """Days of the lockdown and of its end, and the share that falls ill, of `y' = law(y, beta)` in pieces of a day.

    `shares` are those of the susceptible and the infected.
    """
    y, beta, days = np.array(start), 0.03, {}
    for day in range(DAYS):
        infected = shares(y)[1]
        if not days and infected > 0.1:
            beta, days["lockdown"] = 0.006, float(day)
        elif len(days) == 1 and infected < 0.01:
            beta, days["reopening"] = 0.03, float(day)
        y = solve_ivp(lambda t, y, beta=beta: law(y, beta), (0, 1), y, rtol=1e-10, atol=1e-13).y[:, -1]
    return {**days, "ill": 1.0 - shares(y)[0]}


def edges() -> dict[str, float]:
    """Miller, Slim, Volz, Journal of the Royal Society Interface 9, 890 (2012): theta, phi_R and R."""

    def susceptible(y: np.ndarray) -> float:
        return float((1 - SEEDS) * LAW @ y[0] ** DEGREES)

    def law(y: np.ndarray, beta: float) -> list[float]:
        to_susceptible = (1 - SEEDS) * (LAW * DEGREES) @ y[0] ** np.maximum(DEGREES - 1, 0) / MEAN
        to_infected = y[0] - to_susceptible - y[1]
        infected = 1 - susceptible(y) - y[2]
        return [-beta * to_infected, RECOVERY * to_infected, RECOVERY * infected]

    return course(law, [1.0, 0.0, 0.0], lambda y: (susceptible(y), 1 - susceptible(y) - y[2]))


def homogeneous() -> dict[str, float]:
    """Everyone with the mean degree: S and I."""

    def law(y: np.ndarray, beta: float) -> list[float]:
        new = beta * MEAN * y[0] * y[1]
        return [-new, new - RECOVERY * y[1]]

    return course(law, [1 - SEEDS, SEEDS], lambda y: (float(y[0]), float(y[1])))


def test_a_lockdown_lasts_as_long_and_spares_as_many_as_in_equations_solved_apart() -> None:
    """Catches a threshold that is looked at elsewhere than at saves, an event that comes again, and a rate that is not the one
    that was set: days exactly, and shares to 1e-6, by two closures."""
    scenario = mesocosm.load(
        SCENARIO, {"dynamics.agents": "null", "compare.reference": "edges", "population.size": "400"}
    )
    out = mesocosm.simulate(mesocosm.build(scenario), mesocosm.makers_of(scenario))
    for label, reference in (("edges", edges()), ("homogeneous", homogeneous())):
        fired = dict(zip(out[label].coordinates["event"], out[label].array("fired")[0], strict=True))
        assert fired == {name: reference[name] for name in ("lockdown", "reopening")}
        assert 1 - out[label].array("occupancy")[0, -1, 0] == pytest.approx(reference["ill"], abs=1e-6)
    assert edges()["ill"] == pytest.approx(0.791, abs=5e-4)
    assert homogeneous()["ill"] == pytest.approx(0.890, abs=5e-4)
