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

from mesocosm.edges import NodeArray, edges_of_networkx, sorted_rows
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
    indptr, indices: CSR adjacency, int64 and int32; the neighbours of i are `indices[indptr[i]:indptr[i + 1]]`, sorted.
        Every edge stands twice. Both are empty for a complete graph.
    weights: one float per entry of `indices`, or None where every contact weighs 1.
    attributes: node attributes by name, each of shape [N].
    is_complete: whether this is the implicit complete graph.
    degree_law: the law that the degrees were drawn from, where a builder knows it.
    layers: where the graph is the sum of layers, each of them by name; their weights are in them.
    changes: where the graph changes in time, how; the graph itself is then its average over time.
    contact_matrix: of a complete graph with groups, [g, h]: contacts of a node of group g in group h, in the order of
        `group_index`, where they are not those of nodes that meet everyone alike. Then the game takes account of them: see
        `GroupedGame`.
    """

    node_count: int
    indptr: IntArray
    indices: NodeArray
    weights: FloatArray | None = None
    attributes: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    is_complete: bool = False
    degree_law: DegreeLaw | None = None
    layers: Mapping[str, ContactGraph] = field(default_factory=dict)
    changes: GraphChanges | None = None
    contact_matrix: FloatArray | None = None

    def __post_init__(self) -> None:
        attributes: dict[str, NDArray[Any]] = {}
        for name, values in self.attributes.items():
            # A graph made from another shares its columns: nobody can write into them.
            shared = isinstance(values, np.ndarray) and values.base is None and not values.flags.writeable
            column = values if shared else np.array(values)
            if column.shape[:1] != (self.node_count,):
                raise InputError(
                    f"node attribute '{name}' has shape {column.shape}",
                    where="graph",
                    rule=f"its first axis must be the {self.node_count} nodes",
                )
            column.setflags(write=False)
            attributes[name] = column
        object.__setattr__(self, "attributes", MappingProxyType(attributes))
        for array in (self.indptr, self.indices, self.weights, self.contact_matrix):
            if array is not None:
                array.setflags(write=False)

    @classmethod
    def complete(
        cls,
        node_count: int,
        attributes: Mapping[str, ArrayLike] | None = None,
        contact_matrix: FloatArray | None = None,
    ) -> ContactGraph:
        """Every pair in contact with weight 1/(N-1); no edge is stored. N is at least 2."""
        if node_count < 2:
            raise InputError(f"{node_count} nodes", where="graph", rule="a complete graph needs at least 2")
        empty = np.zeros(0, dtype=np.int32)
        columns = {name: np.asarray(values) for name, values in (attributes or {}).items()}
        indptr = np.zeros(node_count + 1, np.int64)
        return cls(node_count, indptr, empty, None, columns, is_complete=True, contact_matrix=contact_matrix)

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
        rows = sorted_rows(node_count, source, target, weights)
        named = {name: np.asarray(column) for name, column in (attributes or {}).items()}
        return cls(node_count, *rows, named, degree_law=degree_law)

    @classmethod
    def from_networkx(cls, graph: networkx.Graph[Any], weight: str = "weight") -> ContactGraph:
        """A contact graph from an undirected, simple networkx graph.

        Nodes keep their order; labels other than 0 .. N-1 become the attribute `node`. An edge attribute named `weight`
        becomes the weight (1 where it is missing); node attributes that every node has are kept.
        """
        found = edges_of_networkx(graph, weight)
        return cls.from_edges(found.node_count, found.source, found.target, found.weights, found.attributes)

    @classmethod
    def from_layers(cls, layers: Mapping[str, ContactGraph]) -> ContactGraph:
        """The sum of graphs on the same nodes: weights add up, and it has the attributes of all.

        Errors: `InputError` for different nodes, for an attribute in which two layers differ, and for a complete layer of more
        than 2000 nodes, since its pairs are written out.
        """
        from mesocosm.layers import sum_of_layers

        return sum_of_layers(layers)

    def without(self, closed: frozenset[str]) -> ContactGraph:
        """The sum of the layers that are not closed, on the same nodes with the same attributes.

        Errors: `InputError` for a name that is not that of a layer.
        """
        from mesocosm.layers import without_layers

        return without_layers(self, closed)

    def scaled(self, factor: float) -> ContactGraph:
        """The same contacts with their weights times a factor, which is positive and finite."""
        from mesocosm.layers import scaled

        return scaled(self, factor)

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
        rows = np.repeat(np.arange(self.node_count, dtype=np.int32), self.degrees)
        once = rows < self.indices
        source, target = rows[once].astype(np.int64), self.indices[once].astype(np.int64)
        return source, target, None if self.weights is None else self.weights[once]

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
        rows = np.repeat(np.arange(self.node_count, dtype=np.int32), self.degrees)
        return np.bincount(rows, self.weights, minlength=self.node_count).astype(np.float64)

    @cached_property
    def adjacency(self) -> csr_array:
        """The weighted adjacency matrix, sparse, shape [N, N]; refused for the implicit complete graph."""
        from scipy.sparse import csr_array

        if self.is_complete:
            raise InputError("a complete graph stores no edges", where="graph", hint="use neighbour_sum")
        data = np.ones(len(self.indices)) if self.weights is None else self.weights
        # Both of one type: else scipy would copy the neighbours to that of the borders.
        borders = self.indptr.astype(np.int32) if len(self.indices) < 2**31 else self.indptr
        return csr_array((data, self.indices, borders), shape=(self.node_count, self.node_count))

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
        if attribute not in self._groups:
            names, index = np.unique(self.attributes[attribute].astype(str), return_inverse=True)
            index = index.astype(np.int64)
            index.setflags(write=False)
            self._groups[attribute] = tuple(str(name) for name in names), index
        return self._groups[attribute]

    @cached_property
    def _groups(self) -> dict[str, tuple[tuple[str, ...], IntArray]]:
        """What `group_index` found, by attribute."""
        return {}

    def mixing(self, closure: str, *, normalise: str = "sum", group: str = "group", degrees: str = "graph") -> Mixing:
        """Types and mixing matrix of a mean-field closure: homogeneous, degree, group or individual.

        `normalise` is `sum` (contagion) or `mean` (averaging); `group` names the node attribute of the group closure;
        `degrees` is `graph` (the degrees of this graph) or `law` (the law that they were drawn from).
        """
        return build_mixing(self, closure, normalise=normalise, group=group, degrees=degrees)
