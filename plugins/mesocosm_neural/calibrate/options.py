"""Options of the mode `calibrate`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mesocosm import LearnFrom, Options


class ParameterOptions(Options):
    """One parameter of the game: where the search starts, where it may go, and whether it changes in time."""

    start: float | None = Field(
        default=None, description="where the search starts, inside the range. Default: the scenario's value"
    )
    low: float = Field(default=0.0, description="lower end of its range")
    high: float | None = Field(default=None, description="upper end of its range. Default: no limit")
    varies: bool = Field(default=False, description="whether it changes in time: a network of time is added to it")


class CalibrateOptions(LearnFrom):
    """`{from: label, parameters: {name: {}}}`: parameters of the game from trajectories, through its equilibrium."""

    parameters: dict[str, ParameterOptions] = Field(
        min_length=1, description="options of the game by name, dotted where nested, such as effort.cost"
    )
    closure: Literal["homogeneous", "degree", "group"] = Field(
        default="homogeneous", description="the mean-field closure whose equilibrium is compared with what was observed"
    )
    noise: Literal["gaussian", "multinomial"] = Field(
        default="gaussian",
        description="how observed shares differ from the equilibrium's: by normal noise, whose variance in each state is "
        "estimated, or as those of a sample of the size of the population",
    )
