"""A crowd leaves a square through a door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from mesocosm import Axis, Control, DiffusionGame, Door, Passage
from mesocosm_games.diffusion_options import CongestionOptions
from mesocosm_games.start_options import start_inside


class Congestion(DiffusionGame):
    """A crowd leaves the unit square through a door in its right side; crowded places are costly.

        dX = a dt + sigma dW in [0, 1]^2, reflected at the walls, gone at the door          z = m(t, X), the local density
        J = E[ int_0^(exit or T) |a|^2/2 + c + kappa z dt + g 1{still inside at T} ]

    Best response: a = -grad u within the speed limit of each axis. The cost grows with the density, so the equilibrium is
    unique: the game is monotone (Lasry and Lions 2007). The density is that of those still inside, as a share of all at the
    start, per unit area.

    Equilibrium: without crowding (kappa = 0) everyone walks straight to the door. With it, the crowd fans out, those at the
    back go slowly until the front is out, and a cushion of density stands before the door. No number is known in closed
    form, but for a crowd that feels nothing of each other the value is -sigma^2 ln phi with a linear equation for phi.

    A run reports `evacuated`, the share that has left by the end, and `median_exit`, when half have left (infinite if never).

    Source: A. Lachapelle, M.-T. Wolfram, Transp. Res. B 45, 1572 (2011); Y. Achdou, M. Lauriere, Mean field games and
    applications: numerical aspects (2020), section 5, for rooms with doors; both with other cost laws.
    Units: side of the square, cost of `time_cost` 1 per unit time.
    """

    channels: ClassVar[tuple[str, ...]] = ("density",)
    normalise: ClassVar[str] = "mean"
    interaction: ClassVar[str] = "density"
    axes = (Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))

    def __init__(self, options: CongestionOptions) -> None:
        self.options = options
        self.bandwidth = options.bandwidth
        self.doors = (Door(0, True, *options.door),)
        self.control = Control("velocity", (), -options.speed, options.speed, neutral=0.0)
        self.start = start_inside(options.start, self.axes)

    def drift(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return 1.0 * control

    def noise(self, t: Any, state: Any, field: Any) -> Any:
        return self.options.sigma + 0.0 * state

    def running_cost(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        walking = 0.5 * (control[..., 0] ** 2 + control[..., 1] ** 2)
        return walking + self.options.time_cost + self.options.crowding * field[..., 0]

    def terminal_cost(self, t: Any, state: Any, field: Any, signals: Any) -> Any:
        return self.options.remaining + 0.0 * state[..., 0]

    def best_control(self, t: Any, state: Any, field: Any, gradient: Any) -> Any:
        return (-gradient).clip(-self.options.speed, self.options.speed)

    def myopic_cost(self, t: Any, state: Any, field: Any) -> Any:
        """The squared distance to the middle of the door: one walks there, the faster the farther away."""
        middle = sum(self.options.door) / 2
        return 0.5 * ((1.0 - state[..., 0]) ** 2 + (state[..., 1] - middle) ** 2)

    def scalars(self, passage: Passage, signals: Any) -> Mapping[str, float]:
        return {"evacuated": float(passage.absorbed[-1]), "median_exit": passage.time_of(0.5)}
