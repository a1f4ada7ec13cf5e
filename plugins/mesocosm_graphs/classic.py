"""The complete graph, lattices, and the models of Barabasi and Albert and of Watts and Strogatz."""

from __future__ import annotations

import math

import numpy as np

from mesocosm import ContactGraph, InputError, check_memory
from mesocosm_graphs.kernels import grow, rewire
from mesocosm_graphs.options import BarabasiAlbert, Complete, Lattice, WattsStrogatz
from mesocosm_graphs.population import required_size


def complete(options: Complete, size: int | None, generator: np.random.Generator) -> ContactGraph:
    """Every pair with weight 1/(N-1), implicit. Errors: `InputError` without a size, or with a size below 2."""
    return ContactGraph.complete(required_size(size, "complete"))


def barabasi_albert(options: BarabasiAlbert, size: int | None, generator: np.random.Generator) -> ContactGraph:
    """A star of m + 1 nodes, then each new node brings m edges to nodes chosen in proportion to their degree.

    A choice that the new node has made already is made again. The law is that of networkx.barabasi_albert_graph.
    Errors: `InputError` without a size, or with m of N or more. Source: Barabasi and Albert, Science 286, 509 (1999).
    """
    nodes = required_size(size, "barabasi_albert")
    if options.m >= nodes:
        raise InputError(f"m = {options.m} with {nodes} nodes", where="graph.m", rule=f"at most {nodes - 1}")
    check_memory(nodes, 2 * options.m * (nodes - options.m), where="graph.m")
    ends = grow(nodes, options.m, generator)
    return ContactGraph.from_edges(nodes, ends[::2], ends[1::2])


def watts_strogatz(options: WattsStrogatz, size: int | None, generator: np.random.Generator) -> ContactGraph:
    """A ring with k contacts each, in which one end of each edge moves to a random node with probability p.

    The new end is uniform among the nodes that the other end does not meet yet; an end that meets all keeps its edge.
    Errors: `InputError` without a size, or with k of N or more. Source: Watts and Strogatz, Nature 393, 440 (1998).
    """
    nodes = required_size(size, "watts_strogatz")
    if options.k >= nodes:
        raise InputError(f"k = {options.k} with {nodes} nodes", where="graph.k", rule=f"at most {nodes - 1}")
    check_memory(nodes, nodes * options.k, where="graph.k")
    near = np.arange(nodes, dtype=np.int32)
    targets = np.stack([np.roll(near, -step) for step in range(1, options.k // 2 + 1)])
    rewire(nodes, targets, np.flatnonzero(generator.random(targets.size) < options.p), generator)
    return ContactGraph.from_edges(nodes, np.tile(near, len(targets)), targets)


def lattice(options: Lattice, size: int | None, generator: np.random.Generator) -> ContactGraph:
    """A grid, row by row; attributes `row` and `column`.

    Errors: `InputError` without shape and size, where the size is not a square, and for a torus with a side below 3.
    """
    rows, columns = options.shape or _square(required_size(size, "lattice without a shape"))
    if options.periodic and min(rows, columns) < 3:
        raise InputError(
            f"{rows} rows and {columns} columns",
            where="graph.periodic",
            rule="a periodic lattice needs at least 3 of each: else two nodes would meet twice",
        )
    check_memory(rows * columns, rows * columns * options.neighbours, where="graph.shape")
    row, column = (index.ravel() for index in np.indices((rows, columns)))
    steps = ((0, 1), (1, 0)) if options.neighbours == 4 else ((0, 1), (1, 0), (1, 1), (1, -1))
    sources, targets = [], []
    for down, right in steps:
        to_row, to_column = row + down, column + right
        inside = (to_row < rows) & (to_column >= 0) & (to_column < columns)
        kept = np.full(len(row), True) if options.periodic else inside
        sources.append(np.flatnonzero(kept).astype(np.int32))
        targets.append((to_row % rows * columns + to_column % columns)[kept].astype(np.int32))
    attributes = {"row": row, "column": column}
    return ContactGraph.from_edges(
        rows * columns, np.concatenate(sources), np.concatenate(targets), attributes=attributes
    )


def seed_from(generator: np.random.Generator) -> int:
    """A seed for generators of networkx, in [0, 2**63)."""
    return int(generator.integers(2**63))


def _square(size: int) -> tuple[int, int]:
    side = math.isqrt(size)
    if side * side != size:
        raise InputError(
            f"{size} nodes and no shape",
            where="graph.shape",
            rule="without a shape, a lattice is a square",
            hint=f"give shape: [rows, columns], or population.size {side**2} or {(side + 1) ** 2}",
        )
    return side, side
