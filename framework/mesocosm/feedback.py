"""Policies of diffusion games: a control for every time, place and field.

`state` is the place of agents, [..., axis], and controls are [..., axis]; rows are those of `mesocosm.Policy`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesocosm.diffusion import DiffusionGame
from mesocosm.errors import InputError
from mesocosm.policy import FloatArray, IntArray, Policy

_STEP = 1e-5
"""Of the numerical gradient of the myopic cost, as a share of the length of an axis."""


@dataclass(frozen=True, eq=False)
class Feedback(Policy):
    """A policy in closed form: `function(t, state, field)` gives the control."""

    function: Callable[[float, FloatArray, FloatArray], FloatArray]
    uses_field = True

    def control(self, t: float, row: IntArray, state: NDArray[np.generic], field: FloatArray | None) -> FloatArray:
        if field is None:
            raise InputError("no field", where="policy", rule="this policy looks at the field")
        return np.asarray(self.function(t, np.asarray(state, np.float64), field), np.float64)


@dataclass(frozen=True, eq=False)
class Unmoved(Policy):
    """The same control at every place."""

    value: float

    def control(self, t: float, row: IntArray, state: NDArray[np.generic], field: FloatArray | None) -> FloatArray:
        return np.full(state.shape, self.value)


@dataclass(frozen=True, eq=False)
class GridPolicy(Policy):
    """A table over time and a grid of places, linear in between and constant beyond.

    Attributes
    ----------
    times: shape [M], increasing. nodes: for each axis, its grid places, increasing. periods: for each axis, its length
        where it is periodic, else 0.
    values: shape [M, nodes of axis 0, nodes of axis 1..., axis].
    channel, origin: for a game that moves with the mean of contacts (`DiffusionGame.moves_with`): its channel, and where
        the mean was when the table was made; places are then taken relative to them. -1 where there is none.
    """

    times: FloatArray
    nodes: tuple[FloatArray, ...]
    periods: tuple[float, ...]
    values: FloatArray
    channel: int = -1
    origin: float = 0.0

    def __post_init__(self) -> None:
        expected = (len(self.times), *(len(places) for places in self.nodes), len(self.nodes))
        increasing = all(bool((np.diff(places) > 0).all()) for places in (self.times, *self.nodes))
        if self.values.shape != expected or not increasing or len(self.times) < 2:
            raise InputError(
                f"a table of shape {self.values.shape}",
                where="policy",
                rule=f"over increasing times and places it is {expected}, with at least two times",
            )

    @property
    def uses_field(self) -> bool:  # type: ignore[override]
        return self.channel >= 0

    def control(self, t: float, row: IntArray, state: NDArray[np.generic], field: FloatArray | None) -> FloatArray:
        places = np.asarray(state, np.float64)
        if self.channel >= 0:
            if field is None:
                raise InputError("no field", where="policy", rule="this policy looks at the field")
            places = places - (field[..., self.channel, None] - self.origin)
        last = len(self.times) - 1
        right = int(np.clip(np.searchsorted(self.times, t), 1, last))
        span = self.times[right] - self.times[right - 1]
        weight = float(np.clip((t - self.times[right - 1]) / span, 0.0, 1.0))
        table = (1.0 - weight) * self.values[right - 1] + weight * self.values[right]
        return self._between(table, places)

    def _between(self, table: FloatArray, places: FloatArray) -> FloatArray:
        """Multilinear interpolation of a table [nodes..., axis] at places [..., axis]."""
        corners: list[tuple[FloatArray, tuple[NDArray[np.int64], ...]]] = [(np.ones(places.shape[:-1]), ())]
        for number, (nodes, period) in enumerate(zip(self.nodes, self.periods, strict=True)):
            left, right, weight = _neighbours(nodes, period, places[..., number])
            corners = [
                (share * part, (*index, at))
                for share, index in corners
                for at, part in ((left, 1.0 - weight), (right, weight))
            ]
        result = np.zeros(places.shape)
        for share, index in corners:
            result += share[..., None] * table[index]
        return result


def _neighbours(
    nodes: FloatArray, period: float, places: FloatArray
) -> tuple[NDArray[np.int64], NDArray[np.int64], FloatArray]:
    """Node to the left and right of places, and the weight of the right one."""
    count = len(nodes)
    if period > 0:
        turned = nodes[0] + np.mod(places - nodes[0], period)
        left = np.clip(np.searchsorted(nodes, turned, side="right") - 1, 0, count - 1)
        right = (left + 1) % count
        ends = np.where(right == 0, nodes[0] + period, nodes[right])
        return left, right, (turned - nodes[left]) / (ends - nodes[left])
    left = np.clip(np.searchsorted(nodes, places, side="right") - 1, 0, count - 2)
    weight = np.clip((places - nodes[left]) / (nodes[left + 1] - nodes[left]), 0.0, 1.0)
    return left, left + 1, weight


@dataclass(frozen=True, eq=False)
class GradientFlow(Policy):
    """Myopic steepest descent: a = -gradient of the myopic cost of the game at one's place, within the control's range.

    This is what Thoeni, Bachrach, Kachman (arXiv 2504.13228) let agents do. It looks no further than now, and is no
    equilibrium; a run shows by how much it misses one.
    """

    game: DiffusionGame
    uses_field = True

    def control(self, t: float, row: IntArray, state: NDArray[np.generic], field: FloatArray | None) -> FloatArray:
        if field is None or self.game.control is None:
            raise InputError("no field, or no control", where="policy", rule="gradient_flow needs both")
        places = np.asarray(state, np.float64)
        result = np.empty(places.shape)
        for number, axis in enumerate(self.game.axes):
            shift = np.zeros(len(self.game.axes))
            shift[number] = _STEP * axis.length
            ahead, behind = (self.game.myopic_cost(t, places + sign * shift, field) for sign in (1.0, -1.0))
            result[..., number] = -(ahead - behind) / (2 * shift[number])
        return result.clip(self.game.control.minimum, self.game.control.maximum)
