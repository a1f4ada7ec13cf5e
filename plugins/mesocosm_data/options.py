"""Options of `table`."""

from __future__ import annotations

from datetime import date

from pydantic import Field, model_validator

from mesocosm import DataPath, Options


class QuantityOptions(Options):
    """One number of a row: column, less another, divided by a third."""

    column: str = Field(description="name of the column")
    minus: str | None = Field(default=None, description="name of a column that is taken away")
    over: str | float | None = Field(
        default=None, description="name of a column, or a number, by which the difference is divided"
    )
    absolute: bool = Field(default=False, description="take the absolute value")
    so_far: bool = Field(
        default=False, description="take the mean of this and all earlier rows of the replicate; it ends with the rows"
    )


class TableOptions(Options):
    """A CSV file as a dynamics: one column as the observed share of one state, or named quantities of any game."""

    file: DataPath = Field(description="CSV file with a header row; `.gz` is unpacked")
    observable: str | None = Field(default=None, description="what the column counts: `occupancy.STATE`")
    column: str | None = Field(default=None, description="name of the column; blank cells are missing")
    scale: float | None = Field(
        default=None, gt=0, description="values are divided by this. Default: the size of the population"
    )
    quantities: dict[str, QuantityOptions] = Field(
        default_factory=dict,
        description="instead of observable, column and scale: what other dynamics record over time, such as `attendance`, "
        "and how it is read",
    )
    replicate: str | None = Field(
        default=None, description="with quantities: column that tells replicates apart. Default: one replicate"
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

    @model_validator(mode="after")
    def _one_kind(self) -> TableOptions:
        single = {name for name in ("observable", "column", "scale") if getattr(self, name) is not None}
        if self.quantities and single:
            raise ValueError(f"{sorted(single)[0]}: leave it out beside quantities")
        if not self.quantities and (self.observable is None or self.column is None):
            raise ValueError("give observable and column, or quantities")
        if self.replicate is not None and (not self.quantities or self.time is None):
            raise ValueError("replicate: needs quantities, and a time column")
        return self
