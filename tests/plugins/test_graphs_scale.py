"""Large graphs: kernels against the plain loops that they stand for, laws at scale, and memory that is said beforehand."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from mesocosm import ContactGraph, InputError, memory_of
from mesocosm_graphs.classic import barabasi_albert, lattice, watts_strogatz
from mesocosm_graphs.configuration import configuration, regular
from mesocosm_graphs.kernels import grow, rewire
from mesocosm_graphs.options import (
    BarabasiAlbert,
    Blocks,
    Configuration,
    ErdosRenyi,
    Lattice,
    Regular,
    WattsStrogatz,
)
from mesocosm_graphs.random_graphs import blocks, distinct_integers, erdos_renyi

Build = Callable[[int, float, np.random.Generator], ContactGraph]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def plain_growth(nodes: int, m: int, generator: np.random.Generator) -> list[int]:
    ends = [node for leaf in range(1, m + 1) for node in (0, leaf)]
    for node in range(m + 1, nodes):
        chosen: list[int] = []
        before = len(ends)
        while len(chosen) < m:
            target = ends[int(generator.random() * before)]
            if target not in chosen:
                chosen.append(target)
                ends += (node, target)
    return ends


def plain_rewiring(nodes: int, k: int, moved: list[int], generator: np.random.Generator) -> set[frozenset[int]]:
    edges = [(node, (node + step) % nodes) for step in range(1, k // 2 + 1) for node in range(nodes)]
    present = {frozenset(edge) for edge in edges}
    for edge in moved:
        near = edges[edge][0]
        if sum(near in pair for pair in present) == nodes - 1:
            continue
        while True:
            new = int(generator.integers(nodes))
            if new != near and frozenset((near, new)) not in present:
                break
        present.remove(frozenset(edges[edge]))
        present.add(frozenset((near, new)))
        edges[edge] = (near, new)
    return present


@pytest.mark.parametrize(("nodes", "m"), [(2, 1), (6, 5), (40, 3), (60, 30)])
def test_growth_is_its_plain_loop(nodes: int, m: int) -> None:
    """Would catch a compiled loop that chooses among the edges of the new node too, or forgets whom it has chosen."""
    assert grow(nodes, m, rng(1)).tolist() == plain_growth(nodes, m, rng(1))


@pytest.mark.parametrize(("nodes", "k"), [(3, 2), (6, 4), (7, 6), (40, 4), (25, 22)])
def test_rewiring_is_its_plain_loop(nodes: int, k: int) -> None:
    """Would catch a pair that is found free though the other end brought it, and full nodes that move an edge."""
    moved = np.flatnonzero(rng(2).random(nodes * k // 2) < 0.7)
    targets = np.stack([np.roll(np.arange(nodes, dtype=np.int32), -step) for step in range(1, k // 2 + 1)])
    rewire(nodes, targets, moved, rng(3))
    mine = {frozenset((near, far)) for row in targets.tolist() for near, far in enumerate(row)}
    assert mine == plain_rewiring(nodes, k, moved.tolist(), rng(3))


def test_triangles_of_watts_strogatz() -> None:
    """A triangle of the ring stays where none of its edges moves: N K (K-1) / 2 (1-p)^3 of them, K = k / 2.

    Source: Barrat and Weigt, Eur. Phys. J. B 13, 547 (2000); others come about by chance, some p K^2 (2 K)^2. Would catch ends
    that move to another probability, or near rather than far. Power: p off by 5 % moves the mean by 5 standard errors.
    """
    nodes, half, p = 20_000, 5, 0.1
    matrix = watts_strogatz(WattsStrogatz(k=2 * half, p=p), nodes, rng(4)).adjacency
    triangles = (matrix @ matrix).multiply(matrix).sum() / 6
    expected = nodes * half * (half - 1) / 2 * (1 - p) ** 3
    # An edge is in 3 (K-1) / 2 triangles on average, each of which needs two others.
    error = np.sqrt(nodes * half * p * (1 - p)) * 1.5 * (half - 1) * (1 - p) ** 2
    by_chance = p * half * half * 4 * half
    assert abs(triangles - expected - by_chance) <= 4 * error + by_chance


def test_distinct_integers_at_scale() -> None:
    """Half a million of 5e11, and of two millions, where a tenth of the draws hits what is there already.

    Would catch one that stands twice, and a bias towards either end: the mean of the chosen has a standard error of 0.04 %
    of the range, so that 0.3 % is seen.
    """
    for total in (5 * 10**11, 2 * 10**6):
        chosen = distinct_integers(total, 500_000, rng(5))
        assert len(chosen) == 500_000
        assert (np.diff(chosen) > 0).all()
        assert chosen[0] >= 0
        assert chosen[-1] < total
        assert abs(chosen.mean() / total - 0.5) <= 4 / np.sqrt(12 * 500_000)


BUILDERS: dict[str, Build] = {
    "erdos_renyi": lambda n, k, g: erdos_renyi(ErdosRenyi(mean_degree=k), n, g),
    "configuration": lambda n, k, g: configuration(
        Configuration.model_validate({"degrees": {"negative_binomial": {"mean": k, "dispersion": 2}}}), n, g
    ),
    "regular": lambda n, k, g: regular(Regular(degree=int(k)), n, g),
    "barabasi_albert": lambda n, k, g: barabasi_albert(BarabasiAlbert(m=int(k) // 2), n, g),
    "watts_strogatz": lambda n, k, g: watts_strogatz(WattsStrogatz(k=int(k), p=0.1), n, g),
    "blocks": lambda n, k, g: blocks(
        Blocks(sizes=(n // 2, n // 2), mean_degrees=((0.7 * k, 0.3 * k), (0.3 * k, 0.7 * k))), None, g
    ),
    "lattice": lambda n, k, g: lattice(Lattice(shape=(n // 100, 100), neighbours=8), None, g),
}


@pytest.mark.parametrize("kind", BUILDERS)
def test_memory_is_what_is_said(kind: str) -> None:
    """The peak while a graph is built is at most what is said, and not much less: from 0.6 of it.

    Would catch a builder that makes another copy of all edges, and a figure that is never reached.
    """
    build, nodes, degree = BUILDERS[kind], 40_000, 10.0
    build(400, degree, rng())  # what is imported and compiled for the first time is no memory of the graph
    tracemalloc.start()
    graph = build(nodes, degree, rng())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A few hundred kilobytes are due to tables and to the interpreter.
    assert 0.6 <= peak / memory_of(nodes, len(graph.indices)) <= 1.0 + 300_000 / peak


@pytest.mark.parametrize("kind", BUILDERS)
def test_a_graph_that_does_not_fit_is_refused_at_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine of 8 GiB, 2e9 nodes of degree 10 are refused, with both numbers, before a hundredth of that is taken.

    Would catch a builder that fills the memory and is killed.
    """
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**21}.__getitem__)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"GiB while it is built; this machine has 8\.0 GiB") as caught:
        BUILDERS[kind](2 * 10**9, 10.0, rng())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.where.startswith("graph.")
    assert "2000000000 nodes" in str(caught.value)
    assert peak < 2**24
