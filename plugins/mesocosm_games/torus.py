"""An ergodic game on a circle, with its solution in closed form."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from array_api_compat import array_namespace

from mesocosm import Axis, Control, DiffusionGame
from mesocosm_games.diffusion_options import TorusOptions
from mesocosm_games.start_options import start_inside

_LOWEST_DENSITY = 1e-9
"""Where the density is lower, its logarithm is taken as if it were this."""

_FASTEST = 40.0
"""Of the control, in units of sigma^2; the equilibrium needs 2 pi."""


class Torus(DiffusionGame):
    """A crowd on a circle that shuns crowded places, in a potential V.

        dX = a dt + sigma dW on a circle of length 1,          f = a^2/2 + ln m(x) + V(x)
        V(x) = 2 pi^2 sigma^4 (cos^2 2 pi x - sin 2 pi x) - 2 sin 2 pi x

    Stationary equilibrium: m(x) = exp(2 sin 2 pi x) / I_0(2), control a(x) = 2 pi sigma^2 cos 2 pi x, value
    u(x) = -sigma^2 sin 2 pi x up to a constant, for every sigma. The ergodic constant of the source (which stands on the
    side of ln m) is ln I_0(2) = 0.8239935415; the long-run average cost per unit time is its negative. The crowd is densest
    at x = 1/4, where it pays for company with a low potential.

    On a finite horizon the density relaxes to this one. Agents feel a density that is smoothed by a Gaussian of width
    `bandwidth`; its logarithm is cut off at a density of 1e-9.
    Source: N. Almulla, R. Ferreira, D. Gomes, Two numerical approaches to stationary mean-field games, Dyn. Games Appl. 7,
    657 (2017). Units: length of the circle, cost without unit.
    """

    channels: ClassVar[tuple[str, ...]] = ("density",)
    normalise: ClassVar[str] = "mean"
    interaction: ClassVar[str] = "density"
    axes = (Axis("x", 0.0, 1.0, "periodic", "periodic"),)

    def __init__(self, options: TorusOptions) -> None:
        self.sigma, self.bandwidth = options.sigma, options.bandwidth
        self.limit = _FASTEST * self.sigma**2
        self.control = Control("velocity", (), -self.limit, self.limit, neutral=0.0)
        self.start = start_inside(options.start, self.axes)

    def drift(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return 1.0 * control

    def noise(self, t: Any, state: Any, field: Any) -> Any:
        return self.sigma + 0.0 * state

    def running_cost(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        xp = array_namespace(state)
        angle = 2 * math.pi * state[..., 0]
        sine, cosine = xp.sin(angle), xp.cos(angle)
        potential = 2 * math.pi**2 * self.sigma**4 * (cosine**2 - sine) - 2 * sine
        return 0.5 * control[..., 0] ** 2 + xp.log(field[..., 0].clip(_LOWEST_DENSITY)) + potential

    def best_control(self, t: Any, state: Any, field: Any, gradient: Any) -> Any:
        return (-gradient).clip(-self.limit, self.limit)
