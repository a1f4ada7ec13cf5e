"""Named quantities from the rows of a table: what is read of a row, and what of all rows of a replicate up to now."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mesocosm import DataError
from mesocosm_data.options import QuantityOptions
from mesocosm_data.reading import Row, number

FloatArray = NDArray[np.float64]


def columns_of(option: QuantityOptions) -> list[str]:
    """The columns that a quantity is made of."""
    named = (option.column, option.minus, option.over)
    return [name for name in named if isinstance(name, str)]


def quantity(option: QuantityOptions, row: Row) -> float:
    """The quantity of one row, NaN where a cell is blank.

    Errors: `DataError` for a cell that is no number, or divides by 0.
    """
    if not all(row.cells[name] for name in columns_of(option)):
        return float("nan")
    value = number(row.cells[option.column], row.where, option.column)
    if option.minus is not None:
        value -= number(row.cells[option.minus], row.where, option.minus)
    if option.over is not None:
        over = option.over if isinstance(option.over, float) else number(row.cells[option.over], row.where, option.over)
        if over == 0:
            raise DataError(f"{option.over} 0", where=row.where, rule="nothing can be divided by 0")
        value /= over
    return abs(value) if option.absolute else value


def so_far(values: FloatArray) -> FloatArray:
    """Mean of each value and those before it, [replicate, time]; NaN, and left out of later means, where one is missing."""
    seen = ~np.isnan(values)
    sums = np.where(seen, values, 0.0).cumsum(axis=1)
    return np.where(seen, sums / np.maximum(seen.cumsum(axis=1), 1), np.nan)
