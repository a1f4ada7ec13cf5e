"""The distance between simulated paths and observed series: save by save, and as whole paths."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mesocosm_neural.losses import Distance
from mesocosm_neural.scores import energy_score

OF_WHOLE_PATHS = ("energy", "mmd", "sliced_wasserstein")
"""Losses that see how saves depend on each other; the others add up what single numbers say, so a path tells no more."""


@dataclass(frozen=True, eq=False)
class SeriesLoss:
    """Distance of every save's shares, and of the whole observed window as one vector.

    Attributes
    ----------
    data: scaled, shape [..., replicate, time, state], 0 where nothing was observed.
    weight: 1 / scale of a state where it was observed and 0 elsewhere, shape [..., time, state].
    distance: between an ensemble and data.
    whole_paths: whether whole paths are compared too.
    """

    data: torch.Tensor
    weight: torch.Tensor
    distance: Distance = energy_score
    whole_paths: bool = True

    def marginal(self, paths: torch.Tensor) -> torch.Tensor:
        """Distance of the shares at each save, averaged over observed saves: [..., path, time, state] to [...]."""
        scaled = paths * self.weight.unsqueeze(-3)
        each = self.distance(scaled.transpose(-3, -2), self.data.transpose(-3, -2))
        known = self._known.to(each)
        return (each * known).sum(dim=-1) / known.sum(dim=-1).clamp(min=1.0)

    def __call__(self, paths: torch.Tensor) -> torch.Tensor:
        """Loss: [..., path, time, state] to [...].

        The marginal distance plus that of whole paths, the latter divided by the square root of the number of saves so
        that both are of the size of one save's distance.
        """
        marginal = self.marginal(paths)
        if not self.whole_paths:
            return marginal
        scaled = paths * self.weight.unsqueeze(-3)
        whole = self.distance(scaled.flatten(-2), self.data.flatten(-2))
        return marginal + whole / self._known.sum(dim=-1).clamp(min=1).to(whole).sqrt()

    @property
    def _known(self) -> torch.Tensor:
        return (self.weight > 0).any(dim=-1)
