"""Policy networks: from what an agent sees to what it does, within the range of its control.

    a = P(neutral + scale * network(features)),      P the projection onto [minimum, maximum]

P reaches both ends exactly. Its derivative is that of a projected gradient method (Bertsekas 1976, IEEE Trans. Automat.
Control 21, 174): outside the range a gradient passes where a step against it leads back towards the range, and is 0 where it
would lead further out. So no control is lost beyond an end, as it would be by clipping, and none creeps towards an end
without ever getting there, as it would by a sigmoid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from mesocosm import Control
from mesocosm_neural.perceptron import Perceptrons


class PolicyNetwork(Perceptrons):
    """One policy for each seed; before training all of them play almost the neutral control.

    Parameters
    ----------
    control: its range, and what neutral is.
    widths: of the layers: features, hidden ones, and one output for each number that is chosen.
    scale: what an output of 1 adds to the neutral control. Default: half the range; give less where the range is only there
        to be finite.
    """

    def __init__(
        self,
        control: Control,
        widths: Sequence[int],
        generators: Sequence[torch.Generator],
        device: torch.device,
        dtype: torch.dtype,
        scale: float | None = None,
    ) -> None:
        super().__init__(widths, generators, device, dtype)
        self.range = control
        self.scale = 0.5 * (control.maximum - control.minimum) if scale is None else scale

    def controls(self, features: torch.Tensor) -> torch.Tensor:
        """What is chosen: [seed, row, feature] to [seed, row, output], within the range."""
        return within(self.range.neutral + self.scale * self(features), self.range.minimum, self.range.maximum)


def within(values: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """P, entry by entry: values in [low, high], with the derivative of a projected gradient method; any shape."""
    result: torch.Tensor = _Projection.apply(values, low, high)
    return result


class _Projection(torch.autograd.Function):  # type: ignore[misc]
    """See the module docstring."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, low: float, high: float) -> torch.Tensor:
        ctx.save_for_backward(values >= high, values <= low)
        return values.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        at_high, at_low = ctx.saved_tensors
        (gradient,) = gradients
        leads_out = (at_high & (gradient < 0)) | (at_low & (gradient > 0))
        return gradient.masked_fill(leads_out, 0.0), None, None


def time_features(times: torch.Tensor, horizon: float, frequencies: int) -> torch.Tensor:
    """What a network sees of the time, [row] to [row, 1 + frequencies]: 2 t/T - 1, and cos(k pi t/T) for k = 1, 2, ...

    Cosines of half periods are complete on [0, T] and force nothing at its ends.
    """
    share = times / horizon
    orders = torch.arange(1, frequencies + 1, device=times.device, dtype=times.dtype)
    return torch.cat([2.0 * share[..., None] - 1.0, torch.cos(math.pi * orders * share[..., None])], dim=-1)


def scaled(values: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Values from [low, high] to [-1, 1], entry by entry; where both ends are equal, the distance from them."""
    half = 0.5 * (high - low)
    return (values - 0.5 * (low + high)) / torch.where(half > 0, half, torch.ones_like(half))


SMALL_FIELD = 0.01
"""Share of its range below which a field is told apart by its size, above it by its logarithm."""


def field_features(field: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """What a network sees of a field, [..., channel] to [..., 2 channel]: on its scale, and on a logarithmic one.

    The second is asinh(z / s) with s a hundredth of the range: a field that grows from little, as an epidemic does, tells the
    future by its logarithm. Both map [low, high] to [-1, 1].
    """
    small = (SMALL_FIELD * (high - low)).clamp(min=torch.finfo(field.dtype).tiny)
    logarithms = (torch.asinh(each / small) for each in (field, low, high))
    return torch.cat([scaled(field, low, high), scaled(*logarithms)], dim=-1)
