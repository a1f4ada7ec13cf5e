"""Closures on graphs that change, against scipy: pairs that meet by turns, short pieces, and contacts of a high school."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from piecewise_epidemics import BETA, GAMMA, changing, joined, sir, solved, start_of
from scipy.sparse import csr_array

from mesocosm import ContactGraph, Problem

Make = Callable[..., Problem]


def pair_on_and_off(on: float = 0.35, off: float = 0.65) -> ContactGraph:
    """Two nodes that meet with weight 2 for a while of every period of length 1, which starts alone."""
    alone, together = ContactGraph.from_edges(2, [], []), ContactGraph.from_edges(2, [0], [1], [2.0])
    average = ContactGraph.from_edges(2, [0], [1], [2 * on / (on + off)], {"group": ["a", "b"]})
    return changing(average, [alone, together], [0.0, off, off + on])


@pytest.mark.parametrize("closure", ["homogeneous", "degree", "group", "individual"])
def test_a_pair_that_meets_now_and_then(make_problem: Make, closure: str) -> None:
    """Catches contacts at the wrong times: two nodes, in contact for 0.35 of every 1, one of them infected at the start in
    the closures that tell them apart; scipy piece by piece, to 1e-6 with steps of 0.05 that end inside no piece."""
    problem = make_problem("sir", {"beta": BETA, "gamma": GAMMA}, pair_on_and_off(), end=10, infected=0.2)
    apart = closure in ("group", "individual")
    start = start_of(2, 0.2)
    if apart:
        groups = {"a": np.array([0.9, 0.1, 0.0]), "b": np.array([0.3, 0.7, 0.0])}
        problem = replace(problem, population=replace(problem.population, groups=groups))
        start = np.array(list(groups.values()))
    together, alone = np.array([[0, 2.0], [2.0, 0]]), np.zeros((2, 2))
    parts = []
    for second in range(10):
        parts += [(alone, BETA, second + np.array([0, 0.65])), (together, BETA, second + np.array([0.65, 1.0]))]
    expected = joined(*parts, start=start)[::2].mean(axis=1)
    found = solved(problem, closure=closure, step=0.05).array("occupancy")[0]
    assert np.abs(found - expected).max() < 1e-6
    static = replace(problem, graph=replace(problem.graph, changes=None))
    assert np.abs(solved(static, closure=closure).array("occupancy")[0] - expected).max() > 1e-3


def test_pieces_that_are_shorter_than_a_step(make_problem: Make) -> None:
    """Catches averages with wrong weights, and steps that hold a part of a piece: three nodes with a link for 0.4 of a step,
    and another one for the rest. Averaged over steps the error has order 1 (and is there); resolved it is below 1e-9."""
    links = [ContactGraph.from_edges(3, [0], [1], [3.0]), ContactGraph.from_edges(3, [1], [2], [5.0])]
    average = ContactGraph.from_edges(3, [0, 1], [1, 2], [3.0 * 0.4, 5.0 * 0.6], {"group": list("abc")})
    start = np.array([[0.1, 0.9, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    averaged = []
    for count in (8, 16, 32):
        times = np.sort(np.append(np.arange(count + 1), np.arange(count) + 0.4)) * 2 / count
        graph = replace(
            changing(average, links, [0.0, 0.8 / count, 2 / count]), attributes={"group": np.array(["a", "b", "c"])}
        )
        problem = make_problem("sir", {"beta": BETA, "gamma": GAMMA}, graph, end=2, save_every=2)
        shares = dict(zip("abc", start, strict=True))
        problem = replace(problem, population=replace(problem.population, groups=shares))
        parts = [(links[k % 2].adjacency.toarray(), BETA, times[k : k + 2]) for k in range(2 * count)]
        expected = joined(*parts, start=start)[-1].mean(axis=0)
        for closure in ("individual", "group"):
            steps = [solved(problem, closure=closure, step=2 / n).array("occupancy")[0, -1] for n in (count, 8 * count)]
            errors = np.abs(np.array(steps) - expected).max(axis=1)
            assert errors[1] < 1e-9
        averaged.append(errors[0])
    assert np.log2(averaged[0] / averaged[1]) == pytest.approx(1, abs=0.15)
    assert np.log2(averaged[1] / averaged[2]) == pytest.approx(1, abs=0.15)


def test_contacts_of_a_high_school(make_problem: Make, data_folder: Path) -> None:
    """Catches graphs that are taken in the wrong order, or held for the wrong time: 40 minutes of contacts between 327
    pupils, one graph every 20 seconds, in the individual closure; scipy graph by graph, to 1e-8, and the average is far."""
    with gzip.open(data_folder / "networks" / "highschool2013_contacts.csv.gz", "rt") as lines:
        rows = np.loadtxt((line.replace(",", " ") for line in lines), usecols=(0, 1, 2), dtype=np.int64, max_rows=12000)
    rows = rows[rows[:, 0] < rows[0, 0] + 2400]
    people, ends = np.unique(rows[:, 1:], return_inverse=True)
    ends, size, slots = ends.reshape(-1, 2), len(people), (rows[:, 0] - rows[0, 0]) // 20
    graphs = [
        ContactGraph.from_edges(size, *np.unique(np.sort(ends[slots == k], axis=1), axis=0).T) for k in range(120)
    ]
    total = sum((graph.adjacency for graph in graphs), start=csr_array((size, size))).tocoo()
    once = total.row < total.col
    average = ContactGraph.from_edges(size, total.row[once], total.col[once], total.data[once] / 120)
    minutes = np.arange(121) / 3
    graph, rates = changing(average, graphs, minutes.tolist()), {"beta": 0.2, "gamma": 0.05}
    problem = make_problem("sir", rates, graph, end=40, save_every=10, infected=0.05)
    found = solved(problem, closure="individual", step=1 / 6).array("occupancy")[0]
    y = start_of(size, 0.05)
    for k, now in enumerate(graphs):
        y = sir(now.adjacency, 0.2, y, minutes[k : k + 2], gamma=0.05)[-1]
    assert np.abs(found[-1] - y.mean(axis=0)).max() < 1e-8
    static = solved(replace(problem, graph=average), closure="individual").array("occupancy")[0]
    assert np.abs(static[-1] - found[-1]).max() > 1e-3
