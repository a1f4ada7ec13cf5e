"""The grid of a diffusion: rates, steps, gradient and field, each against a direct formula.

Catches forward steps that are not the transpose of the backward ones, rates that lose a moment or turn negative, doors of the
wrong size, a field with the wrong weight, and a kernel that is kept although it changes in time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mesocosm import Axis, DiffusionField, DiffusionGame, Door, InputError, Normal, Passage, Point, Uniform
from mesocosm.feedback import Unmoved
from mesocosm.state_grid import StateGrid
from mesocosm.tridiagonal import rate_pair


class Still(DiffusionGame):
    """A game of which only the box matters."""

    channels = ("a", "b")
    normalise = "sum"
    axes = (Axis("x", 0.0, 1.0),)
    start = Uniform((0.0,), (1.0,))

    def __init__(self, *axes: Axis, doors: tuple[Door, ...] = ()) -> None:
        if axes:
            self.axes, self.doors = axes, doors
            self.start = Uniform(tuple(axis.low for axis in axes), tuple(axis.high for axis in axes))

    def drift(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return 0.0 * state

    def noise(self, t: Any, state: Any, field: Any) -> Any:
        return 0.5 + 0.0 * state

    def emission(self, t: Any, state: Any, control: Any) -> Any:
        return np.stack([state[..., 0], 1.0 + t + 0.0 * state[..., 0]], axis=-1)


BOXES = {
    "absorbing": Still(Axis("x", -1.0, 1.0, "absorbing", "absorbing")),
    "one wall": Still(Axis("x", -1.0, 1.0, "reflecting", "absorbing")),
    "reflecting": Still(Axis("x", -1.0, 1.0)),
    "periodic": Still(Axis("x", 0.0, 2.0, "periodic", "periodic")),
    "doors": Still(Axis("x", 0, 1), Axis("y", 0, 2), doors=(Door(0, True, 0.3, 1.1), Door(1, False, 0.0, 0.4))),
    "tube": Still(Axis("x", 0, 1, "periodic", "periodic"), Axis("y", 0, 1, "absorbing", "open")),
}


def coefficients(grid: StateGrid, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(0, 20, grid.nodes.shape), random.uniform(0.01, 1, grid.nodes.shape)


@pytest.mark.parametrize("name", BOXES)
@pytest.mark.parametrize("parts", [1, 3])
def test_steps_are_transposed(name: str, parts: int) -> None:
    """<u, m> before a step is <u, m> after it plus what was paid on leaving, for every value, mass and exit cost."""
    game = BOXES[name]
    grid = StateGrid(game, (9, 8)[: len(game.axes)], parts)
    drift, diffusivity = coefficients(grid, 1)
    random = np.random.default_rng(2)
    value, masses = random.normal(size=grid.cells), random.uniform(size=grid.cells)
    exits = random.normal(size=len(grid.exits))
    walls = grid.at_walls(np.stack([exits, exits]))
    earlier = grid.backward(value, np.zeros(grid.cells), (walls[0], walls[1]), drift, diffusivity, 0.3)
    later, left = grid.forward(masses, drift, diffusivity, 0.3)
    assert (earlier * masses).sum() == pytest.approx((value * later).sum() + exits @ left, rel=1e-13, abs=1e-13)
    assert later.sum() + left.sum() == pytest.approx(masses.sum(), rel=1e-13)


@pytest.mark.parametrize("name", ["absorbing", "one wall", "reflecting", "periodic"])
def test_step_against_a_dense_solve(name: str) -> None:
    """One implicit step is (I - dt L)^-1, with L written out."""
    game = BOXES[name]
    grid = StateGrid(game, (7,))
    drift, diffusivity = coefficients(grid, 3)
    axis, count, dt = grid.axes[0], 7, 0.2
    down, up = (rates[0] for rates in axis.rates(drift[..., 0], diffusivity[..., 0]))
    generator = -np.diag(down + up)
    for node in range(count):
        for there, rate in ((node - 1, down[node]), (node + 1, up[node])):
            if axis.cyclic or 0 <= there < count:
                generator[node, there % count] += rate
    masses = np.random.default_rng(4).uniform(size=count)
    later, _ = grid.forward(masses, drift, diffusivity, dt)
    np.testing.assert_allclose(later, np.linalg.solve(np.eye(count) - dt * generator.T, masses), rtol=1e-12)


@pytest.mark.parametrize("drift", [0.0, 1e-9, 0.3, -0.3, 40.0, -2000.0])
@pytest.mark.parametrize("diffusivity", [0.0, 1e-6, 0.5])
def test_rates(drift: float, diffusivity: float) -> None:
    """The mean motion is the drift, to rounding; no rate is negative; without noise they are upwind."""
    down, up = rate_pair(drift, diffusivity, 0.1, 0.1)
    assert min(down, up) >= 0
    assert (up - down) * 0.1 == pytest.approx(drift, rel=1e-12, abs=1e-14)
    spread = (up + down) * 0.01 / 2
    assert spread >= diffusivity * (1 - 1e-12)
    if diffusivity == 0:
        assert (down, up) == (max(-drift, 0) / 0.1, max(drift, 0) / 0.1)
    elif abs(drift) < 1:
        assert spread == pytest.approx(diffusivity * (1 + (drift * 0.1 / diffusivity) ** 2 / 12), rel=1e-3) or (
            diffusivity < 1e-3
        )


def test_half_a_cell_of_door() -> None:
    """A door lets through the covered part of each cell's face: 0.3 to 1.1 of cells that are 0.25 wide."""
    grid = StateGrid(BOXES["doors"], (8, 8))
    np.testing.assert_allclose(grid.axes[0].high, [0, 0.8, 1, 1, 0.4, 0, 0, 0], atol=1e-12)
    assert grid.axes[0].low.max() == 0
    assert grid.exits.shape == (4 + 4, 2)
    np.testing.assert_allclose(grid.exits[:4, 0], 1.0)
    np.testing.assert_allclose(grid.exits[4:, 1], 0.0)


