"""Training on a population in finite states: simulate, score against the data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import Clock, substeps
from mesocosm_neural.correction import Correction
from mesocosm_neural.law import Factors, GameLaw, Span
from mesocosm_neural.scores import EnergyLoss
from mesocosm_neural.trainer import one_thread


def noise(generator: torch.Generator, steps: int, like: torch.Tensor, transitions: int) -> torch.Tensor:
    """Standard normals [step, path, transition], drawn on the CPU so that every device sees the same ones."""
    drawn = torch.randn(steps, like.shape[0], transitions, generator=generator, dtype=torch.float64)
    return drawn.to(device=like.device, dtype=like.dtype)


class Objective:
    """The loss of a training step.

    Parameters
    ----------
    spans: the save intervals from 0 to the last save of the window, cut into steps.
    saves: numbers of the saves that the loss sees.
    initial: shares at time 0 to choose from, [row, state].
    batch: paths of each seed.
    """

    def __init__(
        self,
        law: GameLaw,
        correction: Correction,
        loss: EnergyLoss,
        spans: Sequence[Span],
        saves: NDArray[np.int64],
        initial: torch.Tensor,
        batch: int,
        regularisation: float,
    ) -> None:
        self.law, self.correction, self.loss, self.spans = law, correction, loss, spans
        self.saves, self.initial = torch.from_numpy(saves - 1).to(initial.device), initial
        self.batch, self.regularisation = batch, regularisation

    def __call__(self, step: int, generator: torch.Generator) -> torch.Tensor:
        """The loss of every seed, [seed]."""
        losses = self.loss(self._paths(generator))
        if self.regularisation > 0:
            losses = losses + self.regularisation / self.loss.data.shape[0] * self._variation(generator)
        return losses

    def _paths(self, generator: torch.Generator) -> torch.Tensor:
        """Paths over the window at the observed saves: [seed, path, time, state]."""
        count, batch = self.correction.seeds, self.batch
        rows = torch.randint(len(self.initial), (count * batch,), generator=generator)
        shares = self.initial[rows.to(self.initial.device)]
        saved = []
        for span in self.spans:
            increments = noise(generator, span.count, shares, len(self.law.sources))
            shares = self.law.advance(self.correction.factors, shares, span, increments)
            saved.append(shares)
        paths = torch.stack(saved, dim=1)[:, self.saves]
        return paths.view(count, batch, *paths.shape[1:])

    def _variation(self, generator: torch.Generator) -> torch.Tensor:
        """How far the networks are from constant factors, on average over the whole simplex and run: [seed]."""
        count, states = self.correction.seeds * self.batch, self.initial.shape[1]
        drawn = torch.rand(count, states + 1, generator=generator, dtype=torch.float64)
        exponential = -torch.log1p(-drawn[:, 1:])
        times, shares = drawn[:, :1] * self.correction.horizon, exponential / exponential.sum(dim=-1, keepdim=True)
        return self.correction.variation(times.to(self.initial), shares.to(self.initial))


def simulate(law: GameLaw, factors: Factors, shares: torch.Tensor, span: Span, seed: int) -> torch.Tensor:
    """Shares after one save interval, without gradients: [path, state]; the noise depends on `seed` alone."""
    with torch.no_grad(), one_thread():
        increments = noise(torch.Generator().manual_seed(seed), span.count, shares, len(law.sources))
        return law.advance(factors, shares, span, increments)


def spans(clock: Clock, step: float, saves: int) -> list[Span]:
    """The first `saves` save intervals, cut into equal steps of at most `step`."""
    result = []
    for interval in list(clock.intervals())[:saves]:
        count, length = substeps(interval.start, interval.stop, step)
        result.append(Span(interval.start, length, count))
    return result
