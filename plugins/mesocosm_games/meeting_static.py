"""The static meeting game: when to arrive, if one arrives a little earlier or later than one means to.

Each agent chooses a time tau and arrives at X = tau + sigma eps, eps standard normal. The meeting starts at
T = max(t, time at which a share theta has arrived). Arriving at s costs

    c(s) = c1 (s-t)+ + c2 (s-T)+ + c3 (T-s)+            reputation, inconvenience, waiting

With G(d) = d Phi(d) + phi(d), the expectation of (d + eps)+, the expected cost and its slope are

    C(tau)  = sigma [c1 G((tau-t)/sigma) + c2 G((tau-T)/sigma) + c3 G((T-tau)/sigma)]
    C'(tau) = c1 Phi((tau-t)/sigma) + (c2+c3) Phi((tau-T)/sigma) - c3

C is convex. With r = (c3 theta - c2 (1-theta))/c1 the equilibrium is

    1-theta < r < 1    tau = t + sigma Phi^-1(r),                 T = tau + sigma Phi^-1(theta), later than t
    r <= 1-theta       tau = t + sigma Phi^-1(c3/(c1+c2+c3)),     T = t: the best response to a start on schedule
    r >= 1             none: whenever the others mean to come, it pays to come later

Source: Gueant, Lasry, Lions, Mean Field Games and Applications (2011), section 2; the second line is the root of C' at T = t.
Times are in the scenario's unit, costs in cost per unit of time times that unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from mesocosm import ConstantPolicy, Control, InputError, LearningRule, Policy, StageGame
from mesocosm_games.meeting_options import MeetingOptions

FloatArray = NDArray[np.float64]
Memory = tuple[FloatArray, ...]

REACH = 20.0
"""Choices lie within so many sigma of the schedule."""


class StaticMeeting(StageGame):
    """Choose when to arrive. See the module docstring for equations and source.

    Scalars of a round: `start_time` T, `arrived_on_schedule` (the share there by t), `median_arrival`.
    Policies: `mean_field`, the equilibrium; `gradient_flow`, everyone follows the slope of its own expected cost.
    """

    channels: ClassVar[tuple[str, ...]] = ("arrival",)
    normalise: ClassVar[str] = "mean"
    signals: ClassVar[tuple[str, ...]] = ("start_time",)

    def __init__(self, options: MeetingOptions) -> None:
        self.options = options
        t, reach = options.scheduled, REACH * options.sigma
        self.control = Control("arrival", (), t - reach, t + reach, neutral=t)
        self.ratio = (
            options.waiting * options.quorum - options.inconvenience * (1 - options.quorum)
        ) / options.reputation
        if options.waiting <= 0:
            raise InputError(
                "waiting 0",
                rule="the static meeting has no equilibrium where waiting costs nothing: earlier is always better",
            )
        if self.ratio >= 1:
            raise InputError(
                f"r = (waiting * quorum - inconvenience * (1 - quorum)) / reputation = {self.ratio:g}",
                rule="the static meeting has no equilibrium for r >= 1: whenever others mean to come, it pays to come later",
                hint="raise reputation or inconvenience, or lower waiting or quorum",
            )

    def policies(self, size: int, horizon: float) -> Mapping[str, Policy]:
        return {"mean_field": ConstantPolicy.of(self.equilibrium()), "gradient_flow": GradientSteps(self)}

    def draw(self, random: np.random.Generator, action: FloatArray) -> FloatArray:
        return action + self.options.sigma * random.standard_normal(action.shape)

    def emission(self, outcome: FloatArray) -> FloatArray:
        return outcome[..., None]

    def needed(self, size: int) -> int:
        """How many of `size` agents make the quorum: theta N, rounded up."""
        return max(1, math.ceil(self.options.quorum * size * (1 - 1e-12)))

    def find_signals(self, outcome: FloatArray) -> FloatArray:
        number = self.needed(len(outcome)) - 1
        return np.array([max(self.options.scheduled, np.partition(outcome, number)[number])])

    def cost(self, outcome: FloatArray, field: FloatArray, signals: FloatArray) -> FloatArray:
        o = self.options
        late, after, early = outcome - o.scheduled, outcome - signals[0], signals[0] - outcome
        total = o.reputation * late.clip(0) + o.inconvenience * after.clip(0) + o.waiting * early.clip(0)
        return np.asarray(total, np.float64)

    def deviating_cost(self, action: FloatArray, others: FloatArray, field: FloatArray) -> FloatArray:
        """T is one's own arrival y, cut to what the others leave open: with A and B the arrivals of the others next to the
        quorum, T = clip(y, max(t, A), max(t, B)), so one waits before the first and is late after the second."""
        number, t = self.needed(len(others) + 1), self.options.scheduled
        ordered = np.sort(others)
        first = max(t, ordered[number - 2]) if number >= 2 else t
        last = max(t, ordered[number - 1]) if number <= len(ordered) else np.inf
        return self._expected(action, first, last)

    def limit(self, action: float) -> FloatArray:
        return np.array([max(self.options.scheduled, action + self.options.sigma * float(ndtri(self.options.quorum)))])

    def expected_cost(self, action: FloatArray, signals: FloatArray) -> FloatArray:
        return self._expected(action, float(signals[0]), float(signals[0]))

    def slope(self, action: FloatArray, start: float) -> FloatArray:
        """C'(tau), by how much the expected cost rises with the choice while the start stays: [...] to [...]."""
        o = self.options
        late, after = ndtr((action - o.scheduled) / o.sigma), ndtr((action - start) / o.sigma)
        return np.asarray(o.reputation * late + (o.inconvenience + o.waiting) * after - o.waiting, np.float64)

    def equilibrium(self) -> float:
        o = self.options
        on_schedule = self.ratio <= 1 - o.quorum
        share = o.waiting / (o.reputation + o.inconvenience + o.waiting) if on_schedule else self.ratio
        return o.scheduled + o.sigma * float(ndtri(share))

    @property
    def trials(self) -> FloatArray:
        """Within four sigma of the schedule, a twentieth of sigma apart."""
        return self.options.scheduled + self.options.sigma * np.linspace(-4.0, 4.0, 161)

    def scalars(self, outcome: FloatArray, signals: FloatArray) -> Mapping[str, float]:
        return {
            "start_time": float(signals[0]),
            "arrived_on_schedule": float((outcome <= self.options.scheduled).mean()),
            "median_arrival": float(np.median(outcome)),
        }

    def limit_scalars(self, action: float, signals: FloatArray) -> Mapping[str, float]:
        on_schedule = float(ndtr((self.options.scheduled - action) / self.options.sigma))
        return {"start_time": float(signals[0]), "arrived_on_schedule": on_schedule, "median_arrival": action}

    def _expected(self, action: FloatArray, first: float, last: float) -> FloatArray:
        """Expected cost where one waits until `first`, and is late for the meeting after `last`."""
        o = self.options
        total = o.reputation * _mean_excess((action - o.scheduled) / o.sigma)
        total += o.inconvenience * _mean_excess((action - last) / o.sigma)
        total += o.waiting * _mean_excess((first - action) / o.sigma)
        return np.asarray(o.sigma * total, np.float64)


