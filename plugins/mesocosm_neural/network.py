"""Several small networks at once: every weight has a leading axis of seeds, and no number passes between seeds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch

LAST_LAYER = 0.01


class Networks:
    """tanh networks from (shares, time) to the log factors of the rates, and one log factor per transition for the noises.

    Nearly zero before training, so that the unlearned model is the game. `layers` holds, for each layer, a matrix
    [seed, in, out] and a bias [seed, 1, out]; `log_noise` is [seed, 1, transition]. Paths are sorted by seed: path p belongs
    to seed p // (paths / seeds). One generator per seed makes a network independent of how many there are.
    """

    def __init__(
        self,
        widths: Sequence[int],
        generators: Sequence[torch.Generator],
        *,
        horizon: float,
        inputs: Sequence[str],
        learn_noise: bool,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.seeds, self.inputs, self.horizon, self.learn_noise = len(generators), tuple(inputs), horizon, learn_noise
        self.layers: list[torch.Tensor] = []
        for layer, (before, after) in enumerate(itertools.pairwise(widths)):
            bound = (LAST_LAYER if layer == len(widths) - 2 else 1.0) / math.sqrt(before)
            uniform = [torch.rand(before + 1, after, generator=each, dtype=torch.float64) for each in generators]
            values = ((2.0 * torch.stack(uniform) - 1.0) * bound).to(device=device, dtype=dtype)
            self.layers += [part.contiguous().requires_grad_() for part in (values[:, :-1], values[:, -1:])]
        self.log_noise = torch.zeros_like(self.layers[-1], requires_grad=learn_noise)

    @property
    def weights(self) -> list[torch.Tensor]:
        """Everything that is trained."""
        return [*self.layers, self.log_noise] if self.learn_noise else self.layers

    def __call__(self, time: float, shares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Factors of the rates and of the noises, both [path, transition]."""
        paths = shares.shape[0]
        times = torch.full_like(shares[:, :1], time) if "time" in self.inputs else shares
        logs = torch.baddbmm(self.layers[-1], self._hidden(times, shares), self.layers[-2])
        noises = self.log_noise.exp().expand(-1, paths // self.seeds, -1)
        return logs.exp().view(paths, -1), noises.reshape(paths, -1)

    def variation(self, times: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        """Mean square of the part of the log rates that is not constant: [path, 1] and [path, state] to [seed]."""
        return (self._hidden(times, shares) @ self.layers[-2]).pow(2).mean(dim=(1, 2))

    def _hidden(self, times: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        if self.inputs == ("occupancy",):
            values = shares
        else:
            columns = {"occupancy": shares, "time": times / self.horizon}
            values = torch.cat([columns[name] for name in self.inputs], dim=-1)
        values = values.view(self.seeds, -1, values.shape[-1])
        for matrix, bias in zip(self.layers[:-2:2], self.layers[1:-2:2], strict=True):
            values = torch.baddbmm(bias, values, matrix).tanh()
        return values
