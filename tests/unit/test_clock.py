"""Horizon, save grid, inner steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesocosm import Clock, InputError, substeps


def test_saves_are_whole_multiples_from_0_to_end() -> None:
    """Catches a grid that drifts by adding up a step that has no exact binary value."""
    clock = Clock(100.0, 0.1)
    assert len(clock.times) == 1001
    assert np.array_equal(clock.times, np.linspace(0, 100, 1001))
    assert clock.times[-1] == 100.0


def test_intervals_join_and_may_start_later() -> None:
    """Catches a gap or overlap between intervals, and numbers that restart after a resume."""
    clock = Clock(3.0, 0.5)
    intervals = list(clock.intervals())
    assert [interval.index for interval in intervals] == list(range(6))
    assert [interval.start for interval in intervals[1:]] == [interval.stop for interval in intervals[:-1]]
    assert (intervals[0].start, intervals[-1].stop) == (0.0, 3.0)
    assert list(clock.intervals(4)) == intervals[4:]


@pytest.mark.parametrize(
    ("end", "save_every"),
    [(10, 3), (1, 2), (0, 1), (-1, 1), (1, 0), (1, -1), (math.inf, 1), (math.nan, 1), (1, math.nan), (1, 0.3)],
)
def test_what_does_not_fit_is_refused(end: float, save_every: float) -> None:
    """Catches a horizon that is silently moved to a multiple of the save interval."""
    with pytest.raises(InputError, match="time: "):
        Clock(end, save_every)


def test_the_number_of_a_save() -> None:
    """Catches an index off by one, and a time between saves that is silently rounded."""
    clock = Clock(2.0, 0.1)
    assert [clock.index_of(float(time)) for time in clock.times] == list(range(21))
    with pytest.raises(InputError, match=r"the nearest is 0\.3"):
        clock.index_of(0.32)


@settings(deadline=None)
@given(st.floats(0, 1e3), st.floats(1e-2, 1e3), st.floats(1e-3, 1e3))
def test_inner_steps_fill_the_interval(start: float, length: float, step: float) -> None:
    """Catches a step longer than allowed, a last step that is cut, and more steps than needed."""
    stop = start + length
    count, taken = substeps(start, stop, step)
    assert count * taken == pytest.approx(stop - start, rel=1e-12)
    assert taken <= step * (1 + 1e-8)
    assert count == 1 or (stop - start) / (count - 1) > step * (1 - 1e-8)


def test_a_step_that_divides_the_interval_is_kept() -> None:
    """Catches one step too many from rounding: 1 / 0.1 must be ten steps."""
    assert substeps(0.0, 1.0, 0.1) == (10, 0.1)
    assert substeps(2.0, 3.0, 5.0) == (1, 1.0)
