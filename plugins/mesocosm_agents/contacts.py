"""The contact graph of each replicate, in the form that engines use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesocosm import ContactGraph, InputError, Policy, Problem, Streams
from mesocosm_agents.arrays import FloatArray, IntArray, StateArray, Wiring
from mesocosm_agents.kernels import fields

GROUP = "group"

_LARGEST_EXACT = 2.0**16
"""Products of two whole numbers up to here add up without rounding over more contacts than an agent can have."""


def are_whole(values: FloatArray) -> bool:
    """Whether all values are whole numbers whose products and sums are free of rounding."""
    return bool(((values == np.round(values)) & (np.abs(values) <= _LARGEST_EXACT)).all())


@dataclass(frozen=True, eq=False)
class Contacts:
    """One contact graph, with the row of each agent in the policy and the number of its group.

    Attributes
    ----------
    size: number of agents N.
    wiring: the graph for kernels.
    rows: shape [N].
    groups: shape [N], into `group_names`; all zero where the graph has no node attribute `group`.
    group_names: sorted; empty without groups.
    has_whole_weights: whether sums of weights are free of rounding.
    """

    size: int
    wiring: Wiring
    rows: IntArray
    groups: IntArray
    group_names: tuple[str, ...]
    has_whole_weights: bool

    @classmethod
    def of(cls, graph: ContactGraph, policy: Policy, normalise: str) -> Contacts:
        """Copy what is needed, so that the graph itself need not be kept."""
        nothing = np.zeros(0)
        divisor = nothing
        if normalise == "mean" and not graph.is_complete:
            divisor = np.where(graph.strengths > 0, graph.strengths, 1.0)
        wiring = Wiring(
            graph.is_complete,
            graph.indptr.astype(np.int64),
            graph.indices.astype(np.int32),
            nothing if graph.weights is None else graph.weights.astype(np.float64),
            divisor,
        )
        rows = np.ascontiguousarray(policy.rows(graph), np.int64)
        names, groups = graph.group_index(GROUP) if GROUP in graph.attributes else ((), np.zeros(len(rows), np.int64))
        return cls(graph.node_count, wiring, rows, groups, names, are_whole(wiring.weights))

    def field(self, emission: FloatArray) -> FloatArray:
        """Field of every agent: shapes [batch, N, channel] to [batch, N, channel]."""
        return np.asarray(fields(self.wiring, np.ascontiguousarray(emission, np.float64)))


class Graphs:
    """The graph of every replicate: the problem's own, or with `redraw` a fresh draw that is made when first needed.

    Only `Contacts` are kept, about 4 bytes for each end of an edge.
    """

    def __init__(self, problem: Problem, policy: Policy, redraw: bool) -> None:
        self.problem, self.policy, self.redraw = problem, policy, redraw
        self._kept: dict[int, Contacts] = {}

    def graph(self, replicate: int) -> ContactGraph:
        """The graph of a replicate; drawn anew on every call where it is not the problem's own."""
        first = self.problem.graph
        graph = self.problem.draw(replicate) if self.redraw and replicate > 0 else first
        if graph.node_count != first.node_count:
            raise InputError(
                f"draw {replicate} of the graph has {graph.node_count} nodes, the first has {first.node_count}",
                where="graph",
                rule="every replicate has the same number of agents",
                hint="use redraw: false",
            )
        return graph

    def contacts(self, replicate: int) -> Contacts:
        """The contacts of a replicate."""
        number = replicate if self.redraw else 0
        if number not in self._kept:
            self._keep(number, self.graph(number))
        return self._kept[number]

    def initial_states(self, replicate: int, streams: Streams) -> StateArray:
        """States at time 0 on the graph of a replicate, shape [N]."""
        graph = self.graph(replicate)
        if self.redraw or replicate == 0:
            self._keep(replicate, graph)
        return self.problem.initial_states(graph, streams.generator("initial", replicate=replicate))

    def batches(self, replicates: int) -> Sequence[tuple[Contacts, NDArray[np.intp]]]:
        """The replicates that share a graph, as (contacts, their numbers)."""
        if not self.redraw:
            return [(self.contacts(0), np.arange(replicates))]
        return [(self.contacts(number), np.array([number])) for number in range(replicates)]

    def _keep(self, number: int, graph: ContactGraph) -> None:
        if number > 0 and graph is self.problem.graph:
            self._kept[number] = self.contacts(0)
            return
        contacts = Contacts.of(graph, self.policy, self.problem.game.normalise)
        if number > 0 and contacts.group_names != self.contacts(0).group_names:
            raise InputError(
                f"draw {number} of the graph has groups ({', '.join(contacts.group_names)})",
                where="graph",
                rule=f"every replicate has the groups of the first: ({', '.join(self.contacts(0).group_names)})",
                hint="use redraw: false",
            )
        self._kept[number] = contacts
