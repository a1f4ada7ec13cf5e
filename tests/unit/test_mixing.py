"""Mean-field closures against the adjacency matrix, written out by brute force."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
from numpy.typing import NDArray

from mesocosm import ContactGraph, DegreeLaw, InputError

CLOSURES = ("homogeneous", "degree", "group", "individual")


def some_graph(weighted: bool = False) -> tuple[ContactGraph, NDArray[np.float64]]:
    """An irregular graph of 40 nodes with three groups and one isolated node, and its adjacency matrix."""
    graph = networkx.gnp_random_graph(40, 0.12, seed=4)
    graph.remove_edges_from(list(graph.edges(7)))
    generator = np.random.default_rng(5)
    for node in graph:
        graph.nodes[node]["group"] = "abc"[(node * 7) % 3]
    if weighted:
        for edge in graph.edges:
            graph.edges[edge]["weight"] = float(generator.integers(1, 5))
    return ContactGraph.from_networkx(graph), networkx.to_numpy_array(graph, nodelist=range(40))


@pytest.mark.parametrize("weighted", [False, True])
def test_individual_is_the_adjacency_matrix(weighted: bool) -> None:
    """Would catch a transposed, unweighted or relabelled matrix."""
    graph, matrix = some_graph(weighted)
    mixing = graph.mixing("individual")
    np.testing.assert_allclose(mixing.dense(), matrix, rtol=0, atol=0)
    np.testing.assert_allclose(mixing.degrees, matrix.sum(axis=1))
    np.testing.assert_allclose(mixing.shares, 1 / 40)


@pytest.mark.parametrize("weighted", [False, True])
def test_group_rows_are_mean_contacts(weighted: bool) -> None:
    """Would catch rows divided by the wrong group's size, or group pairs counted once instead of from each side."""
    graph, matrix = some_graph(weighted)
    mixing = graph.mixing("group")
    group = graph.attributes["group"]
    assert mixing.types == ("a", "b", "c")
    for g, first in enumerate("abc"):
        for h, second in enumerate("abc"):
            mean = matrix[np.ix_(group == first, group == second)].sum() / (group == first).sum()
            assert mixing.dense()[g, h] == pytest.approx(mean, rel=1e-13)
    assert mixing.membership is not None
    assert [mixing.types[index] for index in mixing.membership] == group.tolist()
    # The total contacts between two groups are the same from both sides.
    flow = mixing.shares[:, None] * mixing.dense()
    np.testing.assert_allclose(flow, flow.T, rtol=1e-13)


def test_group_rows_agree_with_networkx_attribute_mixing() -> None:
    """Would catch a wrong count of contacts between groups, by an independent counter."""
    graph, _ = some_graph()
    counts = networkx.attribute_mixing_matrix(
        graph.to_networkx(), "group", mapping={"a": 0, "b": 1, "c": 2}, normalized=False
    )
    sizes = np.array([(graph.attributes["group"] == name).sum() for name in "abc"])
    np.testing.assert_allclose(graph.mixing("group").dense(), counts / sizes[:, None], rtol=1e-13)


@pytest.mark.parametrize("weighted", [False, True])
def test_degree_is_the_annealed_matrix(weighted: bool) -> None:
    """Would catch K[k, k'] other than k k' p_k' / <k>, and classes by degree where contacts have weights."""
    graph, matrix = some_graph(weighted)
    mixing = graph.mixing("degree")
    strength = matrix.sum(axis=1)
    classes = np.unique(strength)
    shares = np.array([(strength == value).mean() for value in classes])
    expected = classes[:, None] * (classes * shares)[None, :] / strength.mean()
    np.testing.assert_allclose(mixing.degrees, classes)
    np.testing.assert_allclose(mixing.shares, shares, rtol=1e-13)
    np.testing.assert_allclose(mixing.dense(), expected, rtol=1e-13)
    assert mixing.membership is not None
    np.testing.assert_allclose(classes[mixing.membership], strength)


@pytest.mark.parametrize("weighted", [False, True])
def test_homogeneous_is_the_mean_degree(weighted: bool) -> None:
    """Would catch a mean over edges or over non-isolated nodes only."""
    graph, matrix = some_graph(weighted)
    mixing = graph.mixing("homogeneous")
    assert mixing.dense()[0, 0] == pytest.approx(matrix.sum() / 40, rel=1e-13)
    assert mixing.types == ("all",)


@pytest.mark.parametrize("closure", CLOSURES)
def test_equal_emissions_give_the_mean_degree(closure: str) -> None:
    """Would catch a closure that loses or adds contacts: with emission 1 everywhere the field is the type's mean degree."""
    graph, _ = some_graph(weighted=True)
    mixing = graph.mixing(closure)
    field = mixing.field(np.ones((len(mixing.types), 1)))[:, 0]
    np.testing.assert_allclose(field, mixing.degrees, rtol=1e-12)
    assert mixing.shares.sum() == pytest.approx(1.0, abs=1e-12)
    assert mixing.shares @ mixing.degrees == pytest.approx(graph.strengths.mean(), rel=1e-12)