@dataclass(frozen=True, eq=False)
class GradientSteps(LearningRule):
    """After each round an agent moves its choice by -flow_rate C'(tau), with the start as it was in that round.

    This is what Thoeni, Bachrach, Kachman (arXiv 2504.13228) let agents do. Everyone starts from the schedule. In an infinite
    population it comes to rest where C' = 0, the equilibrium; among N agents the start varies, and it rests nearby.
    """

    game: StaticMeeting

    @property
    def first_action(self) -> float:
        return self.game.control.neutral

    def begin(self, random: np.random.Generator, size: int) -> Memory:
        return (np.full(size, self.first_action),)

    def act(self, random: np.random.Generator, memory: Memory, size: int) -> FloatArray:
        return memory[0]

    def learn(
        self, random: np.random.Generator, memory: Memory, outcome: FloatArray, field: FloatArray, signals: FloatArray
    ) -> Memory:
        return (self._moved(memory[0], float(signals[0])),)

    def next_action(self, action: float, signals: FloatArray) -> float:
        return float(self._moved(np.array(action), float(signals[0])))

    def _moved(self, action: FloatArray, start: float) -> FloatArray:
        control = self.game.control
        moved = action - self.game.options.flow_rate * self.game.slope(action, start)
        return moved.clip(control.minimum, control.maximum)


def _mean_excess(d: FloatArray) -> FloatArray:
    """E (d + eps)+ of a standard normal eps: d Phi(d) + phi(d); 0 at minus infinity."""
    low = np.maximum(d, -40.0)
    return np.asarray(low * ndtr(low) + np.exp(-0.5 * low * low) / math.sqrt(2 * math.pi), np.float64)
