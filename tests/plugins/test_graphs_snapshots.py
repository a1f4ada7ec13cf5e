"""Snapshots: edge lists that hold from a time on, from files and from one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from mesocosm import ContactGraph, DataError, InputError
from mesocosm_graphs.changing_options import Snapshots
from mesocosm_graphs.snapshots import snapshots

TABLE = "0,a,b\n0,b,c\n3,b,c\n4,a,c\n"
COURSE = [(0, 3, {"ab": 1, "bc": 1}), (3, 4, {"bc": 1}), (4, 6, {"ac": 1})]


def read(folder: Path, table: str | None = None, **options: Any) -> ContactGraph:
    if table is not None:
        (folder / "table.csv").write_text(table, encoding="utf-8")
        options = {"table": "table.csv", **options}
    model = Snapshots.model_validate({"end": 6, **options}, context={"folder": folder})
    return snapshots(model, None, np.random.default_rng(0))


def weights(graph: ContactGraph) -> dict[str, float]:
    source, target, values = graph.edges()
    ids = graph.attributes["id"]
    each = np.ones(len(source)) if values is None else values
    return {"".join(sorted((ids[i], ids[j]))): float(w) for i, j, w in zip(source, target, each, strict=True)}


def course(graph: ContactGraph, start: float, stop: float) -> list[tuple[float, float, dict[str, float]]]:
    assert graph.changes is not None
    found = [
        (piece.start, piece.stop, graph.changes.graph(piece.number)) for piece in graph.changes.pieces(start, stop)
    ]
    return [(begin, end, weights(now)) for begin, end, now in found]


def test_a_table_in_any_order(tmp_path: Path) -> None:
    """Catches contacts that hold at another time than from their own until the next, and an average without its lengths."""
    graph = read(tmp_path, TABLE, loop=True)
    assert course(graph, 0, 6) == COURSE
    assert course(graph, 6, 12) == [(begin + 6, end + 6, now) for begin, end, now in COURSE]
    assert weights(graph) == pytest.approx({"ab": 3 / 6, "bc": 4 / 6, "ac": 2 / 6})
    shuffled = read(tmp_path, "t,i,j\n4,a,c\n0,c,b\n3,c,b\n0,b,a\n", loop=True)
    assert course(shuffled, 0, 6) == COURSE


def test_the_last_snapshot_holds_on(tmp_path: Path) -> None:
    """Catches a record that falls silent after its end, and one that is known for longer than it says."""
    assert course(read(tmp_path, TABLE, loop=False), 3.5, 100) == [(3.5, 4, {"bc": 1}), (4, 100, {"ac": 1})]
    unsaid = read(tmp_path, TABLE)
    assert unsaid.changes is not None
    unsaid.changes.check(6)
    with pytest.raises(InputError, match="ends at time 6, the run at 7"):
        unsaid.changes.check(7)


def test_weights(tmp_path: Path) -> None:
    """Catches weights of another row, that are read unasked, or that are not averaged over time."""
    table = "0,a,b,2\n0,b,c,0.5\n2,b,c,4\n"
    graph = read(tmp_path, table, loop=True)
    assert course(graph, 0, 6) == [(0, 2, {"ab": 2, "bc": 0.5}), (2, 6, {"bc": 4})]
    assert weights(graph) == pytest.approx({"ab": 4 / 6, "bc": 17 / 6})
    assert course(read(tmp_path, table, loop=True, weights=False), 0, 6)[0] == (0, 2, {"ab": 1, "bc": 1})
    merged = read(tmp_path, "0,a,b,2\n0,b,a,1\n0,a,a,1\n1,b,c,1\n", loop=True, simplify=True)
    assert course(merged, 0, 1) == [(0, 1, {"ab": 3})]


def test_files(tmp_path: Path) -> None:
    """Catches ids that are numbered anew in every file, a time without contacts, and files that hold at another time."""
    (tmp_path / "one.csv").write_text("c,b\na,b\n")
    (tmp_path / "two.csv").write_text("b,c\n")
    (tmp_path / "three.csv").write_text("d,c,2.5\n")
    files = [
        {"from": 0, "file": "one.csv"},
        {"from": 2, "file": "two.csv"},
        {"from": 3},
        {"from": 5, "file": "three.csv"},
    ]
    graph = read(tmp_path, files=files, loop=True)
    assert course(graph, 0, 6) == [(0, 2, {"ab": 1, "bc": 1}), (2, 3, {"bc": 1}), (3, 5, {}), (5, 6, {"cd": 2.5})]
    (tmp_path / "nodes.csv").write_text("id,group\nz,1\nd,2\nc,3\nb,4\na,5\n")
    named = read(tmp_path, files=files, loop=True, nodes="nodes.csv")
    assert named.attributes["group"].tolist() == ["1", "2", "3", "4", "5"]
    assert course(named, 0, 6) == course(graph, 0, 6)
    met = read(tmp_path, files=files, loop=True, nodes="nodes.csv", isolated=False)
    assert met.attributes["id"].tolist() == ["d", "c", "b", "a"]
    assert course(met, 0, 6) == course(graph, 0, 6)


@pytest.mark.parametrize(
    ("table", "line", "what"),
    [
        ("1,a,b\n2,b,c\n", 1, "the first snapshot holds from time 1"),
        ("0,a,b\n\n6,b,c\n", 3, "a snapshot holds from time 6, and the record ends at 6"),
        ("0,a,b\n0,b,c\n\n0,b,a\n", 4, "nodes 'b' and 'a' meet at time 0 on line 1 already"),
        ("0,a,b\n0,c,c\n", 2, "node 'c' meets itself"),
        ("0,a,b,1\n0,b,c,-1\n", 2, "weight '-1'"),
    ],
)
def test_faults_name_their_line(tmp_path: Path, table: str, line: int, what: str) -> None:
    """Catches a fault that is repaired in silence, or found on another line."""
    with pytest.raises(DataError) as error:
        read(tmp_path, table)
    assert f"table.csv:{line}: {what}" in error.value.message()


def test_faults_of_files(tmp_path: Path) -> None:
    """Catches a fault in one of the files without its name and line, and snapshots without any contact."""
    (tmp_path / "one.csv").write_text("a,b\nb,b\n")
    with pytest.raises(DataError, match=r"one\.csv:2: node 'b' meets itself"):
        read(tmp_path, files=[{"from": 0, "file": "one.csv"}])
    with pytest.raises(DataError, match="no snapshot has a file"):
        read(tmp_path, files=[{"from": 0}])


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({}, "either files or table"),
        ({"files": [{"from": 1}]}, "from time 0"),
        ({"files": [{"from": 0}, {"from": 2}, {"from": 2}]}, "in the order of time"),
        ({"files": [{"from": 0}, {"from": 6}]}, "not after the last snapshot"),
    ],
)
def test_options_that_contradict(tmp_path: Path, options: dict[str, Any], what: str) -> None:
    """Catches options that mean nothing together."""
    with pytest.raises(ValidationError, match=what):
        read(tmp_path, **options)
