"""Observed shares of a population as a function of the parameters of its game, through the equilibrium."""

from __future__ import annotations

import torch

from mesocosm import Mixing, Problem, half_step_grid
from mesocosm_neural.calibrate.collocation import Collocation
from mesocosm_neural.calibrate.implicit import Equilibria, Solution
from mesocosm_neural.calibrate.likelihood import KINDS, Likelihood
from mesocosm_neural.calibrate.parameters import Parameters
from mesocosm_neural.learn.observations import Observations


class Model:
    """Shares at the observed saves as a function of the parameters.

    Parameters
    ----------
    saves: numbers of the observed saves. stride: nodes of the collocation per save. weights: share of every type, [type].
    """

    def __init__(
        self, solver: Equilibria, likelihood: Likelihood, saves: torch.Tensor, stride: int, weights: torch.Tensor
    ) -> None:
        self.solver, self.likelihood, self.saves, self.weights = solver, likelihood, saves * stride, weights
        self.stride = stride

    def shares(self, unknowns: torch.Tensor) -> torch.Tensor:
        """Of the population at the observed saves: [..., node, unknown] to [..., save, state]."""
        occupancy = self.solver.equations.parts(unknowns[..., self.saves, :])[0]
        return torch.einsum("...ts,t->...s", occupancy, self.weights)

    def constant(self, theta: torch.Tensor) -> torch.Tensor:
        """Parameters that do not change, [..., parameter], at every node: [..., parameter, 2 steps + 1]."""
        return theta[..., None].expand(*theta.shape, len(self.solver.equations.times)).contiguous()

    def weighted(self, solution: Solution, directions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`Likelihood.weighted` for changes of theta, [direction, parameter, 2 steps + 1]."""
        moved = self.shares(solution.sensitivity(directions)[0])
        return self.likelihood.weighted(self.shares(solution.unknowns[0]), moved)


def observed_model(
    problem: Problem, parameters: Parameters, mixing: Mixing, observations: Observations, stride: int, noise: str
) -> Model:
    """The model of what was observed in the training window, with `stride` collocation steps per save."""
    nodes = half_step_grid(problem.clock.times, stride)
    equations = Collocation(parameters.game, parameters.rebuild, mixing, problem.type_shares(mixing), nodes)
    values = torch.from_numpy(observations.values[:, observations.train])
    known = ~values.isnan()
    data = torch.where(known, values, 0.0)
    likelihood = KINDS[noise](data, known.to(data), float(problem.population.size))
    weights = torch.from_numpy(mixing.shares)
    return Model(Equilibria(equations), likelihood, torch.from_numpy(observations.train), stride, weights)
