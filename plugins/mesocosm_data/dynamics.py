"""A table of observations as a dynamics: what was seen at each save, NaN where nothing was."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mesocosm import DataError, Dynamics, InputError, Interval
from mesocosm_data.options import TableOptions
from mesocosm_data.reading import Row, elapsed, number, read_rows

DAY_UNITS = ("", "day", "days", "d")


class Table(Dynamics):
    """The observed share of one state over time; one replicate, the one realisation that was seen.

    `observe` gives `occupancy` of shape [1, state], NaN in every other state and at saves without a row. Every row must
    fall on a save. Errors: `InputError` for an unknown state, `DataError` with `file:line` for anything in the file.
    """

    stochastic: ClassVar[bool] = True
    partial: ClassVar[bool] = True
    follows: ClassVar[str] = "own"
    options: TableOptions

    def check(self) -> None:
        self.shares  # noqa: B018

    @cached_property
    def state_number(self) -> int:
        """Number of the observed state."""
        kind, _, state = self.options.observable.partition(".")
        if kind != "occupancy" or not state:
            raise InputError(
                f"'{self.options.observable}'",
                where=f"{self.context.label}.observable",
                rule="'occupancy.STATE', such as "
                + ", ".join(f"occupancy.{name}" for name in self.problem.finite_game.states),
            )
        return self.problem.finite_game.state_index(state)

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """The observed share at every save, shape [time], NaN where nothing was observed."""
        state, options = self.state_number, self.options
        if options.start is not None and options.time is None:
            raise InputError(
                f"start {options.start}", where=f"{self.context.label}.start", rule="needs the option 'time'"
            )
        rows = read_rows(options.file, options.column, options.time)
        saves = self._saves(rows)
        scale = options.scale or float(self.problem.population.size)
        result = np.full(len(self.problem.clock.times), np.nan)
        seen: dict[int, str] = {}
        for row, save in zip(rows, saves, strict=True):
            if save in seen:
                raise DataError(f"time {row.time} again", where=row.where, rule=f"it stands at {seen[save]}")
            seen[save] = row.where
            if row.value:
                result[save] = self._share(row, scale, self.problem.finite_game.states[state])
        return result

    def init(self) -> int:
        return 0

    def advance(self, state: int, interval: Interval) -> int:
        return interval.index + 1

    def pack(self, state: int) -> dict[str, NDArray[Any]]:
        return {"save": np.array(state)}

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> int:
        return int(arrays["save"])

    def observe(self, state: int) -> dict[str, NDArray[Any]]:
        occupancy = np.full((1, len(self.problem.finite_game.states)), np.nan)
        occupancy[0, self.state_number] = self.shares[state]
        return {"occupancy": occupancy}

    def _saves(self, rows: list[Row]) -> list[int]:
        """The number of the save that each row falls on."""
        clock = self.problem.clock
        if self.options.time is None:
            if len(rows) > len(clock.times):
                raise DataError(
                    f"row {len(rows)}",
                    where=rows[len(clock.times)].where,
                    rule=f"without a time column rows are saves, and there are {len(clock.times)}",
                    hint="choose a later 'time.end', or name the time column",
                )
            return list(range(len(rows)))
        times, dates = elapsed(rows, self.options.start)
        if dates and clock.unit not in DAY_UNITS:
            raise InputError(
                f"dates in '{self.options.time}' and time.unit '{clock.unit}'",
                where=f"{self.context.label}.time",
                rule="dates are counted in days",
                hint="use time.unit: day, or a column of numbers",
            )
        return [self._save(row, time) for row, time in zip(rows, times, strict=True)]

    def _save(self, row: Row, time: float) -> int:
        try:
            return self.problem.clock.index_of(time)
        except InputError as error:
            what = f"time {row.time}" if f"{time:g}" == row.time else f"time {row.time} ({time:g} after the start)"
            raise DataError(f"{what} is not saved", where=row.where, rule=error.rule, hint=error.hint) from error

    def _share(self, row: Row, scale: float, state: str) -> float:
        share = number(row.value, row.where, self.options.column) / scale
        if not 0.0 <= share <= 1.0:
            raise DataError(
                f"{self.options.column} {row.value} of {scale:g} is a share of {share:g} in {state}",
                where=row.where,
                rule="a share lies between 0 and 1",
                hint="set 'scale' to what the values are counted out of",
            )
        return share
