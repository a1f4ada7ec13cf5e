"""The contact graph of each replicate, in the form that engines use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesocosm import ContactGraph, InputError, Policy, Problem, Streams
from mesocosm_agents.arrays import BoolArray, FloatArray, IntArray, StateArray, Wiring
from mesocosm_agents.kernels import fields

GROUP = "group"

_LARGEST_EXACT = 2.0**16
"""Products of two whole numbers up to here add up without rounding over more contacts than an agent can have."""

_MOST_PAIRS = 2**17
"""Pairs of agents that are looked at together; it bounds memory, and keeps them in the cache."""


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
    groups: shape [N], into `group_names`; empty where the graph has no node attribute `group`.
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
        """Take what is needed; the arrays of the graph are shared, not copied."""
        nothing = np.zeros(0)
        divisor = nothing
        if normalise == "mean" and not graph.is_complete:
            divisor = np.where(graph.strengths > 0, graph.strengths, 1.0)
        wiring = Wiring(
            graph.is_complete,
            graph.indptr.astype(np.int64, copy=False),
            graph.indices.astype(np.int32, copy=False),
            nothing if graph.weights is None else graph.weights.astype(np.float64, copy=False),
            divisor,
        )
        rows = np.ascontiguousarray(policy.rows(graph), np.int64)
        names, groups = graph.group_index(GROUP) if GROUP in graph.attributes else ((), np.zeros(0, np.int64))
        return cls(graph.node_count, wiring, rows, groups, names, are_whole(wiring.weights))

    def field(self, emission: FloatArray) -> FloatArray:
        """Field of every agent: shapes [batch, N, channel] to [batch, N, channel]."""
        return np.asarray(fields(self.wiring, np.ascontiguousarray(emission, np.float64)))

    def pairwise(
        self, influence: Callable[[FloatArray, FloatArray], FloatArray], places: FloatArray, inside: BoolArray
    ) -> FloatArray:
        """Field of every agent where what a contact exposes depends on who looks: shape [batch, N, channel].

        `influence(receiver, sender)` takes two arrays [..., axis] to [..., channel]; `places` are [batch, N, axis]. Agents
        that are not `inside` [batch, N] expose nothing; they still count in averages.
        """
        pairs = self.size**2 if self.wiring.is_complete else len(self.wiring.indices)
        count = max(1, _MOST_PAIRS // max(1, pairs))
        add_up = self._all_pairs if self.wiring.is_complete else self._tied_pairs
        parts = [
            np.concatenate(
                list(add_up(influence, places[first : first + count], inside[first : first + count])), axis=1
            )
            for first in range(0, len(places), count)
        ]
        summed = np.concatenate(parts)
        return summed / self.wiring.divisor[:, None] if len(self.wiring.divisor) else summed

    def _all_pairs(
        self, influence: Callable[[FloatArray, FloatArray], FloatArray], places: FloatArray, inside: BoolArray
    ) -> Iterator[FloatArray]:
        """On a complete graph: the averages over all others, for one block of agents after the other."""
        height = max(1, _MOST_PAIRS // (len(places) * self.size))
        for first in range(0, self.size, height):
            agents = np.arange(first, min(first + height, self.size))
            felt = influence(places[:, agents, None, :], places[:, None, :, :]) * inside[:, None, :, None]
            felt[:, agents - first, agents] = 0.0
            yield felt.sum(axis=2) / (self.size - 1)

    def _tied_pairs(
        self, influence: Callable[[FloatArray, FloatArray], FloatArray], places: FloatArray, inside: BoolArray
    ) -> Iterator[FloatArray]:
        """On a graph with edges: the weighted sums over contacts, for one block of agents after the other."""
        indptr, indices, weights = self.wiring.indptr, self.wiring.indices, self.wiring.weights
        most = max(1, _MOST_PAIRS // len(places))
        first = 0
        while first < self.size:
            last = max(first + 1, int(np.searchsorted(indptr, indptr[first] + most, side="right")) - 1)
            entries = slice(indptr[first], indptr[last])
            degrees = np.diff(indptr[first : last + 1])
            senders, receivers = indices[entries], np.repeat(np.arange(first, last), degrees)
            felt = influence(places[:, receivers], places[:, senders]) * inside[:, senders, None]
            if len(weights):
                felt = felt * weights[entries, None]
            summed = np.zeros((len(places), last - first, felt.shape[-1]))
            tied = np.flatnonzero(degrees)
            if tied.size:
                summed[:, tied] = np.add.reduceat(felt, indptr[first + tied] - indptr[first], axis=1)
            yield summed
            first = last


class Graphs:
    """The graph of every replicate: the problem's own, or with `redraw` a fresh draw that is made when first needed.

    `current` says what a graph is at present, where it is not as it was built: without the layers that are closed, or the
    piece of a graph that changes. Only `Contacts` are kept, about 4 bytes for each end of an edge.
    """

    def __init__(
        self,
        problem: Problem,
        policy: Policy,
        redraw: bool,
        current: Callable[[ContactGraph], ContactGraph] | None = None,
    ) -> None:
        self.problem, self.policy, self.redraw, self.current = problem, policy, redraw, current
        self._kept: dict[int, Contacts] = {}

    def graph(self, replicate: int) -> ContactGraph:
        """The graph of a replicate as it was built; drawn anew on every call where it is not the problem's own."""
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

    def present(self, replicate: int) -> ContactGraph:
        """The graph of a replicate as it is now."""
        graph = self.graph(replicate)
        return graph if self.current is None else self.current(graph)

    def contacts(self, replicate: int) -> Contacts:
        """The contacts of a replicate as they are now."""
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

    def batches(self, numbers: NDArray[np.integer]) -> Sequence[tuple[Contacts, NDArray[np.intp]]]:
        """Those of some replicates that share a graph, as (contacts, their places among `numbers`)."""
        if not self.redraw:
            return [(self.contacts(0), np.arange(len(numbers)))]
        return [(self.contacts(int(number)), np.array([place])) for place, number in enumerate(numbers)]

    @property
    def entries(self) -> int:
        """Ends of edges in all contacts that are kept."""
        return sum(len(contacts.wiring.indices) for contacts in self._kept.values())

    def _keep(self, number: int, graph: ContactGraph) -> None:
        if number > 0 and graph is self.problem.graph:
            self._kept[number] = self.contacts(0)
            return
        present = graph if self.current is None else self.current(graph)
        contacts = Contacts.of(present, self.policy, self.problem.game.normalise)
        if number > 0 and contacts.group_names != self.contacts(0).group_names:
            raise InputError(
                f"draw {number} of the graph has groups ({', '.join(contacts.group_names)})",
                where="graph",
                rule=f"every replicate has the groups of the first: ({', '.join(self.contacts(0).group_names)})",
                hint="use redraw: false",
            )
        self._kept[number] = contacts
