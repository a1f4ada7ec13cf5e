"""Read rows `t,i,j` or `t,i,j,w`: fast where all is well, and row by row where not, to name the line at fault."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mesocosm import DataError
from mesocosm_graphs.tables import number, read_table

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TIMED_COLUMNS = 3


@dataclass(frozen=True, eq=False)
class ContactRows:
    """Rows of contacts: `times` [rows], the ids of both ends [rows, 2], and weights [rows], or None where all are 1."""

    path: Path
    times: FloatArray
    ids: NDArray[Any]
    weights: FloatArray | None
    skipped: int

    def error(self, row: int, what: str, *, rule: str = "", hint: str = "") -> DataError:
        """A `DataError` that names the file and the line of a row; finding the line reads the file again."""
        lines = read_table(self.path, header=False).lines
        return DataError(what, where=f"{self.path}:{lines[row + self.skipped]}", rule=rule, hint=hint)

    def refuse_loops(self, ends: IntArray) -> None:
        """An error for the first row whose two `ends` [rows, 2] are the same node."""
        loops = np.flatnonzero(ends[:, 0] == ends[:, 1])
        if loops.size:
            row = int(loops[0])
            what = f"node '{self.ids[row, 0]}' meets itself"
            raise self.error(row, what, rule="a contact joins two nodes", hint="set simplify: true to drop such rows")

    def refuse_repeated(self, keys: IntArray, rows: IntArray) -> None:
        """An error for the first row whose time and pair stood before; `keys` say which those are, for some of the `rows`."""
        order = np.argsort(keys, kind="stable")
        again = np.flatnonzero(keys[order][1:] == keys[order][:-1])
        if not again.size:
            return
        at = again[np.argmin(order[again + 1])]
        row, before = int(rows[order[at + 1]]), int(rows[order[at]])
        line = read_table(self.path, header=False).lines[before + self.skipped]
        raise self.error(
            row,
            f"nodes '{self.ids[row, 0]}' and '{self.ids[row, 1]}' meet at time {self.times[row]:.12g} on line {line} already",
            rule="each contact stands once, in either direction",
            hint="set simplify: true to merge such rows",
        )

    def nodes(self, numbers: dict[str, int], closed: bool) -> IntArray:
        """Both ends of each row as node numbers, [rows, 2].

        Ids that are not in `numbers` are added in the order of their appearance, or an error where it is `closed`.
        """
        import pandas

        codes, names = pandas.factorize(self.ids.ravel())
        unknown = [name for name in names if name not in numbers]
        if closed and unknown:
            row = int(np.flatnonzero((self.ids == unknown[0]).any(axis=1))[0])
            what = f"node '{unknown[0]}' is not in the node table"
            raise self.error(row, what, hint="add it there, or leave nodes out")
        for name in unknown:
            numbers[str(name)] = len(numbers)
        places = np.array([numbers[str(name)] for name in names], np.int64)
        return np.asarray(places[codes].reshape(-1, 2), np.int64)


def read_contact_rows(path: Path, header: bool | Literal["auto"], weighted: bool | None = False) -> ContactRows:
    """Times and ids of a file without weights, or with them in a fourth column (`weighted` None: where there is one).

    With `header: auto` the first row is a header when its first field is not a number.
    Errors: `DataError` for a file that cannot be read, has no rows, or has one that does not fit.
    """
    found = _fast(path, header, weighted)
    return _slow(path, header, weighted) if found is None else found


def _fast(path: Path, header: bool | Literal["auto"], weighted: bool | None) -> ContactRows | None:
    """All rows by the reader of pandas, or None where anything is odd."""
    import pandas

    try:
        table = pandas.read_csv(
            path,
            header=None,
            dtype=object,
            keep_default_na=False,
            skipinitialspace=True,
            encoding="utf-8-sig",
            engine="c",
        )
    except (OSError, EOFError, ValueError):
        return None
    columns = [table[name].to_numpy(object) for name in table.columns]
    if len(columns) < TIMED_COLUMNS or any(pandas.isna(column).any() for column in columns):
        return None
    skipped = int(header is True or (header == "auto" and number(columns[0][0]) is None))
    columns = [column[skipped:] for column in columns]
    has_weights = weighted if weighted is not None else len(columns) > TIMED_COLUMNS
    if not len(columns[0]) or (has_weights and len(columns) == TIMED_COLUMNS):
        return None
    times = _numbers(columns[0])
    weights = _numbers(columns[3]) if has_weights else None
    ids = np.stack([columns[1], columns[2]], axis=1)
    if not np.isfinite(times).all() or (weights is not None and not (np.isfinite(weights) & (weights > 0)).all()):
        return None
    if any(not name or name != name.strip() for name in pandas.unique(ids.ravel())):
        return None
    return ContactRows(path, times, ids, weights, skipped)


def _numbers(column: NDArray[Any]) -> FloatArray:
    import pandas

    return np.asarray(pandas.to_numeric(pandas.Series(column), errors="coerce"), np.float64)


def _slow(path: Path, header: bool | Literal["auto"], weighted: bool | None) -> ContactRows:
    table = read_table(path, header=False)
    skipped = int(header is True or (header == "auto" and number(table.rows[0][0]) is None))
    if len(table.rows) == skipped:
        raise DataError("no rows", where=str(path), rule="at least one row of data")
    if table.width < TIMED_COLUMNS or (weighted and table.width == TIMED_COLUMNS):
        rule = "a time and two ids, and a weight where weights are asked for"
        raise table.error(skipped, f"{table.width} columns", rule=rule)
    has_weights = weighted if weighted is not None else table.width > TIMED_COLUMNS
    count = len(table.rows) - skipped
    times, weights = np.empty(count), np.empty(count)
    ids = np.empty((count, 2), object)
    for row, fields in enumerate(table.rows[skipped:]):
        time = number(fields[0])
        if time is None or not math.isfinite(time):
            raise table.error(row + skipped, f"time '{fields[0]}'", rule="a time is a finite number")
        if not fields[1] or not fields[2]:
            raise table.error(row + skipped, "an empty id", rule="a contact names two nodes")
        times[row], ids[row] = time, fields[1:3]
        if has_weights:
            weight = number(fields[3])
            if weight is None or not (math.isfinite(weight) and weight > 0):
                rule = "a weight is a positive, finite number"
                raise table.error(row + skipped, f"weight '{fields[3]}'", rule=rule)
            weights[row] = weight
    return ContactRows(path, times, ids, weights if has_weights else None, skipped)
