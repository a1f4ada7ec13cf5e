"""The games in a continuum against their closed forms, through `classical_mfg` and `agent_based`: catches a game that says
something else than its docstring, and a solver that does not find its equilibrium.

Every reference is computed here by another method (quadrature of a linear equation, ordinary differential equations, the
ground state of a matrix), and held against the reference values of the documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from scipy.special import iv, ndtr

import mesocosm

SCENARIO = """
mesocosm: 1
name: oracle
seed: 4
precision: float64
time: {{end: {end}, save_every: {save}}}
population: {{size: {size}}}
graph: {{kind: complete}}
game: {game}
dynamics:
  found: {dynamics}
"""


@cache
def solve(game: str, dynamics: str, end: float, save: float, size: int = 100) -> Any:
    scenario = mesocosm.parse(SCENARIO.format(game=game, dynamics=dynamics, end=end, save=save, size=size))
    return mesocosm.simulate(mesocosm.build(scenario), mesocosm.makers_of(scenario))["found"]


class Arrivals:
    """The meeting by Cole-Hopf: phi = exp(-u/sigma^2) is an expectation over Brownian motion, whose first passage has a known
    density. Weighted by exp(-c/sigma^2), that density is the law of arrivals in equilibrium."""

    def __init__(self, scheduled: float, quorum: float, weights: tuple[float, float, float], sigma: float, end: float,
                 start: tuple[float, float]) -> None:  # fmt: skip
        self.scheduled, self.weights, self.sigma, self.end = scheduled, weights, sigma, end
        points, shares = np.polynomial.hermite_e.hermegauss(20 if start[1] else 1)
        self.places, self.shares = start[0] + start[1] * points, shares / shares.sum()
        self.start_time = brentq(lambda T: self.arrived(T, T) - quorum, scheduled + 1e-9, scheduled + 1, xtol=1e-11)
        self.value = float(self.shares @ (-(sigma**2) * np.log([self.phi(x, self.start_time) for x in self.places])))
        self.on_schedule = self.arrived(scheduled, self.start_time)
        self.median = brentq(lambda s: self.arrived(s, self.start_time) - 0.5, 0.1, end)

    def cost(self, time: Any, start_time: float) -> Any:
        late, missed, waited = (
            np.maximum(gap, 0.0) for gap in (time - self.scheduled, time - start_time, start_time - time)
        )
        return self.weights[0] * late + self.weights[1] * missed + self.weights[2] * waited

    def weighted(self, place: float, until: float, start_time: float) -> float:
        """Integral of the first passage density times exp(-c/sigma^2), in pieces between the kinks of c."""
        nodes, parts = np.polynomial.legendre.leggauss(100)
        kinks = [0.0, *sorted(time for time in (self.scheduled, start_time) if time < until), until]
        total = 0.0
        for left, right in pairwise(kinks):
            s = (left + right) / 2 + (right - left) / 2 * nodes
            spread = self.sigma**2 * s
            density = abs(place) / (s * np.sqrt(2 * np.pi * spread)) * np.exp(-(place**2) / (2 * spread))
            total += (right - left) / 2 * float(parts @ (density * np.exp(-self.cost(s, start_time) / self.sigma**2)))
        return total

    def phi(self, place: float, start_time: float) -> float:
        never = 1 - 2 * ndtr(-abs(place) / (self.sigma * np.sqrt(self.end)))
        last = float(np.exp(-self.cost(self.end, start_time) / self.sigma**2))
        return self.weighted(place, self.end, start_time) + float(never) * last

    def arrived(self, time: float, start_time: float) -> float:
        rows = [self.weighted(x, time, start_time) / self.phi(x, start_time) for x in self.places]
        return float(self.shares @ rows)


POINT = "{kind: meeting, scheduled: 1, quorum: 0.8, sigma: 0.5, start: {point: -1}}"
SPREAD = (
    "{kind: meeting, scheduled: 3, quorum: 0.9, reputation: 2, inconvenience: 4, waiting: 0.5, sigma: 1, "
    "start: {normal: [-3, 0.5]}}"
)
MEETINGS: dict[str, tuple[str, Callable[[], Arrivals], float]] = {
    "point": (POINT, lambda: Arrivals(1, 0.8, (1, 1, 1), 0.5, 3.0, (-1, 0)), 0.004),
    "spread": (SPREAD, lambda: Arrivals(3, 0.9, (2, 4, 0.5), 1.0, 12.0, (-3, 0.5)), 0.016),
}


def test_cole_hopf_gives_the_reference_numbers() -> None:
    """Catches an error in the oracle itself: the reference values."""
    point = Arrivals(1, 0.8, (1, 1, 1), 0.5, 6.0, (-1, 0))
    assert point.start_time == pytest.approx(1.32688, abs=1e-5)
    assert point.value == pytest.approx(0.98596, abs=1e-5)
    spread = MEETINGS["spread"][1]()
    found = (spread.start_time, spread.on_schedule, spread.value, spread.median)
    assert found == pytest.approx((3.14614, 0.80216, 2.78719, 2.53791), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["point", "spread"])
def test_the_meeting_in_equilibrium(name: str) -> None:
    """Catches wrong costs, signals or sides: start time, value, arrivals on schedule and their median, to 1e-3."""
    game, oracle, step = MEETINGS[name]
    exact = oracle()
    found = solve(game, f"{{kind: classical_mfg, step: {step}}}", exact.end, 0.5)
    assert found.array("converged") == 1
    expected = {
        "start_time": exact.start_time,
        "value": exact.value,
        "arrived_on_schedule": exact.on_schedule,
        "median_arrival": exact.median,
    }
    assert {key: float(found.array(key)) for key in expected} == pytest.approx(expected, rel=1e-3)


BANKS = "{kind: interbank, correlation: 0.2}"


def banks(size: float) -> tuple[float, float]:
    """Variance of mean - X at T from one point, and value at the mean, of N banks or in the limit; by SciPy."""
    others, variance = 1 - 1 / size, 1 - 0.2**2

    def change(t: float, y: np.ndarray) -> list[float]:
        left = 1 - t
        eta = float(gain.sol(left)[0])
        return [-2 * (0.2 + others * eta) * y[0] + variance * others, 0.5 * variance * others * eta]

    gain = solve_ivp(
        lambda s, eta: -(0.4 * eta + (1 - 1 / size**2) * eta**2 - 0.49), (0, 1), [0.5], rtol=1e-11, atol=1e-13,
        dense_output=True,
    )  # fmt: skip
    found = solve_ivp(change, (0, 1), [0.0, 0.0], rtol=1e-10, atol=1e-12)
    return float(found.y[0, -1]), float(found.y[1, -1])


def test_the_equations_of_banks_give_the_reference_numbers() -> None:
    """Catches an error in the oracle itself: the reference values, to 1e-9."""
    assert banks(10) == pytest.approx((0.4803048996, 0.2220499416), abs=1e-9)
    assert banks(np.inf) == pytest.approx((0.5131703906, 0.2463113467), abs=1e-9)


def test_banks_in_mean_field() -> None:
    """Catches a wrong gain or cost in the limit: variance and value to 1e-3, under the equilibrium and its closed form."""
    variance, value = banks(np.inf)
    for policy in ("nash", "mean_field"):
        found = solve(BANKS, f"{{kind: classical_mfg, policy: {policy}}}", 1.0, 0.1)
        assert float(found.array("variance")[0, -1, 0]) == pytest.approx(variance, rel=1e-3)
        assert float(found.array("value")) == pytest.approx(value, rel=1e-3)
        assert abs(float(found.array("exploitability"))) < 1e-4


@pytest.mark.slow
def test_ten_banks_by_agents() -> None:
    """Catches a mean that leaves oneself out: ten agents with the n-player gain have the variance and cost of ten banks."""
    dynamics = "{kind: agent_based, replicates: 20000, step: 0.01, policy: n_player, deviations: 0}"
    found = solve(BANKS, dynamics, 1.0, 1.0, size=10)
    for got, expected in zip((found.array("variance")[:, -1, 0], found.array("cost")), banks(10), strict=True):
        error = got.std(ddof=1) / np.sqrt(len(got))
        assert 4 * error < 0.02 * expected
        assert got.mean() == pytest.approx(expected, abs=4 * error + 0.002 * expected)


def test_the_torus_in_the_long_run() -> None:
    """Catches a sign in the potential or in ln m: ergodic constant and density in closed form, to 1e-3."""
    found = solve("{kind: torus}", "{kind: classical_mfg, horizon: ergodic}", 1.0, 1.0)
    assert float(found.array("value")) == pytest.approx(-0.8239935415, rel=1e-3)
    x = (np.arange(60) + 0.5) / 60
    exact = np.exp(2 * np.sin(2 * np.pi * x)) / iv(0, 2)
    assert np.abs(found.array("density")[0, -1] - exact).max() < 5e-3


ANGLES = (np.arange(60) + 0.5) / 60 * 2 * np.pi


def order(density: np.ndarray) -> float:
    """|mean of exp(i x)| of a recorded density [60]; its bins, of width h, lower it by the factor sin(h/2) / (h/2)."""
    width = 2 * np.pi / 60
    return float(np.abs((density * np.exp(1j * ANGLES)).sum() * width) / (np.sin(width / 2) / (width / 2)))


@pytest.mark.parametrize("frequency", [0.0, 0.3])
def test_coupled_oscillators_settle(frequency: float) -> None:
    """Catches a wrong coupling: above the critical one order solves r = I1(2 K r/sigma^2) / I0(2 K r/sigma^2), to 1e-3."""
    exact = brentq(lambda r: r - iv(1, 4 * r) / iv(0, 4 * r), 0.1, 1.0)
    assert exact == pytest.approx(0.8314620, abs=1e-7)
    game = f"{{kind: synchronisation, coupling: 2, frequency: {frequency}}}"
    found = solve(game, "{kind: classical_mfg, policy: none, step: 0.02}", 20.0, 1.0)
    assert order(found.array("density")[0, -1]) == pytest.approx(exact, rel=1e-3 if frequency == 0 else 5e-3)


def test_weakly_coupled_oscillators_lose_order() -> None:
    """Catches a critical coupling other than sigma^2: below it, order decays at rate (sigma^2 - K)/2, here 0.25."""
    found = solve(
        "{kind: synchronisation, coupling: 0.5}", "{kind: classical_mfg, policy: none, step: 0.005}", 16.0, 1.0
    )
    late = [order(found.array("density")[0, time]) for time in (12, 16)]
    assert np.log(late[0] / late[1]) / 4 == pytest.approx(0.25, rel=1e-2)


def in_phase(kappa: float) -> tuple[float, float]:
    """Order and cost per unit time of the stationary game, sigma = 1, from the ground state on Fourier modes."""
    modes = np.arange(-40, 41)

    def ground(r: float) -> tuple[float, float]:
        matrix = np.diag(0.5 * modes**2 + kappa / 2) - kappa * r / 4 * (np.eye(81, k=1) + np.eye(81, k=-1))
        energies, states = np.linalg.eigh(matrix)
        return float(states[1:, 0] @ states[:-1, 0]), float(energies[0])

    r = brentq(lambda r: ground(r)[0] - r, 0.2, 1.0)
    return r, ground(r)[1]


def test_oscillators_that_choose() -> None:
    """Catches a wrong cost of incoherence: order and cost of the stationary game from its ground state, to 1e-3."""
    r, cost = in_phase(3.0)
    game = "{kind: synchronisation, controlled: true, incoherence: 3}"
    found = solve(game, "{kind: classical_mfg, horizon: ergodic}", 1.0, 1.0)
    assert float(found.array("value")) == pytest.approx(cost, rel=1e-3)
    assert order(found.array("density")[0, -1]) == pytest.approx(r, rel=1e-3)


@pytest.mark.parametrize("controlled", [False, True])
def test_opinions_that_listen_to_all(controlled: bool) -> None:
    """Catches a wrong drift or cost: who listens to everyone plays a linear-quadratic game; variance and value to 1e-3."""

    def change(t: float, y: np.ndarray) -> list[float]:
        eta = float(gain.sol(2 - t)[0]) if controlled else 0.0
        return [-2 * (1 + eta) * y[0] + 0.1**2, 0.5 * 0.1**2 * eta]

    gain = solve_ivp(lambda s, eta: 4 - eta**2 - 2 * eta, (0, 2), [0.0], rtol=1e-10, dense_output=True)
    path = solve_ivp(change, (0, 2), [0.01, 0.0], rtol=1e-10, atol=1e-12)
    game = (
        f"{{kind: opinion, confidence: 1, smoothing: 0, sigma: 0.1, conformity: 4, start: {{normal: [0.5, 0.1]}}, "
        f"controlled: {str(controlled).lower()}}}"
    )
    policy = "nash" if controlled else "none"
    found = solve(game, f"{{kind: classical_mfg, policy: {policy}, step: 0.002}}", 2.0, 0.5)
    assert float(found.array("variance")[0, -1, 0]) == pytest.approx(float(path.y[0, -1]), rel=1e-3)
    if controlled:
        value = float(gain.sol(2)[0]) / 2 * 0.01 + float(path.y[1, -1])
        assert float(found.array("value")) == pytest.approx(value, rel=2e-3)


@pytest.mark.slow
def test_a_crowd_with_a_door_as_wide_as_the_wall() -> None:
    """Catches a wrong cost or door: without crowding the value is -sigma^2 ln (cosh k x / cosh k), k = sqrt(2 c)/sigma^2."""
    sigma, price = 0.7, 1.0
    k = np.sqrt(2 * price) / sigma**2
    x = np.linspace(0.0, 0.5, 2001)
    exact = float(np.mean(-(sigma**2) * np.log(np.cosh(k * x) / np.cosh(k))))
    game = f"{{kind: congestion, door: [0, 1], crowding: 0, time_cost: {price}, sigma: {sigma}, remaining: 1}}"
    coarse, fine = (
        float(solve(game, f"{{kind: classical_mfg, step: {step}, cells: 32}}", 4.0, 1.0).array("value"))
        for step in (0.04, 0.01)
    )
    # The error in time is proportional to the step here; extrapolated to none, that of the grid is left.
    assert (4 * fine - coarse) / 3 == pytest.approx(exact, rel=2e-3)
    assert 3 < (coarse - exact) / (fine - exact) < 6


@pytest.mark.slow
def test_crowding_costs_and_spreads_the_crowd() -> None:
    """Catches a crowd that ignores the density: where it costs, everyone pays more and the crowd is never as dense."""
    dynamics = "{kind: classical_mfg, step: 0.04, cells: 24, tolerance: 0.0001}"
    free, crowded = (
        solve(f"{{kind: congestion, crowding: {weight}, sigma: 0.4}}", dynamics, 2.0, 0.2) for weight in (0.0, 1.0)
    )
    assert float(crowded.array("converged")) == 1
    assert abs(float(crowded.array("exploitability"))) < 1e-3
    assert float(crowded.array("value")) > float(free.array("value")) + 0.5
    assert crowded.array("density").max() < 0.9 * free.array("density").max()
    assert float(free.array("evacuated")) > 0.95
