"""Games with one fault each. A component is called like the rule that must find it, and no other rule may."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from mesocosm import Component, Control, FiniteStateGame, Game, Options, Transition, hookimpl

INFECTION = Transition.induced("S", "I", rate=0.3, channel="infected")
RECOVERY = Transition.spontaneous("I", "R", rate=0.2)


class Rates(Options):
    """The rates of the games."""

    beta: float = Field(default=0.3, ge=0, description="rate of infection per contact")


class Sound(FiniteStateGame):
    """SIR in which nobody chooses; it breaks no rule."""

    states: ClassVar[tuple[str, ...]] = ("S", "I", "R")
    channels: ClassVar[tuple[str, ...]] = ("infected",)

    def __init__(self, options: Rates) -> None:
        self.options = options
        self.transitions = (INFECTION, RECOVERY)

    def emission(self, t: float, state: Any, control: Any) -> Any:
        return self.stack([state == 1], like=control)


class Choosing(Sound):
    """SIR in which the susceptible choose their contact level; it breaks no rule."""

    maximum = 1.0

    def __init__(self, options: Rates) -> None:
        super().__init__(options)
        self.control = Control("contact level", ("S",), 0.2, self.maximum, neutral=1.0)
        infection = Transition.induced("S", "I", rate=options.beta, channel="infected", controlled=True)
        self.transitions = (infection, RECOVERY)

    def running_cost(self, t: float, state: Any, field: Any, control: Any) -> Any:
        return 0.5 * (1.0 - control) ** 2 * (state == 0) + 1.0 * (state == 1)

    def best_control(self, t: float, field: Any, value: Any) -> Any:
        chosen = self.neutral_control(value)
        chosen[..., 0] = self.limited(1.0 - self.options.beta * field[..., 0] * (value[..., 1] - value[..., 0]))
        return chosen

    def limited(self, level: Any) -> Any:
        return level.clip(0.2, self.maximum)


class General(Sound):
    """SIR whose recovery is `recovery`, a function of time, field and control."""

    def __init__(self, options: Rates) -> None:
        super().__init__(options)
        self.transitions = (INFECTION, Transition.general("I", "R", self.recovery))

    def recovery(self, t: float, field: Any, control: Any) -> Any:
        raise NotImplementedError


class UnknownState(Sound):
    def __init__(self, options: Rates) -> None:
        super().__init__(options)
        self.transitions = (INFECTION, Transition.spontaneous("I", "Recovered", rate=0.2))


class RepeatedChannel(Sound):
    channels = ("infected", "infected")

    def emission(self, t: float, state: Any, control: Any) -> Any:
        return self.stack([state == 1, state == 1], like=control)


class UnknownRisk(Sound):
    at_risk = "susceptible"


class EndlessControl(Choosing):
    maximum = np.inf


class HiddenCost(Sound):
    has_costs = False  # type: ignore[assignment]

    def running_cost(self, t: float, state: Any, field: Any, control: Any) -> Any:
        return 1.0 * (state == 1) + 0.0 * control


class WrongEmitter(Sound):
    def emission(self, t: float, state: Any, control: Any) -> Any:
        return self.stack([state == 3], like=control)


class SecretIntensity(Sound):
    def intensity(self, transition: Transition, t: float, field: Any, control: Any) -> Any:
        return 2.0 * super().intensity(transition, t, field, control)


class Spark(Sound):
    def intensity(self, transition: Transition, t: float, field: Any, control: Any) -> Any:
        background = (0.0 * control + 0.1) * (field[..., 0] == 0) if transition.channel else 0.0
        return super().intensity(transition, t, field, control) + background


class Shared(Sound):
    transitions: ClassVar[list[Transition]] = []  # type: ignore[assignment,misc]
    made: ClassVar[int] = 0

    def __init__(self, options: Rates) -> None:
        Shared.made += 1
        infection = Transition.induced("S", "I", rate=0.3 + 0.01 * Shared.made, channel="infected")
        self.transitions[:] = [infection, RECOVERY]


class NoChannelAxis(Sound):
    def emission(self, t: float, state: Any, control: Any) -> Any:
        return (state == 1) * control


class NegativeRate(General):
    def recovery(self, t: float, field: Any, control: Any) -> Any:
        return 0.3 * control - 0.1 * field[..., 0]


class ScalarCost(Sound):
    def running_cost(self, t: float, state: Any, field: Any, control: Any) -> Any:
        return 1.0


class Crowd(Sound):
    def emission(self, t: float, state: Any, control: Any) -> Any:
        infected = (0.0 * control + 1.0) * (state == 1)
        return self.stack([infected / (1.0 + infected.mean())], like=control)


class Overflow(Sound):
    def emission(self, t: float, state: Any, control: Any) -> Any:
        return self.stack([state * 100 > 50], like=control)


class Seasons(Sound):
    def emission(self, t: float, state: Any, control: Any) -> Any:
        return (1.0 + 0.1 * t) * super().emission(t, state, control)


class Jitter(Sound):
    def running_cost(self, t: float, state: Any, field: Any, control: Any) -> Any:
        return 0.0 * control + 1e-14 * np.random.random()  # noqa: NPY002


class Counting(Sound):
    calls = 0

    def running_cost(self, t: float, state: Any, field: Any, control: Any) -> Any:
        self.calls += 1
        return 0.0 * control


class NumpyOnly(Sound):
    def emission(self, t: float, state: Any, control: Any) -> Any:
        return self.stack([(state == 1).astype(float)], like=control)


class Detached(General):
    def recovery(self, t: float, field: Any, control: Any) -> Any:
        felt = field.detach() if hasattr(field, "detach") else field
        return 0.2 * control + 0.1 * felt[..., 0]


class Unlimited(Choosing):
    def limited(self, level: Any) -> Any:
        return level


class WrongSign(Choosing):
    def best_control(self, t: float, field: Any, value: Any) -> Any:
        return super().best_control(t, field, -value)


class Resurrection(Sound):
    """SIS whose recovery runs backwards for a while."""

    states = ("S", "I")

    def __init__(self, options: Rates) -> None:
        super().__init__(options)
        self.transitions = (INFECTION, Transition.general("I", "S", self.recovery))

    def recovery(self, t: float, field: Any, control: Any) -> Any:
        return (-0.4 if 2.0 <= t < 6.0 else 0.2) + 0.0 * control


class Relapse(General):
    def recovery(self, t: float, field: Any, control: Any) -> Any:
        return (-0.2 if 2.0 <= t < 2.3 else 0.2) + 0.0 * control


class NoTable(Game):
    """A game of another kind: the rules about tables say nothing about it."""

    channels = ("noise",)

    def __init__(self, options: Rates) -> None:
        self.options = options


GAMES = {
    "sound": Sound,
    "choosing": Choosing,
    "no_table": NoTable,
    "table_names_what_exists": UnknownState,
    "names_are_unique": RepeatedChannel,
    "at_risk_is_a_state": UnknownRisk,
    "control_is_a_range": EndlessControl,
    "costs_are_declared": HiddenCost,
    "channels_are_emitted": WrongEmitter,
    "intensities_are_those_of_the_table": SecretIntensity,
    "nothing_is_induced_without_a_field": Spark,
    "games_are_independent": Shared,
    "emission_has_a_column_per_channel": NoChannelAxis,
    "intensities_are_rates": NegativeRate,
    "costs_are_numbers": ScalarCost,
    "agents_do_not_see_each_other": Crowd,
    "any_integer_type_of_states": Overflow,
    "time_is_declared": Seasons,
    "functions_are_deterministic": Jitter,
    "functions_change_nothing": Counting,
    "numpy_and_torch_agree": NumpyOnly,
    "gradients_flow": Detached,
    "best_control_is_a_control": Unlimited,
    "best_control_minimises": WrongSign,
    "shares_stay_shares": Resurrection,
    "absorbing_states_absorb": Relapse,
}


@hookimpl
def mesocosm_components() -> Any:
    for name, made in GAMES.items():
        yield Component("game", name, f"{__name__}:{made.__name__}", f"{__name__}:Rates", summary="for tests")
