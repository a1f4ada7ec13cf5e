"""Options of quantities, and the steps that they ask for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from mesocosm_data.options import QuantityOptions
from mesocosm_data.quantities import filled_before, lagged, running_total, trailing_sum

NAN = np.nan


@pytest.mark.parametrize(
    ("quantity", "words"),
    [
        ({}, "either column or between"),
        ({"column": "a", "between": [1, 2]}, "either column or between"),
        ({"between": [2, 1]}, "the first comes after the last"),
        ({"between": [1, "2021-01-01"]}, "two dates, or two numbers"),
        ({"between": [1, 2], "smooth": 2}, "smooth: leave it out beside between"),
        ({"column": "a", "equals": "x", "over": 2}, "leave minus, over and absolute out"),
        ({"column": "a", "difference": True, "cumulative": True}, "undo each other"),
        ({"column": "a", "negative": "missing"}, "it is about difference"),
        ({"column": "a", "equals": True}, "needs quotes"),
    ],
)
def test_options_of_a_quantity_that_contradict_each_other(quantity: dict[str, Any], words: str) -> None:
    """Catches an option that would be ignored, and text that YAML reads as true or false."""
    with pytest.raises(ValidationError, match=words):
        QuantityOptions.model_validate(quantity)


def test_options_survive_json() -> None:
    """Catches cells, dates and numbers that come back from a run folder as something else."""
    given = {"between": ["2021-07-23", "2021-08-08"]}, {"column": "a", "equals": 3}, {"column": "a", "over": 2}
    for option in map(QuantityOptions.model_validate, given):
        assert QuantityOptions.model_validate_json(option.model_dump_json(), strict=True) == option


def test_steps_over_time() -> None:
    """Catches replicates that are mixed, and arrays that are shorter than a window or a lag."""
    values = np.array([[NAN, 1.0, 2.0], [4.0, NAN, 6.0]])
    np.testing.assert_array_equal(running_total(values), [[NAN, 1, 3], [4, NAN, NAN]])
    np.testing.assert_array_equal(trailing_sum(values, 2), [[NAN, NAN, 3], [NAN, NAN, NAN]])
    np.testing.assert_array_equal(trailing_sum(values, 9), np.full((2, 3), NAN))
    np.testing.assert_array_equal(lagged(values, 1), [[NAN, NAN, 1], [NAN, 4, NAN]])
    np.testing.assert_array_equal(lagged(values, 9), np.full((2, 3), NAN))
    np.testing.assert_array_equal(filled_before(values, 0.0), [[0, 1, 2], [4, NAN, 6]])
    np.testing.assert_array_equal(filled_before(np.full((1, 2), NAN), 0.0), [[NAN, NAN]])
