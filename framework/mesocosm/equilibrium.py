"""Mean field of a finite-state game on a closure: the flow of a policy, its value, the best response, exploitability.

With types tau (shares p, mixing K), occupancy m[tau, x], control a[tau, x], emission phi and intensities q:

    field         z[tau] = sum_s K[tau, s] sum_x m[s, x] phi(t, x, a[s, x])
    Kolmogorov    m'[tau, y] = sum_x m[tau, x] q(t, x -> y, z[tau], a[tau, x])        forward from the initial shares
    value         u'[tau, x] = -( f(t, x, z, a) + sum_y q(t, x -> y, z, a) (u[y] - u[x]) )    backward from the terminal cost
    HJB           the same with a minimising the right-hand side (the best response to the flow)

Costs are per agent. All equations are solved by the classical Runge-Kutta method of order 4 on one grid; its half steps
hold the control, and the occupancy there by cubic Hermite interpolation (order 4), so nothing is interpolated in between.
Sources: Gomes, Mohr, Souza, Appl. Math. Optim. 68, 99 (2013); Carmona and Delarue, Probabilistic Theory of MFG I (2018), 7.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesocosm.game import FiniteStateGame, Transition
from mesocosm.mixing import Mixing
from mesocosm.policy import IntArray, Policy

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Flow:
    """A population flow on the half-step grid: `occupancy` [node, type, state] and `field` [node, type, channel]."""

    occupancy: FloatArray
    field: FloatArray


@dataclass(frozen=True, eq=False)
class MeanField:
    """A finite-state game on a closure, from `initial` shares [type, state] at time `nodes[0]`.

    `nodes` is the half-step grid, shape [2 steps + 1]: a Runge-Kutta step goes from an even node to the next even one.
    The spacing may change from step to step, not within one.
    """

    game: FiniteStateGame
    mixing: Mixing
    initial: FloatArray
    nodes: FloatArray

    @cached_property
    def _states(self) -> NDArray[np.int64]:
        return np.tile(np.arange(self.initial.shape[1]), (self.initial.shape[0], 1))

    @cached_property
    def _table(self) -> list[tuple[int, int, Transition]]:
        index = self.game.states.index
        return [(index(item.source), index(item.target), item) for item in self.game.transitions]

    def neutral(self) -> FloatArray:
        """The neutral control at every node, shape [node, type, state]."""
        shape = (len(self.nodes), *self.initial.shape)
        return np.asarray(self.game.neutral_control(np.zeros(shape)), np.float64)

    def field(self, t: float, occupancy: FloatArray, control: FloatArray) -> FloatArray:
        """Field of every type, shape [type, channel], from occupancy and control, both [type, state]."""
        emission: FloatArray = self.game.emission(t, self._states, control)
        return self.mixing.field((occupancy[:, None, :] @ emission)[:, 0])

    def check(self, t: float, occupancy: FloatArray, control: FloatArray) -> None:
        """Raise `DynamicsError` for an intensity that is negative or not finite, at shares that are sound."""
        field = self.field(t, occupancy, control)
        for source, _, transition in self._table:
            self.game.checked_intensity(transition, t, field, control[:, source])

    def rate_of_change(self, t: float, occupancy: FloatArray, control: FloatArray) -> FloatArray:
        """The right-hand side of the Kolmogorov equation, shape [type, state]."""
        field = self.field(t, occupancy, control)
        change = np.zeros_like(occupancy)
        for source, target, transition in self._table:
            moved = occupancy[:, source] * self.game.intensity(transition, t, field, control[:, source])
            change[:, source] -= moved
            change[:, target] += moved
        return change

    def step(self, k: int, occupancy: FloatArray, control: FloatArray) -> FloatArray:
        """Occupancy at node 2k + 2 from that at node 2k; `control` is [3, type, state], at nodes 2k, 2k + 1, 2k + 2."""
        left, middle, right = self.nodes[2 * k : 2 * k + 3]
        length = right - left
        first = self.rate_of_change(left, occupancy, control[0])
        second = self.rate_of_change(middle, occupancy + length / 2 * first, control[1])
        third = self.rate_of_change(middle, occupancy + length / 2 * second, control[1])
        fourth = self.rate_of_change(right, occupancy + length * third, control[2])
        return np.asarray(occupancy + length / 6 * (first + 2 * second + 2 * third + fourth))

    def flow(self, control: FloatArray) -> Flow:
        """The flow of the whole population under a control, shape [node, type, state]."""
        occupancy = np.empty((len(self.nodes), *self.initial.shape))
        occupancy[0] = self.initial
        slope = self.rate_of_change(self.nodes[0], occupancy[0], control[0])
        for k in range(len(self.nodes) // 2):
            left, right = 2 * k, 2 * k + 2
            occupancy[right] = self.step(k, occupancy[left], control[left : right + 1])
            next_slope = self.rate_of_change(self.nodes[right], occupancy[right], control[right])
            length = self.nodes[right] - self.nodes[left]
            middle = (occupancy[left] + occupancy[right]) / 2 + length / 8 * (slope - next_slope)
            occupancy[left + 1], slope = middle, next_slope
        field = np.stack(
            [self.field(t, now, chosen) for t, now, chosen in zip(self.nodes, occupancy, control, strict=True)]
        )
        return Flow(occupancy, field)

    def value(self, flow: Flow, control: FloatArray) -> FloatArray:
        """Expected cost to come of one agent that plays `control` against a flow, at time 0: shape [type, state]."""
        return self._backward(flow, lambda node, value: control[node], None)

    def best_response(self, flow: Flow) -> tuple[FloatArray, FloatArray]:
        """The lowest cost to come at time 0 against a flow, [type, state], and the control that attains it [node, ...]."""
        best = np.empty((len(self.nodes), *self.initial.shape))

        def choose(node: int, value: FloatArray) -> FloatArray:
            return np.asarray(self.game.best_control(self.nodes[node], flow.field[node], value), np.float64)

        value = self._backward(flow, choose, best)
        return value, best

    def mean_cost(self, value: FloatArray) -> float:
        """Cost to come of a random agent at time 0, from its value by type and state."""
        return float(self.mixing.shares @ (self.initial * value).sum(axis=-1))

    def exploitability(self, flow: Flow, control: FloatArray) -> float:
        """What one agent gains by its best response when all others play `control`, whose flow is given; >= 0 exactly.

        The two values are computed to the order of the grid, so a small negative number can appear at an equilibrium.
        """
        best, _ = self.best_response(flow)
        return self.mean_cost(self.value(flow, control)) - self.mean_cost(best)

    def _decrease(self, node: int, flow: Flow, value: FloatArray, control: FloatArray) -> FloatArray:
        """-u' at a node: the running cost, and the expected change of value by jumps; [type, state]."""
        t, field = self.nodes[node], flow.field[node]
        result = np.array(self.game.running_cost(t, self._states, self._by_state(field), control), np.float64)
        for source, target, transition in self._table:
            rate = self.game.intensity(transition, t, field, control[:, source])
            result[:, source] += rate * (value[:, target] - value[:, source])
        return result

    def _by_state(self, field: FloatArray) -> FloatArray:
        """A field [type, channel] for an agent in every state: [type, state, channel]."""
        return np.repeat(field[:, None, :], self.initial.shape[1], axis=1)

    def _backward(
        self, flow: Flow, choose: Callable[[int, FloatArray], FloatArray], chosen: FloatArray | None
    ) -> FloatArray:
        """The value at time 0 when the control at a node is `choose(node, value there)`; `chosen` keeps it."""
        last = len(self.nodes) - 1
        value = np.array(self.game.terminal_cost(self._states, self._by_state(flow.field[last])), np.float64)
        control = choose(last, value)
        first = self._decrease(last, flow, value, control)
        for right in range(last, 0, -2):
            middle, left = right - 1, right - 2
            length = self.nodes[right] - self.nodes[left]
            guess = value + length / 2 * first
            second = self._decrease(middle, flow, guess, choose(middle, guess))
            guess = value + length / 2 * second
            third = self._decrease(middle, flow, guess, choose(middle, guess))
            guess = value + length * third
            fourth = self._decrease(left, flow, guess, choose(left, guess))
            before = value + length / 6 * (first + 2 * second + 2 * third + fourth)
            control_before = choose(left, before)
            slope = self._decrease(left, flow, before, control_before)
            if chosen is not None:
                halfway = (value + before) / 2 + length / 8 * (first - slope)
                chosen[right], chosen[middle] = control, choose(middle, halfway)
            value, control, first = before, control_before, slope
        if chosen is not None:
            chosen[0] = control
        return value


