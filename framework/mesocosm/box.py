"""Where a diffusion lives: a box of one or two axes, what happens at its sides, and how agents are spread at time 0.

Sides are `absorbing` (an agent that reaches it leaves and pays the exit cost), `reflecting`, `periodic` (both sides of an
axis, the same point), or `open`: the axis goes on without end, and the box says which part of it a grid must cover.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from mesocosm.errors import InputError

FloatArray = NDArray[np.float64]

SIDES = ("absorbing", "reflecting", "periodic", "open")


@dataclass(frozen=True)
class Axis:
    """One coordinate of the state, from `low` to `high`, and its two sides, each one of `SIDES`."""

    name: str
    low: float
    high: float
    lower: str = "reflecting"
    upper: str = "reflecting"

    def __post_init__(self) -> None:
        where = f"axis '{self.name}'"
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise InputError(f"from {self.low:g} to {self.high:g}", where=where, rule="finite, low below high")
        for side in (self.lower, self.upper):
            if side not in SIDES:
                raise InputError(f"side '{side}'", where=where, rule=f"one of {', '.join(SIDES)}")
        if (self.lower == "periodic") != (self.upper == "periodic"):
            raise InputError("one periodic side", where=where, rule="both sides of an axis are periodic, or none")

    @property
    def length(self) -> float:
        """From side to side."""
        return self.high - self.low

    @property
    def is_periodic(self) -> bool:
        """Whether both sides are the same point."""
        return self.lower == "periodic"


@dataclass(frozen=True)
class Door:
    """A part of a reflecting side through which agents leave, in two dimensions: there it is absorbing.

    `axis` is the number of the axis whose `upper` (or lower) side has the door; it spans [`start`, `stop`] of the other.
    """

    axis: int
    upper: bool
    start: float
    stop: float


class Law(ABC):
    """The distribution of agents at time 0."""

    @abstractmethod
    def sample(self, random: np.random.Generator, count: int) -> FloatArray:
        """Independent draws, shape [count, axis]."""

    @abstractmethod
    def masses(self, edges: Sequence[FloatArray]) -> FloatArray:
        """Probability of every cell of a grid, shape [cells of axis 0, cells of axis 1...], summing to 1.

        `edges` are the increasing cell borders of each axis. What lies beyond the outer edges is counted in the outermost
        cells, except for a `Point`, which is split between the two nearest cell centres in each axis, so that its mean
        is kept.
        """


@dataclass(frozen=True)
class Point(Law):
    """Everyone at one place."""

    at: tuple[float, ...]

    def sample(self, random: np.random.Generator, count: int) -> FloatArray:
        return np.tile(np.asarray(self.at, np.float64), (count, 1))

    def masses(self, edges: Sequence[FloatArray]) -> FloatArray:
        return _outer([_split(borders, place) for borders, place in zip(edges, self.at, strict=True)])


@dataclass(frozen=True)
class Normal(Law):
    """Independent normal coordinates, with `mean` and standard deviation `deviation` for each axis."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def sample(self, random: np.random.Generator, count: int) -> FloatArray:
        draws = random.standard_normal((count, len(self.mean)))
        return np.asarray(self.mean, np.float64) + np.asarray(self.deviation, np.float64) * draws

    def masses(self, edges: Sequence[FloatArray]) -> FloatArray:
        return _outer(
            [
                _between(ndtr((borders - mean) / deviation))
                for borders, mean, deviation in zip(edges, self.mean, self.deviation, strict=True)
            ]
        )


@dataclass(frozen=True)
class Uniform(Law):
    """Uniform on a box, [low, high] for each axis."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    def sample(self, random: np.random.Generator, count: int) -> FloatArray:
        return np.asarray(random.uniform(self.low, self.high, (count, len(self.low))), np.float64)

    def masses(self, edges: Sequence[FloatArray]) -> FloatArray:
        return _outer(
            [
                _between(np.clip((borders - low) / (high - low), 0.0, 1.0))
                for borders, low, high in zip(edges, self.low, self.high, strict=True)
            ]
        )


def _between(cumulative: FloatArray) -> FloatArray:
    """Masses of cells from the cumulative distribution at their edges; the tails go to the outermost cells."""
    inner = cumulative.copy()
    inner[0], inner[-1] = 0.0, 1.0
    return np.diff(inner)


def _split(edges: FloatArray, place: float) -> FloatArray:
    """Mass 1 at `place`, split between the two nearest cell centres in inverse proportion to their distances."""
    centres = (edges[1:] + edges[:-1]) / 2
    masses = np.zeros(len(centres))
    if len(centres) == 1:
        masses[0] = 1.0
        return masses
    left = int(np.clip(np.searchsorted(centres, place) - 1, 0, len(centres) - 2))
    share = float(np.clip((place - centres[left]) / (centres[left + 1] - centres[left]), 0.0, 1.0))
    masses[left], masses[left + 1] = 1.0 - share, share
    return masses


def _outer(parts: Sequence[FloatArray]) -> FloatArray:
    result = parts[0]
    for part in parts[1:]:
        result = result[..., None] * part
    return result
