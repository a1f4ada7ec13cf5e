"""A game of which one transition is counted: how fast it ran, and how fast it may run from here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm_neural.learn.law import GameLaw, Span, Time

FloatArray = NDArray[np.float64]

LARGEST_LOG_RATE = 4.0
"""Bound of revealed log rates: a count of 0 reveals no rate."""

HALVINGS = 30
"""Of the interval between the bounds, when a revealed rate is solved for."""

SMALLEST_COUNT = 0.1
"""Added to counts whose logarithm is taken."""


class CountedLaw:
    """A game of which one transition is made faster or slower; the others keep the game's own rates and noises.

    Counts of that transition could not tell other corrections apart from it.

    Attributes
    ----------
    law: the game on the simplex.
    transition: number of the counted transition.
    reported: expected count for an extent of 1: population size times the share of jumps that is reported.
    duration, steps: length of a save interval, and the steps that it is cut into.
    """

    def __init__(self, law: GameLaw, transition: int, share: float, steps: int) -> None:
        self.law, self.transition, self.reported = law, transition, law.size * share
        self.duration, self.steps = float(law.clock.times[1]), steps
        self._column = torch.zeros_like(law.largest)[None]
        self._column[0, transition] = 1.0

    def factors(
        self, time: Time, shares: torch.Tensor, log_rate: torch.Tensor, relative: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Factors of rates and noises, [path, transition] each, for shares [path, state]; those of other transitions are 1.

        The rate of the counted one is multiplied by e to `log_rate`, [path, 1]. The variance of its jumps in a step is that of
        a negative binomial, mean + (relative * mean)^2, with `relative` [path, 1].
        """
        law = self.law
        rates = (log_rate * self._column).exp()
        jumps = (shares @ law.source) * law.intensities(time, shares) * rates * (law.size * self.duration / self.steps)
        return rates, (1.0 + (relative * self._column).square() * jumps).sqrt()

    def span(self, saves: torch.Tensor) -> Span:
        """The interval after each of these saves, [path]."""
        start = saves.to(self._column)[:, None] * self.duration
        return Span(start, self.duration / self.steps, self.steps)

    def counts(self, extents: torch.Tensor) -> torch.Tensor:
        """Expected counts, [path], for extents [path, transition]."""
        return extents[:, self.transition] * self.reported

    def quiet(
        self, log_rate: torch.Tensor, shares: torch.Tensor, saves: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Shares and expected counts one interval after these saves, without noise: [path, 1], [path, state] and [path] to
        [path, state] and [path]."""
        rates = (log_rate * self._column).exp()

        def constant(time: Time, now: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return rates, torch.ones_like(rates)

        none = shares.new_zeros(self.steps, len(shares), len(self.law.sources))
        moved, extents = self.law.move(constant, shares, self.span(saves), none)
        return moved, self.counts(extents)


@dataclass(frozen=True, eq=False)
class History:
    """What is known at each save, nothing of it from later counts.

    Attributes
    ----------
    counts: jumps reported between the save before and this one, shape [save].
    averages: mean of the last `average` counts, of fewer at the start, [save].
    shares: the population, shape [save, state]; see `reconstruction`.
    revealed: log of the factor on the counted transition's rate, the same in the last `average` intervals, with which the game
        expects the jumps that were counted in them, [save]: how many times faster than in the game the transition ran of
        late; at most `LARGEST_LOG_RATE` either way. For an SIR game it is the log of a ratio of reproduction numbers (Cori
        et al., Am. J. Epidemiol. 178, 1505 (2013), with exponential generation times).
    """

    counts: FloatArray
    averages: FloatArray
    shares: FloatArray
    revealed: FloatArray


def history_of(law: CountedLaw, counts: FloatArray, shares: FloatArray, average: int) -> History:
    """From counts [save] and shares [save, state]; the law should be in float64."""
    averages = trailing_mean(counts, average)
    return History(counts, averages, shares, _revealed(law, counts, shares, averages, average))


def _revealed(
    law: CountedLaw, counts: FloatArray, shares: FloatArray, averages: FloatArray, average: int
) -> FloatArray:
    """See `History`; by halving, since what is expected grows with the rate, by more than in proportion within an interval."""
    before = torch.from_numpy(shares[:-1]).to(law.law.largest)
    saves = torch.arange(len(before)).to(before.device)
    low, high = (np.full(len(counts), bound) for bound in (-LARGEST_LOG_RATE, LARGEST_LOG_RATE))
    expected = np.full((average, len(counts)), np.nan)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        for back in range(average):
            log_rate = torch.from_numpy(np.roll(middle, -back)[1:]).to(before)[:, None]
            with torch.no_grad():
                jumps = law.quiet(log_rate, before, saves)[1].cpu().numpy()
            expected[back, back:] = np.concatenate([counts[:1], jumps])[: len(counts) - back]
        more = np.nanmean(expected, axis=0) < averages
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    return np.asarray((low + high) / 2, np.float64)


def relative_noise(history: History, first: int, origin: int) -> float:
    """Root mean square of counts relative to the averages before and at them, less 1, from save `first` to the origin."""
    counts, averages = (values[first : origin + 1] + SMALLEST_COUNT for values in (history.counts, history.averages))
    return float(np.sqrt(np.mean((counts / averages - 1.0) ** 2)))


def trailing_mean(values: FloatArray, count: int) -> FloatArray:
    """Mean of each value and the `count - 1` before it, of fewer at the start: [save] to the same."""
    padded = np.concatenate([np.full(count - 1, np.nan), values])
    return np.asarray(np.nanmean(np.lib.stride_tricks.sliding_window_view(padded, count), axis=1), np.float64)
