"""Options of the agent-based dynamics. Times are in the scenario's unit."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mesocosm import Options, PolicyOption


class AgentBasedOptions(Options):
    """Agents on the contact graph."""

    replicates: int = Field(default=32, ge=1, description="number of independent runs")
    step: float | None = Field(
        default=None,
        gt=0,
        description="longest time step; an interval between two saves is cut into equal steps no longer than this. "
        "The error is proportional to it. Default: a tenth of the save interval",
    )
    policy: PolicyOption = Field(
        default="none",
        description="what agents choose: none, a name that the game knows (gradient_flow for diffusions), {constant: value}, "
        "{from: label} or {file: path}",
    )
    deviations: int | None = Field(
        default=None,
        ge=0,
        description="agents whose gain from deviating alone is measured, each by one more run of its replicate with the "
        "same random numbers; 0 for none. Default: one in every replicate where there are costs and a policy is played, "
        "if agents x replicates x steps are at most 2e7",
    )
    redraw: bool = Field(
        default=False,
        description="whether every replicate runs on a fresh draw of the graph; replicate 0 keeps the graph",
    )
    engine: Literal["auto", "step", "exact", "mesa"] = Field(
        default="auto",
        description="step: time steps, fast; exact: continuous time, no step error, for intensities that are constant or "
        "linear in the field; mesa: every agent a mesa.Agent, readable, for small populations. auto: exact where neither "
        "the policy nor a cost needs time steps and no step is given, else step",
    )
    record_places: int = Field(
        default=0,
        ge=0,
        description="diffusion games: record the places of so many agents of each replicate, to learn from or to draw",
    )
