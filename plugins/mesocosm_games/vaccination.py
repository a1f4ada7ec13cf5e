"""The vaccination game of Doncel, Gast and Gaujal."""

from __future__ import annotations

from typing import Any, ClassVar

from mesocosm import Control, FiniteStateGame, Transition
from mesocosm_games.finite_options import VaccinationOptions


class Vaccination(FiniteStateGame):
    """SIR whose susceptible agents choose at what rate a they are vaccinated, which takes them to R.

        S -> I  at beta z          S -> R  at a, a in [0, theta]          I -> R  at gamma          z = infected contacts
        cost per unit time: c_V a while susceptible, c_I while infected

    With value V and V_R = 0 the Hamiltonian is linear in a: a* = theta where V_S > c_V, else 0.

    Equilibrium: everyone is vaccinated at the full rate until one time, and nobody after it, because by then infections
    are too rare to be worth the cost. Known for beta 73, gamma 36.5, theta 10, c_V 0.5, c_I 36.5, T = 1, S(0) = I(0) = 0.4,
    R(0) = 0.2: expected cost 0.6822968 (over all agents, the immune included), the jump at 0.0246514. N players who know each
    other pay less, about 0.6828 - 0.28/(N+1), and 0.65661 for N = 10.

    Source: J. Doncel, N. Gast, B. Gaujal, A mean field game analysis of SIR dynamics with vaccination, Probab. Eng. Inf. Sci.
    36, 482 (2022). Units: rates per unit time; a cost of 1 is that of an infection of mean length, where c_I = gamma.
    The attack rate is not reported: the vaccinated also leave S.
    """

    states: ClassVar[tuple[str, ...]] = ("S", "I", "R")
    channels: ClassVar[tuple[str, ...]] = ("infected",)

    def __init__(self, options: VaccinationOptions) -> None:
        self.options = options
        self.control = Control("vaccination rate", ("S",), 0.0, options.maximum, neutral=0.0)
        self.transitions = (
            Transition.induced("S", "I", rate=options.beta, channel="infected"),
            Transition.spontaneous("S", "R", rate=1.0, controlled=True),
            Transition.spontaneous("I", "R", rate=options.gamma),
        )

    def emission(self, t: float, state: Any, control: Any) -> Any:
        return self.stack([state == 1], like=control)

    def running_cost(self, t: float, state: Any, field: Any, control: Any) -> Any:
        vaccinated = self.options.vaccination_cost * control * (state == 0)
        return vaccinated + (self.options.infection_cost + 0.0 * control) * (state == 1)

    def best_control(self, t: float, field: Any, value: Any) -> Any:
        result = 0.0 * value
        worthwhile = value[..., 0] - value[..., 2] > self.options.vaccination_cost
        result[..., 0] = (self.options.maximum + 0.0 * value[..., 0]) * worthwhile
        return result
