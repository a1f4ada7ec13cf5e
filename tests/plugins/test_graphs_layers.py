"""Layers in a scenario, graphs inside the options of another, and households."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml

from mesocosm import ContactGraph, InputError, Registry, Scenario, ScenarioError, build, load, makers_of, run, simulate
from mesocosm.schema import json_schema
from mesocosm_graphs.layer_options import Households
from mesocosm_graphs.layers import households

LAYERS: dict[str, Any] = {
    "household": {"graph": {"kind": "households", "sizes": {"1": 0.25, "2": 0.5, "4": 0.25}}, "weight": 2.0},
    "school": {
        "graph": {"kind": "blocks", "sizes": [20, 40], "mean_degrees": [[6, 0], [0, 0]], "names": ["child", "adult"]}
    },
    "work": {"graph": {"kind": "erdos_renyi", "mean_degree": 4}, "weight": 0.5},
}


def scenario(folder: Path, layers: dict[str, Any], *, size: int | None = 60, **more: Any) -> Scenario:
    content = {
        "mesocosm": 1,
        "name": "layered",
        "seed": 3,
        "time": {"end": 2, "save_every": 1},
        "population": {"initial": {"I": 0.1}, **({} if size is None else {"size": size})},
        "graph": {"kind": "layers", "layers": layers},
        "game": {"kind": "sir", "beta": 0.2, "gamma": 0.1},
        "dynamics": {"mean_field": {"kind": "classical_mfg"}},
        **more,
    }
    (folder / "layered.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return load(folder / "layered.yaml")


def same(first: ContactGraph, second: ContactGraph) -> bool:
    return first.node_count == second.node_count and (first.adjacency != second.adjacency).nnz == 0


def test_layers_of_a_scenario(tmp_path: Path) -> None:
    """Catches a weight that is lost, layers that are not added, and the attributes of one of them missing."""
    graph = build(scenario(tmp_path, LAYERS)).graph
    parts = list(graph.layers.values())
    assert np.allclose(graph.adjacency.toarray(), sum(part.adjacency.toarray() for part in parts))
    assert [set(np.unique(part.adjacency.data)) for part in parts] == [{2.0}, {1.0}, {0.5}]
    assert set(graph.attributes) == {"household", "group"}
    assert graph.group_index()[0] == ("adult", "child")
    assert graph.without(frozenset({"school"})).edge_count < graph.edge_count


def test_every_layer_has_a_stream_of_its_own(tmp_path: Path) -> None:
    """Catches a layer that is drawn otherwise once another one is added, taken away or moved, and two that are alike."""
    three = build(scenario(tmp_path, LAYERS)).graph.layers
    turned = build(scenario(tmp_path, dict(reversed(LAYERS.items())))).graph.layers
    fewer = build(scenario(tmp_path, {"work": LAYERS["work"]})).graph.layers
    assert all(same(three[name], turned[name]) for name in LAYERS)
    assert same(three["work"], fewer["work"])
    twins = build(scenario(tmp_path, {"one": LAYERS["work"], "two": LAYERS["work"]}))
    assert not same(twins.graph.layers["one"], twins.graph.layers["two"])
    assert not same(twins.draw(1).layers["one"], twins.graph.layers["one"])


def test_the_first_layer_may_know_the_size(tmp_path: Path) -> None:
    """Catches a size that must be said twice."""
    knowing = {"school": LAYERS["school"], "work": LAYERS["work"]}
    assert build(scenario(tmp_path, knowing, size=None)).graph.node_count == 60
    with pytest.raises(ScenarioError, match=r"population\.size: layer 'household': no size is given"):
        build(scenario(tmp_path, LAYERS, size=None))


def test_layers_that_do_not_fit(tmp_path: Path) -> None:
    """Catches an error of a layer that does not say which one."""
    with pytest.raises(ScenarioError, match="layer 'school' has 60 nodes, layer 'household' has 61"):
        build(scenario(tmp_path, LAYERS, size=61))
    crowded = {"work": {"graph": {"kind": "erdos_renyi", "mean_degree": 100}}}
    with pytest.raises(ScenarioError, match=r"graph\.layers\.work\.graph\.mean_degree: mean degree 100 among 60 nodes"):
        build(scenario(tmp_path, crowded))


@pytest.mark.parametrize(
    ("layer", "path", "what"),
    [
        ({"graph": {"kind": "erdos_reny"}}, "graph.layers.work.graph.kind", "did you mean 'erdos_renyi'"),
        ({"graph": {"mean_degree": 4}}, "graph.layers.work.graph.kind", "is missing"),
        ({"graph": {"kind": "erdos_renyi"}}, "graph.layers.work.graph.mean_degree", "missing; this option is required"),
        (
            {"graph": {"kind": "erdos_renyi", "mean_degre": 4}},
            "graph.layers.work.graph.mean_degre",
            "did you mean 'mean_degree'",
        ),
        (
            {"graph": {"kind": "erdos_renyi", "mean_degree": "4"}},
            "graph.layers.work.graph.mean_degree",
            '"4" must be a',
        ),
        ({"graph": "erdos_renyi"}, "graph.layers.work.graph", "a graph is a mapping"),
        ({"graph": {"kind": "complete"}, "wieght": 1}, "graph.layers.work.wieght", "did you mean 'weight'"),
        ({"weight": 1}, "graph.layers.work.graph", "missing; this option is required"),
        (
            {"graph": {"kind": "layers", "layers": {"inner": {"graph": {"kind": "regular"}}}}},
            "graph.layers.work.graph.layers.inner.graph.degree",
            "missing; this option is required",
        ),
    ],
)
def test_faults_inside_a_layer(tmp_path: Path, layer: dict[str, Any], path: str, what: str) -> None:
    """Catches faults of a nested graph that are found late, in other words than elsewhere, or at another place."""
    with pytest.raises(ScenarioError) as error:
        scenario(tmp_path, {"work": layer, "broken": {"graph": {"kind": "nobody"}}})
    faults = {fault.path: fault for fault in error.value.faults}
    assert set(faults) >= {path, "graph.layers.broken.graph.kind"}
    assert what in faults[path].what
    line = int(faults[path].where.split(":")[-2])
    key = path.rsplit(".", maxsplit=1)[-1]
    text = (tmp_path / "layered.yaml").read_text().splitlines()[line - 1]
    assert key in text or "missing" in faults[path].what


def test_files_of_a_layer(tmp_path: Path) -> None:
    """Catches a file of a nested graph that is not looked for beside the scenario, and a layer that does not change."""
    (tmp_path / "met.csv").write_text("20,a,b\n60,b,c\n")
    layers = {
        "seen": {"graph": {"kind": "contacts", "file": "met.csv", "seconds_per_unit": 20, "loop": True}, "weight": 3.0},
        "work": {"graph": {"kind": "erdos_renyi", "mean_degree": 2}},
    }
    chosen = scenario(tmp_path, layers, size=None, dynamics={})
    graph = build(chosen).graph
    assert graph.changes is not None
    pieces = list(graph.changes.pieces(0, 3))
    assert [(piece.start, piece.stop) for piece in pieces] == [(0, 1), (1, 2), (2, 3)]
    met = [graph.changes.graph(piece.number).adjacency.toarray() for piece in pieces]
    work = 1 - np.eye(3)
    assert [[int(now[0, 1] - work[0, 1]), int(now[1, 2] - work[1, 2])] for now in met] == [[3, 0], [0, 0], [0, 3]]
    with pytest.raises(ScenarioError, match=r"no file 'gone\.csv'"):
        scenario(tmp_path, {"seen": {"graph": {"kind": "edges", "file": "gone.csv"}}})
    with pytest.raises(ScenarioError, match=r"graph\.layers: 'at home' is not the name of a layer"):
        scenario(tmp_path, {"at home": {"graph": {"kind": "complete"}}})


def test_written_and_read_again(tmp_path: Path) -> None:
    """Catches a resolved scenario that is another one, a run folder that cannot be gone on with, and kinds not recorded."""
    chosen = scenario(tmp_path, LAYERS)
    resolved = chosen.resolved()
    assert resolved["graph"]["layers"]["work"]["graph"] == {"kind": "erdos_renyi", "mean_degree": 4.0}
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(resolved))))
    again = load(tmp_path / "again.yaml")
    assert again.digest() == chosen.digest()
    assert same(build(again).graph, build(chosen).graph)
    results = run(chosen, out=tmp_path / "runs", report=False)
    assert results.folder is not None
    assert load(results.folder / "scenario.resolved.json").digest() == chosen.digest()
    manifest = json.loads((results.folder / "manifest.json").read_text())
    recorded = {(item["kind"], item["name"]) for item in manifest["plugins"]}
    assert {("graph", "layers"), ("graph", "households"), ("graph", "blocks"), ("graph", "erdos_renyi")} <= recorded


def test_settings_reach_a_layer(tmp_path: Path) -> None:
    """Catches a setting on the command line that does not find its way into a nested graph."""
    scenario(tmp_path, LAYERS)
    changed = load(
        tmp_path / "layered.yaml", {"graph.layers.work.graph.mean_degree": "0", "graph.layers.school.weight": "3"}
    )
    layers = build(changed).graph.layers
    assert layers["work"].edge_count == 0
    assert set(layers["school"].adjacency.data) == {3.0}


def test_schema_knows_nested_graphs(tmp_path: Path) -> None:
    """Catches an editor that accepts a nested graph of no kind, or with an option that it has not."""
    scenario(tmp_path, LAYERS)
    check = jsonschema.Draft7Validator(json_schema(Registry.discover()))
    good = json.loads(json.dumps(yaml.safe_load((tmp_path / "layered.yaml").read_text())))
    assert list(check.iter_errors(good)) == []
    for key, value in (("kind", "nobody"), ("mean_degre", 3)):
        bad = json.loads(json.dumps(good))
        bad["graph"]["layers"]["work"]["graph"][key] = value
        assert list(check.iter_errors(bad)) != []


def test_households_are_complete() -> None:
    """Catches a household that misses a pair, a person without or with two, and members that stand side by side."""
    options = Households(sizes={1: 0.3, 2: 0.3, 5: 0.4})
    graph = households(options, 1001, np.random.default_rng(4))
    number = graph.attributes["household"]
    together = number[:, None] == number[None, :]
    assert np.array_equal(graph.adjacency.toarray() > 0, together & ~np.eye(1001, dtype=bool))
    assert graph.weights is None
    assert (np.diff(number) == 0).mean() < 0.05
    ordered = households(Households(sizes={4: 1.0}, scattered=False), 10, np.random.default_rng(4))
    assert ordered.attributes["household"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]


def test_sizes_of_households() -> None:
    """Catches sizes that follow other shares, such as shares of people: chi-square at 1e-6 over all but the last household.

    With about 25,000 households a share of 0.3 that is 0.32 instead is found with probability 0.99.
    """
    from scipy.stats import chisquare

    shares = {1: 0.3, 2: 0.3, 3: 0.1, 5: 0.3}
    graph = households(Households(sizes=shares), 70_000, np.random.default_rng(9))
    sizes = np.bincount(graph.attributes["household"])[:-1]
    counts = [int((sizes == size).sum()) for size in shares]
    assert sum(counts) == len(sizes)
    assert chisquare(counts, np.array(list(shares.values())) * len(sizes)).pvalue > 1e-6


def test_households_need_a_size_and_shares() -> None:
    """Catches households of nobody, and shares that do not add up."""
    with pytest.raises(InputError, match="no size is given"):
        households(Households(sizes={2: 1.0}), None, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"add up to 0\.9"):
        Households(sizes={2: 0.9})


def test_what_a_school_is_worth() -> None:
    """Catches layers that mix with each other, or a closed one that still infects: what the scenario says that one expects.

    The attack rates are those of another seed, so of another graph; those of the agents differ by less than 5 standard errors.
    """
    path = Path(__file__).parents[2] / "scenarios" / "school-layers.yaml"
    closed = {"graph.layers.school": ""}
    for settings, attack, spread, homogeneous in (({}, 0.738, 0.018, 0.966), (closed, 0.302, 0.1, 0.922)):
        few = {"dynamics.agents.replicates": "8", "dynamics.people": "", "seed": "5", **settings}
        chosen = load(path, few)
        found = simulate(build(chosen), makers_of(chosen))
        assert 1 - found["agents"].array("occupancy")[:, -1, 0].mean() == pytest.approx(attack, abs=spread)
        assert 1 - found["homogeneous"].array("occupancy")[0, -1, 0] == pytest.approx(homogeneous, abs=0.03)
