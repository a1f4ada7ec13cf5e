"""The shares of all states at every save, where only some states, or only counts, were observed.

A window of observations starts from the population as it was then. The rule is that of a filter without noise of its own:
from one save to the next the population follows the game, unlearned and without noise, except that

    counts     the counted transition moves as many agents as were counted / share, evenly over the interval, and no more
               than there are; where a count is missing, as many as in the last interval that was counted
    states     at the save, the extents xi of all transitions are changed to the nearest ones that agree with what was
               observed, nearest in units of the game's own noise, whose variance is proportional to the extent:

                   xi + W H' (H W H')^-1 (y - H xi),     W = diag(xi),   y = H xi: the observed changes of shares

Nothing later than a save is used for it. For SIR with counts of S -> I this is S = S_0 - reported / share, and I the recent
infections, less those that recovered at the game's rate.
"""

from __future__ import annotations

import torch

from mesocosm import substeps
from mesocosm_neural.learn.law import GameLaw, project
from mesocosm_neural.learn.observations import Observations

MOST_STEPS = 8
"""Inner steps of one interval; each is exponential in the rates that leave a state, so few suffice."""

SMALLEST_VARIANCE = 1e-3
"""Added to W, relative to the sum of the extents: an observed change must be possible."""


class Reconstruction:
    """Shares of the series of `observations` at every save, from the law of the game; see the module."""

    def __init__(self, law: GameLaw, observations: Observations, step: float, transition: int | None = None) -> None:
        self.law, self.transition = law, transition
        self.times = observations.times
        length = float(self.times[1] - self.times[0])
        count, _ = substeps(0.0, length, step)
        self.steps = min(count, MOST_STEPS)
        self.length = length / self.steps
        like = law.identity
        self.values = torch.from_numpy(observations.values).to(like)
        first = [torch.from_numpy(observations.first(each).mean(axis=0)) for each in range(observations.series)]
        self.initial = torch.stack(first).to(like)
        self.counts = None if observations.counts is None else torch.from_numpy(observations.counts).to(like)

    def __call__(self, share: torch.Tensor | None = None) -> torch.Tensor:
        """[member, series, time, state]; `share` is [member, 1, 1], and without counts there is one member."""
        members = 1 if share is None else len(share)
        shares = self.initial.expand(members, -1, -1)
        jumps = shares.new_zeros(members, shares.shape[1])
        saved = [shares]
        for save in range(1, len(self.times)):
            if self.counts is not None and share is not None:
                new = self.counts[:, save] / (share[:, :, 0] * self.law.size)
                jumps = torch.where(new.isnan(), jumps, new)
            shares = self._interval(float(self.times[save - 1]), shares, jumps, self.values[:, save])
            saved.append(shares)
        return torch.stack(saved, dim=2)

    def _interval(
        self, start: float, shares: torch.Tensor, jumps: torch.Tensor, observed: torch.Tensor
    ) -> torch.Tensor:
        shape = shares.shape
        now = before = shares.reshape(-1, shape[-1])
        total = now.new_zeros(len(now), len(self.law.sources))
        for step in range(self.steps):
            extents = self._extents(start + step * self.length, now, jumps.reshape(-1) / self.steps)
            now = project(now + extents @ self.law.change)
            total = total + extents
        if bool((~observed.isnan()).any()):
            rows = observed.expand(shape).reshape(-1, shape[-1])
            now = project(before + self._agreeing(total, rows - before) @ self.law.change)
            now = self._exact(now, rows)
        return now.view(shape)

    def _extents(self, time: float, shares: torch.Tensor, jumps: torch.Tensor) -> torch.Tensor:
        """Extents of one inner step: what leaves a state does so at constant rates, [row, transition]."""
        law = self.law
        rates = law.intensities(time, shares)
        if self.transition is not None:
            rates = rates.index_fill(1, torch.tensor([self.transition], device=rates.device), 0.0)
            counted = torch.minimum(jumps, shares[:, law.sources[self.transition]])
            half = 0.5 * counted[:, None] * law.change[self.transition]
            shares = shares + half  # those who were moved, in the middle of the step on average
        leaving = rates @ law.source.T
        part = -torch.expm1(-leaving * self.length) / leaving.clamp(min=torch.finfo(rates.dtype).tiny)
        extents = (shares @ law.source) * (part @ law.source) * rates
        if self.transition is not None:
            extents = extents.index_add(
                1, torch.tensor([self.transition], device=rates.device), counted[:, None].to(extents)
            )
        return extents

    def _agreeing(self, extents: torch.Tensor, changes: torch.Tensor) -> torch.Tensor:
        """The nearest extents to `extents` that make the observed changes: [row, transition], [row, state]; NaN unobserved."""
        seen = (~changes.isnan()).to(extents)
        weight = extents + SMALLEST_VARIANCE * extents.sum(dim=-1, keepdim=True) + torch.finfo(extents.dtype).tiny
        rows = self.law.change.T * seen[:, :, None]
        gap = torch.where(changes.isnan(), 0.0, changes) - (rows @ extents[:, :, None])[:, :, 0]
        spread = rows * weight[:, None, :]
        solved = torch.linalg.pinv(spread @ rows.transpose(1, 2), rtol=1e-5, hermitian=True) @ gap[:, :, None]
        return extents + (spread.transpose(1, 2) @ solved)[:, :, 0]

    @staticmethod
    def _exact(shares: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
        """Observed states as observed; the others share what is left in the proportions that they have."""
        seen = ~observed.isnan()
        kept = torch.where(seen, observed, 0.0)
        others = torch.where(seen, 0.0, shares)
        left = (1.0 - kept.sum(dim=-1, keepdim=True)).clamp(min=0.0)
        total = others.sum(dim=-1, keepdim=True)
        return project(kept + others * (left / total.clamp(min=torch.finfo(shares.dtype).tiny)))
