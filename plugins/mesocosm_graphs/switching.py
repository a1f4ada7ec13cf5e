"""Turn a random multigraph into a simple graph by switching pairs of edges; every degree is kept.

A random edge is switched with each self-loop or surplus parallel edge, and the switch is taken where it does not add to
the number of self-loops and surplus edges. Only few edges are bad on a sparse graph, so the work is in Python.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque

import numpy as np
from numpy.typing import NDArray

NodeArray = NDArray[np.int32]

_TRIES_PER_EDGE = 200
_TRIES = 20_000


class _Multigraph:
    """Edges by position, with the multiplicity of every pair: that of the start plus the changes since."""

    def __init__(self, nodes: int, source: NodeArray, target: NodeArray) -> None:
        self.nodes = nodes
        self.source, self.target = source.copy(), target.copy()
        self.start = np.minimum(source, target) * np.int64(nodes) + np.maximum(source, target)
        self.ordered = np.sort(self.start)
        # Bisection reads single elements, and a view gives them as plain integers without a list of all.
        self.keys = self.ordered.data
        self.change: dict[int, int] = {}

    def bad(self) -> list[int]:
        """Positions of self-loops and of all parallel edges, at the start."""
        keys = self.ordered
        repeated = keys[1:][keys[1:] == keys[:-1]]
        parallel = np.zeros(len(keys), bool)
        if len(repeated):
            nearest = np.minimum(np.searchsorted(repeated, self.start), len(repeated) - 1)
            parallel = repeated[nearest] == self.start
        positions: list[int] = np.flatnonzero(parallel | (self.source == self.target)).tolist()
        return positions

    def key(self, a: int, b: int) -> int:
        return a * self.nodes + b if a < b else b * self.nodes + a

    def count(self, key: int) -> int:
        return bisect_right(self.keys, key) - bisect_left(self.keys, key) + self.change.get(key, 0)

    def is_bad(self, position: int) -> bool:
        a, b = int(self.source[position]), int(self.target[position])
        return a == b or self.count(self.key(a, b)) > 1

    def add(self, a: int, b: int, step: int) -> int:
        """Add (step 1) or remove (-1) an edge; the change in the number of self-loops and surplus edges."""
        key = self.key(a, b)
        before = self.count(key)
        self.change[key] = self.change.get(key, 0) + step
        return step if a == b else max(before + step - 1, 0) - max(before - 1, 0)

    def switch(self, first: int, second: int) -> bool:
        """Exchange the targets of two edges unless that makes the graph worse; whether it was done."""
        a, b = int(self.source[first]), int(self.target[first])
        c, d = int(self.source[second]), int(self.target[second])
        worse = self.add(a, b, -1) + self.add(c, d, -1) + self.add(a, d, 1) + self.add(c, b, 1)
        if worse > 0:
            for x, y, step in ((a, d, -1), (c, b, -1), (a, b, 1), (c, d, 1)):
                self.add(x, y, step)
            return False
        self.target[first], self.target[second] = d, b
        return True


def switched(
    nodes: int, source: NodeArray, target: NodeArray, generator: np.random.Generator
) -> tuple[NodeArray, NodeArray] | None:
    """Edges of a simple graph with the degrees of the given multigraph, or None where none was found.

    Parameters: `source` and `target`, the ends of each edge, shape [edges], in random order and direction.
    """
    if len(source) == 0:
        return source, target
    graph = _Multigraph(nodes, source, target)
    waiting = deque(graph.bad())
    tries = _TRIES + _TRIES_PER_EDGE * len(waiting)
    while waiting:
        partners = generator.integers(len(source), size=1024).tolist()
        flips = generator.random(1024) < 0.5
        for partner, flip in zip(partners, flips.tolist(), strict=True):
            while waiting and not graph.is_bad(waiting[-1]):
                waiting.pop()
            if not waiting:
                break
            if flip:
                graph.source[partner], graph.target[partner] = graph.target[partner], graph.source[partner]
            if graph.switch(waiting[-1], partner):
                waiting.appendleft(partner)
                waiting.rotate(1)
        tries -= 1024
        if tries < 0 and waiting:
            return None
    return graph.source, graph.target
