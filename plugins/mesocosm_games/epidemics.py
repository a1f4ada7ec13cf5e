"""Epidemic games on a contact graph, with optional contact effort.

An infected agent emits 1; a susceptible one is infected at `beta * a * field`, where the field is the (weighted) number of
infected contacts, the emission summed over contacts, and a is its own contact level (1 without effort).

    SIR    S -> I at beta a z    I -> R at gamma
    SIS    S -> I at beta a z    I -> S at gamma
    SEIR   S -> E at beta a z    E -> I at sigma    I -> R at gamma

Effort (Nash): a susceptible chooses a in [a_min, 1] and pays c_a/2 (1-a)^2 per unit time; an infected agent pays c_I. With
value u and the field z, the best response is a* = clip(1 - beta z (u_next - u_S)/c_a, a_min, 1), where `next` is the state
that infection leads to. With `rewiring`, susceptible agents cut links to infected ones (see `mesocosm.Rewiring`).
Sources: Kermack and McKendrick (1927); Reluga, PLoS Comput. Biol. 6, e1000793 (2010) for the game.
"""

from __future__ import annotations

from typing import Any, ClassVar

from mesocosm import Control, FiniteStateGame, Rewiring, Transition
from mesocosm_games.options import EffortOptions, SEIROptions, SIROptions, SISOptions

CHANNEL = "infected"


class Epidemic(FiniteStateGame):
    """What SIR, SIS and SEIR share: infected agents emit, susceptible ones choose their contact level."""

    channels: ClassVar[tuple[str, ...]] = (CHANNEL,)
    infection_leads_to: ClassVar[str] = "I"

    def __init__(self, options: SIROptions) -> None:
        self.options = options
        self.effort: EffortOptions | None = options.effort
        if self.effort is not None:
            self.control = Control("contact level", ("S",), self.effort.minimum, 1.0, neutral=1.0)
        if options.rewiring is not None:
            self.rewiring = Rewiring("S", "I", options.rewiring.rate, options.rewiring.to)
        self.transitions = (
            Transition.induced(
                "S", self.infection_leads_to, rate=options.beta, channel=CHANNEL, controlled=self.effort is not None
            ),
            *self.after_infection(),
        )

    def after_infection(self) -> tuple[Transition, ...]:
        """The transitions that follow an infection."""
        raise NotImplementedError

    def emission(self, t: float, state: Any, control: Any) -> Any:
        return self.stack([state == self.states.index("I")], like=control)

    @property
    def has_costs(self) -> bool:
        return self.effort is not None

    def running_cost(self, t: float, state: Any, field: Any, control: Any) -> Any:
        if self.effort is None:
            return 0.0 * control
        avoiding = 0.5 * self.effort.cost * (1.0 - control) ** 2 * (state == self.states.index("S"))
        # A number times a comparison would have single precision in torch.
        ill = (self.effort.infection_cost + 0.0 * control) * (state == self.states.index("I"))
        return avoiding + ill

    def best_control(self, t: float, field: Any, value: Any) -> Any:
        result = 1.0 + 0.0 * value
        if self.effort is None:
            return result
        susceptible = self.states.index("S")
        risk = value[..., self.states.index(self.infection_leads_to)] - value[..., susceptible]
        level = 1.0 - self.options.beta * field[..., 0] * risk / self.effort.cost
        result[..., susceptible] = level.clip(self.effort.minimum, 1.0)
        return result


class SIR(Epidemic):
    """Susceptible, infected, recovered (see the module docstring)."""

    states: ClassVar[tuple[str, ...]] = ("S", "I", "R")
    at_risk: ClassVar[str | None] = "S"

    def after_infection(self) -> tuple[Transition, ...]:
        return (Transition.spontaneous("I", "R", rate=self.options.gamma),)


class SIS(Epidemic):
    """Susceptible, infected, susceptible again (see the module docstring)."""

    states: ClassVar[tuple[str, ...]] = ("S", "I")

    def __init__(self, options: SISOptions) -> None:
        super().__init__(options)

    def after_infection(self) -> tuple[Transition, ...]:
        return (Transition.spontaneous("I", "S", rate=self.options.gamma),)


class SEIR(Epidemic):
    """Susceptible, exposed, infected, recovered (see the module docstring)."""

    states: ClassVar[tuple[str, ...]] = ("S", "E", "I", "R")
    at_risk: ClassVar[str | None] = "S"
    infection_leads_to: ClassVar[str] = "E"

    def __init__(self, options: SEIROptions) -> None:
        self.incubation_rate = options.sigma
        super().__init__(options)

    def after_infection(self) -> tuple[Transition, ...]:
        return (
            Transition.spontaneous("E", "I", rate=self.incubation_rate),
            Transition.spontaneous("I", "R", rate=self.options.gamma),
        )
