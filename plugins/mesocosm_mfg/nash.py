"""The Nash equilibrium of a finite-state game on a closure, as a fixed point of the field over time.

    respond(z) = field of the flow of BR(z)

BR(z) is the control that is best against the field z, by the HJB equation backward; its flow solves the Kolmogorov equation
forward. The residual of z is max |respond(z) - z| over time, type and channel, in the units of the field. The field is
continuous in time even where the control jumps (bang-bang), and it is all that agents feel of each other. The control of an
iterate is BR(z), and its exploitability is measured against its own flow. The methods of `learning.py` iterate on the
control a instead; their z is the field of the flow of a.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mesocosm import Flow, MeanField
from mesocosm_mfg.fixed_point import Iteration, solve_fixed_point
from mesocosm_mfg.learning import FictitiousPlay, MirrorDescent, learn

FloatArray = NDArray[np.float64]
Report = Callable[[int, float], None]

WHERE = "Nash equilibrium"


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """What the iteration ended with.

    Attributes
    ----------
    control: shape [node, type, state]. flow: the flow of the population that plays it.
    residuals, exploitabilities: of every iterate, shape [iteration]; the last are those of `control`.
    converged: whether the last residual is below the tolerance.
    """

    control: FloatArray
    flow: Flow
    residuals: FloatArray
    exploitabilities: FloatArray
    converged: bool


class FieldResponse:
    """The map `respond` of a model; keeps the control and the flow of its last evaluation."""

    def __init__(self, model: MeanField, flow: Flow, control: FloatArray) -> None:
        self.model, self.flow, self.control = model, flow, control

    def __call__(self, field: FloatArray) -> FloatArray:
        _, self.control = self.model.best_response(replace(self.flow, field=field))
        self.flow = self.model.flow(self.control)
        return self.flow.field

    def exploitability(self, field: FloatArray) -> float:
        """Of the control of the last evaluation, which was at `field`."""
        return self.model.exploitability(self.flow, self.control)


def solve_nash(model: MeanField, start: FloatArray, settings: Iteration, report: Report) -> Equilibrium:
    """Iterate from the flow of the control `start`, [node, type, state], by the method of the settings.

    Raises `RunError` where the residual is not a number.
    """
    if settings.method in ("mirror_descent", "fictitious_play"):
        mirror = settings.method == "mirror_descent"
        learner = MirrorDescent(model, settings.damping) if mirror else FictitiousPlay(model)
        learned = learn(model, start, learner, settings, report, WHERE)
        return Equilibrium(
            learned.control, learned.flow, learned.residuals, learned.exploitabilities, learned.converged
        )
    flow = model.flow(start)
    respond = FieldResponse(model, flow, start)
    reached = solve_fixed_point(
        respond,
        flow.field,
        settings,
        report=report,
        exploitability=respond.exploitability,
        project=_of_same_sign(model),
        where=WHERE,
    )
    return Equilibrium(respond.control, respond.flow, reached.residuals, reached.exploitabilities, reached.converged)


def solve_in_steps(
    model: MeanField, start: FloatArray, settings: Iteration, continuation: int, report: Report
) -> Equilibrium:
    """Solve with 1/n, 2/n, ..., n/n of the mixing, each from the control of the one before.

    The residuals and exploitabilities of all are put together in their order; the rest is that of the last.
    """
    residuals: list[FloatArray] = []
    exploitabilities: list[FloatArray] = []
    control = start
    for number in range(1, continuation + 1):
        part = model if number == continuation else model.scaled(number / continuation)
        found = solve_nash(part, control, settings, report)
        control = found.control
        residuals.append(found.residuals)
        exploitabilities.append(found.exploitabilities)
    return replace(found, residuals=np.concatenate(residuals), exploitabilities=np.concatenate(exploitabilities))


def _of_same_sign(model: MeanField) -> Callable[[FloatArray], FloatArray]:
    """Clips fields to what a channel can be whose emission is never negative, or never positive."""
    states = np.arange(len(model.game.states))
    emissions = np.stack(
        [
            game.emission(t, states, np.full(len(states), level))
            for game in model.games
            for level in (np.linspace(game.control.minimum, game.control.maximum, 9) if game.control else np.ones(1))
            for t in model.nodes[[0, -1]]
        ]
    )
    low = np.where((emissions >= 0).all(axis=(0, 1)), 0.0, -np.inf)
    high = np.where((emissions <= 0).all(axis=(0, 1)), 0.0, np.inf)
    high = np.where(low == 0.0, np.inf, high)
    return lambda field: field.clip(low, high)
