"""What the sides of the box do to one step of Brownian motion, start and end of which are known.

Open: nothing. Periodic: the place is wrapped. Reflecting: the end is mirrored at the side, the symmetrised Euler scheme of
weak order one (Bossy, Gobet, Talay, J. Appl. Probab. 41, 877, 2004). Absorbing: between its two ends the path is a
Brownian bridge, which reaches a wall at distance d0 from the start and d1 from the end, both inside, with probability
exp(-2 d0 d1 / (sigma^2 h)), and surely where the end is beyond (Gobet, Stoch. Process. Appl. 87, 167, 2000). The time tau at
which it does has, with v = tau / (h - tau), the inverse Gaussian law of mean d0 / |d1| and shape d0^2 / (sigma^2 h): the
density of reaching the wall in tau times that of going on to the end in h - tau. So for constant coefficients leaving has
no error of the step at all. The place along the wall is a bridge too. Several walls are treated as if far apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from mesocosm import Axis, DiffusionGame
from mesocosm_agents.arrays import BoolArray, FloatArray

_LEAST = 1e-100
"""Stands for a variance of zero, so that it divides."""

_FAR = 20.0
"""d0 d1 / (sigma^2 h) beyond which a bridge does not reach the wall: the chance is below exp(-40), the least of draws."""


@dataclass(frozen=True)
class Exit:
    """A side of an axis at `level`, or the part of it between `start` and `stop` of the other axis, that absorbs."""

    axis: int
    upper: bool
    level: float
    start: float = -np.inf
    stop: float = np.inf

    def distance(self, places: FloatArray) -> FloatArray:
        """Distance from the wall, positive inside: shapes [..., axis] to [...]."""
        away = places[..., self.axis] - self.level
        return np.asarray(-away if self.upper else away)


@dataclass(frozen=True, eq=False)
class Walls:
    """The sides of the box of one game."""

    game: DiffusionGame

    @cached_property
    def exits(self) -> tuple[Exit, ...]:
        """Absorbing sides, then doors."""
        found = []
        for number, axis in enumerate(self.game.axes):
            found += [Exit(number, False, axis.low)] if axis.lower == "absorbing" else []
            found += [Exit(number, True, axis.high)] if axis.upper == "absorbing" else []
        for door in self.game.doors:
            axis = self.game.axes[door.axis]
            found.append(Exit(door.axis, door.upper, axis.high if door.upper else axis.low, door.start, door.stop))
        return tuple(found)

    def contain(self, places: FloatArray) -> FloatArray:
        """Places beyond periodic and reflecting sides, brought back: shape [..., axis]. Absorbing sides are not crossed."""
        return np.stack([_contained(axis, places[..., number]) for number, axis in enumerate(self.game.axes)], axis=-1)

    def begin(self, places: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Where agents are at time 0, [..., axis], and who of them has left at once: on an absorbing wall or beyond it."""
        left = np.zeros(places.shape[:-1], np.bool_)
        for way in self.exits:
            left |= (way.distance(places) <= 0) & self._is_open(way, places)
        return self.contain(places), left

    def cross(
        self,
        start: FloatArray,
        end: FloatArray,
        variance: FloatArray,
        length: float,
        inside: BoolArray,
        uniforms: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        """Where agents are after a step, and when within it they left, in [0, length]; infinite for those who stay.

        Parameters: `start` and `end`, [..., axis], the ends of the free step; `variance`, [..., axis], sigma^2; `inside`
        [...], who takes part; `uniforms` [..., exit, 1 + axis], fresh draws. Returns [..., axis] and [...].
        """
        first, places = np.full(start.shape[:-1], np.inf), self.contain(end)
        for number, way in enumerate(self.exits):
            before, after = way.distance(start).clip(0.0), way.distance(end)
            spread = np.maximum(variance[..., way.axis] * length, _LEAST)
            near = np.nonzero(inside & (before * after < _FAR * spread))
            chance = np.exp(-2 * before[near] * after[near].clip(0.0) / spread[near])
            reached = uniforms[..., number, 0][near] < chance
            who = tuple(index[reached] for index in near)
            if len(who[0]):
                # Given that the bridge reaches the wall, uniform / chance is uniform again.
                again = uniforms[who][:, number, 0] / chance[reached]
                normals = ndtri(np.maximum(uniforms[who][:, number, 1:], _LEAST))
                share = _passage(before[who], np.abs(after[who]), spread[who], normals[:, 0], again)
                found = self._exit_places(way, start[who], end[who], variance[who] * length, share, normals[:, -1])
                leaving = self._is_open(way, found) & (share * length < first[who])
                gone = tuple(index[leaving] for index in who)
                first[gone], places[gone] = share[leaving] * length, found[leaving]
        return places, first

    def _exit_places(
        self,
        way: Exit,
        start: FloatArray,
        end: FloatArray,
        spread: FloatArray,
        share: FloatArray,
        normals: FloatArray,
    ) -> FloatArray:
        """Where bridges from `start` to `end`, of variance `spread` [K, axis], are at a share of the step, on a wall."""
        places = np.full(start.shape, way.level)
        if len(self.game.axes) == 2:
            along = 1 - way.axis
            width = np.sqrt(spread[:, along] * share * (1 - share))
            places[:, along] = start[:, along] * (1 - share) + end[:, along] * share + width * normals
        return self.contain(places)

    def _is_open(self, way: Exit, places: FloatArray) -> BoolArray:
        """Whether places on the wall of an exit, [..., axis], are within it."""
        if len(self.game.axes) == 1:
            return np.ones(places.shape[:-1], np.bool_)
        along = places[..., 1 - way.axis]
        return np.asarray((along >= way.start) & (along <= way.stop))


def _passage(
    before: FloatArray, after: FloatArray, spread: FloatArray, normal: FloatArray, uniform: FloatArray
) -> FloatArray:
    """Share of the step after which a bridge first reaches the wall: tau / h in [0, 1], all of shape [K].

    The inverse Gaussian v is drawn as in Michael, Schucany, Haas, Am. Stat. 30, 88 (1976), in a form that is stable where
    its mean is large; tau / h = v / (1 + v).
    """
    distance = np.maximum(after, 1e-12 * before + _LEAST)
    mean, shape = before / distance, np.maximum(before**2 / spread, _LEAST)
    excess = mean * normal**2 / (2 * shape)
    smaller = 1.0 / (1 + excess + np.sqrt(excess**2 + 2 * excess))
    drawn = mean * np.where(uniform * (1 + smaller) <= 1.0, smaller, 1 / smaller)
    return np.asarray(drawn / (1 + drawn), np.float64)


def _contained(axis: Axis, places: FloatArray) -> FloatArray:
    """One coordinate, wrapped or mirrored."""
    if axis.is_periodic:
        return np.asarray(axis.low + np.mod(places - axis.low, axis.length))
    if axis.lower == "reflecting" and axis.upper == "reflecting":
        turned = np.mod(places - axis.low, 2 * axis.length)
        return np.asarray(axis.low + np.minimum(turned, 2 * axis.length - turned))
    if axis.lower == "reflecting":
        places = axis.low + np.abs(places - axis.low)
    if axis.upper == "reflecting":
        places = axis.high - np.abs(axis.high - places)
    low = axis.low if axis.lower == "absorbing" else -np.inf
    high = axis.high if axis.upper == "absorbing" else np.inf
    return np.asarray(places.clip(low, high))
