"""ContactGraph: edges in, CSR inside, networkx in and out, errors."""

from __future__ import annotations

from typing import Any

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesocosm import ContactGraph, InputError


@st.composite
def simple_graphs(draw: Any) -> networkx.Graph:
    """Small simple graphs on 0..N-1, with or without weights, with a node attribute."""
    nodes = draw(st.integers(1, 12))
    pairs = [(i, j) for i in range(nodes) for j in range(i)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    weighted = draw(st.booleans())
    graph = networkx.Graph()
    graph.add_nodes_from((i, {"group": f"g{i % 3}"}) for i in range(nodes))
    for i, j in chosen:
        graph.add_edge(i, j, **({"weight": draw(st.floats(0.01, 100))} if weighted else {}))
    return graph


@settings(deadline=None, max_examples=150)
@given(simple_graphs())
def test_networkx_round_trip(graph: networkx.Graph) -> None:
    """Would catch a lost or misplaced edge, weight or attribute, and unsorted neighbours."""
    contact = ContactGraph.from_networkx(graph)
    back = contact.to_networkx()
    assert set(back.nodes) == set(graph.nodes)
    assert {frozenset(edge) for edge in back.edges} == {frozenset(edge) for edge in graph.edges}
    for i, j, data in graph.edges(data=True):
        assert back.edges[i, j].get("weight") == data.get("weight")
    assert [back.nodes[i]["group"] for i in range(len(graph))] == [graph.nodes[i]["group"] for i in range(len(graph))]
    for node in graph:
        mine = contact.indices[contact.indptr[node] : contact.indptr[node + 1]].tolist()
        assert mine == sorted(graph.neighbors(node))


@settings(deadline=None, max_examples=100)
@given(simple_graphs(), st.integers(0, 2**32))
def test_fields_are_products_with_the_adjacency_matrix(graph: networkx.Graph, seed: int) -> None:
    """Would catch weights that do not follow their edges through the sort, and wrong degrees or strengths."""
    contact = ContactGraph.from_networkx(graph)
    matrix = networkx.to_numpy_array(graph, nodelist=range(len(graph)))
    emission = np.random.default_rng(seed).normal(size=(2, 3, len(graph)))
    np.testing.assert_allclose(contact.neighbour_sum(emission), emission @ matrix, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(contact.adjacency.toarray(), matrix, rtol=0, atol=0)
    np.testing.assert_allclose(contact.strengths, matrix.sum(axis=1), rtol=1e-14)
    np.testing.assert_array_equal(contact.degrees, (matrix > 0).sum(axis=1))
    assert contact.edge_count == graph.number_of_edges()


def test_strengths_do_not_leak_between_nodes() -> None:
    """Would catch strengths taken as differences of one running sum: 1e16 then swallows the weights after it."""
    graph = ContactGraph.from_edges(4, [0, 2], [1, 3], [1e16, 1.0])
    np.testing.assert_array_equal(graph.strengths, [1e16, 1e16, 1.0, 1.0])


def test_the_order_and_direction_of_edges_do_not_matter() -> None:
    """Would catch a CSR that depends on how the edges were listed."""
    one = ContactGraph.from_edges(4, [0, 1, 2], [1, 2, 3], [1.0, 2.0, 3.0])
    two = ContactGraph.from_edges(4, [3, 1, 2], [2, 0, 1], [3.0, 1.0, 2.0])
    for name in ("indptr", "indices", "weights"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    source, target, weights = two.edges()
    assert weights is not None
    assert (source.tolist(), target.tolist(), weights.tolist()) == ([0, 1, 2], [1, 2, 3], [1.0, 2.0, 3.0])


def test_complete_graph_is_the_mean_of_the_others() -> None:
    """Would catch a field that includes the agent itself, or edges that are stored."""
    graph = ContactGraph.complete(5)
    emission = np.array([1.0, 2.0, 3.0, 4.0, 10.0])
    expected = [np.delete(emission, i).mean() for i in range(5)]
    np.testing.assert_allclose(graph.neighbour_sum(emission), expected, rtol=1e-14)
    assert len(graph.indices) == 0
    assert graph.edge_count == 10
    assert graph.degrees.tolist() == [4] * 5
    written = ContactGraph.from_networkx(graph.to_networkx())
    np.testing.assert_allclose(written.neighbour_sum(emission), expected, rtol=1e-14)


def test_arrays_are_frozen() -> None:
    """Would catch a dynamics that changes the graph under the others."""
    graph = ContactGraph.from_edges(3, [0, 1], [1, 2], [1.0, 2.0], {"group": ["a", "b", "a"]})
    for array in (graph.indptr, graph.indices, graph.weights, graph.attributes["group"]):
        assert array is not None
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]
    with pytest.raises(TypeError):
        graph.attributes["more"] = np.zeros(3)  # type: ignore[index]


def test_labels_of_networkx_nodes_are_kept() -> None:
    """Would catch labels lost when they are not 0..N-1, or attributes that only some nodes have."""
    graph = networkx.Graph([("ann", "bob"), ("bob", "cid")])
    graph.nodes["ann"]["age"] = 3
    contact = ContactGraph.from_networkx(graph)
    assert contact.attributes["node"].tolist() == ["ann", "bob", "cid"]
    assert set(contact.attributes) == {"node"}


def test_groups_are_named_in_order() -> None:
    """Would catch a group index that does not point into the names."""
    graph = ContactGraph.from_edges(3, [0], [1], attributes={"class": ["b", "a", "b"]})
    names, index = graph.group_index("class")
    assert names == ("a", "b")
    assert index.tolist() == [1, 0, 1]
    with pytest.raises(InputError, match=r"no node attribute 'group'; it has: class"):
        graph.group_index()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, [], []), "0 nodes; at least 1"),
        ((3, [0, 1], [1, 3]), "edge 1 joins nodes 1 and 3; nodes are numbered 0 to 2"),
        ((3, [0, -1], [1, 2]), "edge 1 joins nodes -1 and 2"),
        ((3, [0, 2], [1, 2]), "node 2 is joined to itself; no self-loops"),
        ((3, [0, 1], [1, 0]), "nodes 0 and 1 are joined more than once; a contact graph is simple"),
        ((3, [0, 0], [1, 1], [1.0, 2.0]), "nodes 0 and 1 are joined more than once"),
        ((3, [0], [1], [0.0]), "edge 0 has weight 0; weights are positive and finite"),
        ((3, [0], [1], [float("nan")]), "edge 0 has weight nan"),
        ((3, [0], [1, 2]), "differ in length"),
        ((3, [0.5], [1.0]), "nodes of type float64; nodes are integers"),
        ((2, [0], [1], None, {"group": ["a"]}), r"node attribute 'group' has shape \(1,\)"),
    ],
)
def test_wrong_edges_are_refused(arguments: Any, message: str) -> None:
    """Would catch wrong edges that are taken, or an error that does not say which edge is wrong."""
    with pytest.raises(InputError, match=message):
        ContactGraph.from_edges(*arguments)


def test_wrong_graphs_are_refused() -> None:
    """Would catch directed graphs and multigraphs that are flattened silently."""
    for graph in (networkx.DiGraph([(0, 1)]), networkx.MultiGraph([(0, 1), (0, 1)])):
        with pytest.raises(InputError, match=rf"a {type(graph).__name__}; a contact graph is undirected and simple"):
            ContactGraph.from_networkx(graph)
    with pytest.raises(InputError, match="no self-loops"):
        ContactGraph.from_networkx(networkx.Graph([(0, 0), (0, 1)]))
    with pytest.raises(InputError, match="1 nodes; a complete graph needs at least 2"):
        ContactGraph.complete(1)
    with pytest.raises(InputError, match="a complete graph stores no edges"):
        _ = ContactGraph.complete(3).adjacency
