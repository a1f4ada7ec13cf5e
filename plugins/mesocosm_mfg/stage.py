"""The mean field of a stage game: one action of an infinite population, its equilibrium, and what deviating would gain.

The equilibrium is the closed form of the game. It is checked, not believed: `exploitability` is the expected cost of the
action less the least cost of any action against the same population, found by search over the range of the control.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import ConstantPolicy, InputError, Interval, Labelled, LearningRule, Policy
from mesocosm_mfg.classical import ClassicalMFG
from mesocosm_mfg.options import NASH

FloatArray = NDArray[np.float64]

MEANINGFUL = frozenset({"policy", "tolerance"})
"""Options that mean something here."""


@dataclass(frozen=True, eq=False)
class Round:
    """After `count` rounds: the action of the last; means over rounds of its scalars, [scalar], and its expected cost."""

    count: int
    action: float
    means: FloatArray
    cost: float


class StageMFG(ClassicalMFG):
    """One action, round after round; under a rule to learn by, a deterministic map from each round to the next.

    Observes what the agents of a stage game do: `action`, the scalars of the game, and their means over the rounds so far. At
    the end: `value`, the mean expected cost of a round; `exploitability` of the last round; the constants of the game for the
    population of the scenario; and for the equilibrium `residual`, the distance of the action from the best response,
    `iterations`, 1 for a closed form, and `converged`, whether both residual and exploitability are within the tolerance.
    """

    def check(self) -> None:
        unknown = sorted(self.options.changed - MEANINGFUL)
        if unknown:
            raise InputError(
                f"{unknown[0]}",
                where=self._where(unknown[0]),
                rule="a stage game has one action in a well-mixed population, in closed form: leave it out",
            )
        self.problem.stage_game.equilibrium()
        option = self.options.policy
        if not self._is_nash:
            self.check_policy(option or "none")
        if isinstance(option, str):
            self._first  # noqa: B018  a rule that has no mean field is found here

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        names = self._scalars(self.problem.stage_game.control.neutral)
        return dict.fromkeys(["action", *names, *(f"{name}_so_far" for name in names)], ("replicate",))

    def init(self) -> Round:
        return self._played(Round(0, self._first, np.zeros(len(self._scalars(self._first))), 0.0), self._first)

    def advance(self, state: Round, interval: Interval) -> Round:
        rule, game = self._rule, self.problem.stage_game
        action = state.action if rule is None else rule.next_action(state.action, game.limit(state.action))
        return self._played(state, action)

    def observe(self, state: Round) -> dict[str, NDArray[Any]]:
        scalars = self._scalars(state.action)
        mean = dict(zip(scalars, state.means, strict=True))
        found = {"action": state.action, **scalars, **{f"{name}_so_far": value for name, value in mean.items()}}
        return {name: np.array([value]) for name, value in found.items()}

    def summary(self, state: Round) -> dict[str, float | Labelled]:
        game = self.problem.stage_game
        signals = game.limit(state.action)
        best, least = game.best_response(state.action, signals)
        exploitability = float(game.expected_cost(np.array(state.action), signals)) - least
        found: dict[str, float | Labelled] = {"value": state.cost, "exploitability": exploitability}
        found |= game.constants(self.problem.population.size)
        if self._is_nash:
            residual, tolerance = abs(best - state.action), self.options.tolerance
            scale = game.control.maximum - game.control.minimum
            found["residual"] = Labelled(("iteration",), np.array([residual]))
            found["iterations"] = 1.0
            found["converged"] = float(
                residual <= tolerance * scale and exploitability <= tolerance * max(1.0, abs(least))
            )
        return found

    def pack(self, state: Round) -> dict[str, NDArray[Any]]:
        return {name: np.array(getattr(state, name)) for name in ("count", "action", "means", "cost")}

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> Round:
        return Round(int(arrays["count"]), float(arrays["action"]), arrays["means"], float(arrays["cost"]))

    def policy(self) -> Policy | None:
        """The action, where it stays the same."""
        return ConstantPolicy.of(self._first) if self._rule is None else None

    @property
    def _is_nash(self) -> bool:
        return self.options.policy in (None, NASH)

    @cached_property
    def _given(self) -> Policy:
        """The policy of the options."""
        game, option = self.problem.stage_game, self.options.policy
        policy = ConstantPolicy.of(game.equilibrium()) if option in (None, NASH) else self.played(option)
        if not isinstance(policy, (ConstantPolicy, LearningRule)):
            raise InputError(
                f"a {type(policy).__name__}",
                where=self._where("policy"),
                rule="in a stage game a policy is one action, or learns by a rule",
            )
        return policy

    @cached_property
    def _rule(self) -> LearningRule | None:
        return self._given if isinstance(self._given, LearningRule) else None

    @cached_property
    def _first(self) -> float:
        """The action of the first round."""
        game = self.problem.stage_game
        if self._rule is not None:
            self._rule.next_action(self._rule.first_action, game.limit(self._rule.first_action))
            return self._rule.first_action
        action = float(self._given.control(0.0, np.zeros(1, np.int64), np.zeros(1, np.int64), None)[0])
        game.control.check(action)
        return action

    def _scalars(self, action: float) -> dict[str, float]:
        game = self.problem.stage_game
        return dict(game.limit_scalars(action, game.limit(action)))

    def _played(self, state: Round, action: float) -> Round:
        """One more round, with this action."""
        game = self.problem.stage_game
        cost = float(game.expected_cost(np.array(action), game.limit(action)))
        scalars, count = np.array(list(self._scalars(action).values())), state.count + 1
        means = state.means + (scalars - state.means) / count
        return Round(count, action, means, state.cost + (cost - state.cost) / count)

    def _where(self, option: str) -> str:
        return f"dynamics.{self.context.label}.{option}"
