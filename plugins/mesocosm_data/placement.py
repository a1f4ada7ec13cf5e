"""Where in time rows are: from the text of a time column to saves, which are numbered from 0 at time 0.

Saves before time 0 have negative numbers: rows there are history, for quantities that look back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from mesocosm import Clock, DataError, InputError
from mesocosm_data.reading import Row, number

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SECONDS_PER_DAY = 86400.0
DAY_UNITS = ("", "day", "days", "d")
TOLERANCE = 1e-9
"""How far from a save a row may be, in horizons."""


def slack(clock: Clock) -> float:
    """How far from a save a row may be, in time."""
    return TOLERANCE * max(1.0, clock.end)


@dataclass(frozen=True)
class Calendar:
    """Time 0: a moment, and then times are in days, or a number in the scenario's unit."""

    zero: datetime | float

    @property
    def dates(self) -> bool:
        """Whether times are dates."""
        return isinstance(self.zero, datetime)

    def since(self, text: str, where: str) -> float:
        """Time of a cell since time 0; `DataError` where it does not fit."""
        if isinstance(self.zero, datetime):
            return (_moment(text, where) - self.zero).total_seconds() / SECONDS_PER_DAY
        return number(text, where, "time") - self.zero

    def within(self, first: date | float, last: date | float, times: FloatArray, slack: float) -> BoolArray:
        """Which times since time 0 lie between two numbers, or on the days from one date to another, both included.

        `slack` is the error of `times`. `InputError` where dates and numbers are mixed.
        """
        if isinstance(self.zero, datetime) and isinstance(first, date) and isinstance(last, date):
            ends = _midnight(first), _midnight(last) + timedelta(days=1)
            start, stop = ((end - self.zero).total_seconds() / SECONDS_PER_DAY for end in ends)
            return (times >= start - slack) & (times < stop - slack)
        if isinstance(self.zero, datetime) or isinstance(first, date) or isinstance(last, date):
            raise InputError(
                f"between {first} and {last}", rule="dates where the time column has dates, numbers where not"
            )
        return (times >= first - self.zero - slack) & (times <= last - self.zero + slack)


def calendar(rows: Sequence[Row], column: str | None, start: date | float | None) -> Calendar:
    """What time 0 is: `start`, or else the first date, or 0. The first row decides between numbers and dates.

    `DataError` where the first row and the start do not fit.
    """
    if column is None:
        return Calendar(0.0)
    where, first = rows[0].where, rows[0].cells[column]
    try:
        float(first)
    except ValueError:
        origin = _moment(first, where) if start is None else start
        if not isinstance(origin, date):
            raise DataError(f"time '{first}' and start {origin:g}", where=where, rule="both dates") from None
        return Calendar(origin if isinstance(origin, datetime) else _midnight(origin))
    if isinstance(start, date):
        raise DataError(f"time '{first}' and start {start}", where=where, rule="both numbers, or both dates")
    return Calendar(start or 0.0)


@dataclass(frozen=True)
class Placed:
    """A row, its time, the number of the save that it is on, or else of the one after it, and how its time is written."""

    row: Row
    time: float
    save: int
    on_save: bool
    text: str


def place(rows: Sequence[Row], column: str | None, when: Calendar, clock: Clock, *, drop: bool) -> list[Placed]:
    """The rows in time. `DataError` for one after the end or before time 0, unless these are dropped or kept as history.

    With `drop`, rows after the end are left out; those before time 0 are kept, with negative numbers of saves.
    """
    placed, near = [], slack(clock)
    for count, row in enumerate(rows):
        text = str(count) if column is None else row.cells[column]
        time = count * clock.save_every if column is None else when.since(text, row.where)
        if not drop and not -near <= time <= clock.end + near:
            raise _outside(row, text, time, clock, column is None)
        if time > clock.end + near:
            continue
        nearest = round(time / clock.save_every)
        on_save = abs(time - nearest * clock.save_every) <= near
        placed.append(Placed(row, time, nearest if on_save else math.ceil(time / clock.save_every), on_save, text))
    return placed


def require_save(placed: Placed, clock: Clock) -> None:
    """`DataError` for a row that lies between two saves."""
    if not placed.on_save:
        raise _not_saved(placed.row, placed.text, placed.time, clock, "; of quantities, see also 'per_save'")


def _outside(row: Row, text: str, time: float, clock: Clock, by_row: bool) -> DataError:
    if by_row:
        saves = len(clock.times)
        return DataError(
            f"row {saves + 1}",
            where=row.where,
            rule=f"without a time column rows are saves, and there are {saves}",
            hint="choose a later 'time.end', name the time column, or set 'outside: drop'",
        )
    return _not_saved(row, text, time, clock, "; or set 'outside: drop' to leave such rows out")


def _not_saved(row: Row, text: str, time: float, clock: Clock, more: str = "") -> DataError:
    what = f"time {text}" if f"{time:g}" == text else f"time {text} ({time:g} after the start)"
    try:
        clock.index_of(time)
    except InputError as error:
        return DataError(f"{what} is not saved", where=row.where, rule=error.rule, hint=error.hint + more)
    raise AssertionError("a saved time was refused")


def _midnight(day: date) -> datetime:
    return day if isinstance(day, datetime) else datetime(day.year, day.month, day.day)


def _moment(text: str, where: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"time '{text}'", where=where, rule="a number, or a date like 1978-01-22") from error
    if moment.tzinfo is not None:
        raise DataError(f"time '{text}'", where=where, rule="dates without a time zone")
    return moment
