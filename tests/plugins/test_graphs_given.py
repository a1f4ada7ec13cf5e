"""Graphs without chance of our own: complete, lattices, generators of networkx, and what a scenario may ask for."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any

import networkx
import numpy as np
import pytest
from pydantic import ValidationError

import mesocosm_graphs
from mesocosm import ContactGraph, InputError, Options
from mesocosm_graphs.classic import complete, lattice
from mesocosm_graphs.generators import networkx_generator
from mesocosm_graphs.options import (
    BarabasiAlbert,
    Blocks,
    Complete,
    Configuration,
    Edges,
    ErdosRenyi,
    Lattice,
    NetworkxGenerator,
    Regular,
    WattsStrogatz,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def edge_set(graph: ContactGraph) -> set[tuple[int, int]]:
    source, target, _ = graph.edges()
    return set(zip(source.tolist(), target.tolist(), strict=True))


def make(size: int | None = None, seed: int = 0, **options: Any) -> ContactGraph:
    return networkx_generator(NetworkxGenerator.model_validate(options), size, rng(seed))


def test_components_can_be_loaded() -> None:
    """Would catch a component whose factory or options do not exist, and an options model that is not `Options`."""
    components = [item for item in mesocosm_graphs.mesocosm_components() if item.kind == "graph"]
    assert {component.name for component in components} == {
        *("complete", "erdos_renyi", "configuration", "barabasi_albert", "watts_strogatz"),
        *("regular", "blocks", "lattice", "networkx", "edges"),
        *("contact_matrix", "contacts", "snapshots", "layers", "households"),
    }
    for component in components:
        module, name = component.factory.split(":")
        assert callable(getattr(importlib.import_module(module), name))
        module, name = component.options.split(":")
        model = getattr(importlib.import_module(module), name)
        assert issubclass(model, Options)
        assert model.model_json_schema()["type"] == "object"


def test_options_import_nothing_heavy() -> None:
    """Would catch a heavy import that slows `mesocosm validate` down."""
    code = (
        "import sys, mesocosm_graphs.options\n"
        "print([m for m in ('numpy', 'scipy', 'networkx', 'torch', 'mesa') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_complete() -> None:
    """Would catch a complete graph that stores edges or that needs no size."""
    graph = complete(Complete(), 7, rng())
    assert graph.is_complete
    assert graph.node_count == 7
    with pytest.raises(InputError, match=r"population\.size: no size is given; .*complete.*; give population\.size"):
        complete(Complete(), None, rng())


@pytest.mark.parametrize("shape", [(3, 5), (1, 4), (6, 3)])
@pytest.mark.parametrize("neighbours", [4, 8])
@pytest.mark.parametrize("periodic", [False, True])
def test_lattice_is_that_of_networkx(shape: tuple[int, int], neighbours: int, periodic: bool) -> None:
    """Would catch a wrong border, corner or wrap: 4 neighbours by the Cartesian, 8 by the strong product of paths."""
    if periodic and min(shape) < 3:
        with pytest.raises(ValidationError, match="at least 3 rows and 3 columns"):
            Lattice.model_validate({"shape": shape, "periodic": True})
        return
    line = networkx.cycle_graph if periodic else networkx.path_graph
    product = networkx.cartesian_product if neighbours == 4 else networkx.strong_product
    expected = product(line(shape[0]), line(shape[1]))
    options = Lattice.model_validate({"shape": shape, "periodic": periodic, "neighbours": neighbours})
    graph = lattice(options, None, rng())
    number = {node: node[0] * shape[1] + node[1] for node in expected}
    assert edge_set(graph) == {tuple(sorted((number[a], number[b]))) for a, b in expected.edges}
    assert list(zip(graph.attributes["row"].tolist(), graph.attributes["column"].tolist(), strict=True)) == sorted(
        number
    )


def test_lattice_without_a_shape_is_a_square() -> None:
    """Would catch a size that is rounded to a square silently."""
    graph = lattice(Lattice(neighbours=8, periodic=True), 25, rng())
    assert (graph.degrees == 8).all()
    with pytest.raises(InputError, match=r"graph\.shape: 26 nodes and no shape; .*square; .*population\.size 25 or 36"):
        lattice(Lattice(), 26, rng())
    with pytest.raises(InputError, match=r"graph\.periodic: 2 rows and 2 columns; .*at least 3"):
        lattice(Lattice(periodic=True), 4, rng())
    with pytest.raises(InputError, match=r"population\.size: no size"):
        lattice(Lattice(), None, rng())


def test_networkx_generator_by_name() -> None:
    """Would catch arguments that are not handed over, `n` that is not filled in, and a seed that is not the generator's."""
    options = {"generator": "powerlaw_cluster_graph", "m": 3, "p": 0.1}
    graph, again, other = make(60, 1, **options), make(60, 1, **options), make(60, 2, **options)
    assert graph.node_count == 60
    assert edge_set(graph) == edge_set(again)
    assert edge_set(graph) != edge_set(other)
    seed = int(rng(1).integers(2**63))
    assert edge_set(graph) == {
        tuple(sorted(edge)) for edge in networkx.powerlaw_cluster_graph(60, 3, 0.1, seed=seed).edges
    }
    assert make(60, generator="path_graph", n=4).node_count == 4
    assert make(None, generator="barbell_graph", m1=3, m2=1).node_count == 7
    grid = make(None, generator="grid_2d_graph", m=2, n=2)
    assert grid.attributes["node"].tolist() == ["(0, 0)", "(0, 1)", "(1, 0)", "(1, 1)"]
    karate = make(None, generator="karate_club_graph")
    assert karate.edge_count == 78
    assert karate.weights is not None
    assert set(karate.attributes["club"]) == {"Mr. Hi", "Officer"}


