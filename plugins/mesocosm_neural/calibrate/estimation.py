"""Maximum likelihood by Fisher scoring with damping (Levenberg-Marquardt), for parameters that do not change in time.

    raw <- raw - (H + mu diag H)^-1 g,      g the gradient and H the information, from exact sensitivities

mu falls when a step lowers the loss and rises when it does not. The search ends when g H^-1 g, the square of the way to go
in standard errors, is below 1e-8, or when no step lowers the loss: it has then converged where that square is below 1e-4.
Source: Osborne, Int. Stat. Rev. 60, 99 (1992).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from mesocosm import RunError
from mesocosm_neural.calibrate.equilibrium_model import Model
from mesocosm_neural.calibrate.implicit import Solution
from mesocosm_neural.calibrate.parameters import Parameters

ITERATIONS, REJECTIONS, LONGEST = 60, 12, 1.0
"""Steps of a search, trials of one step, and the longest step on the axis that is searched."""

NEAR, CLOSE = 1e-8, 1e-4
"""Squares of the way to go, in standard errors, at which a search ends, and below which it has converged."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """Where a search ended: `raw` [parameter], the equilibrium there, its loss, how many steps it took, whether it
    converged."""

    raw: torch.Tensor
    solution: Solution
    loss: float
    iterations: int
    converged: bool


def estimate(
    model: Model,
    parameters: Parameters,
    raw: torch.Tensor,
    report: Callable[[int, float], None],
) -> Estimate:
    """Maximum likelihood from the start `raw`, [parameter]; `RunError` where there is no equilibrium."""
    solution = model.solver.solve(model.constant(parameters.natural(raw))[None])
    loss, damping = float(model.likelihood.loss(model.shares(solution.unknowns))), 1e-3
    for iteration in range(ITERATIONS):
        report(iteration, loss)
        directions = model.constant(torch.diag(parameters.slope(raw)))
        scores, information = model.weighted(solution, directions)
        gradient = -scores.sum(dim=0)
        left = way_to_go(information, gradient)
        if left < NEAR:
            return Estimate(raw, solution, loss, iteration, converged=True)
        for _ in range(REJECTIONS):
            move = _towards(information, gradient, damping)
            trial = raw - move * min(1.0, LONGEST / float(move.abs().max()))
            found = _tried(model, parameters, trial, solution)
            if found is not None and found[1] <= loss:
                break
            damping *= 5.0
        else:
            return Estimate(raw, solution, loss, iteration, converged=left < CLOSE)
        raw, damping = trial, max(damping / 5.0, 1e-9)
        solution, loss = found
    return Estimate(raw, solution, loss, ITERATIONS, converged=False)


def way_to_go(information: torch.Tensor, gradient: torch.Tensor) -> float:
    """g H^-1 g: the square of the distance to the best parameters, in standard errors."""
    return float(gradient @ _towards(information, gradient, 1e-9))


def _towards(information: torch.Tensor, gradient: torch.Tensor, damping: float) -> torch.Tensor:
    """(H + damping diag H)^-1 g."""
    diagonal = information.diagonal().clamp(min=1e-12 * float(information.diagonal().max()) + 1e-300)
    return torch.linalg.solve(information + damping * torch.diag(diagonal), gradient)


def _tried(model: Model, parameters: Parameters, raw: torch.Tensor, near: Solution) -> tuple[Solution, float] | None:
    """The equilibrium at `raw` and its loss; None where none is found."""
    try:
        solution = model.solver.solve(model.constant(parameters.natural(raw))[None], near.unknowns)
    except RunError:
        return None
    return solution, float(model.likelihood.loss(model.shares(solution.unknowns)))
