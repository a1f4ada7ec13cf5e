"""A finite-state game in the mean field of a closure.

Without control this is the mean-field ODE (Kolmogorov equation). With control it is the Nash equilibrium: the control
that is its own best response, or the social optimum. Under any policy, the value and the exploitability are reported. See
`mesocosm.MeanField` for the equations, `nash.py` and `social.py` for what is solved for.

A contact graph that changes, and events with a time, are foreseen by all (`mesocosm.Timeline`). Events on a threshold and
vaccinations happen on the way (`unforeseen.py`): agents then play a given policy, and no value is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mesocosm import (
    InputError,
    Interval,
    Labelled,
    Mixing,
    Policy,
    PolicyFrom,
    PolicyOption,
    TabulatedPolicy,
    Timeline,
    choose_policy,
    saved_shares,
    steps_needed,
    tabulate_policy,
)
from mesocosm_mfg.classical import ClassicalMFG
from mesocosm_mfg.fixed_point import Iteration
from mesocosm_mfg.interventions import Interventions
from mesocosm_mfg.nash import Equilibrium, solve_in_steps
from mesocosm_mfg.options import NASH, SOCIAL
from mesocosm_mfg.social import SocialOptimum, social_optimum
from mesocosm_mfg.unforeseen import MeanFieldState, Unforeseen

FloatArray = NDArray[np.float64]

LARGEST_FLOW = 2**27
"""Most numbers in one array over time, type and state (1 GiB); a solution holds a few of these."""


class FiniteMFG(ClassicalMFG):
    """Mean-field equations, the Nash equilibrium where agents choose, and the social optimum where it is asked for."""

    expresses: ClassVar[frozenset[str]] = frozenset({"events", "changing_graph", "groups"})

    control: FloatArray | None = None
    equilibrium: Equilibrium | None = None
    optimum: SocialOptimum | None = None
    social_value: float | None = None
    unforeseen: Unforeseen | None = None
    """How agents play a given policy where events are not foreseen."""

    def check(self) -> None:
        game, options = self.problem.finite_game, self.options
        for name in ("cells", "horizon"):
            if getattr(options, name) not in (None, "finite"):
                raise InputError(
                    f"{name}: {getattr(options, name)}",
                    where=self._where(name),
                    rule=f"it is for diffusion games, and {type(game).__name__} has finitely many states",
                )
        solved = [name for name in (NASH, SOCIAL) if self.policy_name == name]
        solved += ["social_optimum: true"] if options.social_optimum and not solved else []
        if solved and game.control is None:
            raise InputError(
                f"'{solved[0]}', but agents choose nothing", where=self._where("policy"), hint="give the game effort"
            )
        if options.policy not in (None, NASH, SOCIAL):
            self.check_policy(options.policy)
        if self.policy_name == NASH and not isinstance(options.initial_guess, PolicyFrom):
            size, end = self.problem.population.size, self.problem.clock.end
            choose_policy(options.initial_guess, game, size, end, where=self._where("initial_guess"))
        self._check_changes(solved)

    def _check_changes(self, solved: list[str]) -> None:
        """Raise `InputError` for changes in time that this closure, or what is solved for, cannot express."""
        self.timeline.check(self._where("closure"))
        self.interventions.check(self._where("closure"))
        if solved and not self.timeline.foreseen:
            raise InputError(
                f"'{solved[0]}' with events on a threshold, or vaccinations",
                where=self._where("policy"),
                rule="when they happen, and to whom, would be part of the equilibrium; events with a time that close layers "
                "or set parameters are foreseen",
                hint="use policy: none, {constant: value}, or {file: path} with what a run without them found",
            )

    @cached_property
    def mixing(self) -> Mixing:
        """Types and mixing matrix of the closure."""
        options, normalise = self.options, self.problem.game.normalise
        return self.problem.graph.mixing(
            options.closure, normalise=normalise, group=options.group, degrees=options.degrees
        )

    @cached_property
    def timeline(self) -> Timeline:
        """Which game and mixing hold when, as far as that is foreseen."""
        return Timeline(self.problem, self.mixing)

    @cached_property
    def interventions(self) -> Interventions:
        """What events do to the occupancy."""
        return Interventions(self.problem, self.mixing, self.context.streams)

    @property
    def policy_name(self) -> str:
        """`nash`, `social_optimum`, `none`, the name of one that the game knows, or `given`."""
        chosen = self.options.policy
        if chosen is None:
            return NASH if self.problem.finite_game.control else "none"
        return chosen if isinstance(chosen, str) else "given"

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        dims: dict[str, tuple[str, ...]] = {"occupancy": ("replicate", "state")}
        if self.problem.finite_game.control:
            dims["control"] = ("replicate", "state")
        if self.options.closure == "group":
            dims["group_occupancy"] = ("replicate", "group", "state")
        return dims

    def coordinates(self) -> dict[str, Any]:
        return {"group": self.mixing.types} if self.options.closure == "group" else {}

    def prepare(self) -> None:
        times, step, timeline = self.problem.clock.times, self.options.step, self.timeline
        if not timeline.foreseen:
            policy = self.played(self.options.policy or "none")
            self.unforeseen = Unforeseen(timeline, self.interventions, policy, self._rows(policy, "policy"))
            self.steps = steps_needed(self.unforeseen.shares, times, step)
            return
        self.steps = steps_needed(lambda steps: saved_shares(timeline.model(steps), times), times, step)
        self.model = timeline.model(self.steps)
        self.saves = self.model.saves(times)
        if not self.problem.finite_game.has_costs:
            return
        self._check_size()
        if self.policy_name == NASH:
            self.equilibrium = self._solve()
            self.control = self.equilibrium.control
        elif self.policy_name == SOCIAL:
            self.control = self._best_for_all([]).control
        else:
            self.control = self._control_of(self.options.policy or "none", "policy")
        flow = self.model.flow(self.control)
        self.value = self.model.mean_cost(self.model.value(flow, self.control))
        self.exploitability = self.model.exploitability(flow, self.control)
        if self.policy_name == SOCIAL:
            self.social_value = self.value
        elif self.options.social_optimum:
            best = self._best_for_all([self.control]).control
            self.social_value = self.model.mean_cost(self.model.value(self.model.flow(best), best))

    def init(self) -> MeanFieldState:
        if self.unforeseen is not None:
            return self.unforeseen.start()
        fired = np.full(len(self.problem.events.items), np.nan)
        return MeanFieldState(self.model.initial, self._control_at(0), fired)

    def advance(self, state: MeanFieldState, interval: Interval) -> MeanFieldState:
        if self.unforeseen is not None:
            return self.unforeseen.advance(state, interval, self.steps)
        occupancy, fired = self.interventions.act(interval.start, state.occupancy, state.fired)
        first, last = self.saves[interval.index], self.saves[interval.index + 1]
        for left in range(first, last, 2):
            control = [self._control_at(node) for node in (left, left + 1, left + 2)]
            occupancy = self.model.step(left // 2, occupancy, np.stack(control))
        self.model.regime(last).check(interval.stop, occupancy, control[2])
        return MeanFieldState(occupancy, control[2], fired)

    def observe(self, state: MeanFieldState) -> dict[str, NDArray[Any]]:
        shares, occupancy = self.mixing.shares, state.occupancy
        seen: dict[str, NDArray[Any]] = {"occupancy": (shares @ occupancy)[None]}
        if self.options.closure == "group":
            seen["group_occupancy"] = occupancy[None]
        if self.problem.finite_game.control:
            # The mean over the agents in a state; over all agents where nobody is in it.
            mass = shares[:, None] * occupancy
            weights = np.where(mass.sum(axis=0) > 0, mass, shares[:, None])
            seen["control"] = ((weights * state.control).sum(axis=0) / weights.sum(axis=0))[None]
        return seen

    def summary(self, state: MeanFieldState) -> dict[str, float | Labelled]:
        game = self.problem.finite_game
        found: dict[str, float | Labelled] = {**self.fired(state.fired[None])}
        if game.at_risk:
            at_risk = game.share_at_risk(self.mixing.shares @ state.occupancy)
            found["final_size"] = Labelled(("replicate",), np.array([1.0 - at_risk]))
        if self.control is not None:
            found |= {"value": self.value, "exploitability": self.exploitability}
        if self.equilibrium is not None:
            residuals = self.equilibrium.residuals
            found["residual"] = Labelled(("iteration",), residuals)
            found["exploitability_by_iteration"] = Labelled(("iteration",), self.equilibrium.exploitabilities)
            found |= {"iterations": float(len(residuals)), "converged": float(self.equilibrium.converged)}
        if self.optimum is not None and self.social_value is not None:
            found["social_value"] = self.social_value
            found["social_gap"] = float(self.optimum.gaps[-1])
            if self.equilibrium is not None and self.social_value != 0:
                found["price_of_anarchy"] = self.value / self.social_value
        return found

    def pack(self, state: MeanFieldState) -> dict[str, NDArray[Any]]:
        return {"occupancy": state.occupancy, "control": state.control, "fired": state.fired}

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> MeanFieldState:
        return MeanFieldState(arrays["occupancy"], arrays["control"], arrays["fired"])

    def policy(self) -> Policy | None:
        if self.control is None:
            return self.unforeseen.policy if self.unforeseen else None
        return TabulatedPolicy.of(self.model.nodes, self.control, self.mixing, self.options.group)

    def _solve(self) -> Equilibrium:
        options, guess = self.options, self.options.initial_guess
        name = guess if isinstance(guess, str) else str(guess.model_dump(by_alias=True, mode="json"))
        settings = Iteration(options.method, options.tolerance, options.iterations, options.damping)

        def report(iteration: int, residual: float) -> None:
            note = f"{options.method} from {name}: residual {residual:.1e}"
            self.context.report("prepare", (iteration + 1) / options.iterations, note)

        start = self._control_of(guess, "initial_guess")
        return solve_in_steps(self.model, start, settings, options.continuation, report)

    def _best_for_all(self, starts: list[FloatArray]) -> SocialOptimum:
        options = self.options

        def report(iteration: int, gap: float) -> None:
            self.context.report("prepare", (iteration + 1) / options.iterations, f"social optimum: gap {gap:.1e}")

        self.optimum = social_optimum(
            self.model, starts, tolerance=options.tolerance, iterations=options.iterations, report=report
        )
        return self.optimum

    def _control_of(self, option: PolicyOption, name: str) -> FloatArray:
        """The control at every node under a policy that the option `name` gives, shape [node, type, state]."""
        policy = self.played(option)
        return tabulate_policy(self.model, policy, self._rows(policy, name))

    def _rows(self, policy: Policy, name: str) -> NDArray[np.int64]:
        """The row of a policy that each type plays: its own, or the only one there is."""
        count = len(self.mixing.types)
        if policy.row_count == 1:
            return np.zeros(count, np.int64)
        if isinstance(policy, TabulatedPolicy) and policy.types == self.mixing.types:
            return np.arange(count, dtype=np.int64)
        raise InputError(
            f"a policy for {policy.row_count} types",
            where=self._where(name),
            rule=f"closure {self.options.closure} has {count} types here, and they must be the same",
            hint="use the same closure for both",
        )

    def _control_at(self, node: int) -> FloatArray:
        if self.control is not None:
            return np.asarray(self.control[node])
        return self.model.regime(node).neutral()

    def _check_size(self) -> None:
        nodes, types = len(self.model.nodes), len(self.mixing.types)
        if nodes * self.model.initial.size > LARGEST_FLOW:
            raise InputError(
                f"{nodes} times x {types} types x {self.model.initial.shape[1]} states",
                where=self._where("closure"),
                rule=f"valuing a policy keeps the whole flow, at most {LARGEST_FLOW} numbers",
                hint="use closure: degree, a longer step, or a shorter horizon",
            )

    def _where(self, option: str) -> str:
        return f"dynamics '{self.context.label}', option {option}"
