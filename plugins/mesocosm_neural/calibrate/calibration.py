"""The neural mean-field game in calibrate mode: parameters of a game from population trajectories, through its equilibrium.

The shares of the equilibrium (of the mean-field equations, for a game without control) are the mean of what is observed.
`collocation` writes it as equations, `implicit` differentiates it exactly, `likelihood` says how well it explains the
observations, `estimation` finds the constants that explain them best, and `curves` what changes in time.

Source of the idea: arXiv 2606.23155, which calibrates finite-state games in discrete time by implicit differentiation; here
time is continuous, standard errors come with the estimates, and what the observations cannot tell is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import (
    FiniteStateGame,
    Interval,
    Labelled,
    MeanField,
    Mixing,
    Policy,
    RunError,
    TabulatedPolicy,
    assess,
    steps_per_interval,
)
from mesocosm_neural.calibrate.curves import CurveFit, Curves, VaryingGame
from mesocosm_neural.calibrate.equilibrium_model import Model, observed_model
from mesocosm_neural.calibrate.estimation import ITERATIONS, Estimate, estimate, way_to_go
from mesocosm_neural.calibrate.implicit import Solution
from mesocosm_neural.calibrate.likelihood import covariance
from mesocosm_neural.calibrate.options import CalibrateOptions
from mesocosm_neural.calibrate.parameters import Parameters
from mesocosm_neural.calibrate.regularity import check_control, check_tensors
from mesocosm_neural.calibrate.standard_errors import Directions
from mesocosm_neural.dynamics import NeuralSDE
from mesocosm_neural.learn.observations import Observations, observe
from mesocosm_neural.learn.options import LearnOptions
from mesocosm_neural.start_game import start_game
from mesocosm_neural.trainer import Trainer, one_thread

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SPREAD = 0.5
"""Standard deviation of further starts around the first one, on the axis that is searched (of the logarithm)."""

POLISHING = 300
"""Most iterations of the quasi-Newton search that ends a training; it stops by itself before that as a rule."""

FAR = 0.05
"""Curves have converged where the way to go, squared and in standard errors, is less than this in each direction."""


@dataclass(frozen=True, eq=False)
class Found:
    """What was calibrated: theta [parameter, 2 steps + 1], its equilibrium, and the searches that it is the best of.

    Attributes
    ----------
    losses, thetas: of every seed, [seed] and [seed, parameter, 2 steps + 1].
    steps: loss of every training step and seed, [step, seed]; None where nothing varies.
    """

    theta: torch.Tensor
    solution: Solution
    losses: FloatArray
    thetas: FloatArray
    iterations: int
    converged: bool
    steps: FloatArray | None = None


class Calibration(NeuralSDE):
    """Parameters of a finite-state game by maximum likelihood, computed on the CPU in double precision.

    `seeds` searches start from different places, and the best is kept; what varies in time is then trained by `seeds` networks
    in `steps` steps of Adam and as many of a quasi-Newton search. It is deterministic given the observations, so it has one
    replicate: the equilibrium of the calibrated game.

    Summary: `parameter_value(parameter)`, the mean over time of what varies; `parameter_error(parameter)`, standard errors,
    infinite for what the observations do not tell; `parameter_by_seed(seed, parameter)`, `loss_by_seed(seed)`;
    `parameter_curve(parameter, time)` and `parameter_curve_error(parameter, time)` where something varies; `loss`,
    `residual` of the equations, `iterations`, `converged`; `train_error`, and where a window is held out `heldout_error`
    and `heldout_error_start`, root mean square differences of shares (the last one of the game that the search started
    from); `value` and `exploitability` of the policy in the calibrated game.
    """

    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    stochastic: ClassVar[bool] = False
    found: Found

    def check(self) -> None:
        super().check()
        check_control(self.parameters.game, self.parameters.where)
        check_tensors(self.problem, self.parameters, self.mixing)

    @property
    def replicates(self) -> int:
        return 1

    @property
    def calibrate(self) -> CalibrateOptions:
        """What is calibrated, from what."""
        assert self.options.calibrate is not None
        return self.options.calibrate

    @cached_property
    def parameters(self) -> Parameters:
        """The parameters, of the game that the search starts from."""
        game = start_game(self.problem.finite_game, self.options.parameters)
        where = f"dynamics '{self.context.label}', option calibrate.parameters"
        return Parameters(game, self.calibrate.parameters, where)

    @cached_property
    def mixing(self) -> Mixing:
        """Types and mixing matrix of the closure."""
        game = self.problem.finite_game
        return self.problem.graph.mixing(self.calibrate.closure, normalise=game.normalise)

    @cached_property
    def observations(self) -> Observations:
        """What is learned from; every replicate may have gaps of its own."""
        learn = LearnOptions.model_validate({"from": self.calibrate.from_, "until": self.calibrate.until, "window": 1})
        return observe(self.context.trajectories_of(self.calibrate.from_), learn, self.problem)

    @cached_property
    def stride(self) -> int:
        """Collocation steps per save interval: as many as the mean field needs at the start of the search."""
        game, mixing = self.parameters.game_with(self.parameters.starts), self.mixing
        initial = self.problem.type_shares(mixing)
        return steps_per_interval(
            lambda nodes: MeanField(game, mixing, initial, nodes), self.problem.clock.times, self.options.step
        )

    @cached_property
    def model(self) -> Model:
        """Observed shares as a function of the parameters."""
        noise = self.calibrate.noise
        return observed_model(self.problem, self.parameters, self.mixing, self.observations, self.stride, noise)

    def prepare(self) -> None:
        with one_thread():
            estimates = self._searched()
            best = min(estimates, key=lambda each: each.loss)
            self.found = self._curves(best) if any(self.parameters.varies) else self._constants(estimates, best)
            equations, unknowns = self.model.solver.equations, self.found.solution.unknowns
            self.occupancy = equations.parts(unknowns)[0][0].numpy()
            self.control = equations.control(unknowns, self.found.theta[None])[0].numpy()

    def init(self) -> IntArray:
        return np.zeros(1, np.int64)

    def advance(self, state: IntArray, interval: Interval) -> IntArray:
        return np.array([interval.index + 1])

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        names = ["occupancy", "control"] if self.problem.finite_game.control else ["occupancy"]
        return dict.fromkeys(names, ("replicate", "state"))

    def coordinates(self) -> dict[str, Sequence[Any]]:
        return {"parameter": self.parameters.names}

    def observe(self, state: IntArray) -> dict[str, NDArray[Any]]:
        node, shares = int(state[0]) * self.stride, self.mixing.shares
        occupancy = self.occupancy[node]
        seen = {"occupancy": (shares @ occupancy)[None]}
        if self.problem.finite_game.control:
            # The mean over the agents in a state; over all agents where nobody is in it.
            mass = shares[:, None] * occupancy
            weights = np.where(mass.sum(axis=0) > 0, mass, shares[:, None])
            seen["control"] = ((weights * self.control[2 * node]).sum(axis=0) / weights.sum(axis=0))[None]
        return seen

    def policy(self) -> Policy | None:
        if self.problem.finite_game.control is None:
            return None
        return TabulatedPolicy.of(self.model.solver.equations.times.numpy(), self.control, self.mixing)

    def plays(self) -> Policy | None:
        """None: what is played is an equilibrium of the calibrated game, not of the scenario's; see `summary`."""
        return None

    def game(self) -> FiniteStateGame:
        """The calibrated game."""
        theta = self.found.theta.numpy()
        if any(self.parameters.varies):
            return VaryingGame(self.parameters, self.model.solver.equations.times.numpy(), theta)
        return self.parameters.game_with(theta[:, 0].tolist())

    def summary(self, state: IntArray) -> dict[str, float | Labelled]:
        found, solution = self.found, self.found.solution
        result: dict[str, float | Labelled] = {
            "parameter_value": Labelled(("parameter",), found.theta.numpy().mean(axis=-1)),
            "parameter_by_seed": Labelled(("seed", "parameter"), found.thetas.mean(axis=-1)),
            "loss": float(found.losses.min()),
            "loss_by_seed": Labelled(("seed",), found.losses),
            "residual": Labelled(("iteration",), solution.residual.numpy()),
            "iterations": float(found.iterations),
            "converged": float(found.converged),
        }
        result |= self._errors() | self._distances()
        if found.steps is not None:
            result["loss_by_step"] = Labelled(("training_step",), found.steps.mean(axis=1))
        policy = self.policy()
        if policy is not None:
            assessed = assess(replace(self.problem, game=self.game()), policy)
            result |= {"value": assessed.value, "exploitability": assessed.exploitability}
        return result

    def _errors(self) -> dict[str, float | Labelled]:
        """Standard errors; of curves, also at every save, with the curves."""
        found, directions = self.found, self.directions
        spread = covariance(*self.model.weighted(found.solution, directions.values)).numpy()
        result: dict[str, float | Labelled] = {"parameter_error": Labelled(("parameter",), directions.of_means(spread))}
        if any(self.parameters.varies):
            places, dims = slice(None, None, 2 * self.stride), ("parameter", "time")
            result["parameter_curve"] = Labelled(dims, found.theta[:, places].numpy())
            result["parameter_curve_error"] = Labelled(dims, directions.of_curves(spread, places))
        return result

    def _distances(self) -> dict[str, float | Labelled]:
        """Root mean square differences of shares between observations and equilibrium."""
        observations, model = self.observations, self.model
        result: dict[str, float | Labelled] = {"train_error": self._distance(observations.train, self.occupancy)}
        if len(observations.held_out):
            start = model.constant(torch.tensor(self.parameters.starts, dtype=torch.float64))[None]
            with one_thread():
                unlearned = model.solver.solve(start).unknowns
            before = model.solver.equations.parts(unlearned)[0][0].numpy()
            result["heldout_error"] = self._distance(observations.held_out, self.occupancy)
            result["heldout_error_start"] = self._distance(observations.held_out, before)
        return result

    def _distance(self, saves: IntArray, occupancy: FloatArray) -> float:
        shares = np.einsum("t,kts->ks", self.mixing.shares, occupancy[saves * self.stride])
        return float(np.sqrt(np.nanmean((self.observations.values[:, saves] - shares) ** 2)))

    @cached_property
    def directions(self) -> Directions:
        """The changes of the parameters in which errors are measured."""
        return Directions(self.parameters.varies, self.model.solver.equations.times.numpy())

    def _searched(self) -> list[Estimate]:
        """The best constants from every start; only a first start that has no equilibrium is an error."""
        first, found = self.parameters.raw(self.parameters.starts), []
        for seed, generator in enumerate(self.generators("start")):
            away = SPREAD * torch.randn(len(first), generator=generator, dtype=torch.float64)
            start = first if seed == 0 else first + away

            def report(iteration: int, loss: float, seed: int = seed) -> None:
                share = (seed + iteration / ITERATIONS) / self.options.seeds
                self.context.report("prepare", share, f"start {seed + 1}, loss {loss:.6g}")

            try:
                found.append(estimate(self.model, self.parameters, start, report))
            except RunError as error:
                if seed == 0:
                    raise
                self.context.report("prepare", (seed + 1) / self.options.seeds, f"start {seed + 1}: {error.message()}")
        return found

    def _constants(self, estimates: list[Estimate], best: Estimate) -> Found:
        losses = np.array([each.loss for each in estimates])
        thetas = torch.stack([self.model.constant(self.parameters.natural(each.raw)) for each in estimates])
        return Found(
            thetas[int(losses.argmin())], best.solution, losses, thetas.numpy(), best.iterations, best.converged
        )

    def _curves(self, best: Estimate) -> Found:
        """Curves around the best constants, trained for every seed from weights of its own."""
        options, model = self.options, self.model
        times, widths = model.solver.equations.times, [options.width] * options.depth
        curves = Curves(self.parameters, best.raw, times, widths, self.generators())
        fit = CurveFit(model, curves, best.solution.unknowns)
        history = Trainer(curves.weights, fit, options, self.context, self._fingerprint(), memory=fit).run()
        fit.polish(POLISHING)
        thetas = curves.theta().detach()
        losses = model.likelihood.loss(model.shares(model.solver.solve(thetas, fit.unknowns).unknowns)).numpy()
        chosen = int(losses.argmin())
        solution = model.solver.solve(thetas[chosen, None], fit.unknowns[chosen, None])
        scores, information = model.weighted(solution, self.directions.values)
        left = way_to_go(information, -scores.sum(dim=0)) / len(information)
        steps = np.array(history.losses)
        return Found(thetas[chosen], solution, losses, thetas.numpy(), len(steps), left < FAR, steps)

    def _fingerprint(self) -> str:
        arrays = [self.mixing.dense(), self.problem.type_shares(self.mixing), self.observations.values]
        return self.fingerprint_of([self.problem.population.size], arrays)
