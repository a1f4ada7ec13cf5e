"""The contact graph: who meets whom, frozen as CSR arrays.

A graph is undirected and simple (no self-loops, no parallel edges); edge weights scale a contact. `complete` is implicit:
every pair with weight 1/(N-1), so the field that an agent receives is the mean of the others and no edge is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mesocosm.errors import InputError
from mesocosm.mixing import DegreeLaw, Mixing, build_mixing

if TYPE_CHECKING:
    import networkx
    from scipy.sparse import csr_array

    from mesocosm.changes import GraphChanges

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ContactGraph:
    """An undirected contact graph on the nodes 0 .. node_count - 1.

    Build one with `from_edges`, `from_networkx` or `complete`; all arrays are read-only.

    Attributes
    ----------
    node_count: number of nodes N, at least 1.
    indptr, indices: CSR adjacency; the neighbours of i are `indices[indptr[i]:indptr[i + 1]]`, sorted. Every edge stands
        twice. Both are empty for a complete graph.
    weights: one float per entry of `indices`, or None where every contact weighs 1.
    attributes: node attributes by name, each of shape [N].
    is_complete: whether this is the implicit complete graph.
    degree_law: the law that the degrees were drawn from, where a builder knows it.
    layers: where the graph is the sum of layers, each of them by name; their weights are in them.
    changes: where the graph changes in time, how; the graph itself is then its average over time.
    """

    node_count: int
    indptr: IntArray
    indices: IntArray
    weights: FloatArray | None = None
    attributes: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    is_complete: bool = False
    degree_law: DegreeLaw | None = None
    layers: Mapping[str, ContactGraph] = field(default_factory=dict)
    changes: GraphChanges | None = None

    def __post_init__(self) -> None:
        attributes: dict[str, NDArray[Any]] = {}
        for name, values in self.attributes.items():
            column = np.array(values)
            if column.shape[:1] != (self.node_count,):
                raise InputError(
                    f"node attribute '{name}' has shape {column.shape}",
                    where="graph",
                    rule=f"its first axis must be the {self.node_count} nodes",
                )
            column.setflags(write=False)
            attributes[name] = column
        object.__setattr__(self, "attributes", MappingProxyType(attributes))
        for array in (self.indptr, self.indices, self.weights):
            if array is not None:
                array.setflags(write=False)

    @classmethod
    def complete(cls, node_count: int, attributes: Mapping[str, ArrayLike] | None = None) -> ContactGraph:
        """Every pair in contact with weight 1/(N-1); no edge is stored. N is at least 2."""
        if node_count < 2:
            raise InputError(f"{node_count} nodes", where="graph", rule="a complete graph needs at least 2")
        empty = np.zeros(0, dtype=np.int64)
        columns = {name: np.asarray(values) for name, values in (attributes or {}).items()}
        return cls(node_count, np.zeros(node_count + 1, np.int64), empty, None, columns, is_complete=True)

    @classmethod
    def from_edges(
        cls,
        node_count: int,
        source: ArrayLike,
        target: ArrayLike,
        weights: ArrayLike | None = None,
        attributes: Mapping[str, ArrayLike] | None = None,
        degree_law: DegreeLaw | None = None,
    ) -> ContactGraph:
        """A graph from its edges, each named once in either direction.

        Parameters: `source` and `target`, integer nodes of shape [edges]; `weights` of shape [edges], positive and finite.
        Errors: `InputError` for nodes out of range, self-loops, parallel edges and weights that are not positive.
        """
        first, second = _nodes(source), _nodes(target)
        values = None if weights is None else np.asarray(weights, np.float64).ravel()
        _check_edges(node_count, first, second, values)
        keys = np.concatenate([first * node_count + second, second * node_count + first])
        order = None if values is None else np.argsort(keys)
        keys = np.sort(keys) if order is None else keys[order]
        repeated = np.flatnonzero(keys[1:] == keys[:-1])
        if repeated.size:
            pair = divmod(int(keys[repeated[0]]), node_count)
            raise InputError(
                f"nodes {pair[0]} and {pair[1]} are joined more than once",
                where="graph",
                rule="a contact graph is simple",
                hint="merge parallel edges into one with a weight",
            )
        indptr = np.zeros(node_count + 1, np.int64)
        degrees = np.bincount(first, minlength=node_count) + np.bincount(second, minlength=node_count)
        np.cumsum(degrees, out=indptr[1:])
        columns = keys - np.repeat(np.arange(node_count, dtype=np.int64) * node_count, degrees)
        both = None if values is None else np.concatenate([values, values])[order]
        named = {name: np.asarray(column) for name, column in (attributes or {}).items()}
        return cls(node_count, indptr, columns, both, named, degree_law=degree_law)

    @classmethod
    def from_networkx(cls, graph: networkx.Graph[Any], weight: str = "weight") -> ContactGraph:
        """A contact graph from an undirected, simple networkx graph.

        Nodes keep their order; labels other than 0 .. N-1 become the attribute `node`. An edge attribute named `weight`
        becomes the weight (1 where it is missing); node attributes that every node has are kept.
        """
        if graph.is_directed() or graph.is_multigraph():
            raise InputError(
                f"a {type(graph).__name__}",
                where="graph",
                rule="a contact graph is undirected and simple",
                hint="convert it with networkx.Graph(graph)",
            )
        nodes = list(graph)
        number = {node: index for index, node in enumerate(nodes)}
        source: list[int] = []
        target: list[int] = []
        values: list[Any] = []
        for node, neighbours in graph.adjacency():
            index = number[node]
            # An edge stands in both of its rows: keep the one that names the smaller node first.
            found = [(number[other], data) for other, data in neighbours.items() if number[other] >= index]
            source += [index] * len(found)
            target += [other for other, _ in found]
            values += [data.get(weight) for _, data in found]
        weights = None
        if any(value is not None for value in values):
            weights = np.array([1.0 if value is None else float(value) for value in values])
        attributes = _shared_attributes(graph, nodes)
        if nodes != list(range(len(nodes))):
            attributes = {"node": np.array([str(node) for node in nodes]), **attributes}
        return cls.from_edges(len(nodes), np.array(source, np.int64), np.array(target, np.int64), weights, attributes)

    def to_networkx(self) -> networkx.Graph[Any]:
        """The same graph for networkx, with attributes, and weights where there are any.

        A complete graph is written out with its N(N-1)/2 edges of weight 1/(N-1).
        """
        import networkx

        graph: networkx.Graph[Any] = networkx.Graph()
        names = list(self.attributes)
        graph.add_nodes_from(
            (node, {name: self.attributes[name][node] for name in names}) for node in range(self.node_count)
        )
        source, target, weights = self.edges()
        if weights is None:
            graph.add_edges_from(zip(source.tolist(), target.tolist(), strict=True))
        else:
            graph.add_weighted_edges_from(zip(source.tolist(), target.tolist(), weights.tolist(), strict=True))
        return graph

    def edges(self) -> tuple[IntArray, IntArray, FloatArray | None]:
        """Every edge once, as (smaller node, larger node, weight or None), each of shape [edges]."""
        if self.is_complete:
            first, second = np.triu_indices(self.node_count, 1)
            return first, second, np.full(len(first), 1.0 / (self.node_count - 1))
        rows = np.repeat(np.arange(self.node_count, dtype=np.int64), np.diff(self.indptr))
        once = rows < self.indices
        return rows[once], self.indices[once], None if self.weights is None else self.weights[once]

    @property
    def edge_count(self) -> int:
        """Number of edges, each counted once."""
        pairs = self.node_count * (self.node_count - 1) // 2
        return pairs if self.is_complete else len(self.indices) // 2

    @cached_property
    def degrees(self) -> IntArray:
        """Number of contacts of each node, shape [N]."""
        if self.is_complete:
            return np.full(self.node_count, self.node_count - 1, np.int64)
        return np.diff(self.indptr)

    @cached_property
    def strengths(self) -> FloatArray:
        """Summed contact weight of each node, shape [N]: the degree without weights, 1 on a complete graph."""
        if self.is_complete:
            return np.ones(self.node_count)
        if self.weights is None:
            return self.degrees.astype(np.float64)
        rows = np.repeat(np.arange(self.node_count), self.degrees)
        return np.bincount(rows, self.weights, minlength=self.node_count).astype(np.float64)

    @cached_property
    def adjacency(self) -> csr_array:
        """The weighted adjacency matrix, sparse, shape [N, N]; refused for the implicit complete graph."""
        from scipy.sparse import csr_array

        if self.is_complete:
            raise InputError("a complete graph stores no edges", where="graph", hint="use neighbour_sum")
        data = np.ones(len(self.indices)) if self.weights is None else self.weights
        return csr_array((data, self.indices, self.indptr), shape=(self.node_count, self.node_count))

    def neighbour_sum(self, emission: FloatArray) -> FloatArray:
        """Field of every node: sum over neighbours j of w_ij * emission_j; shapes [..., N] to [..., N]."""
        if self.is_complete:
            total = emission.sum(axis=-1, keepdims=True)
            return np.asarray((total - emission) / (self.node_count - 1), np.float64)
        flat = emission.reshape(-1, self.node_count)
        return np.ascontiguousarray((self.adjacency @ flat.T).T).reshape(emission.shape)

    def field(self, emission: FloatArray, normalise: str = "sum") -> FloatArray:
        """What every node receives of an emission, channel by channel: shapes [..., N, channel] to [..., N, channel].

        The weighted sum over contacts, or their weighted average with `normalise` of `mean`; 0 for a node without contacts.
        """
        summed = np.moveaxis(self.neighbour_sum(np.moveaxis(emission, -1, 0)), 0, -1)
        if normalise == "mean":
            summed = summed / np.where(self.strengths > 0, self.strengths, 1.0)[:, None]
        return summed

    def group_index(self, attribute: str = "group") -> tuple[tuple[str, ...], IntArray]:
        """Sorted group names of a node attribute, and the number of each node's group, shape [N]."""
        if attribute not in self.attributes:
            raise InputError(
                f"the graph has no node attribute '{attribute}'",
                where="graph",
                rule=f"it has: {', '.join(self.attributes) or 'none'}",
                hint="name one of these, or give the nodes groups",
            )
        names, index = np.unique(self.attributes[attribute].astype(str), return_inverse=True)
        return tuple(str(name) for name in names), index.astype(np.int64)

    def mixing(self, closure: str, *, normalise: str = "sum", group: str = "group", degrees: str = "graph") -> Mixing:
        """Types and mixing matrix of a mean-field closure: homogeneous, degree, group or individual.

        `normalise` is `sum` (contagion) or `mean` (averaging); `group` names the node attribute of the group closure;
        `degrees` is `graph` (the degrees of this graph) or `law` (the law that they were drawn from).
        """
        return build_mixing(self, closure, normalise=normalise, group=group, degrees=degrees)


