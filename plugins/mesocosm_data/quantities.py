"""Named quantities from the rows of a table: what is read of a row, what a save takes of its rows, what time makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesocosm import DataError
from mesocosm_data.options import QuantityOptions
from mesocosm_data.placement import Placed
from mesocosm_data.reading import Row, matches, number

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Sheet:
    """Rows by (replicate, save), each in the order of time; saves before time 0 count from -`history` on."""

    rows: Mapping[tuple[int, int], Sequence[Placed]]
    replicates: int
    saves: int
    history: int

    def where(self, replicate: int, save: int) -> str:
        """Where the last row of a save stands, '' where there is none."""
        placed = self.rows.get((replicate, save))
        return placed[-1].row.where if placed else ""

    def column(self, save: int) -> int:
        """Where a save is in an array over all saves, those of the history first."""
        return save + self.history

    @property
    def shape(self) -> tuple[int, int]:
        """Of an array over replicates and all saves."""
        return self.replicates, self.history + self.saves


def columns_of(option: QuantityOptions) -> list[str]:
    """The columns that a quantity is made of."""
    named = (option.column, option.minus, option.over)
    return [name for name in named if isinstance(name, str)]


def series(name: str, option: QuantityOptions, sheet: Sheet) -> FloatArray:
    """A quantity at every save from time 0 on, [replicate, save], NaN where it is missing.

    Errors: `DataError` with the line for a cell that is no number, or divides by 0, and for a running total that falls.
    """
    values = _gathered(option, sheet)
    if option.difference:
        values = _differences(name, option, values, sheet)
    if option.cumulative:
        values = running_total(values)
    if option.sum_over > 1:
        values = trailing_sum(values, option.sum_over)
    if option.smooth > 1:
        values = trailing_sum(values, option.smooth) / option.smooth
    if option.so_far:
        values = so_far(values)
    values = lagged(values, option.lag)[:, sheet.history :]
    return values if option.before is None else filled_before(values, option.before)


def quantity(option: QuantityOptions, row: Row) -> float:
    """The quantity of one row, NaN where a cell is blank.

    Errors: `DataError` for a cell that is no number, or divides by 0.
    """
    column = str(option.column)
    if not all(row.cells[name] for name in columns_of(option)):
        return float("nan")
    if option.equals is not None:
        return float(matches(row.cells[column], option.equals))
    value = number(row.cells[column], row.where, column)
    if option.minus is not None:
        value -= number(row.cells[option.minus], row.where, option.minus)
    if option.over is not None:
        over = number(row.cells[option.over], row.where, option.over) if isinstance(option.over, str) else option.over
        if over == 0:
            raise DataError(f"{option.over} 0", where=row.where, rule="nothing can be divided by 0")
        value /= over
    return abs(value) if option.absolute else value


def running_total(values: FloatArray) -> FloatArray:
    """Sum of each value and those before it, from the first known one on, [replicate, save]; all after a gap is missing."""
    started = np.logical_or.accumulate(~np.isnan(values), axis=1)
    totals = np.where(started, values, 0.0).cumsum(axis=1)
    return np.where(started, totals, np.nan)


def trailing_sum(values: FloatArray, count: int) -> FloatArray:
    """Sum of each value and the `count` - 1 before it, [replicate, save]; NaN where one of them is, as at the start."""
    padded = np.pad(values, ((0, 0), (count - 1, 0)), constant_values=np.nan)
    total: FloatArray = np.lib.stride_tricks.sliding_window_view(padded, count, axis=1).sum(axis=-1)
    return total


def so_far(values: FloatArray) -> FloatArray:
    """Mean of each value and those before it, [replicate, time]; NaN, and left out of later means, where one is missing."""
    seen = ~np.isnan(values)
    sums = np.where(seen, values, 0.0).cumsum(axis=1)
    return np.where(seen, sums / np.maximum(seen.cumsum(axis=1), 1), np.nan)


def lagged(values: FloatArray, saves: int) -> FloatArray:
    """The values of so many saves ago, [replicate, save], NaN at the start."""
    if saves == 0:
        return values
    kept = values[:, : max(values.shape[1] - saves, 0)]
    return np.pad(kept, ((0, 0), (values.shape[1] - kept.shape[1], 0)), constant_values=np.nan)


def filled_before(values: FloatArray, value: float) -> FloatArray:
    """The same, with a value at saves before the first known one of each replicate; a replicate without any stays missing."""
    known = ~np.isnan(values)
    waiting = ~np.logical_or.accumulate(known, axis=1) & known.any(axis=1, keepdims=True)
    return np.where(waiting, value, values)


def _gathered(option: QuantityOptions, sheet: Sheet) -> FloatArray:
    """What each save takes of its rows, [replicate, save with history]."""
    values = np.full(sheet.shape, np.nan)
    fullest = max((len(placed) for placed in sheet.rows.values()), default=0)
    for (replicate, save), placed in sheet.rows.items():
        read = [quantity(option, each.row) for each in placed]
        cell = replicate, sheet.column(save)
        if option.per_save == "mean":
            values[cell] = sum(read) / len(read)
        elif option.per_save != "sum":
            values[cell] = read[-1]
        elif len(read) == fullest:
            values[cell] = sum(read)
    return values


def _differences(name: str, option: QuantityOptions, values: FloatArray, sheet: Sheet) -> FloatArray:
    result = np.diff(values, axis=1, prepend=np.nan)
    falling = np.argwhere(result < 0)
    if option.negative == "refuse" and len(falling):
        replicate, column = (int(number) for number in falling[0])
        here, before = (sheet.where(replicate, column - back - sheet.history) for back in (0, 1))
        raise DataError(
            f"{name} falls from {values[replicate, column - 1]:g} to {values[replicate, column]:g}",
            where=here,
            rule=f"a running total does not fall (the value before stands at {before})",
            hint="'negative: missing' leaves such saves out",
        )
    result[result < 0] = np.nan
    return result
