"""Absorbing sides for particles that carry a weight: the chance of still being inside, instead of a hard stop.

Between the two ends of a step the path of a particle is a Brownian bridge. With distances d from a side before the
step and d' after it, variance sigma^2 per unit time and length h, it touches the side with probability p, and if it
does, first after a mean time tau:

    p = exp(-2 d d' / (sigma^2 h))  where d' > 0, else 1
    tau = d sqrt(pi h / 2) / sigma erfcx((d + |d'|) / (sigma sqrt(2 h)))

Both are exact for constant coefficients, and continuous at d' = 0. So the weight S of a particle goes on as S (1 - p),
the share S p leaves at time t + tau, and E[sum over steps of S p h(exit) + what is paid inside] has a pathwise
derivative without bias, which stopping would not have. The variance of the time of leaving about tau is left out: an
error of second order in h. Several sides are treated one after the other, as if far apart.

Sources: E. Gobet, Stoch. Process. Appl. 87, 167 (2000), for p. tau is the mean of the density of first passage times
of the bridge, proportional to s^(-3/2) (h - s)^(-1/2) exp(-d^2 / (2 sigma^2 s) - d'^2 / (2 sigma^2 (h - s))): a ratio
of two convolutions, each with a Laplace transform in closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from mesocosm import DiffusionGame

_LEAST = 1e-30
"""Stands for a variance of zero, so that it divides."""


@dataclass(frozen=True, eq=False)
class Exit:
    """What leaves by a side in a step: share of each particle and time since the beginning of the step, [seed, path] both,
    and place [seed, path, axis]."""

    share: torch.Tensor
    delay: torch.Tensor
    place: torch.Tensor


@dataclass(frozen=True)
class Side:
    """An absorbing side at `level` of one axis."""

    axis: int
    upper: bool
    level: float

    def distance(self, places: torch.Tensor) -> torch.Tensor:
        """Distance from the side, positive inside: [..., axis] to [...]."""
        away = places[..., self.axis] - self.level
        return -away if self.upper else away

    def crossing(
        self, before: torch.Tensor, after: torch.Tensor, variance: torch.Tensor, length: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """p and tau of a step: places and variances per unit time [..., axis] to [...]."""
        near, far = self.distance(before).clamp(min=0.0), self.distance(after)
        spread = (variance[..., self.axis] * length).clamp(min=_LEAST)
        chance = torch.exp(-2.0 * near * far.clamp(min=0.0) / spread)
        root = (0.5 / spread).sqrt()
        delay = length * math.sqrt(math.pi) * near * root * torch.special.erfcx((near + far.abs()) * root)
        return chance, delay

    def at(self, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        """Where one that leaves does: half way along the other axis, [..., axis]."""
        columns = list((0.5 * (before + after)).unbind(dim=-1))
        columns[self.axis] = torch.full_like(columns[self.axis], self.level)
        return torch.stack(columns, dim=-1)

    def held(self, places: torch.Tensor) -> torch.Tensor:
        """Places that are beyond the side, taken to it, [..., axis]."""
        columns = list(places.unbind(dim=-1))
        limit = {"max": self.level} if self.upper else {"min": self.level}
        columns[self.axis] = columns[self.axis].clamp(**limit)
        return torch.stack(columns, dim=-1)


def sides_of(game: DiffusionGame) -> tuple[Side, ...]:
    """The absorbing sides of a game's box."""
    found: list[Side] = []
    for number, axis in enumerate(game.axes):
        found += [Side(number, False, axis.low)] if axis.lower == "absorbing" else []
        found += [Side(number, True, axis.high)] if axis.upper == "absorbing" else []
    return tuple(found)
