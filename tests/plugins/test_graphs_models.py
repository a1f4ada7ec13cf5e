"""The models of Barabasi and Albert and of Watts and Strogatz: closed forms for large graphs, networkx for small ones.

Statistical bounds are 4 standard errors or a chi-square at 1e-4, with fixed seeds.
"""

from __future__ import annotations

from typing import Any

import networkx
import numpy as np
import pytest
from scipy import stats

from mesocosm_graphs.classic import barabasi_albert, watts_strogatz
from mesocosm_graphs.options import BarabasiAlbert, WattsStrogatz

FALSE_ALARM = 1e-4


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def shape_of(graph: networkx.Graph) -> tuple[Any, ...]:
    """Degrees by node, and the number of triangles: for small graphs a fine description."""
    return (*[graph.degree[node] for node in range(len(graph))], sum(networkx.triangles(graph).values()) // 3)


@pytest.mark.parametrize("kind", ["barabasi_albert", "watts_strogatz"])
def test_same_law_as_networkx(kind: str) -> None:
    """Two samples of 2000 small graphs, ours and those of networkx, by degrees and triangles (chi-square of two samples).

    Would catch another start, another choice of the moved end, or choices that are not in proportion to degree: it has been
    seen to find a uniform choice, a chain instead of a star at the start, and the other end of an edge being moved.
    """
    draws, generator = 2000, rng(8)
    counts: dict[tuple[Any, ...], list[float]] = {}
    for seed in range(draws):
        if kind == "barabasi_albert":
            mine = barabasi_albert(BarabasiAlbert(m=2), 6, generator).to_networkx()
            theirs = networkx.barabasi_albert_graph(6, 2, seed=seed)
        else:
            mine = watts_strogatz(WattsStrogatz(k=4, p=0.4), 7, generator).to_networkx()
            theirs = networkx.watts_strogatz_graph(7, 4, 0.4, seed=seed)
        for side, graph in enumerate((mine, theirs)):
            counts.setdefault(shape_of(graph), [0.0, 0.0])[side] += 1
    common = np.array([pair for pair in counts.values() if sum(pair) >= 20])
    rest = np.array([pair for pair in counts.values() if sum(pair) < 20]).reshape(-1, 2).sum(axis=0)
    table = np.vstack([common, rest]) if rest.sum() >= 20 else common
    statistic = ((table[:, 0] - table[:, 1]) ** 2 / table.sum(axis=1)).sum()
    assert statistic < stats.chi2.isf(FALSE_ALARM, len(table) - 1)


def test_barabasi_albert_degrees() -> None:
    """The share of degree k tends to 2 m (m+1) / (k (k+1) (k+2)) (Bollobas et al., Random Struct. Algorithms 18, 2001).

    Would catch attachment that is not in proportion to degree. Power: at 20000 nodes 4 standard errors are 0.014 of 0.4.
    """
    nodes, m = 20_000, 3
    graph = barabasi_albert(BarabasiAlbert(m=m), nodes, rng(9))
    assert graph.edge_count == m + m * (nodes - m - 1)
    for k in range(m, 9):
        expected = 2 * m * (m + 1) / (k * (k + 1) * (k + 2))
        share = (graph.degrees == k).mean()
        assert abs(share - expected) <= 4 * np.sqrt(expected * (1 - expected) / nodes)


def test_watts_strogatz_degrees() -> None:
    """A ring at p = 0; else the mean is kept and the variance is (k/2) p (2 - p) (Barrat, Weigt, Eur. Phys. J. B 13, 2000).

    Would catch lost edges, or rewiring with another probability. Power: at 20000 nodes the standard error of the variance
    is about 1.5 %; p off by 10 % changes it by 8 %.
    """
    ring = watts_strogatz(WattsStrogatz(k=4, p=0), 10, rng())
    assert {frozenset(edge) for edge in ring.to_networkx().edges} == {
        frozenset(edge) for edge in networkx.circulant_graph(10, [1, 2]).edges
    }
    nodes, k, p = 20_000, 6, 0.25
    graph = watts_strogatz(WattsStrogatz(k=k, p=p), nodes, rng(10))
    assert graph.edge_count == nodes * k // 2
    assert graph.degrees.min() >= k // 2
    assert graph.degrees.mean() == k
    spread = graph.degrees - k
    error = np.sqrt(((spread**4).mean() - spread.var() ** 2) / nodes)
    assert abs(spread.var() - k / 2 * p * (2 - p)) <= 4 * error
    source, target, _ = graph.edges()
    distance = np.minimum(target - source, nodes - target + source)
    kept, edges = int((distance <= k // 2).sum()), nodes * k // 2
    assert abs(kept - edges * (1 - p)) <= 4 * np.sqrt(edges * p * (1 - p)) + edges * p * k / nodes
