"""The equilibrium of a finite-state game as one system of equations F(y, theta) = 0, all times at once, on torch.

Unknowns y at every node of a time grid: shares m[type, state], costs to come u[type, state], the field z[type, channel]
there, and the field in the middle of the step that follows. With the best response a = BR(t, z, u), slopes m' of the
Kolmogorov equation and u' of the HJB equation (`mesocosm.MeanField` has both), steps of length h, and y = (m, u),

    y_k+1 - y_k = h/6 (y'_k + 4 y'_middle + y'_k+1),      y_middle = (y_k + y_k+1)/2 + h/8 (y'_k - y'_k+1),
    z = K E[emission]  at nodes and middles,              m_0 given,   u_last = terminal cost.

This is Lobatto collocation of order 4 (Hermite-Simpson; Kierzenka and Shampine, ACM Trans. Math. Softw. 27, 299 (2001)).
It is solved by the fixed points z = G(z, theta) of the field of the flow of the best response to z, and by nothing else.
Parameters theta may change in time: they are given at nodes and middles, and the game is rebuilt with those of each.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import FiniteStateGame, Mixing

FloatArray = NDArray[np.float64]
Rebuild = Callable[[torch.Tensor], FiniteStateGame]
"""Parameters, [parameter], to the game that has them."""

LARGEST = 2**20
"""Most numbers in the rows of all copies of all steps that are differentiated together."""


@dataclass(frozen=True, eq=False)
class Linearisation:
    """F and its derivatives at one y and theta. Rows of F: those of every step, then m_0, then those of the last node.

    Attributes
    ----------
    residual: F, [batch, row].
    left, right: rows of a step with respect to y at its ends, [batch, step, row, unknown].
    last: rows of the last node with respect to y there, [batch, row, unknown].
    theta: rows of a step with respect to theta at its left, middle and right, [batch, step, row, parameter, 3].
    last_theta: rows of the last node with respect to theta there, [batch, row, parameter].
    """

    residual: torch.Tensor
    left: torch.Tensor
    right: torch.Tensor
    last: torch.Tensor
    theta: torch.Tensor
    last_theta: torch.Tensor


class Collocation:
    """The equations of a game on a closure, in float64 on the CPU.

    Parameters
    ----------
    game: says how many states and channels there are. rebuild: makes the game from its parameters. mixing: the closure.
    initial: shares at time 0, [type, state]. nodes: the half-step grid (`mesocosm.half_step_grid`), [2 steps + 1].
    """

    def __init__(
        self, game: FiniteStateGame, rebuild: Rebuild, mixing: Mixing, initial: FloatArray, nodes: FloatArray
    ) -> None:
        self.game, self.rebuild, self.mixing = game, rebuild, torch.from_numpy(mixing.dense())
        self.initial = torch.from_numpy(np.array(initial, np.float64))
        self.times = torch.from_numpy(np.array(nodes, np.float64))
        types, states = self.initial.shape
        self.states = torch.arange(states).expand(types, states)
        self.shapes = ((types, states), (types, states), (types, len(game.channels)), (types, len(game.channels)))
        self.sizes = [rows * columns for rows, columns in self.shapes]
        self.unknowns, self.steps = sum(self.sizes), len(nodes) // 2

    def with_contacts(self, share: float) -> Collocation:
        """The same equations with a share of all contacts."""
        result = copy.copy(self)
        result.mixing = share * self.mixing
        return result

    def parts(self, unknowns: torch.Tensor) -> list[torch.Tensor]:
        """m, u, z and z in the middle: [..., unknown] to [..., type, state or channel]."""
        pieces = unknowns.split(self.sizes, dim=-1)
        return [piece.unflatten(-1, shape) for piece, shape in zip(pieces, self.shapes, strict=True)]

    def linearise(self, unknowns: torch.Tensor, theta: torch.Tensor) -> Linearisation:
        """F and its derivatives: unknowns [batch, node, unknown], theta [batch, parameter, 2 steps + 1]."""
        batch = len(unknowns)
        ends = unknowns[:, :-1].flatten(0, 1), unknowns[:, 1:].flatten(0, 1)
        rows, slopes = _jacobian(self._step_rows, (*ends, _by_step(theta).flatten(0, 1)), self._times(batch))
        left, right, by_theta = (slope.unflatten(0, (batch, -1)) for slope in slopes)
        last_rows, (last, last_theta) = _jacobian(self._last_rows, (unknowns[:, -1], theta[..., -1]))
        first = unknowns[:, 0, : self.sizes[0]] - self.initial.flatten()
        residual = torch.cat([rows.view(batch, -1), first, last_rows], dim=1)
        return Linearisation(residual, left, right, last, by_theta, last_theta)

    def residual(self, unknowns: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
        """F alone, [batch, row]."""
        batch = len(unknowns)
        ends = unknowns[:, :-1].flatten(0, 1), unknowns[:, 1:].flatten(0, 1)
        rows = torch.vmap(self._step_rows)(*ends, _by_step(theta).flatten(0, 1), self._times(batch))
        last_rows = torch.vmap(self._last_rows)(unknowns[:, -1], theta[..., -1])
        first = unknowns[:, 0, : self.sizes[0]] - self.initial.flatten()
        return torch.cat([rows.view(batch, -1), first, last_rows], dim=1)

    def control(self, unknowns: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
        """The best response at every node and middle, [batch, 2 steps + 1, type, state]."""
        batch = len(unknowns)
        ends = unknowns[:, :-1].flatten(0, 1), unknowns[:, 1:].flatten(0, 1)
        pairs = torch.vmap(self._step_controls)(*ends, _by_step(theta).flatten(0, 1), self._times(batch))
        before = torch.stack([part.unflatten(0, (batch, -1)) for part in pairs], dim=2).flatten(1, 2)

        def at_end(unknowns: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
            _, value, field, _ = self.parts(unknowns)
            return self._respond(self.times[-1], value, field, theta)[1]

        return torch.cat([before, torch.vmap(at_end)(unknowns[:, -1], theta[..., -1])[:, None]], dim=1)

    def _times(self, batch: int) -> torch.Tensor:
        """Left, middle and right time of every step, [batch * step, 3]."""
        return torch.stack([self.times[:-2:2], self.times[1::2], self.times[2::2]], dim=-1).repeat(batch, 1)

    def _respond(
        self, t: torch.Tensor, value: torch.Tensor, field: torch.Tensor, theta: torch.Tensor
    ) -> tuple[FiniteStateGame, torch.Tensor]:
        """The game at one time, and the best response there, [type, state]."""
        game = self.rebuild(theta)
        chosen = game.best_control(t, field, value) if game.control else game.neutral_control(value)
        return game, chosen

    def _slopes(
        self, t: torch.Tensor, known: Sequence[torch.Tensor], theta: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """m', u', and the field that the population makes, from m, u and z at a time."""
        shares, value, field = known
        game, control = self._respond(t, value, field, theta)
        time: float = t
        cost = game.running_cost(time, self.states, self._everywhere(field), control) + 0.0 * value
        change, decrease = list((0.0 * shares).unbind(-1)), list(cost.unbind(-1))
        for transition in game.transitions:
            source, target = game.state_index(transition.source), game.state_index(transition.target)
            rate = game.intensity(transition, time, field, control[:, source])
            moved = shares[:, source] * rate
            change[source], change[target] = change[source] - moved, change[target] + moved
            decrease[source] = decrease[source] + rate * (value[:, target] - value[:, source])
        emitted = (shares[:, None, :] @ game.emission(time, self.states, control))[:, 0]
        return torch.stack(change, -1), -torch.stack(decrease, -1), self.mixing @ emitted

    def _step_rows(
        self, left: torch.Tensor, right: torch.Tensor, theta: torch.Tensor, times: torch.Tensor
    ) -> torch.Tensor:
        """The equations of one step, flat: of m, u, z at its left and z in its middle."""
        length, before, after = times[2] - times[0], self.parts(left), self.parts(right)
        first = self._slopes(times[0], before[:3], theta[:, 0])
        last = self._slopes(times[2], after[:3], theta[:, 2])
        middle = [_halfway(before[i], after[i], first[i], last[i], length) for i in (0, 1)]
        half = self._slopes(times[1], (*middle, before[3]), theta[:, 1])
        rows = [after[i] - before[i] - length / 6 * (first[i] + 4 * half[i] + last[i]) for i in (0, 1)]
        return torch.cat([row.flatten() for row in (*rows, before[2] - first[2], before[3] - half[2])])

    def _last_rows(self, unknowns: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
        """The equations of the last node, flat: of u, z, and the middle of no step, which is zero."""
        shares, value, field, unused = self.parts(unknowns)
        terminal = self.rebuild(theta).terminal_cost(self.states, self._everywhere(field))
        made = self._slopes(self.times[-1], (shares, value, field), theta)[2]
        return torch.cat([row.flatten() for row in (value - terminal, field - made, unused)])

    def _step_controls(
        self, left: torch.Tensor, right: torch.Tensor, theta: torch.Tensor, times: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The best response at the left of a step and in its middle."""
        before, after = self.parts(left), self.parts(right)
        first = self._slopes(times[0], before[:3], theta[:, 0])[1]
        last = self._slopes(times[2], after[:3], theta[:, 2])[1]
        value = _halfway(before[1], after[1], first, last, times[2] - times[0])
        chosen = self._respond(times[0], before[1], before[2], theta[:, 0])[1]
        return chosen, self._respond(times[1], value, before[3], theta[:, 1])[1]

    def _everywhere(self, field: torch.Tensor) -> torch.Tensor:
        """A field [type, channel] for an agent in every state: [type, state, channel]."""
        return field[:, None, :].expand(-1, self.states.shape[1], -1)


