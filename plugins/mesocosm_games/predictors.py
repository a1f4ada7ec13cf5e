"""How people learn in the repeated El Farol problem: Arthur's bags of predictors, and logit choice.

**Predictors** (Arthur, American Economic Review 84, 406, 1994). A predictor maps the attendances of past rounds to a guess
of the next one. Each agent holds a bag of them, drawn at random without repetition from a family of 30, in shares of N:

    cycle L    the attendance L rounds ago, L = 1..8 (L = 1: same as last time)
    mirror L   one minus that, L = 1..8
    mean m     the mean of the last m rounds, m = 2..8
    trend m    the straight line through the last m rounds, one round on, cut to [0, 1], m = 2..8

Every predictor is scored on every round, trusted or not: error' = memory * error + (1 - memory) * |guess - attendance|. An
agent trusts the predictor of its bag with the least error (the first of them where they tie), and goes if it predicts no
more people than the bar holds. Before the first round, the history is 8 draws from the uniform distribution, the same for all.

**Logit**. An agent believes that the bar is uncrowded with probability b, expects b G + (1-b) B from going, and goes with
probability logistic(beta (expectation - S)). It starts from b = 1/2, and after each round b' = b + rate (uncrowded - b). In
an infinite population this is a deterministic map of the share that goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from mesocosm import LearningRule

if TYPE_CHECKING:
    from mesocosm_games.el_farol import ElFarol

FloatArray = NDArray[np.float64]
Memory = tuple[FloatArray, ...]

DEPTH = 8
"""Rounds that predictors look back."""

FAMILY = tuple(
    [f"cycle {lag}" for lag in range(1, DEPTH + 1)]
    + [f"mirror {lag}" for lag in range(1, DEPTH + 1)]
    + [f"mean {length}" for length in range(2, DEPTH + 1)]
    + [f"trend {length}" for length in range(2, DEPTH + 1)]
)
"""Names of all predictors, in the order of `guesses`."""


def _weights() -> FloatArray:
    """Weights of past attendances, the last one first, in every predictor that is linear: [predictor, DEPTH]."""
    rows: list[FloatArray] = [*np.eye(DEPTH), *-np.eye(DEPTH)]
    rows += [np.where(np.arange(DEPTH) < length, 1 / length, 0.0) for length in range(2, DEPTH + 1)]
    for length in range(2, DEPTH + 1):
        ages = np.arange(length) - (length - 1) / 2
        slope = -ages / (ages**2).sum()
        row = np.zeros(DEPTH)
        row[:length] = 1 / length + slope * (length + 1) / 2
        rows.append(row)
    return np.stack(rows)


_WEIGHTS = _weights()
_OFFSETS = np.array([1.0 if name.startswith("mirror") else 0.0 for name in FAMILY])


def guesses(history: FloatArray) -> FloatArray:
    """What every predictor of the family expects, [predictor], from the last attendances [DEPTH], the last one first."""
    return np.asarray(np.clip(_WEIGHTS @ history + _OFFSETS, 0.0, 1.0), np.float64)


@dataclass(frozen=True, eq=False)
class Predictors(LearningRule):
    """Arthur's agents. Memory: the history [DEPTH], the errors of the family [30], the bags [N, bag]."""

    game: ElFarol

    @property
    def first_action(self) -> float:
        return self.game.control.neutral

    def begin(self, random: np.random.Generator, size: int) -> Memory:
        history = random.random(DEPTH)
        order = random.random((size, len(FAMILY))).argsort(axis=1)
        bags = order[:, : self.game.options.predictors.bag].astype(np.float64)
        return history, np.zeros(len(FAMILY)), bags

    def act(self, random: np.random.Generator, memory: Memory, size: int) -> FloatArray:
        history, errors, bags = memory
        numbers = bags.astype(np.int64)
        trusted = numbers[np.arange(size), errors[numbers].argmin(axis=1)]
        goes = guesses(history)[trusted] <= self.game.share_held(size)
        return np.asarray(goes, np.float64)

    def learn(
        self, random: np.random.Generator, memory: Memory, outcome: FloatArray, field: FloatArray, signals: FloatArray
    ) -> Memory:
        history, errors, bags = memory
        past = self.game.options.predictors.memory
        missed = np.abs(guesses(history) - signals[0])
        return np.concatenate([signals[:1], history[:-1]]), past * errors + (1 - past) * missed, bags


@dataclass(frozen=True, eq=False)
class Logit(LearningRule):
    """Logit choice. Memory: the belief of every agent, [N]."""

    game: ElFarol

    @cached_property
    def _scale(self) -> tuple[float, float]:
        """Slope and offset of beta (b G + (1-b) B - S) as a function of b."""
        payoffs, beta = self.game.options.payoffs, self.game.options.logit.sensitivity
        return beta * (payoffs.uncrowded - payoffs.crowded), beta * (payoffs.crowded - payoffs.home)

    def _going(self, belief: FloatArray) -> FloatArray:
        slope, offset = self._scale
        return np.asarray(expit(slope * belief + offset), np.float64)

    @property
    def first_action(self) -> float:
        return float(self._going(np.array(0.5)))

    def begin(self, random: np.random.Generator, size: int) -> Memory:
        return (np.full(size, 0.5),)

    def act(self, random: np.random.Generator, memory: Memory, size: int) -> FloatArray:
        return self._going(memory[0])

    def learn(
        self, random: np.random.Generator, memory: Memory, outcome: FloatArray, field: FloatArray, signals: FloatArray
    ) -> Memory:
        uncrowded = float(not self.game.is_crowded(signals[0], len(outcome)))
        return (memory[0] + self.game.options.logit.rate * (uncrowded - memory[0]),)

    def next_action(self, action: float, signals: FloatArray) -> float:
        slope, offset = self._scale
        belief = (float(logit(action)) - offset) / slope
        uncrowded = 1.0 - self.game.limit_crowded(float(signals[0]))
        return float(self._going(np.array(belief + self.game.options.logit.rate * (uncrowded - belief))))
