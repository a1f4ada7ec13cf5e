"""Graphs that are the sum of layers, and the layer that most of them have: households."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mesocosm import ContactGraph, DataError, InputError
from mesocosm_graphs.layer_options import Households, Layers
from mesocosm_graphs.population import required_size

IntArray = NDArray[np.int64]


def layers(options: Layers, size: int | None, generator: np.random.Generator) -> ContactGraph:
    """The sum of the layers. Without a size, the first layer must know how many nodes there are.

    Every layer is drawn from a generator of its own, made from the given one and from its name: to add a layer, to take one
    away or to change their order leaves the others as they are.
    Errors: `InputError`, with the layer, for what its builder refuses, and for layers that do not fit together.
    """
    common = generator.integers(2**32, size=4).tolist()
    drawn: dict[str, ContactGraph] = {}
    for name, layer in options.layers.items():
        own = np.random.Generator(np.random.PCG64(np.random.SeedSequence([*common, *name.encode()])))
        try:
            graph = layer.graph.build(size, own)
            size = graph.node_count if size is None else size
            drawn[name] = graph.scaled(layer.weight)
        except DataError:
            raise
        except InputError as error:
            raise _of_layer(name, error) from error
    return ContactGraph.from_layers(drawn)


def _of_layer(name: str, error: InputError) -> InputError:
    """The same error, where it is about this layer's own options with their place in those of all."""
    first, _, option = error.where.partition(".")
    if first not in ("graph", ""):
        return InputError(f"layer '{name}': {error.what}", where=error.where, rule=error.rule, hint=error.hint)
    where = ".".join(part for part in (f"graph.layers.{name}.graph", option) if part)
    return InputError(error.what, where=where, rule=error.rule, hint=error.hint)


def households(options: Households, size: int | None, generator: np.random.Generator) -> ContactGraph:
    """Households of independent sizes until everybody has one; the last is as large as people are left for.

    Within a household every pair has a contact. Errors: `InputError` without a size.
    """
    nodes = required_size(size, "households")
    sizes = _sizes(options, nodes, generator)
    members = generator.permutation(nodes) if options.scattered else np.arange(nodes)
    household = np.empty(nodes, np.int64)
    household[members] = np.repeat(np.arange(len(sizes)), sizes)
    source, target = _pairs_within(sizes)
    return ContactGraph.from_edges(nodes, members[source], members[target], attributes={"household": household})


def _sizes(options: Households, nodes: int, generator: np.random.Generator) -> IntArray:
    """The size of each household; they sum to the number of nodes."""
    values = np.array(list(options.sizes), np.int64)
    shares = np.array(list(options.sizes.values()))
    # As many as could be needed: the sizes are independent of how many are drawn.
    drawn = generator.choice(values, size=-(-nodes // int(values[shares > 0].min())), p=shares / shares.sum())
    ends = np.cumsum(drawn)
    last = int(np.searchsorted(ends, nodes))
    sizes = drawn[: last + 1].copy()
    sizes[last] -= int(ends[last]) - nodes
    return sizes


def _pairs_within(sizes: IntArray) -> tuple[IntArray, IntArray]:
    """All pairs of people side by side in groups of these sizes, each once."""
    starts = np.cumsum(sizes) - sizes
    sources, targets = [], []
    for width in np.unique(sizes):
        first, second = np.triu_indices(width, 1)
        begins = starts[sizes == width][:, None]
        sources.append((begins + first).ravel())
        targets.append((begins + second).ravel())
    return np.concatenate(sources), np.concatenate(targets)
