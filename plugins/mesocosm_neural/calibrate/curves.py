"""Parameters that change in time, as small networks of time, and the game that has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import FiniteStateGame, RunError, Transition
from mesocosm_neural.calibrate.equilibrium_model import Model
from mesocosm_neural.calibrate.parameters import Parameters
from mesocosm_neural.perceptron import Perceptrons

FloatArray = NDArray[np.float64]

WAVES = 3
"""Cosines of time that the network sees."""


class Curves:
    """raw(t) = constant + network(t) for what varies, one constant for each of the others, for every seed.

    The network sees t on a scale from -1 to 1 and three cosines of it, and starts near zero: the search starts from the best
    constants, `raw` [parameter].
    """

    def __init__(
        self,
        parameters: Parameters,
        raw: torch.Tensor,
        times: torch.Tensor,
        widths: Sequence[int],
        generators: Sequence[torch.Generator],
    ) -> None:
        self.parameters, seeds = parameters, len(generators)
        self.constants = raw.repeat(seeds, 1, 1).requires_grad_()
        share = (times - times[0]) / (times[-1] - times[0])
        waves = [torch.cos(math.pi * number * share) for number in range(1, WAVES + 1)]
        self.seen = torch.stack([2.0 * share - 1.0, *waves], dim=-1).repeat(seeds, 1, 1)
        chosen = [number for number, varies in enumerate(parameters.varies) if varies]
        self.place = torch.eye(len(raw), dtype=raw.dtype)[chosen]
        ends = (self.seen.shape[-1], *widths, len(chosen))
        self.networks = Perceptrons(ends, generators, torch.device("cpu"), torch.float64)

    @property
    def weights(self) -> list[torch.Tensor]:
        """Everything that is trained."""
        return [*self.networks.layers, self.constants]

    def theta(self) -> torch.Tensor:
        """The parameters at every time, [seed, parameter, time]."""
        raw = self.constants + self.networks(self.seen) @ self.place
        return self.parameters.natural(raw).transpose(1, 2)


class CurveFit:
    """The loss of curves, and what a training of them remembers: the last equilibria, from which the next are found.

    The loss has no noise, so a training by steps of Adam is followed by a quasi-Newton search, `polish`.
    """

    def __init__(self, model: Model, curves: Curves, unknowns: torch.Tensor) -> None:
        self.model, self.curves = model, curves
        self.unknowns = unknowns.repeat(curves.networks.seeds, 1, 1)

    def __call__(self, step: int, generator: torch.Generator) -> torch.Tensor:
        """The loss of every seed, [seed]."""
        theta = self.curves.theta()
        solution = self.model.solver.solve(theta, self.unknowns)
        self.unknowns = solution.unknowns
        return self.model.likelihood.loss(self.model.shares(solution.answering(theta)))

    def polish(self, iterations: int) -> None:
        """Lower the loss of every seed, one after the other, by L-BFGS (Byrd et al., SIAM J. Sci. Comput. 16, 1190 (1995)).

        A search that tries parameters without an equilibrium ends at the best that it had reached.
        """
        from scipy.optimize import minimize

        weights = self.curves.weights
        for seed in range(self.curves.networks.seeds):
            reached = [torch.cat([weight.detach()[seed].flatten() for weight in weights]).numpy()]
            with suppress(RunError):
                minimize(
                    self._loss_of(seed),
                    reached[0],
                    jac=True,
                    method="L-BFGS-B",
                    callback=lambda row, reached=reached: reached.append(row.copy()),
                    options={"maxiter": iterations},
                )
            self._place(seed, reached[-1])
        with torch.no_grad():
            self.unknowns = self.model.solver.solve(self.curves.theta(), self.unknowns).unknowns

    def _loss_of(self, seed: int) -> Callable[[FloatArray], tuple[float, FloatArray]]:
        """Loss and gradient of one seed by its weights, all in one row."""
        near = self.unknowns[seed, None]

        def loss(row: FloatArray) -> tuple[float, FloatArray]:
            nonlocal near
            self._place(seed, row)
            theta = self.curves.theta()[seed, None]
            solution = self.model.solver.solve(theta, near)
            near = solution.unknowns
            value = self.model.likelihood.loss(self.model.shares(solution.answering(theta)))
            slopes = torch.autograd.grad(value.sum(), self.curves.weights)
            return float(value.detach()), torch.cat([slope[seed].flatten() for slope in slopes]).numpy()

        return loss

    def _place(self, seed: int, row: FloatArray) -> None:
        """Put weights in one row back in their places."""
        weights = [weight.detach() for weight in self.curves.weights]
        parts = torch.from_numpy(row).split([weight[seed].numel() for weight in weights])
        for weight, part in zip(weights, parts, strict=True):
            weight[seed] = part.view_as(weight[seed])

    def pack(self) -> dict[str, torch.Tensor]:
        return {"unknowns": self.unknowns}

    def unpack(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self.unknowns = tensors["unknowns"]


class VaryingGame(FiniteStateGame):
    """A game whose parameters change in time: at time t it is the game with those of t, linear between the given times.

    Parameters
    ----------
    values: [parameter, time], at `times`.
    """

    def __init__(self, parameters: Parameters, times: FloatArray, values: FloatArray) -> None:
        first = parameters.game_with(values[:, 0].tolist())
        self.states, self.channels, self.normalise = first.states, first.channels, first.normalise  # type: ignore[misc]
        self.at_risk, self.control, self._first = first.at_risk, first.control, first  # type: ignore[misc]

        @lru_cache(maxsize=4096)
        def at(t: float) -> FiniteStateGame:
            return parameters.game_with([float(np.interp(t, times, row)) for row in values])

        self.at, self.end = at, float(times[-1])
        self.transitions = tuple(
            Transition.general(each.source, each.target, self._intensity(number))
            for number, each in enumerate(first.transitions)
        )

    @property
    def has_costs(self) -> bool:
        return self._first.has_costs

    def emission(self, t: float, state: Any, control: Any) -> Any:
        return self.at(float(t)).emission(t, state, control)

    def running_cost(self, t: float, state: Any, field: Any, control: Any) -> Any:
        return self.at(float(t)).running_cost(t, state, field, control)

    def terminal_cost(self, state: Any, field: Any) -> Any:
        return self.at(self.end).terminal_cost(state, field)

    def best_control(self, t: float, field: Any, value: Any) -> Any:
        return self.at(float(t)).best_control(t, field, value)

    def _intensity(self, number: int) -> Any:
        def intensity(t: float, field: Any, control: Any) -> Any:
            game = self.at(float(t))
            return game.intensity(game.transitions[number], t, field, control)

        return intensity
