"""Compiled loops of the models in which every edge depends on those before it: growth and rewiring.

Each takes a numpy generator, and draws from it in the order of the plain loop that it stands for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])

NodeArray = NDArray[np.int32]


def compiled(function: Function) -> Function:
    """`numba.njit` without the interpreter lock, cached on disk, keeping the type of what it decorates."""
    return cast(Function, numba.njit(nogil=True, cache=True)(function))


@compiled
def grow(nodes: int, m: int, generator: np.random.Generator) -> NodeArray:
    """The ends of all edges of a growing graph, shape [2 * edges]: edge e joins nodes 2e and 2e + 1 of it.

    A star of m + 1 nodes; then each node joins m different ones, each choice in proportion to the degree before it came.
    """
    ends = np.empty(2 * m * (nodes - m), np.int32)
    filled = 0
    for leaf in range(1, m + 1):
        ends[filled], ends[filled + 1] = 0, leaf
        filled += 2
    chosen_by = np.zeros(nodes, np.int32)
    for node in range(m + 1, nodes):
        # Every edge has put both its ends here: a uniform choice among them is one in proportion to degree.
        before, added = filled, 0
        while added < m:
            target = ends[int(generator.random() * before)]
            if chosen_by[target] != node:
                chosen_by[target] = node
                ends[filled], ends[filled + 1] = node, target
                filled += 2
                added += 1
    return ends


@compiled
def rewire(nodes: int, targets: NodeArray, moved: NDArray[np.int64], generator: np.random.Generator) -> None:
    """Move the far ends of some edges, in place, each to a random node that the near end does not meet yet.

    `targets` [k / 2, N]: edge (j, i) joins node i, its near end, to `targets[j, i]`. `moved` numbers edges, j * N + i, in
    the order in which they move. The near end of an edge that meets everybody keeps it.
    """
    half = len(targets)
    degrees = np.full(nodes, 2 * half, np.int32)
    for edge in moved:
        row, near = edge // nodes, edge % nodes
        if degrees[near] == nodes - 1:
            continue
        while True:
            new = generator.integers(0, nodes)
            free = new != near
            # Two nodes meet where one of them is the near end of an edge to the other.
            for j in range(half):
                free = free and targets[j, near] != new and targets[j, new] != near
            if free:
                break
        degrees[targets[row, near]] -= 1
        degrees[new] += 1
        targets[row, near] = new
