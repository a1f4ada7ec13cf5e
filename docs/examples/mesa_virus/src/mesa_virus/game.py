"""The story of Mesa's VirusOnNetwork in continuous time.

A chance p in one step becomes the hazard -log(1 - p) per step: over a whole step it happens with probability p.

    susceptible -> infected      at -log(1 - spread) for each infected contact
    infected -> susceptible      at (1 - resist) h
    infected -> resistant        at resist h            h = -log(1 - check * recovery)

Mesa moves one agent at a time in random order, and whoever is infected within a step may infect others in that step.
"""

import math

from mesocosm import FiniteStateGame, InputError, Transition


class Virus(FiniteStateGame):
    """See the module docstring."""

    states = ("susceptible", "infected", "resistant")
    channels = ("infected",)

    def __init__(self, options):
        removal, resist = options.virus_check_frequency * options.recovery_chance, options.gain_resistance_chance
        if removal >= 1:
            what = "virus_check_frequency 1 and recovery_chance 1"
            raise InputError(what, where="game", rule="a rate is finite: not both can be 1")
        spread, removed = -math.log1p(-options.virus_spread_chance), -math.log1p(-removal)
        self.transitions = (
            Transition.induced("susceptible", "infected", rate=spread, channel="infected"),
            Transition.spontaneous("infected", "susceptible", rate=(1 - resist) * removed),
            Transition.spontaneous("infected", "resistant", rate=resist * removed),
        )

    def emission(self, t, state, control):
        return self.stack([state == 1], like=control)
