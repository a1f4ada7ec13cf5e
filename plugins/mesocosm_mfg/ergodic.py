"""A diffusion game without end: the control that keeps the long-run average cost lowest, in the stationary population.

    rho = min_a { f(x, z, a) + b(x, z, a) . grad u } + sigma^2/2 laplace u,        L^T m = 0,        z the field of m

for a box that nobody leaves, and functions that do not depend on time (they are taken at time 0). rho is the average cost per
unit time, and u the relative value, up to a constant: here with mean 0 over the population. The *ergodic constant* of the
literature stands on the other side, H(grad u) - sigma^2/2 laplace u = F + constant, and is -rho.

For a given field, Howard's policy iteration: average cost and relative value of a control from one sparse factorisation, which
also gives the stationary masses; then the best control for their gradient. The field is a fixed point around that.
Sources: N. Almulla, R. Ferreira, D. Gomes, Dyn. Games Appl. 7, 657 (2017); R. A. Howard, Dynamic Programming and Markov
Processes (1960).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu

from mesocosm import DiffusionField, GridFlow, Passage, Policy, RunError
from mesocosm_mfg.diffusion_nash import DiffusionEquilibrium
from mesocosm_mfg.fixed_point import Iteration, solve_fixed_point

FloatArray = NDArray[np.float64]

IMPROVEMENTS, SETTLED = 100, 1e-9


@dataclass(frozen=True, eq=False)
class Average:
    """Under one control and field: average cost, relative value [cells...], stationary masses [cells...]."""

    cost: float
    value: FloatArray
    masses: FloatArray


@dataclass(frozen=True, eq=False)
class ErgodicField:
    """A diffusion game on a grid in the long run. The times of `model` are only those at which a flow is written down."""

    model: DiffusionField

    def neutral(self) -> FloatArray:
        """The neutral control, [cells..., axis]."""
        control: FloatArray = self.model.neutral()[0]
        return control

    def average(self, field: FloatArray, control: FloatArray) -> Average:
        """Average cost, relative value and stationary masses of a control [cells..., axis] under a field."""
        model = self.model
        received = model.received(field)
        cost = np.asarray(model.game.running_cost(0.0, model.grid.nodes, received, control), np.float64).ravel()
        generator = self._generator(received, control)
        anchor = 0
        for _ in range(2):
            others = np.delete(np.arange(cost.size), anchor)
            factors: Any = splu(-generator[others][:, others])
            masses = np.insert(factors.solve(generator[[anchor]][:, others].toarray()[0], "T"), anchor, 1.0).clip(0.0)
            masses /= masses.sum()
            # Seen from a place where hardly anybody is, costs are huge, and their differences lose digits.
            anchor = int(masses.argmax())
        average = float(masses @ cost)
        value = np.zeros(cost.size)
        value[others] = factors.solve(cost[others] - average)
        value -= masses @ value
        return Average(average, value.reshape(model.cells), masses.reshape(model.cells))

    def best_response(self, field: FloatArray) -> tuple[Average, FloatArray]:
        """The lowest average cost under a field, and the control that attains it.

        Raises `RunError` where the control does not settle in 100 improvements.
        """
        model = self.model
        walls = model.grid.at_walls(np.zeros((1, 0)))[0]
        received = model.received(field)
        control = self.neutral()
        for _ in range(IMPROVEMENTS):
            found = self.average(field, control)
            gradient = model.grid.gradient(found.value, walls, *model.coefficients(0.0, received, control))
            better = np.asarray(model.game.best_control(0.0, model.grid.nodes, received, gradient), np.float64)
            change = float(np.abs(better - control).max())
            control = better
            if change <= SETTLED * max(1.0, float(np.abs(control).max())):
                return self.average(field, control), control
        raise RunError(
            f"the best control still changes by {change:.1e}",
            where="ergodic equilibrium",
            hint="use more cells, or check the costs",
        )

    def settle(
        self, choose: Callable[[FloatArray], FloatArray], settings: Iteration, report: Callable[[int, float], Any],
        *, priced: bool = False,
    ) -> tuple[FloatArray, DiffusionEquilibrium]:  # fmt: skip
        """The fixed point in the field when everyone plays `choose(field)`, and that control.

        It starts from the population of the game at time 0 at the neutral control. `priced`: keep exploitabilities.
        """
        model = self.model
        last: dict[str, Any] = {}

        def respond(field: FloatArray) -> FloatArray:
            control = choose(field)
            masses = self.average(field, control).masses
            last.update(control=control, masses=masses)
            return model.field(0.0, masses, control)

        def exploitability(field: FloatArray) -> float:
            felt = model.field(0.0, last["masses"], last["control"])
            return self.exploitability(felt, last["control"])

        def project(field: FloatArray) -> FloatArray:
            return field.clip(0.0) if model.game.interaction == "density" else field

        start = model.field(0.0, model.grid.start, self.neutral())
        found = solve_fixed_point(
            respond, start, settings, report=report, exploitability=exploitability if priced else None,
            project=project, where="ergodic equilibrium",
        )  # fmt: skip
        return last["control"], DiffusionEquilibrium.of(self._flow(last["masses"], last["control"]), found)

    def policy_control(self, policy: Policy) -> Callable[[FloatArray], FloatArray]:
        """What a policy chooses at time 0 under a field."""
        rows, places = np.zeros(self.model.cells, np.int64), cast(Any, self.model.grid.nodes)
        return lambda field: policy.control(0.0, rows, places, self.model.received(field))

    def exploitability(self, field: FloatArray, control: FloatArray) -> float:
        """What one agent saves per unit time by its best response."""
        return self.average(field, control).cost - self.best_response(field)[0].cost

    def _flow(self, masses: FloatArray, control: FloatArray) -> GridFlow:
        """The stationary population as a flow over the times of the model."""
        model, count = self.model, len(self.model.times)
        field = model.field(0.0, masses, control)
        return GridFlow(
            masses=np.repeat(masses[None], count, axis=0),
            left=np.zeros((count, 0)),
            control=np.repeat(control[None], count - 1, axis=0),
            field=np.repeat(field[None], count, axis=0),
            passage=Passage(model.times, np.zeros(count)),
            signals=np.zeros(0),
        )

    @cached_property
    def _neighbours(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """For each axis, the number of the node below and above every node."""
        numbers = np.arange(np.prod(self.model.cells)).reshape(self.model.cells)
        return [
            (np.roll(numbers, 1, axis).ravel(), np.roll(numbers, -1, axis).ravel())
            for axis in range(len(self.model.cells))
        ]

    def _generator(self, received: FloatArray, control: FloatArray) -> Any:
        """The chain on all nodes, rows sum to zero: sparse [node, node]."""
        model = self.model
        drift, diffusivity = model.coefficients(0.0, received, control)
        size = int(np.prod(model.cells))
        here, rows, columns, entries = np.arange(size), [], [], []
        for axis, neighbours in zip(model.grid.axes, self._neighbours, strict=True):
            pair = axis.rates(drift[..., axis.number], diffusivity[..., axis.number])
            for rate, there in zip(pair, neighbours, strict=True):
                flat = axis.grid(rate, model.cells).ravel()
                rows += [here, here]
                columns += [there, here]
                entries += [flat, -flat]
        place = (np.concatenate(rows), np.concatenate(columns))
        return csc_array((np.concatenate(entries), place), shape=(size, size))
