"""Options of the games in discrete time. Costs are per step; the horizon is the number of save intervals of the scenario."""

from __future__ import annotations

from pydantic import Field, model_validator

from mesocosm import Options


class RockPaperScissorsOptions(Options):
    """What shares of agents are worth, in the order rock, paper, scissors."""

    wins: tuple[float, float, float] = Field(default=(2.0, 4.0, 6.0), description="gain per share of agents beaten")
    losses: tuple[float, float, float] = Field(default=(1.0, 2.0, 3.0), description="cost per share of agents lost to")


class LeftRightOptions(Options):
    """What crowding costs on either side."""

    left: float = Field(default=1.0, ge=0, description="cost per share of agents on the left")
    right: float = Field(default=2.0, ge=0, description="cost per share of agents on the right")


class SusceptibleInfectedOptions(Options):
    """Infection in discrete time, and what avoiding it costs."""

    infection: float = Field(
        default=0.81, ge=0, le=1, description="probability of infection in a step, per share of infected agents"
    )
    recovery: float = Field(default=0.3, ge=0, le=1, description="probability of recovery in a step")
    distancing_cost: float = Field(default=0.5, ge=0, description="cost of keeping one's distance for a step")
    infection_cost: float = Field(default=1.0, ge=0, description="cost of a step while infected")


class BeachBarOptions(Options):
    """A beach of places in a row, with a bar at one of them."""

    places: int = Field(default=4, ge=2, le=200, description="number of places")
    bar: int = Field(default=2, ge=0, description="number of the place of the bar, counted from 0")
    still: float = Field(
        default=0.5, ge=0, le=1, description="probability that one is not moved by a place more, to either side alike"
    )
    crowd_floor: float = Field(
        default=1e-20,
        gt=0,
        le=1,
        description="share added to that of the agents at a place before the logarithm is taken",
    )

    @model_validator(mode="after")
    def _bar_on_the_beach(self) -> BeachBarOptions:
        if self.bar >= self.places:
            raise ValueError(
                f"the bar is at place {self.bar}, but the last of {self.places} places is {self.places - 1}"
            )
        return self
