"""Edge lists from files: headers, weights, node tables, errors with their line, and public contact networks."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest
from pydantic import ValidationError

from mesocosm import ContactGraph, DataError
from mesocosm_graphs.edge_list import edges
from mesocosm_graphs.options import Edges


def read(folder: Path, text: str, nodes: str | None = None, **options: Any) -> ContactGraph:
    (folder / "edges.csv").write_text(text, encoding="utf-8")
    given: dict[str, Any] = {"file": "edges.csv", **options}
    if nodes is not None:
        (folder / "nodes.csv").write_text(nodes, encoding="utf-8")
        given["nodes"] = "nodes.csv"
    return edges(Edges.model_validate(given, context={"folder": folder}), None, np.random.default_rng(0))


def named_edges(graph: ContactGraph) -> dict[frozenset[str], float]:
    source, target, weights = graph.edges()
    ids = graph.attributes["id"]
    values = np.ones(len(source)) if weights is None else weights
    return {frozenset((ids[i], ids[j])): float(w) for i, j, w in zip(source, target, values, strict=True)}


def test_ids_and_weights(tmp_path: Path) -> None:
    """Would catch ids that lose their edges or weights on the way, and weights that are read unasked."""
    graph = read(tmp_path, "7,ann,2.5\nann,x y,1\n")
    assert graph.attributes["id"].tolist() == ["7", "ann", "x y"]
    assert named_edges(graph) == {frozenset(("7", "ann")): 2.5, frozenset(("ann", "x y")): 1.0}
    assert read(tmp_path, "7,ann,2.5\nann,x y,1\n", weights=False).weights is None
    assert read(tmp_path, "1,2\n2,3\n").weights is None


@pytest.mark.parametrize(
    ("text", "header", "rows"),
    [
        ("1,2\n2,3\n", "auto", 2),
        ("source,target\n1,2\n2,3\n", "auto", 2),
        ("source,target\nann,bob\n", "auto", 1),
        ("person,friend,minutes\nann,bob,3\n", "auto", 1),
        ("ann,bob\nbob,cid\n", "auto", 2),
        ("ann,bob,1\nbob,cid,2\n", "auto", 2),
        ("ann,bob\nbob,cid\n", True, 1),
        ("source,target\nann,bob\n", False, 2),
        ("\ufeffsource,target\r\n1,2\r\n\r\n2,3\r\n", "auto", 2),
    ],
)
def test_header_rule(tmp_path: Path, text: str, header: Any, rows: int) -> None:
    """Would catch a header taken as an edge, an edge taken as a header, and byte order marks or blank lines as ids."""
    assert read(tmp_path, text, header=header).edge_count == rows


def test_node_table(tmp_path: Path) -> None:
    """Would catch attributes that belong to another node, and isolated nodes that are lost or kept against the option."""
    text, nodes = "3,1,2\n1,4,1\n", "1,A,F\n2,B,M\n3,A,M\n4,C,F\n"
    graph = read(tmp_path, text, nodes)
    assert graph.attributes["id"].tolist() == ["1", "2", "3", "4"]
    assert graph.attributes["group"].tolist() == ["A", "B", "A", "C"]
    assert graph.attributes["column3"].tolist() == ["F", "M", "M", "F"]
    assert graph.degrees.tolist() == [2, 0, 1, 1]
    kept = read(tmp_path, text, nodes, isolated=False, columns=["id", "class", "gender"])
    assert kept.attributes["id"].tolist() == ["1", "3", "4"]
    assert kept.attributes["gender"].tolist() == ["F", "M", "F"]
    assert named_edges(kept) == named_edges(graph) == {frozenset("13"): 2.0, frozenset("14"): 1.0}
    headed = read(tmp_path, text, "id,age,group\n1,30,A\n3,40,B\n4,50,C\n")
    assert headed.attributes["age"].tolist() == ["30", "40", "50"]
    renamed = read(tmp_path, text, "id,age,group\n1,30,A\n3,40,B\n4,50,C\n", columns=["id", "years", "team"])
    assert set(renamed.attributes) == {"id", "years", "team"}
    last = read(tmp_path, text, "group,id\nA,1\nB,3\nC,4\n", nodes_header=True)
    assert last.attributes["id"].tolist() == ["1", "3", "4"]


def test_simplify(tmp_path: Path) -> None:
    """Would catch weights that do not add up, loops that stay, or unweighted rows that turn into weights."""
    text = "a,b,2\nb,a,3\na,a,7\na,b,1\nc,c,1\nb,d,1\n"
    graph = read(tmp_path, text, simplify=True)
    assert named_edges(graph) == {frozenset("ab"): 6.0, frozenset("bd"): 1.0}
    assert graph.attributes["id"].tolist() == ["a", "b", "c", "d"]
    assert read(tmp_path, text, simplify=True, isolated=False).attributes["id"].tolist() == ["a", "b", "d"]
    plain = read(tmp_path, text, simplify=True, weights=False)
    assert plain.weights is None
    assert plain.edge_count == 2


@pytest.mark.parametrize(
    ("text", "nodes", "options", "line", "parts"),
    [
        ("1,2\n2,3\n3\n", None, {}, "edges.csv:3", ["1 columns, but 2 before", "same number of columns"]),
        ("1,2\n\n2,3,1\n", None, {}, "edges.csv:3", ["3 columns, but 2 before"]),
        ("1,2,3,4\n", None, {}, "edges.csv:1", ["4 columns", "two columns of ids"]),
        ("1\n2\n", None, {}, "edges.csv:1", ["1 columns"]),
        ("i,j,w\n1,2,3\n1,3,x\n", None, {}, "edges.csv:3", ["weight 'x'", "positive, finite", "weights: false"]),
        ("1,2,3\n1,3,-1\n", None, {}, "edges.csv:2", ["weight '-1'", "positive, finite"]),
        ("1,2,3\n1,3,0\n", None, {}, "edges.csv:2", ["weight '0'"]),
        ("1,2,3\n1,3,nan\n", None, {}, "edges.csv:2", ["weight 'nan'"]),
        ("1,2,3\n1,3,\n", None, {}, "edges.csv:2", ["weight ''"]),
        ("1,2\n1,\n", None, {}, "edges.csv:2", ["an empty id"]),
        ("1,2\n2,2\n", None, {}, "edges.csv:2", ["node '2' meets itself", "no self-loops", "simplify: true"]),
        ("1,2\n2,3\n2,1\n", None, {}, "edges.csv:3", ["'2' and '1' are joined on line 1 already", "simplify: true"]),
        ("9,8\n1,2\n2,3\n1,2\n9,8\n", None, {}, "edges.csv:4", ["joined on line 2 already"]),
        ("1,2\n", None, {"weights": True}, "edges.csv:1", ["no third column", "weights: true"]),
        ("1,2\n1,5\n", "1,A\n2,B\n", {}, "edges.csv:2", ["node '5' is not in the node table", "add it there"]),
        ("1,2\n", "1,A\n2,B\n1,C\n", {}, "nodes.csv:3", ["node '1' stands on line 1 already"]),
        ("1,2\n", "1,A\n2,B\n,C\n", {}, "nodes.csv:3", ["an empty id"]),
        ("1,2\n", "1,A\n2\n", {}, "nodes.csv:2", ["1 columns, but 2 before"]),
        ("1,2\n", "1,A\n2,B\n", {"columns": ["id", "a", "b"]}, "nodes.csv:1", ["2 columns, but columns has 3 names"]),
        ("1,2\n", "id,a,a\n1,A,C\n2,B,D\n", {}, "nodes.csv:2", ["repeats a name", "set columns"]),
        ("", None, {}, "edges.csv", ["no rows"]),
        ("i,j\n", None, {}, "edges.csv", ["no rows", "at least one row"]),
        ('1,2\n"3,4\n', None, {}, "edges.csv:", ["cannot be read", "comma-separated values in UTF-8"]),
    ],
)
def test_errors_name_the_line(
    tmp_path: Path, text: str, nodes: str | None, options: dict[str, Any], line: str, parts: list[str]
) -> None:
    """Would catch a malformed row that is skipped or repaired, and an error that does not lead to its line."""
    with pytest.raises(DataError) as caught:
        read(tmp_path, text, nodes, **options)
    assert f"{tmp_path / line}" in caught.value.where
    if ":" in line and not line.endswith(":"):
        assert caught.value.where == f"{tmp_path / line}"
    for part in parts:
        assert part in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Would catch a traceback from gzip or the decoder instead of an error with the file."""
    packed = gzip.compress(b"1,2\n" * 5000)
    for name, content in (("a.csv", b"1,\xff\n"), ("a.csv.gz", b"1,2\n"), ("b.csv.gz", packed[: len(packed) // 2])):
        (tmp_path / name).write_bytes(content)
        options = Edges.model_validate({"file": name}, context={"folder": tmp_path})
        with pytest.raises(DataError, match="cannot be read") as caught:
            edges(options, None, np.random.default_rng(0))
        assert caught.value.where.startswith(str(tmp_path / name))


def test_compressed_files_are_the_same(tmp_path: Path) -> None:
    """Would catch .gz that is read differently from plain text."""
    (tmp_path / "e.csv.gz").write_bytes(gzip.compress(b"1,2,3\n2,4,5\n"))
    options = Edges.model_validate({"file": "e.csv.gz"}, context={"folder": tmp_path})
    assert named_edges(edges(options, None, np.random.default_rng(0))) == named_edges(read(tmp_path, "1,2,3\n2,4,5\n"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ["id", "a"]}, "there is none; give nodes"),
        ({"columns": ["a", "b"], "nodes": "e.csv"}, "one must be 'id'"),
        ({"columns": ["id", "b", "b"], "nodes": "e.csv"}, "the names must differ"),
        ({"header": "maybe"}, "header"),
        ({"nodes": "none.csv"}, "no file 'none.csv'"),
        ({"file": "data:e.csv"}, "MESOCOSM_DATA, which is not set"),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    """Would catch options that contradict each other and are taken."""
    (tmp_path / "e.csv").write_text("1,2\n")
    with pytest.raises(ValidationError, match=message):
        Edges.model_validate({"file": "e.csv", **options}, context={"folder": tmp_path})


def real(data_folder: Path, **options: Any) -> ContactGraph:
    return edges(Edges.model_validate(options, context={"data": data_folder}), None, np.random.default_rng(0))


def test_high_school(data_folder: Path) -> None:
    """SocioPatterns high school 2013: 327 students seen, 5818 pairs, 188508 contacts, 9 classes; 2 students never met.

    Would catch lost rows, isolated nodes that vanish, and classes that do not follow their students.
    """
    options = {
        "file": "data:networks/highschool2013_edges.csv",
        "nodes": "data:networks/highschool2013_nodes.csv",
        "columns": ["id", "group", "gender"],
    }
    graph = real(data_folder, **options)
    assert (graph.node_count, graph.edge_count) == (329, 5818)
    assert graph.strengths.sum() / 2 == 188_508
    assert (graph.degrees == 0).sum() == 2
    seen = real(data_folder, **options, isolated=False)
    assert (seen.node_count, seen.edge_count) == (327, 5818)
    assert len(seen.group_index("group")[0]) == 9
    assert set(seen.attributes["gender"]) == {"F", "M", "Unknown"}
    within = networkx.attribute_assortativity_coefficient(seen.to_networkx(), "group")
    mixing = seen.mixing("group")
    flow = mixing.shares[:, None] * mixing.dense()
    # Classmates meet most: by time, more so than the unweighted coefficient says.
    assert np.trace(flow) / flow.sum() > within > 0.5


@pytest.mark.parametrize(
    ("options", "nodes", "count"),
    [
        ({"file": "data:networks/karate.csv"}, 34, 78),
        (
            {"file": "data:networks/hospital_lyon_edges.csv", "nodes": "data:networks/hospital_lyon_nodes.csv"},
            75,
            1139,
        ),
        ({"file": "data:networks/power_grid.csv.gz"}, 4941, 6594),
        ({"file": "data:networks/email_eu_core.csv.gz", "simplify": True}, 1005, 16064),
    ],
)
def test_published_counts(data_folder: Path, options: dict[str, Any], nodes: int, count: int) -> None:
    """Published numbers of nodes and edges. Would catch lost or merged rows in real files."""
    graph = real(data_folder, **options)
    assert (graph.node_count, graph.edge_count) == (nodes, count)


def test_karate_club_is_that_of_networkx(data_folder: Path) -> None:
    """Would catch a permuted edge or weight: every weight of Zachary's club against networkx's own copy."""
    graph = real(data_folder, file="data:networks/karate.csv", nodes="data:networks/karate_nodes.csv")
    club = networkx.karate_club_graph()
    assert named_edges(graph) == {
        frozenset((str(i), str(j))): float(weight) for i, j, weight in club.edges(data="weight")
    }
    assert graph.attributes["group"].tolist() == [club.nodes[i]["club"] for i in range(34)]


def test_directed_files_are_refused_without_simplify(data_folder: Path) -> None:
    """Would catch a directed list that is symmetrised unasked."""
    with pytest.raises(DataError, match=r"email_eu_core\.csv\.gz:\d+: .*simplify: true"):
        real(data_folder, file="data:networks/email_eu_core.csv.gz")
