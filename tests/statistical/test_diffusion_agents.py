"""The law of agents in a box against closed forms: first passage, reflection, weak order, and the inter-bank game.

Would catch absorption that misses what happens within a step, places of exit and times of exit with a wrong law, agents
that stick to a reflecting side, an Euler step of the wrong order, and a field, a gain or a cost that is off by 1/N.
Bounds are 4 standard errors; each test says what it would see.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.special import ndtr
from scipy.stats import invgauss, kstest

from mesocosm import (
    Axis,
    Clock,
    ContactGraph,
    Context,
    DiffusionGame,
    Point,
    Population,
    Problem,
    resolve_device,
)
from mesocosm_agents.dynamics import AgentBased
from mesocosm_agents.options import AgentBasedOptions
from mesocosm_agents.walls import Walls, _passage
from mesocosm_games.diffusion_options import InterbankOptions
from mesocosm_games.interbank import Interbank

ALPHA = 1e-4
"""Level of the Kolmogorov-Smirnov tests, about 4 standard errors."""


class Walk(DiffusionGame):
    """Independent agents: drift and noise are `rate` and `sigma` times 1, or times the state where `geometric`."""

    channels: ClassVar[tuple[str, ...]] = ("nothing",)

    def __init__(self, axes, start, rate, sigma, geometric=False, common=0.0):
        self.axes, self.start = axes, Point(start)
        self.rate, self.sigma, self.geometric, self.sigma0 = rate, sigma, geometric, common
        self.common = "shared" if common else None

    def drift(self, t, state, field, control):
        return self.rate * (state if self.geometric else 1.0 + 0.0 * state)

    def noise(self, t, state, field):
        return self.sigma * (state if self.geometric else 1.0 + 0.0 * state)

    def common_noise(self, t, state, field):
        return self.sigma0 + 0.0 * state

    def emission(self, t, state, control):
        return 0.0 * state[..., :1]


def run(game, size, *, end, step, replicates=1, policy="none", seed=11):
    """The dynamics and its state at the end, of agents on a complete graph."""
    graph = ContactGraph.complete(size)
    population, clock = Population(size, np.zeros(0)), Clock(end, end)
    problem = Problem(
        "statistical", seed, game, graph, population, clock, resolve_device("cpu"), "float64", lambda replicate: graph
    )
    options = AgentBasedOptions(replicates=replicates, step=step, policy=policy, deviations=0)
    dynamics = AgentBased(problem, options, Context("agents", problem.streams("agents")))
    dynamics.check()
    state = dynamics.init()
    for interval in clock.intervals():
        state = dynamics.advance(state, interval)
    return dynamics, state


def bounded(values, exact, *, relative):
    """Within 4 standard errors, and these small enough to see the relative error that is named."""
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert 4 * error < relative * abs(exact), f"no power: 4 s.e. are {4 * error / abs(exact):.3g}"
    assert abs(values.mean() - exact) < 4 * error, f"{values.mean():.6g} +- {error:.2g}, not {exact:.6g}"


# --- first passage -------------------------------------------------------------------------------------------------

RATE, SIGMA, HORIZON = 0.5, 0.7, 2.0
HALF_LINE = (Axis("x", -6.0, 0.0, "open", "absorbing"),)
PASSAGE = invgauss(mu=(1 / RATE) / (1 / SIGMA**2), scale=1 / SIGMA**2)
"""When Brownian motion with drift from -1 first reaches 0: inverse Gaussian, mean 1/rate and shape 1/sigma^2."""


def leave(step=0.5):
    """Times of exit of 80000 agents, in 4 long steps."""
    _, state = run(Walk(HALF_LINE, (-1.0,), RATE, SIGMA), 20000, end=HORIZON, step=step, replicates=4)
    return state.left_at.ravel()


def check_passage(left_at):
    bounded((left_at <= HORIZON).astype(float), PASSAGE.cdf(HORIZON), relative=0.02)
    bounded(np.minimum(left_at, HORIZON), quad(PASSAGE.sf, 0, HORIZON)[0], relative=0.02)


def test_first_passage_has_no_error_of_the_step():
    """Share that left, mean time inside and law of the times, against the inverse Gaussian, with steps as long as 0.5."""
    left_at = leave()
    check_passage(left_at)
    inside = left_at[left_at <= HORIZON]
    assert kstest(inside, lambda t: PASSAGE.cdf(t) / PASSAGE.cdf(HORIZON)).pvalue > ALPHA


def test_absorption_at_the_ends_of_steps_alone_fails(monkeypatch):
    """The test above sees the O(sqrt dt) error of naive absorption, even at 20 times shorter steps."""
    honest = Walls.cross

    def naive(self, start, end, variance, length, inside, uniforms):
        uniforms[..., 0] = 1 - 1e-12
        return honest(self, start, end, variance, length, inside, uniforms)

    monkeypatch.setattr(Walls, "cross", naive)
    for step in (0.5, 0.025):
        with pytest.raises(AssertionError, match=r"not 0\.66"):
            check_passage(leave(step))


def test_common_noise_crosses_walls_too():
    """The bridge is that of own and common noise together: one agent of each of 5000 replicates against the same law."""
    game = Walk(HALF_LINE, (-1.0,), RATE, 0.4, common=np.sqrt(SIGMA**2 - 0.4**2))
    _, state = run(game, 2, end=HORIZON, step=0.5, replicates=5000)
    bounded((state.left_at[:, 0] <= HORIZON).astype(float), PASSAGE.cdf(HORIZON), relative=0.04)


@pytest.mark.parametrize(("before", "after", "spread"), [(1.0, 0.5, 0.8), (0.1, 1.0, 1.0), (1.0, 0.0, 0.3)])
def test_time_at_which_a_bridge_reaches_a_wall(before, after, spread):
    """200000 draws against the density of reaching it in tau times that of going on, integrated numerically."""
    random = np.random.default_rng(8)
    drawn = _passage(
        *(np.full(200000, value) for value in (before, after, spread)),
        random.standard_normal(200000),
        random.random(200000),
    )
    angle = np.linspace(0, np.pi / 2, 20001)
    middle = (angle[1:] + angle[:-1]) / 2
    tau = np.sin(middle) ** 2
    # The density is tau^-3/2 (1 - tau)^-1/2 exp(...); with tau = sin^2, d tau = 2 sin cos.
    weight = (
        2 * np.sin(middle) ** -2.0 * np.exp(-(before**2) / (2 * spread * tau) - after**2 / (2 * spread * (1 - tau)))
    )
    cumulated = np.concatenate([[0.0], np.cumsum(weight)]) / weight.sum()
    assert kstest(drawn, lambda t: np.interp(t, np.sin(angle) ** 2, cumulated)).pvalue > ALPHA


def test_place_along_the_wall_is_free_brownian_motion():
    """In two dimensions the other coordinate at the time tau of exit is normal with variance sigma^2 tau."""
    axes = (Axis("x", -1.0, 5.0, "absorbing", "open"), Axis("y", -9.0, 9.0, "open", "open"))
    _, state = run(Walk(axes, (0.0, 0.0), 0.0, 1.0), 20000, end=4.0, step=1.0)
    left = ~state.inside[0]
    scaled = state.places[0, left, 1] / np.sqrt(state.left_at[0, left])
    assert left.sum() > 10000
    assert kstest(scaled, ndtr).pvalue > ALPHA


# --- reflection and order ------------------------------------------------------------------------------------------


def reflected(end, step):
    axes = (Axis("x", 0.0, 1.0, "reflecting", "reflecting"),)
    _, state = run(Walk(axes, (0.2,), 0.0, 1.0), 40000, end=end, step=step)
    return state.places.ravel()


def law_of_reflected(t):
    """Distribution function of reflected Brownian motion on [0, 1] from 0.2: its cosine series."""
    n = np.arange(1, 60)[:, None] * np.pi
    weight = 2 * np.cos(0.2 * n) * np.exp(-(n**2) * t / 2) / n
    return lambda x: x + (weight * np.sin(n * x)).sum(axis=0)


def test_reflected_motion_has_the_law_of_the_cosine_series(monkeypatch):
    """On the way and when stationary (uniform), in long steps; agents that stop at the wall instead would be seen."""
    assert kstest(reflected(0.1, 0.05), law_of_reflected(0.1)).pvalue > ALPHA
    assert kstest(reflected(2.0, 0.25), "uniform").pvalue > ALPHA
    monkeypatch.setattr(Walls, "contain", lambda self, places: places.clip(0.0, 1.0))
    assert kstest(reflected(0.1, 0.05), law_of_reflected(0.1)).pvalue < ALPHA


def test_weak_order_one():
    """Second moment of geometric Brownian motion: the bias falls like the step, as the exact recursion of the scheme says.

    Slope of log bias on log step by weighted least squares over steps 1/4 to 1/32 of 640000 agents: within 4 standard errors
    (below 0.1) of the recursion's own, which is 0.92 at these steps; so orders 1/2 and 2 would be seen.
    """
    rate, sigma = 0.5, 0.3
    game = Walk((Axis("x", 0.0, 9.0, "open", "open"),), (1.0,), rate, sigma, geometric=True)
    exact, steps = np.exp(2 * rate + sigma**2), np.array([1 / 4, 1 / 8, 1 / 16, 1 / 32])
    biases, errors = [], []
    for number, step in enumerate(steps):
        _, state = run(game, 20000, end=1.0, step=step, replicates=32, seed=20 + number)
        square = state.places.ravel() ** 2
        biases.append(exact - square.mean())
        errors.append(square.std() / np.sqrt(square.size))
    recursion = exact - (1 + 2 * rate * steps + (rate * steps) ** 2 + sigma**2 * steps) ** (1 / steps)
    slope, error = _slope(steps, np.array(biases), np.array(errors))
    wanted, _ = _slope(steps, recursion, np.array(errors) * recursion / np.array(biases))
    assert 4 * error < 0.1
    assert abs(slope - wanted) < 4 * error
    assert abs(slope - 1) < 0.2


def _slope(x, y, errors):
    """Slope of log y on log x, weighted by the relative errors of y, and its standard error."""
    weights = (y / errors) ** 2
    across = np.log(x) - np.average(np.log(x), weights=weights)
    spread = (weights * across**2).sum()
    return (weights * across * np.log(y)).sum() / spread, spread**-0.5


# --- inter-bank lending --------------------------------------------------------------------------------------------

BANK = InterbankOptions(correlation=0.2)
A = Q = 0.1
EPSILON = C = 0.5


def bank(size):
    """Variance of mean - X at T = 1 from one point, and value, of N banks in equilibrium, by Runge-Kutta; N may be inf."""
    others = 1 - 1 / size

    def back(left, y):
        eta, _ = y
        slope = 2 * (A + Q) * eta + (1 - 1 / size**2) * eta**2 - (EPSILON - Q**2)
        return [-slope, 0.5 * 0.96 * others * eta]

    solved = solve_ivp(back, (0, 1), [C, 0.0], rtol=1e-11, atol=1e-13, dense_output=True)

    def forth(t, v):
        return -2 * (A + Q + others * solved.sol(1 - t)[0]) * v + 0.96 * others

    variance = solve_ivp(forth, (0, 1), [0.0], rtol=1e-11, atol=1e-13).y[0, -1]
    return variance, solved.y[1, -1]


def gaps(state):
    """Mean minus own reserve, [replicate, N]."""
    places = state.places[..., 0]
    return places.mean(axis=1, keepdims=True) - places


def test_the_references_are_those_of_the_paper():
    """The helper of the tests below against the numbers of Carmona, Fouque, Sun's equations found independently."""
    assert bank(10) == pytest.approx((0.4803048996, 0.2220499416), rel=1e-8)
    assert bank(np.inf) == pytest.approx((0.5131703906, 0.2463113467), rel=1e-8)


