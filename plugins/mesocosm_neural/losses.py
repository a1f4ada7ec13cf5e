"""How far an ensemble is from data, as distributions: the losses that learning minimises.

Each is a function of an ensemble [..., member, dimension] and of data [..., replicate, dimension] to [...]: a score of the
ensemble averaged over the data. X, X' are independent members, y is a datum.

    energy                E|X - y| - E|X - X'| / 2, Euclidean distances; see `scores`
    crps                  the same in each dimension alone, summed over dimensions: the continuous ranked probability score
    mmd                   E[1 - k(X, y)] - E[1 - k(X, X')] / 2, k a mean of Gaussian kernels: the kernel score, which is half
                          the squared maximum mean discrepancy but for a number that depends on the data alone
    sliced_wasserstein    squared 2-Wasserstein distance of the projections on fixed directions, averaged over them
    gaussian              - log density of the data under normal laws, each dimension with the ensemble's mean and variance
    mean_squared_error    E (X - y)^2, averaged over dimensions: for comparison only

Energy, CRPS and kernel score are strictly proper (for marginals, the CRPS) and unbiased: their pairs leave out i = j. Their
expectation is least at the law of the data, spread included, even with one datum for each ensemble. The normal likelihood is
unbiased for normal ensembles, proper for means and variances, and blind to correlation. The Wasserstein distance compares two
samples and is biased by their sizes: with few data it prefers too narrow ensembles, so it asks for many replicates. The mean
squared error is least where the ensemble has no spread at all.

Sources: Gneiting and Raftery, J. Am. Stat. Assoc. 102, 359 (2007); Gretton et al., J. Mach. Learn. Res. 13, 723 (2012);
Bonneel et al., J. Math. Imaging Vis. 51, 22 (2015); Bellemare et al., arXiv 1705.10743 (bias of Wasserstein gradients);
Siegert et al., Q. J. R. Meteorol. Soc. 145, 129 (2019) (unbiased normal score).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import torch

from mesocosm import InputError
from mesocosm_neural.scores import energy_score, pairwise_distances

Distance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Ensemble [..., member, dimension] and data [..., replicate, dimension] to [...]."""

DIRECTIONS = 64
"""Fixed random directions of the sliced Wasserstein distance in two and more dimensions; one in one dimension."""

BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Widths of the Gaussian kernels in units of the median distance between data."""

MOST_FOR_MEDIAN = 128
"""Replicates, the first ones, between which the median distance is taken."""

LEAST_VARIANCE = 1e-6
"""Added to the variances of normal laws. Data are scaled to about one before they are scored."""


def distance(name: str) -> Distance:
    """The loss of that name; `InputError` for another name."""
    known: dict[str, Distance] = {
        "energy": energy_score,
        "crps": crps,
        "mmd": kernel_score,
        "sliced_wasserstein": sliced_wasserstein,
        "gaussian": gaussian_score,
        "mean_squared_error": mean_squared_error,
    }
    if name not in known:
        raise InputError(f"loss '{name}'", where="loss", rule=f"one of {', '.join(known)}")
    return known[name]


def crps(ensemble: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    """Continuous ranked probability score, summed over dimensions; sorting takes O(n log n) for n members and data.

    The sum over pairs of different samples is that over all pairs less those within each. An ensemble of one has no spread.
    """
    members, replicates = ensemble.shape[-2], data.shape[-2]
    middle = data.mean(dim=-2, keepdim=True)
    shape = torch.broadcast_shapes(ensemble.shape[:-2], data.shape[:-2])
    ensemble = (ensemble - middle).expand(*shape, -1, -1)
    data = (data - middle).expand(*shape, -1, -1)
    within = _sum_over_pairs(ensemble)
    across = _sum_over_pairs(torch.cat([ensemble, data], dim=-2)) - within - _sum_over_pairs(data)
    score = across / (members * replicates)
    if members > 1:
        score = score - within / (members * (members - 1))
    return score.sum(dim=-1)


def _sum_over_pairs(values: torch.Tensor) -> torch.Tensor:
    """Sum of |v_i - v_j| over i < j: [..., row, dimension] to [..., dimension]."""
    rows = values.shape[-2]
    weights = 2.0 * torch.arange(rows, device=values.device, dtype=values.dtype) - (rows - 1)
    return (values.sort(dim=-2).values * weights[:, None]).sum(dim=-2)


def kernel_score(ensemble: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    """Score of the kernel k(x, y) = mean over `BANDWIDTHS` of exp(-|x - y|^2 / (2 width^2)), in [0, 1] on average.

    Widths are in units of the median distance between data. With one datum, or where half of the pairs are equal, they are in
    units of sqrt(2 dimension), the distance of data of variance one: widths that follow the ensemble would reward a wide one.
    """
    members = ensemble.shape[-2]
    unit = _median_distance(data)
    score = _unlikeness(ensemble, data, unit).mean(dim=(-2, -1))
    if members == 1:
        return score
    within = _unlikeness(ensemble, ensemble, unit).sum(dim=(-2, -1)) / (members * (members - 1))
    return score - 0.5 * within


def _median_distance(data: torch.Tensor) -> torch.Tensor:
    """[..., 1, 1], positive."""
    some = data[..., :MOST_FOR_MEDIAN, :]
    rows, columns = np.triu_indices(some.shape[-2], 1)
    usual = data.new_full(data.shape[:-2], (2.0 * data.shape[-1]) ** 0.5)
    if len(rows):
        between = pairwise_distances(some, some)[..., rows, columns].median(dim=-1).values
        usual = torch.where(between > 0, between, usual)
    return usual[..., None, None]


def _unlikeness(left: torch.Tensor, right: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    """1 - k for all pairs, [..., left, right]; 0 where both are the same."""
    exponent = -0.5 * (pairwise_distances(left, right) / unit).square()
    return -torch.stack([torch.expm1(exponent / width**2) for width in BANDWIDTHS]).mean(dim=0)


def sliced_wasserstein(ensemble: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    """Mean over fixed directions of the squared 2-Wasserstein distance of the projected samples.

    Exact for samples of unequal sizes: both quantile functions are steps, and their difference is integrated piece by piece.
    """
    directions = _directions(ensemble.shape[-1]).to(ensemble)
    left, right = ((sample @ directions).sort(dim=-2).values for sample in (ensemble, data))
    rows, columns, weights = _pieces(ensemble.shape[-2], data.shape[-2])
    gap = left[..., rows.to(left.device), :] - right[..., columns.to(left.device), :]
    return (gap.square() * weights.to(gap)[:, None]).sum(dim=-2).mean(dim=-1)


@cache
def _directions(dimension: int) -> torch.Tensor:
    """Unit vectors, [dimension, direction], the same in every run."""
    if dimension == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    generator = torch.Generator().manual_seed(dimension)
    drawn = torch.randn(dimension, DIRECTIONS, generator=generator, dtype=torch.float64)
    return drawn / drawn.norm(dim=0)


@cache
def _pieces(left: int, right: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Intervals of [0, 1] on which both quantile functions are constant: their rows in each sample, and their lengths."""
    ends = np.unique(np.concatenate([np.arange(left + 1) * right, np.arange(right + 1) * left]))
    starts, lengths = torch.from_numpy(ends[:-1]), torch.from_numpy(np.diff(ends) / (left * right))
    return starts // right, starts // left, lengths


def gaussian_score(ensemble: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    """- log density of a datum, summed over dimensions; over normal ensembles its expectation is that of the law itself.

    With n members, mean m and variance v (divisor n - 1), half of

        log(2 pi) + log v - digamma((n - 1) / 2) + log((n - 1) / 2) + (n - 3) / (n - 1) (y - m)^2 / v - 1 / n

    `InputError` with less than four members, whose 1 / v has no expectation.
    """
    members = ensemble.shape[-2]
    if members < 4:
        raise InputError(f"a normal law from {members} paths", where="loss gaussian", rule="at least 4 paths")
    variance, mean = torch.var_mean(ensemble, dim=-2, keepdim=True)
    variance = variance + LEAST_VARIANCE
    half = (members - 1) / 2
    digamma = float(torch.digamma(torch.tensor(half, dtype=torch.float64)))
    constant = math.log(2 * math.pi) - digamma + math.log(half) - 1 / members
    squares = (members - 3) / (members - 1) * (data - mean).square() / variance
    return 0.5 * (constant + variance.log() + squares).sum(dim=-1).mean(dim=-1)


def mean_squared_error(ensemble: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    """Mean square of X - y over dimensions, members and data: what pairing them at random gives on average.

    It is the variance of the ensemble, that of the data, and the square of the distance of their means: least without spread.
    """
    variances = [sample.var(dim=-2, correction=0) for sample in (ensemble, data)]
    means = ensemble.mean(dim=-2) - data.mean(dim=-2)
    return (variances[0] + variances[1] + means.square()).mean(dim=-1)
