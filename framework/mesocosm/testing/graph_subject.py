"""A builder of contact graphs under test: how the kit makes graphs with it, and compares them to the last bit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import ContactGraph, InputError, Options, Registry
from mesocosm.testing.check import NotApplicable
from mesocosm.testing.component import Part, options_of

FACTORY_FAULT = "it makes no contact graph; see factory_is_what_its_kind_needs"


@dataclass(frozen=True)
class GraphSubject(Part):
    """A builder with the options and the population size that it is tested with; `size` is None where it is left out."""

    options: Options
    size: int | None

    def draw(self, seed: int = 1, *, size: int | None = None) -> ContactGraph:
        """The graph that it builds with a NumPy generator of this seed; raises whatever the builder raises."""
        size = self.size if size is None else size
        made: ContactGraph = self.factory()(self.options.model_copy(deep=True), size, np.random.default_rng(seed))
        return made

    def graph(self, seed: int = 1) -> ContactGraph:
        """The same; raises `NotApplicable` where no graph comes of it, which is the business of one rule alone."""
        try:
            made = self.draw(seed)
        except Exception as error:
            raise NotApplicable(FACTORY_FAULT) from error
        if not isinstance(made, ContactGraph):
            raise NotApplicable(FACTORY_FAULT)
        return made


def graph_subject(
    name: str, options: Mapping[str, Any] | None = None, size: int | None = None, registry: Registry | None = None
) -> GraphSubject:
    """The builder that scenarios call `name`. Raises `InputError` for a name or an option that is not there."""
    plugins = registry or Registry.discover()
    own = options_of(plugins, "graph", name, options or {}, where=f"graph '{name}'")
    return GraphSubject("graph", name, plugins, own, size)


def arrays_of(graph: ContactGraph) -> dict[str, NDArray[Any]]:
    """Every array of a graph by name: CSR, weights, node attributes, degree law."""
    found: dict[str, Any] = {"indptr": graph.indptr, "indices": graph.indices}
    if graph.weights is not None:
        found["weights"] = graph.weights
    if graph.degree_law is not None:
        found |= {"degree_law.degrees": graph.degree_law.degrees, "degree_law.shares": graph.degree_law.shares}
    found |= {f"attribute '{name}'": values for name, values in graph.attributes.items()}
    return {name: np.asarray(values) for name, values in found.items()}


def fingerprint(graph: ContactGraph) -> str:
    """A digest of everything in a graph, to the last bit."""
    digest = hashlib.blake2b(f"{graph.node_count} {graph.is_complete}".encode(), digest_size=16)
    for name, values in arrays_of(graph).items():
        # Objects have no bytes of their own, only addresses.
        content = repr(values.tolist()).encode() if values.dtype.hasobject else values.tobytes()
        digest.update(f"\x1f{name} {values.dtype.str} {values.shape}\x1f".encode() + content)
    return digest.hexdigest()


def refused_or_drawn(subject: GraphSubject, size: int | None) -> ContactGraph | None:
    """The graph for another size, or for none; None where the builder refuses it with an `InputError`."""
    try:
        made: ContactGraph = subject.factory()(subject.options.model_copy(deep=True), size, np.random.default_rng(1))
    except InputError:
        return None
    return made
