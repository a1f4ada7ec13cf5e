"""Named random streams: independent of order, of other labels, and of each other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mesocosm import Streams


def test_the_derivation_has_not_changed() -> None:
    """Catches any change of how streams come from seeds, which would silently change every result.

    The values were computed once with this code: they say that it is the same, not that it is right.
    """
    streams = Streams(7, "agents")
    assert streams.integer("transitions", interval=3, replicate=2) == 4538857134017235648
    assert streams.generator("initial").random(2).tolist() == [0.06573229431672889, 0.2703721482806897]


def test_streams_do_not_depend_on_what_was_drawn_before() -> None:
    """Catches a shared generator behind the streams."""
    first = Streams(1, "a")
    first.generator("x").random(1000)
    first.generator("y", interval=5).normal(size=10)
    assert np.array_equal(
        first.generator("x", interval=2).random(5), Streams(1, "a").generator("x", interval=2).random(5)
    )


def test_every_part_of_the_name_matters() -> None:
    """Catches a part left out of the hash, and parts that run together (label 1 and interval 11, or 11 and 1)."""
    names = itertools.product((1, 11, 111), ("a", "a1", "b"), ("x", "1"), (0, 1, 11), (0, 1, 11))
    seeds = [
        Streams(seed, label).integer(purpose, interval=interval, replicate=replicate)
        for seed, label, purpose, interval, replicate in names
    ]
    assert len(set(seeds)) == len(seeds) == 162


def test_another_label_with_the_same_seed() -> None:
    """Catches a relabelling that keeps the old label, or that loses the seed."""
    assert Streams(3, "a").relabelled("b") == Streams(3, "b")


def test_seeds_for_other_libraries_are_63_bits() -> None:
    """Catches a seed that overflows a signed integer: 256 draws would show a 64th bit but for a chance of 2**-256."""
    drawn = [Streams(1, "a").integer("x", interval=number) for number in range(256)]
    assert min(drawn) >= 0
    assert max(drawn).bit_length() == 63


@pytest.mark.parametrize("vary", ["interval", "replicate", "seed", "label"])
def test_neighbouring_streams_are_uncorrelated(vary: str) -> None:
    """Catches streams that share numbers or are correlated when one part of the name moves by one.

    200 streams of 500 normal numbers: the 199 correlations of neighbours have variance 1/500, so that their mean has a
    standard error of 0.0032 and the largest is below 5 standard deviations (0.224) but for a chance of 1e-4. A correlation of
    0.013 on average would be seen.
    """

    def draw(number: int) -> np.ndarray:
        streams = Streams(number if vary == "seed" else 5, f"label{number}" if vary == "label" else "label")
        names = {vary: number} if vary in ("interval", "replicate") else {}
        return streams.generator("noise", **names).normal(size=500)

    drawn = np.stack([draw(number) for number in range(200)])
    correlations = np.array([np.corrcoef(a, b)[0, 1] for a, b in itertools.pairwise(drawn)])
    assert abs(correlations.mean()) < 4 / np.sqrt(500 * 199)
    assert np.abs(correlations).max() < 5 / np.sqrt(500)
