"""Random graphs: the laws of their degrees and edges, simplicity, seeds, and degrees that are kept exactly.

Statistical bounds are 4 standard errors or a chi-square at 1e-4, with fixed seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mesocosm import ContactGraph, InputError
from mesocosm_graphs.classic import barabasi_albert, watts_strogatz
from mesocosm_graphs.configuration import configuration, impossible, regular
from mesocosm_graphs.options import BarabasiAlbert, Blocks, Configuration, ErdosRenyi, Regular, WattsStrogatz
from mesocosm_graphs.random_graphs import blocks, erdos_renyi, pair, pairs_within

FALSE_ALARM = 1e-4


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def chi_square_passes(observed: Any, expected: Any) -> bool:
    """Chi-square over cells; neighbouring cells are merged until each expects at least 8."""
    cells: list[list[float]] = []
    for seen, mean in zip(observed, expected, strict=True):
        if cells and cells[-1][1] < 8:
            cells[-1] = [cells[-1][0] + seen, cells[-1][1] + mean]
        else:
            cells.append([float(seen), float(mean)])
    if len(cells) > 1 and cells[-1][1] < 8:
        seen, mean = cells.pop()
        cells[-1] = [cells[-1][0] + seen, cells[-1][1] + mean]
    table = np.array(cells)
    statistic = ((table[:, 0] - table[:, 1]) ** 2 / table[:, 1]).sum()
    return bool(statistic < stats.chi2.isf(FALSE_ALARM, len(table) - 1))


def within_four_errors(sample: Any, mean: float, variance: float | None = None) -> None:
    """Mean (and variance, by the fourth moment) of independent numbers, each within 4 standard errors."""
    values = np.asarray(sample, float)
    spread = values - values.mean()
    error = np.sqrt((variance if variance is not None else spread.var()) / len(values))
    assert abs(values.mean() - mean) <= 4 * error
    if variance is not None:
        error_of_variance = np.sqrt(((spread**4).mean() - spread.var() ** 2) / len(values))
        assert abs(values.var(ddof=1) - variance) <= 4 * error_of_variance + 1e-12


BUILDERS: dict[str, Callable[[np.random.Generator], ContactGraph]] = {
    "erdos_renyi": lambda g: erdos_renyi(ErdosRenyi(mean_degree=8), 500, g),
    "configuration": lambda g: configuration(
        Configuration.model_validate({"degrees": {"power_law": {"exponent": 2.2, "minimum": 2, "maximum": 200}}}),
        500,
        g,
    ),
    "regular": lambda g: regular(Regular(degree=5), 500, g),
    "barabasi_albert": lambda g: barabasi_albert(BarabasiAlbert(m=3), 500, g),
    "watts_strogatz": lambda g: watts_strogatz(WattsStrogatz(k=6, p=0.3), 500, g),
    "blocks": lambda g: blocks(Blocks(sizes=(200, 300), mean_degrees=((4, 3), (2, 6))), None, g),
}


@pytest.mark.parametrize("kind", BUILDERS)
def test_simple_and_seeded(kind: str) -> None:
    """Would catch loops, parallel edges, a one-sided edge, global randomness, and a generator that is not used."""
    graph, again, other = BUILDERS[kind](rng(3)), BUILDERS[kind](rng(3)), BUILDERS[kind](rng(4))
    matrix = graph.adjacency.toarray()
    assert matrix.shape == (500, 500)
    assert set(np.unique(matrix)) == {0.0, 1.0}
    assert (matrix == matrix.T).all()
    assert not matrix.diagonal().any()
    assert graph.indices.tobytes() == again.indices.tobytes()
    assert graph.indices.tobytes() != other.indices.tobytes()


def test_independent_pairs_exactly() -> None:
    """Every graph on 4 nodes has its exact probability under G(4, p), sparse (p = .3) and dense (p = .7).

    Would catch pairs that are not equally likely, a number of edges that is not binomial, or edges that are drawn together.
    Power: a pair that is 20 % too likely has non-centrality 100 (63 degrees of freedom, bound 110): seen with 0.98.
    """
    pairs = [(j, i) for j in range(4) for i in range(j)]
    for probability in (0.3, 0.7):
        generator, draws = rng(11), 6000
        counts = np.zeros(64)
        for _ in range(draws):
            larger, smaller = pairs_within(4, probability, generator)
            counts[sum(1 << pairs.index(pair) for pair in zip(larger.tolist(), smaller.tolist(), strict=True))] += 1
        sizes = np.array([code.bit_count() for code in range(64)])
        expected = draws * probability**sizes * (1 - probability) ** (6 - sizes)
        assert chi_square_passes(counts, expected)


def test_pair_index_names_every_pair() -> None:
    """Would catch a pair index spoilt by the rounding of the square root, at the ends of rows of up to 1e9 nodes."""
    for nodes in (2, 3, 100):
        larger, smaller = pairs_within(nodes, 1.0, rng())
        assert list(zip(larger.tolist(), smaller.tolist(), strict=True)) == [
            (i, j) for i in range(nodes) for j in range(i)
        ]
    for row in (10**6 + 1, 10**9 + 7):
        first = row * (row - 1) // 2
        larger, smaller = pair(np.array([first - 1, first, first + row - 1, first + row]))
        assert larger.tolist() == [row - 1, row, row, row + 1]
        assert smaller.tolist() == [row - 2, 0, row - 1, 0]


def test_erdos_renyi_degrees() -> None:
    """Degrees are binomial and the number of edges is, too.

    Would catch p = mean/N, doubled edges, a wrong law. Power: over 40 graphs of 1000 nodes the standard error of the mean
    degree is 0.022, so that a mean off by 2 % (0.2) is seen for certain.
    """
    nodes, mean = 1000, 10.0
    graphs = [erdos_renyi(ErdosRenyi(mean_degree=mean), nodes, rng(seed)) for seed in range(40)]
    pairs, p = nodes * (nodes - 1) / 2, mean / (nodes - 1)
    within_four_errors([graph.edge_count for graph in graphs], pairs * p, pairs * p * (1 - p))
    degrees = np.concatenate([graph.degrees for graph in graphs])
    support = np.arange(40)
    law = stats.binom(nodes - 1, p).pmf(support)
    assert chi_square_passes(np.bincount(degrees, minlength=40), law * len(degrees))
    assert graphs[0].degree_law is not None
    np.testing.assert_allclose(graphs[0].degree_law.shares[:40], law, rtol=1e-9)
    assert graphs[0].degree_law.mean == pytest.approx(mean, rel=1e-12)


def test_erdos_renyi_borders() -> None:
    """Would catch a failure at mean degree 0 or N-1, or with a single node."""
    assert erdos_renyi(ErdosRenyi(mean_degree=0), 5, rng()).edge_count == 0
    full = erdos_renyi(ErdosRenyi(mean_degree=4), 5, rng())
    assert full.edge_count == 10
    assert full.degree_law is not None
    assert full.degree_law.degrees.tolist() == [4.0]
    assert erdos_renyi(ErdosRenyi(mean_degree=0), 1, rng()).node_count == 1


def power_law_moments(exponent: float, minimum: int, maximum: int) -> tuple[float, float]:
    weights = [k**-exponent for k in range(minimum, maximum + 1)]
    first = sum(k * w for k, w in zip(range(minimum, maximum + 1), weights, strict=True)) / sum(weights)
    second = sum(k * k * w for k, w in zip(range(minimum, maximum + 1), weights, strict=True)) / sum(weights)
    return first, second - first**2


LAWS: dict[str, tuple[dict[str, Any], float, float]] = {
    "poisson": ({"poisson": 10}, 10, 10),
    "fixed": ({"fixed": 6}, 6, 0),
    "negative_binomial": ({"negative_binomial": {"mean": 8, "dispersion": 2}}, 8, 8 + 64 / 2),
    "power_law": (
        {"power_law": {"exponent": 2.5, "minimum": 2, "maximum": 60}},
        *power_law_moments(2.5, 2, 60),
    ),
    "values": ({"values": [16, 4], "shares": [0.25, 0.75]}, 7, 27),
}


@pytest.mark.parametrize("name", LAWS)
def test_configuration_laws(name: str) -> None:
    """Mean and variance of each law, by closed forms, of the realised degrees and of the stored law.

    Would catch a wrong parameter of a law, or degrees lost to simplification. Power: with 20000 nodes a mean off by
    2 % is 9 standard errors away for Poisson; off by 4 %, 7 for the negative binomial.
    """
    degrees, mean, variance = LAWS[name]
    graph = configuration(Configuration.model_validate({"degrees": degrees}), 20_000, rng(21))
    within_four_errors(graph.degrees, mean, variance)
    law = graph.degree_law
    assert law is not None
    assert law.mean == pytest.approx(mean, rel=1e-12)
    assert law.shares @ (law.degrees - mean) ** 2 == pytest.approx(variance, rel=1e-11, abs=1e-12)
    assert law.shares.sum() == pytest.approx(1.0, abs=1e-13)


def test_configuration_poisson_cell_by_cell() -> None:
    """Chi-square against the Poisson law. Power: a mean of 10.2 has non-centrality 80, bound about 55: seen with 0.99."""
    graph = configuration(Configuration.model_validate({"degrees": {"poisson": 10}}), 20_000, rng(22))
    support = np.arange(60)
    observed = np.bincount(graph.degrees, minlength=60)
    assert chi_square_passes(observed, stats.poisson(10).pmf(support) * 20_000)
    assert graph.degree_law is not None
    assert graph.degree_law.degrees[0] == 0
    beyond = stats.poisson(10).sf(graph.degree_law.degrees[-1])
    assert 0 < beyond <= 1e-16


def test_configuration_keeps_the_degrees_of_a_list_exactly() -> None:
    """Would catch simplification by dropping edges: a list with hubs has hundreds of loops and parallel edges at first."""
    degrees = [300, 300, 250, *([2] * 400), *([5] * 590)]
    graph = configuration(Configuration(degrees=tuple(degrees)), None, rng(1))
    assert graph.degrees.tolist() == degrees
    assert graph.degree_law is not None
    assert graph.degree_law.degrees.tolist() == [2, 5, 250, 300]
    np.testing.assert_allclose(graph.degree_law.shares, np.array([400, 590, 1, 2]) / 993)


@pytest.mark.parametrize(
    "degrees",
    [
        [0] * 3,
        [3, 3, 3, 3],
        [4, 1, 1, 1, 1],
        [8] * 10,
        [9, *([9] * 9)],
        [5, 5, 5, 5, 5, 5, 0],
        [2] * 3,
        [7, 7, 4, 4, 3, 3, 2, 2],
        [40] * 61,
    ],
)
def test_configuration_finds_tight_graphs(degrees: list[int]) -> None:
    """Would catch a search that gives up where few or only one simple graph exists, or that is dense."""
    graph = configuration(Configuration(degrees=tuple(degrees)), None, rng(2))
    assert graph.degrees.tolist() == degrees


def test_configuration_matches_without_preference() -> None:
    """Contacts between degrees 4 and 16 are as frequent as in a random matching of half-edges (exact mean and variance).

    Would catch assortative matching, such as half-edges that are not shuffled. Power: 4 standard errors are 200 of the
    expected 8000 edges between the two classes, so a preference of 3 % is seen.
    """
    graph = configuration(
        Configuration.model_validate({"degrees": {"values": [4, 16], "shares": [0.5, 0.5]}}), 5000, rng(5)
    )
    source, target, _ = graph.edges()
    low, high = int(graph.degrees[graph.degrees == 4].sum()), int(graph.degrees[graph.degrees == 16].sum())
    ends = low + high
    mean = low * high / (ends - 1)
    variance = low * (low - 1) * high * (high - 1) / ((ends - 1) * (ends - 3)) + mean - mean**2
    between = int((graph.degrees[source] != graph.degrees[target]).sum())
    assert abs(between - mean) <= 4 * np.sqrt(variance)


@pytest.mark.parametrize(("nodes", "degree", "graphs"), [(4, 1, 3), (5, 2, 12), (6, 4, 15)])
def test_regular_graphs_are_equally_likely(nodes: int, degree: int, graphs: int) -> None:
    """All labelled graphs of one shape: 3 matchings, 12 five-cycles, 15 complements of matchings (the dense side).

    Would catch a matching or a switch that prefers some labels. Power: one graph drawn 60 % too often
    among 12 or 15 in 2000 draws has non-centrality 50 or more (bound 38 to 42): seen with 0.9 or more.
    """
    generator, draws = rng(6), 2000
    seen: dict[bytes, int] = {}
    for _ in range(draws):
        graph = regular(Regular(degree=degree), nodes, generator)
        seen[graph.indices.tobytes()] = seen.get(graph.indices.tobytes(), 0) + 1
    assert len(seen) == graphs
    assert chi_square_passes(list(seen.values()), [draws / graphs] * graphs)


def test_regular_degrees() -> None:
    """Would catch a degree that differs anywhere, or a missing law."""
    graph = regular(Regular(degree=7), 3000, rng(7))
    assert (graph.degrees == 7).all()
    assert graph.degree_law is not None
    assert graph.degree_law.degrees.tolist() == [7.0]


def test_blocks_mean_contacts() -> None:
    """Mean contacts between blocks, and within them, against the matrix; each number of edges is binomial.

    Would catch transposed means, a pair counted twice, or nodes that may meet themselves. Power: standard errors are at
    most 2.5 % of each mean over 30 graphs; a transposed matrix is off by a third or more.
    """
    sizes, means = (40, 60, 100), ((6.0, 3.0, 0.0), (2.0, 4.0, 1.0), (0.0, 0.6, 5.0))
    options = Blocks(sizes=sizes, mean_degrees=means, names=("young", "middle", "aged"))
    graphs = [blocks(options, None, rng(seed)) for seed in range(30)]
    assert graphs[0].attributes["group"].tolist() == ["young"] * 40 + ["middle"] * 60 + ["aged"] * 100
    order = [graphs[0].group_index()[0].index(name) for name in ("young", "middle", "aged")]
    contacts = np.array([graph.mixing("group").dense()[np.ix_(order, order)] for graph in graphs])
    for g in range(3):
        for h in range(3):
            pairs = sizes[g] * (sizes[g] - 1) / 2 if g == h else sizes[g] * sizes[h]
            p = means[g][h] / (sizes[h] - (g == h))
            factor = (2 if g == h else 1) / sizes[g]
            error = factor * np.sqrt(pairs * p * (1 - p) / len(graphs))
            assert abs(contacts[:, g, h].mean() - means[g][h]) <= 4 * error


def test_blocks_are_erdos_renyi_with_one_block() -> None:
    """Would catch a different probability within a block: full and empty blocks leave no room for chance."""
    full = blocks(Blocks(sizes=(3, 4), mean_degrees=((2, 0), (0, 3))), None, rng())
    assert full.degrees.tolist() == [2, 2, 2, 3, 3, 3, 3]
    both = blocks(Blocks(sizes=(2, 3), mean_degrees=((0, 3), (2, 0))), None, rng())
    assert both.degrees.tolist() == [3, 3, 2, 2, 2]
    assert both.attributes["group"].tolist() == ["0", "0", "1", "1", "1"]


@pytest.mark.parametrize(
    ("build", "where", "parts"),
    [
        (lambda: erdos_renyi(ErdosRenyi(mean_degree=2), None, rng()), "population.size", ["no size", "erdos_renyi"]),
        (lambda: regular(Regular(degree=2), None, rng()), "population.size", ["no size", "regular"]),
        (lambda: erdos_renyi(ErdosRenyi(mean_degree=5), 5, rng()), "graph.mean_degree", ["mean degree 5", "at most 4"]),
        (lambda: regular(Regular(degree=3), 5, rng()), "graph.degree", ["degree 3 for 5 nodes", "even"]),
        (lambda: regular(Regular(degree=6), 6, rng()), "graph.degree", ["degree 6 among 6 nodes", "at most 5"]),
        (lambda: barabasi_albert(BarabasiAlbert(m=4), 4, rng()), "graph.m", ["m = 4 with 4 nodes", "at most 3"]),
        (lambda: watts_strogatz(WattsStrogatz(k=6, p=0), 6, rng()), "graph.k", ["k = 6 with 6 nodes", "at most 5"]),
        (
            lambda: configuration(Configuration.model_validate({"degrees": {"fixed": 3}}), 7, rng()),
            "graph.degrees",
            ["7 nodes", "all possible degrees are odd", "use an even population.size"],
        ),
        (
            lambda: configuration(Configuration.model_validate({"degrees": {"poisson": 30}}), 20, rng()),
            "graph.degrees",
            ["has degree", "at most 19", "larger population"],
        ),
        (
            lambda: configuration(Configuration(degrees=(5, 5, 5, 1, 1, 1)), None, rng()),
            "graph.degrees",
            ["no simple graph has these degrees", "Erdos and Gallai", "larger population"],
        ),
    ],
)
def test_impossible_requests_are_refused(build: Callable[[], ContactGraph], where: str, parts: list[str]) -> None:
    """Would catch a request that is repaired silently, an endless search, or an error without the option and the rule."""
    with pytest.raises(InputError) as caught:
        build()
    assert caught.value.where == where
    for part in parts:
        assert part in str(caught.value)


def test_a_search_without_success_says_so() -> None:
    """Would catch an error that calls degrees impossible when only the search gave up."""
    error = impossible(np.array([2, 2, 2]), "graph.degrees")
    assert error.where == "graph.degrees"
    assert "was found, though one exists" in str(error)
    assert "less unequal degrees" in str(error)
