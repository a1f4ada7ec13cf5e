"""From edges to sorted CSR rows: an independent sort, borders of rows, types of numbers, and networkx graphs."""

from __future__ import annotations

import networkx
import numpy as np
import pytest

from mesocosm import ContactGraph, InputError


def test_rows_are_those_of_a_plain_sort() -> None:
    """5000 random weighted edges on 700 nodes, in random order and direction, against Python's sort of (row, column).

    Would catch a counting sort that is not stable, or weights that go astray between its two passes.
    """
    generator = np.random.default_rng(1)
    drawn = np.sort(generator.integers(700, size=(5000, 2)), axis=1)
    edges = generator.permutation(np.unique(drawn[drawn[:, 0] != drawn[:, 1]], axis=0))
    edges = np.where(generator.random(len(edges))[:, None] < 0.5, edges, edges[:, ::-1])
    weights = generator.random(len(edges)) + 0.1
    graph = ContactGraph.from_edges(701, edges[:, 0], edges[:, 1], weights)
    once = list(zip(edges[:, 0].tolist(), edges[:, 1].tolist(), weights.tolist(), strict=True))
    both = sorted([*once, *((target, source, weight) for source, target, weight in once)])
    assert graph.indices.tolist() == [column for _, column, _ in both]
    assert graph.weights is not None
    assert graph.weights.tolist() == [weight for _, _, weight in both]
    rows = np.array([row for row, _, _ in both])
    assert graph.indptr.tolist() == [0, *np.cumsum(np.bincount(rows, minlength=701)).tolist()]


def test_equal_neighbours_of_two_nodes_are_no_parallel_edges() -> None:
    """Rows that end and begin with the same neighbour, with empty rows before, between and after.

    Would catch a search for parallel edges that looks across the borders of rows, or fails at an empty one.
    """
    graph = ContactGraph.from_edges(9, [1, 2, 5], [4, 4, 4])
    assert graph.indptr.tolist() == [0, 0, 1, 2, 2, 5, 6, 6, 6, 6]
    assert graph.indices.tolist() == [4, 4, 1, 2, 5, 4]
    with pytest.raises(InputError, match="nodes 4 and 7 are joined more than once"):
        ContactGraph.from_edges(9, [1, 7, 5, 4], [4, 4, 4, 7])
    assert ContactGraph.from_edges(1, [], []).indptr.tolist() == [0, 0]


def test_types_of_numbers() -> None:
    """Neighbours take 32 bits; numbers that one computes with take 64: a pair index of 1e5 nodes needs more than 32.

    Would catch a product of nodes that overflows, and neighbours that take twice the memory, or are copied for scipy.
    """
    last = 99_999
    graph = ContactGraph.from_edges(last + 1, np.array([last], np.int32), np.array([last - 1], np.uint32))
    source, target, _ = graph.edges()
    assert (source * graph.node_count + target).tolist() == [(last - 1) * (last + 1) + last]
    assert (graph.indptr.dtype, graph.indices.dtype, graph.degrees.dtype) == (np.int64, np.int32, np.int64)
    assert np.shares_memory(graph.adjacency.indices, graph.indices)


def test_more_nodes_than_32_bits_are_refused() -> None:
    """Would catch node numbers that wrap around to negative ones."""
    with pytest.raises(InputError, match=r"2147483648 nodes; at most 2147483647: .* 32-bit"):
        ContactGraph.from_edges(2**31, [0], [1])


@pytest.mark.parametrize("weighted", [False, True])
def test_networkx_graph_with_names(weighted: bool) -> None:
    """300 nodes with shuffled names, some without contacts, some weights missing, against networkx's own matrix.

    Would catch edges that follow the order of names instead of that of nodes, and a weight given to another edge.
    """
    generator = np.random.default_rng(2)
    graph = networkx.Graph()
    names = [f"n{number}" for number in generator.permutation(300)]
    graph.add_nodes_from((name, {"age": len(name)}) for name in names)
    for first, second in generator.integers(280, size=(900, 2)):
        if first != second:
            given = {"weight": float(first + 1)} if weighted and (first + second) % 3 else {}
            graph.add_edge(names[first], names[second], **given)
    contact = ContactGraph.from_networkx(graph)
    assert contact.attributes["node"].tolist() == names
    assert contact.attributes["age"].tolist() == [len(name) for name in names]
    assert (contact.weights is not None) == weighted
    np.testing.assert_array_equal(contact.adjacency.toarray(), networkx.to_numpy_array(graph, nodelist=names))
