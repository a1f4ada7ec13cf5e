"""Options of `table`."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from mesocosm import DataPath, Options
from mesocosm_data.registry import series_named


def _cell(value: Any) -> str | float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"{value!r} is neither text nor a number; text such as 'yes' or 'NO' needs quotes")
    return value if isinstance(value, str) else float(value)


Cell = Annotated[str | float, PlainValidator(_cell), WithJsonSchema({"type": ["string", "number"]})]
"""What a cell is compared with: the same text, or the same number."""


def _known_series(name: Any) -> str:
    return series_named(name if isinstance(name, str) else repr(name)).name


SeriesName = Annotated[str, PlainValidator(_known_series), WithJsonSchema({"type": "string"})]
"""The name of a series of the registry; see `mesocosm data`."""


class QuantityOptions(Options):
    """One number of a row: column, less another, divided by a third; then what is made of it over time.

    In this order: `per_save`, `difference`, `cumulative`, `sum_over`, `smooth`, `so_far`, `lag`, `before`. A missing value
    makes what is computed from it missing as well.
    """

    column: str | None = Field(default=None, description="name of the column; needed by all but `between`")
    minus: str | None = Field(default=None, description="name of a column that is taken away")
    over: str | float | None = Field(
        default=None, description="name of a column, or a number, by which the difference is divided"
    )
    absolute: bool = Field(default=False, description="take the absolute value")
    equals: Cell | None = Field(
        default=None, description="1 where the cell equals this text or number, 0 where it does not; blank is missing"
    )
    between: tuple[date | float, date | float] | None = Field(
        default=None,
        description="instead of a column: 1 at saves from the first of these dates (or numbers of the time column) up to "
        "the second, both included, 0 at all others",
    )
    per_save: Literal["one", "sum", "mean", "last"] = Field(
        default="one",
        description="one: every row falls on a save. sum, mean, last: a save takes all rows after the save before it and up "
        "to it; a sum is missing at saves with fewer rows than the fullest one",
    )
    difference: bool = Field(
        default=False, description="a running total: take its growth since the save before; the first one is missing"
    )
    negative: Literal["refuse", "missing"] = Field(
        default="refuse", description="with difference, where a running total falls: an error, or a missing value"
    )
    cumulative: bool = Field(default=False, description="the running total of what the rows add, from the first row on")
    sum_over: int = Field(
        default=1,
        ge=1,
        description="sum of so many saves, this one and those before it, as of new cases who are still ill; missing where one "
        "of them is, as at the start",
    )
    smooth: int = Field(
        default=1,
        ge=1,
        description="mean of so many saves, this one and those before it; missing where one of them is, as at the start",
    )
    so_far: bool = Field(
        default=False, description="take the mean of this and all earlier rows of the replicate; it ends with the rows"
    )
    lag: int = Field(default=0, ge=0, description="the value of so many saves ago; missing before there is one")
    before: float | None = Field(
        default=None, description="the value at saves before the first observed one. Default: missing"
    )

    @model_validator(mode="after")
    def _meaning(self) -> QuantityOptions:
        if (self.column is None) == (self.between is None):
            raise ValueError("give either column or between")
        if self.between is not None:
            extra = self.changed - {"between", "lag"}
            if extra:
                raise ValueError(f"{sorted(extra)[0]}: leave it out beside between")
            _check_window(*self.between)
        if self.equals is not None and {"minus", "over", "absolute"} & self.changed:
            raise ValueError("equals: leave minus, over and absolute out beside it")
        if self.difference and self.cumulative:
            raise ValueError("difference and cumulative undo each other; choose one")
        if self.negative != "refuse" and not self.difference:
            raise ValueError("negative: it is about difference")
        return self

    @property
    def looks_back(self) -> bool:
        """Whether rows before a save change its value."""
        return bool(self.changed & {"per_save", "difference", "cumulative", "sum_over", "smooth", "so_far", "lag"})


class TableOptions(Options):
    """A CSV file as a dynamics: observed shares of states, and named quantities of any game."""

    file: DataPath | None = Field(default=None, description="CSV file with a header row; `.gz` is unpacked")
    series: SeriesName | None = Field(
        default=None,
        description="instead of a file: a public series by name (see `mesocosm data`), from the folder MESOCOSM_DATA where "
        "that is set, or else downloaded once",
    )
    where: dict[str, Cell] = Field(
        default_factory=dict, description="keep only rows whose cells equal these, as in `{iso3: JPN}`"
    )
    observable: str | None = Field(default=None, description="what the column counts: `occupancy.STATE`")
    column: str | None = Field(default=None, description="name of the column; blank cells are missing")
    states: dict[str, QuantityOptions] = Field(
        default_factory=dict,
        description="instead of observable and column: how many are in each of these states, each read as a quantity; the "
        "other states are missing",
    )
    scale: float | None = Field(
        default=None,
        gt=0,
        description="what is in a state is divided by this. Default: the size of the population",
    )
    quantities: dict[str, QuantityOptions] = Field(
        default_factory=dict,
        description="what other dynamics record over time, such as `attendance`, or covariates, and how it is read",
    )
    replicate: str | None = Field(
        default=None,
        description="with states or quantities: column that tells replicates apart. Default: one replicate",
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
    outside: Literal["refuse", "drop"] = Field(
        default="refuse",
        description="rows before time 0 or after the end: an error, or left out. Rows before time 0 that are left out still "
        "count for quantities that look back: differences, sums, means and lags",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> TableOptions:
        if (self.file is None) == (self.series is None):
            raise ValueError("give either file or series")
        single = sorted({"observable", "column"} & self.changed)
        if single and (self.states or self.quantities):
            raise ValueError(f"{single[0]}: leave it out beside states and quantities")
        if not (self.states or self.quantities or len(single) == 2):
            raise ValueError("give observable and column, states, or quantities")
        if self.scale is not None and not (self.states or single):
            raise ValueError("scale: leave it out beside quantities alone")
        if self.replicate is not None and (single or self.time is None):
            raise ValueError("replicate: needs states or quantities, and a time column")
        for name, option in [*self.states.items(), *self.quantities.items()]:
            if option.per_save != "one" and self.time is None:
                raise ValueError(f"{name}: per_save needs a time column")
            if name in self.states and option.between is not None:
                raise ValueError(f"{name}: a state is counted in a column")
        return self


def _check_window(first: date | float, last: date | float) -> None:
    if isinstance(first, date) != isinstance(last, date):
        raise ValueError(f"between {first} and {last}: give two dates, or two numbers")
    if first > last:  # type: ignore[operator]  # both are of one kind
        raise ValueError(f"between {first} and {last}: the first comes after the last")
