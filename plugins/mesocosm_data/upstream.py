"""Public tables as others lay them out, and how they become one of our tables: a row for each date (and place)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from mesocosm import DataError

Key = tuple[date, str]
"""A date and a place ('' where there is only one)."""


@dataclass(frozen=True)
class Part:
    """One file of a series, by its address. `until`: later rows of it are left out."""

    url: str
    dates: str
    until: date = field(default=date.max, kw_only=True)

    def cells(self, text: str) -> Iterator[tuple[Key, str, float | None]]:
        """(date and place, our column, number or None) of everything that is taken from it. `DataError` with the line."""
        raise NotImplementedError

    def rows(self, text: str) -> tuple[list[str], Iterator[tuple[str, list[str]]]]:
        """The header, and every row with where it stands."""
        reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
        header = next(reader, [])
        return header, ((f"{self.url}:{reader.line_num}", row) for row in reader if len(row) == len(header))

    def day(self, text: str, where: str) -> date:
        """A date in the format of the file."""
        try:
            return datetime.strptime(text, self.dates).date()
        except ValueError as error:
            raise DataError(f"date '{text}'", where=where, rule=f"dates like {self.dates} are expected") from error

    def index(self, header: Sequence[str], name: str) -> int:
        """Where a column is."""
        if name not in header:
            raise DataError(
                f"column '{name}' is missing", where=self.url, rule="the file is not what the registry expects"
            )
        return header.index(name)


@dataclass(frozen=True)
class Long(Part):
    """One row for each date. `columns`: our names by theirs; '' stands for the only other column of the file."""

    date_column: str
    columns: Mapping[str, str]

    def cells(self, text: str) -> Iterator[tuple[Key, str, float | None]]:
        header, rows = self.rows(text)
        at = self.index(header, self.date_column)
        if "" in self.columns and len(header) != 2:
            raise DataError(f"{len(header)} columns", where=self.url, rule="a date and one other column are expected")
        places = {ours: 1 - at if theirs == "" else self.index(header, theirs) for theirs, ours in self.columns.items()}
        for where, row in rows:
            day = self.day(row[at], where)
            if day <= self.until:
                yield from (((day, ""), ours, _number(row[place], where)) for ours, place in places.items())


@dataclass(frozen=True)
class Wide(Part):
    """One row for each place, one column for each date from column number `first_date` on; rows of a place are summed.

    `places`: our names by theirs, in the column `place_column`; `only`: what other cells must hold.
    """

    place_column: str
    places: Mapping[str, str]
    column: str
    first_date: int
    only: Mapping[str, str] = field(default_factory=dict)

    def cells(self, text: str) -> Iterator[tuple[Key, str, float | None]]:
        header, rows = self.rows(text)
        at = self.index(header, self.place_column)
        only = {self.index(header, name): value for name, value in self.only.items()}
        days = [self.day(name, self.url) for name in header[self.first_date :]]
        sums: dict[Key, float | None] = {}
        for where, row in rows:
            if row[at] not in self.places or any(row[place] != value for place, value in only.items()):
                continue
            for day, text_ in zip(days, row[self.first_date :], strict=True):
                key, value = (day, self.places[row[at]]), _number(text_, where)
                before = sums.get(key)
                sums[key] = value if before is None else before if value is None else before + value
        yield from ((key, self.column, value) for key, value in sums.items() if key[0] <= self.until)


def table_of(
    parts: Sequence[tuple[Part, str]], columns: Sequence[str], places: Sequence[str], decimals: Sequence[str]
) -> str:
    """One table, as text, from files: a row for each date, place after place, blank where a file has nothing.

    `columns`: ours, without date and place. `places`: in this order, none where there is only one. `decimals`: columns whose
    numbers are written with a decimal point.
    """
    found: dict[Key, dict[str, float]] = {}
    for part, text in parts:
        for key, column, value in part.cells(text):
            row = found.setdefault(key, {})
            if value is not None:
                row[column] = value
    lines = [",".join(["date", *(["iso3"] if places else []), *columns])]
    for place in places or [""]:
        for key in sorted(key for key in found if key[1] == place):
            cells = [_text(found[key].get(column), column in decimals) for column in columns]
            lines.append(",".join([key[0].isoformat(), *([place] if places else []), *cells]))
    return "\n".join(lines) + "\n"


def _number(text: str, where: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError as error:
        raise DataError(f"'{text}'", where=where, rule="a number or nothing is expected") from error


def _text(value: float | None, decimal: bool) -> str:
    if value is None:
        return ""
    return repr(value) if decimal or value != int(value) else str(int(value))
