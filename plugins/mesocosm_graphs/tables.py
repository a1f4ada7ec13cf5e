"""Read a CSV file (or CSV in .gz): at once where it is plain, or row by row with the line that each row stands on."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mesocosm import DataError

_FIRST_NAMES = {"id", "node", "source", "from", "i"}


@dataclass(frozen=True)
class Table:
    """Rows of equal length with stripped fields, the line of each row, and the names in the header, if there is one."""

    path: Path
    names: tuple[str, ...] | None
    rows: list[list[str]]
    lines: list[int]

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.rows[0])

    def error(self, row: int, what: str, *, rule: str = "", hint: str = "") -> DataError:
        """A `DataError` that names the file and the line of a row."""
        return DataError(what, where=f"{self.path}:{self.lines[row]}", rule=rule, hint=hint)


def read_table(path: Path, header: bool | Literal["auto"]) -> Table:
    """All rows of a comma-separated file in UTF-8; empty lines are skipped.

    With `header: auto` the first row is a header when none of its fields is a number and either its first field is one
    of id, node, source, from, i, or the second row has a number.
    Errors: `DataError` for a file that cannot be read, has no rows, or has rows of different lengths.
    """
    rows: list[list[str]] = []
    lines: list[int] = []
    for line, row in _rows(path):
        if rows and len(row) != len(rows[0]):
            raise DataError(
                f"{len(row)} columns, but {len(rows[0])} before",
                where=f"{path}:{line}",
                rule="all rows have the same number of columns, separated by commas",
            )
        rows.append(row)
        lines.append(line)
    names = None
    if rows and (_is_header(rows) if header == "auto" else header):
        names, rows, lines = tuple(rows[0]), rows[1:], lines[1:]
    if not rows:
        raise DataError("no rows", where=str(path), rule="at least one row of data")
    return Table(path, names, rows, lines)


def read_columns(path: Path, header: bool | Literal["auto"]) -> list[NDArray[np.object_]] | None:
    """The fields of all rows but the header, column by column, unstripped: what `read_table` reads, some ten times faster.

    None where anything is odd: a file that cannot be read, quotes, empty fields, rows of different lengths, no rows.
    Then `read_table` reads it, or says what is wrong and where.
    """
    import pandas

    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if any(mark in content for mark in (b'"', b"\0")) or content.count(b"\r") != content.count(b"\r\n"):
            return None
        options: dict[str, Any] = {"header": None, "dtype": object, "na_filter": False, "encoding": "utf-8-sig"}
        table = pandas.read_csv(io.BytesIO(content), engine="c", **options)
    except (OSError, EOFError, zlib.error, ValueError):
        return None
    columns = [table[name].to_numpy(object) for name in table.columns]
    # A row that is too short is filled up with empty fields; one of blanks alone is none.
    if any((column == "").any() for column in columns) or not all(map(str.strip, pandas.unique(columns[0]))):
        return None
    first = [[str(column[row]).strip() for column in columns] for row in range(min(2, len(table)))]
    skipped = int(_is_header(first) if header == "auto" else header)
    return [column[skipped:] for column in columns] if len(table) > skipped else None


def number(text: str) -> float | None:
    """The number that a field holds, or None."""
    try:
        return float(text)
    except ValueError:
        return None


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    opened = gzip.open if path.suffix == ".gz" else open
    line = 0
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            for row in reader:
                line = reader.line_num
                fields = [field.strip() for field in row]
                if any(fields):
                    yield line, fields
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot be read: {error}", where=str(path)) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"cannot be read: {error}", where=f"{path}:{line + 1}", rule="comma-separated values in UTF-8"
        ) from error


def _is_header(rows: list[list[str]]) -> bool:
    if any(number(field) is not None for field in rows[0]):
        return False
    if rows[0][0].lower() in _FIRST_NAMES:
        return True
    return len(rows) > 1 and any(number(field) is not None for field in rows[1])
