"""Equilibria of finite-state games by learning: the control itself is improved against the flow that it makes.

    mirror_descent     y <- y - eta dH/da at the control a, in the flow of a;  a = y clipped to the control's range.
                       H has the cost to come of a itself. eta starts at damping * range / max |dH/da|, and is halved when
                       the exploitability has not improved for three iterations
    fictitious_play    a <- the mean of all best responses so far, each weighed with the occupancy that one agent has who
                       plays it in the flow of the others: that agent's law under a is the mean of its laws

Both are safe where the best response jumps. Residual and exploitability mean the same as in `nash.py`.
Sources: J. Perolat et al., arXiv 2103.00623 (online mirror descent, here with the Euclidean mirror map);
P. Cardaliaguet, S. Hadikhanloo, ESAIM: COCV 23, 569 (2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mesocosm import Flow, MeanField, RunError
from mesocosm_mfg.adjoint import Adjoint
from mesocosm_mfg.fixed_point import PATIENCE, Iteration

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lesson:
    """Where an iteration stands: a control [node, type, state], its flow, the best response to it, and its exploitability."""

    control: FloatArray
    flow: Flow
    best: FloatArray
    exploitability: float


class Learner(Protocol):
    """One method: the next control from what the last one met."""

    def __call__(self, lesson: Lesson) -> FloatArray: ...


class MirrorDescent:
    """See the module docstring. Keeps the dual variable y, of the shape of the control."""

    def __init__(self, model: MeanField, damping: float) -> None:
        self.adjoint, self.damping = Adjoint(model, social=False), damping
        self.dual: FloatArray | None = None
        self.rate, self.lowest, self.stalled = 0.0, np.inf, 0

    def __call__(self, lesson: Lesson) -> FloatArray:
        slopes, (low, high) = self.adjoint.slopes(lesson.flow, lesson.control), self.adjoint.bounds
        if self.dual is None:
            self.dual = lesson.control
            largest = float(np.abs(slopes).max())
            self.rate = self.damping * float((high - low).max()) / largest if largest > 0 else 0.0
        self.stalled = 0 if lesson.exploitability < self.lowest else self.stalled + 1
        self.lowest = min(self.lowest, lesson.exploitability)
        if self.stalled >= PATIENCE:
            self.rate, self.stalled = self.rate / 2, 0
        self.dual = self.dual - self.rate * slopes
        return np.where(self.adjoint.choosers, self.dual.clip(low, high), lesson.control)


class FictitiousPlay:
    """See the module docstring. Keeps the sums of occupancy and of occupancy times control."""

    def __init__(self, model: MeanField) -> None:
        self.model = model
        self.mass = np.zeros((len(model.nodes), *model.initial.shape))
        self.chosen = np.zeros_like(self.mass)

    def __call__(self, lesson: Lesson) -> FloatArray:
        occupancy = self.model.law_of_one(lesson.flow, lesson.best)
        self.mass += occupancy
        self.chosen += occupancy * lesson.best
        return np.divide(self.chosen, self.mass, out=lesson.best.copy(), where=self.mass > 0)


@dataclass(frozen=True, eq=False)
class Learned:
    """The last control and its flow, and what every iterate measured, as in `nash.Equilibrium`."""

    control: FloatArray
    flow: Flow
    residuals: FloatArray
    exploitabilities: FloatArray
    converged: bool


def learn(
    model: MeanField,
    control: FloatArray,
    learner: Learner,
    settings: Iteration,
    report: Callable[[int, float], None],
    where: str,
) -> Learned:
    """Improve a control until the residual of its flow is below the tolerance, or the iterations are used up.

    Raises `RunError` where the residual is not a number.
    """
    residuals: list[float] = []
    exploitabilities: list[float] = []
    for iteration in range(settings.iterations):
        flow = model.flow(control)
        lowest, best = model.best_response(flow)
        gain = model.mean_cost(model.value(flow, control)) - model.mean_cost(lowest)
        residual = float(np.abs(model.flow(best).field - flow.field).max())
        if not np.isfinite(residual + gain):
            raise RunError(
                f"the residual is {residual} at iteration {iteration}",
                where=where,
                hint="use a smaller step, or check the costs",
            )
        residuals.append(residual)
        exploitabilities.append(gain)
        report(iteration, residual)
        converged = residual < settings.tolerance
        if converged or iteration + 1 == settings.iterations:
            break
        control = learner(Lesson(control, flow, best, gain))
    return Learned(control, flow, np.array(residuals), np.array(exploitabilities), converged)
