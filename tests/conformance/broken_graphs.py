"""Builders of contact graphs with one fault each. A component is called like the rule that must find it, and no other may."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import Field

from mesocosm import Component, ContactGraph, DegreeLaw, GraphChanges, InputError, Options, Piece, hookimpl

Builder = Callable[["Wiring", int | None, np.random.Generator], ContactGraph]
BUILDERS: dict[str, Builder] = {}


class Wiring(Options):
    """What the builders take."""

    mean: float = Field(default=6.0, gt=0, description="expected degree (contacts)")
    law: float = Field(default=1.0, gt=0, description="mean of the degree law over the expected degree")
    offsets: list[int] = Field(default=[2, 1], description="how far along the ring the contacts are")
    salt: int = Field(default=0, description="how many numbers are drawn and thrown away first")


def builder(function: Builder) -> Builder:
    """Announce a function as the builder of its name."""
    BUILDERS[function.__name__] = function
    return function


def known(size: int | None) -> int:
    """The size, where there is one, and where it is large enough."""
    if size is None or size < 8:
        raise InputError("8 agents at least", where="population.size")
    return size


def scattered(nodes: int, mean: float, generator: np.random.Generator, **more: Any) -> ContactGraph:
    """Each pair with the same probability."""
    source, target = np.triu_indices(nodes, 1)
    joined = generator.random(len(source)) < mean / (nodes - 1)
    return ContactGraph.from_edges(nodes, source[joined], target[joined], **more)


@builder
def sound(options: Wiring, size: int | None, generator: np.random.Generator) -> ContactGraph:
    """Breaks no rule: a random graph with weights and groups."""
    nodes = known(size)
    graph = scattered(nodes, options.mean, generator)
    source, target, _ = graph.edges()
    weights = generator.uniform(0.5, 2.0, size=len(source))
    group = np.where(np.arange(nodes) < nodes // 2, "a", "b")
    return ContactGraph.from_edges(nodes, source, target, weights, {"group": group})


@builder
def has_the_size_asked_for(options: Wiring, size: int | None, generator: np.random.Generator) -> ContactGraph:
    return scattered(known(size) + 1, options.mean, generator)


@builder
def rows_are_sorted_and_simple(options: Wiring, size: int | None, generator: np.random.Generator) -> ContactGraph:
    graph = scattered(known(size), options.mean, generator)
    rows = np.split(graph.indices, graph.indptr[1:-1])
    return ContactGraph(graph.node_count, graph.indptr.copy(), np.concatenate([row[::-1] for row in rows]))


@builder
def contacts_are_mutual(options: Wiring, size: int | None, generator: np.random.Generator) -> ContactGraph:
    graph = scattered(known(size), options.mean, generator)
    indptr = graph.indptr.copy()
    last = int(np.flatnonzero(np.diff(indptr))[-1])  # Its contacts all have smaller numbers.
    indptr[last + 1 :] -= 1
    return ContactGraph(graph.node_count, indptr, graph.indices[:-1].copy())


@builder
def weights_are_positive_and_mutual(options: Wiring, size: int | None, generator: np.random.Generator) -> ContactGraph:
    graph = scattered(known(size), options.mean, generator)
    weights = generator.random(len(graph.indices)) + 0.1
    return ContactGraph(graph.node_count, graph.indptr.copy(), graph.indices.copy(), weights)


@builder
def attributes_have_one_entry_per_node(
    options: Wiring, size: int | None, generator: np.random.Generator
) -> ContactGraph:
    nodes = known(size)
    school: list[str | None] = ["north", None] * nodes
    return scattered(nodes, options.mean, generator, attributes={"school": np.array(school[:nodes], dtype=object)})


@builder
def degree_law_is_a_law(options: Wiring, size: int | None, generator: np.random.Generator) -> ContactGraph:
    law = DegreeLaw(np.array([5.0, 6.0, 7.0]), np.array([0.3, 0.3, 0.3]))
    return scattered(known(size), options.mean, generator, degree_law=law)


class Forgetful(ContactGraph):
    """A graph of a class of its own, which hands out all edges but the last."""

    def edges(self) -> Any:
        source, target, weights = super().edges()
        return source[:-1], target[:-1], weights


@builder
def survives_networkx(options: Wiring, size: int | None, generator: np.random.Generator) -> ContactGraph:
    graph = scattered(known(size), options.mean, generator)
    return Forgetful(graph.node_count, graph.indptr, graph.indices)


class Blinking(GraphChanges):
    """Two graphs in turns, of which each but the first is said to begin half a turn late."""

    def __init__(self, graphs: list[ContactGraph]) -> None:
        self.graphs = graphs

    def pieces(self, start: float, stop: float) -> Iterator[Piece]:
        first = math.floor(start) + 1.0
        yield Piece(start, min(first, stop), int(first) % 2)
        while first + 1 <= stop:
            yield Piece(first + 0.5, first + 1, int(first + 1) % 2)
            first += 1
        if first < stop:
            yield Piece(first, stop, int(first + 1) % 2)

    def graph(self, number: int) -> ContactGraph:
        return self.graphs[number]


@builder
def changes_cover_the_time(options: Wiring, size: int | None, generator: np.random.Generator) -> ContactGraph:
    nodes = known(size)
    graphs = [scattered(nodes, options.mean, generator) for _ in range(2)]
    return replace(graphs[0], changes=Blinking(graphs))


@builder
def layers_add_up(options: Wiring, size: int | None, generator: np.random.Generator) -> ContactGraph:
    nodes = known(size)
    layers = {name: scattered(nodes, options.mean / 2, generator) for name in ("home", "work")}
    return replace(ContactGraph.from_layers(layers), layers={**layers, "work": layers["work"].scaled(2.0)})


@builder
def refuses_a_size_too_small(options: Wiring, size: int | None, generator: np.random.Generator) -> ContactGraph:
    return scattered(known(100) if size is None else size, options.mean, generator)


@builder
def says_when_it_needs_a_size(options: Wiring, size: int | None, generator: np.random.Generator) -> ContactGraph:
    if size < 8:  # type: ignore[operator]
        raise InputError("8 agents at least", where="population.size")
    return scattered(known(size), options.mean, generator)


@builder
def same_seed_same_graph(options: Wiring, size: int | None, generator: np.random.Generator) -> ContactGraph:
    shared = int(np.random.get_state()[1][0])  # type: ignore[index] # noqa: NPY002
    return scattered(known(size), options.mean, np.random.default_rng([shared, int(generator.integers(2**32))]))


@builder
def leaves_shared_generators_alone(options: Wiring, size: int | None, generator: np.random.Generator) -> ContactGraph:
    np.random.random()  # noqa: NPY002
    return scattered(known(size), options.mean, generator)


EARLIER = [0]


@builder
def forgets_earlier_graphs(options: Wiring, size: int | None, generator: np.random.Generator) -> ContactGraph:
    own = int(generator.integers(2**32))
    before, EARLIER[0] = EARLIER[0], own
    return scattered(known(size), options.mean, np.random.default_rng([before, own]))


@builder
def same_graph_in_another_process(options: Wiring, size: int | None, generator: np.random.Generator) -> ContactGraph:
    """Found where it is loaded from its file: another process hashes text in another way."""
    graph = scattered(known(size), options.mean, generator)
    order = np.array(sorted(range(graph.node_count), key=lambda node: hash(f"node {node}")))
    source, target, _ = graph.edges()
    return ContactGraph.from_edges(graph.node_count, order[source], order[target])


@builder
def different_seeds_differ(options: Wiring, size: int | None, generator: np.random.Generator) -> ContactGraph:
    return scattered(known(size), options.mean, np.random.default_rng(int(generator.integers(5))))


@builder
def builds_share_no_writable_array(options: Wiring, size: int | None, generator: np.random.Generator) -> ContactGraph:
    graph = scattered(known(size), options.mean, generator)
    return replace(graph, degree_law=DegreeLaw(SHARED_DEGREES[:], SHARED_SHARES[:]))


SHARED_DEGREES, SHARED_SHARES = np.array([5.0, 6.0, 7.0]), np.array([0.25, 0.5, 0.25])


@builder
def leaves_its_options_alone(options: Wiring, size: int | None, generator: np.random.Generator) -> ContactGraph:
    options.offsets.sort()
    nodes = np.arange(known(size))
    far = np.repeat(options.offsets, len(nodes))
    source = np.tile(nodes, len(options.offsets))
    return ContactGraph.from_edges(len(nodes), source, (source + far) % len(nodes))


@builder
def mean_degree_follows_the_law(options: Wiring, size: int | None, generator: np.random.Generator) -> ContactGraph:
    """Right with `law` 1: the binomial law of degrees, with its mean multiplied by `law`."""
    nodes = known(size)
    generator.random(options.salt)
    degrees, probability = np.arange(nodes, dtype=float), options.law * options.mean / (nodes - 1)
    shares = np.cumprod(np.append((1 - probability) ** (nodes - 1), _ratios(nodes - 1, probability)))
    kept = shares > 0
    law = DegreeLaw(degrees[kept], shares[kept] / shares[kept].sum())
    return scattered(nodes, options.mean, generator, degree_law=law)


def _ratios(trials: int, probability: float) -> Any:
    """Of successive terms of a binomial law."""
    count = np.arange(1, trials + 1)
    return (trials - count + 1) / count * probability / (1 - probability)


@hookimpl
def mesocosm_components() -> Any:
    for name, function in BUILDERS.items():
        yield Component("graph", name, f"{__name__}:{function.__name__}", f"{__name__}:Wiring", summary="for tests")
