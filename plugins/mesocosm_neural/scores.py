"""The energy score: how far an ensemble of paths is from data, as distributions.

    score(X, y) = E|X - y| - E|X - X'| / 2

with X, X' independent members of the ensemble. It is strictly proper: its expectation over y is least where X has the law
of y, spread included, and that excess over the least value is half the squared energy distance. The pairs i = j are left
out, so the estimate is unbiased whatever the size of the ensemble. Sources: Gneiting and Raftery, J. Am. Stat. Assoc. 102,
359 (2007), section 4.3; Szekely and Rizzo, J. Stat. Plan. Inference 143, 1249 (2013).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


def energy_score(ensemble: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    """Mean energy score over the data: [..., member, dimension] and [..., replicate, dimension] to [...].

    An ensemble of one has no spread: its score is the mean distance.
    """
    score = _distances(ensemble, data).mean(dim=(-2, -1))
    members = ensemble.shape[-2]
    if members == 1:
        return score
    within = _distances(ensemble, ensemble).sum(dim=(-2, -1)) / (members * (members - 1))
    return score - 0.5 * within


def _distances(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Euclidean distances of all pairs, without the matrix product that loses digits between near points."""
    return torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist")


@dataclass(frozen=True, eq=False)
class EnergyLoss:
    """Energy score of every save's shares, and of the whole observed window as one vector.

    Attributes
    ----------
    data: scaled, shape [replicate, time, state], 0 where nothing was observed.
    weight: 1 / scale of a state where it was observed and 0 elsewhere, shape [time, state].
    """

    data: torch.Tensor
    weight: torch.Tensor

    def marginal(self, paths: torch.Tensor) -> torch.Tensor:
        """Energy score of the shares at each save, averaged over saves: [seed, path, time, state] to [seed]."""
        return energy_score((paths * self.weight).transpose(1, 2), self.data.transpose(0, 1)).mean(dim=-1)

    def __call__(self, paths: torch.Tensor) -> torch.Tensor:
        """Loss of each seed: [seed, path, time, state] to [seed].

        The marginal score plus the score of whole paths, the latter divided by the square root of the number of saves so
        that both are of the size of one save's score.
        """
        whole = energy_score((paths * self.weight).flatten(2), self.data.flatten(1))
        return self.marginal(paths) + whole / self.data.shape[1] ** 0.5
