"""What the agents of a diffusion game respond to: the flow of a population, held fixed and averaged over training.

In deep fictitious play an agent takes the flow as given: what all others do does not change with its own choice, so no
gradient passes through it. (If one did, the population would be steered to the social optimum.) Two parts of a flow
are kept apart:

    field      where all receive the same (interaction `emission`) and there is no common noise, its path, averaged;
               else the field of each particle at its own place, found from the other particles of the same population as they
               are, without gradients through these
    signals    averaged

Every `every` training steps the flows of these steps are averaged to a new one, which enters the average that agents
respond to (see `averaging`). None enters in the first `patience` steps: a policy that has learned nothing yet makes a
flow that nobody needs to respond to, and agents respond to the one at the beginning. Where there are several
equilibria, that one decides.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from mesocosm_neural.particles import Particles
from mesocosm_neural.play.averaging import Averaged


def is_averaged(particles: Particles) -> bool:
    """Whether the path of the field is averaged."""
    return particles.game.interaction == "emission" and particles.game.common is None


def felt(
    particles: Particles, t: float, places: torch.Tensor, control: torch.Tensor, inside: torch.Tensor, scenarios: int
) -> torch.Tensor:
    """What particles feel of their own population, [seed, path, channel], as given: no gradient passes through the others.

    Each seed has `scenarios` populations of equal size. `inside` [seed, path] are weights: their mean is the share of a
    population that is inside.
    """
    seeds, paths, _ = places.shape

    def split(values: torch.Tensor) -> torch.Tensor:
        return values.reshape(seeds * scenarios, paths // scenarios, *values.shape[2:])

    here, weights = split(places), split(inside.detach())
    if particles.game.interaction == "emission":
        found = particles.field(t, here.detach(), split(control.detach()), weights)
    else:
        felt_of = particles.game.influence(t, here[:, :, None], here.detach()[:, None]) * weights[:, None, :, None]
        own = felt_of.diagonal(dim1=1, dim2=2).movedim(-1, 1)
        found = particles.strength * (felt_of.sum(dim=2) - own) / max(1, here.shape[1] - 1)
    return found.reshape(seeds, paths, -1)


class AveragedFlow:
    """The flow that agents respond to; the `memory` of a training.

    Parameters
    ----------
    field: path of the field at the beginning, [seed, node, channel]; None where it is not averaged.
    signals: at the beginning, [seed, signal].
    every: training steps from one flow to the next. weight: of the newest one; None for the default of `averaging`.
    patience: training steps before the first flow enters.
    """

    def __init__(
        self, field: torch.Tensor | None, signals: torch.Tensor, *, every: int, weight: float | None, patience: int
    ) -> None:
        self.average, self.every, self.patience = Averaged(weight), every, patience
        self.average.values = {} if field is None else {"field": field}
        if signals.numel():
            self.average.values["signals"] = signals
        self._none = signals[:, :0]
        self._new = {name: torch.zeros_like(value) for name, value in self.average.values.items()}

    @property
    def signals(self) -> torch.Tensor:
        """What agents take the signals to be, [seed, signal]."""
        return self.average.values.get("signals", self._none)

    @property
    def field(self) -> torch.Tensor | None:
        """What they take the path of the field to be, [seed, node, channel]; None where it is not averaged."""
        return self.average.values.get("field")

    def add(self, step: int, field: torch.Tensor, signals: torch.Tensor) -> None:
        """The flow of a training step: field [seed, node, channel], signals [seed, signal]."""
        if step < self.patience or not self._new:
            return
        made = {"signals": signals, "field": field}
        self._new = {name: total + made[name].detach() / self.every for name, total in self._new.items()}
        if (step + 1 - self.patience) % self.every == 0:
            self.average.add(self._new)
            self._new = {name: torch.zeros_like(total) for name, total in self._new.items()}

    def pack(self) -> dict[str, torch.Tensor]:
        return self.average.pack() | {f"new {name}": total.cpu() for name, total in self._new.items()}

    def unpack(self, tensors: Mapping[str, torch.Tensor]) -> None:
        device = self._none.device
        self.average.unpack(tensors)
        self.average.values = {name: value.to(device) for name, value in self.average.values.items()}
        self._new = {name: tensors[f"new {name}"].to(device) for name in self._new}
