"""Rules for contact graphs that change in time, and for those that are the sum of layers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from mesocosm import ContactGraph, GraphChanges, Piece
from mesocosm.testing.check import ConformanceError, NotApplicable, Rule, rule
from mesocosm.testing.graph_structure import csr_fault
from mesocosm.testing.graph_subject import GraphSubject, fingerprint

STRETCHES = ((0.0, 1.0), (0.0, 0.3), (0.3, 7.7), (123.4, 125.0))
"""Times for which the pieces are asked."""


@rule("graph")
def changes_cover_the_time(subject: GraphSubject) -> None:
    """Where a graph changes, its pieces follow each other without gaps or overlaps, wherever one begins to ask.

    Each piece is a sound graph on the same nodes with the same attributes, and the same one for the same number.
    """
    graph = subject.graph()
    if graph.changes is None:
        raise NotApplicable("the graph does not change")
    for start, stop in STRETCHES:
        pieces = list(graph.changes.pieces(start, stop))
        fault = _cover_fault(pieces, start, stop) or _graphs_fault(graph, graph.changes, pieces)
        if fault:
            raise ConformanceError(f"asked for the time from {start:g} to {stop:g}: {fault}")


@rule("graph")
def layers_add_up(subject: GraphSubject) -> None:
    """Where a graph has layers, it is their sum: the weights of a contact add up, and all are on the same nodes."""
    graph = subject.graph()
    if not graph.layers:
        raise NotApplicable("the graph has no layers")
    total = ContactGraph.from_layers(graph.layers)
    if total.node_count != graph.node_count:
        raise ConformanceError(f"{graph.node_count} nodes, and layers of {total.node_count}")
    gap: Any = abs(total.adjacency - graph.adjacency)
    if gap.nnz and gap.max() > 1e-9 * total.adjacency.max():
        raise ConformanceError(
            f"the weights of the layers add up to others than its own, by up to {gap.max():.3g}",
            hint="build the graph with ContactGraph.from_layers, and scale a layer before",
        )


def _cover_fault(pieces: list[Piece], start: float, stop: float) -> str:
    if not pieces or pieces[0].start != start or pieces[-1].stop != stop:
        return "the first piece begins elsewhere, or the last ends elsewhere"
    for before, after in pairwise(pieces):
        if before.stop != after.start:
            return f"a piece ends at {before.stop:.9g}, and the next begins at {after.start:.9g}"
    empty = [piece for piece in pieces if not piece.start < piece.stop]
    return f"a piece begins and ends at {empty[0].start:.9g}" if empty else ""


def _graphs_fault(graph: ContactGraph, changes: GraphChanges, pieces: list[Piece]) -> str:
    for piece in pieces[:50]:
        now, again = changes.graph(piece.number), changes.graph(piece.number)
        fault = csr_fault(now)
        if fault:
            return f"graph {piece.number}: {fault}"
        if now.node_count != graph.node_count or set(now.attributes) != set(graph.attributes):
            return f"graph {piece.number} has other nodes or attributes than the average"
        if fingerprint(now) != fingerprint(again):
            return f"graph {piece.number} is another one when it is asked for again"
    return ""


CHANGE_RULES: tuple[Rule[Any], ...] = (changes_cover_the_time, layers_add_up)
