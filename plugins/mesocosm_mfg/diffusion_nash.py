"""The Nash equilibrium of a diffusion game in mean field: a fixed point in what agents feel.

A point is the field over time and the signals; its response is the field and the signals of the flow in which everyone plays
the best response to it. There can be several equilibria, and the start decides which one is found: without an
`initial_guess` signals start from those of a population that leaves at once, which is where a meeting starts earliest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import DiffusionField, GridFlow
from mesocosm_mfg.fixed_point import FixedPoint, Iteration, solve_fixed_point

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DiffusionEquilibrium:
    """The flow of the equilibrium, and how the iteration went: per iteration residual and exploitability."""

    flow: GridFlow
    residuals: FloatArray
    exploitabilities: FloatArray
    converged: bool

    @classmethod
    def of(cls, flow: GridFlow, found: FixedPoint) -> DiffusionEquilibrium:
        """From the flow at the last point."""
        return cls(flow, found.residuals, found.exploitabilities, found.converged)


class _Response:
    """The map from a point to its response; it keeps the flow of the last one."""

    def __init__(self, model: DiffusionField, start: GridFlow) -> None:
        self.model, self.flow = model, start
        self.shape, self.size = start.field.shape, start.field.size

    def point(self, flow: GridFlow) -> FloatArray:
        return np.concatenate([flow.field.ravel(), flow.signals])

    def __call__(self, point: FloatArray) -> FloatArray:
        felt = replace(self.flow, field=point[: self.size].reshape(self.shape), signals=point[self.size :])
        _, control = self.model.best_response(felt)
        self.flow = self.model.flow(control)
        return self.point(self.flow)

    def exploitability(self, point: FloatArray) -> float:
        """Of the flow of the last response."""
        return self.model.exploitability(self.flow, self.flow.control)

    def project(self, point: FloatArray) -> FloatArray:
        """A density is not negative."""
        if self.model.game.interaction != "density":
            return point
        return np.concatenate([point[: self.size].clip(0.0), point[self.size :]])


def solve_diffusion_nash(
    model: DiffusionField,
    start: GridFlow,
    settings: Iteration,
    *,
    continuation: int,
    report: Callable[[int, float], Any],
) -> DiffusionEquilibrium:
    """Iterate from field and signals of `start`; with `continuation` n, first with 1/n, 2/n, ... of the contact strength.

    Raises `RunError` where the residual is not a number.
    """
    point = None
    for part in range(1, continuation + 1):
        share = part / continuation
        response = _Response(replace(model, strength=share * model.strength), start)
        if point is None:
            point = response.point(replace(start, field=share * start.field))
        found = solve_fixed_point(
            response,
            point,
            settings,
            report=report,
            exploitability=response.exploitability if part == continuation else None,
            project=response.project,
            where="Nash equilibrium",
        )
        point = found.point
    return DiffusionEquilibrium.of(response.flow, found)
