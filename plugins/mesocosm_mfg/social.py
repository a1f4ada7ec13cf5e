"""The social optimum of a finite-state game on a closure: the control under which the mean cost of all is lowest.

    C(a) = sum_tau p[tau] ( int sum_x m[tau, x] f(t, x, z, a) dt + sum_x m_T[tau, x] g(x, z_T) ),    z the field of the flow m

A planner takes into account what agents do to each other through the field, which nobody does in a Nash equilibrium. C is
lowered by spectral projected gradient: with the slope G of the planner's Hamiltonian (`adjoint.py`),

    a <- a + s (clip(a - alpha G) - a)

alpha is the step of Barzilai and Borwein, with scalar products weighed by p m; s is halved until C is enough below the
highest of its last five values. The gap, int sum p m max_b G (a - b) dt over allowed b, bounds C(a) - min C from above where
C is convex, and the optimum is found when it is below tolerance * |C|. Where C is not convex the optimum may be a local one:
the start is the best of the controls given and the constant ones.
Source: E. G. Birgin, J. M. Martinez, M. Raydan, SIAM J. Optim. 10, 1196 (2000).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesocosm import Flow, MeanField
from mesocosm_mfg.adjoint import Adjoint

FloatArray = NDArray[np.float64]

REMEMBERED, DECREASE, HALVINGS = 5, 1e-4, 30
LEVELS = 5
"""Constant controls that are tried as a start."""


@dataclass(frozen=True, eq=False)
class SocialOptimum:
    """What the descent ended with.

    Attributes
    ----------
    control: shape [node, type, state].
    gaps: of every iterate, in units of cost, shape [iteration]; the last is that of `control`.
    converged: whether the last gap is below the tolerance, relative to the cost.
    """

    control: FloatArray
    gaps: FloatArray
    converged: bool


@dataclass(frozen=True, eq=False)
class Plan:
    """A control, its flow and its cost."""

    control: FloatArray
    flow: Flow
    cost: float


class Planner:
    """Costs and slopes of controls on one model."""

    def __init__(self, model: MeanField) -> None:
        self.model, self.adjoint = model, Adjoint(model, social=True)
        self.low, self.high = self.adjoint.bounds
        steps = np.repeat(np.diff(model.nodes[::2]) / 6, 2)
        self.spans = np.zeros(len(model.nodes))
        self.spans[1::2] = 4 * steps[::2]
        self.spans[:-1:2] += steps[::2]
        self.spans[2::2] += steps[::2]

    def plan(self, control: FloatArray) -> Plan:
        """C(a), with Simpson's rule over each step."""
        model, flow = self.model, self.model.flow(control)
        rates = np.empty(len(model.nodes))
        for node, (t, now) in enumerate(zip(model.nodes, flow.occupancy, strict=True)):
            here = model.regime(node)
            cost = here.game.running_cost(t, here.states, here.by_state(flow.field[node]), control[node])
            rates[node] = model.mixing.shares @ (now * cost).sum(axis=-1)
        final = (flow.occupancy[-1] * model.regime(len(rates) - 1).terminal_cost(flow.field[-1])).sum(axis=-1)
        return Plan(control, flow, float(self.spans @ rates + model.mixing.shares @ final))

    def slopes(self, plan: Plan) -> FloatArray:
        """G, shape [node, type, state]; zero where agents do not choose."""
        return self.adjoint.slopes(plan.flow, plan.control)

    def weights(self, plan: Plan) -> FloatArray:
        """Of the scalar product, [node, type, state]: how much time of the population is spent where."""
        return self.spans[:, None, None] * self.model.mixing.shares[:, None] * plan.flow.occupancy

    def clip(self, control: FloatArray, before: FloatArray) -> FloatArray:
        """A control within its range; that of `before` where agents do not choose."""
        return np.where(self.adjoint.choosers, control.clip(self.low, self.high), before)

    def gap(self, plan: Plan, slopes: FloatArray) -> float:
        """What the linearised cost could still be lowered by."""
        most = np.maximum(slopes * (plan.control - self.low), slopes * (plan.control - self.high))
        return float((self.weights(plan) * np.where(self.adjoint.choosers, most, 0.0)).sum())

    def start(self, controls: list[FloatArray]) -> Plan:
        """The cheapest of the controls given and of constant ones."""
        neutral = self.model.neutral()
        levels = [
            self.clip(np.zeros_like(neutral) + level, neutral) for level in np.linspace(self.low, self.high, LEVELS)
        ]
        return min((self.plan(control) for control in [*controls, *levels]), key=lambda plan: plan.cost)


def social_optimum(
    model: MeanField,
    starts: list[FloatArray],
    *,
    tolerance: float,
    iterations: int,
    report: Callable[[int, float], None],
) -> SocialOptimum:
    """Descend until the gap is below `tolerance` times the cost, `iterations` are used up, or no step lowers the cost.

    `report(iteration, gap)` is called after each.
    """
    planner = Planner(model)
    now = planner.start(starts)
    slopes = planner.slopes(now)
    largest = float(np.abs(slopes).max())
    alpha = float((planner.high - planner.low).max()) / largest if largest > 0 else 1.0
    gaps, costs, converged = [planner.gap(now, slopes)], [now.cost], False
    for iteration in range(iterations):
        report(iteration, gaps[-1])
        converged = gaps[-1] <= tolerance * abs(now.cost)
        if converged or iteration + 1 == iterations:
            break
        after = _lower(planner, now, slopes, alpha, max(costs[-REMEMBERED:]))
        if after is None:
            break
        next_slopes = planner.slopes(after)
        alpha = _spectral(planner.weights(after), after.control - now.control, next_slopes - slopes, alpha)
        now, slopes = after, next_slopes
        gaps.append(planner.gap(now, slopes))
        costs.append(now.cost)
    return SocialOptimum(now.control, np.array(gaps), converged)


def _lower(planner: Planner, now: Plan, slopes: FloatArray, alpha: float, highest: float) -> Plan | None:
    """The next plan on the way to clip(a - alpha G); None where none on it is cheaper."""
    direction = planner.clip(now.control - alpha * slopes, now.control) - now.control
    decrease = float((planner.weights(now) * slopes * direction).sum())
    share = 1.0
    for _ in range(HALVINGS):
        trial = planner.plan(now.control + share * direction)
        if trial.cost <= highest + DECREASE * share * decrease:
            return trial
        share /= 2
    return None


def _spectral(weights: FloatArray, moved: FloatArray, changed: FloatArray, alpha: float) -> float:
    """<moved, moved> / <moved, changed>; ten times the step before where the cost curves down."""
    curvature = float((weights * moved * changed).sum())
    return float((weights * moved**2).sum()) / curvature if curvature > 0 else 10 * alpha
