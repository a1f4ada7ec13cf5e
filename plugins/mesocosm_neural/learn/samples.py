"""What a diffusion or a series is learned from: observed values at each save, split into what is trained on and what is not.

A *row* is one thing that was observed: an agent, a level of quantiles, or a series of a table. Where rows are followed, the
values of one row at two saves belong together; else only the distribution at each save is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesocosm import Clock, InputError, Trajectories
from mesocosm_neural.learn.options import LearnOptions

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Group:
    """Saves, or pairs of saves [n, 2], at which the same rows were observed."""

    saves: IntArray
    rows: IntArray


@dataclass(frozen=True, eq=False)
class Samples:
    """Observed values.

    Attributes
    ----------
    values: shape [time, row, column], over all saves of the run; NaN where nothing was observed.
    followed: whether a row is the same agent or series at every save.
    joint: whether the columns of a row belong together.
    train, validation, held_out: which rows at which saves are trained on, decide when to stop, and are kept for judging,
        each [time, row]. Saves at time 0 are in `train` alone: paths start from them.
    """

    values: FloatArray
    followed: bool
    joint: bool
    train: BoolArray
    validation: BoolArray
    held_out: BoolArray

    @cached_property
    def train_saves(self) -> IntArray:
        """Numbers of the saves that are trained on, in order; 0 among them where it was observed."""
        return np.flatnonzero(self.train.any(axis=1))

    @property
    def known(self) -> FloatArray:
        """Everything that is trained on, [n, column]."""
        return self.values[self.train]

    def column_groups(self) -> list[slice]:
        """The columns whose joint distribution is known: all at once, or each alone."""
        width = self.values.shape[-1]
        return [slice(0, width)] if self.joint else [slice(each, each + 1) for each in range(width)]

    def pairs(self) -> list[Group]:
        """Consecutive saves of the training window at which the same rows were observed; none where none are followed."""
        if not self.followed:
            return []
        saves = self.train_saves
        both = np.stack([saves[:-1], saves[1:]], axis=-1)
        return list(grouped(self.train[saves[:-1]] & self.train[saves[1:]], both))


def grouped(known: BoolArray, saves: IntArray) -> Iterator[Group]:
    """Saves with the same rows, from which rows are known at each of them, [n, row]; those with no row are left out."""
    _, kinds = np.unique(known, axis=0, return_inverse=True)
    for kind in np.unique(kinds):
        members = np.flatnonzero(kinds.ravel() == kind)
        rows = np.flatnonzero(known[members[0]])
        if len(rows):
            yield Group(saves[members], rows)


def samples_of(trajectories: Trajectories, columns: Sequence[str], learn: LearnOptions, clock: Clock) -> Samples:
    """The places of agents where they were recorded, else their quantiles, else quantities with the names of the columns.

    Quantiles are samples at equally spaced levels. In two dimensions they are those of each axis alone, and so is what is
    compared with them. `InputError` where there is none of the three, or nothing to train on.
    """
    found, where = trajectories.variables, f"learn from '{trajectories.label}'"
    width = len(columns)
    followed, joint = True, True
    if "place" in found:
        recorded = np.moveaxis(np.asarray(found["place"].values, np.float64), 1, 0)
    elif "quantile" in found:
        recorded = np.moveaxis(np.asarray(found["quantile"].values, np.float64), (1, 3), (0, 2))
        followed, joint = False, width == 1
    elif all(name in found for name in columns):
        recorded = np.stack([np.asarray(found[name].values, np.float64).T for name in columns], axis=-1)[:, :, None]
    else:
        raise InputError(
            f"it recorded {', '.join(found)}",
            where=where,
            rule=f"place, quantile, or quantities named {', '.join(columns)} are needed",
            hint="agent_based records places with the option record_places",
        )
    if recorded.shape[0] != len(clock.times) or recorded.shape[-1] != width:
        raise InputError(
            f"recorded values of shape {recorded.shape}",
            where=where,
            rule=f"[{len(clock.times)} saves, replicate, row, {width} of {', '.join(columns)}]",
        )
    series = np.repeat(np.arange(recorded.shape[1]), recorded.shape[2])
    values = recorded.reshape(len(clock.times), -1, width)
    return Samples(values, followed, joint, *_split(values, series, learn, clock, where))


def _split(values: FloatArray, series: IntArray, learn: LearnOptions, clock: Clock, where: str) -> list[BoolArray]:
    """What is trained on, decides when to stop, and is held out: three masks [time, row]."""
    known, times, count = ~np.isnan(values).any(axis=-1), clock.times, int(series.max()) + 1
    if learn.hold_out >= count:
        raise InputError(
            f"hold_out {learn.hold_out} of {count} series", where=where, rule="at least one series is trained on"
        )
    until, rounding = times[-1] if learn.until is None else learn.until, 1e-9 * times[-1]
    inside, early = times <= until + rounding, times <= until - learn.validation + rounding
    kept = series < count - learn.hold_out
    train = known & kept & early[:, None]
    if not train[1:].any():
        raise InputError(
            f"nothing was observed after time 0 and up to {until - learn.validation:g}",
            where=where,
            hint="choose a later 'until', a shorter 'validation', or a smaller 'hold_out'",
        )
    validation = known & kept & (inside & ~early)[:, None]
    if learn.validation and not validation.any():
        raise InputError(
            f"nothing was observed in the {learn.validation:g} before {until:g}",
            where=where,
            hint="choose a longer 'validation'",
        )
    held_out = known & ~(kept & inside[:, None]) & (times > 0)[:, None]
    return [train, validation, held_out]
