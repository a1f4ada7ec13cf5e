"""Diffusions on grids against closed forms and published numbers (to 1e-3), and the measured orders of convergence.

Catches a wrong factor in the Hamiltonian or the noise, a control that is not the best one, a wall in the wrong place, a scheme
of lower order than stated, and an equilibrium that is none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import i0

from mesocosm import (
    Axis,
    Clock,
    ContactGraph,
    Control,
    DiffusionField,
    DiffusionGame,
    Normal,
    Point,
    Population,
    Problem,
    Trajectories,
    Uniform,
    resolve_device,
    simulate,
)
from mesocosm_games.diffusion_options import InterbankOptions, TorusOptions
from mesocosm_games.interbank import Interbank
from mesocosm_games.meeting_options import MeetingOptions
from mesocosm_games.meeting_spatial import SpatialMeeting
from mesocosm_games.torus import Torus
from mesocosm_mfg.classical import ClassicalMFG
from mesocosm_mfg.options import ClassicalMFGOptions

LATE = {"scheduled": 1, "quorum": 0.8, "sigma": 0.5, "start": {"point": -1}}
SPREAD = {
    "scheduled": 3, "quorum": 0.9, "sigma": 1, "reputation": 2, "inconvenience": 4, "waiting": 0.5,
    "start": {"normal": [-3, 0.5]},
}  # fmt: skip


def solved(game: DiffusionGame, end: float, **options: Any) -> Trajectories:
    graph = ContactGraph.complete(100)
    population, clock, device = Population(100, np.zeros(0)), Clock(end, end / 20), resolve_device("cpu")
    problem = Problem("oracle", 1, game, graph, population, clock, device, "float64", lambda _: graph)
    return simulate(problem, {"nash": ClassicalMFG.bind(ClassicalMFGOptions(**options))})["nash"]


class Steering(DiffusionGame):
    """dX = a dt + sigma dW on [0, 1] between reflecting sides, cost a^2/2 and a terminal cost with a Cole-Hopf solution."""

    channels = ("nothing",)
    normalise = "mean"
    axes = (Axis("x", 0.0, 1.0),)
    control = Control("a", (), -20.0, 20.0, neutral=0.0)
    start = Uniform((0.0,), (1.0,))
    sigma = 0.8

    def drift(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return control

    def noise(self, t: Any, state: Any, field: Any) -> Any:
        return self.sigma + 0.0 * state

    def emission(self, t: Any, state: Any, control: Any) -> Any:
        return 0.0 * state

    def running_cost(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return 0.5 * control[..., 0] ** 2

    def terminal_cost(self, t: Any, state: Any, field: Any, signals: Any) -> Any:
        return self.exact(0.0, state[..., 0])

    def best_control(self, t: Any, state: Any, field: Any, gradient: Any) -> Any:
        return -gradient

    def exact(self, left: float, x: Any) -> Any:
        """u a time `left` before the horizon: -sigma^2 ln phi, and phi solves the heat equation."""
        decay = np.exp(-0.5 * self.sigma**2 * np.pi**2 * left)
        return -(self.sigma**2) * np.log(1.0 + 0.8 * decay * np.cos(np.pi * x))


class OrnsteinUhlenbeck(Steering):
    """dX = -x dt + sigma dW, open."""

    axes = (Axis("x", -5.0, 5.0, "open", "open"),)
    control = None
    start = Normal((1.5,), (0.6,))

    def drift(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return -state


def slope(sizes: list[float], errors: list[float]) -> float:
    return float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])


def hjb_error(cells: int, steps: int, parts: int = 1) -> float:
    game = Steering()
    model = DiffusionField(game, (cells,), np.linspace(0.0, 0.5, steps + 1), parts=parts)
    value, _ = model.best_response(model.flow(model.neutral()))
    return float(np.abs(value[0] - game.exact(0.5, model.grid.nodes[:, 0])).max())


def moments(cells: int, steps: int, parts: int = 1) -> tuple[float, float]:
    """Errors of mean and variance at time 1 against the closed form."""
    game = OrnsteinUhlenbeck()
    model = DiffusionField(game, (cells,), np.linspace(0.0, 1.0, steps + 1), parts=parts)
    masses, x = model.flow(model.neutral()).masses[-1], model.grid.nodes[:, 0]
    mean = masses @ x
    variance = 0.6**2 * np.exp(-2) + 0.5 * game.sigma**2 * (1 - np.exp(-2))
    return abs(mean - 1.5 * np.exp(-1)), abs(masses @ (x - mean) ** 2 - variance)


def test_hjb_order() -> None:
    """Order 2 in the spacing and 1 in the time step, against Cole-Hopf."""
    widths = [hjb_error(cells, 400, 40) for cells in (10, 20, 40)]
    assert slope([4, 2, 1], widths) == pytest.approx(2, abs=0.2)
    lengths = [hjb_error(400, steps) for steps in (8, 16, 32)]
    assert slope([4, 2, 1], lengths) == pytest.approx(1, abs=0.2)
    assert hjb_error(400, 1000, 16) < 1e-3 * np.abs(Steering().exact(0.5, np.array([0.0, 1.0]))).max()


def test_fpk_order() -> None:
    """The Ornstein-Uhlenbeck process: variance to order 2 in the spacing, mean to order 1 in the step; both to 1e-3."""
    widths = [moments(cells, 400, 40)[1] for cells in (20, 40, 80)]
    assert slope([4, 2, 1], widths) == pytest.approx(2, abs=0.2)
    lengths = [moments(400, steps)[0] for steps in (8, 16, 32)]
    assert slope([4, 2, 1], lengths) == pytest.approx(1, abs=0.15)
    mean, variance = moments(400, 1000, 16)
    assert mean < 1e-3 * 1.5 * np.exp(-1)
    assert variance < 1e-3 * 0.325


def test_given_start_time() -> None:
    """The meeting with its start time given is the heat equation: u(0, -1) from the law of the first passage (Cole-Hopf)."""
    game, end, start_time = SpatialMeeting(MeetingOptions(**LATE)), 4.0, 1.4
    model = DiffusionField(game, (400,), np.linspace(0.0, end, 1001), parts=16)
    flow = model.flow(model.neutral())
    flow.signals[:] = start_time
    value, _ = model.best_response(flow)

    def weight(time: float) -> float:
        return float(np.exp(-game.arrival_cost(time, start_time) / 0.25))

    def passage(time: float) -> float:
        return float(np.exp(-1 / (0.5 * time)) / (0.5 * np.sqrt(2 * np.pi * time**3)))

    breaks = (1.0, start_time)
    arrived = quad(lambda s: weight(s) * passage(s), 0, end, points=breaks, limit=200)[0]
    late = 1.0 - quad(passage, 0, end, points=breaks, limit=200)[0]
    exact = -0.25 * np.log(arrived + late * weight(end))
    found = np.interp(-1.0, model.grid.nodes[:, 0], value[0])
    assert found == pytest.approx(exact, rel=1e-3)


def test_meeting_from_a_point() -> None:
    """Everyone starts at -1: start time 1.32688 and value 0.98596."""
    found = solved(SpatialMeeting(MeetingOptions(**LATE)), 4.0, method="newton")
    assert found.array("start_time") == pytest.approx(1.32688, rel=1e-3)
    assert found.array("value") == pytest.approx(0.98596, rel=1e-3)
    assert found.array("converged") == 1
    assert abs(found.array("exploitability")) < 1e-4 * found.array("value")


def test_meeting_from_a_normal_law() -> None:
    """Start N(-3, 0.5^2): start time, share on schedule, mean value, median arrival."""
    found = solved(SpatialMeeting(MeetingOptions(**SPREAD)), 12.0, method="newton")
    assert found.array("start_time") == pytest.approx(3.14614, rel=1e-3)
    assert found.array("arrived_on_schedule") == pytest.approx(0.80216, rel=1e-3)
    assert found.array("value") == pytest.approx(2.78719, rel=1e-3)
    assert found.array("median_arrival") == pytest.approx(2.53791, rel=1e-3)


def test_interbank() -> None:
    """The limit of many banks: value .2463113467, variance .5131703906, and the gain q + eta(t), eta(0) = .521382099607."""
    game = Interbank(InterbankOptions(correlation=0.2))
    found = solved(game, 1.0)
    assert found.array("value") == pytest.approx(0.2463113467, rel=1e-3)
    assert found.array("variance")[0, -1, 0] == pytest.approx(0.5131703906, rel=1e-3)
    assert abs(found.array("exploitability")) < 1e-4 * found.array("value")
    places, table = np.array(found.coordinates["reserve"]), found.array("policy_map")
    near = np.abs(places) < 2
    gains = [-np.polyfit(places[near], row[near, 0], 1)[0] for row in table]
    exact = [0.1 + game.gain(t, 1.0) for t in found.times]
    assert exact[0] == pytest.approx(0.1 + 0.521382099607, rel=1e-9)
    assert gains == pytest.approx(exact, rel=1e-3)


def test_interbank_value_is_quadratic() -> None:
    """Catches a wrong value function off the mean: u(t, x) - u(t, 0) = eta(t) x^2 / 2."""
    game = Interbank(InterbankOptions(start={"point": 0.0}))
    model = DiffusionField(game, (400,), np.linspace(0.0, 1.0, 501), parts=16)
    value, _ = model.best_response(model.flow(model.neutral()))
    x = model.grid.nodes[:, 0]
    inner = np.abs(x) < 1.5
    bend = np.polyfit(x[inner], value[0][inner], 2)[0]
    assert 2 * bend == pytest.approx(0.521382099607, rel=1e-3)


def test_torus() -> None:
    """Ergodic constant ln I_0(2), density exp(2 sin 2 pi x) / I_0(2), control 2 pi cos 2 pi x."""
    found = solved(Torus(TorusOptions()), 1.0, horizon="ergodic")
    assert found.array("ergodic_constant") == pytest.approx(0.8239935415, rel=1e-3)
    assert found.array("value") == -found.array("ergodic_constant")
    places = np.array(found.coordinates["x"])
    edges = np.linspace(0, 1, 61)
    exact = [60 * quad(lambda x: np.exp(2 * np.sin(2 * np.pi * x)) / i0(2), *edges[n : n + 2])[0] for n in range(60)]
    assert found.array("density")[0, -1] == pytest.approx(exact, abs=1e-3 * max(exact))
    np.testing.assert_array_equal(found.array("density")[0, 0], found.array("density")[0, -1])
    control = found.array("policy_map")[0, :, 0]
    assert control == pytest.approx(2 * np.pi * np.cos(2 * np.pi * places), abs=1e-3 * 2 * np.pi)
    assert abs(found.array("exploitability")) < 1e-4 * found.array("ergodic_constant")


def test_absorption() -> None:
    """Brownian motion from -1 without control: the share at the wall by time t is 2 Phi(-1 / (sigma sqrt t))."""
    from scipy.stats import norm

    game = SpatialMeeting(MeetingOptions(**LATE))
    model = DiffusionField(game, (400,), np.linspace(0.0, 4.0, 401), parts=16)
    flow = model.flow(model.neutral())
    for time in (1.0, 2.0, 4.0):
        assert flow.passage.share_at(time) == pytest.approx(2 * norm.cdf(-1 / (0.5 * time**0.5)), rel=2e-3)


def test_point_start_keeps_its_mean() -> None:
    """Catches a start that is moved to the nearest node."""
    game = OrnsteinUhlenbeck()
    game.start = Point((0.123,))
    model = DiffusionField(game, (50,), np.linspace(0.0, 1.0, 3))
    assert model.grid.start @ model.grid.nodes[:, 0] == pytest.approx(0.123, abs=1e-12)