def test_networkx_simplify() -> None:
    """Would catch parallel edges whose weights are lost, and directions or loops that are dropped without being asked."""
    with pytest.raises(InputError, match=r"graph\.generator: gnp_random_graph returns a DiGraph; .*simplify: true"):
        make(20, generator="gnp_random_graph", p=0.2, directed=True)
    simple = make(20, 3, generator="gnp_random_graph", p=0.2, directed=True, simplify=True)
    seed = int(rng(3).integers(2**63))
    drawn = networkx.gnp_random_graph(20, 0.2, seed=seed, directed=True)
    assert edge_set(simple) == {tuple(sorted(edge)) for edge in drawn.edges}
    assert simple.weights is None
    # 0, and the two numbers that are their own inverses modulo 7.
    with pytest.raises(InputError, match="returns a MultiGraph with 3 self-loops"):
        make(generator="chordal_cycle_graph", p=7)
    assert make(generator="chordal_cycle_graph", p=7, simplify=True).node_count == 7


def test_networkx_parallel_weights_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Would catch a merge that keeps the last weight only, or that drops a weight of 1 where none is given."""

    def parallel() -> networkx.MultiGraph:
        graph = networkx.MultiGraph()
        graph.add_edges_from([(0, 1, {"weight": 2.0}), (1, 0, {"weight": 3.0}), (1, 2, {}), (2, 2, {})])
        return graph

    parallel.__module__ = "networkx.generators.made_up"
    monkeypatch.setattr(networkx, "parallel_graph", parallel, raising=False)
    graph = make(generator="parallel_graph", simplify=True)
    source, target, weights = graph.edges()
    assert weights is not None
    assert (source.tolist(), target.tolist(), weights.tolist()) == ([0, 1], [1, 2], [5.0, 1.0])


@pytest.mark.parametrize(
    ("options", "location", "message"),
    [
        (
            {"generator": "powerlaw_cluster_grap", "m": 3},
            "generator",
            "no graph generator 'powerlaw_cluster_grap'; did you",
        ),
        ({"generator": "powerlaw_cluster_graph", "m": 3, "prob": 1}, "prob", "has no argument 'prob'; known: n, m, p"),
        (
            {"generator": "barabasi_albert_graph", "m": 3, "initial_grap": 1},
            "initial_grap",
            "did you mean 'initial_graph'",
        ),
        ({"generator": "powerlaw_cluster_graph", "m": 3}, "generator", "powerlaw_cluster_graph needs p"),
        (
            {"generator": "path_graph", "create_using": "x"},
            "create_using",
            "'create_using' is not an option; .*simplify",
        ),
        ({"generator": "gnp_random_graph", "p": 0.1, "seed": 1}, "seed", "'seed' is not an option; .*scenario's own"),
        ({"generator": "read_gexf"}, "generator", "networkx has no graph generator 'read_gexf'"),
        ({"generator": "line_graph"}, "generator", "networkx has no graph generator 'line_graph'"),
        ({"m": 3}, "generator", "Field required"),
    ],
)
def test_networkx_options_are_checked(options: dict[str, Any], location: str, message: str) -> None:
    """Would catch an argument that reaches networkx unchecked, any other function called by name, or a lost location."""
    with pytest.raises(ValidationError, match=message) as caught:
        NetworkxGenerator.model_validate(options)
    assert location in [error["loc"][0] for error in caught.value.errors()]


def test_networkx_failures_are_explained() -> None:
    """Would catch a traceback of networkx instead of an error with the call and its reason."""
    with pytest.raises(
        InputError, match=r"graph: networkx\.barabasi_albert_graph\(m=9, n=5\) failed; NetworkXError: .*m"
    ):
        make(5, generator="barabasi_albert_graph", m=9)
    with pytest.raises(InputError, match=r"random_regular_graph\(d='x', n=5\) failed; TypeError"):
        make(5, generator="random_regular_graph", d="x")
    with pytest.raises(InputError, match=r"population\.size: no size is given; .*powerlaw_cluster_graph"):
        make(generator="powerlaw_cluster_graph", m=3, p=0.1)
    with pytest.raises(InputError, match="null_graph returns no nodes"):
        make(generator="null_graph")
    with pytest.raises(InputError, match="nonisomorphic_trees returns a generator; it must return a networkx graph"):
        make(generator="nonisomorphic_trees", order=4)


DEGREE_FORMS = "degrees are one of {poisson: MEAN}, {fixed: DEGREE}, {negative_binomial: {mean, dispersion}}, "


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (ErdosRenyi, {"mean_degree": -1}, "greater than or equal to 0"),
        (ErdosRenyi, {}, "Field required"),
        (ErdosRenyi, {"mean_degre": 3, "mean_degree": 3}, "Extra inputs are not permitted"),
        (BarabasiAlbert, {"m": 0}, "greater than or equal to 1"),
        (WattsStrogatz, {"k": 3, "p": 0.1}, "multiple of 2"),
        (WattsStrogatz, {"k": 4, "p": 1.5}, "less than or equal to 1"),
        (Regular, {"degree": 2.5}, "valid integer"),
        (Lattice, {"shape": [3, 3], "neighbours": 6}, "Input should be 4 or 8"),
        (Lattice, {"shape": [3, 0]}, "greater than or equal to 1"),
        (Configuration, {"degrees": {"poison": 3}}, DEGREE_FORMS),
        (Configuration, {"degrees": 3}, DEGREE_FORMS),
        (Configuration, {"degrees": "poisson"}, DEGREE_FORMS),
        (Configuration, {"degrees": {"poisson": 3, "fixed": 3}}, "Extra inputs are not permitted"),
        (Configuration, {"degrees": {"poisson": 0}}, "greater than 0"),
        (Configuration, {"degrees": {"fixed": -1}}, "greater than or equal to 0"),
        (Configuration, {"degrees": {"negative_binomial": {"mean": 3}}}, "Field required"),
        (Configuration, {"degrees": {"negative_binomial": {"mean": 3, "dispersion": 0}}}, "greater than 0"),
        (
            Configuration,
            {"degrees": {"power_law": {"exponent": 2, "minimum": 5, "maximum": 4}}},
            "maximum 4 is below minimum 5",
        ),
        (Configuration, {"degrees": {"values": [1, 2], "shares": [0.5]}}, "2 values but 1 shares"),
        (Configuration, {"degrees": {"values": [1, 2], "shares": [0.5, 0.6]}}, "shares sum to 1.1; they must sum to 1"),
        (Configuration, {"degrees": {"values": [1, 1], "shares": [0.5, 0.5]}}, "a value is named twice"),
        (Configuration, {"degrees": {"shares": [0.5, 0.5]}}, "Field required"),
        (Configuration, {"degrees": [1, 1, 1]}, "the degrees sum to 3; .*must be even"),
        (Configuration, {"degrees": [1, -1]}, "greater than or equal to 0"),
        (Configuration, {"degrees": []}, "at least 1 item"),
        (Blocks, {"sizes": [3, 4], "mean_degrees": [[1, 1]]}, "2 rows of 2 numbers"),
        (
            Blocks,
            {"sizes": [2, 4], "mean_degrees": [[1, 1], [1, 1]]},
            r"sizes\[0\] \* mean_degrees\[0\]\[1\] is 2 but .* is 4",
        ),
        (Blocks, {"sizes": [2], "mean_degrees": [[1.5]]}, r"mean_degrees\[0\]\[0\] is 1.5; there are only 1 nodes"),
        (Blocks, {"sizes": [2, 2], "mean_degrees": [[0, 0], [0, 0]], "names": ["a", "a"]}, "2 different names"),
        (Blocks, {"sizes": [], "mean_degrees": []}, "at least 1 item"),
        (Edges, {"file": "nowhere.csv"}, "no file 'nowhere.csv'"),
    ],
)
def test_wrong_options_give_one_clean_error(model: type[Options], options: dict[str, Any], message: str) -> None:
    """Would catch a value out of range that is taken, and a union that reports every form that it is not."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(options)
    assert caught.value.error_count() == 1
    assert caught.match(message.replace("{", r"\{") if message == DEGREE_FORMS else message)
