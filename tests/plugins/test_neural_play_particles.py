"""Particles that play: exits with weights, steps of second order, noise, and flows that are held fixed and averaged.

Would catch chances or times of leaving with a wrong factor, a step of first order, noise that is not matched, a gradient that
passes through the population (the social optimum instead of the equilibrium), and an average that a checkpoint forgets.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import ClassVar

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from mesocosm import DiffusionGame
from mesocosm_games.diffusion_options import InterbankOptions
from mesocosm_games.interbank import Interbank
from mesocosm_neural.particles import Particles
from mesocosm_neural.play.antithetic import Draws
from mesocosm_neural.play.diffusion_cost import Walk
from mesocosm_neural.play.exits import Side
from mesocosm_neural.play.field_flow import AveragedFlow, felt
from mesocosm_neural.play.quasi_random import match, quasi_normals


class Near(Interbank):
    """Banks that feel how many are near."""

    interaction: ClassVar[str] = "density"
    bandwidth = 0.3


def particles_of(game: DiffusionGame) -> Particles:
    return Particles(game, 1.0, torch.device("cpu"), torch.float64)


@pytest.mark.parametrize(("distance", "speed"), [(0.3, 0.0), (0.05, 1.0), (0.4, -0.7)])
def test_leaving_in_a_step_has_the_law_of_brownian_motion(distance: float, speed: float) -> None:
    """Catches a wrong chance of touching a side, or a wrong mean time. With the end of the step integrated out, both are
    those of the first passage of Brownian motion with drift, the inverse Gaussian (to the accuracy of quadrature)."""
    sigma, h = 0.5, 0.2
    side, root = Side(0, True, 0.0), sigma * h**0.5
    variance = torch.tensor([sigma**2], dtype=torch.float64)

    def moments(order: int) -> float:
        def density(end: float) -> float:
            before, after = torch.tensor([-distance]), torch.tensor([end])
            chance, delay = side.crossing(before.double(), after.double(), variance, h)
            return float(chance * delay**order) * norm.pdf(end, -distance + speed * h, root)

        middle = -distance + speed * h
        return quad(density, middle - 9 * root, 0.0)[0] + quad(density, 0.0, middle + 9 * root)[0]

    def passage(order: int) -> float:
        def density(s: float) -> float:
            scale = distance / (sigma * (2 * np.pi * s**3) ** 0.5)
            return s**order * scale * np.exp(-((distance - speed * s) ** 2) / (2 * sigma**2 * s))

        return quad(density, 0.0, h, points=[distance**2 / 10])[0]

    for order in (0, 1):
        assert moments(order) == pytest.approx(passage(order), rel=1e-6)


def test_a_chance_is_continuous_where_the_step_ends_at_the_side() -> None:
    """Catches a jump at d' = 0, which would bias pathwise derivatives; and dead or still particles that give NaN."""
    side, variance = Side(0, False, 0.0), torch.tensor([0.25])
    for other in (-1e-9, 1e-9):
        chance, delay = side.crossing(torch.tensor([0.2]), torch.tensor([other]), variance, 0.1)
        assert float(chance) == pytest.approx(1.0, abs=1e-6)
        assert 0.0 < float(delay) < 0.1
    chance, delay = side.crossing(torch.tensor([-0.1]), torch.tensor([0.3]), variance, 0.1)
    assert (float(chance), float(delay)) == (1.0, 0.0)
    chance, delay = side.crossing(torch.tensor([0.1]), torch.tensor([-0.1]), torch.zeros(1), 0.1)
    assert (float(chance), float(delay)) == pytest.approx((1.0, 0.05), rel=1e-5)


