"""The learned factors of rates and noises of a population in finite states, as networks of its shares, time and covariates."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mesocosm_neural.learn.law import Time
from mesocosm_neural.perceptron import Perceptrons


class Correction(Perceptrons):
    """Networks from (shares, time, covariates) to the log factors of the rates; one log factor per transition for the noises.

    Nearly zero before training, so that the unlearned model is the game. `log_noise` is [seed, 1, transition]. Paths are
    sorted by seed: path p belongs to seed p // (paths / seeds).
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
        super().__init__(widths, generators, device, dtype)
        self.inputs, self.horizon, self.learn_noise = tuple(inputs), horizon, learn_noise
        self.log_noise = torch.zeros_like(self.layers[-1], requires_grad=learn_noise)

    @property
    def weights(self) -> list[torch.Tensor]:
        """Everything that is trained."""
        return [*self.layers, self.log_noise] if self.learn_noise else self.layers

    def factors(
        self, time: Time, shares: torch.Tensor, covariates: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Factors of the rates and of the noises, both [path, transition]; `covariates` are [path, name]."""
        paths = shares.shape[0]
        times = time if isinstance(time, torch.Tensor) else torch.full_like(shares[:, :1], time)
        noises = self.log_noise.exp().expand(-1, paths // self.seeds, -1)
        return self(self._seen(times, shares, covariates)).exp().view(paths, -1), noises.reshape(paths, -1)

    def variation(
        self, times: torch.Tensor, shares: torch.Tensor, covariates: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Mean square of the part of the log rates that is not constant: [path, 1] and [path, state] to [seed]."""
        return (self.hidden(self._seen(times, shares, covariates)) @ self.layers[-2]).pow(2).mean(dim=(1, 2))

    def _seen(self, times: torch.Tensor, shares: torch.Tensor, covariates: torch.Tensor | None) -> torch.Tensor:
        columns = {"occupancy": shares, "time": times / self.horizon}
        values = [columns[name] for name in self.inputs]
        if covariates is not None:
            values.append(covariates)
        joined = values[0] if len(values) == 1 else torch.cat(values, dim=-1)
        return joined.reshape(self.seeds, -1, joined.shape[-1])
