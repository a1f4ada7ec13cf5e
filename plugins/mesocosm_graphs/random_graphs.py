"""Erdos-Renyi graphs and stochastic block models: binomially many edges, then that many distinct pairs.

Drawing the number of edges and then a uniform set of that many pairs is the exact law of independent edges
(Batagelj and Brandes, Phys. Rev. E 71, 036113, 2005, treat the same problem by skipping).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mesocosm import ContactGraph, InputError, check_memory
from mesocosm_graphs.laws import binomial_law
from mesocosm_graphs.options import Blocks, ErdosRenyi
from mesocosm_graphs.population import required_size

IntArray = NDArray[np.int64]


def erdos_renyi(options: ErdosRenyi, size: int | None, generator: np.random.Generator) -> ContactGraph:
    """G(N, p) with p = mean_degree / (N-1).

    Errors: `InputError` without a size, and for a mean degree above N-1.
    """
    nodes = required_size(size, "erdos_renyi")
    if options.mean_degree > nodes - 1:
        raise InputError(
            f"mean degree {options.mean_degree:g} among {nodes} nodes",
            where="graph.mean_degree",
            rule=f"at most {nodes - 1}: a node can meet only the others",
        )
    check_memory(nodes, int(nodes * options.mean_degree), where="graph.mean_degree")
    probability = options.mean_degree / max(nodes - 1, 1)
    source, target = pairs_within(nodes, probability, generator)
    return ContactGraph.from_edges(nodes, source, target, degree_law=binomial_law(nodes - 1, probability))


def blocks(options: Blocks, size: int | None, generator: np.random.Generator) -> ContactGraph:
    """Stochastic block model (Holland, Laskey, Leinhardt, Soc. Networks 5, 1983); the sizes give the node count.

    Two nodes of blocks g and h are joined with probability mean_degrees[g][h] / (nodes of h that one of g can meet).
    """
    sizes, degrees = options.sizes, options.mean_degrees
    starts = np.concatenate([[0], np.cumsum(sizes)])
    contacts = sum(size * sum(means) for size, means in zip(sizes, degrees, strict=True))
    check_memory(int(starts[-1]), int(contacts), where="graph.mean_degrees")
    sources, targets = [], []
    for g, rows in enumerate(sizes):
        first, second = pairs_within(rows, degrees[g][g] / max(rows - 1, 1), generator)
        sources.append((first + starts[g]).astype(np.int32))
        targets.append((second + starts[g]).astype(np.int32))
        for h in range(g + 1, len(sizes)):
            index = binomial_subset(rows * sizes[h], degrees[g][h] / sizes[h], generator)
            sources.append((index // sizes[h] + starts[g]).astype(np.int32))
            targets.append((index % sizes[h] + starts[h]).astype(np.int32))
    names = options.names or tuple(str(block) for block in range(len(sizes)))
    group = np.repeat(np.array(names), sizes)
    return ContactGraph.from_edges(
        int(starts[-1]), np.concatenate(sources), np.concatenate(targets), attributes={"group": group}
    )


def pairs_within(nodes: int, probability: float, generator: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Each pair i > j of 0 .. nodes-1 independently with this probability, as arrays i and j."""
    return pair(binomial_subset(nodes * (nodes - 1) // 2, probability, generator))


def pair(index: IntArray) -> tuple[IntArray, IntArray]:
    """The pairs i > j in the order (1, 0), (2, 0), (2, 1), (3, 0), .., by their index, as arrays i and j."""
    larger = ((1.0 + np.sqrt(1.0 + 8.0 * index)) / 2.0).astype(np.int64)
    # The root is rounded: where it is just off an integer, the row is one too high or too low.
    larger -= larger * (larger - 1) // 2 > index
    larger += larger * (larger + 1) // 2 <= index
    return larger, index - larger * (larger - 1) // 2


def binomial_subset(total: int, probability: float, generator: np.random.Generator) -> IntArray:
    """Each of 0 .. total-1 independently with this probability, sorted."""
    return distinct_integers(total, int(generator.binomial(total, min(probability, 1.0))), generator)


def distinct_integers(total: int, count: int, generator: np.random.Generator) -> IntArray:
    """A uniformly random set of `count` of the integers 0 .. total-1, sorted."""
    if 2 * count > total:
        kept = np.ones(total, bool)
        kept[distinct_integers(total, total - count, generator)] = False
        return np.flatnonzero(kept)
    chosen = distinct(generator.integers(total, size=count))
    # Never more draws than are missing: the result is the first `count` distinct values of a stream, a uniform set.
    while len(chosen) < count:
        more = distinct(generator.integers(total, size=count - len(chosen)))
        places = np.searchsorted(chosen, more)
        new = np.append(chosen, -1)[places] != more
        chosen = np.insert(chosen, places[new], more[new])
    return chosen


def distinct(values: IntArray) -> IntArray:
    """The different ones among these, sorted."""
    ordered = np.sort(values)
    return ordered[np.append(ordered[1:] != ordered[:-1], True)] if len(ordered) else ordered
