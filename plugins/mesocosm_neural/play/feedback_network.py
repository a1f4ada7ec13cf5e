"""The policy network of a diffusion game: a linear feedback whose coefficients depend on time, and a correction to it.

    a(t, y) = P(neutral + scale [c(t) + B(t) y + network(t, y)])

y are places, relative to their mean and spread (sine and cosine of a periodic axis), boundary layers of three widths
at each absorbing side, where costs change over a distance of sigma^2 / speed, and, where the policy sees the field,
the field; for a game that moves with the mean of contacts, places are taken relative to that mean, and the field
itself is left out. c and B are linear in the features of time. A linear-quadratic game has no more than c and B; the
network is for the rest. P is the projection of `policy_network`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from mesocosm import Control, DiffusionGame
from mesocosm_neural.activation import tanh
from mesocosm_neural.perceptron import Perceptrons
from mesocosm_neural.play.exits import Side, sides_of
from mesocosm_neural.play.policy_network import time_features, within

LAYERS = (1, 2, 3)
"""Orders k of the boundary layers exp(-2^k distance / spread) that are seen at an absorbing side."""


@dataclass(frozen=True, eq=False)
class Sight:
    """What a policy sees, and the scales that make it a number near 1.

    Attributes
    ----------
    places, spread: mean and standard deviation of places, [axis]. field, range: the same of the field, [channel].
    """

    game: DiffusionGame
    sees: tuple[str, ...]
    places: torch.Tensor
    spread: torch.Tensor
    field: torch.Tensor
    range: torch.Tensor

    @property
    def moved(self) -> int | None:
        """The channel that places are taken relative to; None where they are not."""
        name = self.game.moves_with if {"state", "field"} <= set(self.sees) else None
        return None if name is None else self.game.channels.index(name)

    @cached_property
    def sides(self) -> tuple[Side, ...]:
        """Absorbing sides that are seen."""
        return sides_of(self.game) if "state" in self.sees else ()

    def __call__(self, places: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
        """Features [..., feature] of places [..., axis] and field [..., channel]."""
        columns: list[torch.Tensor] = []
        for number, axis in enumerate(self.game.axes if "state" in self.sees else ()):
            column = places[..., number]
            if axis.is_periodic:
                angle = 2.0 * math.pi * (column - axis.low) / axis.length
                columns += [angle.sin(), angle.cos()]
            elif self.moved is not None:
                columns.append((column - field[..., self.moved]) / self.spread[number])
            else:
                columns.append((column - self.places[number]) / self.spread[number])
        for side in self.sides:
            near = side.distance(places).clamp(min=0.0) / self.spread[side.axis]
            columns += [torch.exp(-(2.0**order) * near) for order in LAYERS]
        if "field" in self.sees and self.moved is None:
            columns += ((field - self.field) / self.range).unbind(dim=-1)
        return torch.stack(columns, dim=-1) if columns else places[..., :0]

    @property
    def count(self) -> int:
        """Number of features."""
        states = sum(2 if axis.is_periodic else 1 for axis in self.game.axes) if "state" in self.sees else 0
        return (
            states
            + len(self.sides) * len(LAYERS)
            + (len(self.game.channels) if "field" in self.sees and self.moved is None else 0)
        )


Choose = Callable[[float, torch.Tensor, torch.Tensor], torch.Tensor]
"""(t, places [seed, path, axis], field [seed, path, channel]) -> controls [seed, path, axis]."""


class FeedbackNetwork:
    """Policies of all seeds; before training they are near neutral.

    Parameters
    ----------
    sight: what they see. control: the range. generators: one for each seed.
    hidden: widths of the hidden layers. frequencies: cosines of time. scale: what an output of 1 adds to the neutral control.
    """

    def __init__(
        self,
        sight: Sight,
        control: Control,
        generators: Sequence[torch.Generator],
        *,
        hidden: Sequence[int],
        horizon: float,
        frequencies: int,
        scale: float,
    ) -> None:
        self.sight, self.control, self.horizon, self.scale = sight, control, horizon, scale
        self.frequencies = frequencies if "time" in sight.sees else -1
        axes, device, dtype = len(sight.game.axes), sight.places.device, sight.places.dtype
        times = 1 + self.frequencies
        self.linear = Perceptrons((max(1, times), axes * (1 + sight.count)), generators, device, dtype)
        self.correction = Perceptrons((times + sight.count, *hidden, axes), generators, device, dtype)

    @property
    def weights(self) -> list[torch.Tensor]:
        """All that is trained."""
        return [*self.linear.layers, *self.correction.layers]

    def frozen(self) -> FeedbackNetwork:
        """The same policies with the same weights, which no gradient reaches."""
        fixed = copy.copy(self)
        fixed.linear, fixed.correction = self.linear.frozen(), self.correction.frozen()
        return fixed

    def over(self, times: Sequence[float]) -> Choose:
        """The policy at these times alone; what depends on the time is computed once for all of them."""
        axes, count = len(self.sight.game.axes), self.sight.count
        moments = self._moments(times)
        feedback = self.linear(moments if moments.shape[-1] else torch.ones_like(moments[..., :1]))
        constant, slopes = feedback.split([axes, axes * count], dim=-1)
        first, bias, *later = self.correction.layers
        entry = torch.baddbmm(bias, moments, first[:, : moments.shape[-1]])
        slopes = slopes.unflatten(-1, (count, axes))
        number = {t: k for k, t in enumerate(times)}
        low, high = self.control.minimum, self.control.maximum

        def choose(t: float, places: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
            k = number[t]
            seen = self.sight(places, field)
            bent = torch.baddbmm(entry[:, k, None], seen, first[:, moments.shape[-1] :])
            for matrix, shift in zip(later[::2], later[1::2], strict=True):
                bent = torch.baddbmm(shift, tanh(bent), matrix)
            steered = torch.baddbmm(constant[:, k, None], seen, slopes[:, k])
            return within(self.control.neutral + self.scale * (steered + bent), low, high)

        return choose

    def _moments(self, times: Sequence[float]) -> torch.Tensor:
        """Features of times, [seed, time, feature]."""
        like, seeds = self.sight.places, len(self.weights[0])
        if self.frequencies < 0:
            return like.new_zeros(seeds, len(times), 0)
        found = time_features(like.new_tensor(times), self.horizon, self.frequencies)
        return found.expand(seeds, -1, -1)
