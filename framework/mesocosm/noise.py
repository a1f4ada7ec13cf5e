"""Monte Carlo noise: how far apart two means may lie although nothing but chance divides them.

Two independent sides, each with replicates that are draws of a curve (or of a number, a curve of one time). The noise is
the error of `mean of ours - mean of reference`:

- a deterministic side has none;
- a side with R >= 2 replicates: the bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 6
  and 16): the mean of R deviations from the mean, drawn with replacement and scaled by sqrt(R / (R - 1)), since
  deviations from a sample's own mean are too small by that factor;
- a stochastic side with one replicate, such as observed data, says nothing about its own noise. If the other side has
  replicates, its noise is that of one replicate of the other side, which is what it would be if both obeyed one law;
- otherwise the noise is unknown, and every answer that needs it is None.

Variances estimated from few replicates are themselves noisy, so intervals are widened by Student's law with the degrees
of freedom of Welch (Biometrika 34, 1947, 28-35). Noise is that of the replicates as they are: replicates that share a
graph, or a training seed, do not show the noise of drawing another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

FloatArray = NDArray[np.float64]

LEVEL = 0.95
"""Coverage of every interval."""

RESAMPLES = 2000
"""Bootstrap resamples."""

ROUNDING = 1e-12
"""Noise of floating-point sums, relative to the size of what is compared: no gap below it counts as one."""


@dataclass(frozen=True, eq=False)
class Side:
    """Replicates of a curve, `values` of shape [replicate, time] without NaN; `stochastic` if they are random draws."""

    values: FloatArray
    stochastic: bool

    @property
    def mean(self) -> FloatArray:
        """Mean over replicates, shape [time]."""
        return np.asarray(self.values.mean(axis=0))

    @property
    def is_sample(self) -> bool:
        """Whether it has replicates enough to show its own noise."""
        return self.stochastic and len(self.values) > 1

    @property
    def deviations(self) -> FloatArray:
        """Deviations from the mean, scaled to have the unbiased variance; shape [replicate, time]."""
        count = len(self.values)
        return np.asarray((self.values - self.mean) * np.sqrt(count / (count - 1)))


@dataclass(frozen=True, eq=False)
class Error:
    """The error of a difference of means: its variance at each time, shape [time], and its degrees of freedom."""

    variance: FloatArray
    freedom: float


def mean_error(ours: Side, reference: Side) -> Error | None:
    """Variance of the difference of means and Welch's degrees of freedom; None where the noise is unknown."""
    error = Error(np.zeros(ours.values.shape[1]), np.inf)
    for side, other in ((ours, reference), (reference, ours)):
        if not side.stochastic:
            continue
        if not side.is_sample:
            return _error_with_one_draw(other)
        own = Error(side.values.var(axis=0, ddof=1) / len(side.values), len(side.values) - 1)
        error = _sum(error, own)
    return error


def _error_with_one_draw(sample: Side) -> Error | None:
    """One draw against the mean of R draws of the same law: variance s^2 (1 + 1/R), with R - 1 degrees of freedom."""
    if not sample.is_sample:
        return None
    count = len(sample.values)
    return Error(sample.values.var(axis=0, ddof=1) * (1 + 1 / count), count - 1)


def _sum(first: Error, second: Error) -> Error:
    """Independent errors add; degrees of freedom by Welch and Satterthwaite, with variances averaged over time."""
    a, b = float(first.variance.mean()), float(second.variance.mean())
    spread = a**2 / first.freedom + b**2 / second.freedom
    freedom = (a + b) ** 2 / spread if spread > 0 else np.inf
    return Error(first.variance + second.variance, freedom)


def student_quantile(probability: float, freedom: float) -> float:
    """Quantile of Student's law; of the normal law for infinite degrees of freedom."""
    return float(stdtrit(min(freedom, 1e9), probability))


def half_width(ours: Side, reference: Side, generator: np.random.Generator) -> float | None:
    """Half of the 95 % interval of a difference of mean numbers (curves of one time); None where it is unknown.

    Means are nearly normal, so that Welch's interval holds; a single draw need not be, and takes the bootstrap.
    """
    error = mean_error(ours, reference)
    if error is None:
        return None
    if all(side.is_sample or not side.stochastic for side in (ours, reference)):
        return student_quantile((1 + LEVEL) / 2, error.freedom) * float(np.sqrt(error.variance[0]))
    noise = noise_curves(ours, reference, generator)
    return None if noise is None else distance_quantile(np.abs(noise[:, 0]), error.freedom)


def noise_curves(ours: Side, reference: Side, generator: np.random.Generator) -> FloatArray | None:
    """Bootstrap draws of the error of the difference of mean curves: shape [resample, time]; None where it is unknown."""
    first = _draws(ours, reference, generator)
    second = _draws(reference, ours, generator)
    return None if first is None or second is None else first - second


def _draws(side: Side, other: Side, generator: np.random.Generator) -> FloatArray | None:
    """Draws of the error of one side's mean, shape [resample or 1, time]."""
    if not side.stochastic:
        return np.zeros((1, side.values.shape[1]))
    if side.is_sample:
        count = len(side.values)
        chosen = generator.integers(count, size=(RESAMPLES, count)) + count * np.arange(RESAMPLES)[:, None]
        times_chosen = np.bincount(chosen.ravel(), minlength=RESAMPLES * count).reshape(RESAMPLES, count)
        return np.asarray(times_chosen / count @ side.deviations)
    if other.is_sample:
        return np.asarray(other.deviations[generator.integers(len(other.values), size=RESAMPLES)])
    return None


def distance_quantile(distances: FloatArray, freedom: float) -> float:
    """The 95 % quantile of noise distances of shape [resample], widened as Student's quantile is wider than the normal one.

    Without it, gaps would exceed the noise of 8 replicates about twice as often as the level says; with it, they do so
    less often than the level says where both sides have few replicates.
    """
    upper = (1 + LEVEL) / 2
    return float(np.quantile(distances, LEVEL)) * student_quantile(upper, freedom) / student_quantile(upper, np.inf)
