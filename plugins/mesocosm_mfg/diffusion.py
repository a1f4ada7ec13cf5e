"""A diffusion game in the mean field of the homogeneous closure, by finite differences on a grid.

Under `policy: nash` the population plays the equilibrium (`diffusion_nash.py`), with `horizon: ergodic` the stationary one
(`ergodic.py`); under any other policy the flow, its value and its exploitability are found. See `mesocosm.DiffusionField` for
the equations. A game that moves with the mean of contacts is solved at the mean of its start and without common noise, and
its policy is played relative to the mean of contacts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import (
    DiffusionField,
    DiffusionGame,
    GridFlow,
    GridPolicy,
    InputError,
    Interval,
    Labelled,
    Marginals,
    Policy,
    PolicyFrom,
    choose_policy,
)
from mesocosm_mfg.classical import ClassicalMFG
from mesocosm_mfg.diffusion_nash import DiffusionEquilibrium, solve_diffusion_nash
from mesocosm_mfg.ergodic import ErgodicField
from mesocosm_mfg.fixed_point import Iteration
from mesocosm_mfg.options import NASH

FloatArray = NDArray[np.float64]

CELLS = {1: 400, 2: 64}
LEAST_STEPS = {1: 1000, 2: 200}
"""Time steps over the horizon where no `step` is given, by dimension. In 1-D the reference numbers
of the meeting and inter-bank games then come out to one part in a thousand."""

LARGEST_FLOW = 2**27
"""Most numbers in one array over time and cells (1 GiB); a solution holds a few of these."""

SMALLEST_SHIFT = 1e-9
"""Of the mean of contacts, as a share of the axis: below it a table is left where it is."""


class DiffusionMFG(ClassicalMFG):
    """The mean field of a diffusion game; its state is the number of the save."""

    flow: GridFlow
    value: float | None = None
    exploitability: float | None = None
    values: FloatArray | None = None
    equilibrium: DiffusionEquilibrium | None = None

    def check(self) -> None:
        options = self.options
        unfit = {
            "closure": (options.closure != "homogeneous", "diffusions are solved in the homogeneous closure"),
            "degrees": (options.degrees != "graph", "the homogeneous closure takes the mean degree of the graph"),
            "group": ("group" in options.changed, "diffusions are solved in the homogeneous closure"),
            "method": (
                options.method == "mirror_descent",
                "mirror descent is for finite states; use anderson or newton",
            ),
            "social_optimum": (options.social_optimum, "it is for finite states"),
        }
        for name, (asked, rule) in unfit.items():
            if asked:
                raise InputError(f"{name}: {getattr(options, name)}", where=self._where(name), rule=rule)
        self._check_game()
        policies = {"policy": options.policy, "initial_guess": options.initial_guess if self._is_nash else None}
        for name, option in policies.items():
            if option not in (None, NASH) and not isinstance(option, PolicyFrom):
                if name == "policy":
                    self.check_policy(option)
                size, end = self.problem.population.size, self.problem.clock.end
                choose_policy(option, self._game, size, end, where=self._where(name))

    def _check_game(self) -> None:
        game = self._game
        if self._is_nash and game.control is None:
            raise InputError("'nash', but agents choose nothing", where=self._where("policy"), hint="use policy: none")
        if game.common is not None and game.moves_with is None:
            raise InputError(
                f"common noise '{game.common}'",
                where=f"dynamics '{self.context.label}'",
                rule="classical_mfg solves games in which common noise drops out (moves_with), and others without it",
                hint="switch it off, or use agent_based",
            )
        leaves = game.has_exits or bool(game.signals) or any("open" in (axis.lower, axis.upper) for axis in game.axes)
        if self._is_ergodic and leaves:
            raise InputError(
                "horizon: ergodic",
                where=self._where("horizon"),
                rule="it needs a box with reflecting or periodic sides, which nobody leaves, and no signals",
            )
        steps, cells = (len(self.problem.clock.times) - 1) * self._steps, int(np.prod(self.cells))
        if (steps + 1) * cells > LARGEST_FLOW:
            raise InputError(
                f"{steps} steps x {cells} cells",
                where=self._where("step"),
                rule=f"a flow is kept whole, at most {LARGEST_FLOW} numbers",
                hint="use a longer step, fewer cells, or a shorter horizon",
            )

    @property
    def _game(self) -> DiffusionGame:
        return self.problem.diffusion_game

    @property
    def _is_nash(self) -> bool:
        return self.options.policy == NASH or (self.options.policy is None and self._game.control is not None)

    @property
    def _is_ergodic(self) -> bool:
        return self.options.horizon == "ergodic"

    @cached_property
    def cells(self) -> tuple[int, ...]:
        """Cells along each axis: equal spacing, at least 8."""
        lengths = [axis.length for axis in self._game.axes]
        longest = self.options.cells or CELLS[len(lengths)]
        return tuple(max(8, round(longest * length / max(lengths))) for length in lengths)

    @property
    def _steps(self) -> int:
        """Time steps in a save interval; few where nothing changes."""
        clock = self.problem.clock
        if self._is_ergodic:
            return 2
        step = self.options.step or clock.end / LEAST_STEPS[len(self._game.axes)]
        return max(1, int(np.ceil((clock.times[1] - clock.times[0]) / step - 1e-9)))

    @cached_property
    def model(self) -> DiffusionField:
        """The game on its grid, with the contact strength of the graph."""
        mixing = self.problem.graph.mixing("homogeneous", normalise=self._game.normalise)
        strength = float(mixing.field(np.ones((1, 1)))[0, 0])
        saves = self.problem.clock.times
        times = np.linspace(0.0, saves[-1], (len(saves) - 1) * self._steps + 1)
        return DiffusionField(self._game, self.cells, times, strength)

    @cached_property
    def marginals(self) -> Marginals:
        """What is observed."""
        return Marginals(self._game)

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        return self.marginals.dimensions

    def coordinates(self) -> dict[str, Any]:
        return dict(self.marginals.coordinates)

    def prepare(self) -> None:
        if self._is_ergodic:
            self._prepare_ergodic()
        else:
            self._prepare_finite()
        self.model.check_box(self.flow)

    def _prepare_finite(self) -> None:
        options, model = self.options, self.model
        if self._is_nash:
            start = model.flow(self.played(options.initial_guess))
            if options.initial_guess == "none":
                start = replace(start, signals=model.earliest_signals())
            self.equilibrium = solve_diffusion_nash(
                model, start, self._iteration, continuation=options.continuation, report=self._report
            )
            self.flow = self.equilibrium.flow
        else:
            self.flow = model.flow(self.played(options.policy or "none"))
        if not self._game.has_costs:
            return
        self.values = model.value(self.flow, self.flow.control)
        self.value = model.mean_cost(self.values)
        if self._game.control is not None:
            self.exploitability = model.exploitability(self.flow, self.flow.control)

    def _prepare_ergodic(self) -> None:
        ergodic, options = ErgodicField(self.model), self.options
        if self._is_nash:
            choose = lambda field: ergodic.best_response(field)[1]  # noqa: E731
        else:
            choose = ergodic.policy_control(self.played(options.policy or "none"))
        control, found = ergodic.settle(choose, self._iteration, self._report, priced=self._is_nash)
        self.flow, field = found.flow, found.flow.field[0]
        self.equilibrium = found if self._is_nash else None
        if self._game.has_costs:
            average = ergodic.average(field, control)
            self.value = average.cost
            self.values = np.repeat(average.value[None], len(self.model.times), axis=0)
        if self._game.control is not None:
            self.exploitability = ergodic.exploitability(field, control)

    @property
    def _iteration(self) -> Iteration:
        options = self.options
        return Iteration(options.method, options.tolerance, options.iterations, options.damping)

    def _report(self, iteration: int, residual: float) -> None:
        self.context.report("prepare", (iteration + 1) / self.options.iterations, f"residual {residual:.1e}")

    def init(self) -> int:
        return 0

    def advance(self, state: int, interval: Interval) -> int:
        return interval.index + 1

    def observe(self, state: int) -> dict[str, NDArray[Any]]:
        centres, step = [axis.nodes for axis in self.model.grid.axes], state * self._steps
        seen = self.marginals.of_masses(centres, self.flow.masses[step], self.model.grid.exits, self.flow.left[step])
        return dict(seen)

    def summary(self, state: int) -> dict[str, float | Labelled]:
        found: dict[str, float | Labelled] = dict(self._game.scalars(self.flow.passage, self.flow.signals))
        if self.value is not None:
            found["value"] = self.value
            if self._is_ergodic:
                found["ergodic_constant"] = -self.value
                found["consistency"] = float("nan")  # it starts at rest, and not where the game does
        if self.exploitability is not None:
            found["exploitability"] = self.exploitability
        if self.equilibrium is not None:
            solved = self.equilibrium
            found["residual"] = Labelled(("iteration",), solved.residuals)
            found["exploitability_by_iteration"] = Labelled(("iteration",), solved.exploitabilities)
            found |= {"iterations": float(len(solved.residuals)), "converged": float(solved.converged)}
        names, saves = tuple(axis.name for axis in self._game.axes), slice(None, None, self._steps)
        if self.values is not None:
            found["value_function"] = Labelled(("time", *names), self._in_bins(self.values[saves]))
        if self._game.control is not None:
            chosen = np.stack([self._in_bins(part) for part in np.moveaxis(self._control_at_saves(), -1, 0)], axis=-1)
            found["policy_map"] = Labelled(("time", *names, "axis"), chosen)
        return found

    def pack(self, state: int) -> dict[str, NDArray[Any]]:
        return {"save": np.array(state)}

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> int:
        return int(arrays["save"])

    def policy(self) -> Policy | None:
        if self._game.control is None:
            return None
        game, axes, times = self._game, self.model.grid.axes, np.array(self.model.middles)
        periods = tuple(axis.length if axis.is_periodic else 0.0 for axis in game.axes)
        nodes, table = tuple(axis.nodes for axis in axes), self.flow.control
        if game.moves_with is None:
            return GridPolicy(times, nodes, periods, table)
        channel = game.channels.index(game.moves_with)
        means = self.flow.field[:, channel]
        shifts = (means[1:] + means[:-1]) / 2 - means[0]
        return GridPolicy(times, nodes, periods, _moved(table, nodes[0], shifts), channel, float(means[0]))

    def _control_at_saves(self) -> FloatArray:
        """The control at every save, [time, cells..., axis]: between those of the steps before and after it."""
        control = self.flow.control
        before, after = control[self._steps - 1 :: self._steps], control[:: self._steps]
        return np.concatenate([control[:1], (before[:-1] + after[1:]) / 2, control[-1:]])

    def _in_bins(self, values: FloatArray) -> FloatArray:
        """Numbers on the grid [time, cells...] in the middle of the bins of the recorded density, linear in between."""
        for number, (here, edges) in enumerate(zip(self.model.grid.axes, self.marginals.edges, strict=True)):
            centres = (edges[1:] + edges[:-1]) / 2
            period = self._game.axes[number].length if here.cyclic else None
            weights = np.stack([np.interp(centres, here.nodes, row, period=period) for row in np.eye(len(here.nodes))])
            values = np.moveaxis(np.tensordot(values, weights, axes=(number + 1, 0)), -1, number + 1)
        return values

    def _where(self, option: str) -> str:
        return f"dynamics '{self.context.label}', option {option}"


def _moved(table: FloatArray, nodes: FloatArray, shifts: FloatArray) -> FloatArray:
    """A table [time, node, axis] of one axis, so that a node stands for the place `shift` [time] beyond it."""
    if np.abs(shifts).max() < SMALLEST_SHIFT * (nodes[-1] - nodes[0]):
        return table
    rows = [np.interp(nodes + shift, nodes, row[:, 0]) for shift, row in zip(shifts, table, strict=True)]
    return np.stack(rows)[..., None]
