"""`classical_mfg`: a finite-state game in the mean field of a closure.

Without control this is the mean-field ODE (Kolmogorov equation). With control it is the Nash equilibrium: the control
that is its own best response. Under any policy, the value and the exploitability are reported. See `mesocosm.MeanField`
for the equations, `nash.py` for the fixed point, `grid.py` for the time step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import NoneType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mesocosm import (
    Dynamics,
    InputError,
    Interval,
    Labelled,
    MeanField,
    Mixing,
    Policy,
    TabulatedPolicy,
    half_step_grid,
    no_control,
)
from mesocosm_mfg.grid import steps_per_interval
from mesocosm_mfg.nash import Equilibrium, solve_nash
from mesocosm_mfg.options import ClassicalMFGOptions

FloatArray = NDArray[np.float64]

LARGEST_FLOW = 2**27
"""Most numbers in one array over time, type and state (1 GiB); a solution holds a few of these."""


@dataclass(frozen=True, eq=False)
class MeanFieldState:
    """Occupancy of every type, shape [type, state], at node number `node` of the half-step grid."""

    node: int
    occupancy: FloatArray


class ClassicalMFG(Dynamics):
    """Mean-field equations, and the Nash equilibrium where agents choose."""

    stochastic: ClassVar[bool] = False
    follows: ClassVar[str] = "closure"
    options: ClassicalMFGOptions
    control: FloatArray | None = None
    equilibrium: Equilibrium | None = None

    def check(self) -> None:
        game = self.problem.finite_game
        if self.policy_name == "nash" and game.control is None:
            raise InputError(
                "'nash', but agents choose nothing", where=self._where("policy"), hint="give the game effort"
            )
        if not isinstance(self.options.policy, (str, NoneType)):
            self.check_policy(self.options.policy)
        self.mixing  # noqa: B018  a closure that this graph cannot have is found here

    @cached_property
    def mixing(self) -> Mixing:
        """Types and mixing matrix of the closure."""
        options, normalise = self.options, self.problem.game.normalise
        return self.problem.graph.mixing(
            options.closure, normalise=normalise, group=options.group, degrees=options.degrees
        )

    @property
    def policy_name(self) -> str:
        """`nash`, `none`, or `given` for a constant one and one from elsewhere."""
        chosen = self.options.policy
        if chosen is None:
            return "nash" if self.problem.finite_game.control else "none"
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
        times = self.problem.clock.times
        self.steps = steps_per_interval(self._model_on, times, self.options.step)
        self.model = self._model_on(half_step_grid(times, self.steps))
        if not self.problem.finite_game.has_costs:
            return
        self._check_size()
        if self.policy_name == "nash":
            self.equilibrium = self._solve()
            self.control = self.equilibrium.control
        else:
            self.control = self._given_control()
        flow = self.model.flow(self.control)
        self.value = self.model.mean_cost(self.model.value(flow, self.control))
        self.exploitability = self.model.exploitability(flow, self.control)

    def init(self) -> MeanFieldState:
        return MeanFieldState(0, self.problem.type_shares(self.mixing))

    def advance(self, state: MeanFieldState, interval: Interval) -> MeanFieldState:
        occupancy = state.occupancy
        for k in range(interval.index * self.steps, (interval.index + 1) * self.steps):
            control = [self._control_at(node) for node in (2 * k, 2 * k + 1, 2 * k + 2)]
            occupancy = self.model.step(k, occupancy, np.stack(control))
        self.model.check(interval.stop, occupancy, control[2])
        return MeanFieldState(2 * (interval.index + 1) * self.steps, occupancy)

    def observe(self, state: MeanFieldState) -> dict[str, NDArray[Any]]:
        shares, occupancy = self.mixing.shares, state.occupancy
        seen: dict[str, NDArray[Any]] = {"occupancy": (shares @ occupancy)[None]}
        if self.options.closure == "group":
            seen["group_occupancy"] = occupancy[None]
        if self.problem.finite_game.control:
            # The mean over the agents in a state; over all agents where nobody is in it.
            mass = shares[:, None] * occupancy
            weights = np.where(mass.sum(axis=0) > 0, mass, shares[:, None])
            control = self._control_at(state.node)
            seen["control"] = ((weights * control).sum(axis=0) / weights.sum(axis=0))[None]
        return seen

    def summary(self, state: MeanFieldState) -> dict[str, float | Labelled]:
        game = self.problem.finite_game
        found: dict[str, float | Labelled] = {}
        if game.at_risk:
            at_risk = (self.mixing.shares @ state.occupancy)[game.state_index(game.at_risk)]
            found["final_size"] = Labelled(("replicate",), np.array([1.0 - at_risk]))
        if self.control is not None:
            found |= {"value": self.value, "exploitability": self.exploitability}
        if self.equilibrium is not None:
            residuals = self.equilibrium.residuals
            found["residual"] = Labelled(("iteration",), residuals)
            found |= {"iterations": float(len(residuals)), "converged": float(self.equilibrium.converged)}
        return found

    def pack(self, state: MeanFieldState) -> dict[str, NDArray[Any]]:
        return {"node": np.array(state.node), "occupancy": state.occupancy}

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> MeanFieldState:
        return MeanFieldState(int(arrays["node"]), arrays["occupancy"])

    def policy(self) -> Policy | None:
        if self.control is None:
            return None
        return TabulatedPolicy.of(self.model.nodes, self.control, self.mixing, self.options.group)

    def _model_on(self, nodes: FloatArray) -> MeanField:
        return MeanField(self.problem.finite_game, self.mixing, self.problem.type_shares(self.mixing), nodes)

    def _solve(self) -> Equilibrium:
        options = self.options

        def report(iteration: int, residual: float) -> None:
            self.context.report("prepare", (iteration + 1) / options.iterations, f"residual {residual:.1e}")

        return solve_nash(
            self.model,
            tolerance=options.tolerance,
            iterations=options.iterations,
            damping=options.damping,
            report=report,
        )

    def _given_control(self) -> FloatArray:
        """The control at every node under the policy of the options, shape [node, type, state]."""
        chosen, game = self.options.policy, self.problem.finite_game
        policy = no_control(game) if isinstance(chosen, (str, NoneType)) else self.played(chosen)
        if policy.uses_field:
            raise InputError("a policy that looks at the field", where=self._where("policy"), rule="it must not")
        rows = self._rows(policy)
        return np.stack([policy.table(float(t), len(game.states))[rows] for t in self.model.nodes])

    def _rows(self, policy: Policy) -> NDArray[np.int64]:
        """The row of a policy that each type plays: its own, or the only one there is."""
        count = len(self.mixing.types)
        if policy.row_count == 1:
            return np.zeros(count, np.int64)
        if isinstance(policy, TabulatedPolicy) and policy.types == self.mixing.types:
            return np.arange(count, dtype=np.int64)
        raise InputError(
            f"a policy for {policy.row_count} types",
            where=self._where("policy"),
            rule=f"closure {self.options.closure} has {count} types here, and they must be the same",
            hint="use the same closure for both",
        )

    def _control_at(self, node: int) -> FloatArray:
        if self.control is not None:
            return np.asarray(self.control[node])
        neutral = self.problem.finite_game.neutral_control(np.zeros(self.model.initial.shape))
        return np.asarray(neutral, np.float64)

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
