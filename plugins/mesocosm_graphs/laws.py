"""Laws of degrees as tables. Infinite laws are cut where the probability beyond is below 1e-16, and scaled to sum 1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mesocosm import DegreeLaw
from mesocosm_graphs.degree_options import Fixed, NegativeBinomial, Poisson, PowerLaw, Table

IntArray = NDArray[np.int64]

TAIL = 1e-16


def degree_law(degrees: Poisson | Fixed | NegativeBinomial | PowerLaw | Table | tuple[int, ...]) -> DegreeLaw:
    """The table of a law; of a list of degrees, how often each of them stands in it."""
    if isinstance(degrees, Poisson):
        return truncated(stats.poisson(degrees.poisson))
    if isinstance(degrees, Fixed):
        return fixed_law(degrees.fixed)
    if isinstance(degrees, NegativeBinomial):
        law = degrees.negative_binomial
        return truncated(stats.nbinom(law.dispersion, law.dispersion / (law.dispersion + law.mean)))
    if isinstance(degrees, PowerLaw):
        bounds = degrees.power_law
        support = np.arange(bounds.minimum, bounds.maximum + 1, dtype=np.float64)
        return scaled(support, (support / bounds.minimum) ** -bounds.exponent)
    if isinstance(degrees, Table):
        order = np.argsort(degrees.values)
        return scaled(np.array(degrees.values, np.float64)[order], np.array(degrees.shares)[order])
    values, counts = np.unique(np.array(degrees, np.int64), return_counts=True)
    return scaled(values.astype(np.float64), counts.astype(np.float64))


def fixed_law(degree: int) -> DegreeLaw:
    """All nodes have this degree."""
    return DegreeLaw(np.array([float(degree)]), np.ones(1))


def binomial_law(trials: int, probability: float) -> DegreeLaw:
    """Degrees of an Erdos-Renyi graph with trials + 1 nodes."""
    return fixed_law(trials) if probability >= 1 else truncated(stats.binom(trials, probability))


def truncated(law: Any) -> DegreeLaw:
    """A law of scipy on 0, 1, .. without what lies beyond a probability of 1e-16 at either end.

    The quantiles of scipy are not used: near 1 they are good to 1e-16 only, which is the tail itself.
    """
    middle, width = float(law.mean()), 10.0 * float(law.std()) + 10.0
    while law.sf(middle + width) >= TAIL:
        width *= 2.0
    support = np.arange(max(int(middle - width), 0), int(middle + width) + 1, dtype=np.float64)
    kept = support[(law.cdf(support) >= TAIL) & (law.sf(support - 1) >= TAIL)]
    return scaled(kept, law.pmf(kept))


def scaled(values: NDArray[np.float64], shares: NDArray[np.float64]) -> DegreeLaw:
    """Shares that sum to 1, without those that are zero."""
    present = shares > 0
    return DegreeLaw(values[present], shares[present] / shares[present].sum())


def draw_degrees(law: DegreeLaw, nodes: int, generator: np.random.Generator) -> IntArray:
    """Independent degrees with this law, shape [nodes]."""
    bounds = np.cumsum(law.shares)
    bounds[-1] = 1.0
    return law.degrees.astype(np.int64)[np.searchsorted(bounds, generator.random(nodes), side="right")]
