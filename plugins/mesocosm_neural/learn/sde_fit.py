"""Training an SDE of agents or series on samples: simulate, and compare distributions with those of the data.

Two ways, both in units of the data's standard deviation within a save:

    from time 0   `Whole`: the mean over saves of the distance between paths and data; and, where rows are followed, the mean
                  over pairs of consecutive saves of the distance between the laws of (value, increment to the next save)
    in windows    `Windows`, multiple shooting: from what was observed at a save, over the next saves. Where rows are followed,
                  each row is scored by an ensemble of paths from its own place, so that the law given the place is learned;
                  else all rows together, as from time 0

What identifies what: distributions at single saves decide the flow of probability, drift minus the slope of noise^2, but not
drift and noise apart: from them alone both are known only as far as the form of the networks, and what is kept of the game,
leave one of them no freedom; of a stationary law only their ratio is. The law of increments given the place decides both,
for it is the transition law of a Markov process; windows of followed rows are the sharpest, and the cheapest, way to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm_neural.learn.samples import Group, grouped
from mesocosm_neural.learn.sde_task import Task, some
from mesocosm_neural.learn.sde_units import deviation
from mesocosm_neural.learn.sde_windows import Windows


class Objective:
    """The loss of a training step, and the score that decides when to stop.

    Parameters
    ----------
    window: how many saves a path lasts; None for all from time 0.
    """

    def __init__(self, task: Task, window: int | None) -> None:
        self.task, self.whole = task, Whole(task)
        self.windows = None if window is None else Windows(task, window)

    def __call__(self, step: int, generator: torch.Generator) -> torch.Tensor:
        """The loss of every seed, [seed]."""
        losses = (self.windows or self.whole)(generator)
        options = self.task.options
        if options.regularisation > 0:
            rows = float(self.task.samples.train.any(axis=0).sum())
            losses = losses + options.regularisation / rows * self._variation(generator)
        return losses

    def validate(self, generator: torch.Generator) -> torch.Tensor:
        """The distance at the saves of the validation window, of paths from time 0: [seed]."""
        return self.whole.validate(generator)

    def _variation(self, generator: torch.Generator) -> torch.Tensor:
        """How far log factors are from constants, at standard normal features: [seed]."""
        networks = self.task.networks
        shape = networks.seeds, self.task.options.batch, networks.size
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
        return networks.variation(drawn.to(self.task.start.places))


class Whole:
    """From time 0 to the last save that is trained on."""

    def __init__(self, task: Task) -> None:
        self.task, samples = task, task.samples
        self.last = int(samples.train_saves[-1])
        self.singles = list(grouped(samples.train[1:], np.arange(1, len(samples.train))))
        self.checked = list(grouped(samples.validation, np.arange(len(samples.validation))))
        joint = samples.joint and task.options.loss != "mean_squared_error"
        self.pairs = samples.pairs() if joint else []
        self.jumps = self._increments()

    def __call__(self, generator: torch.Generator) -> torch.Tensor:
        """The loss of every seed, [seed]."""
        paths = self._paths(self.task.options.batch, self.last, generator)
        return self._marginal(self.singles, paths, generator) + self._joint(paths, generator)

    def validate(self, generator: torch.Generator) -> torch.Tensor:
        """As `Objective.validate`."""
        last = int(np.flatnonzero(self.task.samples.validation.any(axis=1))[-1])
        return self._marginal(self.checked, self._paths(self.task.options.paths, last, generator), generator)

    def _paths(self, count: int, last: int, generator: torch.Generator) -> torch.Tensor:
        places = self.task.start.draw(self.task.networks.seeds, count, generator)
        return self.task.paths(places, 0, last, generator)

    def _marginal(self, groups: Sequence[Group], paths: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Mean distance over saves: [seed]."""
        total, count = paths.new_zeros(paths.shape[1]), 0
        for group in groups:
            data = self.task.data[group.saves][:, some(group.rows, generator)]
            total = total + self.task.gap(paths[group.saves], data[:, None]).sum(dim=0)
            count += len(group.saves)
        return total / count

    def _joint(self, paths: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Mean distance over pairs of saves between the laws of (value, increment): [seed]."""
        total, count = paths.new_zeros(paths.shape[1]), 0
        for group in self.pairs:
            data = self.task.data[:, some(group.rows, generator)]
            ours, theirs = self._pair(paths, group.saves), self._pair(data, group.saves)
            total = total + self.task.distance(ours, theirs[:, None]).sum(dim=0)
            count += len(group.saves)
        return total / max(1, count)

    def _pair(self, values: torch.Tensor, saves: NDArray[np.int64]) -> torch.Tensor:
        before, after = values[saves[:, 0]], values[saves[:, 1]]
        return torch.cat([before / self.task.scale, (after - before) / self.jumps], dim=-1)

    def _increments(self) -> torch.Tensor:
        """Standard deviation of the increments of the data between consecutive saves, [dimension]."""
        data = self.task.data
        found = [
            (data[group.saves[:, 1]] - data[group.saves[:, 0]])[:, group.rows].flatten(0, 1) for group in self.pairs
        ]
        return deviation(torch.cat(found)) if found else self.task.scale
