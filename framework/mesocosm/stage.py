"""Stage games: everyone acts once, at the same time, and the outcome of all decides what each one pays.

A one-shot game is played once; a repeated game once at every save, a *round*. A round has these steps:

    action    a number a_i in the range of the control (a time to leave, a probability to go)
    outcome   y_i, drawn given the action (the time of arrival, whether one went)
    field     z_i, from the emissions of the contacts' outcomes       signals s, numbers that all outcomes decide together
    cost      c(y_i, z_i, s)

Save number k holds round k: round 0 is played at time 0. Signals are those of the whole population, on any graph.

In mean field the population plays one action, outcomes have its law, and `limit` gives the signals. An equilibrium is an
action that costs least when all others play it; a game states it in closed form, with its source.

A policy is a constant action, or a `LearningRule`, under which agents learn from round to round.

A complete game: guess half of what the others guess on average (Ledoux 1981), with a trembling hand.

>>> import numpy as np
>>> from mesocosm import Control, StageGame
>>> class HalfTheMean(StageGame):
...     channels = ("guess",)
...     normalise = "mean"
...     signals = ("mean",)
...     control = Control("guess", (), 0.0, 100.0, neutral=50.0)
...     def draw(self, random, action):
...         return action + random.standard_normal(action.shape)
...     def emission(self, outcome):
...         return outcome[..., None]
...     def find_signals(self, outcome):
...         return np.array([outcome.mean()])
...     def cost(self, outcome, field, signals):
...         return (outcome - signals[0] / 2) ** 2
...     def deviating_cost(self, action, others, field):
...         size = len(others) + 1
...         share = 1 - 0.5 / size
...         return (share * action - others.sum() / (2 * size)) ** 2 + share**2
...     def limit(self, action):
...         return np.array([action])
...     def expected_cost(self, action, signals):
...         return (action - signals[0] / 2) ** 2 + 1.0
...     def equilibrium(self):
...         return 0.0
>>> float(HalfTheMean().expected_cost(np.array(0.0), HalfTheMean().limit(0.0)))
1.0
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mesocosm.errors import InputError
from mesocosm.game import Control, Game
from mesocosm.policy import IntArray, Policy

FloatArray = NDArray[np.float64]
Memory = tuple[NDArray[np.float64], ...]
"""What the agents of one population remember between rounds: arrays, each of one or more dimensions."""


_POINTS = 801
"""Actions that the search for the least cost starts from, ends of the range included."""

_TIE = 1e-12
"""Costs that differ by less, relative to their size, count as equal."""


class StageGame(Game):
    """A game of simultaneous actions. See the module docstring for a complete example.

    Shapes: actions, outcomes and costs [N] or [...], fields [..., channel], signals [signal].
    """

    control: Control

    signals: ClassVar[tuple[str, ...]] = ()
    """Names of the numbers that the outcomes of all decide together."""

    @abstractmethod
    def draw(self, random: np.random.Generator, action: FloatArray) -> FloatArray:
        """Outcomes of agents that play these actions, [N] to [N], independent of each other."""

    @abstractmethod
    def emission(self, outcome: FloatArray) -> FloatArray:
        """What an outcome exposes to contacts, [...] to [..., channel]."""

    @abstractmethod
    def find_signals(self, outcome: FloatArray) -> FloatArray:
        """The signals of a population, [N] to [signal]."""

    @abstractmethod
    def cost(self, outcome: FloatArray, field: FloatArray, signals: FloatArray) -> FloatArray:
        """What an agent pays: [...]."""

    @abstractmethod
    def deviating_cost(self, action: FloatArray, others: FloatArray, field: FloatArray) -> FloatArray:
        """Expected cost of one agent that plays an action against given outcomes of all others: [K] to [K].

        `others` is [N - 1], `field` [channel] what that agent receives. The expectation is over its own outcome, which
        counts in the signals too.
        """

    @abstractmethod
    def limit(self, action: float) -> FloatArray:
        """The signals of an infinite population that plays one action, [signal]."""

    @abstractmethod
    def expected_cost(self, action: FloatArray, signals: FloatArray) -> FloatArray:
        """Expected cost of actions of one agent in an infinite population with these signals, [...] to [...]."""

    @abstractmethod
    def equilibrium(self) -> float:
        """The symmetric equilibrium action of an infinite population. Errors: `InputError` where there is none."""

    def best_response(self, action: float, signals: FloatArray) -> tuple[float, float]:
        """The action that costs least against an infinite population with these signals, and its cost.

        It is `action` itself where that ties. The best of 801 points over the range of the control, refined between its
        neighbours by bounded search; exact where the cost has one valley there.
        """
        from scipy.optimize import minimize_scalar

        points = np.linspace(self.control.minimum, self.control.maximum, _POINTS)
        costs = self.expected_cost(points, signals)
        at = int(costs.argmin())
        low, high = points[max(0, at - 1)], points[min(_POINTS - 1, at + 1)]
        found = minimize_scalar(
            lambda a: float(self.expected_cost(np.array(a), signals)),
            bounds=(low, high),
            method="bounded",
            options={"xatol": 1e-10},
        )
        own = float(self.expected_cost(np.array(action), signals))
        least, best = min((float(costs[at]), float(points[at])), (float(found.fun), float(found.x)))
        if own <= least + _TIE * max(1.0, abs(least)):
            return action, min(own, least)
        return best, least

    @property
    def trials(self) -> FloatArray:
        """Actions that a deviating agent tries, [K]; 41 over the range of the control unless overridden."""
        return np.linspace(self.control.minimum, self.control.maximum, 41)

    def scalars(self, outcome: FloatArray, signals: FloatArray) -> Mapping[str, float]:
        """Numbers of this game that a round reports for a population of outcomes [N]; always the same names."""
        return {name: float(value) for name, value in zip(self.signals, signals, strict=True)}

    def limit_scalars(self, action: float, signals: FloatArray) -> Mapping[str, float]:
        """The same numbers for an infinite population that plays one action."""
        return {name: float(value) for name, value in zip(self.signals, signals, strict=True)}

    def constants(self, size: int) -> Mapping[str, float]:
        """Numbers that are known before anyone plays, for a population of `size`; none unless overridden."""
        return {}

    @property
    def tables(self) -> int:
        """How many unlike populations play, each at its own table: replicate r is table r mod `tables`.

        0, where there is one kind of population only, of the size that the scenario says.
        """
        return 0

    def at(self, replicate: int, round_number: int) -> StageGame:
        """The game that a replicate plays in a round; this one unless overridden, for a game with tables."""
        return self

    def players(self, replicate: int, size: int) -> int:
        """How many of the population of `size` play in a replicate; all unless overridden, for a game with tables."""
        return size

    @property
    def has_costs(self) -> bool:
        """True: a stage game is about costs."""
        return True


class LearningRule(Policy):
    """A policy of agents that remember: what they play in a round depends on the rounds before."""

    @property
    @abstractmethod
    def first_action(self) -> float:
        """The mean action of the first round."""

    @abstractmethod
    def begin(self, random: np.random.Generator, size: int) -> Memory:
        """What `size` agents remember before the first round."""

    @abstractmethod
    def act(self, random: np.random.Generator, memory: Memory, size: int) -> FloatArray:
        """The actions of a round, [size]."""

    @abstractmethod
    def learn(
        self, random: np.random.Generator, memory: Memory, outcome: FloatArray, field: FloatArray, signals: FloatArray
    ) -> Memory:
        """What agents remember after a round with outcomes [N], fields [N, channel] and signals [signal]."""

    def next_action(self, action: float, signals: FloatArray) -> float:
        """The action after `action` in an infinite population. Errors: `InputError` where there is no such map."""
        raise InputError(
            "agents that learn each in its own way have no mean field of one action",
            where="policy",
            rule="play them with agent_based",
        )

    def control(self, t: float, row: IntArray, state: IntArray, field: FloatArray | None) -> FloatArray:
        """The mean action of the first round, everywhere: a rule has no fixed control."""
        return np.full(np.broadcast_shapes(np.shape(row), np.shape(state)), self.first_action)
