"""Training and running networks that forecast, for all origins and seeds side by side.

A training step draws windows of each network's past, starts paths in each from the population as it was known then, and scores
the averaged counts at every save after the start, up to the longest horizon and up to the network's own origin:

    loss = mean over windows and saves of distance(log(1 + paths), log(1 + counts))
         + regularisation / windows * sum of squared weights / width
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm_neural.forecast.counted import CountedLaw, History
from mesocosm_neural.forecast.network import ForecastNetworks
from mesocosm_neural.learn.covariates import Covariates
from mesocosm_neural.losses import Distance
from mesocosm_neural.trainer import one_thread

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PATHS_OF_WINDOW = 8
"""Paths of one window in a training step; a batch has as many windows as fit."""


@dataclass(frozen=True, eq=False)
class Past:
    """What the networks of one origin may see.

    Attributes
    ----------
    origin: number of the last save.
    starts: saves at which training windows may start, [window].
    known: what is known at each save up to the origin, standardised over those from the first start on, [save, number]: the
        revealed log rate, log(1 + average count), and covariates.
    """

    origin: int
    starts: IntArray
    known: FloatArray


class KnownCovariates:
    """Covariates of one series at every save as they were known then: `values` is [save, name]."""

    def __init__(self, table: Covariates) -> None:
        self.table = table
        self.values = np.stack([table.until(save)[0, save] for save in range(table.values.shape[1])])


def past_of(history: History, covariates: KnownCovariates | None, origin: int, first: int, shortest: int) -> Past:
    """What is known at an origin; windows start at save `first` or later and reach at least `shortest` saves ahead."""
    columns = np.stack([history.revealed, np.log1p(history.averages)], axis=-1)[: origin + 1]
    mean, deviation = columns[first:].mean(axis=0), columns[first:].std(axis=0)
    known = (columns - mean) / np.where(deviation > 0, deviation, 1.0)
    if covariates is not None:
        mean, factor = covariates.table.scale(origin, [0])
        known = np.concatenate([known, (covariates.values[: origin + 1] - mean) * factor], axis=-1)
    return Past(origin, np.arange(first, origin - shortest + 1), known)


def resampled(starts: IntArray, block: int | None, generator: np.random.Generator) -> IntArray:
    """As many starts, in blocks of so many consecutive ones drawn with replacement; as they are without `block`."""
    if block is None or block >= len(starts):
        return starts
    first = generator.integers(0, len(starts) - block + 1, size=-(-len(starts) // block))
    chosen: IntArray = starts[(first[:, None] + np.arange(block)).ravel()[: len(starts)]]
    return chosen


class ForecastTraining:
    """The loss of a training step, and forecasts from the origins. Members are sorted by origin, then by seed.

    Parameters
    ----------
    pasts: of the origins; `starts` [member] are the windows that each network draws from.
    horizon: saves up to the longest horizon.
    average: saves that are averaged.
    """

    def __init__(
        self,
        law: CountedLaw,
        networks: ForecastNetworks,
        history: History,
        pasts: Sequence[Past],
        starts: Sequence[IntArray],
        *,
        seeds: int,
        horizon: int,
        average: int,
        loss: Distance,
        batch: int,
        regularisation: float,
    ) -> None:
        self.law, self.networks, self.pasts, self.starts = law, networks, pasts, starts
        self.seeds, self.horizon, self.average = seeds, horizon, average
        self.loss, self.windows = loss, max(1, batch // PATHS_OF_WINDOW)
        self.strength = regularisation
        like = self._like = networks.layers[0].detach()
        origins = [past.origin for past in pasts]
        self.origins = torch.tensor(origins, device=like.device).repeat_interleave(seeds)
        known = np.zeros((len(pasts), max(origins) + 1, pasts[0].known.shape[-1]))
        for row, past in zip(known, pasts, strict=True):
            row[: past.origin + 1] = past.known
        self.known = torch.from_numpy(known).to(like).repeat_interleave(seeds, dim=0)
        self.revealed, self.shares = self._from(history.revealed), self._from(history.shares)
        self.counts, self.targets = self._from(history.counts), self._from(np.log1p(history.averages))
        self.lengths = torch.tensor([len(each) for each in starts])
        table = np.zeros((len(starts), int(self.lengths.max())), np.int64)
        for line, each in zip(table, starts, strict=True):
            line[: len(each)] = each
        self.table = torch.from_numpy(table)

    def __call__(self, step: int, generator: torch.Generator) -> torch.Tensor:
        """The loss of every member, [member]."""
        drawn = torch.rand(self.seeds, self.windows, generator=generator, dtype=torch.float64)
        numbers = (drawn.repeat(len(self.pasts), 1) * self.lengths[:, None]).long()
        starts = self.table.gather(1, numbers).to(self._like.device)
        paths = self.paths(starts, PATHS_OF_WINDOW, generator)
        saves = starts[:, :, None] + torch.arange(1, self.horizon + 1, device=starts.device)
        seen = saves <= self.origins[:, None, None]
        target = self.targets[saves.clamp(max=len(self.targets) - 1)]
        target = torch.where(seen, target, 0.0)
        distances = self.loss(paths.log1p().transpose(2, 3)[..., None], target[..., None, None])
        return (distances * seen).sum(dim=(1, 2)) / seen.sum(dim=(1, 2)) + self._penalty()

    def forecasts(self, paths: int, seed: int) -> FloatArray:
        """Averaged counts after each origin, [origin, seed, path, save]; the noise depends on `seed` alone."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad(), one_thread():
            result = self.paths(self.origins[:, None], paths, generator)[:, 0]
        return np.asarray(result.view(len(self.pasts), self.seeds, paths, -1).double().cpu().numpy(), np.float64)

    def paths(self, starts: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
        """Averaged counts at the saves after starts [member, window], at least 0: [member, window, path, save].

        Noise is drawn for each seed and is the same at all origins.
        """
        members, windows = starts.shape
        rows = windows * count
        each = starts.repeat_interleave(count, dim=1)
        member = torch.arange(members, device=starts.device)[:, None]
        seen, revealed, saves = self.known[member, each], self.revealed[each][..., None], each.flatten()
        start, draws = saves.to(seen)[:, None] * self.law.duration, self._normals(generator, rows, 1)
        factors = self.networks.factors(self.law, start, seen, revealed, draws)
        before = torch.arange(1 - self.average + 1, 1, device=starts.device)
        counts = list(self.counts[saves[:, None] + before].unbind(dim=1))
        shares, transitions = self.shares[saves], len(self.law.law.sources)
        for ahead in range(self.horizon):
            drawn = self._normals(generator, rows, self.law.steps * transitions)
            increments = drawn.view(-1, self.law.steps, transitions).transpose(0, 1)
            shares, extents = self.law.law.move(factors, shares, self.law.span(saves + ahead), increments)
            counts.append(self.law.counts(extents))
        averages = torch.stack(counts, dim=1).unfold(1, self.average, 1).mean(dim=-1)
        return averages.clamp(min=0.0).view(members, windows, count, -1)

    def _normals(self, generator: torch.Generator, rows: int, numbers: int) -> torch.Tensor:
        drawn = torch.randn(self.seeds, rows, numbers, generator=generator, dtype=self._like.dtype)
        return drawn.to(self._like.device).repeat(len(self.pasts), 1, 1)

    def _penalty(self) -> torch.Tensor:
        squares = torch.stack([matrix.square().sum(dim=(1, 2)) for matrix in self.networks.layers[::2]]).sum(dim=0)
        width = self.networks.layers[0].shape[-1]
        return squares * (self.strength / width) / self.lengths.to(squares)

    def _from(self, values: FloatArray) -> torch.Tensor:
        return torch.from_numpy(values).to(self._like)
