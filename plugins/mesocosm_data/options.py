"""Options of `table`."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from mesocosm import DataPath, Options


class TableOptions(Options):
    """One column of a CSV file as the observed share of one state."""

    file: DataPath = Field(description="CSV file with a header row; `.gz` is unpacked")
    observable: str = Field(description="what the column counts: `occupancy.STATE`")
    column: str = Field(description="name of the column; blank cells are missing")
    scale: float | None = Field(
        default=None, gt=0, description="values are divided by this. Default: the size of the population"
    )
    time: str | None = Field(
        default=None,
        description="column of times: numbers in the scenario's unit, or ISO dates, counted in days. "
        "Default: the rows are the saves, from 0 on",
    )
    start: date | float | None = Field(
        default=None,
        description="the date, or the number in the time column, that is time 0. Default: first date, or 0",
    )
