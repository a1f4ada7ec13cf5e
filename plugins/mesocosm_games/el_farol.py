"""The El Farol bar problem: go to the bar, or stay at home, not knowing who else goes.

Of N people, K = floor(capacity * N) fit into the bar. A night there is worth G where at most K people come and B where more
do; a night at home is worth S, with G > S > B. Costs are negative payoffs, per person and round. The action is the
probability to go.

One shot, the symmetric mixed equilibrium p* makes everyone indifferent:

    P(Bin(N-1, p) <= K-1) = (S-B)/(G-B)      so 1 - p* is the (S-B)/(G-B) quantile of the Beta distribution (N-K, K)
    infinite population: p* = K/N            attendance then has standard deviation sqrt(k (1-k) / N), k = K/N

In the infinite population the payoff jumps where attendance equals the capacity. There the bar counts as uncrowded with
probability (S-B)/(G-B), the limit of the N-player equilibria, at which people are indifferent.

Sources: Arthur, American Economic Review 84, 406 (1994); the equilibrium is the indifference of a binomial entry game
(Selten and Gueth 1982). The bar is one for all: attendance is that of the whole population, on any graph. Contacts see who
went, as the field `going`, which nothing here depends on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from mesocosm import ConstantPolicy, Control, InputError, Policy, StageGame
from mesocosm_games.groups import read_groups
from mesocosm_games.predictors import Logit, Predictors
from mesocosm_games.stage_options import ElFarolOptions

FloatArray = NDArray[np.float64]

GUARD = 1e-9
"""Added to a share before it is rounded down to people, so that 0.6 of 10 are 6; also what equals the capacity."""


class ElFarol(StageGame):
    """Go, or stay. See the module docstring for equations and source.

    Scalars of a round: `attendance`, the share that goes, and `imbalance`, by how far it is from the capacity, |attendance -
    capacity|, in shares of the population. Constant: `equilibrium_probability`, p* of that many people.

    Policies: `n_player`, p* of as many people as play; `mean_field`, K/N; with `form: repeated` also `predictors` and `logit`.
    Under `none`, who knows nothing of the others tosses a coin: 1/2.
    """

    channels: ClassVar[tuple[str, ...]] = ("going",)
    normalise: ClassVar[str] = "mean"
    signals: ClassVar[tuple[str, ...]] = ("attendance",)

    def __init__(self, options: ElFarolOptions) -> None:
        self.options = options
        self.capacity = options.capacity
        self.control = Control("going", (), 0.0, 1.0, neutral=0.5)
        self.groups = read_groups(options.groups) if options.groups else ()
        self._at: dict[tuple[int, int], _Table] = {}

    @cached_property
    def indifference(self) -> float:
        """(S-B)/(G-B): how likely the bar must be uncrowded for one to be indifferent."""
        payoffs = self.options.payoffs
        return (payoffs.home - payoffs.crowded) / (payoffs.uncrowded - payoffs.crowded)

    def places(self, size: int) -> int:
        """K, how many of `size` people fit into the bar."""
        return math.floor((self.capacity + GUARD) * size)

    def share_held(self, size: int) -> float:
        """K/N."""
        return self.places(size) / size

    def is_crowded(self, attendance: float, size: int) -> bool:
        """Whether a share of `size` people is more than fit in."""
        return attendance * size > self.places(size) + 0.5

    def mixed_equilibrium(self, size: int) -> float:
        """p* of `size` people."""
        places = self.places(size)
        if places >= size:
            return 1.0
        if places == 0:
            return 0.0
        return 1.0 - float(betaincinv(size - places, places, self.indifference))

    def policies(self, size: int, horizon: float) -> Mapping[str, Policy]:
        known: dict[str, Policy] = {
            "n_player": ConstantPolicy.of(self.mixed_equilibrium(size)),
            "mean_field": ConstantPolicy.of(self.share_held(size)),
        }
        if self.options.form == "repeated":
            known |= {"predictors": Predictors(self), "logit": Logit(self)}
        return known

    def draw(self, random: np.random.Generator, action: FloatArray) -> FloatArray:
        return (random.random(action.shape) < action).astype(np.float64)

    def emission(self, outcome: FloatArray) -> FloatArray:
        return outcome[..., None]

    def find_signals(self, outcome: FloatArray) -> FloatArray:
        return np.array([outcome.mean()])

    def cost(self, outcome: FloatArray, field: FloatArray, signals: FloatArray) -> FloatArray:
        payoffs = self.options.payoffs
        bar = payoffs.crowded if self.is_crowded(float(signals[0]), outcome.shape[-1]) else payoffs.uncrowded
        return -(outcome * bar + (1 - outcome) * payoffs.home)

    def deviating_cost(self, action: FloatArray, others: FloatArray, field: FloatArray) -> FloatArray:
        payoffs = self.options.payoffs
        crowded = others.sum() + 1 > self.places(len(others) + 1) + 0.5
        bar = payoffs.crowded if crowded else payoffs.uncrowded
        return -(action * bar + (1 - action) * payoffs.home)

    def limit(self, action: float) -> FloatArray:
        return np.array([action])

    def expected_cost(self, action: FloatArray, signals: FloatArray) -> FloatArray:
        payoffs, crowded = self.options.payoffs, self.limit_crowded(float(signals[0]))
        bar = crowded * payoffs.crowded + (1 - crowded) * payoffs.uncrowded
        return -(action * bar + (1 - action) * payoffs.home)

    def equilibrium(self) -> float:
        if self.groups:
            raise InputError(
                f"{len(self.groups)} groups",
                where="game, option groups",
                rule="a mean field has one infinite population",
                hint="play groups with agent_based, or give a capacity instead",
            )
        return self.capacity

    @property
    def trials(self) -> FloatArray:
        """Stay, or go: costs are linear in the probability to go."""
        return np.array([0.0, 1.0])

    def scalars(self, outcome: FloatArray, signals: FloatArray) -> Mapping[str, float]:
        attendance = float(signals[0])
        return {"attendance": attendance, "imbalance": abs(attendance - self.share_held(len(outcome)))}

    def limit_scalars(self, action: float, signals: FloatArray) -> Mapping[str, float]:
        return {"attendance": action, "imbalance": abs(action - self.capacity)}

    def constants(self, size: int) -> Mapping[str, float]:
        return {"equilibrium_probability": self.mixed_equilibrium(size)}

    @property
    def tables(self) -> int:
        return len(self.groups)

    def at(self, replicate: int, round_number: int) -> StageGame:
        if not self.groups:
            return self
        group = self.groups[replicate % len(self.groups)]
        key = group.size, group.capacity(round_number)
        if key not in self._at:
            self._at[key] = _Table(self.options, *key)
        return self._at[key]

    def players(self, replicate: int, size: int) -> int:
        return self.groups[replicate % len(self.groups)].size if self.groups else size

    def limit_crowded(self, attendance: float) -> float:
        """How likely the bar is crowded in an infinite population."""
        if abs(attendance - self.capacity) <= GUARD:
            return 1.0 - self.indifference
        return float(attendance > self.capacity)


class _Table(ElFarol):
    """One group in one round: `size` people, of whom `places` fit in."""

    def __init__(self, options: ElFarolOptions, size: int, places: int) -> None:
        super().__init__(options.model_copy(update={"groups": None}))
        self.capacity = places / size
