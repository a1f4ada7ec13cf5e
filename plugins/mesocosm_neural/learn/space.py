"""Coordinates of what is learned: places, the values that are recorded of them, and the space where these are compared.

recorded   value = place, or low + (high - low) / (1 + exp(-place)) for a quantity between two bounds
compared   a coordinate on a circle as the point of the circle, (cos, sin) times its radius; any other as it is
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mesocosm import Axis

Bounds = tuple[float, float]

AT_A_BOUND = 0.01
"""A value at a bound starts this share of the range away from it: the place of the bound itself is infinite."""


@dataclass(frozen=True)
class Space:
    """For each column: the circle that it goes round, (low, length), and the bounds that it lies between; None for none."""

    circles: tuple[Bounds | None, ...]
    bounds: tuple[Bounds | None, ...]

    @classmethod
    def of_box(cls, axes: Sequence[Axis]) -> Space:
        """The box of a diffusion: values are places."""
        circles = tuple((axis.low, axis.length) if axis.is_periodic else None for axis in axes)
        return cls(circles, (None,) * len(axes))

    @classmethod
    def of_ranges(cls, bounds: Sequence[Bounds | None]) -> Space:
        """Quantities, some of them between bounds."""
        return cls((None,) * len(bounds), tuple(bounds))

    def of(self, columns: slice) -> Space:
        """Some of the columns."""
        return Space(self.circles[columns], self.bounds[columns])

    def dimensions(self) -> list[slice]:
        """The dimensions of each column where distances are taken: two for a circle, else one."""
        widths = [1 if circle is None else 2 for circle in self.circles]
        return [slice(sum(widths[:at]), sum(widths[: at + 1])) for at in range(len(widths))]

    def values(self, places: torch.Tensor) -> torch.Tensor:
        """What is recorded at places, [..., column]."""
        columns = [
            column if bound is None else bound[0] + (bound[1] - bound[0]) * column.sigmoid()
            for column, bound in zip(places.unbind(dim=-1), self.bounds, strict=True)
        ]
        return torch.stack(columns, dim=-1)

    def places(self, values: torch.Tensor) -> torch.Tensor:
        """Places of recorded values, [..., column]; at most `AT_A_BOUND` from a bound."""
        columns = []
        for column, bound in zip(values.unbind(dim=-1), self.bounds, strict=True):
            share = column if bound is None else (column - bound[0]) / (bound[1] - bound[0])
            columns.append(column if bound is None else share.clamp(AT_A_BOUND, 1 - AT_A_BOUND).logit())
        return torch.stack(columns, dim=-1)

    def compared(self, values: torch.Tensor) -> torch.Tensor:
        """Values where distances are taken, [..., column] to [..., dimension]."""
        columns = []
        for column, circle in zip(values.unbind(dim=-1), self.circles, strict=True):
            if circle is None:
                columns.append(column)
            else:
                radius, angle = circle[1] / (2 * math.pi), 2 * math.pi * (column - circle[0]) / circle[1]
                columns += [radius * angle.cos(), radius * angle.sin()]
        return torch.stack(columns, dim=-1)
