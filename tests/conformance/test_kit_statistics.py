"""The comparisons of the kit: they find what they say, and raise no false alarm."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mesocosm.testing import ConformanceError
from mesocosm.testing.oracles import PairLaw, mean_field
from mesocosm.testing.statistics import require_equal_means, require_mean, require_spread, require_uncorrelated

TRIALS = 300


def alarms(compare: Callable[[np.random.Generator], None], seed: int) -> float:
    """The share of trials in which a comparison raises."""
    random, found = np.random.default_rng(seed), 0
    for _ in range(TRIALS):
        try:
            compare(random)
        except ConformanceError:
            found += 1
    return found / TRIALS


def correlated(random: np.random.Generator, count: int, correlation: float) -> np.ndarray:
    first = random.standard_normal(count)
    return np.stack([first, correlation * first + np.sqrt(1 - correlation**2) * random.standard_normal(count)], axis=1)


def pairs(random: np.random.Generator, beta: float) -> None:
    """What the rule about two nodes compares, with pairs drawn from the law itself at another beta."""
    times, count, draws = np.array([1.5, 3.0]), 100, 580
    law, true = PairLaw(1.0, 0.25).moments(times), PairLaw(beta, 0.25).moments(times)
    spread = np.sqrt(true[1] / count)
    sample = true[0] + spread * random.standard_normal((draws, *spread.shape))
    require_mean(sample, law[0], "shares", error=np.sqrt(law[1] / (count * draws)))


CASES = {
    "correlation of replicates": (lambda random, on: require_uncorrelated(correlated(random, 499, 0.33 * on), "x"), 1),
    "correlation of intervals": (lambda random, on: require_uncorrelated(correlated(random, 1500, 0.19 * on), "x"), 2),
    "variance": (
        lambda random, on: require_spread(np.sqrt(1 + 0.5 * on) * random.standard_normal((500, 1)), np.ones(1), "x"),
        3,
    ),
    "pairs": (lambda random, on: pairs(random, 1.0 + 0.05 * on), 4),
    "two samples": (
        lambda random, on: require_equal_means(
            random.standard_normal((400, 3)), random.standard_normal((400, 3)) + 0.55 * on, "x"
        ),
        5,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_comparison_finds_its_fault_and_nothing_else(case: str) -> None:
    """Catches a limit that is too wide for the power that is stated (0.99; 0.96 or more of 300 trials has a false alarm of
    1e-5), and one that is too narrow: no alarm in 300 trials without a fault."""
    compare, seed = CASES[case]
    assert alarms(lambda random: compare(random, 1.0), seed) >= 0.96
    assert alarms(lambda random: compare(random, 0.0), seed) == 0.0


def test_the_law_of_a_pair_has_its_closed_form() -> None:
    """Catches a wrong generator: the susceptible node escapes with 1 - beta/(beta+gamma) (1 - exp(-(beta+gamma) t)), and
    the node that starts infected recovers with 1 - exp(-gamma t)."""
    beta, gamma, times = 1.3, 0.4, np.array([0.0, 0.5, 2.0, 9.0])
    mean, variance = PairLaw(beta, gamma).moments(times)
    escapes = 1 - beta / (beta + gamma) * (1 - np.exp(-(beta + gamma) * times))
    np.testing.assert_allclose(mean[:, 0], escapes / 2, rtol=1e-12)
    np.testing.assert_allclose(variance[:, 0], escapes * (1 - escapes) / 4, atol=1e-14)
    np.testing.assert_allclose(mean.sum(axis=1), 1, rtol=1e-12)
    # Without infection, both are independent of each other.
    alone, _ = PairLaw(0.0, gamma).moments(times)
    np.testing.assert_allclose(alone[:, 2], (1 - np.exp(-gamma * times)) / 2, rtol=1e-12, atol=1e-15)


def test_the_mean_field_has_its_closed_form() -> None:
    """Catches a wrong equation: without recovery it is logistic, and R0 fixes the final size."""
    times = np.linspace(0.0, 8.0, 9)
    found = mean_field(1.2, 0.0, (0.9, 0.1, 0.0), times)
    np.testing.assert_allclose(found[:, 1], 1 / (1 + 9 * np.exp(-1.2 * times)), rtol=1e-8)
    final = mean_field(2.0, 1.0, (1 - 1e-6, 1e-6, 0.0), np.array([0.0, 200.0]))[-1, 2]
    assert final == pytest.approx(0.79681213, abs=2e-6)  # the root of r = 1 - exp(-2 r)
