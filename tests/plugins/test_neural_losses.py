"""Losses between an ensemble and data: against sums over pairs, against closed forms, and where their least value lies."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from mesocosm import InputError
from mesocosm_neural import losses
from mesocosm_neural.losses import BANDWIDTHS, distance
from mesocosm_neural.options import NeuralSDEOptions
from mesocosm_neural.scores import energy_score

NAMES = NeuralSDEOptions.model_fields["loss"].annotation.__args__
PROPER = ("energy", "crps", "mmd", "gaussian")


def samples(seed: int, *shapes: tuple[int, ...]) -> list[torch.Tensor]:
    random = np.random.default_rng(seed)
    return [torch.from_numpy(random.normal(size=shape)) for shape in shapes]


@pytest.mark.parametrize("name", NAMES)
def test_shapes_broadcast_and_gradients_are_finite(name: str) -> None:
    """Catches an option that no loss answers to, mixed up axes, and NaN where members and data coincide."""
    ensemble, data = samples(0, (3, 4, 6, 2), (4, 5, 2))
    together = distance(name)(ensemble, data)
    assert together.shape == (3, 4)
    for first, second in itertools.product(range(3), range(4)):
        alone = distance(name)(ensemble[first, second], data[second])
        np.testing.assert_allclose(together[first, second], alone, rtol=1e-12)
    for same in (ensemble.clone().requires_grad_(), torch.zeros(4, 2).double().requires_grad_()):
        distance(name)(same, torch.zeros(5, 2).double()).sum().backward()
        assert torch.isfinite(same.grad).all()


def test_an_unknown_loss_is_refused() -> None:
    """Catches a KeyError in place of the names that there are."""
    with pytest.raises(InputError, match="crps"):
        distance("crpss")


@pytest.mark.parametrize(("members", "replicates"), [(1, 1), (2, 1), (7, 5), (40, 30)])
def test_crps_equals_the_sum_over_pairs(members: int, replicates: int) -> None:
    """Catches ranks that are off by one, ties, pairs i = i that are counted, and digits lost far from zero."""
    ensemble, data = samples(1, (2, members, 3), (2, replicates, 3))
    ensemble, data = 1e4 + ensemble.round(decimals=1), 1e4 + data.round(decimals=1)
    wanted = sum(energy_score(ensemble[..., [axis]], data[..., [axis]]) for axis in range(3))
    np.testing.assert_allclose(distance("crps")(ensemble, data), wanted, rtol=1e-9)


def test_kernel_score_equals_the_sum_over_pairs() -> None:
    """Catches pairs i = i that are counted, a width that is not the median, and a missing factor 1/2."""
    ensemble, data = samples(2, (7, 2), (6, 2))
    unit = np.median([np.linalg.norm(a - b) for a, b in itertools.combinations(data.numpy(), 2)])

    def unlike(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
        squares = np.array([((a - b) ** 2).sum() for a, b in pairs])
        return float(np.mean([1 - np.exp(-squares / (2 * (width * unit) ** 2)) for width in BANDWIDTHS]))

    across = unlike(list(itertools.product(ensemble.numpy(), data.numpy())))
    within = unlike(list(itertools.permutations(ensemble.numpy(), 2)))
    np.testing.assert_allclose(distance("mmd")(ensemble, data), across - within / 2, rtol=1e-12)


def test_kernel_score_of_a_gaussian() -> None:
    """Catches a kernel that is not the Gaussian one. E k(X, y) of normal laws is a Gaussian in their means.

    Two data at distance 1 make the unit 1. 1500 members, 5 standard errors of the mean over members.
    """
    ensemble = 0.5 + 0.7 * samples(3, (1500, 1))[0]
    data = torch.tensor([[0.0], [1.0]]).double()

    def alike(mean: float, variance: float) -> float:
        terms = [h / math.hypot(h, variance**0.5) * math.exp(-(mean**2) / 2 / (h**2 + variance)) for h in BANDWIDTHS]
        return float(np.mean(terms))

    wanted = 1 - alike(0.5, 0.49) - (1 - alike(0.0, 0.98)) / 2
    assert abs(float(distance("mmd")(ensemble, data)) - wanted) < 5 * 0.3 / 1500**0.5


@pytest.mark.parametrize(("members", "replicates"), [(4, 4), (6, 4), (3, 7), (1, 5)])
def test_wasserstein_of_unequal_samples_is_that_of_copies(members: int, replicates: int) -> None:
    """Catches quantiles that are paired wrongly. Oracle: both samples repeated until they are of equal size, then sorted."""
    ensemble, data = samples(4, (members, 1), (replicates, 1))
    left = np.sort(np.repeat(ensemble.numpy()[:, 0], replicates))
    right = np.sort(np.repeat(data.numpy()[:, 0], members))
    np.testing.assert_allclose(distance("sliced_wasserstein")(ensemble, data), ((left - right) ** 2).mean(), rtol=1e-12)


def test_sliced_wasserstein_of_gaussians() -> None:
    """Catches directions that are not of length one, and a distance that is not the square.

    Projections of normal laws are normal; their squared distance is that of means plus that of standard deviations. 2 %, with
    samples that are quantiles, so that chance plays no part in one dimension; in two, 20000 members and 5 standard errors.
    """
    quantiles = torch.from_numpy(norm.ppf((np.arange(20000) + 0.5) / 20000))[:, None]
    assert float(distance("sliced_wasserstein")(1 + 2 * quantiles, quantiles)) == pytest.approx(2, rel=0.02)
    ensemble, data = samples(5, (20000, 2), (20000, 2))
    shift = torch.tensor([2.0, 1.0]).double()
    along = (shift @ losses._directions(2)).square().mean()
    assert float(distance("sliced_wasserstein")(ensemble + shift, data)) == pytest.approx(float(along), abs=5 * 0.04)
    assert float(along) == pytest.approx(2.5, rel=0.2)


def test_normal_score_of_small_ensembles_is_unbiased() -> None:
    """Catches the bias of 1 / variance and log variance. Oracle: - log density of the true law; 4 standard errors.

    20000 ensembles of 5; the plain formula would be off by more than 50 standard errors.
    """
    (normal,) = samples(6, (20000, 5, 1))
    scores = distance("gaussian")(1 + 2 * normal, torch.tensor([[2.0]]).double())
    spread = float(scores.std()) / 20000**0.5
    assert spread < 0.02
    assert abs(float(scores.mean()) + norm.logpdf(2.0, 1.0, 2.0)) < 4 * spread
    with pytest.raises(InputError, match="at least 4"):
        distance("gaussian")(normal[:, :3], normal[:, :1])


def test_mean_squared_error_is_that_of_random_pairs() -> None:
    """Catches a loss that sees more than means: it is the mean square over all pairs of a member and a datum."""
    ensemble, data = samples(7, (6, 2), (5, 2))
    pairs = [(a - b) ** 2 for a, b in itertools.product(ensemble.numpy(), data.numpy())]
    np.testing.assert_allclose(distance("mean_squared_error")(ensemble, data), np.mean(pairs), rtol=1e-12)


def best_spread(name: str, batches: int, members: int, replicates: int) -> float:
    """The spread, of 0 and 0.6 to 1.4, at which normal ensembles score best against standard normal data on average."""
    ensemble, data = samples(8, (batches, members, 1), (batches, replicates, 1))
    spreads = [0.0, *np.arange(0.6, 1.401, 0.05)]
    scores = [float(distance(name)(spread * ensemble, data).mean()) for spread in spreads]
    return float(spreads[int(np.argmin(scores))])


@pytest.mark.parametrize("name", PROPER)
def test_proper_scores_are_least_at_the_true_spread(name: str) -> None:
    """Catches a loss that rewards too narrow or too wide ensembles, with 8 members and one datum each.

    8000 ensembles: the best of these spreads is 1 in all of 30 other seeds; counting pairs i = i moves it to 1.1 and more.
    """
    assert best_spread(name, 8000, 8, 1) == pytest.approx(1.0, abs=0.051)


def test_wasserstein_distance_needs_many_data() -> None:
    """States what it can do: with 400 of each, the true spread; with one datum, no spread at all."""
    assert best_spread("sliced_wasserstein", 20, 400, 400) == pytest.approx(1.0, abs=0.051)
    assert best_spread("sliced_wasserstein", 4000, 8, 1) == 0.0


def test_mean_squared_error_prefers_no_spread() -> None:
    """States what the loss that others use cannot do, whatever the number of data."""
    assert best_spread("mean_squared_error", 20, 400, 400) == 0.0
    assert best_spread("mean_squared_error", 4000, 8, 1) == 0.0


def test_kernel_widths_without_differing_data() -> None:
    """Catches division by zero with one datum or with copies of it: the widths are then those of data of variance one."""
    ensemble, datum = samples(9, (50, 2), (1, 2))
    score = distance("mmd")(ensemble, datum)
    np.testing.assert_allclose(distance("mmd")(ensemble, datum.expand(3, -1)), score, rtol=1e-12)
    apart = torch.cat([datum, datum + 2**0.5])
    wanted = (score + distance("mmd")(ensemble, apart[1:])) / 2
    np.testing.assert_allclose(distance("mmd")(ensemble, apart), wanted, rtol=1e-12)
