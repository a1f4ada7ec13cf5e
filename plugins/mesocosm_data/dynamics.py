"""A table of observations as a dynamics: what was seen at each save, NaN where nothing was."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mesocosm import DataError, Dynamics, InputError, Interval
from mesocosm_data.options import TableOptions
from mesocosm_data.quantities import columns_of, quantity, so_far
from mesocosm_data.reading import Row, elapsed, number, read_rows

DAY_UNITS = ("", "day", "days", "d")


class Table(Dynamics):
    """What was observed over time, from a CSV file; NaN at saves without a row. Every row must fall on a save.

    With `observable` and `column`: `occupancy` of shape [1, state], the observed share of one state and NaN in every other;
    one replicate, the one realisation that was seen. With `quantities`: every quantity by its name, [replicate], with one
    replicate for each value of the column `replicate`, in the order of the file.

    Errors: `InputError` for an unknown state, `DataError` with `file:line` for anything in the file.
    """

    stochastic: ClassVar[bool] = True
    partial: ClassVar[bool] = True
    follows: ClassVar[str] = "own"
    options: TableOptions

    def check(self) -> None:
        self.observed  # noqa: B018

    @property
    def replicates(self) -> int:
        return len(self._names)

    @cached_property
    def state_number(self) -> int:
        """Number of the observed state."""
        kind, _, state = (self.options.observable or "").partition(".")
        if kind != "occupancy" or not state:
            raise InputError(
                f"'{self.options.observable}'",
                where=f"{self.context.label}.observable",
                rule="'occupancy.STATE', such as "
                + ", ".join(f"occupancy.{name}" for name in self.problem.finite_game.states),
            )
        return self.problem.finite_game.state_index(state)

    @cached_property
    def observed(self) -> dict[str, NDArray[np.float64]]:
        """Every quantity at every save, [replicate, time], NaN where nothing was observed; or `occupancy`, of one state."""
        options, rows = self.options, self._rows
        cells = self._cells()
        shape = len(self._names), len(self.problem.clock.times)
        if not options.quantities:
            state, scale = self.state_number, options.scale or float(self.problem.population.size)
            shares = np.full(shape, np.nan)
            for row, cell in zip(rows, cells, strict=True):
                if row.cells[str(options.column)]:
                    shares[cell] = self._share(row, scale, self.problem.finite_game.states[state])
            return {"occupancy": shares}
        found = {}
        for name, option in options.quantities.items():
            values = np.full(shape, np.nan)
            for row, cell in zip(rows, cells, strict=True):
                values[cell] = quantity(option, row)
            found[name] = so_far(values) if option.so_far else values
        return found

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        if not self.options.quantities:
            return {"occupancy": ("replicate", "state")}
        return dict.fromkeys(self.options.quantities, ("replicate",))

    def init(self) -> int:
        return 0

    def advance(self, state: int, interval: Interval) -> int:
        return interval.index + 1

    def pack(self, state: int) -> dict[str, NDArray[Any]]:
        return {"save": np.array(state)}

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> int:
        return int(arrays["save"])

    def observe(self, state: int) -> dict[str, NDArray[Any]]:
        if self.options.quantities:
            return {name: values[:, state] for name, values in self.observed.items()}
        occupancy = np.full((1, len(self.problem.finite_game.states)), np.nan)
        occupancy[0, self.state_number] = self.observed["occupancy"][0, state]
        return {"occupancy": occupancy}

    @cached_property
    def _rows(self) -> list[Row]:
        options = self.options
        if options.start is not None and options.time is None:
            raise InputError(
                f"start {options.start}", where=f"{self.context.label}.start", rule="needs the option 'time'"
            )
        if not options.quantities:
            self.state_number  # noqa: B018  an unknown state is found before the file is read
        named = [name for option in options.quantities.values() for name in columns_of(option)]
        wanted = [*named, *(name for name in (options.column, options.time, options.replicate) if name is not None)]
        return read_rows(options.file, list(dict.fromkeys(wanted)))

    @cached_property
    def _names(self) -> list[str]:
        """Names of the replicates."""
        column = self.options.replicate
        return [""] if column is None else list(dict.fromkeys(row.cells[column] for row in self._rows))

    def _cells(self) -> list[tuple[int, int]]:
        """Replicate and save that each row is about."""
        rows, column = self._rows, self.options.replicate
        numbers = {name: number for number, name in enumerate(self._names)}
        seen: dict[tuple[int, int], str] = {}
        for row, save in zip(rows, self._saves(rows), strict=True):
            cell = (0 if column is None else numbers[row.cells[column]]), save
            if cell in seen:
                time = row.cells[self.options.time] if self.options.time else str(save)
                raise DataError(f"time {time} again", where=row.where, rule=f"it stands at {seen[cell]}")
            seen[cell] = row.where
        return list(seen)

    def _saves(self, rows: list[Row]) -> list[int]:
        """The number of the save that each row falls on."""
        clock, column = self.problem.clock, self.options.time
        if column is None:
            if len(rows) > len(clock.times):
                raise DataError(
                    f"row {len(rows)}",
                    where=rows[len(clock.times)].where,
                    rule=f"without a time column rows are saves, and there are {len(clock.times)}",
                    hint="choose a later 'time.end', or name the time column",
                )
            return list(range(len(rows)))
        times, dates = elapsed(rows, column, self.options.start)
        if dates and clock.unit not in DAY_UNITS:
            raise InputError(
                f"dates in '{column}' and time.unit '{clock.unit}'",
                where=f"{self.context.label}.time",
                rule="dates are counted in days",
                hint="use time.unit: day, or a column of numbers",
            )
        return [self._save(row.cells[column], row.where, time) for row, time in zip(rows, times, strict=True)]

    def _save(self, text: str, where: str, time: float) -> int:
        try:
            return self.problem.clock.index_of(time)
        except InputError as error:
            what = f"time {text}" if f"{time:g}" == text else f"time {text} ({time:g} after the start)"
            raise DataError(f"{what} is not saved", where=where, rule=error.rule, hint=error.hint) from error

    def _share(self, row: Row, scale: float, state: str) -> float:
        column = str(self.options.column)
        text = row.cells[column]
        share = number(text, row.where, column) / scale
        if not 0.0 <= share <= 1.0:
            raise DataError(
                f"{column} {text} of {scale:g} is a share of {share:g} in {state}",
                where=row.where,
                rule="a share lies between 0 and 1",
                hint="set 'scale' to what the values are counted out of",
            )
        return share