def _nodes(values: ArrayLike) -> IntArray:
    """Node numbers, flat. Errors: `InputError` for anything but integers."""
    array = np.asarray(values).ravel()
    if array.size and array.dtype.kind not in "iu":
        raise InputError(f"nodes of type {array.dtype}", where="graph", rule="nodes are integers, 0 to N-1")
    return array.astype(np.int64)


def _shared_attributes(graph: networkx.Graph[Any], nodes: list[Any]) -> dict[str, NDArray[Any]]:
    """The node attributes that every node has."""
    shared = set(graph.nodes[nodes[0]]) if nodes else set()
    for node in nodes:
        shared &= graph.nodes[node].keys()
        if not shared:
            break
    return {str(name): np.array([graph.nodes[node][name] for node in nodes]) for name in sorted(shared, key=str)}


def _check_edges(node_count: int, source: IntArray, target: IntArray, weights: FloatArray | None) -> None:
    if node_count < 1:
        raise InputError(f"{node_count} nodes", where="graph", rule="at least 1")
    if len(source) != len(target) or (weights is not None and len(weights) != len(source)):
        raise InputError("source, target and weights differ in length", where="graph")
    outside = (source < 0) | (source >= node_count) | (target < 0) | (target >= node_count)
    if outside.any():
        edge = int(np.flatnonzero(outside)[0])
        raise InputError(
            f"edge {edge} joins nodes {source[edge]} and {target[edge]}",
            where="graph",
            rule=f"nodes are numbered 0 to {node_count - 1}",
        )
    loops = np.flatnonzero(source == target)
    if loops.size:
        raise InputError(f"node {source[loops[0]]} is joined to itself", where="graph", rule="no self-loops")
    if weights is not None and not (np.isfinite(weights) & (weights > 0)).all():
        edge = int(np.flatnonzero(~(np.isfinite(weights) & (weights > 0)))[0])
        raise InputError(
            f"edge {edge} has weight {weights[edge]:g}", where="graph", rule="weights are positive and finite"
        )
