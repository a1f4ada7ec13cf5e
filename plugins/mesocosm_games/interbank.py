"""Inter-bank lending: the linear-quadratic game of Carmona, Fouque and Sun."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from mesocosm import Axis, Control, DiffusionGame, Feedback, Policy
from mesocosm_games.diffusion_options import InterbankOptions
from mesocosm_games.start_options import start_inside


class Interbank(DiffusionGame):
    """Banks steer their reserves X towards the mean by borrowing from and lending to a central bank.

        dX_i = [a G_i + alpha_i] dt + sigma (sqrt(1 - rho^2) dW_i + rho dW_0),          G_i = mean - X_i
        J_i  = E[ int alpha^2/2 - q alpha G + eps/2 G^2 dt + c/2 G_T^2 ],          q^2 <= eps

    In mean field, and on a graph, the mean is over contacts. N banks on a complete graph play the textbook game, whose mean
    is over all, oneself included: G_i = (1 - 1/N) (mean over the others - X_i); see `for_population`.

    Equilibrium: alpha_i = [q + (1 - 1/N) eta(t)] G_i with eta' = 2(a+q) eta + (1 - 1/N^2) eta^2 - (eps - q^2), eta(T) = c; the
    mean-field game is the limit of N. Reserves form a Gaussian bell around the mean, which the common noise dW_0 carries
    about; value eta/2 (mean - x)^2 + a function of time. Known for a = q = 0.1, eps = c = 0.5, T = 1, sigma = 1, rho = 0.2:
    eta(0) = 0.522798017966 (N = 10) and 0.521382099607 (mean field), value at the mean 0.2220499416 and 0.2463113467,
    variance of mean - X at T from one point 0.4803048996 and 0.5131703906.

    Policies: `n_player` and `mean_field` are these two gains. Common noise: `correlation`, off where rho = 0.
    Source: R. Carmona, J.-P. Fouque, L.-H. Sun, Mean field games and systemic risk, Commun. Math. Sci. 13, 911 (2015),
    arXiv 1308.2172, section 3. Units: reserves are logarithms of money; rates per unit time; costs without unit.
    """

    channels: ClassVar[tuple[str, ...]] = ("mean",)
    normalise: ClassVar[str] = "mean"
    moves_with: ClassVar[str | None] = "mean"

    def __init__(self, options: InterbankOptions, own_share: float = 0.0) -> None:
        """`own_share` is the weight of oneself in the mean that the game speaks of."""
        self.options = options
        self.others = 1.0 - own_share
        (low,), (high,) = options.start.reach()
        self.axes = (Axis("reserve", low - options.width, high + options.width, "open", "open"),)
        self.start = start_inside(options.start, self.axes)
        farthest = 4 * options.width + 2 * (high - low)
        self.limit = farthest * (options.borrowing + max(options.terminal_cost, self.gain(0.0, math.inf)))
        self.control = Control("borrowing rate", (), -self.limit, self.limit, neutral=0.0)
        self.common = "correlation" if options.correlation else None

    def for_population(self, size: int) -> DiffusionGame:
        return Interbank(self.options, 1.0 / size)

    def gain(self, t: float, horizon: float, size: float = math.inf) -> float:
        """eta(t) of N = `size` banks, or of the mean-field game; at an infinite horizon, its stationary value."""
        given = self.options
        free, slope = given.running_cost - given.borrowing**2, given.mean_reversion + given.borrowing
        curvature = 1.0 - 1.0 / size**2
        root = math.sqrt(slope**2 + curvature * free)
        left = horizon - t
        reach = math.tanh(root * left) / root if root > 0 else left
        if math.isinf(reach):
            return 0.0
        gained = free * reach + given.terminal_cost * (1.0 - slope * reach)
        return gained / (1.0 + slope * reach + curvature * given.terminal_cost * reach)

    def gap(self, state: Any, field: Any) -> Any:
        """G, the mean minus one's own reserve: [..., axis]."""
        return self.others * (field - state)

    def drift(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return self.options.mean_reversion * self.gap(state, field) + control

    def noise(self, t: Any, state: Any, field: Any) -> Any:
        return self.options.sigma * (1.0 - self.options.correlation**2) ** 0.5 + 0.0 * state

    def common_noise(self, t: Any, state: Any, field: Any) -> Any:
        return self.options.sigma * self.options.correlation + 0.0 * state

    def emission(self, t: Any, state: Any, control: Any) -> Any:
        return 1.0 * state

    def running_cost(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        gap = self.gap(state, field)
        cost = 0.5 * control**2 - self.options.borrowing * control * gap + 0.5 * self.options.running_cost * gap**2
        return cost[..., 0]

    def terminal_cost(self, t: Any, state: Any, field: Any, signals: Any) -> Any:
        return (0.5 * self.options.terminal_cost * self.gap(state, field) ** 2)[..., 0]

    def best_control(self, t: Any, state: Any, field: Any, gradient: Any) -> Any:
        wished = self.options.borrowing * self.gap(state, field) - gradient
        return wished.clip(-self.limit, self.limit)

    def policies(self, size: int, horizon: float) -> Mapping[str, Policy]:
        """`n_player`: the equilibrium of `size` banks that all know each other; `mean_field`: that of the limit.

        The mean-field policy is a gain on the mean over all, oneself included where the game's mean includes one.
        """
        borrowing, others = self.options.borrowing, 1.0 - 1.0 / size

        def n_player(t: float, state: Any, field: Any) -> Any:
            return (borrowing + others * self.gain(t, horizon, size)) * others * (field - state)

        def mean_field(t: float, state: Any, field: Any) -> Any:
            return (borrowing + self.gain(t, horizon)) * self.gap(state, field)

        return {"n_player": Feedback(n_player), "mean_field": Feedback(mean_field)}
