"""The mean field of a game in discrete time, its equilibrium, and what deviating would gain."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import DiscretePolicy, InputError, Interval, Labelled, Policy, PolicyFrom, PolicyOption
from mesocosm_mfg.classical import ClassicalMFG
from mesocosm_mfg.discrete_flow import DiscreteField, Evaluation
from mesocosm_mfg.discrete_solvers import DiscreteEquilibrium, solve_discrete
from mesocosm_mfg.options import NASH

FloatArray = NDArray[np.float64]

MEANINGFUL = frozenset({"policy", "method", "initial_guess", "tolerance", "iterations", "damping"})
"""Options that mean something here."""


class DiscreteMFG(ClassicalMFG):
    """The flow of a policy, step by step; by default that of the equilibrium.

    Observes `occupancy(replicate, state)`, and `action_shares(replicate, action)`, the share of all agents that choose an
    action. At the end: `value`, the expected total cost of an agent; `exploitability`, what it would gain by its best
    response; and for the equilibrium `residual(iteration)`, the exploitability relative to the mean absolute cost under
    the initial guess, from that guess on, `exploitability_by_iteration(iteration)` in costs, `iterations` and `converged`.

    Options: `method` is `anderson` or `newton`, both the path of regularised equilibria in `discrete_path`, or one of
    `fictitious_play`, `picard`, `mirror_descent` in `discrete_solvers`; `damping` is the weight of the best response in
    `picard`, and the rate of `mirror_descent`; `initial_guess: none` plays all actions alike. `tolerance` is for the residual.
    """

    def check(self) -> None:
        given = set(self.options.changed) - {"closure"}
        if self.options.closure != "homogeneous":
            given.add("closure")
        unknown = sorted(given - MEANINGFUL)
        if unknown:
            raise InputError(
                f"{unknown[0]} {getattr(self.options, unknown[0])}",
                where=self._where(unknown[0]),
                rule="a game in discrete time has one type of agents, and steps of its own: leave it out",
            )
        option = self.options.policy
        for name, chosen in (("policy", option), ("initial_guess", self.options.initial_guess)):
            if not (chosen is None or chosen == NASH or isinstance(chosen, PolicyFrom)):
                self._probabilities(chosen, name)

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        return {"occupancy": ("replicate", "state"), "action_shares": ("replicate", "action")}

    def coordinates(self) -> dict[str, Any]:
        game = self.problem.discrete_game
        return {"state": game.states, "action": game.actions}

    def prepare(self) -> None:
        self.evaluation, self.probabilities = self._found

    def init(self) -> NDArray[np.int64]:
        return np.zeros((), np.int64)

    def advance(self, state: NDArray[np.int64], interval: Interval) -> NDArray[np.int64]:
        return np.array(interval.index + 1, np.int64)

    def observe(self, state: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        flow = self.evaluation.flow[int(state)]
        return {"occupancy": flow.sum(axis=1)[None], "action_shares": flow.sum(axis=0)[None]}

    def summary(self, state: NDArray[np.int64]) -> dict[str, float | Labelled]:
        evaluation = self.evaluation
        found: dict[str, float | Labelled] = {
            "value": evaluation.cost,
            "exploitability": evaluation.exploitability,
        }
        if self._is_nash:
            solved = self._equilibrium
            found["residual"] = Labelled(("iteration",), solved.residuals)
            found["exploitability_by_iteration"] = Labelled(("iteration",), solved.exploitabilities)
            found |= {"iterations": float(len(solved.residuals) - 1), "converged": float(solved.converged)}
        return found

    def policy(self) -> Policy | None:
        return DiscretePolicy(self.model.times, self.probabilities)

    @cached_property
    def model(self) -> DiscreteField:
        """The game in its mean field."""
        problem = self.problem
        return DiscreteField(problem.discrete_game, problem.population.shares, problem.clock.times)

    @property
    def _is_nash(self) -> bool:
        return self.options.policy in (None, NASH)

    @cached_property
    def _equilibrium(self) -> DiscreteEquilibrium:
        options = self.options

        def report(iteration: int, residual: float) -> None:
            self.context.report("prepare", (iteration + 1) / options.iterations, f"residual {residual:.1e}")

        return solve_discrete(
            self.model,
            self._probabilities(options.initial_guess, "initial_guess"),
            method=options.method,
            tolerance=options.tolerance,
            iterations=options.iterations,
            damping=options.damping,
            report=report,
        )

    @property
    def _found(self) -> tuple[Evaluation, FloatArray]:
        """The policy that is played, and what it costs."""
        if self._is_nash:
            return self._equilibrium.evaluation, self._equilibrium.policy
        policy = self._probabilities(self.options.policy or "none", "policy")
        return self.model.evaluate(policy), policy

    def _probabilities(self, option: PolicyOption, name: str) -> FloatArray:
        """The policy that an option names, [time, state, action]."""
        if option == "none":
            return self.model.uniform()
        policy = self.played(option)
        if not isinstance(policy, DiscretePolicy):
            raise InputError(
                f"a {type(policy).__name__}",
                where=self._where(name),
                rule="in discrete time a policy is a table of probabilities of actions",
            )
        return policy.on(self.problem.discrete_game, self.model.times, where=self._where(name))

    def _where(self, option: str) -> str:
        return f"dynamics.{self.context.label}.{option}"
