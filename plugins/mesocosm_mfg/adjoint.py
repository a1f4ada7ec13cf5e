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
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesocosm import Control, Flow, InputError, MeanField, Mixing

FloatArray = NDArray[np.float64]

CONTROL_SPACING, FIELD_SPACING = 1e-5, 1e-5


class Adjoint:
    """Costs to come and slopes on the grid of a model; `social` adds the cost to all others."""

    def __init__(self, model: MeanField, *, social: bool) -> None:
        self.model, self.social = model, social
        game = model.game
        self.table = [(game.state_index(item.source), game.state_index(item.target), item) for item in game.transitions]
        self.states = np.tile(np.arange(len(game.states)), (len(model.initial), 1))

    @cached_property
    def control(self) -> Control:
        """The control of the game; an error where agents choose nothing."""
        if self.model.game.control is None:
            raise InputError("the game has no control", where="game", rule="a slope needs one")
        return self.model.game.control

    @cached_property
    def choosers(self) -> NDArray[np.bool_]:
        """Where agents choose, shape [state]."""
        return np.array([name in self.control.states for name in self.model.game.states])

    @cached_property
    def _transposed(self) -> Mixing:
        mixing = self.model.mixing
        matrix = None if mixing.matrix is None else mixing.matrix.T
        return replace(mixing, matrix=matrix, left=mixing.right, right=mixing.left)

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
        low, high = self.control.minimum, self.control.maximum
        spacing = CONTROL_SPACING * (high - low)
        result = np.zeros(control.shape)
        for node, t in enumerate(self.model.nodes):
            ahead = np.minimum(control[node] + spacing, high)
            behind = np.maximum(control[node] - spacing, low)
            costs = [self._hamiltonian(node, flow.field[node], value[node], a) for a in (ahead, behind)]
            change = costs[0] - costs[1]
            if self.social:
                felt = self._felt(node, flow, value[node], control[node])
                emitted = self.model.game.emission(t, self.states, ahead)
                emitted = emitted - self.model.game.emission(t, self.states, behind)
                change = change + (emitted * felt[:, None, :]).sum(axis=-1)
            result[node] = np.where(self.choosers, change / np.where(self.choosers, ahead - behind, 1.0), 0.0)
        return result

    def _terminal(self, flow: Flow, control: FloatArray) -> FloatArray:
        last = len(self.model.nodes) - 1
        t, field, occupancy = self.model.nodes[last], flow.field[last], flow.occupancy[last]

        def cost(at: FloatArray) -> FloatArray:
            return np.array(self.model.game.terminal_cost(self.states, self._by_state(at)), np.float64)

        if not self.social:
            return cost(field)
        felt = self._weigh(np.stack(_derivatives(cost, field), axis=-1), occupancy)
        emission = self.model.game.emission(t, self.states, control[last])
        return cost(field) + np.asarray((emission * felt[:, None, :]).sum(axis=-1), np.float64)

    def _decrease(self, node: int, flow: Flow, value: FloatArray, control: FloatArray) -> FloatArray:
        """-u' at a node."""
        result = self._hamiltonian(node, flow.field[node], value, control[node])
        if not self.social:
            return result
        felt = self._felt(node, flow, value, control[node])
        emission = self.model.game.emission(self.model.nodes[node], self.states, control[node])
        return result + np.asarray((emission * felt[:, None, :]).sum(axis=-1), np.float64)

    def _hamiltonian(self, node: int, field: FloatArray, value: FloatArray, control: FloatArray) -> FloatArray:
        game, t = self.model.game, self.model.nodes[node]
        result = np.array(game.running_cost(t, self.states, self._by_state(field), control), np.float64)
        for source, target, transition in self.table:
            rate = game.intensity(transition, t, field, control[:, source])
            result[:, source] += rate * (value[:, target] - value[:, source])
        return result

    def _felt(self, node: int, flow: Flow, value: FloatArray, control: FloatArray) -> FloatArray:
        """W, shape [type, channel]: what a unit of emission of an agent of a type costs all others."""

        def cost(field: FloatArray) -> FloatArray:
            return self._hamiltonian(node, field, value, control)

        return self._weigh(np.stack(_derivatives(cost, flow.field[node]), axis=-1), flow.occupancy[node])

    def _weigh(self, derivative: FloatArray, occupancy: FloatArray) -> FloatArray:
        """From dh/dz [type, state, channel] to W [type, channel]."""
        shares = self.model.mixing.shares[:, None]
        mean = (occupancy[..., None] * derivative).sum(axis=1)
        return self._transposed.field(shares * mean) / shares

    def _by_state(self, field: FloatArray) -> FloatArray:
        return np.repeat(field[:, None, :], self.model.initial.shape[1], axis=1)


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
