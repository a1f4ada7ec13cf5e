"""Learning where particles leave: a gradient with little noise, and as strong where few are left as where all are.

**Hedge.** Let p(t, x) be what the policy takes a unit of place to be worth: the costate at which its control is a best
response, f_a + p b_a = 0, axis by axis. From the cost of a path is taken

    sum over steps of S p(t, x) . E_stopped,      E_stopped = (1 - p0) sigma dW + p0 (level - x - b tau0)

the gain of the noise at that price, stopped at an absorbing side. With the chance p0 and the time tau0 of leaving of
a path whose drift b is constant in the step (see `exits`), E_stopped has mean zero whatever b and p are, so neither
cost nor gradient gets a bias. At the optimum p is the gradient of the value, and by Ito's formula a path then costs
the same whatever its noise: also the gradient of each path, not of their mean alone, goes to zero. p is that of the
policy with its weights held fixed; if gradients reached them, they would bring the noise back.

**Gradients at a time.** What a policy does when a share S of the population is left moves the mean cost by no more
than S. The gradient that reaches the weights at a time is divided by S, or by `LEAST` where fewer are left. The best
policy is best at every time and place, so the weights of times do not move it; they decide how soon it is found. The
gradient along the path, through places, is as it is.

Sources: Newton, SIAM J. Appl. Math. 54, 1780 (1994), variance reduction by the stochastic integral of the gradient of
the value; Roeder, Wu and Duvenaud, arXiv 1703.09194, for the weights held fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mesocosm import DiffusionGame
from mesocosm_neural.play.exits import Side
from mesocosm_neural.play.feedback_network import Choose

LEAST = 0.05
"""Share that is left, below which the gradients of a time are not made stronger."""

_FLAT = 1e-12
"""A derivative of the drift below it is none: the control does not move this axis."""


@dataclass(frozen=True, eq=False)
class Hedge:
    """What a policy expects of places, by the policy itself with its weights held `fixed`."""

    game: DiffusionGame
    fixed: Choose

    def price(self, t: float, places: torch.Tensor, received: torch.Tensor) -> torch.Tensor:
        """p at places, with a field received: [seed, path, axis] all."""
        with torch.enable_grad():
            control = self.fixed(t, places, received)
            if not control.requires_grad:
                control = control.detach().requires_grad_()
            nothing = 0.0 * control.sum()
            cost = self.game.running_cost(t, places, received, control).sum() + nothing
            drift = self.game.drift(t, places, received, control).sum() + nothing
            (rise,) = torch.autograd.grad(cost, control, create_graph=True)
            (push,) = torch.autograd.grad(drift, control, create_graph=True)
            moved = push.abs() > _FLAT
            return torch.where(moved, -rise / torch.where(moved, push, torch.ones_like(push)), torch.zeros_like(rise))

    def gain(
        self,
        price: torch.Tensor,
        places: torch.Tensor,
        drift: torch.Tensor,
        own: torch.Tensor,
        shaken: torch.Tensor,
        length: float,
        sides: Sequence[Side],
    ) -> torch.Tensor:
        """p . E_stopped of a step, [seed, path], for who is inside at its beginning.

        Of particles at `places` with drift and noise `own`, that noise alone takes to `shaken`: [seed, path, axis] all.
        """
        kicks, after = shaken - places, shaken + length * drift
        inside = torch.ones_like(places[..., 0])
        gained = torch.zeros_like(inside)
        for side in sides:
            chance, delay = side.crossing(places, after, own**2, length)
            stopped = list(((delay / length)[..., None] * kicks).unbind(dim=-1))
            stopped[side.axis] = side.level - places[..., side.axis] - drift[..., side.axis] * delay
            gained = gained + inside * chance * (price * torch.stack(stopped, dim=-1)).sum(dim=-1)
            inside = inside * (1.0 - chance)
        return gained + inside * (price * kicks).sum(dim=-1)

    def steered(
        self, t: float, places: torch.Tensor, field: torch.Tensor, inside: torch.Tensor, choose: Choose
    ) -> torch.Tensor:
        """The control of a policy, with gradients to its weights divided by the share inside, [seed, path, axis]."""
        learned = choose(t, places.detach(), field)
        weight = 1.0 / inside.detach().mean(dim=1).clamp(min=LEAST)
        return self.fixed(t, places, field) + weight[:, None, None] * (learned - learned.detach())
