"""What an SDE of agents or series is learned on: its law, its samples, where paths start, and how both are compared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import Clock, Interval
from mesocosm_neural.learn.samples import Samples
from mesocosm_neural.learn.sde_law import SDELaw
from mesocosm_neural.learn.sde_networks import DriftAndNoise
from mesocosm_neural.learn.sde_units import scale_within, tensor_of
from mesocosm_neural.losses import Distance, distance
from mesocosm_neural.options import NeuralSDEOptions
from mesocosm_neural.tape import NoiseTape

DATA_AT_ONCE = 512
"""Rows, drawn anew in every training step, that paths are compared with."""


@dataclass(frozen=True, eq=False)
class Start:
    """Where paths start: places [n, column] to draw from."""

    places: torch.Tensor

    def draw(self, seeds: int, paths: int, generator: torch.Generator) -> torch.Tensor:
        """[seed, path, column]."""
        rows = torch.randint(len(self.places), (seeds * paths,), generator=generator)
        return self.places[rows.to(self.places.device)].view(seeds, paths, -1)


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be learned: the law with its networks, what was observed, where paths start, the clock, the options."""

    law: SDELaw
    samples: Samples
    start: Start
    clock: Clock
    options: NeuralSDEOptions

    @property
    def networks(self) -> DriftAndNoise:
        """The networks of the law."""
        assert self.law.networks is not None
        return self.law.networks

    @cached_property
    def distance(self) -> Distance:
        """The loss that the options name."""
        return distance(self.options.loss)

    @cached_property
    def data(self) -> torch.Tensor:
        """What was observed, where distances are taken: [time, row, dimension], 0 where nothing was."""
        values = tensor_of(np.nan_to_num(self.samples.values), self.start.places)
        return self.law.space.compared(values)

    @cached_property
    def scale(self) -> torch.Tensor:
        """Standard deviation of the data within a save, [dimension]."""
        return scale_within(self.law.space, self.samples, self.start.places)

    def gap(self, ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
        """The distance of paths [..., member, dimension] and data [..., row, dimension]: [...].

        Columns whose joint law is not known are compared one by one, and their distances added up.
        """
        together = [slice(0, len(self.scale))] if self.samples.joint else self.law.space.dimensions()
        parts = [self.distance(ours[..., at] / self.scale[at], theirs[..., at] / self.scale[at]) for at in together]
        return torch.stack(parts).sum(dim=0)

    def paths(self, places: torch.Tensor, first: int, last: int, generator: torch.Generator) -> torch.Tensor:
        """Paths at the saves from `first` to `last`, where distances are taken: [save, seed, path, dimension]."""
        saved = [places]
        for interval in list(self.clock.intervals())[first:last]:
            saved.append(advance(self.law, saved[-1], interval, generator))
        return self.law.space.compared(self.law.space.values(torch.stack(saved)))


def advance(law: SDELaw, places: torch.Tensor, interval: Interval, generator: torch.Generator) -> torch.Tensor:
    """Places after one save interval."""
    count = law.count(interval.start, interval.stop)
    rows, columns = places.shape[0] * places.shape[1], places.shape[2]
    tape = NoiseTape.drawn(generator, count, rows, columns, places, areas=law.solver == "srk")
    return law.advance(places, interval.start, interval.stop, tape)


def some(rows: NDArray[np.int64], generator: torch.Generator) -> NDArray[np.int64]:
    """At most `DATA_AT_ONCE` of some rows, without order."""
    return np.asarray(rows[torch.randperm(len(rows), generator=generator)[:DATA_AT_ONCE].numpy()])
