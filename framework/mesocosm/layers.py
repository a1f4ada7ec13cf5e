"""Layers: a contact graph that is the sum of others on the same nodes, such as household, school and work.

A contact that stands in several layers has the sum of their weights. Where layers change in time, so does their sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm.changes import GraphChanges, KeptGraphs, Piece
from mesocosm.errors import InputError, suggestion
from mesocosm.graph import ContactGraph

Attributes = Mapping[str, NDArray[Any]]

LARGEST_COMPLETE_LAYER = 2000
"""Nodes of a complete layer: its pairs are written out, each with its weight 1/(N-1)."""


def sum_of_layers(layers: Mapping[str, ContactGraph]) -> ContactGraph:
    """The sum of at least one layer; it has the attributes of all.

    Errors: `InputError` for layers with different nodes, for an attribute in which two of them differ, and for a complete
    layer of more than `LARGEST_COMPLETE_LAYER` nodes.
    """
    if not layers:
        raise InputError("no layers", where="graph", rule="at least one")
    names = list(layers)
    first = layers[names[0]]
    attributes: dict[str, NDArray[Any]] = {}
    owner: dict[str, str] = {}
    for name, layer in layers.items():
        if layer.node_count != first.node_count:
            raise InputError(
                f"layer '{name}' has {layer.node_count} nodes, layer '{names[0]}' has {first.node_count}",
                where="graph.layers",
                rule="all layers are graphs on the same nodes",
            )
        for key, column in layer.attributes.items():
            if key in attributes and not np.array_equal(attributes[key], column):
                raise InputError(
                    f"the node attribute '{key}' is not the same in the layers '{owner[key]}' and '{name}'",
                    where="graph.layers",
                    rule="a node has one value of each attribute",
                    hint="take it from one layer, and let the other graph have none",
                )
            if key not in attributes:
                attributes[key], owner[key] = column, name
    return _sum(first.node_count, dict(layers), attributes)


def without_layers(graph: ContactGraph, closed: frozenset[str]) -> ContactGraph:
    """The sum of the layers that are not closed, on the same nodes with the same attributes. See `ContactGraph.without`."""
    for name in sorted(closed):
        if name not in graph.layers:
            rule = suggestion(name, graph.layers) or "this graph has no layers"
            raise InputError(f"no layer is called '{name}'", where="graph", rule=rule)
    if not closed:
        return graph
    left = {name: layer for name, layer in graph.layers.items() if name not in closed}
    return _sum(graph.node_count, left, graph.attributes)


def scaled(graph: ContactGraph, factor: float) -> ContactGraph:
    """The same contacts with their weights times a factor. See `ContactGraph.scaled`."""
    if not (np.isfinite(factor) and factor > 0):
        raise InputError(f"weights times {factor:g}", where="graph", rule="a positive, finite factor")
    if factor == 1.0:
        return graph
    plain = _written_out(graph)
    ones = np.ones(len(plain.indices))
    weights = (ones if plain.weights is None else plain.weights) * factor
    layers = {name: scaled(layer, factor) for name, layer in graph.layers.items()}
    changes = None if graph.changes is None else ScaledChanges(graph.changes, factor)
    return replace(plain, weights=weights, layers=layers, changes=changes, degree_law=None)


class ScaledChanges(GraphChanges):
    """How a graph changes whose weights are those of another one times a factor."""

    def __init__(self, changes: GraphChanges, factor: float) -> None:
        self.changes, self.factor = changes, factor

    def pieces(self, start: float, stop: float) -> Iterator[Piece]:
        return self.changes.pieces(start, stop)

    def graph(self, number: int) -> ContactGraph:
        return scaled(self.changes.graph(number), self.factor)

    def check(self, end: float) -> None:
        self.changes.check(end)


class LayerChanges(GraphChanges):
    """How the sum of `layers` changes, of which at least one changes. The number of a piece is made of those of its layers."""

    def __init__(self, nodes: int, layers: Mapping[str, ContactGraph], attributes: Attributes) -> None:
        self.layers = layers
        self.changing = {name: layer.changes for name, layer in layers.items() if layer.changes is not None}
        still = [layer for layer in layers.values() if layer.changes is None]
        self.still = _plain_sum(nodes, still, attributes)
        self._kept = KeptGraphs(self._build)

    def pieces(self, start: float, stop: float) -> Iterator[Piece]:
        walks = [changes.pieces(start, stop) for changes in self.changing.values()]
        current = [next(walk) for walk in walks]
        while True:
            end = min(piece.stop for piece in current)
            yield Piece(start, end, _joined([piece.number for piece in current]))
            if end >= stop:
                return
            current = [piece if piece.stop > end else next(walk) for piece, walk in zip(current, walks, strict=True)]
            start = end

    def graph(self, number: int) -> ContactGraph:
        return self._kept.get(number)

    def check(self, end: float) -> None:
        for changes in self.changing.values():
            changes.check(end)

    def _build(self, number: int) -> ContactGraph:
        numbers = _parted(number, len(self.changing))
        present = {
            name: changes.graph(each) for (name, changes), each in zip(self.changing.items(), numbers, strict=True)
        }
        total = _plain_sum(self.still.node_count, [self.still, *present.values()], self.still.attributes)
        return replace(total, layers={**self.layers, **present})


def _joined(numbers: list[int]) -> int:
    """One whole number for several, another for others: Cantor's pairing, folded from the left."""
    result = numbers[0]
    for number in numbers[1:]:
        total = result + number
        result = total * (total + 1) // 2 + number
    return result


def _parted(number: int, count: int) -> list[int]:
    """The numbers that were `_joined`."""
    found: list[int] = []
    for _ in range(count - 1):
        total = (isqrt(8 * number + 1) - 1) // 2
        last = number - total * (total + 1) // 2
        found.insert(0, last)
        number = total - last
    return [number, *found]


def _sum(nodes: int, layers: Mapping[str, ContactGraph], attributes: Attributes) -> ContactGraph:
    changing = any(layer.changes is not None for layer in layers.values())
    changes = LayerChanges(nodes, layers, attributes) if changing else None
    return replace(_plain_sum(nodes, list(layers.values()), attributes), layers=layers, changes=changes)


def _plain_sum(nodes: int, graphs: list[ContactGraph], attributes: Attributes) -> ContactGraph:
    from scipy.sparse import csr_array

    total = csr_array((nodes, nodes), dtype=np.float64)
    for graph in graphs:
        total = total + _written_out(graph).adjacency
    weights = None if (total.data == 1.0).all() else total.data
    return ContactGraph(nodes, total.indptr.astype(np.int64), total.indices.astype(np.int32), weights, attributes)


def _written_out(graph: ContactGraph) -> ContactGraph:
    if not graph.is_complete:
        return graph
    if graph.contact_matrix is not None:
        raise InputError(
            "a layer in which groups meet by a contact matrix",
            where="graph.layers",
            rule="a layer has edges",
            hint="use kind: blocks with the same mean contacts",
        )
    if graph.node_count > LARGEST_COMPLETE_LAYER:
        raise InputError(
            f"a complete layer of {graph.node_count} nodes",
            where="graph.layers",
            rule=f"at most {LARGEST_COMPLETE_LAYER}: in a sum of layers its pairs are written out",
            hint="use kind: erdos_renyi with a mean_degree of 20 or more, and a weight of 1 / mean_degree",
        )
    return ContactGraph.from_edges(graph.node_count, *graph.edges())
