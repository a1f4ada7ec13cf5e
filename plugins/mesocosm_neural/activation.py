"""tanh of large arrays on a CPU, where torch's own costs ten times as much as its sigmoid.

tanh x = 2 sigmoid(2 x) - 1, computed in place, with the derivative 1 - tanh^2. It differs from `torch.tanh` by rounding alone,
a few units in the last place of 1. Small arrays, where a call costs more than it saves, and other devices take `torch.tanh`.
"""

from __future__ import annotations

from typing import Any

import torch

LARGE = 2**14
"""Values of one network, rows x units, from which the sigmoid is worth its call."""


def tanh(values: torch.Tensor) -> torch.Tensor:
    """Hyperbolic tangent of [seed, row, unit], with derivatives of all orders."""
    if values.is_cpu and values.shape[-1] * values.shape[-2] >= LARGE:
        result: torch.Tensor = _Tanh.apply(values)
        return result
    return values.tanh()


class _Tanh(torch.autograd.Function):  # type: ignore[misc]
    generate_vmap_rule = True

    @staticmethod
    def forward(values: torch.Tensor) -> torch.Tensor:
        return torch.add(values, values).sigmoid_().mul_(2.0).sub_(1.0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (output,) = ctx.saved_tensors
        result: torch.Tensor = torch.ops.aten.tanh_backward(gradients[0], output)
        return result
