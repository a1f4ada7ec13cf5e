"""Options of `neural_sde`. Times and rates are in the scenario's unit."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mesocosm import LearnFrom, Options


class NeuralSDEOptions(Options):
    """A neural SDE that starts from the game and is trained on what another dynamics recorded."""

    learn: LearnFrom = Field(description="whose trajectories to learn from, and up to which time")
    parameters: dict[str, float] = Field(
        default={}, description="options of the game that training starts from, where they differ from the scenario's"
    )
    seeds: int = Field(default=5, ge=1, le=100, description="how many networks are trained, each from its own weights")
    paths: int = Field(default=64, ge=2, description="paths simulated with each network; replicates = seeds * paths")
    batch: int = Field(default=48, ge=2, description="paths of each network in one training step")
    steps: int = Field(default=150, ge=1, description="training steps")
    learning_rate: float = Field(default=0.02, gt=0, description="largest step of Adam; it decays as a cosine to zero")
    gradient_norm: float = Field(default=1.0, gt=0, description="gradients of a network are clipped at this norm")
    width: int = Field(default=16, ge=1, description="units in each hidden layer")
    depth: int = Field(default=2, ge=1, description="number of hidden layers")
    inputs: tuple[Literal["occupancy", "time"], ...] = Field(
        default=("occupancy",), min_length=1, description="what the network sees"
    )
    noise: Literal["learned", "demographic"] = Field(
        default="learned", description="learned: a factor on the noise of each transition; demographic: the factor is 1"
    )
    loss: Literal["energy"] = Field(
        default="energy", description="energy score of the paths at every save, and of whole paths"
    )
    regularisation: float = Field(
        default=10.0,
        ge=0,
        description="how strongly a network prefers constant factors, relative to one observed series",
    )
    step: float | None = Field(
        default=None, gt=0, description="largest step of the SDE. Default: a tenth of 1 / the game's largest intensity"
    )
    checkpoint_every: int = Field(default=50, ge=1, description="training steps between two checkpoints")
