"""The contact-effort game of Elie, Hubert and Turinici."""

from __future__ import annotations

from typing import Any, ClassVar

from mesocosm import Control, FiniteStateGame, Transition
from mesocosm_games.finite_options import EffortGameOptions


class Effort(FiniteStateGame):
    """SIR whose susceptible agents choose their own transmission rate b, and pay for keeping it low.

        S -> I  at b z, b in [b_min, beta0]          I -> R  at gamma          z = infected contacts (complete graph: share I)
        cost per unit time: beta0/b - 1 while susceptible, r_I while infected

    With value V, a susceptible's best response is b* = clip(sqrt(beta0 / (z (V_I - V_S))), b_min, beta0): it minimises
    beta0/b - 1 + b z (V_I - V_S). Nobody makes an effort while z (V_I - V_S) < 1/beta0.

    Equilibrium: effort follows prevalence. It starts when the wave rises, holds the reproduction number near 1 so that the
    peak becomes a low plateau, and fades as the end comes near. Known for beta0 0.2, gamma 0.1, b_min 0.05, r_I 30,
    I(0) = 0.01, 360 days: cost of a susceptible at time 0 211.3266 (239.4557 when nobody makes an effort), attack 0.647347,
    peak of I 0.086475, lowest b 0.131269.

    Source: R. Elie, E. Hubert, G. Turinici, Contact rate epidemic control of COVID-19: an equilibrium view, Math. Model. Nat.
    Phenom. 15, 35 (2020).
    Units: rates per unit time; costs are in units of the effort that halves b for one unit of time.
    """

    states: ClassVar[tuple[str, ...]] = ("S", "I", "R")
    channels: ClassVar[tuple[str, ...]] = ("infected",)
    at_risk: ClassVar[str | None] = "S"

    def __init__(self, options: EffortGameOptions) -> None:
        self.options = options
        self.control = Control("transmission rate", ("S",), options.minimum, options.beta, neutral=options.beta)
        self.transitions = (
            Transition.induced("S", "I", rate=1.0, channel="infected", controlled=True),
            Transition.spontaneous("I", "R", rate=options.gamma),
        )

    def emission(self, t: float, state: Any, control: Any) -> Any:
        return self.stack([state == 1], like=control)

    def running_cost(self, t: float, state: Any, field: Any, control: Any) -> Any:
        avoiding = (self.options.beta / control - 1.0) * (state == 0)
        return avoiding + (self.options.infection_cost + 0.0 * control) * (state == 1)

    def best_control(self, t: float, field: Any, value: Any) -> Any:
        beta, minimum = self.options.beta, self.options.minimum
        result = beta + 0.0 * value
        threat = field[..., 0] * (value[..., 1] - value[..., 0])
        result[..., 0] = (beta / threat.clip(1.0 / beta, beta / minimum**2)) ** 0.5
        return result
