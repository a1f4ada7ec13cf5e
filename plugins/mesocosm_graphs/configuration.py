"""Random graphs with given degrees: match half-edges at random, then switch away self-loops and parallel edges.

The switch replaces edges (a, b), (c, d) by (a, d), (c, b): it keeps every degree. Sources: Molloy and Reed, Random
Struct. Algorithms 6, 161 (1995); Milo et al., arXiv cond-mat/0312028. On sparse graphs few edges are touched, and the
law tends to the uniform one on simple graphs as N grows; it is not exactly uniform for small N.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mesocosm import ContactGraph, DegreeLaw, InputError, check_memory
from mesocosm_graphs.laws import degree_law, draw_degrees, fixed_law
from mesocosm_graphs.options import Configuration, Regular
from mesocosm_graphs.population import required_size
from mesocosm_graphs.switching import switched

IntArray = NDArray[np.int64]
NodeArray = NDArray[np.int32]


def configuration(options: Configuration, size: int | None, generator: np.random.Generator) -> ContactGraph:
    """A random simple graph whose degrees are exactly those listed, or drawn independently from a law.

    Single nodes are drawn again until the degrees sum to an even number. A list of degrees gives the node count.
    Errors: `InputError` without a size (laws only), and where no simple graph with these degrees is found.
    """
    law = degree_law(options.degrees)
    if isinstance(options.degrees, tuple):
        check_room(len(options.degrees), sum(options.degrees), "graph.degrees")
        degrees = np.array(options.degrees, np.int64)
    else:
        nodes = required_size(size, "configuration")
        check_room(nodes, nodes * law.mean, "graph.degrees")
        degrees = even_degrees(law, nodes, generator)
    return graph_with_degrees(degrees, law, generator, "graph.degrees")


def regular(options: Regular, size: int | None, generator: np.random.Generator) -> ContactGraph:
    """A random graph in which every node has this degree.

    Errors: `InputError` without a size, for a degree of N or more, and where N times the degree is odd.
    """
    nodes = required_size(size, "regular")
    if nodes * options.degree % 2:
        raise InputError(
            f"degree {options.degree} for {nodes} nodes",
            where="graph.degree",
            rule="every edge has two ends, so degree times nodes must be even",
            hint="change either by one",
        )
    check_room(nodes, nodes * options.degree, "graph.degree")
    degrees = np.full(nodes, options.degree, np.int64)
    return graph_with_degrees(degrees, fixed_law(options.degree), generator, "graph.degree")


def even_degrees(law: DegreeLaw, nodes: int, generator: np.random.Generator) -> IntArray:
    """Independent degrees, shape [nodes], with an even sum: single nodes are drawn again until it is."""
    if nodes % 2 and (law.degrees % 2 == 1).all():
        raise InputError(
            f"{nodes} nodes, and all possible degrees are odd",
            where="graph.degrees",
            rule="every edge has two ends, so the degrees must have an even sum",
            hint="use an even population.size",
        )
    degrees = draw_degrees(law, nodes, generator)
    while degrees.sum() % 2:
        degrees[generator.integers(nodes)] = draw_degrees(law, 1, generator)[0]
    return degrees


def graph_with_degrees(degrees: IntArray, law: DegreeLaw, generator: np.random.Generator, where: str) -> ContactGraph:
    """A random simple graph with exactly these degrees; `where` names the option in errors."""
    nodes = len(degrees)
    if degrees.max() >= nodes:
        raise InputError(
            f"a node has degree {degrees.max()} among {nodes} nodes",
            where=where,
            rule=f"at most {nodes - 1}: a node meets each of the others once",
            hint="use a larger population or smaller degrees",
        )
    # Absent edges are the sparse side of a dense graph: match those, and take the rest.
    dense = is_dense(nodes, int(degrees.sum()))
    matched = match(nodes - 1 - degrees if dense else degrees, generator)
    if matched is None:
        raise impossible(degrees, where)
    source, target = complement(nodes, *matched) if dense else matched
    return ContactGraph.from_edges(nodes, source, target, degree_law=law)


def is_dense(nodes: int, ends: float) -> bool:
    """Whether edges with this many ends join more than half of all pairs."""
    return 2 * ends > nodes * (nodes - 1)


def check_room(nodes: int, ends: float, where: str) -> None:
    """State or refuse what a graph with this many ends of edges needs: where it is dense, all pairs are written out."""
    check_memory(nodes, nodes * (nodes - 1) if is_dense(nodes, ends) else int(ends), where=where)


def match(degrees: IntArray, generator: np.random.Generator) -> tuple[NodeArray, NodeArray] | None:
    """Edges of a random simple graph with these degrees, or None where none was found."""
    ends = generator.permutation(np.repeat(np.arange(len(degrees), dtype=np.int32), degrees))
    half = len(ends) // 2
    return switched(len(degrees), ends[:half], ends[half:], generator)


def complement(nodes: int, source: NodeArray, target: NodeArray) -> tuple[NodeArray, NodeArray]:
    """The pairs of nodes that are not joined."""
    apart = np.triu(np.ones((nodes, nodes), np.bool_), 1)
    apart[np.minimum(source, target), np.maximum(source, target)] = False
    first, second = np.nonzero(apart)
    return first.astype(np.int32), second.astype(np.int32)


def impossible(degrees: IntArray, where: str) -> InputError:
    """Why there is no simple graph with these degrees: Erdos and Gallai, or only that none was found."""
    import networkx

    if networkx.is_graphical(degrees.tolist()):
        return InputError(
            "no simple graph with these degrees was found, though one exists",
            where=where,
            rule="random switching did not remove all self-loops and parallel edges",
            hint="use a larger population or less unequal degrees",
        )
    return InputError(
        "no simple graph has these degrees",
        where=where,
        rule="they break the condition of Erdos and Gallai: the largest degrees need more partners than there are",
        hint="use a larger population or smaller largest degrees",
    )
