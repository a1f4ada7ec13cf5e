"""Multiple shooting: paths of an SDE from what was observed at a save, compared over the next few saves."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import InputError
from mesocosm_neural.learn.samples import BoolArray
from mesocosm_neural.learn.sde_task import Task, some
from mesocosm_neural.learn.sde_units import tensor_of

MEMBERS = 8
"""Paths from the place of each row, where rows are followed."""


class Windows:
    """The loss of one window of `length` saves, a new one in every training step. Errors: `InputError` where none fits.

    Where rows are followed, `batch` / `MEMBERS` rows are drawn, each with an ensemble of `MEMBERS` paths from its place: the
    loss is a score of the law given the place. Else `batch` paths start from places of any rows, and are compared with all.
    """

    def __init__(self, task: Task, length: int) -> None:
        self.task, self.length = task, length
        self.members = min(MEMBERS, task.options.batch) if task.samples.followed else 1
        self.rows = self._windows()
        if not self.rows:
            raise InputError(
                f"window {length}",
                where="learn.window",
                rule=f"it starts at an observed save and ends by save {task.samples.train_saves[-1]}, the last to train on",
                hint="choose a shorter window, or leave it out",
            )

    def __call__(self, generator: torch.Generator) -> torch.Tensor:
        """The loss of every seed, [seed]."""
        first = list(self.rows)[int(torch.randint(len(self.rows), (1,), generator=generator))]
        count, seeds = max(1, self.task.options.batch // self.members), self.task.networks.seeds
        drawn = torch.randint(len(self.rows[first]), (count,), generator=generator).numpy()
        rows = self.rows[first][drawn]
        values = tensor_of(self.task.samples.values[first, rows], self.task.start.places)
        places = self.task.law.space.places(values).repeat_interleave(self.members, dim=0)
        paths = self.task.paths(places.expand(seeds, -1, -1), first, first + self.length, generator)
        losses = []
        for save, now in enumerate(paths[1:], start=first + 1):
            known = self.task.samples.train[save]
            if self.task.samples.followed and known[rows].any():
                losses.append(self._of_rows(now, save, rows))
            elif not self.task.samples.followed and known.any():
                data = self.task.data[save, some(np.flatnonzero(known), generator)]
                losses.append(self.task.gap(now, data[None]))
        return torch.stack(losses).mean(dim=0)

    def _of_rows(self, paths: torch.Tensor, save: int, rows: NDArray[np.int64]) -> torch.Tensor:
        """Each row against the paths from its own place, [seed, row * member, dimension]; mean over rows: [seed]."""
        known = self.task.samples.train[save, rows]
        ours = paths.view(len(paths), len(rows), self.members, -1)[:, known]
        return self.task.gap(ours, self.task.data[save, rows[known], None]).mean(dim=-1)

    def _windows(self) -> dict[int, NDArray[np.int64]]:
        """Saves at which a window may start, and rows that are known there, and later in it where rows are followed.

        Rows that are followed and have left by then are not among them: where they will be is no question.
        """
        found, samples = dict[int, NDArray[np.int64]](), self.task.samples
        train, moving = samples.train, self._moving() if samples.followed else samples.train
        for first in samples.train_saves.tolist():
            later = train[first + 1 : first + self.length + 1]
            usable = moving[first] & (later.any(axis=0) if samples.followed else later.any())
            if first + self.length <= samples.train_saves[-1] and usable.any():
                found[first] = np.flatnonzero(usable)
        return found

    def _moving(self) -> BoolArray:
        """Which rows are known and have not left, [time, row]."""
        values = tensor_of(np.nan_to_num(self.task.samples.values), self.task.start.places)
        inside = self.task.law.inside(self.task.law.space.places(values))
        return self.task.samples.train if inside is None else self.task.samples.train & inside.cpu().numpy()
