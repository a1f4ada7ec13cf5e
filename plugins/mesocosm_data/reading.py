"""Reading columns of a CSV file, with the line of every fault."""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from mesocosm import DataError

SECONDS_PER_DAY = 86400.0


@dataclass(frozen=True)
class Row:
    """One row: where it stands (`file:line`), and the text of its cells by column."""

    where: str
    cells: Mapping[str, str]


def read_rows(path: Path, columns: Sequence[str]) -> list[Row]:
    """The rows of a CSV file (gzip where it ends in .gz) in these columns, blank lines left out.

    `DataError` for a file that is no text, has no rows, or whose rows do not fit the header, and for unknown columns.
    """
    rows = []
    try:
        lines = list(_lines(path))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"not a readable CSV file ({error})", where=str(path)) from error
    if len(lines) < 2:
        raise DataError("no rows", where=str(path), rule="a header row and at least one row are needed")
    header = [name.strip() for name in lines[0][1]]
    where = f"{path}:{lines[0][0]}"
    index = {column: _index(header, column, where) for column in columns}
    for line, cells in lines[1:]:
        if len(cells) != len(header):
            raise DataError(
                f"{len(cells)} cells", where=f"{path}:{line}", rule=f"the header row names {len(header)} columns"
            )
        rows.append(Row(f"{path}:{line}", {column: cells[at].strip() for column, at in index.items()}))
    return rows


def number(text: str, where: str, what: str) -> float:
    """A finite number; `DataError` for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{what} '{text}'", where=where, rule="a finite number is needed")
    return value


def elapsed(rows: Sequence[Row], column: str, start: date | float | None) -> tuple[list[float], bool]:
    """Times of the rows, from a column, since the start, and whether they were dates (then in days).

    The first row decides between numbers and dates. `DataError` where a row does not fit, or `start` does not.
    """
    where, first = rows[0].where, rows[0].cells[column]
    try:
        float(first)
    except ValueError:
        origin = _moment(first, where) if start is None else start
        if not isinstance(origin, date):
            raise DataError(f"time '{first}' and start {origin:g}", where=where, rule="both dates") from None
        zero = origin if isinstance(origin, datetime) else datetime(origin.year, origin.month, origin.day)
        moments = [_moment(row.cells[column], row.where) for row in rows]
        return [(moment - zero).total_seconds() / SECONDS_PER_DAY for moment in moments], True
    if isinstance(start, date):
        raise DataError(f"time '{first}' and start {start}", where=where, rule="both numbers, or both dates")
    return [number(row.cells[column], row.where, "time") - (start or 0.0) for row in rows], False


def _moment(text: str, where: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"time '{text}'", where=where, rule="a number, or a date like 1978-01-22") from error
    if moment.tzinfo is not None:
        raise DataError(f"time '{text}'", where=where, rule="dates without a time zone")
    return moment


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    reader = csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True)
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield reader.line_num, cells


def _index(header: list[str], column: str, where: str) -> int:
    count = header.count(column)
    if count != 1:
        close = difflib.get_close_matches(column, header, n=1)
        raise DataError(
            f"column '{column}' is {'missing' if count == 0 else 'there more than once'}",
            where=where,
            hint=f"did you mean '{close[0]}'?" if close and count == 0 else f"columns: {', '.join(header)}",
        )
    return header.index(column)
