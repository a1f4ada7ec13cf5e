"""Options of the games `effort` and `vaccination`. Rates are per unit of the scenario's time."""

from __future__ import annotations

from pydantic import Field, model_validator

from mesocosm import Options


class EffortGameOptions(Options):
    """An epidemic in which everyone chooses how much to meet others. Defaults are the reference case, in days."""

    beta: float = Field(
        default=0.2,
        gt=0,
        description="beta0: transmission rate per contact of one who makes no effort; on a complete graph the whole rate",
    )
    gamma: float = Field(default=0.1, ge=0, description="recovery rate")
    minimum: float = Field(default=0.05, gt=0, description="b_min: the lowest transmission rate that one can choose")
    infection_cost: float = Field(default=30.0, ge=0, description="r_I: cost per unit time while infected")

    @model_validator(mode="after")
    def _ordered(self) -> EffortGameOptions:
        if self.minimum >= self.beta:
            raise ValueError(f"minimum {self.minimum:g} and beta {self.beta:g}; minimum is below beta")
        return self


class VaccinationOptions(Options):
    """An epidemic in which everyone chooses when to be vaccinated. Defaults are the reference case, in years."""

    beta: float = Field(
        default=73.0, ge=0, description="infection rate per contact; on a complete graph the whole contact rate"
    )
    gamma: float = Field(default=36.5, ge=0, description="recovery rate")
    maximum: float = Field(default=10.0, gt=0, description="theta: the highest vaccination rate that one can choose")
    vaccination_cost: float = Field(default=0.5, ge=0, description="c_V: cost per unit of vaccination rate and time")
    infection_cost: float = Field(default=36.5, ge=0, description="c_I: cost per unit time while infected")
