"""What is learned from: trajectories with gaps, split into a training window and a held-out one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import InputError, LearnFrom, Problem, Trajectories
from mesocosm_neural.scores import EnergyLoss

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Observations:
    """Shares over time, NaN where nothing was observed, the same entries in every replicate.

    Attributes
    ----------
    values: shape [replicate, time, state], over all saves of the run.
    train, held_out: numbers of the saves with an observation after time 0 up to the end of the training window, and after it.
    """

    values: FloatArray
    train: IntArray
    held_out: IntArray

    @property
    def initial(self) -> FloatArray | None:
        """Shares of every replicate at time 0, [replicate, state]; None where not every state was observed."""
        first = self.values[:, 0]
        return None if np.isnan(first).any() else first

    def loss(self, smallest: float, device: torch.device, dtype: torch.dtype) -> EnergyLoss:
        """The training loss: each state in units of its standard deviation over the window, at least `smallest`."""
        window = self.values[:, self.train]
        known = ~np.isnan(window)
        count = known.sum(axis=(0, 1)).clip(min=1)
        centred = np.where(known, window - np.where(known, window, 0.0).sum(axis=(0, 1)) / count, 0.0)
        scale = np.sqrt((centred**2).sum(axis=(0, 1)) / count)
        return self._score(self.train, 1.0 / np.maximum(scale, smallest), device, dtype)

    def score(self, saves: IntArray, paths: FloatArray) -> FloatArray:
        """Energy score in shares of the population, averaged over saves: paths [seed, path, time, state] to [seed]."""
        cpu = torch.device("cpu")
        score = self._score(saves, np.ones(self.values.shape[-1]), cpu, torch.float64)
        return np.asarray(score.marginal(torch.from_numpy(paths[:, :, saves])).numpy(), np.float64)

    def persistence(self) -> FloatArray:
        """The last value of each state in the training window, held constant: shape [1, replicate, time, state].

        A state that was never observed in the window is 0.
        """
        window = np.concatenate([self.values[:, :1], self.values[:, self.train]], axis=1)
        held = np.zeros_like(window[:, 0])
        for now in window.transpose(1, 0, 2):
            held = np.where(np.isnan(now), held, now)
        return np.repeat(held[None, :, None], self.values.shape[1], axis=2)

    def _score(self, saves: IntArray, weight: FloatArray, device: torch.device, dtype: torch.dtype) -> EnergyLoss:
        window = self.values[:, saves]
        known = ~np.isnan(window)
        scaled = np.where(known, window, 0.0) * weight
        return EnergyLoss(
            torch.from_numpy(scaled).to(device=device, dtype=dtype),
            torch.from_numpy(known[0] * weight).to(device=device, dtype=dtype),
        )


def observe(trajectories: Trajectories, learn: LearnFrom, problem: Problem) -> Observations:
    """The observations of a dynamics or a table; `InputError` where there is nothing to learn from."""
    values = np.asarray(trajectories.array("occupancy"), np.float64)
    times, states = problem.clock.times, problem.finite_game.states
    where = f"learn from '{trajectories.label}'"
    if values.shape[1:] != (len(times), len(states)):
        raise InputError(
            f"occupancy of shape {values.shape}",
            where=where,
            rule=f"[replicate, {len(times)} saves, {len(states)} states {', '.join(states)}]",
        )
    missing = np.isnan(values)
    if (missing != missing[0]).any():
        raise InputError(
            "replicates miss different entries", where=where, rule="what is missing must be missing in all of them"
        )
    until = times[-1] if learn.until is None else learn.until
    observed = ~missing[0].all(axis=-1) & (np.arange(len(times)) > 0)
    inside = times <= until + 1e-9 * times[-1]
    train, held_out = np.flatnonzero(observed & inside), np.flatnonzero(observed & ~inside)
    if not len(train):
        raise InputError(
            f"nothing was observed after time 0 and up to {until:g}",
            where=where,
            hint="choose a later 'until', or leave it out",
        )
    return Observations(values, train, held_out)
