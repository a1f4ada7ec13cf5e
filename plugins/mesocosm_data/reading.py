"""Reading columns of a CSV file, with the line of every fault."""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mesocosm import DataError


@dataclass(frozen=True)
class Row:
    """One row: where it stands (`file:line`), and the text of its cells by column."""

    where: str
    cells: Mapping[str, str]


def read_rows(path: Path, columns: Sequence[str], only: Mapping[str, str | float] | None = None) -> list[Row]:
    """The rows of a CSV file (gzip where it ends in .gz) in these columns, blank lines left out.

    `only`: columns and what their cells must equal; other rows are left out before anything else is asked of them.
    `DataError` for a file that is no text, has no rows, or whose rows do not fit the header, and for unknown columns.
    """
    only = only or {}
    rows = []
    try:
        lines = list(_lines(path))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"not a readable CSV file ({error})", where=str(path)) from error
    if len(lines) < 2:
        raise DataError("no rows", where=str(path), rule="a header row and at least one row are needed")
    header = [name.strip() for name in lines[0][1]]
    where = f"{path}:{lines[0][0]}"
    index = {column: _index(header, column, where) for column in [*columns, *only]}
    for line, cells in lines[1:]:
        if len(cells) != len(header):
            raise DataError(
                f"{len(cells)} cells", where=f"{path}:{line}", rule=f"the header row names {len(header)} columns"
            )
        if all(matches(cells[index[column]].strip(), value) for column, value in only.items()):
            rows.append(Row(f"{path}:{line}", {column: cells[index[column]].strip() for column in columns}))
    if not rows:
        raise _no_match(
            path, only, {column: {cells[index[column]].strip() for _, cells in lines[1:]} for column in only}
        )
    return rows


def matches(text: str, value: str | float) -> bool:
    """Whether a cell holds this text, or this number however it is written."""
    if isinstance(value, str):
        return text == value
    try:
        return float(text) == value
    except ValueError:
        return False


def number(text: str, where: str, what: str) -> float:
    """A finite number; `DataError` for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{what} '{text}'", where=where, rule="a finite number is needed")
    return value


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


def _no_match(path: Path, only: Mapping[str, str | float], found: Mapping[str, set[str]]) -> DataError:
    """No row has these cells: which of them are nowhere, and what stands there instead."""
    asked = {column: f"{column} {value if isinstance(value, str) else f'{value:g}'}" for column, value in only.items()}
    for column, value in only.items():
        if not any(matches(text, value) for text in found[column]):
            some = sorted(found[column])[:10]
            more = ", ..." if len(found[column]) > len(some) else ""
            return DataError(
                f"no row with {asked[column]}",
                where=str(path),
                rule=f"'where' must leave rows; in that column are {', '.join(some)}{more}",
            )
    return DataError(f"no row with {' and '.join(asked.values())}", where=str(path), rule="'where' must leave rows")
