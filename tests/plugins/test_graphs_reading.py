"""Tables and edge lists read at once: the same as row by row, or left to that."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesocosm import DataError
from mesocosm_graphs.edge_list import edges
from mesocosm_graphs.options import Edges
from mesocosm_graphs.tables import read_columns, read_table

FIELDS = st.sampled_from(["1", "23", "ann", "x y", " 4", "4 ", "", "nan", "NA", "1e3", "id", "é", '"q"', "#", "\x0c"])
TEXTS = st.lists(
    st.tuples(st.lists(FIELDS, min_size=1, max_size=3), st.sampled_from(["\n", "\r\n", "\n\n", "\r", "\n \n"])),
    max_size=6,
).map(lambda rows: "".join(",".join(fields) + end for fields, end in rows))


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS, st.sampled_from(["", "\ufeff"]), st.sampled_from(["auto", True, False]))
def test_the_fast_reader_reads_the_same_or_nothing(
    tmp_path: Path, text: str, mark: str, header: bool | Literal["auto"]
) -> None:
    """Would catch a short row that is filled up, text such as NA taken for a gap, and another idea of what a header is."""
    file = tmp_path / "t.csv"
    file.write_bytes((mark + text).encode())
    columns = read_columns(file, header)
    if columns is None:
        return
    rows = read_table(file, header).rows
    assert [[str(field).strip() for field in row] for row in zip(*columns, strict=True)] == rows


@pytest.mark.parametrize(
    "text",
    ["1,2\n2,3\n", "\ufeffsource,target\r\n1,2\r\n\r\n2,3", "i,j,w\nann,x y,0.5\nNA,nan,1e3\n", "1,2,\u00e9\n"],
)
def test_plain_files_are_read_fast(tmp_path: Path, text: str) -> None:
    """Would catch a fast reader that never reads anything, so that all else about it holds."""
    for name, content in (("t.csv", text.encode()), ("t.csv.gz", gzip.compress(text.encode()))):
        (tmp_path / name).write_bytes(content)
        assert read_columns(tmp_path / name, "auto") is not None


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(*[st.sampled_from("abcdé")] * 2, st.sampled_from(["1", "2.5", "0.1", "1_0", "-1", "x", " 3"])),
        min_size=1,
    ),
    st.booleans(),
    st.sampled_from([None, False]),
    st.booleans(),
)
def test_the_same_graph_or_the_same_error(
    tmp_path: Path, rows: list[tuple[str, str, str]], simplify: bool, weights: bool | None, with_table: bool
) -> None:
    """The same rows with one id in quotes, which are read row by row, give the same graph or the same error.

    Would catch nodes in another order, weights that are parsed differently, and a fault that only one reader sees.
    """
    first, *others = [",".join(row) for row in rows]
    (tmp_path / "n.csv").write_text("b\na\nc\nd\n", encoding="utf-8")
    found: list[Any] = []
    for text in (first, f'"{rows[0][0]}"{first[1:]}'):
        (tmp_path / "e.csv").write_text("\n".join([text, *others]), encoding="utf-8")
        asked = {
            "file": "e.csv",
            "simplify": simplify,
            "weights": weights,
            **({"nodes": "n.csv"} if with_table else {}),
        }
        options = Edges.model_validate(asked, context={"folder": tmp_path})
        try:
            graph = edges(options, None, np.random.default_rng(0))
            values = None if graph.weights is None else graph.weights.tolist()
            found.append((graph.attributes["id"].tolist(), graph.indptr.tolist(), graph.indices.tolist(), values))
        except DataError as error:
            found.append(str(error))
    assert found[0] == found[1]


def test_slashdot(data_folder: Path) -> None:
    """soc-Slashdot0902: 82168 nodes and 948464 directed edges (SNAP), 504230 pairs.

    Would catch rows lost by the fast reader, and a pair that is counted in both directions.
    """
    options = {"file": "data:networks/soc_slashdot0902.csv.gz", "simplify": True}
    columns = read_columns(data_folder / "networks" / "soc_slashdot0902.csv.gz", "auto")
    assert columns is not None
    assert [len(column) for column in columns] == [948_464, 948_464]
    graph = edges(Edges.model_validate(options, context={"data": data_folder}), None, np.random.default_rng(0))
    assert (graph.node_count, graph.edge_count) == (82_168, 504_230)
