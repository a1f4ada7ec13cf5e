"""How counts are reported: negative binomial, with a share and a size for each network."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm_neural.learn.options import ReportingOptions

FloatArray = NDArray[np.float64]

FIRST_SHARE, FIRST_SIZE = 0.5, 10.0
"""Where the training of a share or size that is not given begins."""

SMALLEST_JUMP = 0.1
"""Smallest expected number of jumps in an interval, in agents: noise of the SDE may carry an extent below 0."""


class Reporting:
    """Counts y of one transition's jumps between two saves, given their extent xi, in a population of N:

        y ~ NB(mean = share N xi, size),    variance = mean + mean^2 / size

    Share and size are given, or trained: one for each member, kept as logit and logarithm. They are the same at all times.
    """

    def __init__(
        self,
        options: ReportingOptions,
        transition: int,
        population: float,
        members: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.quantity, self.transition, self.population = options.quantity, transition, population
        self.learns_share, self.learns_size = options.share is None, options.size is None
        self.given = options.share
        share, size = FIRST_SHARE if options.share is None else options.share, options.size or FIRST_SIZE
        like = torch.zeros(members, 1, 1, device=device, dtype=dtype)
        self.logit = (like + math.log(share / (1 - share)) if self.learns_share else like).requires_grad_(
            self.learns_share
        )
        self.log_size = (like + math.log(size)).requires_grad_(self.learns_size)

    @property
    def weights(self) -> list[torch.Tensor]:
        """What is trained."""
        return [weight for weight in (self.logit, self.log_size) if weight.requires_grad]

    @property
    def share(self) -> torch.Tensor:
        """Share of jumps that is reported, [member, 1, 1]."""
        return self.logit.sigmoid() if self.given is None else torch.full_like(self.logit, self.given)

    @property
    def size(self) -> torch.Tensor:
        """Size of the negative binomial, [member, 1, 1]; the larger, the nearer to Poisson."""
        return self.log_size.exp()

    def mean(self, extents: torch.Tensor) -> torch.Tensor:
        """Expected counts: extents of all transitions [member, ..., transition] to [member, ...]."""
        jumps = (extents[..., self.transition] * self.population).clamp(min=SMALLEST_JUMP)
        return jumps * self.share.view(-1, *[1] * (jumps.ndim - 1))

    def log_likelihood(self, counts: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        """Log probability of counts, whole or not, in double precision: shapes [member, ...] to the same."""
        mean, size = mean.double(), self.size.view(-1, *[1] * (mean.ndim - 1)).double()
        # log of size / (size + mean) and mean / (size + mean), without cancellation for large sizes
        log_none, log_some = -torch.log1p(mean / size), -torch.log1p(size / mean)
        combinations = torch.lgamma(counts + size) - torch.lgamma(size) - torch.lgamma(counts + 1.0)
        return combinations + size * log_none + counts * log_some

    def sample(self, extents: torch.Tensor, seed: int) -> FloatArray:
        """Counts drawn for extents [member, ..., transition]: [member, ...]; they depend on `seed` alone."""
        with torch.no_grad():
            mean = self.mean(extents).double().cpu().numpy()
            size = self.size.double().cpu().numpy().reshape(-1, *[1] * (mean.ndim - 1))
        random = np.random.default_rng(seed)
        return random.poisson(random.gamma(np.broadcast_to(size, mean.shape), mean / size)).astype(np.float64)
