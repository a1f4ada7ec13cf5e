"""Options of the epidemic games. Rates are per unit of the scenario's time."""

from __future__ import annotations

from pydantic import Field

from mesocosm import Options


class EffortOptions(Options):
    """Contact effort: what a susceptible pays to meet fewer people, and what an infection costs."""

    cost: float = Field(default=1.0, gt=0, description="c_a: running cost c_a/2 (1-a)^2 of contact level a")
    infection_cost: float = Field(default=1.0, ge=0, description="c_I: running cost while infected")
    minimum: float = Field(default=0.0, ge=0, lt=1, description="a_min: the lowest contact level that one can choose")


class RewiringOptions(Options):
    """Susceptible agents cut links to infected ones, and form new ones (Gross, D'Lima, Blasius 2006)."""

    rate: float = Field(ge=0, description="rate at which a link between a susceptible and an infected agent is cut")
    to: tuple[str, ...] = Field(
        default=("S",),
        min_length=1,
        description="states of those whom the new link may lead to; one is chosen at random",
    )


class SIROptions(Options):
    """Susceptible, infected, recovered."""

    beta: float = Field(ge=0, description="transmission rate per contact; on a complete graph the whole contact rate")
    gamma: float = Field(ge=0, description="recovery rate")
    effort: EffortOptions | None = Field(default=None, description="contact effort; none where it is left out")
    rewiring: RewiringOptions | None = Field(
        default=None, description="agents change the contact graph; they do not where it is left out"
    )


class SISOptions(SIROptions):
    """Susceptible, infected, susceptible again."""


class SEIROptions(SIROptions):
    """Susceptible, exposed, infected, recovered."""

    sigma: float = Field(ge=0, description="rate at which the exposed become infectious")
