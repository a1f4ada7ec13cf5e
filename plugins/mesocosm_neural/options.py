"""Options of `neural_sde`. Times and rates are in the scenario's unit."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mesocosm import Options
from mesocosm_neural.calibrate.options import CalibrateOptions
from mesocosm_neural.learn.options import LearnOptions
from mesocosm_neural.play.options import PlayOptions


class TrainingOptions(Options):
    """How networks are trained, in every mode."""

    seeds: int = Field(default=5, ge=1, le=100, description="how many networks are trained, each from its own weights")
    steps: int = Field(default=150, ge=1, description="training steps")
    learning_rate: float = Field(default=0.02, gt=0, description="largest step of Adam; it decays as a cosine to zero")
    gradient_norm: float = Field(default=1.0, gt=0, description="gradients of a network are clipped at this norm")
    width: int = Field(default=16, ge=1, description="units in each hidden layer")
    depth: int = Field(default=2, ge=1, description="number of hidden layers")
    batch: int = Field(default=48, ge=2, description="paths of each network in one training step")
    checkpoint_every: int = Field(default=50, ge=1, description="training steps between two checkpoints")
    check_every: int = Field(
        default=10, ge=1, description="training steps between two checks: a validation score, or the exploitability"
    )
    patience: int | None = Field(
        default=None, ge=1, description="training stops when no network got better in so many checks. Default: never"
    )


class NeuralSDEOptions(TrainingOptions):
    """A neural mean-field game that learns from trajectories, plays until nobody gains by deviating, or calibrates its game.

    Exactly one of `learn`, `play` and `calibrate`.
    """

    learn: LearnOptions | None = Field(
        default=None, description="learn drift and noise from the trajectories of another dynamics or a table"
    )
    play: PlayOptions | None = Field(default=None, description="find the equilibrium by play; {} for the defaults")
    calibrate: CalibrateOptions | None = Field(
        default=None, description="find parameters of the game from trajectories, through its equilibrium"
    )
    parameters: dict[str, float] = Field(
        default={}, description="options of the game that training starts from, where they differ from the scenario's"
    )
    paths: int = Field(default=64, ge=2, description="paths simulated with each network; replicates = seeds * paths")
    inputs: tuple[Literal["occupancy", "time"], ...] = Field(
        default=("occupancy",),
        min_length=1,
        description="learn: what the network sees of a population in finite states",
    )
    noise: Literal["learned", "demographic"] = Field(
        default="learned",
        description="learn, finite states: a factor on the noise of each transition, learned; demographic: the factor is 1",
    )
    loss: Literal["energy", "crps", "mmd", "sliced_wasserstein", "gaussian", "mean_squared_error"] = Field(
        default="energy",
        description="learn: how far simulated paths are from the data, as distributions; mean_squared_error sees no more "
        "than the mean, and is there for comparison only",
    )
    regularisation: float = Field(
        default=10.0,
        ge=0,
        description="learn: how strongly a network prefers constant factors, relative to one observed series",
    )
    solver: Literal["euler", "milstein", "srk", "reversible_heun"] = Field(
        default="euler",
        description="learn: euler: Euler-Maruyama, the fastest; milstein, srk and reversible_heun are those of torchsde, for "
        "the same Ito equation; reversible_heun finds gradients by its adjoint, without keeping the steps",
    )
    step: float | None = Field(
        default=None, gt=0, description="largest step of the SDE. Default: a tenth of 1 / the game's largest intensity"
    )

    @model_validator(mode="after")
    def _one_mode(self) -> NeuralSDEOptions:
        chosen = [name for name in ("learn", "play", "calibrate") if getattr(self, name) is not None]
        if len(chosen) != 1:
            raise ValueError(f"give one of learn, play and calibrate, not {' and '.join(chosen) or 'none'}")
        return self
