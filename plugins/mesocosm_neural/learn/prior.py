"""What a network prefers before it has seen anything: constant factors, the game with other rates."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mesocosm_neural.learn.correction import Correction
from mesocosm_neural.learn.covariates import SeenCovariates
from mesocosm_neural.learn.windows import Member


class Prior:
    """Strength of each member times the mean square of the part of its log rates that is not constant.

    The mean is over the whole simplex, the whole run, and the covariates that the member may see, so that it also holds the
    network where nothing was observed.
    """

    def __init__(
        self,
        networks: Correction,
        members: Sequence[Member],
        batch: int,
        strength: Sequence[float],
        seen: SeenCovariates | None,
        like: torch.Tensor,
    ) -> None:
        self.networks, self.batch, self.like = networks, batch, like
        self.strength = torch.tensor(list(strength)).to(like)
        self.covariates = None if seen is None else self._rows(seen, members)

    def __call__(self, generator: torch.Generator) -> torch.Tensor:
        """Of every member at random places, [member]."""
        networks = self.networks
        count, states = networks.seeds * self.batch, len(self.like)
        drawn = torch.rand(count, states + 2, generator=generator, dtype=torch.float64)
        exponential = -torch.log1p(-drawn[:, 1:-1])
        times, shares = drawn[:, :1] * networks.horizon, exponential / exponential.sum(dim=-1, keepdim=True)
        covariates = None
        if self.covariates is not None:
            places = drawn[:, -1].view(networks.seeds, self.batch)
            chosen = [
                rows[(place * len(rows)).long().to(rows.device)]
                for rows, place in zip(self.covariates, places, strict=True)
            ]
            covariates = torch.cat(chosen)
        return self.strength * networks.variation(times.to(self.like), shares.to(self.like), covariates)

    @staticmethod
    def _rows(seen: SeenCovariates, members: Sequence[Member]) -> list[torch.Tensor]:
        """Covariates that each member may see, one row for each series and save, [row, name]."""
        table = seen(tuple(member.until for member in members))
        return [
            each[list(member.series), : member.until + 1].flatten(0, 1)
            for each, member in zip(table, members, strict=True)
        ]
