"""A contact graph from a file: an edge list with optional weights, and an optional table of nodes."""

from __future__ import annotations

import numpy as np

from mesocosm import ContactGraph
from mesocosm_graphs.edge_rows import FloatArray, IntArray, read_edges
from mesocosm_graphs.options import Edges, WithNodes
from mesocosm_graphs.tables import read_table


def edges(options: Edges, size: int | None, generator: np.random.Generator) -> ContactGraph:
    """The graph of an edge list. Nodes stand in the order of the node table, else of their first appearance.

    Attributes: `id`, and the other columns of the node table, all as text.
    Errors: `DataError` with file and line for rows that are malformed, weights that are not positive, ids that the node
    table does not have, and, without `simplify`, self-loops and repeated or reciprocal rows.
    """
    attributes = node_table(options)
    rows = read_edges(options, attributes["id"])
    attributes["id"] = rows.names
    source, target, weights = rows.source, rows.target, rows.weights
    if options.simplify:
        source, target, weights = _simplified(len(rows.names), source, target, weights)
    columns = {name: np.array(values) for name, values in attributes.items()}
    if not options.isolated:
        kept, ends = np.unique(np.concatenate([source, target]), return_inverse=True)
        source, target = ends[: len(source)], ends[len(source) :]
        columns = {name: values[kept] for name, values in columns.items()}
    return ContactGraph.from_edges(len(columns["id"]), source, target, weights, columns)


def node_table(options: WithNodes) -> dict[str, list[str]]:
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
