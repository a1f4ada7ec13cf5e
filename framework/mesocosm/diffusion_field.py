"""Mean field of a diffusion game on a grid: the flow of a policy, its value, the best response, exploitability.

With masses m on the nodes of a grid, the chain of `mesocosm.tridiagonal` with generator L for drift and noise, and steps
from times[k] to times[k + 1] of length dt, each of them `parts` implicit Euler steps of length d = dt / parts:

    field     z[k] = strength * aggregate of m[k] over the interaction of the game
    forward   m[k+1] = (I - d L[k]^T)^-parts m[k]                  Fokker-Planck-Kolmogorov; L[k] with z[k], a[k]
    value     u = (I - d L[k])^-1 (u + d f[k]), `parts` times      from u[k+1] to u[k], with the exit cost at the walls
    HJB       the same, with a[k] the best control for the gradient of u half way: first extrapolated from u[k+1] and u[k+2],
              and where that misses it, improved with u[k] (Howard's policy iteration)

Functions of the game are taken at the middle of a step, and so is the control, in a table over time. Backward and forward
matrices are transposes of each other, so that value and masses stay dual, up to rounding. An implicit step is a step of the
chain over an exponentially distributed time: its parts keep that error small, at little cost, because the matrix of a step is
factorised once. The errors are of order 1 in d and in what the field changes in a step, 2 in dt otherwise and in the spacing.
Source of the scheme: Y. Achdou, I. Capuzzo-Dolcetta, SIAM J. Numer. Anal. 48, 1136 (2010), section 3; the fluxes are fitted
here instead of upwind.

An agent that has left emits nothing and is felt by nobody, but still counts as a contact: an average over contacts is one
over all, with nothing from those that left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm.diffusion import DiffusionGame, Passage
from mesocosm.errors import InputError, RunError
from mesocosm.field_kernel import Kernel, kernel_of
from mesocosm.policy import Policy
from mesocosm.state_grid import StateGrid

FloatArray = NDArray[np.float64]

WALL_MASS = 1e-6
"""Most mass that may reach the outermost cells at an open side."""

IMPROVEMENTS, IMPROVED, NEGLIGIBLE = 20, 1e-3, 1e-9
"""Most improvements of the control in a step; it may still change by these shares of its largest value and its range."""


@dataclass(frozen=True, eq=False)
class GridFlow:
    """A population flow on a grid.

    Attributes
    ----------
    masses: of the cells at every time, [time, cells...]. left: at every exit by every time, [time, exit].
    control: in every step, [step, cells..., axis].
    field: [time, channel] where all receive the same, else [time, cells..., channel].
    passage: the share that has left by every time. signals: shape [signal].
    """

    masses: FloatArray
    left: FloatArray
    control: FloatArray
    field: FloatArray
    passage: Passage
    signals: FloatArray


@dataclass(frozen=True, eq=False)
class DiffusionField:
    """A diffusion game in its homogeneous mean field, on a grid with so many `cells` along each axis, over `times`.

    A step in time is made of `parts` implicit steps.

    `strength` is the contact strength of an agent: 1 for averages over contacts and on a complete graph, else the mean
    degree. It multiplies the field.
    """

    game: DiffusionGame
    cells: tuple[int, ...]
    times: FloatArray
    strength: float = 1.0
    parts: int = 16

    @cached_property
    def middles(self) -> list[float]:
        """The middle of every step."""
        return [float(t) for t in (self.times[1:] + self.times[:-1]) / 2]

    @cached_property
    def grid(self) -> StateGrid:
        """Nodes, walls, and steps."""
        return StateGrid(self.game, self.cells, self.parts)

    @property
    def steps(self) -> int:
        """Number of time steps."""
        return len(self.times) - 1

    def neutral(self) -> FloatArray:
        """The neutral control in every step."""
        return np.asarray(self.game.neutral_control(np.zeros((self.steps, *self.cells, len(self.cells)))), np.float64)

    def field(self, t: float, masses: FloatArray, control: FloatArray) -> FloatArray:
        """Field from masses [cells...] and control [cells..., axis]: [channel], or [cells..., channel]."""
        if self._kernel is not None:
            return self.strength * self._kernel(t, masses)
        if self.game.interaction == "density":
            return (self.strength / self.grid.volume) * masses[..., None]
        emission = self.received(self.game.emission(t, self.grid.nodes, control))
        return np.asarray(self.strength * (masses.ravel() @ emission.reshape(masses.size, -1)), np.float64)

    def flow(self, control: FloatArray | Policy) -> GridFlow:
        """The flow of the whole population under a control [step, cells..., axis], or under a policy.

        A policy sees the field, for which everyone's emission is taken at the control that it gave before.
        """
        played = control if isinstance(control, np.ndarray) else self.neutral()
        masses = np.empty((self.steps + 1, *self.cells))
        left = np.zeros((self.steps + 1, len(self.grid.exits)))
        masses[0], fields, times = self.grid.start, [], self.times.tolist()
        for k in range(self.steps):
            if not isinstance(control, np.ndarray):
                seen = self.field(times[k], masses[k], played[max(k - 1, 0)])
                played[k] = self._played(control, self.middles[k], seen)
            fields.append(self.field(times[k], masses[k], played[k]))
            drift, diffusivity = self.coefficients(self.middles[k], self.received(fields[k]), played[k])
            masses[k + 1], gone = self.grid.forward(masses[k], drift, diffusivity, times[k + 1] - times[k])
            left[k + 1] = left[k] + gone
        fields.append(self.field(times[-1], masses[-1], played[-1]))
        passage = Passage(self.times, left.sum(axis=-1))
        return GridFlow(masses, left, played, np.stack(fields), passage, self.signals_of(passage))

    def signals_of(self, passage: Passage) -> FloatArray:
        """The signals of a flow; one that is infinite, because a share never leaves, is taken as the horizon."""
        found = np.asarray(self.game.find_signals(passage), np.float64)
        return np.where(np.isinf(found), self.times[-1], found)

    def earliest_signals(self) -> FloatArray:
        """The signals of a population that leaves at once."""
        return self.signals_of(Passage(self.times[[0, -1]], np.ones(2)))

    def value(self, flow: GridFlow, control: FloatArray) -> FloatArray:
        """Expected cost to come of one agent that plays `control` against a flow, [time, cells...]."""
        return self._backward(flow, lambda k, received, gradient: control[k], np.empty_like(control))

    def best_response(self, flow: GridFlow) -> tuple[FloatArray, FloatArray]:
        """The lowest cost to come against a flow, [time, cells...], and the control that attains it, [step, cells..., axis].

        Of the flow, only field and signals matter.
        """
        control = np.empty((self.steps, *self.cells, len(self.cells)))

        def choose(k: int, received: FloatArray, gradient: FloatArray) -> FloatArray:
            return np.asarray(self.game.best_control(self.middles[k], self.grid.nodes, received, gradient))

        return self._backward(flow, choose, control), control

    def mean_cost(self, value: FloatArray) -> float:
        """Cost to come of a random agent at time 0, from the value [time, cells...] or that of time 0."""
        first = value[0] if value.ndim > len(self.cells) else value
        return float((self.grid.start * first).sum())

    def exploitability(self, flow: GridFlow, control: FloatArray) -> float:
        """What one agent gains by its best response when all others make the flow by playing `control`.

        The best response takes central differences, so that on a coarse grid the gain can be below zero by a small number.
        """
        best, _ = self.best_response(flow)
        return self.mean_cost(self.value(flow, control)) - self.mean_cost(best)

    def check_box(self, flow: GridFlow) -> None:
        """Raise `InputError` where more than 1e-6 of the population reaches an open side at some time."""
        cells = self.grid.open_cells
        most = float(flow.masses[:, cells].sum(axis=-1).max()) if cells.any() else 0.0
        if most > WALL_MASS:
            sides = ", ".join(f"{axis.name} from {axis.low:g} to {axis.high:g}" for axis in self.game.axes)
            raise InputError(
                f"a share {most:.1e} of the population reaches the open end of the box ({sides})",
                where=f"game {type(self.game).__name__}",
                rule=f"at most {WALL_MASS:g} may, or the end is felt",
                hint="widen the box of the game",
            )

    def coefficients(self, t: float, received: FloatArray, control: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Drift and diffusivity sigma^2/2 at every node, [cells..., axis], from the field that it receives."""
        nodes = self.grid.nodes
        noise = _full(self.game.noise(t, nodes, received), nodes.shape)
        return _full(self.game.drift(t, nodes, received, control), nodes.shape), 0.5 * noise * noise

    def received(self, field: FloatArray) -> FloatArray:
        """The field of one time as every node receives it, [cells..., channel]."""
        return _full(field, (*self.cells, len(self.game.channels)))

    @cached_property
    def _kernel(self) -> Kernel | None:
        return kernel_of(self.game, self.grid, self.times)

    def _played(self, policy: Policy, t: float, field: FloatArray) -> FloatArray:
        places: Any = self.grid.nodes
        return policy.control(t, np.zeros(self.cells, np.int64), places, self.received(field))

    def _backward(
        self, flow: GridFlow, choose: Callable[[int, FloatArray, FloatArray], FloatArray], control: FloatArray
    ) -> FloatArray:
        """The value when the control in step k is `choose(k, field, gradient of the value half way)`; `control` keeps it."""
        game, grid, nodes, lengths = self.game, self.grid, self.grid.nodes, np.diff(self.times).tolist()
        exits = game.exit_cost(self.times[:, None], grid.exits, flow.signals)
        walls = grid.at_walls(np.broadcast_to(exits, (self.steps + 1, len(grid.exits))))
        value = np.empty((self.steps + 1, *self.cells))
        value[-1] = game.terminal_cost(float(self.times[-1]), nodes, self.received(flow.field[-1]), flow.signals)
        drift, diffusivity = np.zeros(nodes.shape), np.ones(nodes.shape)
        later = gradient = grid.gradient(value[-1], walls[-1], drift, diffusivity)
        largest, span = 0.0, game.control.maximum - game.control.minimum if game.control else 0.0
        for k in range(self.steps - 1, -1, -1):
            received = self.received(0.5 * (flow.field[k] + flow.field[k + 1]))
            chosen = choose(k, received, 1.5 * gradient - 0.5 * later)
            for _ in range(IMPROVEMENTS):
                control[k] = chosen
                drift, diffusivity = self.coefficients(self.middles[k], received, control[k])
                cost = _full(game.running_cost(self.middles[k], nodes, received, control[k]), self.cells)
                value[k] = grid.backward(value[k + 1], cost, (walls[k], walls[k + 1]), drift, diffusivity, lengths[k])
                earlier = grid.gradient(value[k], walls[k], drift, diffusivity)
                chosen = choose(k, received, 0.5 * (gradient + earlier))
                largest = max(largest, float(np.abs(chosen).max()))
                if np.abs(chosen - control[k]).max() <= IMPROVED * largest + NEGLIGIBLE * span:
                    break
            later, gradient = gradient, earlier
        if not np.isfinite(value[0]).all():
            raise RunError(
                "the value is not finite",
                where=f"game {type(game).__name__}",
                hint="use a smaller step, or check the costs",
            )
        return value


def _full(values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Values in a shape that they broadcast to."""
    if values.shape == shape:
        return values
    result = np.empty(shape)
    result[...] = values
    return result
