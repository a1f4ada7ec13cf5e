"""What is learned from: shares or counts with gaps, split into what may be seen and what is held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesocosm import InputError, Problem, Trajectories
from mesocosm_neural.learn.options import LearnOptions

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

LEAST_FOR_SPREAD, LEAST_SPREAD = 8, 0.05
"""Fewest series whose spread is a scale, and the least scale as a part of the standard deviation over time."""


@dataclass(frozen=True, eq=False)
class Observations:
    """Series of a population over all saves of the run, NaN where nothing was observed.

    Attributes
    ----------
    times: of the saves.
    values: shares, [series, time, state]; all NaN where counts are learned from.
    counts: reported in the interval before each save, [series, time]; the one at time 0 is not used. None without reporting.
    population: the initial shares of the scenario, [row, state], from which series start that do not say otherwise.
    until: number of the last save of the training window.
    kept: how many series, the first ones, are learned from; the others are held out.
    """

    times: FloatArray
    values: FloatArray
    counts: FloatArray | None
    population: FloatArray
    until: int
    kept: int

    @property
    def series(self) -> int:
        """How many there are."""
        return len(self.values)

    @cached_property
    def known(self) -> BoolArray:
        """Whether anything was observed, [series, time]; nothing at time 0, from which every path starts."""
        known = ~np.isnan(self.values).all(axis=-1) if self.counts is None else ~np.isnan(self.counts)
        return np.asarray(known & (np.arange(len(self.times)) > 0))

    @property
    def train(self) -> IntArray:
        """Saves of the training window with an observation."""
        return self._saves(self.known[: self.kept, : self.until + 1])

    @property
    def held_out(self) -> IntArray:
        """Saves after the training window with an observation in a series that is learned from."""
        return self._saves(self.known[: self.kept])[len(self.train) :]

    @property
    def complete(self) -> BoolArray:
        """Whether every state was observed, [series, time]."""
        return np.asarray(~np.isnan(self.values).any(axis=-1))

    @property
    def initial(self) -> FloatArray:
        """Shares at time 0 of paths that stand for the series that are learned from: [row, state].

        One row for each series where every state was observed; else those of the population.
        """
        return self.values[: self.kept, 0] if self.complete[: self.kept, 0].all() else self.population

    def first(self, series: int) -> FloatArray:
        """Shares of one series at time 0, [row, state]: as observed, where every state was; else those of the population."""
        return self.values[series : series + 1, 0] if self.complete[series, 0] else self.population

    def scale(self, end: int, series: Sequence[int], smallest: float) -> FloatArray:
        """1 / standard deviation of each state, [state], over what was observed after time 0 up to save `end`."""
        window = self.values[list(series), 1 : end + 1]
        known = ~np.isnan(window)
        count = known.sum(axis=(0, 1)).clip(min=1)
        centred = np.where(known, window - np.where(known, window, 0.0).sum(axis=(0, 1)) / count, 0.0)
        return np.asarray(1.0 / np.maximum(np.sqrt((centred**2).sum(axis=(0, 1)) / count), smallest))

    def spread(self, saves: IntArray, series: Sequence[int], smallest: float) -> FloatArray:
        """1 / scale of each state at each of these saves, [save, state], where series are samples of one law.

        The scale is the standard deviation between series, at least a twentieth of that over time, so that every save
        counts alike; between fewer than `LEAST_FOR_SPREAD` series it is that over time.
        """
        over_time = self.scale(int(saves[-1]), series, smallest)
        if len(series) < LEAST_FOR_SPREAD:
            return np.tile(over_time, (len(saves), 1))
        between = self.values[list(series)][:, saves].std(axis=0)
        return np.asarray(1.0 / np.maximum(np.nan_to_num(between), LEAST_SPREAD / over_time))

    @staticmethod
    def _saves(known: BoolArray) -> IntArray:
        return np.flatnonzero(known.any(axis=0))


def observe(trajectories: Trajectories, learn: LearnOptions, problem: Problem) -> Observations:
    """The observations of a dynamics or a table.

    Errors: `InputError` where there is nothing to learn from, for counts below 0, for series that miss different entries
    where they are compared as samples of one law (without `window` and `reporting`), and where all series are held out.
    """
    where = f"learn from '{trajectories.label}'"
    times = problem.clock.times
    until = len(times) - 1 if learn.until is None else int(np.flatnonzero(times <= learn.until + 1e-9 * times[-1])[-1])
    population = np.asarray(problem.type_shares(problem.graph.mixing("homogeneous")), np.float64)
    counts = None
    if learn.reporting is None:
        values = _shares(trajectories, problem, where)
        if learn.window is None:
            _refuse_different_gaps(values[: len(values) - learn.hold_out], where)
    else:
        counts = _counts(trajectories, learn.reporting.quantity, times, where)
        values = np.full((*counts.shape, len(problem.finite_game.states)), np.nan)
    kept = len(values) - learn.hold_out
    if kept < 1:
        raise InputError(
            f"hold_out {learn.hold_out} of {len(values)} series", where=where, rule="at least one is learned from"
        )
    found = Observations(times, values, counts, population, until, kept)
    if not len(found.train):
        raise InputError(
            f"nothing was observed after time 0 and up to {times[until]:g}",
            where=where,
            hint="choose a later 'until', or leave it out",
        )
    return found


def _shares(trajectories: Trajectories, problem: Problem, where: str) -> FloatArray:
    values = np.asarray(trajectories.array("occupancy"), np.float64)
    times, states = problem.clock.times, problem.finite_game.states
    if values.shape[1:] != (len(times), len(states)):
        raise InputError(
            f"occupancy of shape {values.shape}",
            where=where,
            rule=f"[replicate, {len(times)} saves, {len(states)} states {', '.join(states)}]",
        )
    return values


def _refuse_different_gaps(values: FloatArray, where: str) -> None:
    missing = np.isnan(values)
    if len(missing) and (missing != missing[0]).any():
        raise InputError(
            "replicates miss different entries",
            where=where,
            rule="what is missing must be missing in all of them",
            hint="with 'window', each series is compared with paths of its own",
        )


def _counts(trajectories: Trajectories, quantity: str, times: FloatArray, where: str) -> FloatArray:
    counts = np.asarray(trajectories.array(quantity), np.float64)
    if counts.ndim != 2 or counts.shape[1] != len(times):
        raise InputError(
            f"{quantity} of shape {counts.shape}", where=where, rule=f"one count at each of {len(times)} saves"
        )
    if np.nanmin(np.append(counts, 0.0)) < 0:
        series, save = np.argwhere(counts < 0)[0]
        raise InputError(
            f"{quantity} is {counts[series, save]:g} at time {times[save]:g}",
            where=where,
            rule="counts are not negative",
        )
    return counts
