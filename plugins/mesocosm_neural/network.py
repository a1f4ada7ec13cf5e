"""Several small networks at once: every weight has a leading axis of seeds, and no number passes between seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

LARGEST_LOG = 3.0
"""Learned factors stay within exp(-3) and exp(3), so that a network far from its data cannot blow up a path."""

LAST_LAYER = 0.01


class Networks:
    """tanh networks from (shares, time) to log factors of rates and of noises; nearly zero before training.

    `weights` holds, for each layer, a matrix [seed, in, out] and a bias [seed, 1, out]. Paths are sorted by seed: path
    p belongs to seed p // (paths / seeds). One generator per seed makes a network independent of how many there are.
    """

    def __init__(
        self,
        widths: Sequence[int],
        generators: Sequence[torch.Generator],
        *,
        horizon: float,
        inputs: Sequence[str],
        transitions: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.seeds, self.inputs, self.horizon, self.transitions = len(generators), tuple(inputs), horizon, transitions
        self.weights: list[torch.Tensor] = []
        last = len(widths) - 2
        for layer, (before, after) in enumerate(zip(widths, widths[1:], strict=False)):
            bound = 1.0 / math.sqrt(before)
            uniform = [
                2.0 * torch.rand(before + 1, after, generator=each, dtype=torch.float64) - 1.0 for each in generators
            ]
            values = torch.stack(uniform) * bound * (LAST_LAYER if layer == last else 1.0)
            for part in (values[:, :-1], values[:, -1:]):
                self.weights.append(part.to(device=device, dtype=dtype).contiguous().requires_grad_())

    def __call__(self, time: float, shares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Log factors of the rates and of the noises, both [path, transition]; the latter is 0 where it is not learned."""
        hidden = self._hidden(torch.full_like(shares[:, :1], time), shares)
        values = torch.baddbmm(self.weights[-1], hidden, self.weights[-2]).view(shares.shape[0], -1)
        logs = LARGEST_LOG * (values / LARGEST_LOG).tanh()
        if logs.shape[-1] == self.transitions:
            return logs, logs.new_zeros(())
        return logs[:, : self.transitions], logs[:, self.transitions :]

    def variation(self, times: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        """Mean square of the part of the log factors that is not constant: [path, 1] and [path, state] to [seed]."""
        return (self._hidden(times, shares) @ self.weights[-2]).pow(2).mean(dim=(1, 2))

    def _hidden(self, times: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        columns = {"occupancy": shares, "time": times / self.horizon}
        values = torch.cat([columns[name] for name in self.inputs], dim=-1)
        values = values.view(self.seeds, -1, values.shape[-1])
        for matrix, bias in zip(self.weights[:-2:2], self.weights[1:-2:2], strict=True):
            values = torch.baddbmm(bias, values, matrix).tanh()
        return values
