"""Several small networks at once: every weight has a leading axis of seeds, and no number passes between seeds."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Sequence
from typing import Self

import torch

from mesocosm_neural.activation import tanh

LAST_LAYER = 0.01
"""How much smaller than others the weights of the last layer are before training, so that a network starts near zero."""


class Perceptrons:
    """tanh networks, `layers` of them: for each layer a matrix [seed, in, out] and a bias [seed, 1, out].

    One generator per seed makes a network independent of how many there are.
    """

    def __init__(
        self,
        widths: Sequence[int],
        generators: Sequence[torch.Generator],
        device: torch.device,
        dtype: torch.dtype,
        last: float = LAST_LAYER,
    ) -> None:
        self.seeds = len(generators)
        self.layers: list[torch.Tensor] = []
        for layer, (before, after) in enumerate(itertools.pairwise(widths)):
            bound = (last if layer == len(widths) - 2 else 1.0) / math.sqrt(before)
            uniform = [torch.rand(before + 1, after, generator=each, dtype=torch.float64) for each in generators]
            values = ((2.0 * torch.stack(uniform) - 1.0) * bound).to(device=device, dtype=dtype)
            self.layers += [part.contiguous().requires_grad_() for part in (values[:, :-1], values[:, -1:])]

    def frozen(self) -> Self:
        """The same networks with the same weights, which no gradient reaches."""
        fixed = copy.copy(self)
        fixed.layers = [layer.detach() for layer in self.layers]
        return fixed

    def hidden(self, inputs: torch.Tensor) -> torch.Tensor:
        """The last hidden layer: [seed, row, in] to [seed, row, width]."""
        for matrix, bias in zip(self.layers[:-2:2], self.layers[1:-2:2], strict=True):
            inputs = tanh(torch.baddbmm(bias, inputs, matrix))
        return inputs

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """The networks: [seed, row, in] to [seed, row, out]."""
        return torch.baddbmm(self.layers[-1], self.hidden(inputs), self.layers[-2])
