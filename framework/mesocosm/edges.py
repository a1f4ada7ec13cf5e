"""From a list of edges to the sorted CSR rows of an undirected graph, in time linear in the edges.

Two counting sorts do it: the conversions of scipy.sparse from a list of entries to rows, and from rows to columns. The
second one lists every column by rising row, and the columns of a symmetric matrix are its rows.
"""

from __future__ import annotations

from itertools import chain, compress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mesocosm.errors import InputError

if TYPE_CHECKING:
    import networkx

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
NodeArray = NDArray[np.int32]

MOST_NODES = 2**31 - 1


class Rows(NamedTuple):
    """CSR rows of N nodes: the neighbours of node i are `indices[indptr[i]:indptr[i + 1]]`, rising; no node is repeated.

    All are read-only. `indptr` is [N + 1]; `indices` and `weights` (None where all are 1) are [entries], every edge twice.
    """

    indptr: IntArray
    indices: NodeArray
    weights: FloatArray | None


def sorted_rows(node_count: int, source: ArrayLike, target: ArrayLike, weights: ArrayLike | None) -> Rows:
    """The rows of the graph with these edges, each named once in either direction.

    Parameters: `source` and `target`, integer nodes of shape [edges]; `weights` of shape [edges], positive and finite.
    Errors: `InputError` for nodes out of range, self-loops, parallel edges and weights that are not positive.
    """
    from scipy.sparse import coo_array

    first, second = _nodes(source), _nodes(target)
    values = None if weights is None else np.asarray(weights, np.float64).ravel()
    _check_edges(node_count, first, second, values)
    rows = np.concatenate([first, second], dtype=np.int32, casting="unsafe")
    columns = np.concatenate([second, first], dtype=np.int32, casting="unsafe")
    # Without weights, one byte per entry is carried along.
    data = np.zeros(len(rows), np.int8) if values is None else np.concatenate([values, values])
    entries = coo_array((data, (rows, columns)), shape=(node_count, node_count))
    # Else scipy would sort again, and merge the parallel edges that are to be refused.
    entries.has_canonical_format = True
    by_row: Any = entries.tocsr()
    del entries, rows, columns, data
    by_column: Any = by_row.tocsc()
    del by_row
    indptr = _frozen(np.asarray(by_column.indptr, np.int64))
    indices = _frozen(np.asarray(by_column.indices, np.int32))
    _check_simple(indptr, indices)
    return Rows(indptr, indices, None if values is None else _frozen(np.asarray(by_column.data, np.float64)))


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """The array, read-only, and so is the longer one that scipy has cut it from."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner.setflags(write=False)
        owner = owner.base
    return array


def _nodes(values: ArrayLike) -> NDArray[Any]:
    """Node numbers, flat. Errors: `InputError` for anything but integers."""
    array = np.asarray(values).ravel()
    if array.size and array.dtype.kind not in "iu":
        raise InputError(f"nodes of type {array.dtype}", where="graph", rule="nodes are integers, 0 to N-1")
    return array


def _check_edges(node_count: int, source: NDArray[Any], target: NDArray[Any], weights: FloatArray | None) -> None:
    if not 1 <= node_count <= MOST_NODES:
        rule = "at least 1" if node_count < 1 else f"at most {MOST_NODES}: nodes are numbered by 32-bit integers"
        raise InputError(f"{node_count} nodes", where="graph", rule=rule)
    if len(source) != len(target) or (weights is not None and len(weights) != len(source)):
        raise InputError("source, target and weights differ in length", where="graph")
    if any(len(ends) and (ends.min() < 0 or ends.max() >= node_count) for ends in (source, target)):
        outside = (source < 0) | (source >= node_count) | (target < 0) | (target >= node_count)
        edge = int(np.argmax(outside))
        raise InputError(
            f"edge {edge} joins nodes {source[edge]} and {target[edge]}",
            where="graph",
            rule=f"nodes are numbered 0 to {node_count - 1}",
        )
    loops = source == target
    if loops.any():
        raise InputError(
            f"node {source[int(np.argmax(loops))]} is joined to itself", where="graph", rule="no self-loops"
        )
    if weights is not None and not (np.isfinite(weights) & (weights > 0)).all():
        edge = int(np.argmin(np.isfinite(weights) & (weights > 0)))
        raise InputError(
            f"edge {edge} has weight {weights[edge]:g}", where="graph", rule="weights are positive and finite"
        )


def _check_simple(indptr: IntArray, indices: NodeArray) -> None:
    """Refuse parallel edges: in a sorted row they stand side by side."""
    repeated = indices[1:] == indices[:-1]
    # The last entry of a row and the first of the next one may be equal.
    borders = indptr[1:-1]
    repeated[borders[(borders > 0) & (borders < len(indices))] - 1] = False
    if repeated.any():
        at = int(np.argmax(repeated))
        node = int(np.searchsorted(indptr, at, side="right")) - 1
        raise InputError(
            f"nodes {node} and {indices[at]} are joined more than once",
            where="graph",
            rule="a contact graph is simple",
            hint="merge parallel edges into one with a weight",
        )


class NetworkxEdges(NamedTuple):
    """What a networkx graph holds, with its nodes numbered in their order: every edge once, and shared attributes.

    `source` and `target` are [edges]; `weights` [edges], or None where no edge has one; attributes are [N].
    """

    node_count: int
    source: IntArray
    target: IntArray
    weights: FloatArray | None
    attributes: dict[str, NDArray[Any]]


def edges_of_networkx(graph: networkx.Graph[Any], weight: str) -> NetworkxEdges:
    """The edges and attributes of an undirected, simple networkx graph; `weight` names the attribute of edges.

    Errors: `InputError` for a directed graph and for a multigraph.
    """
    if graph.is_directed() or graph.is_multigraph():
        raise InputError(
            f"a {type(graph).__name__}",
            where="graph",
            rule="a contact graph is undirected and simple",
            hint="convert it with networkx.Graph(graph)",
        )
    nodes = list(graph)
    rows = [neighbours for _, neighbours in graph.adjacency()]
    degrees = np.fromiter(map(len, rows), np.int64, len(rows))
    others: Any = chain.from_iterable(rows)
    is_numbered = nodes == list(range(len(nodes)))
    if not is_numbered:
        others = map({node: index for index, node in enumerate(nodes)}.__getitem__, others)
    source = np.repeat(np.arange(len(nodes), dtype=np.int64), degrees)
    target = np.fromiter(others, np.int64, len(source))
    # An edge stands in both of its rows: keep the one of its smaller node.
    once = source <= target
    attributes = _shared_attributes(graph)
    if not is_numbered:
        attributes = {"node": np.array([str(node) for node in nodes]), **attributes}
    return NetworkxEdges(len(nodes), source[once], target[once], _weights(rows, once, weight), attributes)


def _weights(rows: list[Any], once: NDArray[np.bool_], weight: str) -> FloatArray | None:
    """The weights of the marked entries of these rows, 1 where one is missing; None where all are."""
    data = chain.from_iterable(neighbours.values() for neighbours in rows)
    values = [of_edge.get(weight) for of_edge in compress(data, once.tolist())]
    if values.count(None) == len(values):
        return None
    return np.array([1.0 if value is None else float(value) for value in values])


def _shared_attributes(graph: networkx.Graph[Any]) -> dict[str, NDArray[Any]]:
    """The node attributes that every node has."""
    columns = [values for _, values in graph.nodes(data=True)]
    shared = set(columns[0]) if columns else set()
    for values in columns:
        shared &= values.keys()
        if not shared:
            break
    return {str(name): np.array([values[name] for values in columns]) for name in sorted(shared, key=str)}