def interbank_cost(steps: int) -> float:
    """Cost of the equilibrium policy of the inter-bank game in its own flow, by matched particles."""
    game, horizon = Interbank(InterbankOptions(correlation=0.2)), 1.0
    draws = Draws(particles_of(game), 1, 1, 400, steps)
    generator = torch.Generator().manual_seed(1)
    start = draws.start(generator)

    def choose(t: float, places: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
        return (0.1 + game.gain(t, horizon)) * (field - places)

    walk = Walk(draws.particles, choose, uses_field=True)
    journey = walk.travel(start, draws.noise(generator, start), np.linspace(0.0, horizon, steps + 1))
    return float(journey.cost.mean())


def test_the_cost_of_the_equilibrium_is_of_second_order_in_the_step() -> None:
    """Catches a step or a cost of first order, and noise that is not matched: with a quadratic cost matched particles have
    no error but that of the step. Known value .2463113467 (Carmona, Fouque, Sun)."""
    errors = [interbank_cost(steps) - 0.2463113467 for steps in (10, 20, 40)]
    assert abs(errors[2]) < 1e-4
    for coarse, fine in itertools.pairwise(errors):
        assert 3.0 < coarse / fine < 5.0


def test_no_gradient_passes_through_the_others() -> None:
    """Catches a derivative through the flow, which would lead to the social optimum: an agent's own place has one where the
    game is pairwise, that of others never has."""
    places = torch.tensor([[[-1.0], [0.2], [0.9], [1.5]]], dtype=torch.float64, requires_grad=True)
    inside = torch.ones(1, 4, dtype=torch.float64)
    averaged = felt(particles_of(Interbank(InterbankOptions())), 0.0, places, 0.0 * places, inside, 1)
    assert not averaged.requires_grad
    assert float(averaged[0, 0, 0]) == pytest.approx(0.4)
    density = felt(particles_of(Near(InterbankOptions())), 0.0, places, 0.0 * places, inside, 1)
    (slope,) = torch.autograd.grad(density[0, 1].sum(), places)
    assert float(slope[0, 1, 0]) != 0.0
    assert slope[0, [0, 2, 3]].abs().sum() == 0.0


def test_populations_of_a_seed_feel_only_themselves() -> None:
    """Catches a field that mixes scenarios with different common noise, and explorers that are felt."""
    places = torch.tensor([[[0.0], [2.0], [10.0], [14.0]]], dtype=torch.float64)
    particles = particles_of(Interbank(InterbankOptions()))
    walk = Walk(particles, lambda t, x, z: 0.0 * x, uses_field=False, scenarios=2)
    assert walk.node(0.0, places).field[0, :, 0].tolist() == [1.0, 1.0, 12.0, 12.0]
    members = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    assert dataclasses.replace(walk, members=members).node(0.0, places).field[0, :, 0].tolist() == [
        0.0,
        0.0,
        10.0,
        10.0,
    ]


def test_noise_is_matched_and_mirrored() -> None:
    """Catches second moments that are not matched, a start that noise is correlated with, and pairs that are no mirrors."""
    generator = torch.Generator().manual_seed(2)
    game = Interbank(InterbankOptions(start={"normal": [0.0, 1.0]}, correlation=0.5))  # type: ignore[arg-type]
    draws = Draws(particles_of(game), 2, 2, 40, 12)
    start = draws.start(generator)
    own, common = draws.noise(generator, start)
    split = own.view(12, 2, 2, 2, 40)
    assert torch.equal(split[:, :, :, 0], -split[:, :, :, 1])
    columns = torch.cat([(start - start.mean())[..., 0][None], own[..., 0]])[:, 1]
    moments = (columns @ columns.T / draws.paths).numpy()
    np.testing.assert_allclose(moments[1:, 1:], np.eye(12), atol=1e-12)
    np.testing.assert_allclose(moments[0, 1:], 0.0, atol=1e-12)
    shared = common.view(12, 2, 2, 80)
    assert torch.equal(shared[:, :, 0], -shared[:, :, 1])
    assert (shared.std(dim=-1) == 0).all()


def test_quasi_random_normals_are_normal_and_their_paths_brownian() -> None:
    """Catches a rotation that is not orthogonal: a path would then not have the covariance min(s, t). 4096 points of a
    scrambled sequence have it within 0.02 of the horizon; a random sample would need a hundred times as many."""
    noise = quasi_normals(16, 4096, 1, torch.Generator().manual_seed(4))[..., 0]
    paths = noise.cumsum(dim=0) / 4.0
    steps = np.arange(1, 17) / 16
    np.testing.assert_allclose(np.cov(paths.numpy()), np.minimum(steps[:, None], steps), atol=0.02)


def test_too_few_rows_are_matched_step_by_step() -> None:
    """Catches a factorisation with more columns than rows."""
    noise = torch.randn(30, 1, 2, 4, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = match(noise, torch.zeros(1, 2, 4, 1, dtype=torch.float64))
    np.testing.assert_allclose(found.pow(2).mean(dim=(2, 3)).numpy(), 1.0)


def test_flows_enter_the_average_after_the_first_response() -> None:
    """Catches flows of untrained policies in the average, flows that are not averaged over their steps, and an average
    that a checkpoint forgets half of."""

    def fresh() -> AveragedFlow:
        zero = torch.zeros(1, 2, 1)
        return AveragedFlow(zero, torch.zeros(1, 1), every=2, weight=0.5, patience=3)

    def add(flow: AveragedFlow, step: int) -> None:
        flow.add(step, torch.full((1, 2, 1), float(step)), torch.full((1, 1), 10.0 * step))

    flow, other = fresh(), fresh()
    for step in range(8):
        add(flow, step)
        if step == 3:
            assert flow.signals.item() == 0.0
            other.unpack(flow.pack())
        elif step > 3:
            add(other, step)
    assert flow.signals.item() == pytest.approx(0.5 * 35.0 + 0.5 * 55.0)
    assert flow.field is not None
    assert other.field is not None
    assert torch.equal(flow.field, other.field)
    assert torch.equal(flow.signals, other.signals)
