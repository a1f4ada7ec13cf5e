"""Mean field of a finite-state game on a closure: the flow of a policy, its value, the best response, exploitability.

With types tau (shares p, mixing K), occupancy m[tau, x], control a[tau, x], emission phi and intensities q:

    field         z[tau] = sum_s K[tau, s] sum_x m[s, x] phi(t, x, a[s, x])
    Kolmogorov    m'[tau, y] = sum_x m[tau, x] q(t, x -> y, z[tau], a[tau, x])        forward from the initial shares
    value         u'[tau, x] = -( f(t, x, z, a) + sum_y q(t, x -> y, z, a) (u[y] - u[x]) )    backward from the terminal cost
    HJB           the same with a minimising the right-hand side (the best response to the flow)

Costs are per agent. All equations are solved by the classical Runge-Kutta method of order 4 on one grid; its half steps
hold the control, and the occupancy there by cubic Hermite interpolation (order 4), so nothing is interpolated in between.
Game and mixing may change at known times (`regime.Course`): a step of length zero stands there, whose left node is before
and whose right node is after the change, so that field and control have both values and the order stays 4.
Sources: Gomes, Mohr, Souza, Appl. Math. Optim. 68, 99 (2013); Carmona and Delarue, Probabilistic Theory of MFG I (2018), 7.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesocosm.game import FiniteStateGame
from mesocosm.mixing import Mixing
from mesocosm.policy import IntArray, Policy
from mesocosm.regime import Course, Regime

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
    The spacing may change from step to step, not within one. Where game and mixing change in time, `course` has them, with
    the same types and states throughout; without it, `game` and `mixing` hold all the time.
    """

    game: FiniteStateGame
    mixing: Mixing
    initial: FloatArray
    nodes: FloatArray
    course: Course | None = None

    @cached_property
    def _only(self) -> Regime:
        return Regime(self.game, self.mixing)

    def regime(self, node: int) -> Regime:
        """The game and the mixing at a node."""
        return self._only if self.course is None else self.course.at(node)

    @property
    def games(self) -> tuple[FiniteStateGame, ...]:
        """All games that occur."""
        return (self.game,) if self.course is None else self.course.games

    def scaled(self, share: float) -> MeanField:
        """The same with a share of what agents feel of each other."""
        course = None if self.course is None else self.course.scaled(share)
        return replace(self, mixing=self._only.scaled(share).mixing, course=course)

    @cached_property
    def moments(self) -> FloatArray:
        """The times of the nodes, shape [node], with those just before a change a trifle earlier: for policies that jump."""
        moments = self.nodes.copy()
        before = 2 * np.flatnonzero(np.diff(self.nodes[::2]) == 0)
        moments[before] = np.nextafter(moments[before], -np.inf)
        return moments

    def saves(self, times: FloatArray) -> IntArray:
        """The last node at each of some times that begin or end a step, shape [time]."""
        return 2 * (np.searchsorted(self.nodes[::2], times, side="right") - 1).astype(np.int64)

    def neutral(self) -> FloatArray:
        """The neutral control at every node, shape [node, type, state]."""
        if self.course is None:
            return np.array(np.broadcast_to(self._only.neutral(), (len(self.nodes), *self.initial.shape)))
        return np.stack([self.regime(node).neutral() for node in range(len(self.nodes))])

    def field(self, t: float, occupancy: FloatArray, control: FloatArray) -> FloatArray:
        """Field of every type, shape [type, channel], from occupancy and control, both [type, state]: at the start where
        game and mixing change."""
        return self.regime(0).field(t, occupancy, control)

    def step(self, k: int, occupancy: FloatArray, control: FloatArray) -> FloatArray:
        """Occupancy at node 2k + 2 from that at node 2k; `control` is [3, type, state], at nodes 2k, 2k + 1, 2k + 2."""
        nodes, here = self.nodes[2 * k : 2 * k + 3], self.regime(2 * k + 1)
        if nodes[2] == nodes[0]:
            return occupancy

        def slope(part: int, now: FloatArray) -> FloatArray:
            return here.rate_of_change(nodes[part], now, control[part])

        return _runge_kutta(nodes[2] - nodes[0], occupancy, slope(0, occupancy), slope)

    def forward(self, slope: Callable[[int, FloatArray], FloatArray]) -> FloatArray:
        """The solution of m' = slope(node, m) from the initial shares, at every node: shape [node, type, state]."""
        occupancy = np.empty((len(self.nodes), *self.initial.shape))
        occupancy[0] = self.initial
        first = slope(0, occupancy[0])
        for left in range(0, len(self.nodes) - 1, 2):
            right, length = left + 2, self.nodes[left + 2] - self.nodes[left]
            if length == 0:
                occupancy[left + 1] = occupancy[right] = occupancy[left]
                first = slope(right, occupancy[right])
                continue

            def ahead(part: int, now: FloatArray, left: int = left) -> FloatArray:
                return slope(left + part, now)

            occupancy[right] = _runge_kutta(length, occupancy[left], first, ahead)
            last = slope(right, occupancy[right])
            occupancy[left + 1] = (occupancy[left] + occupancy[right]) / 2 + length / 8 * (first - last)
            first = last
        return occupancy

    def flow(self, control: FloatArray) -> Flow:
        """The flow of the whole population under a control, shape [node, type, state]."""
        occupancy = self.forward(
            lambda node, now: self.regime(node).rate_of_change(self.nodes[node], now, control[node])
        )
        fields = [self.regime(n).field(t, occupancy[n], control[n]) for n, t in enumerate(self.nodes)]
        return Flow(occupancy, np.stack(fields))

    def law_of_one(self, flow: Flow, control: FloatArray) -> FloatArray:
        """Probability of each state of one agent that plays a control in the flow of others, both [node, type, state]."""
        return self.forward(
            lambda node, now: self.regime(node).rate_of_change(self.nodes[node], now, control[node], flow.field[node])
        )

    def value(self, flow: Flow, control: FloatArray) -> FloatArray:
        """Expected cost to come of one agent that plays `control` against a flow, at time 0: shape [type, state]."""
        return self._backward(flow, lambda node, value: control[node], None)

    def best_response(self, flow: Flow) -> tuple[FloatArray, FloatArray]:
        """The lowest cost to come at time 0 against a flow, [type, state], and the control that attains it [node, ...]."""
        best = np.empty((len(self.nodes), *self.initial.shape))

        def choose(node: int, value: FloatArray) -> FloatArray:
            game = self.regime(node).game
            return np.asarray(game.best_control(self.nodes[node], flow.field[node], value), np.float64)

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

    def _backward(
        self, flow: Flow, choose: Callable[[int, FloatArray], FloatArray], chosen: FloatArray | None
    ) -> FloatArray:
        """The value at time 0 when the control at a node is `choose(node, value there)`; `chosen` keeps it."""
        last = len(self.nodes) - 1

        def decrease(node: int, value: FloatArray, control: FloatArray) -> FloatArray:
            return self.regime(node).hamiltonian(self.nodes[node], flow.field[node], value, control)

        value = self.regime(last).terminal_cost(flow.field[last])
        control = choose(last, value)
        first = decrease(last, value, control)
        for right in range(last, 0, -2):
            middle, left = right - 1, right - 2
            length = self.nodes[right] - self.nodes[left]

            def slope(part: int, guess: FloatArray, right: int = right) -> FloatArray:
                return decrease(right - part, guess, choose(right - part, guess))

            before = _runge_kutta(length, value, first, slope) if length else value
            control_before = choose(left, before)
            slope_before = decrease(left, before, control_before)
            if chosen is not None:
                halfway = (value + before) / 2 + length / 8 * (first - slope_before)
                chosen[right], chosen[middle] = control, choose(middle, halfway)
            value, control, first = before, control_before, slope_before
        if chosen is not None:
            chosen[0] = control
        return value


