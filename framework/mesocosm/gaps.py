"""Sizes of differences between curves over time, and between distributions over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def largest(curves: FloatArray) -> FloatArray:
    """Largest size over time: [..., time] to [...]."""
    return np.asarray(np.abs(curves).max(axis=-1))


def root_mean_square(curves: FloatArray) -> FloatArray:
    """Root mean square over time: [..., time] to [...]."""
    return np.asarray(np.sqrt((curves**2).mean(axis=-1)))


def flat(values: FloatArray) -> FloatArray:
    """Quantiles [replicate, time, level] as curves [replicate, time * level]."""
    return values.reshape(len(values), -1)


def largest_wasserstein(differences: FloatArray, shape: tuple[int, int], order: int) -> FloatArray:
    """Largest over time of the distance of order 1 or 2: differences of quantiles [..., time * level] to [...]."""
    by_level = np.abs(differences.reshape(*differences.shape[:-1], *shape))
    distances = by_level.mean(axis=-1) if order == 1 else np.sqrt((by_level**2).mean(axis=-1))
    return np.asarray(distances.max(axis=-1))
