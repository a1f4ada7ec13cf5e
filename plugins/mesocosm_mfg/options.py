"""Options of the mean-field dynamics."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mesocosm import Options, PolicyOption

NASH, SOCIAL = "nash", "social_optimum"
"""The policies that are solved for; all others are given."""


class ClassicalMFGOptions(Options):
    """Options of `classical_mfg`."""

    closure: Literal["homogeneous", "degree", "group", "individual"] = Field(
        default="homogeneous", description="types of agents and how they mix"
    )
    degrees: Literal["graph", "law"] = Field(
        default="graph", description="degrees of this graph, or of the law that they were drawn from"
    )
    group: str = Field(default="group", description="node attribute of the group closure")
    policy: PolicyOption | None = Field(
        default=None,
        description="nash, none, social_optimum (finite states), a name that the game knows, {constant: value}, "
        "{from: label} or {file: path}; default: nash where agents choose",
    )
    method: Literal["anderson", "picard", "newton", "fictitious_play", "mirror_descent"] = Field(
        default="anderson", description="how the equilibrium is iterated to"
    )
    initial_guess: PolicyOption = Field(
        default="none",
        description="the policy from which the iteration starts; where there are several equilibria, it decides",
    )
    continuation: int = Field(
        default=1,
        ge=1,
        le=100,
        description="solve with 1/n, 2/n, ... of what agents feel of each other, each from the equilibrium before",
    )
    tolerance: float = Field(
        default=1e-7, gt=0, lt=1, description="largest residual at which the equilibrium counts as found"
    )
    iterations: int = Field(default=500, ge=1, description="most iterations of the fixed point")
    damping: float = Field(
        default=0.5, gt=0, le=1, description="share of the best response in the next iterate; halved when it overshoots"
    )
    cells: int | None = Field(
        default=None,
        ge=8,
        le=4096,
        description="grid cells of a diffusion along its longest axis; default: 400, or 64 in 2-D",
    )
    horizon: Literal["finite", "ergodic"] = Field(
        default="finite",
        description="of a diffusion: finite, up to the end of the scenario; ergodic, stationary with long-run average cost",
    )
    social_optimum: bool = Field(
        default=False,
        description="finite states: also find the control that is best for all together, and the price of anarchy",
    )
    step: float | None = Field(
        default=None,
        gt=0,
        description="largest time step; default for finite states: halved until the flow changes by less than 1e-7; for "
        "diffusions: 1000 steps over the horizon, 200 in 2-D",
    )


class EdgeBasedOptions(Options):
    """Options of `edge_based`."""

    degrees: Literal["graph", "law"] = Field(
        default="graph", description="degrees of this graph, or of the law that they were drawn from"
    )