def _jacobian(
    function: Callable[..., torch.Tensor], inputs: Sequence[torch.Tensor], *others: torch.Tensor
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Values and derivatives of a function of single items, for many items: inputs [item, ...] to [item, row] and, for each
    input, [item, row, ...].

    Every item is computed once for each of its rows, and one backward pass gives the derivatives of all of them. That is
    faster than the function transforms of torch, which load its compiler.
    """
    items, count = len(inputs[0]), function(*(each[0] for each in (*inputs, *others))).numel()
    together = max(1, LARGEST // (items * count))
    values, slopes = [], []
    for first in range(0, count, together):
        rows = range(first, min(first + together, count))
        copies = [each.repeat_interleave(len(rows), dim=0) for each in (*inputs, *others)]
        with torch.enable_grad():
            variables = [copy.requires_grad_() for copy in copies[: len(inputs)]]
            found = torch.vmap(function)(*variables, *copies[len(inputs) :]).view(items, len(rows), count)
            chosen = found[:, range(len(rows)), rows]
            parts = torch.autograd.grad(chosen.sum(), variables, materialize_grads=True)
        values.append(chosen.detach())
        slopes.append([part.unflatten(0, (items, len(rows))) for part in parts])
    return torch.cat(values, dim=1), [torch.cat(parts, dim=1) for parts in zip(*slopes, strict=True)]


def _by_step(theta: torch.Tensor) -> torch.Tensor:
    """Parameters at the left, middle and right of every step: [batch, parameter, node] to [batch, step, parameter, 3]."""
    return torch.stack([theta[..., :-2:2], theta[..., 1::2], theta[..., 2::2]], dim=-1).movedim(1, 2)


def _halfway(
    before: torch.Tensor, after: torch.Tensor, first: torch.Tensor, last: torch.Tensor, length: torch.Tensor
) -> torch.Tensor:
    """The middle of the cubic with these ends and slopes."""
    return (before + after) / 2 + length / 8 * (first - last)
