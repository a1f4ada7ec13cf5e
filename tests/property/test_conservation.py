"""No mass is lost and none is negative, whatever the drift, noise, step, grid and sides.

Catches a scheme that is only stable for small steps, and an elimination that loses digits where masses are tiny.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mesocosm import Axis, DiffusionField, DiffusionGame, Door, Point

SIDES = st.sampled_from([("absorbing",) * 2, ("reflecting",) * 2, ("periodic",) * 2, ("reflecting", "absorbing")])
SIZES = st.floats(-8, 4).map(lambda power: 10.0**power)


class Wind(DiffusionGame):
    """Drift and noise that change over the box and in time."""

    channels = ("nothing",)
    normalise = "mean"

    def __init__(self, sides: list[tuple[str, str]], speed: float, spread: float, at: float) -> None:
        self.axes = tuple(Axis(name, 0.0, 1.0, *pair) for name, pair in zip("xy", sides, strict=False))
        closed = len(sides) == 2 and sides[0] == ("reflecting", "reflecting")
        self.doors = (Door(0, True, 0.21, 0.64),) if closed else ()
        self.start = Point((at,) * len(sides))
        self.speed, self.spread = speed, spread

    def drift(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return self.speed * np.sin(9 * state + 5 * t)

    def noise(self, t: Any, state: Any, field: Any) -> Any:
        return self.spread * np.cos(7 * state) ** 2

    def emission(self, t: Any, state: Any, control: Any) -> Any:
        return 0.0 * state[..., :1]


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    st.lists(SIDES, min_size=1, max_size=2), st.floats(-1e4, 1e4), st.one_of(st.just(0.0), SIZES), SIZES,
    st.integers(8, 40), st.floats(0, 1), st.integers(1, 3),
)  # fmt: skip
def test_mass_and_positivity(
    sides: list[tuple[str, str]], speed: float, spread: float, step: float, cells: int, at: float, parts: int
) -> None:
    game = Wind(sides, speed, spread, at)
    model = DiffusionField(game, (cells, 9)[: len(sides)], np.linspace(0.0, 12 * step, 13), parts=parts)
    flow = model.flow(model.neutral())
    total = flow.masses.reshape(13, -1).sum(axis=-1) + flow.left.sum(axis=-1)
    assert np.abs(total - 1).max() < 1e-12
    assert flow.masses.min() >= 0
    assert np.diff(flow.left, axis=0).min(initial=0.0) >= 0


def test_long_flow() -> None:
    """Thousands of steps add up to no more than 1e-12."""
    game = Wind([("absorbing", "absorbing")], 3.0, 0.8, 0.3)
    model = DiffusionField(game, (400,), np.linspace(0.0, 5.0, 4001), parts=4)
    flow = model.flow(model.neutral())
    assert np.abs(flow.masses.sum(axis=-1) + flow.left.sum(axis=-1) - 1).max() < 1e-12
