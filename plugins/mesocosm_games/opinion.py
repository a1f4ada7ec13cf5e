"""Opinions with bounded confidence, and a game of conformity among them."""

from __future__ import annotations

from typing import Any, ClassVar

from array_api_compat import array_namespace

from mesocosm import Axis, Control, DiffusionGame
from mesocosm_games.diffusion_options import OpinionOptions
from mesocosm_games.start_options import start_inside


class Opinion(DiffusionGame):
    """Opinions between 0 and 1 move towards those that are close enough.

        dX = (r z + a) dt + sigma dW, reflected at 0 and 1          z_i = mean over contacts of (X_j - X_i) w(|X_j - X_i|)
        w(d) = 1 for d < confidence, else 0; with smoothing s > 0: 1 / (1 + exp((d - confidence)/s))
        cost per unit time, where controlled:  a^2/2 + kappa/2 z^2 + lambda/2 (x - target)^2

    Uncontrolled (a = 0) this is the model of Hegselmann and Krause in continuous time, with noise. Best response where
    controlled: a = -u_x, within the speed limit. kappa is `conformity`, lambda `attraction`.

    What it settles at: with little noise, clusters more than `confidence` apart, about 1/(2 confidence) of them; noise above
    a threshold keeps one broad hill instead. In the controlled game agents see clusters coming: those between two of
    them pay for disagreement until they have chosen one, and consensus comes sooner. With w = 1 (confidence 1, no
    smoothing), away from the walls, it is linear-quadratic: the variance obeys v' = -2 (r + eta) v + sigma^2 with
    eta' = eta^2 + 2 r eta - kappa, eta(T) = 0 (a = eta z); uncontrolled, v' = -2 r v + sigma^2.
    Several equilibria can exist, since w rewards being where others are.

    Source: R. Hegselmann, U. Krause, JASSS 5(3) (2002); for continuous time and noise C. Wang, Q. Li, W. E, B. Chazelle, J.
    Stat. Phys. 166, 1209 (2017). The costs are this project's. Units: an opinion is a number between 0 and 1.
    """

    channels: ClassVar[tuple[str, ...]] = ("pull",)
    normalise: ClassVar[str] = "mean"
    interaction: ClassVar[str] = "pairwise"
    axes = (Axis("opinion", 0.0, 1.0),)

    def __init__(self, options: OpinionOptions) -> None:
        self.options = options
        self.start = start_inside(options.start, self.axes)
        if options.controlled:
            self.control = Control("own move", (), -options.speed, options.speed, neutral=0.0)

    def influence(self, t: Any, receiver: Any, sender: Any) -> Any:
        away = sender - receiver
        beyond = abs(away) - self.options.confidence
        if self.options.smoothing == 0:
            return away * (beyond < 0)
        scaled = (beyond / self.options.smoothing).clip(-40.0, 40.0)
        return away / (1.0 + array_namespace(scaled).exp(scaled))

    def drift(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return self.options.rate * field + control

    def noise(self, t: Any, state: Any, field: Any) -> Any:
        return self.options.sigma + 0.0 * state

    @property
    def has_costs(self) -> bool:
        return self.options.controlled

    def running_cost(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        if not self.options.controlled:
            return 0.0 * state[..., 0]
        apart = self.options.conformity * field**2 + self.options.attraction * (state - self.options.target) ** 2
        return (0.5 * control**2 + 0.5 * apart)[..., 0]

    def best_control(self, t: Any, state: Any, field: Any, gradient: Any) -> Any:
        if not self.options.controlled:
            return 0.0 * gradient
        return (-gradient).clip(-self.options.speed, self.options.speed)

    def myopic_cost(self, t: Any, state: Any, field: Any) -> Any:
        """With slope -kappa z: that of kappa/2 z^2 for one who listens to all, where z falls by 1 per unit of opinion."""
        towards_others = -self.options.conformity * field * state
        return (towards_others + 0.5 * self.options.attraction * (state - self.options.target) ** 2)[..., 0]
