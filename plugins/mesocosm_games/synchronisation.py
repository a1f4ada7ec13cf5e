"""Kuramoto oscillators: coupled, or choosing to be in phase."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from array_api_compat import array_namespace

from mesocosm import Axis, Control, DiffusionGame
from mesocosm_games.diffusion_options import SynchronisationOptions
from mesocosm_games.start_options import start_inside


class Synchronisation(DiffusionGame):
    """Oscillators with the same natural frequency omega on a circle of angles, with z = (mean cos, mean sin) of contacts.

        coupled      dX = [omega + K (z_sin cos X - z_cos sin X)] dt + sigma dW
        controlled   dX = [omega + a] dt + sigma dW,          f = a^2/2 + kappa/2 (1 - z_cos cos X - z_sin sin X)

    The controlled cost is kappa times the mean of sin^2((X - X_j)/2). Best response: a = -u_x, within the speed limit. With
    z_cos + i z_sin = r exp(i psi), r is the degree of order: 0 when angles are spread evenly, 1 when all are the same.

    Coupled, it settles at a density proportional to exp(2 K r/sigma^2 cos(x - psi)) in the frame that turns with omega, where
    r = I_1(2 K r/sigma^2) / I_0(2 K r/sigma^2). Only r = 0 solves this up to the critical coupling K = sigma^2; above it
    a bump grows out of any unevenness. Known for K 2, sigma 1: r = 0.8314620.
    Controlled, the stationary equilibrium has the density phi^2, where phi is the ground state of
    -sigma^4/2 phi'' + kappa/2 (1 - r cos x) phi = mu phi and mu is the cost per unit time; order needs kappa above sigma^4.
    The even spread is an equilibrium for every kappa: the start decides which one is found, and from a perfectly even
    start nothing ever happens.

    Source: Y. Kuramoto, Chemical Oscillations, Waves, and Turbulence (1984); for noise H. Sakaguchi, Prog. Theor. Phys. 79, 39
    (1988); for the game H. Yin, P. Mehta, S. Meyn, U. Shanbhag, IEEE Trans. Autom. Control 57, 920 (2012).
    Units: angles in radians.
    """

    channels: ClassVar[tuple[str, ...]] = ("cosine", "sine")
    normalise: ClassVar[str] = "mean"
    axes = (Axis("angle", 0.0, 2 * math.pi, "periodic", "periodic"),)

    def __init__(self, options: SynchronisationOptions) -> None:
        self.options = options
        self.start = start_inside(options.start, self.axes)
        if options.controlled:
            self.control = Control("own frequency", (), -options.speed, options.speed, neutral=0.0)

    def emission(self, t: Any, state: Any, control: Any) -> Any:
        xp, angle = array_namespace(state), state[..., 0]
        return self.stack([xp.cos(angle), xp.sin(angle)], like=angle)

    def drift(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        if self.options.controlled:
            return self.options.frequency + control
        xp = array_namespace(state)
        pull = field[..., 1:] * xp.cos(state) - field[..., :1] * xp.sin(state)
        return self.options.frequency + self.options.coupling * pull

    def noise(self, t: Any, state: Any, field: Any) -> Any:
        return self.options.sigma + 0.0 * state

    @property
    def has_costs(self) -> bool:
        return self.options.controlled

    def running_cost(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        if not self.options.controlled:
            return 0.0 * state[..., 0]
        xp, angle = array_namespace(state), state[..., 0]
        in_phase = field[..., 0] * xp.cos(angle) + field[..., 1] * xp.sin(angle)
        return 0.5 * control[..., 0] ** 2 + 0.5 * self.options.incoherence * (1.0 - in_phase)

    def best_control(self, t: Any, state: Any, field: Any, gradient: Any) -> Any:
        if not self.options.controlled:
            return 0.0 * gradient
        return (-gradient).clip(-self.options.speed, self.options.speed)
