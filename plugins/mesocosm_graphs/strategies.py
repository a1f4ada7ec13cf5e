"""Strategies: which nodes are vaccinated. Ties are broken at random."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from mesocosm import ContactGraph, InputError, Strategy
from mesocosm_graphs.strategy_options import (
    EXACT_BETWEENNESS,
    PIVOTS,
    HighestBetweenness,
    HighestCore,
    HighestDegree,
    RandomAcquaintances,
    RandomNodes,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Randomly(Strategy):
    """Every set of nodes with the same probability."""

    def __init__(self, options: RandomNodes) -> None:
        """It has no options."""

    def choose(self, graph: ContactGraph, count: int, generator: np.random.Generator) -> IntArray:
        return generator.choice(graph.node_count, count, replace=False).astype(np.int64)


class Ranked(Strategy):
    """The nodes with the highest scores, ties at random; scores are worked out once for a graph."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self._scores: WeakKeyDictionary[ContactGraph, FloatArray] = WeakKeyDictionary()

    @abstractmethod
    def scores(self, graph: ContactGraph) -> FloatArray:
        """Score of every node, shape [N]: the higher, the sooner a node is chosen."""

    def check(self, graph: ContactGraph, count: int) -> None:
        _refuse_complete(graph, self.name)

    def choose(self, graph: ContactGraph, count: int, generator: np.random.Generator) -> IntArray:
        if graph not in self._scores:
            self._scores[graph] = self.scores(graph)
        order = generator.permutation(graph.node_count)
        return order[np.argsort(-self._scores[graph][order], kind="stable")[:count]].astype(np.int64)


class ByDegree(Ranked):
    """The highest degrees; in a weighted graph the largest sums of weights."""

    name = "degree"

    def __init__(self, options: HighestDegree) -> None:
        super().__init__()

    def scores(self, graph: ContactGraph) -> FloatArray:
        return graph.strengths


class ByCore(Ranked):
    """The highest core numbers: Kitsak et al., Nature Physics 6, 888 (2010)."""

    name = "core"

    def __init__(self, options: HighestCore) -> None:
        super().__init__()

    def scores(self, graph: ContactGraph) -> FloatArray:
        from mesocosm_graphs.centrality import core_numbers

        return core_numbers(graph.indptr, graph.indices).astype(np.float64)


class ByBetweenness(Ranked):
    """The highest betweenness, exact or from pivots: Brandes and Pich, Int. J. Bifurcation and Chaos 17, 2303 (2007)."""

    name = "betweenness"

    def __init__(self, options: HighestBetweenness) -> None:
        super().__init__()
        self.options = options

    def check(self, graph: ContactGraph, count: int) -> None:
        super().check(graph, count)
        samples = self.options.samples
        if samples is not None and samples > graph.node_count:
            raise InputError(f"samples {samples}", rule=f"the graph has {graph.node_count} nodes", hint="leave it out")

    def scores(self, graph: ContactGraph) -> FloatArray:
        from mesocosm_graphs.centrality import path_dependencies

        size = graph.node_count
        samples = self.options.samples or (size if size <= EXACT_BETWEENNESS else PIVOTS)
        pivots = np.random.default_rng(self.options.seed).choice(size, samples, replace=False).astype(np.int64)
        found = path_dependencies(graph.indptr, graph.indices, pivots)
        if not np.isfinite(found).all():
            raise InputError(
                "more shortest paths than a float counts", where="strategy betweenness", hint="use another"
            )
        # Nodes that are equal by symmetry are equal here too, whatever the order in which their parts were added.
        return np.asarray(np.round(found / max(found.max(), 1.0), 12), np.float64)


class ByAcquaintance(Strategy):
    """A random contact of a random node, again and again until there are enough different ones.

    Source: Cohen, Havlin, ben-Avraham, Physical Review Letters 91, 247901 (2003).
    """

    def __init__(self, options: RandomAcquaintances) -> None:
        """It has no options."""

    def check(self, graph: ContactGraph, count: int) -> None:
        _refuse_complete(graph, "acquaintance")
        known = int((graph.degrees > 0).sum())
        if count > known:
            raise InputError(f"{count} doses", rule=f"only {known} nodes have contacts, and can be named by one")

    def choose(self, graph: ContactGraph, count: int, generator: np.random.Generator) -> IntArray:
        self.check(graph, count)
        # Node j is named with probability sum_i A_ij / k_i / N. Among independent exponential times with these rates the
        # nodes come in the order in which repeated naming would first name them.
        degrees = graph.degrees
        named = np.bincount(graph.indices, np.repeat(1.0 / np.maximum(degrees, 1), degrees), minlength=graph.node_count)
        times = np.full(graph.node_count, np.inf)
        known = named > 0
        times[known] = generator.standard_exponential(int(known.sum())) / named[known]
        return np.argsort(times, kind="stable")[:count].astype(np.int64)


def _refuse_complete(graph: ContactGraph, name: str) -> None:
    if graph.is_complete:
        raise InputError(
            f"strategy '{name}' on a complete graph",
            rule="everybody meets everybody there: who is central cannot be told",
            hint="use {kind: random}",
        )
