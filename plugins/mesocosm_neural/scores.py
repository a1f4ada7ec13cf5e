"""The energy score: how far an ensemble of paths is from data, as distributions.

    score(X, y) = E|X - y| - E|X - X'| / 2

with X, X' independent members of the ensemble. It is strictly proper: its expectation over y is least where X has the law
of y, spread included, and that excess over the least value is half the squared energy distance. The pairs i = j are left
out, so the estimate is unbiased whatever the size of the ensemble. Sources: Gneiting and Raftery, J. Am. Stat. Assoc. 102,
359 (2007), section 4.3; Szekely and Rizzo, J. Stat. Plan. Inference 143, 1249 (2013).
"""

from __future__ import annotations

import torch


def energy_score(ensemble: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    """Mean energy score over the data: [..., member, dimension] and [..., replicate, dimension] to [...].

    An ensemble of one has no spread: its score is the mean distance.
    """
    score = pairwise_distances(ensemble, data).mean(dim=(-2, -1))
    members = ensemble.shape[-2]
    if members == 1:
        return score
    within = pairwise_distances(ensemble, ensemble).sum(dim=(-2, -1)) / (members * (members - 1))
    return score - 0.5 * within


def pairwise_distances(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Euclidean distances of all pairs, without the matrix product that loses digits between near points."""
    return torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist")
