"""The equilibrium of a game in discrete time, as the end of a path of regularised equilibria.

The system of `discrete_newton` has one easily found solution where the weights of the pull to the initial guess are large, and
is the game itself where they are nearly zero (`END`). Three ways lead down, each tried where the one before fails:

    jump     semismooth Newton from the last point at a smaller weight, at `END` at once to begin with
    follow   the path from point to point, by arc length: a step along the tangent, back to the path by Newton's method, and
             from one smooth piece to the next exactly where a y changes its sign; the path may turn around
    wave     where following comes to a standstill (a game whose flow is chaotic: the path winds at all late times at once),
             take the weights down for one time after the other, from the first to the last: what is early hardly depends on
             what is late, and what is late has one equilibrium as long as its weights are not down

Each yields the policy that it has come to. Sources: Allgower and Georg, Introduction to Numerical Continuation Methods (2003),
chapters 6 and 12 (arc length; piecewise smooth paths); Robinson 1992 as in `discrete_newton`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesocosm_mfg.discrete_flow import Evaluation, as_policy
from mesocosm_mfg.discrete_newton import ACCURATE, ComplementaritySystem, Point

FloatArray = NDArray[np.float64]

END = 1e-12
"""Weight that counts as none: what it leaves of exploitability is less, relative to costs."""

NEWTON_STEPS, START_STEPS = 10, 30
"""Most Newton steps of a jump, and of the first point of the path."""

SHORTEST_JUMP = 0.5
"""Share of the weight that a jump has to leave at most; from there on the path is followed, and jumps start anew."""

LONGEST, SHORTEST = 2.0, 1e-9
"""Bounds of a step along the path, in units of probability."""

VALUE_WEIGHT = 0.1
"""Of cost to come in the length of a step."""

FLIPS = 4
"""The path winds where a y changes its sign that often."""

MOST_POINTS = 1000
"""On one path."""

WAVES = ((1.05, 1), (1.25, 1), (1.05, 2), (1.5, 1), (1.25, 3))
"""Attempts: the weight from which a wave starts, relative to where following stood still, and how many times go together."""

Stage = tuple[FloatArray, Evaluation]


def follow_path(system: ComplementaritySystem) -> Iterator[Stage]:
    """Policies ever nearer to an equilibrium, with their evaluations; ends at one, or where no way leads on."""
    with np.errstate(all="ignore"):
        everywhere = np.ones(system.times, bool)
        direct = system.newton(system.start(END), np.full(system.times, END), NEWTON_STEPS)
        if direct is not None:
            yield reached(system, direct)
            return
        point, weight = None, 1.0
        while point is None and weight < 1e6:
            weight *= 10.0
            point = system.newton(system.start(weight), np.full(system.times, weight), START_STEPS)
        if point is None:
            return
        factor = 0.1
        while point.weights[0] > END:
            target = max(END, point.weights[0] * factor)
            there = system.newton(point, np.full(system.times, target), NEWTON_STEPS)
            factor = factor**2 if there else factor**0.5
            if there is None and factor < SHORTEST_JUMP:
                continue
            if there is None:
                path = Path(system, everywhere, point.weights[0] * SHORTEST_JUMP)
                there = path.follow(point, patient=False)
                if there is None:
                    yield reached(system, path.points[-1])
                    yield from waves(system, path.points)
                    return
            point = there
            yield reached(system, point)


def waves(system: ComplementaritySystem, points: list[Point]) -> Iterator[Stage]:
    """Waves from points of a path that stood still at its last one, until one arrives; failing that, the path to its end."""
    for above, together in WAVES:
        level = above * points[-1].weights[0]
        point = next((item for item in reversed(points) if item.weights[0] >= level), points[0])
        for first in range(0, system.times, together):
            moving = np.zeros(system.times, bool)
            moving[first : first + together] = True
            there = system.newton(point, np.where(moving, END, point.weights), NEWTON_STEPS)
            there = there or Path(system, moving, END).follow(point, patient=True)
            if there is None:
                break
            point = there
            yield reached(system, point)
        else:
            return
    there = Path(system, np.ones(system.times, bool), END).follow(points[-1], patient=True)
    if there is not None:
        yield reached(system, there)


def reached(system: ComplementaritySystem, point: Point) -> Stage:
    """The policy of a point, against its own flow."""
    policy = as_policy(system.policy(point.values))
    return policy, system.model.evaluate(policy)


@dataclass(eq=False)
class Path:
    """The path on which the weights at the times `moving` [time] go down together to `target`; `points` are those visited."""

    system: ComplementaritySystem
    moving: NDArray[np.bool_]
    target: float

    def __post_init__(self) -> None:
        self.points: list[Point] = []
        system = self.system
        self.metric = np.ones((system.times, system.width))
        self.metric[:, system.states : 2 * system.states] = VALUE_WEIGHT**2
        self.rates = self.moving.astype(float)

    def follow(self, point: Point, *, patient: bool) -> Point | None:
        """The first point at the target; None where the path stands still, or after too many points."""
        self.points = [point]
        self.played = self.system.policy(point.values) > 0.0
        self.kink: tuple[int, float] | None = None
        self.tangent: tuple[FloatArray, float] | None = None
        self.step = 0.1
        self.flips = np.zeros(self.played.size, np.int64)
        while len(self.points) <= MOST_POINTS and (patient or self.flips.max() < FLIPS):
            found = self._advance(self.points[-1])
            if found is None:
                return None
            self.points.append(found)
            if self._level(found) <= self.target:
                return found
        return None

    def _level(self, point: Point) -> float:
        return float(point.weights[self.moving][0])

    def _weights(self, point: Point, level: float) -> FloatArray:
        return np.where(self.moving, level, point.weights)

    def _direction(self, point: Point) -> tuple[FloatArray, float]:
        """The unit tangent at a point, (unknowns, level): onwards through the last kink, or as before; at first, down."""
        system = self.system
        band = system.matrix(point.values, self.played, point.weights)
        ahead = -system.solve(band, system.pulled(point.values, self.played, self.rates))[0]
        length = float(np.sqrt((self.metric * ahead**2).sum() + 1.0))
        ahead, level = ahead / length, 1.0 / length
        if self.kink is not None:
            index, sign = self.kink
            forward = system.policy(ahead).ravel()[index] * sign
        elif self.tangent is not None:
            forward = float((self.metric * ahead * self.tangent[0]).sum()) + level * self.tangent[1]
        else:
            forward = -level
        return (ahead, level) if forward > 0.0 else (-ahead, -level)

    def _advance(self, point: Point) -> Point | None:
        """The next point: at the end of a step, at the next kink, or at the target. None where no step is short enough."""
        system = self.system
        self.tangent = self._direction(point)
        signs = np.where(self.played, 1.0, -1.0).ravel()
        while self.step > SHORTEST:
            room, kink = self._room(point, signs)
            length, lands = min(self.step, room), False
            level = self._level(point) + length * self.tangent[1]
            if self.tangent[1] < 0.0 and level <= self.target:
                length, lands = (self.target - self._level(point)) / self.tangent[1], True
            hits = room <= self.step and not lands
            found = self._correct(point, length, kink if hits else None, lands=lands)
            if found is not None:
                y = system.policy(found[0].values).ravel() * signs
                wrong = y < -ACCURATE
                if hits:
                    wrong[kink] = False
                if not wrong.any():
                    if hits:
                        self.kink = (kink, -signs[kink])
                        self.played.ravel()[kink] ^= True
                        self.flips[kink] += 1
                    else:
                        self.kink = None
                    if found[1] <= 3:
                        self.step = min(2.0 * self.step, LONGEST)
                    return found[0]
            self.step = length / 2.0
        return None

    def _room(self, point: Point, signs: FloatArray) -> tuple[float, int]:
        """How far it is along the tangent to where a y changes its sign, and which one; the last kink is behind."""
        assert self.tangent is not None
        y = self.system.policy(point.values).ravel() * signs
        speed = self.system.policy(self.tangent[0]).ravel() * signs
        room = np.where(speed < -1e-14, np.maximum(-y / np.where(speed == 0.0, 1.0, speed), 0.0), np.inf)
        if self.kink is not None:
            room[self.kink[0]] = np.inf
        return float(room.min()), int(room.argmin())

    def _correct(self, point: Point, length: float, kink: int | None, *, lands: bool) -> tuple[Point, int] | None:
        """The path near the end of a step: at right angles to it, or where y of `kink` is 0, or at the level of the end."""
        assert self.tangent is not None
        system, (ahead, descent) = self.system, self.tangent
        values, level = point.values + length * ahead, self._level(point) + length * descent
        for count in range(6):
            weights = self._weights(point, level)
            found = system.residual(values, self.played, weights)
            size = float(np.abs(found).max())
            if size < ACCURATE:
                return Point(values, weights), count
            if not size < 1e3:
                return None
            pulled, band = system.pulled(values, self.played, self.rates), system.matrix(values, self.played, weights)
            own, by_level = -system.solve(band, found, pulled)
            if lands:
                shift = 0.0
            elif kink is not None:
                y, change, slope = (system.policy(item).ravel()[kink] for item in (values, own, by_level))
                shift = float(-(y + change) / slope)
            else:
                across = self.metric * ahead
                shift = float(-(across * own).sum() / ((across * by_level).sum() + descent))
            values, level = values + own + by_level * shift, level + shift
        return None
