"""Compiled measures of how central nodes are: core numbers, and betweenness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mesocosm_graphs.kernels import compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
NodeArray = NDArray[np.int32]


@compiled
def core_numbers(indptr: IntArray, indices: NodeArray) -> IntArray:
    """The largest k for which a node is in the k-core, the largest subgraph whose degrees are k or more; shape [N].

    Peels off nodes of the lowest degree one by one, in buckets by degree: linear in edges.
    Source: Batagelj and Zaversnik, arXiv cs/0310049 (2003).
    """
    nodes = len(indptr) - 1
    core = indptr[1:] - indptr[:-1]
    first = np.zeros(core.max() + 2, np.int64)
    for degree in core:
        first[degree + 1] += 1
    first = np.cumsum(first)
    order, place, free = np.empty(nodes, np.int64), np.empty(nodes, np.int64), first.copy()
    for node in range(nodes):
        place[node] = free[core[node]]
        order[place[node]] = node
        free[core[node]] += 1
    for step in range(nodes):
        node = order[step]
        for other in indices[indptr[node] : indptr[node + 1]]:
            if core[other] > core[node]:
                # The neighbour changes places with the first of its bucket, and the bucket begins one later.
                front = first[core[other]]
                swapped = order[front]
                order[place[other]], place[swapped] = swapped, place[other]
                order[front], place[other] = other, front
                first[core[other]] = front + 1
                core[other] -= 1
    return core


@compiled
def path_dependencies(indptr: IntArray, indices: NodeArray, pivots: IntArray) -> FloatArray:
    """Sum over pivots of the share of shortest paths, from the pivot to every other node, that pass through a node; [N].

    With every node as a pivot this is twice the betweenness. Not finite where there are more shortest paths than a float
    can count. Source: Brandes, Journal of Mathematical Sociology 25, 163 (2001).
    """
    nodes = len(indptr) - 1
    total, dependency, paths = np.zeros(nodes), np.empty(nodes), np.empty(nodes)
    distance, queue = np.empty(nodes, np.int64), np.empty(nodes, np.int64)
    for pivot in pivots:
        distance[:], paths[:], dependency[:] = -1, 0.0, 0.0
        distance[pivot], paths[pivot], queue[0] = 0, 1.0, pivot
        reached, head = 1, 0
        while head < reached:
            node = queue[head]
            head += 1
            for other in indices[indptr[node] : indptr[node + 1]]:
                if distance[other] < 0:
                    distance[other] = distance[node] + 1
                    queue[reached] = other
                    reached += 1
                if distance[other] == distance[node] + 1:
                    paths[other] += paths[node]
        for place in range(reached - 1, 0, -1):
            node = queue[place]
            for other in indices[indptr[node] : indptr[node + 1]]:
                if distance[other] == distance[node] - 1:
                    dependency[other] += paths[other] / paths[node] * (1.0 + dependency[node])
            total[node] += dependency[node]
    return total
