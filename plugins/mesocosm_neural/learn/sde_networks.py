"""The learned drift f and noise g of agents or series, as networks of place, time and field.

    drift   keep     b + c f                      noise   keep     sigma
            replace  c f                                  replace  s exp(g)
            rescale  b exp(f)                             rescale  sigma exp(g)
                                                          add      sqrt(sigma^2 + s^2 exp(2 g)): two independent noises

with b and sigma those of the game, and with units c and s read off the data (`units`), so that f and g are about 1. Both are
near zero before training. A noise that is zero in the game stays zero under `rescale`. Beside its layers, f has a linear part
in what it sees: beyond the data a tanh network is flat, and a flat drift holds nobody together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from mesocosm_neural.learn.options import LearnOptions
from mesocosm_neural.learn.sde_units import Units
from mesocosm_neural.options import NeuralSDEOptions
from mesocosm_neural.perceptron import Perceptrons

Covariates = Callable[[float], torch.Tensor]
"""time -> covariates, standardised, [covariate]."""


class DriftAndNoise(Perceptrons):
    """Networks of all seeds. Each sees what `learn.sees` names, the covariates, and where `has_origin`, the place at the
    last save. Shapes: places [seed, path, dimension], drift and noise [seed, path, column]."""

    def __init__(
        self,
        options: NeuralSDEOptions,
        learn: LearnOptions,
        units: Units,
        generators: Sequence[torch.Generator],
        *,
        covariates: Covariates | None = None,
        has_origin: bool = False,
    ) -> None:
        self.learn, self.units, self.covariates, self.has_origin = learn, units, covariates, has_origin
        dimensions, columns = len(units.centre), len(units.drift)
        sizes = {"state": dimensions, "time": 1, "field": len(units.field_centre)}
        self.size = sum(sizes[name] for name in learn.sees) + (dimensions if has_origin else 0)
        self.size += 0 if covariates is None else len(covariates(0.0))
        ends = max(1, self.size), columns * (1 if learn.diffusion == "keep" else 2)
        widths = (ends[0], *([options.width] * options.depth), ends[1])
        super().__init__(widths, generators, units.drift.device, units.drift.dtype)
        self.slope = units.drift.new_zeros(self.seeds, widths[0], columns, requires_grad=True)

    @property
    def weights(self) -> list[torch.Tensor]:
        """Everything that is trained."""
        return [*self.layers, self.slope]

    def terms(
        self,
        time: float,
        seen: torch.Tensor,
        origin: torch.Tensor | None,
        game: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Drift and noise from those of the game, `game` = (drift, noise, field)."""
        drift, noise, field = game
        features = self.features(time, seen, origin, field)
        output, columns, units = self(features), len(self.units.drift), self.units
        first, second = output[..., :columns] + features @ self.slope, output[..., columns:]
        if self.learn.drift == "rescale":
            drift = drift * first.exp()
        else:
            drift = units.drift * first + (drift if self.learn.drift == "keep" else 0.0)
        if self.learn.diffusion == "replace":
            noise = units.noise * second.exp()
        elif self.learn.diffusion == "rescale":
            noise = noise * second.exp()
        elif self.learn.diffusion == "add":
            noise = (noise.square() + (units.noise * second.exp()).square()).sqrt()
        return drift, noise

    def features(
        self, time: float, seen: torch.Tensor, origin: torch.Tensor | None, field: torch.Tensor
    ) -> torch.Tensor:
        """What the networks look at, each number about 1: [seed, path, feature]."""
        units, learn = self.units, self.learn
        columns = {
            "state": (seen - units.centre) / units.spread,
            "time": torch.full_like(seen[..., :1], time / units.horizon),
            "field": (field - units.field_centre) / units.field_spread,
        }
        parts = [columns[name] for name in learn.sees]
        if origin is not None:
            parts.append((origin - units.centre) / units.spread)
        if self.covariates is not None:
            now = self.covariates(time).to(seen)
            parts.append(now.expand(*seen.shape[:-1], -1))
        return torch.cat(parts, dim=-1)

    def variation(self, features: torch.Tensor) -> torch.Tensor:
        """Mean square of the part of the log factors (the noise's, and a rescaled drift's) that is not constant: [seed]."""
        columns = len(self.units.drift)
        matrix = self.layers[-2] if self.learn.drift == "rescale" else self.layers[-2][..., columns:]
        if not matrix.shape[-1]:
            return matrix.new_zeros(self.seeds)
        return (self.hidden(features) @ matrix).pow(2).mean(dim=(1, 2))
