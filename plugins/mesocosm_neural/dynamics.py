"""The neural mean-field game: `neural_sde`, with the class that its mode and its kind of game ask for.

Source of the idea: Thoeni, Bachrach and Kachman, arXiv 2504.13228, a mean-field game whose agents' drift and diffusion
carry neural corrections,

    dX = [b_game(t, X, z, a) + f(t, X, z, u)] dt + [sigma_game (+) g(t, X, z, u)] dW

    learn        f and g from observed populations: `finite_learning`, `diffusion_learning`, `series_learning`
    forecast     the same, from many origins and scored: `forecasting`
    play         a = pi(t, x, z), a policy network trained until nobody gains by deviating: `finite_play`, `diffusion_play`,
                 `stage_play`
    calibrate    parameters of the game from observed populations, through its equilibrium: `calibration`
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Collection, Iterable
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import Context, DeviceError, DiffusionGame, Dynamics, FiniteStateGame, InputError, Problem, StageGame
from mesocosm_neural.options import NeuralSDEOptions

KINDS: dict[type, str] = {FiniteStateGame: "finite", DiffusionGame: "diffusion", StageGame: "stage"}
CLASSES = {
    ("learn", "finite"): "learn.finite_learning:FiniteLearning",
    ("learn", "diffusion"): "learn.diffusion_learning:DiffusionLearning",
    ("learn", "stage"): "learn.series_learning:SeriesLearning",
    ("forecast", "finite"): "forecast.forecasting:Forecasting",
    ("play", "finite"): "play.finite_play:FinitePlay",
    ("play", "diffusion"): "play.diffusion_play:DiffusionPlay",
    ("play", "stage"): "play.stage_play:StagePlay",
    ("calibrate", "finite"): "calibrate.calibration:Calibration",
}


class NeuralSDE(Dynamics):
    """A neural mean-field game. Makes an instance of the subclass for the mode and the kind of game; see the module."""

    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda", "mps")
    follows: ClassVar[str] = "own"
    options: NeuralSDEOptions

    def __new__(cls, problem: Problem, options: NeuralSDEOptions, context: Context) -> NeuralSDE:
        return super().__new__(class_for(options, problem.game) if cls is NeuralSDE else cls)

    @property
    def replicates(self) -> int:
        return self.options.seeds * self.options.paths

    def check(self) -> None:
        if self.problem.device.kind == "mps" and self.problem.precision == "float64":
            raise InputError("precision float64 on mps", where="precision", rule="mps computes in float32")

    @cached_property
    def device(self) -> torch.device:
        """Where it computes."""
        return torch_device(self.problem)

    @property
    def dtype(self) -> torch.dtype:
        """The precision that it computes in."""
        return torch.float64 if self.problem.precision == "float64" else torch.float32

    def generators(self, purpose: str = "weights") -> list[torch.Generator]:
        """One generator for each seed: a network does not depend on how many there are."""
        integers = (self.context.streams.integer(purpose, replicate=seed) for seed in range(self.options.seeds))
        return [torch.Generator().manual_seed(integer) for integer in integers]

    def fingerprint_of(
        self, parts: Iterable[object], arrays: Iterable[NDArray[Any]] = (), *, without: Collection[str] = ()
    ) -> str:
        """A hash of what trained weights depend on, by which a checkpoint is known to be of the same training.

        Options, label, seed, game, save times, precision, kind of device and version of torch are in it, and besides `parts`,
        by their text, and `arrays`, by their bytes; not the options named by `without`, which training does not use.
        """
        problem, context = self.problem, self.context
        game, times = problem.game, problem.clock.times
        common = (
            self.options.model_dump_json(exclude={"checkpoint_every", *without}),
            f"{context.label} {context.streams.seed} {type(game).__name__} {getattr(game, 'options', '')!r}",
            f"{times.tolist()} {problem.precision} {problem.device.kind} {torch.__version__}",
        )
        found = hashlib.blake2b("\n".join(map(str, (*common, *parts))).encode(), digest_size=16)
        for each in arrays:
            found.update(f"{each.shape}".encode() + np.ascontiguousarray(each).tobytes())
        return found.hexdigest()


def mode_of(options: NeuralSDEOptions) -> str:
    """`learn`, `play` or `calibrate`."""
    return next(mode for mode in ("learn", "play", "calibrate") if getattr(options, mode) is not None)


def class_for(options: NeuralSDEOptions, game: Any) -> type[NeuralSDE]:
    """The class for a mode and a kind of game; `InputError` where there is none."""
    mode = "forecast" if options.learn is not None and options.learn.forecasts is not None else mode_of(options)
    kind = next((name for base, name in KINDS.items() if isinstance(game, base)), type(game).__name__)
    if (mode, kind) not in CLASSES:
        kinds = ", ".join(each for known, each in CLASSES if known == mode)
        raise InputError(
            f"{mode} for game {type(game).__name__}",
            where="neural_sde",
            rule=f"{mode} is for games of these kinds: {kinds}",
        )
    module, name = CLASSES[mode, kind].split(":")
    found: type[NeuralSDE] = getattr(importlib.import_module(f"mesocosm_neural.{module}"), name)
    return found


def torch_device(problem: Problem) -> torch.device:
    """The torch device of a problem; `DeviceError` where this build of torch cannot use it."""
    name = problem.device.name
    usable = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }[problem.device.kind]
    if not usable:
        raise DeviceError(
            f"torch {torch.__version__} cannot use '{name}'",
            where="device",
            rule="a named device must be usable: nothing falls back silently",
            hint="install a build of torch for it, or use 'cpu'",
        )
    return torch.device(name)
