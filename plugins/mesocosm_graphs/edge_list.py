"""A contact graph from a file: an edge list with optional weights, and an optional table of nodes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mesocosm import ContactGraph
from mesocosm_graphs.options import Edges
from mesocosm_graphs.tables import Table, number, read_table

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


def edges(options: Edges, size: int | None, generator: np.random.Generator) -> ContactGraph:
    """The graph of an edge list. Nodes stand in the order of the node table, else of their first appearance.

    Attributes: `id`, and the other columns of the node table, all as text.
    Errors: `DataError` with file and line for rows that are malformed, weights that are not positive, ids that the node
    table does not have, and, without `simplify`, self-loops and repeated or reciprocal rows.
    """
    table = read_table(options.file, options.header)
    weighted = _is_weighted(table, options.weights)
    attributes = _node_table(options)
    numbers = {name: index for index, name in enumerate(attributes["id"])}
    source, target = _ends(table, numbers, options.nodes is not None)
    if options.nodes is None:
        attributes["id"] = list(numbers)
    weights = _weights(table) if weighted else None
    if options.simplify:
        source, target, weights = _simplified(len(numbers), source, target, weights)
    else:
        _check_simple(table, len(numbers), source, target)
    columns = {name: np.array(values) for name, values in attributes.items()}
    if not options.isolated:
        kept, ends = np.unique(np.concatenate([source, target]), return_inverse=True)
        source, target = ends[: len(source)], ends[len(source) :]
        columns = {name: values[kept] for name, values in columns.items()}
    return ContactGraph.from_edges(len(columns["id"]), source, target, weights, columns)


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


def _node_table(options: Edges) -> dict[str, list[str]]:
    """The columns of the node table by name, `id` among them; only an empty `id` where there is no table."""
    if options.nodes is None:
        return {"id": []}
    table = read_table(options.nodes, options.nodes_header)
    names = list(options.columns or table.names or ("id", "group", *(f"column{i}" for i in range(3, table.width + 1))))
    if options.columns is None and "id" not in names:
        names[0] = "id"
    if options.columns is None and table.names is None:
        names = names[: table.width]
    if len(names) != table.width:
        raise table.error(0, f"{table.width} columns, but columns has {len(names)} names", rule="name each column once")
    if len(set(names)) != len(names) or "" in names:
        raise table.error(0, f"the header {names} repeats a name or leaves one empty", hint="set columns")
    columns = dict(zip(names, (list(column) for column in zip(*table.rows, strict=True)), strict=True))
    first: dict[str, int] = {}
    for row, name in enumerate(columns["id"]):
        if not name:
            raise table.error(row, "an empty id", rule="each node has an id")
        if name in first:
            raise table.error(row, f"node '{name}' stands on line {table.lines[first[name]]} already")
        first[name] = row
    return columns


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


def _simplified(
    nodes: int, source: IntArray, target: IntArray, weights: FloatArray | None
) -> tuple[IntArray, IntArray, FloatArray | None]:
    kept = source != target
    keys = np.minimum(source, target)[kept] * nodes + np.maximum(source, target)[kept]
    pairs, row = np.unique(keys, return_inverse=True)
    sums: FloatArray | None = None
    if weights is not None:
        sums = np.bincount(row, weights[kept], minlength=len(pairs)).astype(np.float64)
    return pairs // nodes, pairs % nodes, sums
