"""The energy score and the training loss, against brute force and against closed forms."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from mesocosm_neural.adam import Adam
from mesocosm_neural.learn.series_loss import SeriesLoss
from mesocosm_neural.scores import energy_score


def brute_force(ensemble: np.ndarray, data: np.ndarray) -> float:
    to_data = np.mean([np.linalg.norm(x - y) for x in ensemble for y in data])
    pairs = [np.linalg.norm(a - b) for a, b in itertools.permutations(ensemble, 2)]
    return float(to_data - 0.5 * np.mean(pairs)) if pairs else float(to_data)


@pytest.mark.parametrize(("members", "replicates", "dimension"), [(2, 1, 1), (7, 5, 3), (40, 30, 4), (1, 3, 2)])
def test_energy_score_equals_the_sum_over_pairs(members: int, replicates: int, dimension: int) -> None:
    """Catches pairs i = i that are counted, a missing factor 1/2, and digits lost to a matrix product."""
    random = np.random.default_rng(3)
    ensemble = 0.5 + 1e-5 * random.normal(size=(2, members, dimension))
    data = 0.5 + 1e-5 * random.normal(size=(2, replicates, dimension))
    got = energy_score(torch.from_numpy(ensemble), torch.from_numpy(data))
    wanted = [brute_force(*pair) for pair in zip(ensemble, data, strict=True)]
    np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-9)


@pytest.mark.parametrize(("mean", "deviation", "observed"), [(0.0, 1.0, 0.3), (2.0, 0.5, 0.0)])
def test_energy_score_of_a_gaussian(mean: float, deviation: float, observed: float) -> None:
    """In one dimension it is the CRPS; of a normal law that is known (Gneiting and Raftery 2007, equation 21).

    2000 members, 4 standard errors of the mean distance; catches a score that is off by a factor or ignores the spread.
    """
    ensemble = mean + deviation * np.random.default_rng(11).normal(size=(2000, 1))
    z = (observed - mean) / deviation
    wanted = deviation * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / math.sqrt(math.pi))
    got = float(energy_score(torch.from_numpy(ensemble), torch.tensor([[observed]], dtype=torch.float64)))
    assert abs(got - wanted) < 4 * np.abs(ensemble - observed).std() / math.sqrt(2000)


def test_loss_is_marginals_plus_whole_paths_of_what_was_observed() -> None:
    """Catches unobserved entries that count, saves that are mixed up, and a scale that is applied to one side only."""
    random = np.random.default_rng(5)
    paths, data = random.random((2, 6, 4, 3)), random.random((5, 4, 3))
    weight = np.array([[2.0, 0.0, 3.0]] * 3 + [[0.0, 0.0, 0.0]])
    loss = SeriesLoss(torch.from_numpy(data * weight), torch.from_numpy(weight))
    seen = [(time, state) for time in range(3) for state in (0, 2)]
    factor = np.array([weight[entry] for entry in seen])
    for seed, got in enumerate(loss(torch.from_numpy(paths)).numpy()):
        marginal = [
            brute_force(paths[seed, :, time, [0, 2]].T * [2.0, 3.0], data[:, time, [0, 2]] * [2.0, 3.0])
            for time in range(3)
        ]
        columns = tuple(zip(*seen, strict=True))
        whole = brute_force(paths[seed][:, *columns] * factor, data[:, *columns] * factor)
        np.testing.assert_allclose(got, np.mean(marginal) + whole / np.sqrt(3), rtol=1e-12)


def test_gradients_are_finite_where_paths_coincide() -> None:
    """Catches the NaN gradient of a norm at 0, which paths that start or die together would meet."""
    paths = torch.full((1, 4, 2, 3), 0.5, requires_grad=True)
    SeriesLoss(torch.full((2, 2, 3), 0.5), torch.ones(2, 3))(paths).sum().backward()
    assert torch.isfinite(paths.grad).all()


def test_adam_equals_the_algorithm_and_clips_each_network_alone() -> None:
    """Catches a wrong bias correction, and one network's gradient that shrinks another's step.

    Oracle: algorithm 1 of arXiv 1412.6980 written out in NumPy for one network.
    """
    random = np.random.default_rng(8)
    start, gradients = random.normal(size=(2, 3, 2)), random.normal(size=(5, 2, 3, 2)) * [[[1.0]], [[1e3]]]
    weight = torch.tensor(start, requires_grad=True)
    adam = Adam([weight])
    for count, gradient in enumerate(gradients, start=1):
        weight.grad = torch.from_numpy(gradient)
        adam.step(count, 0.1, 1.5)
    for seed in range(2):
        value, first, second = start[seed].copy(), 0.0, 0.0
        for count, gradient in enumerate(gradients[:, seed], start=1):
            clipped = gradient * min(1.0, 1.5 / np.sqrt((gradient**2).sum()))
            first, second = 0.9 * first + 0.1 * clipped, 0.999 * second + 0.001 * clipped**2
            value -= 0.1 * (first / (1 - 0.9**count)) / (np.sqrt(second / (1 - 0.999**count)) + 1e-8)
        np.testing.assert_allclose(weight.detach().numpy()[seed], value, rtol=1e-10)
