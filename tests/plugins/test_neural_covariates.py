"""Covariates: how they are aligned, held, interpolated and standardised, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mesocosm import InputError, Labelled, Trajectories
from mesocosm_neural.learn.covariates import Covariates, SeenCovariates, read_covariates
from mesocosm_neural.learn.options import CovariatesOptions
from mesocosm_neural.learn.simulator import Cohort
from mesocosm_neural.learn.windows import Member

GAP = np.nan
STRICTNESS = np.array([[10.0, GAP, GAP, 40.0, GAP, 20.0, GAP]])


def table(**quantities: np.ndarray) -> Trajectories:
    variables = {name: Labelled(("replicate", "time"), values) for name, values in quantities.items()}
    times = np.arange(next(iter(quantities.values())).shape[1], dtype=float)
    return Trajectories("measures", "table", times, variables, {}, stochastic=True)


def read(
    series: int = 1, between: str = "hold", names: tuple[str, ...] | None = None, **each: np.ndarray
) -> Covariates:
    options = CovariatesOptions.model_validate({"from": "measures", "between": between, "names": names})
    return read_covariates(table(**each), options, series)


@pytest.mark.parametrize(
    ("between", "known", "wanted"),
    [
        ("hold", 6, [10, 10, 10, 40, 40, 20, 20]),
        ("hold", 4, [10, 10, 10, 40, 40, 40, 40]),
        ("hold", 2, [10, 10, 10, 10, 10, 10, 10]),
        ("linear", 6, [10, 20, 30, 40, 30, 20, 20]),
        ("linear", 4, [10, 20, 30, 40, 40, 40, 40]),
        ("linear", 2, [10, 10, 10, 10, 10, 10, 10]),
        ("linear", 99, [10, 20, 30, 40, 30, 20, 20]),
    ],
)
def test_gaps_are_filled_by_the_rule_from_what_is_known(between: str, known: int, wanted: list[float]) -> None:
    """Catches a later observation that shines through a gap, and a rule that is mixed up with the other."""
    covariates = read(between=between, strictness=STRICTNESS)
    np.testing.assert_allclose(covariates.until(known)[0, :, 0], wanted)


def test_within_an_interval_a_covariate_is_held_or_interpolated() -> None:
    """Catches a value of the wrong interval, of another path's start, and interpolation towards what is not there."""
    values = torch.tensor([[[[0.0], [1.0], [5.0]], [[7.0], [8.0], [8.5]]]])
    series, starts = torch.tensor([0, 1, 0]), torch.tensor([0, 0, 1])
    for linear, wanted in ((False, [0.0, 7.0, 1.0]), (True, [0.25, 7.25, 2.0])):
        seen = Cohort(series, starts, values, linear).seen(0, 2.0)
        assert seen is not None
        np.testing.assert_allclose(seen(0.5)[:, 0], wanted)
    late = Cohort(series, starts, values, True).seen(2, 2.0)
    assert late is not None
    np.testing.assert_allclose(late(1.0)[:, 0], [5.0, 8.5, 5.0])


def test_networks_see_them_standardised_over_what_they_may_see() -> None:
    """Catches scales that look ahead, and an effect of something that never varied while it was watched."""
    games = np.array([[0.0, 0.0, 0.0, 0.0, 1.0, 1.0]] * 2)
    doses = np.array([[0.0, 2.0, 4.0, 9.0, 9.0, 9.0], [10.0, 12.0, 14.0, 0.0, 0.0, 0.0]])
    covariates = read(series=2, doses=doses, games=games)
    members = [Member(0, 2, (0, 1)), Member(0, 5, (0,))]
    seen = SeenCovariates(covariates, members, torch.zeros(1, dtype=torch.float64))((5, 5)).numpy()
    window = doses[:, :3]
    np.testing.assert_allclose(seen[0, :, :, 0], (doses - window.mean()) / window.std())
    np.testing.assert_array_equal(seen[0, :, :, 1], 0.0)
    np.testing.assert_allclose(seen[1, 0, :, 1], (games[0] - 1 / 3) / games[0].std())


def test_one_record_is_that_of_all_series() -> None:
    """Catches a second series without covariates."""
    covariates = read(series=3, strictness=STRICTNESS, other=STRICTNESS + 1.0, names=("strictness",))
    assert covariates.names == ("strictness",)
    assert covariates.values.shape == (3, 7, 1)
    np.testing.assert_array_equal(covariates.values[2, :, 0], STRICTNESS[0])


@pytest.mark.parametrize(
    ("values", "series", "names", "words"),
    [
        (np.array([[GAP, 3.0, 4.0]]), 1, None, "'strictness' of series 0 is first known at time 1"),
        (np.array([[GAP, GAP]]), 1, None, "never known"),
        (np.array([[1.0, 2.0], [1.0, 2.0]]), 3, None, "2 series of covariates for 3"),
        (np.array([[1.0, 2.0]]), 1, ("stringency",), "there: strictness"),
    ],
)
def test_what_cannot_be_used_is_said(
    values: np.ndarray, series: int, names: tuple[str, ...] | None, words: str
) -> None:
    """Catches a value that is made up before the first observation, and a misspelt name."""
    with pytest.raises(InputError, match=words):
        read(series=series, strictness=values, names=names)
