"""A table of observations as a dynamics: what was seen at each save, NaN where nothing was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mesocosm import FEATURES, DataError, Dynamics, InputError, Interval
from mesocosm_data.options import QuantityOptions, TableOptions
from mesocosm_data.placement import DAY_UNITS, Calendar, Placed, calendar, place, require_save, slack
from mesocosm_data.quantities import Sheet, columns_of, lagged, series
from mesocosm_data.reading import Row, read_rows
from mesocosm_data.registry import series_named


class Table(Dynamics):
    """What was observed over time, from a CSV file; NaN at saves without a row. Every row must fall on a save.

    With `observable` and `column`, or `states`: `occupancy` of shape [replicate, state], the observed shares of these states
    and NaN in every other. With `quantities`: every quantity by its name, [replicate]. There is one replicate for each value
    of the column `replicate`, in the order of the file, or else one, the one realisation that was seen. With `outside: drop`,
    rows may lie outside the run, and with `per_save`, between saves.

    Errors: `InputError` for an unknown state, `DataError` with `file:line` for anything in the file.
    """

    stochastic: ClassVar[bool] = True
    partial: ClassVar[bool] = True
    follows: ClassVar[str] = "own"
    expresses: ClassVar[frozenset[str]] = frozenset(FEATURES)
    options: TableOptions

    def check(self) -> None:
        self.observed  # noqa: B018

    @property
    def replicates(self) -> int:
        return len(self._names)

    @cached_property
    def states(self) -> dict[int, QuantityOptions]:
        """The observed states, by number, and how many are in them."""
        options = self.options
        if options.observable is None:
            return {self.problem.finite_game.plain.state_index(name): option for name, option in options.states.items()}
        kind, _, state = options.observable.partition(".")
        if kind != "occupancy" or not state:
            raise InputError(
                f"'{options.observable}'",
                where=f"{self.context.label}.observable",
                rule="'occupancy.STATE', such as "
                + ", ".join(f"occupancy.{name}" for name in self.problem.finite_game.plain.states),
            )
        return {self.problem.finite_game.plain.state_index(state): QuantityOptions(column=options.column)}

    @cached_property
    def observed(self) -> dict[str, NDArray[np.float64]]:
        """Every quantity at every save, [replicate, time], and `occupancy`, [replicate, time, state]; NaN where missing."""
        sheet = self._sheet
        found = {
            name: self._window(name, option) if option.between else series(name, option, sheet)
            for name, option in self.options.quantities.items()
        }
        if self.states:
            shape = len(self._names), sheet.saves, len(self.problem.finite_game.plain.states)
            found["occupancy"] = np.full(shape, np.nan)
            for state, option in self.states.items():
                found["occupancy"][:, :, state] = self._shares(state, option)
        return found

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        shares = {"occupancy": ("replicate", "state")} if self.states else {}
        return shares | dict.fromkeys(self.options.quantities, ("replicate",))

    def coordinates(self) -> dict[str, Sequence[Any]]:
        return {"state": self.problem.finite_game.plain.states} if self.states else {}

    def init(self) -> int:
        return 0

    def advance(self, state: int, interval: Interval) -> int:
        return interval.index + 1

    def pack(self, state: int) -> dict[str, NDArray[Any]]:
        return {"save": np.array(state)}

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> int:
        return int(arrays["save"])

    def observe(self, state: int) -> dict[str, NDArray[Any]]:
        return {name: values[:, state] for name, values in self.observed.items()}

    @cached_property
    def file(self) -> Path:
        """The file that is read; a series of the registry is found or downloaded."""
        options = self.options
        return options.file or series_named(str(options.series)).find()

    @cached_property
    def _rows(self) -> list[Row]:
        options = self.options
        if options.start is not None and options.time is None:
            raise InputError(
                f"start {options.start}", where=f"{self.context.label}.start", rule="needs the option 'time'"
            )
        named = [name for option in self._read for name in columns_of(option)]
        wanted = [*named, *(name for name in (options.time, options.replicate) if name is not None)]
        return read_rows(self.file, list(dict.fromkeys(wanted)), options.where)

    @cached_property
    def _calendar(self) -> Calendar:
        """What time 0 is."""
        clock, column = self.problem.clock, self.options.time
        found = calendar(self._rows, column, self.options.start)
        if found.dates and clock.unit not in DAY_UNITS:
            raise InputError(
                f"dates in '{column}' and time.unit '{clock.unit}'",
                where=f"{self.context.label}.time",
                rule="dates are counted in days",
                hint="use time.unit: day, or a column of numbers",
            )
        return found

    @cached_property
    def _placed(self) -> list[Placed]:
        """The rows that count, in time; those before time 0 only where a quantity looks back."""
        options, clock = self.options, self.problem.clock
        placed = place(self._rows, options.time, self._calendar, clock, drop=options.outside == "drop")
        if not any(option.looks_back for option in self._read):
            placed = [each for each in placed if each.time >= -slack(clock)]
        if not any(each.save >= 0 for each in placed):
            raise DataError(
                "no row between time 0 and the end of the run",
                where=str(self.file),
                hint="change 'start', or 'time.end' of the scenario",
            )
        if any(option.per_save == "one" for option in self._read):
            for each in placed:
                require_save(each, clock)
        return placed

    @property
    def _read(self) -> list[QuantityOptions]:
        """What is read from rows; an unknown state is found before the file is read."""
        return [
            *self.states.values(),
            *(option for option in self.options.quantities.values() if option.between is None),
        ]

    @cached_property
    def _names(self) -> list[str]:
        """Names of the replicates."""
        column = self.options.replicate
        return [""] if column is None else list(dict.fromkeys(each.row.cells[column] for each in self._placed))

    @cached_property
    def _sheet(self) -> Sheet:
        """The rows by the replicate and the save that they are about."""
        column = self.options.replicate
        numbers = {name: number for number, name in enumerate(self._names)}
        seen: dict[tuple[int, float], str] = {}
        rows: dict[tuple[int, int], list[Placed]] = {}
        for each in sorted(self._placed, key=lambda placed: placed.time):
            replicate = 0 if column is None else numbers[each.row.cells[column]]
            moment = replicate, each.save * self.problem.clock.save_every if each.on_save else each.time
            if moment in seen:
                raise DataError(f"time {each.text} again", where=each.row.where, rule=f"it stands at {seen[moment]}")
            seen[moment] = each.row.where
            rows.setdefault((replicate, each.save), []).append(each)
        history = max(0, -min(each.save for each in self._placed))
        return Sheet(rows, len(self._names), len(self.problem.clock.times), history)

    def _window(self, name: str, option: QuantityOptions) -> NDArray[np.float64]:
        """1 at saves within a window of time, 0 at others, the same for all replicates."""
        assert option.between is not None
        clock = self.problem.clock
        times = clock.save_every * np.arange(-option.lag, len(clock.times), dtype=np.float64)
        try:
            inside = self._calendar.within(*option.between, times, slack(clock))
        except InputError as error:
            where = f"{self.context.label}.quantities.{name}"
            raise InputError(error.what, where=where, rule=error.rule, hint=error.hint) from error
        row = lagged(inside[None].astype(np.float64), option.lag)[:, option.lag :]
        return np.repeat(row, len(self._names), axis=0)

    def _shares(self, state: int, option: QuantityOptions) -> NDArray[np.float64]:
        """Share of one state, [replicate, time]."""
        sheet, name = self._sheet, self.problem.finite_game.plain.states[state]
        scale = self.options.scale or float(self.problem.population.size)
        shares = series(name, option, sheet) / scale
        wrong = np.argwhere((shares < 0.0) | (shares > 1.0))
        if len(wrong):
            replicate, save = (int(number) for number in wrong[0])
            share = shares[replicate, save]
            raise DataError(
                f"{share * scale:g} of {scale:g} is a share of {share:g} in {name}",
                where=sheet.where(replicate, save) or str(self.file),
                rule="a share lies between 0 and 1",
                hint="set 'scale' to what the values are counted out of",
            )
        return shares