def _runge_kutta(
    length: float, start: FloatArray, first: FloatArray, slope: Callable[[int, FloatArray], FloatArray]
) -> FloatArray:
    """One classical Runge-Kutta step; `slope(part, y)` at its start (0), middle (1) and end (2), `first` that at the start."""
    second = slope(1, start + length / 2 * first)
    third = slope(1, start + length / 2 * second)
    fourth = slope(2, start + length * third)
    return np.asarray(start + length / 6 * (first + 2 * second + 2 * third + fourth))


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
    states = model.initial.shape[1]
    if not policy.uses_field:
        return np.stack([policy.table(float(t), states)[rows] for t in model.moments])
    numbers = np.arange(states)[None, :]

    def choose(node: int, occupancy: FloatArray) -> FloatArray:
        here, t = model.regime(node), float(model.moments[node])
        field = here.by_state(here.field(t, occupancy, here.neutral()))
        chosen = policy.control(t, rows[:, None], numbers, field)
        return np.array(np.broadcast_to(chosen, model.initial.shape), np.float64)

    def slope(node: int, occupancy: FloatArray) -> FloatArray:
        control = choose(node, occupancy)
        return model.regime(node).rate_of_change(float(model.nodes[node]), occupancy, control)

    return np.stack([choose(node, now) for node, now in enumerate(model.forward(slope))])
