"""The Nash equilibrium of a finite-state game on a closure, by a damped fixed point.

    a <- (1 - w) a + w BR(flow of a)

The flow solves the Kolmogorov equation forward, the best response BR the HJB equation backward. The residual of an iterate
is the largest |BR - a| over time, type and state; w is halved when the residual has not improved for three iterations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesocosm import MeanField, RunError

FloatArray = NDArray[np.float64]

SMALLEST_DAMPING, PATIENCE = 1 / 256, 3


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """What the iteration ended with: the control [node, type, state], and the residual of every iterate."""

    control: FloatArray
    residuals: FloatArray
    converged: bool


def solve_nash(
    model: MeanField, *, tolerance: float, iterations: int, damping: float, report: Callable[[int, float], None]
) -> Equilibrium:
    """Iterate from the neutral control until the residual is below `tolerance`, or `iterations` are used up.

    `report(iteration, residual)` is called after each. Raises `RunError` where the residual is not a number.
    """
    control, residuals = model.neutral(), []
    lowest, stalled = np.inf, 0
    for iteration in range(iterations):
        _, best = model.best_response(model.flow(control))
        residual = float(np.abs(best - control).max())
        if not np.isfinite(residual):
            raise RunError(
                f"the residual is {residual} at iteration {iteration}",
                where="Nash equilibrium",
                hint="use a smaller step, or check the costs",
            )
        residuals.append(residual)
        report(iteration, residual)
        if residual < tolerance:
            return Equilibrium(control, np.array(residuals), converged=True)
        stalled = 0 if residual < lowest else stalled + 1
        lowest = min(lowest, residual)
        if stalled >= PATIENCE:
            damping, stalled = max(damping / 2, SMALLEST_DAMPING), 0
        control = (1 - damping) * control + damping * best
    return Equilibrium(control, np.array(residuals), converged=False)
