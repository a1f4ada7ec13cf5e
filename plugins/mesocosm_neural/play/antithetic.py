"""Random numbers for particles that cost less variance: every particle has a mirror image.

Two particles of a pair start at the same place and are moved by opposite noise of their own, so what is odd in the
noise drops out of an average exactly. For training, the normals are quasi-random and matched in their second moments
(see `quasi_random`). That is a bias of order 1 / particles, so it is left out where a cost is reported, and where
particles leave: there a cost is far from quadratic, and the time at which a share has left is moved by the bias.

A share of the pairs may be explorers: they start elsewhere, so that a policy is trained at places where the population
is seldom or, at time 0, never, and they are no part of the population.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch

from mesocosm_neural.particles import Particles
from mesocosm_neural.play.exits import sides_of
from mesocosm_neural.play.quasi_random import match, quasi_normals

STRATUM = 16
"""Draws from the law of the start for each place that is used where starts are spread: the middle one in order of place."""

FEWEST = 20
"""Independent costs for each control variate that is used."""


@dataclass(frozen=True)
class Draws:
    """How many: `seeds`, each with `scenarios` populations of `pairs` pairs of particles, over `steps` steps.

    Beside each population there are `explorers` pairs that start at a normal distance from where a member does, of standard
    deviation `reach` [axis].
    """

    particles: Particles
    seeds: int
    scenarios: int
    pairs: int
    steps: int
    explorers: int = 0
    reach: torch.Tensor | None = None

    @property
    def paths(self) -> int:
        """Particles of a seed."""
        return 2 * self._all * self.scenarios

    @property
    def members(self) -> torch.Tensor | None:
        """1 for members of a population and 0 for explorers, [path]; None where all are members."""
        if not self.explorers:
            return None
        flags = torch.arange(self._all, device=self.particles.device) < self.pairs
        return flags.to(self.particles.dtype).repeat(2 * self.scenarios)

    @property
    def _all(self) -> int:
        return self.pairs + self.explorers

    def start(self, generator: torch.Generator, *, spread: bool = False) -> torch.Tensor:
        """Places at time 0, [seed, path, axis]; on one axis, `spread` as evenly as the law of the start allows."""
        random = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
        count = self.scenarios * self._all
        if spread and len(self.particles.game.axes) == 1:
            many = self.particles.start(random, self.seeds, count * STRATUM).sort(dim=1).values
            places = many[:, STRATUM // 2 :: STRATUM][:, torch.randperm(count, generator=generator)]
        else:
            places = self.particles.start(random, self.seeds, count)
        halves = places.view(self.seeds, self.scenarios, self._all, -1)
        if self.explorers and self.reach is not None:
            shape = (*halves[:, :, self.pairs :].shape,)
            moved = torch.randn(*shape, generator=generator, dtype=torch.float64).to(places) * self.reach
            explorers = inside(self.particles, halves[:, :, self.pairs :] + moved)
            halves = torch.cat([halves[:, :, : self.pairs], explorers], dim=2)
        return torch.cat([halves, halves], dim=2).view(self.seeds, self.paths, -1)

    def noise(
        self, generator: torch.Generator, matched: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Standard normals of every particle, and those of its scenario: both [step, seed, path, axis].

        `matched`: the start [seed, path, axis] to match them with; None where they are not. An even number of scenarios is
        paired too.
        """
        axes = len(self.particles.game.axes)
        shape = (self.steps, self.seeds, self.scenarios)
        if matched is None:
            half = torch.randn(*shape, self._all, axes, generator=generator, dtype=torch.float64)
        else:
            rows = self.scenarios * self._all
            drawn = [quasi_normals(self.steps, rows, axes, generator) for _ in range(self.seeds)]
            half = torch.stack(drawn, dim=1).view(*shape, self._all, axes)
            if not sides_of(self.particles.game):
                half = self._matched(half, matched)
        own = torch.cat([half, -half], dim=3)
        common = torch.zeros(1, dtype=torch.float64).expand(*shape, 2 * self._all, axes)
        if self.particles.game.common is not None:
            drawn = torch.randn(*shape, 1, axes, generator=generator, dtype=torch.float64)
            if self.scenarios % 2 == 0:
                drawn = torch.cat([drawn[:, :, ::2], -drawn[:, :, ::2]], dim=2)
            common = drawn.expand(*shape, 2 * self._all, axes)
        whole = (self.steps, self.seeds, self.paths, axes)
        return tuple(
            each.reshape(whole).to(device=self.particles.device, dtype=self.particles.dtype) for each in (own, common)
        )

    def _matched(self, half: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        """Noise of one of each pair, [step, seed, scenario, pair, axis], matched with where it starts."""
        axes = half.shape[-1]
        begin = start.view(self.seeds, self.scenarios, 2, self._all, axes)[:, :, 0].to(half)
        apart = self.explorers * self.scenarios > (self.steps + 1) * axes
        cuts = (0, self.pairs, self._all) if apart else (0, self._all)
        parts = [match(half[..., a:b, :], begin[..., a:b, :]) for a, b in itertools.pairwise(cuts)]
        return torch.cat(parts, dim=3)

    def mean(self, costs: torch.Tensor, own: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean of costs [seed, path] that this noise [step, seed, path, axis] led to, and its standard error, [seed] both.

        Independent are pairs, or scenarios (pairs of them, for an even number) with common noise. The squares of the Brownian
        motion at a few times, less their means, are control variates, as many as there are data for.
        """
        controls = self._controls(own.double())
        values = self._independent(torch.cat([costs.double()[..., None], controls], dim=-1))
        cost, count = values[..., :1], values.shape[1]
        known = values[..., 1 : 1 + count // FEWEST]
        design = torch.cat([torch.ones_like(cost), known], dim=-1)
        fitted = torch.linalg.lstsq(design, cost).solution
        residual = cost - design @ fitted
        freedom = count - design.shape[-1]
        return fitted[:, 0, 0], (residual.pow(2).sum(dim=(1, 2)) / freedom / count).sqrt()

    def _controls(self, own: torch.Tensor) -> torch.Tensor:
        """W(t)^2 / t - 1 at quarters of the horizon, the last one first, for every axis: [seed, path, control]."""
        steps = [max(1, round(self.steps * quarter / 4)) for quarter in range(1, 5)]
        motion = own.cumsum(dim=0)
        squares = [motion[step - 1] ** 2 / step - 1.0 for step in sorted(set(steps), reverse=True)]
        return torch.cat(squares, dim=-1)

    def _independent(self, values: torch.Tensor) -> torch.Tensor:
        """Averages of values [seed, path, number] over what is not independent: [seed, unit, number]."""
        split = values.view(self.seeds, self.scenarios, 2, self._all, -1).mean(dim=2)
        if self.particles.game.common is None:
            return split.flatten(1, 2)
        split = split.mean(dim=2)
        return split if self.scenarios % 2 else split.view(self.seeds, 2, -1, split.shape[-1]).mean(dim=1)


def inside(particles: Particles, places: torch.Tensor) -> torch.Tensor:
    """Places [..., axis] on the inner side of absorbing sides, by reflection, and within the box where it is closed."""
    columns = []
    for column, axis in zip(places.unbind(dim=-1), particles.game.axes, strict=True):
        above = axis.low + (column - axis.low).abs() if axis.lower == "absorbing" else column
        columns.append(axis.high - (axis.high - above).abs() if axis.upper == "absorbing" else above)
    return particles.contain(torch.stack(columns, dim=-1))
