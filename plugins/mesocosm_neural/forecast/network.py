"""Networks that forecast: from what is known at the start of a window to how fast the counted transition runs after it.

With l(t) the log of the factor on the counted transition's rate,

    l(t) = k r + (1 - k) shift(u, s) + sqrt(1 - k^2) spread(u, s) z,      k = exp(-s / memory),   s = t - start

r is the rate revealed before the start (see `counted.History`), from which the rate moves to what a network learned. The
network says `shift` and the logarithm of `spread` from what is known at the start, u, and the time since; z is normal, one
draw for each path, so that a rate that is off stays off. At each time this is the law of an Ornstein-Uhlenbeck process. The
noise of the counted transition in a step is that of a negative binomial whose size is learned. Nothing observed after the
start is seen, in training as little as in forecasts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from mesocosm_neural.forecast.counted import CountedLaw
from mesocosm_neural.learn.law import Factors, Time
from mesocosm_neural.perceptron import Perceptrons

FIRST_MEMORY = 0.5
"""Memory before training, in units of the longest horizon."""

FIRST_SPREAD = 0.3
"""Spread of the log rate before training."""


LEAST = 1e-4
"""Least variance of the rate relative to its largest, as roots have no slope at 0, and least relative noise at first."""


class ForecastNetworks(Perceptrons):
    """One network for every member; paths are sorted by member.

    Parameters
    ----------
    known: how many numbers are known at the start.
    longest: the longest horizon, in time.
    noises: relative noises with which the training of each member's begins.
    """

    def __init__(
        self,
        known: int,
        hidden: Sequence[int],
        generators: Sequence[torch.Generator],
        longest: float,
        noises: Sequence[float],
        *,
        learn_noise: bool,
        like: torch.Tensor,
    ) -> None:
        super().__init__((known + 1, *hidden, 2), generators, like.device, like.dtype)
        self.longest, self.learn_noise = longest, learn_noise
        zeros = torch.zeros(self.seeds, 1, 1, device=like.device, dtype=like.dtype)
        self.log_memory = (zeros + math.log(FIRST_MEMORY * longest)).requires_grad_()
        first = torch.tensor(noises, dtype=like.dtype, device=like.device).clamp(min=LEAST).log()
        self.log_noise = first[:, None, None].requires_grad_(learn_noise)

    @property
    def weights(self) -> list[torch.Tensor]:
        """Everything that is trained."""
        return [*self.layers, self.log_memory, *([self.log_noise] if self.learn_noise else [])]

    def factors(
        self, law: CountedLaw, start: torch.Tensor, seen: torch.Tensor, revealed: torch.Tensor, draws: torch.Tensor
    ) -> Factors:
        """Factors along paths that start at `start`, [path, 1], and know `seen`, [member, path of it, number]; `revealed` log
        rates and `draws` of z are [member, path of it, 1]."""
        noise = self.log_noise.exp() if self.learn_noise else torch.zeros_like(self.log_noise)
        relative = noise.expand(-1, seen.shape[1], -1).reshape(-1, 1)

        def factors(time: Time, shares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            elapsed = (time - start).view(self.seeds, -1, 1)
            shift, spread = self(torch.cat([seen, elapsed / self.longest], dim=-1)).split(1, dim=-1)
            kept = (-elapsed / self.log_memory.exp()).exp()
            mean = kept * revealed + (1.0 - kept) * shift
            log_rate = mean + (1.0 - kept.square()).clamp(min=LEAST).sqrt() * FIRST_SPREAD * spread.exp() * draws
            return law.factors(time, shares, log_rate.view(-1, 1), relative)

        return factors