@pytest.mark.parametrize("name", ["absorbing", "one wall", "periodic"])
def test_gradient(name: str) -> None:
    """Exact for straight lines up to the walls, and of order 2 for a sine on a circle."""
    grid = StateGrid(BOXES[name], (64,))
    x = grid.nodes[:, 0]
    still, some = np.zeros(grid.nodes.shape), np.ones(grid.nodes.shape)
    if name == "periodic":
        slope = grid.gradient(np.sin(np.pi * x), grid.at_walls(np.zeros((1, 0)))[0], still, some)
        np.testing.assert_allclose(slope[:, 0], np.pi * np.cos(np.pi * x), atol=0.01)
        return
    walls = grid.at_walls(3 * grid.exits[:, 0][None])[0]
    slope = grid.gradient(3 * x, walls, still + 5.0, some)[:, 0]
    np.testing.assert_allclose(slope[1:], 3.0, rtol=1e-12)
    if name == "absorbing":
        assert slope[0] == pytest.approx(3.0)


def test_field_of_emissions() -> None:
    """The sum over masses, times the contact strength; what has left is missing from it."""
    model = DiffusionField(Still(), (10,), np.linspace(0, 1, 3), strength=4.0)
    masses = np.full(10, 0.05)
    np.testing.assert_allclose(model.field(0.5, masses, model.neutral()[0]), [4 * 0.25, 4 * 0.5 * 1.5])


class Listening(Still):
    """An influence that depends on both places, and on time where `slope` is not zero."""

    interaction = "pairwise"
    slope = 0.0

    def influence(self, t: Any, receiver: Any, sender: Any) -> Any:
        apart = sender[..., 0] - receiver[..., 0]
        return np.stack([apart, (1.0 + self.slope * t) * apart**2], axis=-1)


@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_pairwise_field(slope: float) -> None:
    """z_i = sum_j k(t, x_i, x_j) m_j, also where k changes in time."""
    game = Listening()
    game.slope = slope
    model = DiffusionField(game, (12,), np.linspace(0, 1, 3), strength=2.0)
    x, masses = model.grid.nodes[:, 0], np.random.default_rng(1).uniform(size=12)
    apart = x[None, :] - x[:, None]
    field = model.field(0.7, masses, model.neutral()[0])
    np.testing.assert_allclose(field[:, 0], 2 * apart @ masses)
    np.testing.assert_allclose(field[:, 1], 2 * (1 + 0.7 * slope) * apart**2 @ masses)


class Crowd(Still):
    channels = ("density",)
    interaction = "density"


def test_density_field() -> None:
    """Without a width the mass of a cell by its volume; with one the Gaussian, one axis after the other."""
    game = Crowd(Axis("x", 0, 1), Axis("y", 0, 2, "periodic", "periodic"))
    masses = np.random.default_rng(1).uniform(size=(8, 10))
    sharp = DiffusionField(game, (8, 10), np.linspace(0, 1, 3))
    np.testing.assert_allclose(sharp.field(0, masses, sharp.neutral()[0])[..., 0], masses / (0.125 * 0.2))
    game.bandwidth = 0.15
    smooth = DiffusionField(game, (8, 10), np.linspace(0, 1, 3))
    places = smooth.grid.nodes.reshape(-1, 2)
    direct = game.influence(0.0, places[:, None], places[None])[..., 0] @ masses.ravel()
    np.testing.assert_allclose(smooth.field(0, masses, smooth.neutral()[0])[..., 0].ravel(), direct, rtol=1e-12)


def test_box_that_is_too_small() -> None:
    game = Still(Axis("x", -1.0, 1.0, "open", "open"))
    game.start = Normal((0.0,), (0.1,))
    model = DiffusionField(game, (50,), np.linspace(0, 1, 20))
    with pytest.raises(InputError, match="widen the box"):
        model.check_box(model.flow(model.neutral()))
    short = DiffusionField(game, (50,), np.linspace(0, 0.05, 20))
    short.check_box(short.flow(short.neutral()))


def test_infinite_signals() -> None:
    """A share that never leaves is taken as reached at the horizon; a population that leaves at once as 0."""

    class Waiting(Still):
        signals = ("when",)

        def find_signals(self, passage: Passage) -> Any:
            return np.array([passage.time_of(0.5)])

    model = DiffusionField(Waiting(Axis("x", 0, 1, "absorbing")), (10,), np.linspace(0, 3, 4))
    assert model.signals_of(Passage(model.times, np.zeros(4))).tolist() == [3.0]
    assert model.earliest_signals().tolist() == [0.0]


def test_policy_or_table() -> None:
    """A policy and the table of its values make the same flow."""

    class Driven(Still):
        def drift(self, t: Any, state: Any, field: Any, control: Any) -> Any:
            return control

    game = Driven(Axis("x", 0, 1, "absorbing", "reflecting"))
    game.start = Point((0.5,))
    model = DiffusionField(game, (20,), np.linspace(0, 1, 6))
    one, two = model.flow(Unmoved(-0.7)), model.flow(np.full((5, 20, 1), -0.7))
    np.testing.assert_array_equal(one.masses, two.masses)
    assert one.left[-1, 0] > model.flow(model.neutral()).left[-1, 0]
