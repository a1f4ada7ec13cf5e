"""Statistical comparisons with a false-alarm rate that is stated: FALSE_ALARM for each number compared.

Samples have a fixed seed, so that a check either passes or fails, always. The sizes of samples in the rules are chosen so
that the fault that a rule states is found with probability 0.99 or more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from mesocosm.testing.check import ConformanceError

FloatArray = NDArray[np.float64]

FALSE_ALARM = 1e-6
"""Probability that a number that is right counts as wrong; a rule compares a few dozen."""

LIMIT = float(norm.isf(FALSE_ALARM / 2))
"""Standard errors beyond which a number counts as wrong: 4.9."""


def require_mean(sample: FloatArray, expected: FloatArray, what: str, *, error: FloatArray | None = None) -> None:
    """The mean of independent draws is what it should be.

    Parameters
    ----------
    sample: shape [draw, ...]. expected: shape [...].
    error: exact standard error of the mean, shape [...]; by default it is estimated, with Student's law.
    """
    mean, limit = sample.mean(axis=0), LIMIT
    if error is None:
        error = sample.std(axis=0, ddof=1) / np.sqrt(len(sample))
        limit = float(t.isf(FALSE_ALARM / 2, len(sample) - 1))
    _require(mean, np.broadcast_to(expected, mean.shape), error, limit, what, "it should be")


def require_equal_means(first: FloatArray, second: FloatArray, what: str) -> None:
    """Two samples of independent draws, [draw, ...] each, have the same mean (Welch's test)."""
    one, other = (sample.var(axis=0, ddof=1) / len(sample) for sample in (first, second))
    freedom = min(len(first), len(second)) - 1
    limit = float(t.isf(FALSE_ALARM / 2, freedom))
    _require(first.mean(axis=0), second.mean(axis=0), np.sqrt(one + other), limit, what, "and the other")


def require_spread(sample: FloatArray, variance: FloatArray, what: str) -> None:
    """Independent draws, [draw, ...], have a given variance, [...]: chi-square, for draws that are nearly normal."""
    count = len(sample)
    ratio = sample.var(axis=0, ddof=1) / variance
    # A sum of many agents is nearly normal, so that the variance of a variance is 2 / (n - 1).
    _require(ratio, np.ones_like(ratio), np.sqrt(np.full_like(ratio, 2 / (count - 1))), LIMIT, what, "it should be")


def require_uncorrelated(pairs: FloatArray, what: str) -> None:
    """Two columns, [pair, 2], of independent pairs have no correlation."""
    found = float(np.asarray(np.corrcoef(pairs, rowvar=False))[0, 1])
    if abs(found) * np.sqrt(len(pairs)) > LIMIT or np.isnan(found):
        raise ConformanceError(
            f"{what} have a correlation of {found:.3f} in {len(pairs)} pairs: {abs(found) * np.sqrt(len(pairs)):.1f} "
            f"standard errors from 0, {LIMIT:.1f} are allowed"
        )


def _require(found: FloatArray, expected: FloatArray, error: FloatArray, limit: float, what: str, should: str) -> None:
    # Below rounding there is no error to measure: what has no spread must be equal.
    gap = np.abs(found - expected) / np.maximum(error, 1e-12)
    if not (gap <= limit).all():
        worst = np.unravel_index(int(np.nanargmax(np.where(np.isnan(gap), np.inf, gap))), gap.shape)
        raise ConformanceError(
            f"{what} is {found[worst]:.5g}, {should} {expected[worst]:.5g}: "
            f"{gap[worst]:.1f} standard errors apart, {limit:.1f} are allowed"
        )
