"""The cost to come of a given control over time, and how the Hamiltonian changes with the control.

With h[tau, x] = f(t, x, z, a) + sum_y q(t, x -> y, z, a) (u[y] - u[x]), types tau with shares p and mixing K:

    one agent      -u' = h                                              u(T) = g
    the planner    -u' = h + w                                          u(T) = g + w with g in place of h
                   w[tau, x] = phi(t, x, a) . W[tau]
                   W[tau] = 1/p[tau] sum_s p[s] K[s, tau] sum_x m[s, x] dh[s, x]/dz

w is what one more agent in state x costs all others through the field that they feel. The slope is dh/da for one agent, and
d(h + w)/da for the planner: p m times that is the derivative of the mean cost of all (Pontryagin's principle for
mean-field control; Carmona and Delarue, Probabilistic Theory of MFG I (2018), 6.2 and 7.2). Derivatives in z and a are by
finite differences of order 2, in z forward, so that a field that cannot be negative never is. A control at the last instant
that changes what agents emit there, and a terminal cost that looks at it, are not seen by the slope.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesocosm import Control, FiniteStateGame, Flow, InputError, MeanField, Regime

FloatArray = NDArray[np.float64]

CONTROL_SPACING, FIELD_SPACING = 1e-5, 1e-5


class Adjoint:
    """Costs to come and slopes on the grid of a model; `social` adds the cost to all others."""

    def __init__(self, model: MeanField, *, social: bool) -> None:
        self.model, self.social = model, social

    @cached_property
    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Smallest and largest control at each node, both of shape [node, 1, 1]."""
        controls = [_control_of(self.model.regime(node).game) for node in range(len(self.model.nodes))]
        low, high = ([control.minimum for control in controls], [control.maximum for control in controls])
        return np.array(low)[:, None, None], np.array(high)[:, None, None]

    @cached_property
    def choosers(self) -> NDArray[np.bool_]:
        """Where agents choose, shape [state]."""
        control = _control_of(self.model.game)
        return np.array([name in control.states for name in self.model.game.states])

    def cost_to_come(self, flow: Flow, control: FloatArray) -> FloatArray:
        """u at every node under a control, both [node, type, state], against the flow of the population."""
        nodes, last = self.model.nodes, len(self.model.nodes) - 1
        value = np.empty(control.shape)
        value[last] = self._terminal(flow, control)
        slope = self._decrease(last, flow, value[last], control)
        for right in range(last, 0, -2):
            middle, left = right - 1, right - 2
            length = nodes[right] - nodes[left]
            second = self._decrease(middle, flow, value[right] + length / 2 * slope, control)
            third = self._decrease(middle, flow, value[right] + length / 2 * second, control)
            fourth = self._decrease(left, flow, value[right] + length * third, control)
            value[left] = value[right] + length / 6 * (slope + 2 * second + 2 * third + fourth)
            before = self._decrease(left, flow, value[left], control)
            value[middle] = (value[left] + value[right]) / 2 + length / 8 * (slope - before)
            slope = before
        return value

    def slopes(self, flow: Flow, control: FloatArray) -> FloatArray:
        """The derivative of the Hamiltonian in the control, [node, type, state]; zero where agents do not choose."""
        value = self.cost_to_come(flow, control)
        result = np.zeros(control.shape)
        for node, (t, low, high) in enumerate(zip(self.model.nodes, *self.bounds, strict=True)):
            spacing = CONTROL_SPACING * (high - low)
            ahead = np.minimum(control[node] + spacing, high)
            behind = np.maximum(control[node] - spacing, low)
            costs = [self._hamiltonian(node, flow.field[node], value[node], a) for a in (ahead, behind)]
            change = costs[0] - costs[1]
            if self.social:
                felt = self._felt(node, flow, value[node], control[node])
                here = self.model.regime(node)
                emitted = here.game.emission(t, here.states, ahead) - here.game.emission(t, here.states, behind)
                change = change + (emitted * felt[:, None, :]).sum(axis=-1)
            result[node] = np.where(self.choosers, change / np.where(self.choosers, ahead - behind, 1.0), 0.0)
        return result

    def _terminal(self, flow: Flow, control: FloatArray) -> FloatArray:
        last = len(self.model.nodes) - 1
        here, field, occupancy = self.model.regime(last), flow.field[last], flow.occupancy[last]
        cost = here.terminal_cost(field)
        if not self.social:
            return cost
        felt = self._weigh(here, np.stack(_derivatives(here.terminal_cost, field), axis=-1), occupancy)
        emission = here.game.emission(self.model.nodes[last], here.states, control[last])
        return cost + np.asarray((emission * felt[:, None, :]).sum(axis=-1), np.float64)

    def _decrease(self, node: int, flow: Flow, value: FloatArray, control: FloatArray) -> FloatArray:
        """-u' at a node."""
        result = self._hamiltonian(node, flow.field[node], value, control[node])
        if not self.social:
            return result
        felt = self._felt(node, flow, value, control[node])
        here = self.model.regime(node)
        emission = here.game.emission(self.model.nodes[node], here.states, control[node])
        return result + np.asarray((emission * felt[:, None, :]).sum(axis=-1), np.float64)

    def _hamiltonian(self, node: int, field: FloatArray, value: FloatArray, control: FloatArray) -> FloatArray:
        return self.model.regime(node).hamiltonian(self.model.nodes[node], field, value, control)

    def _felt(self, node: int, flow: Flow, value: FloatArray, control: FloatArray) -> FloatArray:
        """W, shape [type, channel]: what a unit of emission of an agent of a type costs all others."""

        def cost(field: FloatArray) -> FloatArray:
            return self._hamiltonian(node, field, value, control)

        derivative = np.stack(_derivatives(cost, flow.field[node]), axis=-1)
        return self._weigh(self.model.regime(node), derivative, flow.occupancy[node])

    def _weigh(self, here: Regime, derivative: FloatArray, occupancy: FloatArray) -> FloatArray:
        """From dh/dz [type, state, channel] to W [type, channel]."""
        shares = here.mixing.shares[:, None]
        mean = (occupancy[..., None] * derivative).sum(axis=1)
        return here.transposed.field(shares * mean) / shares


def _control_of(game: FiniteStateGame) -> Control:
    """The control of a game; an error where agents choose nothing."""
    if game.control is None:
        raise InputError("the game has no control", where="game", rule="a slope needs one")
    return game.control


def _derivatives(cost: Callable[[FloatArray], FloatArray], field: FloatArray) -> list[FloatArray]:
    """The derivative of `cost` in each channel, forward and of order 2."""
    here, found = cost(field), []
    for channel in range(field.shape[-1]):
        spacing = FIELD_SPACING * max(1.0, float(np.abs(field[..., channel]).max()))
        shift = np.zeros(field.shape[-1])
        shift[channel] = spacing
        once, twice = cost(field + shift), cost(field + 2 * shift)
        found.append((4 * once - 3 * here - twice) / (2 * spacing))
    return found