@pytest.mark.parametrize(("size", "replicates"), [(10, 10000), (100, 1000), (1000, 100)])
def test_banks_reproduce_variance_and_value(size, replicates):
    """N banks that play the N-player gain, within 4 standard errors, so that 2 % would be seen."""
    dynamics, state = run(Interbank(BANK), size, end=1.0, step=0.01, replicates=replicates, policy="n_player")
    variance, value = bank(size)
    bounded((gaps(state) ** 2).mean(axis=1), variance, relative=0.02)
    bounded(dynamics.summary(state)["cost"].values, value, relative=0.02)


def test_the_gap_to_the_limit_falls_like_one_over_n():
    """Variance of mean - X for 5 to 20 banks below that of the mean field: slope -1 on log-log axes, within 4 standard errors.

    The limit is taken at the same step of the scheme, by its recursion.
    """
    step, sizes = 0.05, np.array([5, 10, 20])
    game, limit = Interbank(InterbankOptions()), 0.0
    for k in range(20):
        limit = (1 - step * (A + Q + game.gain(k * step, 1.0))) ** 2 * limit + step
    below, errors = [], []
    for size in sizes:
        _, state = run(game, int(size), end=1.0, step=step, replicates=100000 // int(size), policy="n_player")
        squares = (gaps(state) ** 2).mean(axis=1)
        below.append(limit - squares.mean())
        errors.append(squares.std(ddof=1) / np.sqrt(len(squares)))
    slope, error = _slope(sizes, np.array(below), np.array(errors))
    assert 4 * error < 0.5
    assert abs(slope + 1) < 4 * error
