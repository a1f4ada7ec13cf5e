"""Forecasts to compare with, none of which has a network.

    persistence      the last value
    unlearned        the game
    least_squares    the game with a rate that is constant by pieces, fitted to the last weeks; the last piece goes on
    damped           the game with the rate that was revealed before the start, which fades back to the game's own: a damped
                     trend (Gardner and McKenzie, Manage. Sci. 31, 1237 (1985)) with the memory that did best so far

Each is a number for every save and horizon, made of what was known at that save alone. What makes an ensemble of it is how
wrong the same method was before: its errors at all earlier saves whose outcome was known by then, as log ratios, and their
mirror images, so that the median stays the forecast (as the baseline of the COVID-19 Forecast Hub does; Cramer et al.,
Proc. Natl. Acad. Sci. 119, e2113561119 (2022)).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm_neural.forecast.counted import SMALLEST_COUNT, CountedLaw, History

FloatArray = NDArray[np.float64]

PIECES = 3
"""Pieces of constant rate in a least-squares fit; each is as long as the counts are averaged, and at least `SHORTEST`."""

MEMORIES = (0.125, 0.25, 0.5, 1.0, 2.0, np.inf)
"""Memories of the damped forecast to choose from, in units of the longest horizon."""

SHORTEST = 3
"""Fewest saves in a piece."""

ROUNDS = 25
"""Steps of the fit."""

DAMPING = 1e-3
"""Weight of the squared change of log rates in a step, beside the mean of squared errors of log counts."""

DIFFERENCE = 1e-4
"""Change of a log rate in the forward difference."""

LARGEST = 3.0
"""Largest log rate, either way, relative to the game."""


class Baselines:
    """Forecasts [save, horizon] of average counts.

    Parameters
    ----------
    law: in float64, on the CPU.
    history: over the whole run.
    horizons: in saves.
    average: saves that are averaged.
    """

    def __init__(self, law: CountedLaw, history: History, horizons: Sequence[int], average: int) -> None:
        self.law, self.history = law, history
        self.horizons, self.average = list(horizons), average

    def forecasts(self) -> dict[str, FloatArray]:
        """By the name of the method, [save, horizon]."""
        averages = self.history.averages
        return {
            "persistence": np.repeat(averages[:, None], len(self.horizons), axis=1),
            "damped": self._damped(),
            "least_squares": self._ahead(self.fitted()[:, -1], np.inf),
            "unlearned": self._ahead(np.zeros(len(averages)), np.inf),
        }

    def fitted(self) -> FloatArray:
        """Log rate of the counted transition, relative to the game, in the `PIECES` pieces before each save: [save, piece].

        Each minimises the sum of squared differences of log counts, averaged as they are scored, from the population of
        `History.shares` where the first piece begins (Levenberg and Marquardt's steps, all saves at once). Saves too early
        for a whole window have the revealed rate instead.
        """
        length = max(self.average, SHORTEST)
        window = PIECES * length
        starts = np.arange(self.average, len(self.history.counts) - window)
        rates = np.repeat(self.history.revealed[:, None], PIECES, axis=1)
        if not len(starts):
            return rates
        target = self._windows(np.log(self.history.averages + SMALLEST_COUNT), starts, window)
        logs = torch.from_numpy(rates[starts + window])
        for _ in range(ROUNDS):
            base = self._log_averages(logs, starts, length)
            columns = []
            for piece in range(PIECES):
                moved = logs.clone()
                moved[:, piece] += DIFFERENCE
                columns.append((self._log_averages(moved, starts, length) - base) / DIFFERENCE)
            slope = torch.stack(columns, dim=-1)
            square = slope.transpose(1, 2) @ slope + DAMPING * window * torch.eye(PIECES, dtype=slope.dtype)
            step = torch.linalg.solve(square, slope.transpose(1, 2) @ (target - base)[..., None])
            logs = (logs + step[..., 0].clamp(-1.0, 1.0)).clamp(-LARGEST, LARGEST)
        rates[starts + window] = logs.numpy()
        return rates

    def _log_averages(self, logs: torch.Tensor, starts: NDArray[np.int64], length: int) -> torch.Tensor:
        """Log of the averaged counts after each start, [start, save], where rates [start, piece] are constant by piece."""
        by_save = logs.repeat_interleave(length, dim=1)
        return (self._run(by_save, starts) + SMALLEST_COUNT).log()

    def _damped(self) -> FloatArray:
        """With that memory of `MEMORIES` whose forecasts so far, where known to be right or wrong by a save, had the least
        sum of errors of log counts."""
        logs = np.log(self.history.averages + SMALLEST_COUNT)
        candidates = np.stack([self._ahead(self.history.revealed, memory * max(self.horizons)) for memory in MEMORIES])
        total = np.zeros((len(MEMORIES), len(logs)))
        for column, horizon in enumerate(self.horizons):
            past = np.log(candidates[:, self.average : -horizon, column] + SMALLEST_COUNT)
            total[:, self.average + horizon :] += np.abs(past - logs[self.average + horizon :])
        best = total.cumsum(axis=1).argmin(axis=0)
        return np.asarray(candidates[best, np.arange(len(logs))], np.float64)

    def _ahead(self, log_rates: FloatArray, memory: float) -> FloatArray:
        """Averaged counts at every save and horizon, with the log rate [save] of the start, fading with `memory` saves."""
        starts = np.arange(len(log_rates))
        fading = torch.exp(-torch.arange(max(self.horizons), dtype=torch.float64) / memory)
        averages = self._run(torch.from_numpy(log_rates)[:, None] * fading, starts)
        return np.asarray(averages[:, [horizon - 1 for horizon in self.horizons]].numpy(), np.float64)

    def _run(self, log_rates: torch.Tensor, starts: NDArray[np.int64]) -> torch.Tensor:
        """Averaged counts at the saves after each start, [start, save], without noise; log rates [start, save]."""
        shares = torch.from_numpy(self.history.shares[starts])
        before = np.maximum(starts[:, None] - np.arange(self.average - 2, -1, -1), 0)
        counts = list(torch.from_numpy(self.history.counts[before]).unbind(dim=1))
        saves = torch.from_numpy(starts)
        for save in range(log_rates.shape[1]):
            shares, count = self.law.quiet(log_rates[:, save : save + 1], shares, saves + save)
            counts.append(count)
        return torch.stack(counts, dim=1).unfold(1, self.average, 1).mean(dim=-1)

    @staticmethod
    def _windows(values: FloatArray, starts: NDArray[np.int64], count: int) -> torch.Tensor:
        return torch.from_numpy(values[starts[:, None] + np.arange(1, count + 1)])


def ensemble(forecasts: FloatArray, averages: FloatArray, origin: int, horizon: int, first: int) -> FloatArray:
    """Members [member] of a forecast at an origin: the forecast itself, times its earlier errors, and divided by them.

    `forecasts` and `averages` are [save]: those for `horizon` saves ahead, and what happened. Errors are those at saves from
    `first` on whose outcome was known at the origin. Without any, the forecast is the only member.
    """
    past = np.arange(first, origin - horizon + 1)
    error = np.log((averages[past + horizon] + SMALLEST_COUNT) / (forecasts[past] + SMALLEST_COUNT))
    both = np.concatenate([error, [0.0], -error])
    return np.asarray(np.maximum((forecasts[origin] + SMALLEST_COUNT) * np.exp(both) - SMALLEST_COUNT, 0.0), np.float64)
