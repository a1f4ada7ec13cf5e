"""A diffusion game as particles on a torch device: where they start, what they feel, what the sides of the box do.

Places are [seed, path, axis], one population of particles for each seed. The field is that of the homogeneous mean field,
an average over the particles of a seed; for the interactions `pairwise` and `density` it is an average for every particle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mesocosm import DiffusionGame, InputError, Problem


@dataclass(frozen=True, eq=False)
class Particles:
    """A game, the contact strength of an agent (1 for averages and on a complete graph), and where to compute."""

    game: DiffusionGame
    strength: float
    device: torch.device
    dtype: torch.dtype

    @classmethod
    def of(cls, problem: Problem, game: DiffusionGame, device: torch.device, dtype: torch.dtype) -> Particles:
        """The particles of a problem."""
        if game.interaction == "density" and not game.bandwidth > 0:
            raise InputError(
                f"a density of width {game.bandwidth:g} for particles",
                where=f"game {type(game).__name__}",
                rule="finitely many particles have a density only over a positive width",
                hint="set the game's bandwidth",
            )
        strength = 1.0 if game.normalise == "mean" else float(problem.graph.strengths.mean())
        return cls(game, strength, device, dtype)

    def start(self, random: np.random.Generator, seeds: int, paths: int) -> torch.Tensor:
        """Places at time 0, [seed, path, axis]."""
        drawn = np.asarray(self.game.start.sample(random, seeds * paths), np.float64)
        return torch.from_numpy(drawn).to(device=self.device, dtype=self.dtype).view(seeds, paths, -1)

    def field(
        self, t: float, places: torch.Tensor, control: torch.Tensor, inside: torch.Tensor | None = None
    ) -> torch.Tensor:
        """What every particle feels, [seed, path, channel]; `inside` [seed, path] are weights, 0 for who has left."""
        shape = (*places.shape[:-1], len(self.game.channels))
        if self.game.interaction == "emission":
            emitted = self.game.emission(t, places, control)
            weighted = emitted if inside is None else emitted * inside[..., None]
            return (self.strength * weighted.mean(dim=1, keepdim=True)).expand(shape)
        felt = self.game.influence(t, places[:, :, None], places[:, None])
        weighted = felt if inside is None else felt * inside[:, None, :, None]
        count = places.shape[1]
        own = weighted.diagonal(dim1=1, dim2=2).movedim(-1, 1)
        return self.strength * (weighted.sum(dim=2) - own) / max(1, count - 1)

    def contain(self, places: torch.Tensor) -> torch.Tensor:
        """Places after reflection and turns at the sides of the box; open and absorbing sides change nothing."""
        columns = []
        for column, axis in zip(places.unbind(dim=-1), self.game.axes, strict=True):
            moved = column
            if axis.is_periodic:
                moved = axis.low + torch.remainder(moved - axis.low, axis.length)
            if axis.lower == "reflecting":
                moved = axis.low + (moved - axis.low).abs()
            if axis.upper == "reflecting":
                moved = axis.high - (axis.high - moved).abs()
            columns.append(moved)
        return torch.stack(columns, dim=-1)
