"""How well the shares of an equilibrium explain observed ones, and how much the observations tell of its parameters.

    gaussian      observed = share + noise, of one variance for each state, independent; the variance is estimated, so
                  that the negative log likelihood is the sum over states of n/2 log(mean squared residual)
    multinomial   observed shares are those of a sample of N individuals; states that are not observed count as one

Replicates share an equilibrium and differ in their noise, which in a population is correlated over time. The estimate is
the same, its error is not: it comes from how the scores of replicates scatter (`covariance`), whatever their correlation.
Source: White, Econometrica 50, 1 (1982); Liang and Zeger, Biometrika 73, 13 (1986).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

SMALLEST_VARIANCE = 1e-12
"""Of a share: variances are not estimated below it, so that data without noise have a likelihood."""

SMALLEST_SHARE = 1e-9

SINGULAR = 1e-10
"""Directions with a smaller part of the largest information, in units of relative change, tell nothing."""


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Base of the two kinds of noise.

    Attributes
    ----------
    data: observed shares, [replicate, save, state], 0 where nothing was observed.
    known: 1 where it was, else 0, of the same shape.
    size: number of individuals N.
    """

    data: torch.Tensor
    known: torch.Tensor
    size: float
    kind: ClassVar[str] = ""

    def loss(self, shares: torch.Tensor) -> torch.Tensor:
        """Negative log likelihood over the number of observed shares: [..., save, state] to [...]."""
        raise NotImplementedError

    def weighted(self, shares: torch.Tensor, moved: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores of every replicate, [replicate, direction], and the information of all, [direction, direction].

        shares is [save, state], moved its derivative in each direction, [direction, save, state].
        """
        raise NotImplementedError


class Gaussian(Likelihood):
    """Normal noise."""

    kind = "gaussian"

    def variances(self, shares: torch.Tensor) -> torch.Tensor:
        """Mean squared residual of each state, [..., save, state] to [..., state]."""
        squares = ((self.data - shares[..., None, :, :]).pow(2) * self.known).sum(dim=(-3, -2))
        return (squares / self.known.sum(dim=(0, 1)).clamp(min=1.0)).clamp(min=SMALLEST_VARIANCE)

    def loss(self, shares: torch.Tensor) -> torch.Tensor:
        counts = self.known.sum(dim=(0, 1))
        return 0.5 * (counts * self.variances(shares).log()).sum(dim=-1) / counts.sum()

    def weighted(self, shares: torch.Tensor, moved: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        weight = self.known / self.variances(shares)
        scores = torch.einsum("dts,rts->rd", moved, weight * (self.data - shares))
        return scores, torch.einsum("dts,ts,ets->de", moved, weight.sum(dim=0), moved)


class Multinomial(Likelihood):
    """Shares of a sample."""

    kind = "multinomial"

    def loss(self, shares: torch.Tensor) -> torch.Tensor:
        observed, expected = self._sorted(self.data), self._sorted(shares[..., None, :, :])
        ratio = observed.clamp(min=SMALLEST_SHARE).log() - expected.clamp(min=SMALLEST_SHARE).log()
        return self.size * (observed * ratio).sum(dim=(-3, -2, -1)) / self.known.sum()

    def weighted(self, shares: torch.Tensor, moved: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        expected = self._sorted(shares[None]).clamp(min=SMALLEST_SHARE)
        moves = moved[:, None] * self.known
        moves = torch.cat([moves, -moves.sum(dim=-1, keepdim=True) * self._hidden], dim=-1)
        scores = self.size * torch.einsum("drts,rts->rd", moves, self._sorted(self.data) / expected)
        return scores, self.size * torch.einsum("drts,rts,erts->de", moves, 1.0 / expected, moves)

    @property
    def _hidden(self) -> torch.Tensor:
        """1 where some states were observed and others were not, [replicate, save, 1]."""
        count = self.known.sum(dim=-1, keepdim=True)
        return ((count > 0) & (count < self.known.shape[-1])).to(self.known)

    def _sorted(self, shares: torch.Tensor) -> torch.Tensor:
        """Observed states, and one more for all others: [..., replicate, save, state] to [..., state + 1]."""
        seen = shares * self.known
        return torch.cat([seen, (1.0 - seen.sum(dim=-1, keepdim=True)) * self._hidden], dim=-1)


KINDS: dict[str, type[Likelihood]] = {each.kind: each for each in (Gaussian, Multinomial)}


def covariance(scores: torch.Tensor, information: torch.Tensor) -> torch.Tensor:
    """Covariance of estimates, [direction, direction], from `Likelihood.weighted` at the estimate.

    With H the information and S the scatter of the scores of R replicates, H^-1 S H^-1 with the factor R/(R - 1); of one
    replicate H^-1, which takes its noise for independent over time. Infinite for every direction that has a part in one
    that the observations tell nothing of.
    """
    scale = information.diagonal().clamp(min=torch.finfo(information.dtype).tiny).rsqrt()
    levels, axes = torch.linalg.eigh(scale[:, None] * information * scale)
    told = levels > SINGULAR * levels.max().clamp(min=0.0)
    inverse = (axes[:, told] / levels[told]) @ axes[:, told].T * scale * scale[:, None]
    replicates = len(scores)
    if replicates > 1:
        centred = scores - scores.mean(dim=0)
        result = inverse @ (centred.T @ centred * (replicates / (replicates - 1))) @ inverse
    else:
        result = inverse
    untold = (axes[:, ~told].abs() > 1e-3).any(dim=1) | (information.diagonal() <= 0)
    result[untold] = result[:, untold] = float("inf")
    return result
