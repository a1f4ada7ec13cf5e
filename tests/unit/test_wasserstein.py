"""Distances between distributions of places: known shifts, and the noise of the same norm."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from mesocosm.comparing import compare
from mesocosm.dynamics import Labelled, Trajectories
from mesocosm.marginals import LEVELS
from mesocosm.measures import largest_gap

TIMES = np.linspace(0.0, 1.0, 4)


def places(
    label: str, shift: float, spread: float, *, replicates: int = 1, size: int = 0, seed: int = 0
) -> Trajectories:
    """Normal places, by exact quantiles or those of `size` draws in every replicate; the shift grows with time."""
    if size:
        draws = np.random.default_rng(seed).normal(size=(replicates, len(TIMES), size)) * spread
        values = np.moveaxis(np.quantile(draws + shift * TIMES[None, :, None], LEVELS, axis=-1), 0, -1)
    else:
        values = (shift * TIMES[:, None] + spread * norm.ppf(LEVELS))[None]
    variables = {"quantile": Labelled(("replicate", "time", "axis", "level"), values[:, :, None])}
    coordinates = {"axis": ["x"], "level": LEVELS.tolist()}
    return Trajectories(label, "kind", TIMES, variables, coordinates, bool(size))


def rows(ours: Trajectories, truth: Trajectories):
    found = compare({truth.label: truth, ours.label: ours}, truth.label, seed=1).rows
    return {row.measure: row for row in found if row.observable == "x"}


def test_a_shift_is_as_far_as_it_shifts():
    """Would catch a mean over time instead of the largest distance, and levels mixed up with times."""
    found = rows(places("ours", 0.3, 1.0), places("truth", 0.0, 1.0))
    assert found["w1_gap"].gap == pytest.approx(0.3)
    assert found["w2_gap"].gap == pytest.approx(0.3)
    assert found["w1_gap"].exceeds_noise


def test_a_wider_spread_is_seen_although_the_means_agree():
    """W1 between normals of deviations 1 and 1.5 is .5 E|Z| = .3989; W2 is .5, both up to the tails beyond 2.5 %."""
    found = rows(places("ours", 0.0, 1.5), places("truth", 0.0, 1.0))
    assert found["w1_gap"].gap == pytest.approx(0.5 * np.abs(norm.ppf(LEVELS)).mean())
    assert found["w1_gap"].gap == pytest.approx(0.5 * np.sqrt(2 / np.pi), abs=0.02)
    assert found["w2_gap"].gap == pytest.approx(0.5, abs=0.04)


def test_noise_of_replicates_is_no_gap_and_a_real_shift_is():
    truth = places("truth", 0.0, 1.0)
    same = rows(places("ours", 0.0, 1.0, replicates=32, size=2000, seed=5), truth)
    moved = rows(places("ours", 0.2, 1.0, replicates=32, size=2000, seed=5), truth)
    assert not same["w1_gap"].exceeds_noise
    assert moved["w1_gap"].exceeds_noise
    assert moved["w1_gap"].low < 0.2 < moved["w1_gap"].high


def test_a_report_answers_with_the_distance_of_places():
    """Catches a report of diffusions that says nothing was compared."""
    truth, ours = places("truth", 0.0, 1.0), places("ours", 0.3, 1.0)
    row = largest_gap(compare({"truth": truth, "ours": ours}, "truth").rows, "ours")
    assert row is not None
    assert (row.measure, row.observable) == ("w1_gap", "x")