def half_step_grid(times: FloatArray, steps_per_interval: int) -> FloatArray:
    """The half-step grid with `steps_per_interval` equal Runge-Kutta steps between consecutive save times."""
    parts = 2 * steps_per_interval
    inner = np.arange(parts) / parts
    nodes = times[:-1, None] + np.diff(times)[:, None] * inner
    return np.append(nodes.ravel(), times[-1])


def tabulate_policy(model: MeanField, policy: Policy, rows: IntArray) -> FloatArray:
    """The control at every node, shape [node, type, state], where type tau plays row `rows[tau]` of a policy.

    A policy that looks at the field sees that of the flow that it makes, with the emissions of agents that do not choose:
    the Kolmogorov equation is solved forward with it by the method of `MeanField`.
    """
    if not policy.uses_field:
        states = model.initial.shape[1]
        return np.stack([policy.table(float(t), states)[rows] for t in model.nodes])
    neutral = np.asarray(model.game.neutral_control(np.zeros(model.initial.shape)), np.float64)
    numbers = np.arange(model.initial.shape[1])[None, :]

    def choose(t: float, occupancy: FloatArray) -> FloatArray:
        field = np.repeat(model.field(t, occupancy, neutral)[:, None, :], model.initial.shape[1], axis=1)
        chosen = policy.control(float(t), rows[:, None], numbers, field)
        return np.array(np.broadcast_to(chosen, model.initial.shape), np.float64)

    def slope(t: float, occupancy: FloatArray) -> FloatArray:
        return model.rate_of_change(t, occupancy, choose(t, occupancy))

    control = np.empty((len(model.nodes), *model.initial.shape))
    occupancy = model.initial
    first = slope(model.nodes[0], occupancy)
    control[0] = choose(model.nodes[0], occupancy)
    for k in range(len(model.nodes) // 2):
        left, middle, right = model.nodes[2 * k : 2 * k + 3]
        length = right - left
        second = slope(middle, occupancy + length / 2 * first)
        third = slope(middle, occupancy + length / 2 * second)
        fourth = slope(right, occupancy + length * third)
        after = occupancy + length / 6 * (first + 2 * second + 2 * third + fourth)
        last = slope(right, after)
        control[2 * k + 1] = choose(middle, (occupancy + after) / 2 + length / 8 * (first - last))
        control[2 * k + 2] = choose(right, after)
        occupancy, first = after, last
    return control