@pytest.mark.parametrize("closure", CLOSURES)
def test_normalise_mean_averages(closure: str) -> None:
    """Would catch rows that do not sum to 1 (0 for a type without contacts), and division by columns."""
    graph, _ = some_graph(weighted=True)
    whole, mean = graph.mixing(closure), graph.mixing(closure, normalise="mean")
    expected = np.divide(
        whole.dense(), whole.degrees[:, None], out=np.zeros_like(whole.dense()), where=whole.degrees[:, None] > 0
    )
    np.testing.assert_allclose(mean.dense(), expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(mean.dense().sum(axis=1), (whole.degrees > 0).astype(float), rtol=1e-12)


@pytest.mark.parametrize("normalise", ["sum", "mean"])
@pytest.mark.parametrize("closure", ["homogeneous", "degree", "group", "individual"])
def test_complete_graph_gives_the_mean_of_the_others(closure: str, normalise: str) -> None:
    """Would catch N-1 contacts of weight 1, or an agent that feels itself where types are individuals or groups."""
    group = np.array(["a", "a", "a", "b", "b", "c"])
    graph = ContactGraph.complete(6, {"group": group})
    mixing = graph.mixing(closure, normalise=normalise)
    generator = np.random.default_rng(1)
    by_type = generator.random(len(mixing.types))
    assert mixing.membership is not None
    by_node = by_type[mixing.membership]
    others = np.array([np.delete(by_node, i).mean() for i in range(6)])
    expected = by_node if len(mixing.types) == 1 else others
    field = mixing.field(by_type[:, None])[:, 0]
    np.testing.assert_allclose(field[mixing.membership], expected, rtol=1e-13)
    np.testing.assert_allclose(mixing.degrees, 1.0, rtol=1e-13)


@pytest.mark.parametrize("closure", ["homogeneous", "degree"])
def test_law_replaces_the_realised_degrees(closure: str) -> None:
    """Would catch a law that is ignored: this one differs from the graph's degrees."""
    law = DegreeLaw(np.array([1.0, 4.0]), np.array([0.25, 0.75]))
    graph = ContactGraph.from_edges(4, [0, 1, 2], [1, 2, 3], degree_law=law)
    mixing = graph.mixing(closure, degrees="law")
    assert mixing.membership is None
    if closure == "homogeneous":
        assert mixing.dense()[0, 0] == pytest.approx(3.25)
        assert graph.mixing(closure).dense()[0, 0] == pytest.approx(1.5)
    else:
        np.testing.assert_allclose(mixing.dense(), np.outer([1, 4], [0.25, 3.0]) / 3.25, rtol=1e-14)
        np.testing.assert_allclose(graph.mixing(closure).degrees, [1.0, 2.0])


@pytest.mark.parametrize("closure", CLOSURES)
@pytest.mark.parametrize("complete", [False, True])
def test_field_is_the_product_with_the_dense_matrix(closure: str, complete: bool) -> None:
    """Would catch mixed-up axes when several channels and leading batch axes are given."""
    graph = ContactGraph.complete(9, {"group": list("aabbbcccc")}) if complete else some_graph(True)[0]
    mixing = graph.mixing(closure)
    emission = np.random.default_rng(2).normal(size=(2, 3, len(mixing.types), 4))
    np.testing.assert_allclose(mixing.field(emission), mixing.dense() @ emission, rtol=1e-11, atol=1e-12)


def test_no_contacts_at_all() -> None:
    """Would catch a division by zero on a graph without edges."""
    graph = ContactGraph.from_edges(3, [], [], attributes={"group": ["a", "b", "b"]})
    for closure in CLOSURES:
        for normalise in ("sum", "mean"):
            assert not graph.mixing(closure, normalise=normalise).dense().any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"closure": "degre"}, "closure: 'degre' is not a closure; did you mean 'degree'"),
        ({"closure": "degree", "normalise": "max"}, "normalise: 'max'; 'sum' or 'mean'"),
        ({"closure": "degree", "degrees": "given"}, "degrees: 'given'; 'graph' or 'law'"),
        ({"closure": "degree", "degrees": "law"}, "does not come from a degree law; .*configuration"),
        ({"closure": "group", "degrees": "law"}, "closure 'group' with degrees 'law'; a degree law has no groups"),
        ({"closure": "group"}, "no node attribute 'group'"),
    ],
)
def test_wrong_requests_are_refused(arguments: dict[str, str], message: str) -> None:
    """Would catch a wrong option that silently means another closure."""
    graph = ContactGraph.from_edges(3, [0], [1])
    with pytest.raises(InputError, match=message):
        graph.mixing(**arguments)  # type: ignore[arg-type]
