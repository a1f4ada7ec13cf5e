"""The rows of an edge list as numbered nodes: at once where all is well, and row by row where not, to name the line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesocosm_graphs.options import Edges
from mesocosm_graphs.tables import Table, number, read_columns, read_table

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


class EdgeRows(NamedTuple):
    """The ids of all nodes, the number of the node at either end of each row, [rows], and weights [rows], or None."""

    names: list[str]
    source: IntArray
    target: IntArray
    weights: FloatArray | None


def read_edges(options: Edges, known: Sequence[str]) -> EdgeRows:
    """All rows of an edge list; `known` are the ids in the node table, else nodes are numbered as they appear.

    Errors: `DataError` as `mesocosm_graphs.edge_list.edges` says.
    """
    rows = _fast(options, known)
    return _slow(options, known) if rows is None else rows


def _fast(options: Edges, known: Sequence[str]) -> EdgeRows | None:
    """All rows, or None where anything is odd."""
    import pandas

    columns = read_columns(options.file, options.header)
    if columns is None or not 2 <= len(columns) <= 3 or (options.weights and len(columns) == 2):
        return None
    codes, found = pandas.factorize(np.stack(columns[:2], axis=1).ravel())
    if any(name != name.strip() for name in found):
        return None
    names = list(known) if options.nodes is not None else found.tolist()
    if options.nodes is not None:
        number_of = {name: index for index, name in enumerate(names)}
        if any(name not in number_of for name in found):
            return None
        codes = np.array([number_of[name] for name in found], np.int64)[codes]
    source, target = codes[::2].astype(np.int64), codes[1::2].astype(np.int64)
    if not options.simplify and not _is_simple(len(names), source, target):
        return None
    weights = None
    if len(columns) == 3 and options.weights is not False:
        try:
            weights = np.array([float(field) for field in columns[2]])
        except ValueError:
            return None
        if not (np.isfinite(weights) & (weights > 0)).all():
            return None
    return EdgeRows(names, source, target, weights)


def _is_simple(nodes: int, source: IntArray, target: IntArray) -> bool:
    keys = np.sort(np.minimum(source, target) * nodes + np.maximum(source, target))
    return not ((source == target).any() or (keys[1:] == keys[:-1]).any())


def _slow(options: Edges, known: Sequence[str]) -> EdgeRows:
    table = read_table(options.file, options.header)
    weighted = _is_weighted(table, options.weights)
    numbers = {name: index for index, name in enumerate(known)}
    source, target = _ends(table, numbers, options.nodes is not None)
    weights = _weights(table) if weighted else None
    if not options.simplify:
        _check_simple(table, len(numbers), source, target)
    return EdgeRows(list(numbers), source, target, weights)


def _is_weighted(table: Table, asked: bool | None) -> bool:
    if table.width not in (2, 3):
        raise table.error(
            0, f"{table.width} columns", rule="an edge list has two columns of ids, and optionally one of weights"
        )
    if asked and table.width == 2:
        raise table.error(0, "no third column", rule="weights: true needs one", hint="leave weights out")
    return table.width == 3 if asked is None else asked


def _ends(table: Table, numbers: dict[str, int], closed: bool) -> tuple[IntArray, IntArray]:
    """Both ends of each row as node numbers. Unknown ids are added to `numbers`, or an error where it is `closed`."""
    ends = np.empty((len(table.rows), 2), np.int64)
    for row, fields in enumerate(table.rows):
        for side in (0, 1):
            name = fields[side]
            if name not in numbers:
                if not name:
                    raise table.error(row, "an empty id", rule="an edge names two nodes")
                if closed:
                    raise table.error(
                        row, f"node '{name}' is not in the node table", hint="add it there, or leave nodes out"
                    )
                numbers[name] = len(numbers)
            ends[row, side] = numbers[name]
    return ends[:, 0], ends[:, 1]


def _weights(table: Table) -> FloatArray:
    weights = np.empty(len(table.rows))
    for row, fields in enumerate(table.rows):
        value = number(fields[2])
        if value is None or not (math.isfinite(value) and value > 0):
            raise table.error(
                row,
                f"weight '{fields[2]}'",
                rule="a weight is a positive, finite number",
                hint="set weights: false to leave the third column unread" if value is None else "",
            )
        weights[row] = value
    return weights


def _check_simple(table: Table, nodes: int, source: IntArray, target: IntArray) -> None:
    hint = "set simplify: true to drop self-loops and merge repeated and reciprocal rows"
    loops = np.flatnonzero(source == target)
    if loops.size:
        raise table.error(
            int(loops[0]), f"node '{table.rows[loops[0]][0]}' meets itself", rule="no self-loops", hint=hint
        )
    keys = np.minimum(source, target) * nodes + np.maximum(source, target)
    order = np.argsort(keys, kind="stable")
    again = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    if again.size:
        at = again[np.argmin(order[again + 1])]
        row, before = int(order[at + 1]), int(order[at])
        names = table.rows[row]
        raise table.error(
            row,
            f"nodes '{names[0]}' and '{names[1]}' are joined on line {table.lines[before]} already",
            rule="each pair stands once, in either direction",
            hint=hint,
        )
