"""Options of the dynamics `mesa_virus` and of the game `virus`. Chances are probabilities in one step."""

from typing import Literal

from pydantic import Field

from mesocosm import Options


class Chances(Options):
    """What can happen in a step. Names and defaults are those of Mesa's model."""

    virus_spread_chance: float = Field(
        default=0.4, ge=0, le=1, description="chance that an infected machine infects a given susceptible contact"
    )
    virus_check_frequency: float = Field(default=0.4, ge=0, le=1, description="chance that a machine is checked")
    recovery_chance: float = Field(default=0.3, ge=0, le=1, description="chance that a check removes the virus")
    gain_resistance_chance: float = Field(
        default=0.5, ge=0, le=1, description="chance to be resistant once the virus is removed"
    )


class VirusOptions(Chances):
    """The game; its rates are finite, so nothing in it is certain to happen within a step."""

    virus_spread_chance: float = Field(
        default=0.4, ge=0, lt=1, description="chance that an infected machine infects a given susceptible contact"
    )


class MesaVirusOptions(Chances):
    """Mesa's model on the contact graph."""

    replicates: int = Field(default=16, ge=1, description="number of independent runs")
    states: dict[Literal["SUSCEPTIBLE", "INFECTED", "RESISTANT"], str] = Field(
        min_length=3,
        default={"SUSCEPTIBLE": "susceptible", "INFECTED": "infected", "RESISTANT": "resistant"},
        description="the game's state for each state of Mesa's model",
    )
