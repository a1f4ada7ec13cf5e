"""Covariates u(t): what was observed beside the population, and is seen by the networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import InputError, Trajectories
from mesocosm_neural.learn.options import CovariatesOptions, TableCovariates
from mesocosm_neural.learn.windows import Member

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Covariates:
    """Quantities of a table at every save, as they were observed.

    At a time between two observations a covariate is that of the earlier one (`hold`) or on the straight line between both
    (`linear`); after the last one that may be known it is held. Before the first one it is not known, which is refused.

    A network sees it standardised: less its mean and divided by its standard deviation over the saves and series that the
    network may see. A covariate that does not vary there is 0 for this network, whatever happens later: nothing was learned
    about its effect.

    Attributes
    ----------
    names: of the quantities.
    values: shape [series, time, name], NaN where nothing was observed; known at time 0.
    linear: whether to interpolate.
    """

    names: tuple[str, ...]
    values: FloatArray
    linear: bool

    def until(self, known: int) -> FloatArray:
        """At every save without a gap, from what was observed up to save `known`: [series, time, name]."""
        result, saves = np.empty_like(self.values), np.arange(self.values.shape[1])
        for series, name in np.ndindex(len(self.values), len(self.names)):
            column = self.values[series, : known + 1, name]
            at = np.flatnonzero(~np.isnan(column))
            if self.linear:
                result[series, :, name] = np.interp(saves, at, column[at])
            else:
                result[series, :, name] = column[at[np.searchsorted(at, saves, side="right") - 1]]
        return result

    def scale(self, known: int, series: Sequence[int]) -> tuple[FloatArray, FloatArray]:
        """Mean and 1 / standard deviation over the saves up to `known` of these series, [name]; 0 where nothing varies."""
        seen = self.until(known)[list(series), : known + 1].reshape(-1, len(self.names))
        deviation = seen.std(axis=0)
        varies = np.ptp(seen, axis=0) > 1e-9 * (np.abs(seen).max(axis=0) + 1e-300)
        return seen.mean(axis=0), np.where(varies, 1.0 / np.where(varies, deviation, 1.0), 0.0)


class SeenCovariates:
    """Covariates as the networks of each member see them: standardised, and held after what may be known."""

    def __init__(self, covariates: Covariates, members: Sequence[Member], like: torch.Tensor) -> None:
        self.covariates, self.members, self.like = covariates, members, like
        self.names, self.linear = covariates.names, covariates.linear
        self._kept: dict[tuple[int, ...], torch.Tensor] = {}

    def __call__(self, known: tuple[int, ...]) -> torch.Tensor:
        """What is seen, from what was observed up to save `known` of each member: [member, series, time, name]."""
        if known not in self._kept:
            tables = []
            for member, last in zip(self.members, known, strict=True):
                mean, factor = self.covariates.scale(member.until, member.series)
                tables.append((self.covariates.until(last) - mean) * factor)
            self._kept[known] = torch.from_numpy(np.stack(tables)).to(self.like)
        return self._kept[known]


def gather_covariates(
    trajectories_of: Callable[[str], Trajectories], options: CovariatesOptions, series: int
) -> Covariates:
    """The covariates of all tables that the options name; see `read_covariates`. `InputError` where two rules of
    interpolation are asked for."""
    tables = [read_covariates(trajectories_of(each.from_), each, series) for each in (options, *options.also)]
    if len({table.linear for table in tables}) > 1:
        raise InputError(
            "covariates that are held beside others that are interpolated",
            where=f"covariates from '{options.from_}' and others",
            rule="one rule for all: 'between' is the same in each",
        )
    names = tuple(name for table in tables for name in table.names)
    return Covariates(names, np.concatenate([table.values for table in tables], axis=-1), tables[0].linear)


def read_covariates(trajectories: Trajectories, options: TableCovariates, series: int) -> Covariates:
    """The covariates of `series` observed series; one record of covariates is that of all.

    Errors: `InputError` for a quantity that is not there or not one number at a time, for another number of series, and for
    one that is not known at time 0.
    """
    where = f"covariates from '{trajectories.label}'"
    variables = trajectories.variables
    found = tuple(name for name, each in variables.items() if each.dims == ("replicate", "time"))
    names = options.names or found
    for name in names:
        if name not in found:
            raise InputError(
                f"no quantity '{name}'", where=where, rule=f"quantities over time there: {', '.join(found) or 'none'}"
            )
    if not names:
        raise InputError("no quantities", where=where, rule="one number at each time and replicate, by name")
    values = np.stack([np.asarray(variables[name].values, np.float64) for name in names], axis=-1)
    if len(values) not in (1, series):
        raise InputError(
            f"{len(values)} series of covariates for {series} observed ones",
            where=where,
            rule="as many, or one for all",
        )
    values = np.broadcast_to(values, (series, *values.shape[1:]))
    late = np.argwhere(np.isnan(values[:, 0]))
    if len(late):
        replicate, column = late[0]
        known = np.flatnonzero(~np.isnan(values[replicate, :, column]))
        first = f"first known at time {trajectories.times[known[0]]:g}" if len(known) else "never known"
        raise InputError(
            f"'{names[column]}' of series {replicate} is {first}",
            where=where,
            rule="a covariate is known from time 0 on",
            hint="let the table begin earlier, or leave this quantity out with 'names'",
        )
    return Covariates(names, np.array(values), options.between == "linear")
