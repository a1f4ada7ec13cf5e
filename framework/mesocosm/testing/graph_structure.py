"""Rules for what a contact graph is: its size, its CSR arrays, weights, node attributes and degree law."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import ContactGraph, DegreeLaw
from mesocosm.testing.check import ConformanceError, NotApplicable, Rule, rule
from mesocosm.testing.graph_subject import GraphSubject, refused_or_drawn

CSR_FAULT = "its rows are at fault; see rows_are_sorted_and_simple"


@rule("graph", applies=lambda subject: "" if subject.size is not None else "no size is asked for")
def has_the_size_asked_for(subject: GraphSubject) -> None:
    """A graph has as many nodes as the population has agents."""
    nodes = subject.graph().node_count
    if nodes != subject.size:
        raise ConformanceError(
            f"{nodes} nodes where {subject.size} are asked for",
            hint="where the options fix the number of nodes, test it with that size, or with size=None",
        )


@rule("graph")
def rows_are_sorted_and_simple(subject: GraphSubject) -> None:
    """The CSR arrays are well formed: int64, one row per node, sorted, no node twice in a row, no self-loop."""
    fault = csr_fault(subject.graph())
    if fault:
        raise ConformanceError(fault, hint="build the graph with ContactGraph.from_edges or from_networkx")


@rule("graph")
def contacts_are_mutual(subject: GraphSubject) -> None:
    """Contact graphs are undirected: where i meets j, j meets i."""
    graph = _well_formed(subject)
    rows, columns = _entries(graph)
    forth, back = rows * graph.node_count + columns, np.sort(columns * graph.node_count + rows)
    lonely = np.setxor1d(forth, back)
    if lonely.size:
        i, j = divmod(int(lonely[0]), graph.node_count)
        raise ConformanceError(
            f"only one of the nodes {i} and {j} meets the other", hint="name each edge once in ContactGraph.from_edges"
        )


@rule("graph")
def weights_are_positive_and_mutual(subject: GraphSubject) -> None:
    """A weight is finite and positive, and the same from both ends of its edge."""
    graph = _well_formed(subject)
    if graph.weights is None:
        raise NotApplicable("the graph has no weights")
    fault = weights_fault(graph)
    if fault:
        raise ConformanceError(fault)


@rule("graph")
def attributes_have_one_entry_per_node(subject: GraphSubject) -> None:
    """A node attribute has a name, and one entry per node: text or numbers, not Python objects such as None."""
    graph = subject.graph()
    if not graph.attributes:
        raise NotApplicable("the graph has no node attributes")
    for name, values in graph.attributes.items():
        column = np.asarray(values)
        if not (isinstance(name, str) and name):
            raise ConformanceError(f"a node attribute is called {name!r}")
        if column.shape[:1] != (graph.node_count,):
            raise ConformanceError(f"attribute '{name}' has shape {column.shape} with {graph.node_count} nodes")
        if column.dtype.hasobject:
            raise ConformanceError(
                f"attribute '{name}' holds Python objects", hint="write '' or NaN for what is missing"
            )


@rule("graph")
def degree_law_is_a_law(subject: GraphSubject) -> None:
    """A degree law names different degrees, none negative, with positive shares that sum to 1."""
    law = subject.graph().degree_law
    if law is None:
        raise NotApplicable("the builder gives no degree law")
    fault = law_fault(law)
    if fault:
        raise ConformanceError(fault)


@rule("graph")
def survives_networkx(subject: GraphSubject) -> None:
    """A graph handed to networkx and taken back has the same nodes, edges and weights."""
    graph = _well_formed(subject)
    if weights_fault(graph):
        raise NotApplicable("its weights are at fault; see weights_are_positive_and_mutual")
    again = ContactGraph.from_networkx(graph.to_networkx())
    if again.node_count != graph.node_count:
        raise ConformanceError(f"{graph.node_count} nodes come back as {again.node_count}")
    ours, theirs = _edge_weights(graph), _edge_weights(again)
    for pair in ours.keys() ^ theirs.keys():
        raise ConformanceError(f"the edge of nodes {pair[0]} and {pair[1]} is lost, or added")
    for pair, weight in ours.items():
        if weight != theirs[pair]:
            raise ConformanceError(
                f"the weight {weight:g} of nodes {pair[0]} and {pair[1]} comes back as {theirs[pair]:g}"
            )


@rule("graph")
def refuses_a_size_too_small(subject: GraphSubject) -> None:
    """For 0, 1 or 2 agents there is a sound graph or an `InputError`, not a crash deep inside."""
    subject.graph()
    for size in (0, 1, 2):
        _sound_or_refused(subject, size, f"{size} agents")


@rule("graph")
def says_when_it_needs_a_size(subject: GraphSubject) -> None:
    """A scenario may leave the population size out: then there is a sound graph or an `InputError`, not a crash."""
    subject.graph()
    _sound_or_refused(subject, None, "no size")


STRUCTURE_RULES: tuple[Rule[Any], ...] = (
    has_the_size_asked_for,
    rows_are_sorted_and_simple,
    contacts_are_mutual,
    weights_are_positive_and_mutual,
    attributes_have_one_entry_per_node,
    degree_law_is_a_law,
    survives_networkx,
    refuses_a_size_too_small,
    says_when_it_needs_a_size,
)


def csr_fault(graph: ContactGraph) -> str:
    """What is wrong with the CSR arrays; '' where nothing is."""
    indptr, indices = np.asarray(graph.indptr), np.asarray(graph.indices)
    if indptr.dtype != np.int64 or indices.dtype != np.int32:
        return f"indptr of type {indptr.dtype} and indices of type {indices.dtype}; they are int64 and int32"
    if graph.node_count < 1:
        return f"{graph.node_count} nodes; there is at least 1"
    if indptr.shape != (graph.node_count + 1,) or indices.ndim != 1:
        return f"indptr of shape {indptr.shape} and indices of shape {indices.shape} with {graph.node_count} nodes"
    if indptr[0] != 0 or indptr[-1] != len(indices) or (np.diff(indptr) < 0).any():
        return "indptr does not rise from 0 to the length of indices"
    if graph.is_complete and len(indices):
        return "the complete graph stores edges"
    if ((indices < 0) | (indices >= graph.node_count)).any():
        return "indices name nodes that there are not"
    rows = np.repeat(np.arange(graph.node_count), np.diff(indptr))
    loops = np.flatnonzero(rows == indices)
    if loops.size:
        return f"node {rows[loops[0]]} meets itself"
    falling = np.flatnonzero((rows[1:] == rows[:-1]) & (indices[1:] <= indices[:-1]))
    if falling.size:
        at = int(falling[0])
        return f"the row of node {rows[at]} has {indices[at + 1]} after {indices[at]}; rows are sorted, each node once"
    return ""


def weights_fault(graph: ContactGraph) -> str:
    """What is wrong with the weights of a graph whose rows are sound; '' where nothing is, or there are none."""
    if graph.weights is None:
        return ""
    weights = np.asarray(graph.weights)
    if weights.shape != graph.indices.shape or weights.dtype != np.float64:
        return f"weights of shape {weights.shape} and type {weights.dtype}; one float64 for each entry of indices"
    rows, columns = _entries(graph)
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights > 0)))
    if wrong.size:
        at = int(wrong[0])
        return f"the contact of nodes {rows[at]} and {columns[at]} has weight {weights[at]:g}"
    weight_of = dict(zip(zip(rows.tolist(), columns.tolist(), strict=True), weights.tolist(), strict=True))
    for (i, j), weight in weight_of.items():
        if weight_of.get((j, i), weight) != weight:
            return f"node {i} meets node {j} with weight {weight:g}, and {weight_of[j, i]:g} the other way"
    return ""


def law_fault(law: DegreeLaw) -> str:
    """What is wrong with a law of degrees; '' where nothing is."""
    degrees, shares = np.asarray(law.degrees), np.asarray(law.shares)
    if degrees.ndim != 1 or degrees.shape != shares.shape or not len(degrees):
        return f"degrees of shape {degrees.shape} and shares of shape {shares.shape}"
    if not (np.isfinite(degrees) & (degrees >= 0)).all() or len(np.unique(degrees)) != len(degrees):
        return "the degrees repeat, or are negative or not finite"
    if not (shares > 0).all() or not math.isclose(shares.sum(), 1.0, rel_tol=1e-9):
        return f"the shares sum to {shares.sum():.12g}, the smallest is {shares.min():g}; all are positive and sum to 1"
    return ""


def _sound_or_refused(subject: GraphSubject, size: int | None, what: str) -> None:
    try:
        made = refused_or_drawn(subject, size)
    except Exception as error:
        raise ConformanceError(
            f"{what}: {type(error).__name__}: {error}", hint="raise mesocosm.InputError with the size that is needed"
        ) from error
    if made is None:
        return
    fault = csr_fault(made) if isinstance(made, ContactGraph) else f"it gives a {type(made).__name__}"
    # Faults that the graph has at its own size too belong to another rule.
    if fault and not csr_fault(subject.graph()):
        raise ConformanceError(f"{what}: {fault}")


def _well_formed(subject: GraphSubject) -> ContactGraph:
    graph = subject.graph()
    if csr_fault(graph):
        raise NotApplicable(CSR_FAULT)
    return graph


def _entries(graph: ContactGraph) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of every stored contact, each of shape [entries]."""
    rows = np.repeat(np.arange(graph.node_count, dtype=np.int64), np.diff(graph.indptr))
    return rows, graph.indices.astype(np.int64)


def _edge_weights(graph: ContactGraph) -> dict[tuple[int, int], float]:
    """Smaller node, larger node -> weight, as the arrays have them; a complete graph has no other edges than its own."""
    if graph.is_complete:
        source, target, weights = graph.edges()
    else:
        rows, columns = _entries(graph)
        once = rows < columns
        source, target = rows[once], columns[once]
        weights = None if graph.weights is None else graph.weights[once]
    values = np.ones(len(source)) if weights is None else weights
    return dict(zip(zip(source.tolist(), target.tolist(), strict=True), values.tolist(), strict=True))
