"""Rules for how a contact graph is drawn: from the generator that is given, and from nothing else."""

from __future__ import annotations

import math
import os
import pickle
from collections import Counter
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import InputError
from mesocosm.testing.check import ConformanceError, NotApplicable, Rule, rule
from mesocosm.testing.entry_process import ask, loading
from mesocosm.testing.graph_structure import law_fault
from mesocosm.testing.graph_subject import GraphSubject, arrays_of, fingerprint
from mesocosm.testing.watching import global_states, poisoned

SEEDS = 24
"""How many graphs are compared with each other."""

GAP = 0.05
"""Relative error of the mean degree that is found with probability 0.99 or more."""

LIMIT = 5.5
"""Largest t statistic of 30 graphs or more: a true law exceeds it with probability 6.4e-6 (29 degrees of freedom)."""

MOST = 3000
"""The mean degree is not tested where that takes more graphs."""


@rule("graph")
def same_seed_same_graph(subject: GraphSubject) -> None:
    """The same generator state gives the same bytes, whatever state the generators that a process shares are in."""
    subject.graph()
    found = []
    for seed in (11, 12):
        with poisoned(seed):
            found.append(fingerprint(subject.draw()))
    if found[0] != found[1]:
        raise ConformanceError(
            "two graphs from the same seed differ",
            hint="draw from the generator that the factory is given, not from random, numpy.random, torch, or the time",
        )


@rule("graph")
def leaves_shared_generators_alone(subject: GraphSubject) -> None:
    """Building a graph does not touch the generators that a process shares: random, numpy.random, torch."""
    subject.graph()
    before = global_states()
    subject.draw(2)
    after = global_states()
    changed = [name for name, state in before.items() if after[name] != state]
    if changed:
        raise ConformanceError(
            f"it draws from, or seeds, {', '.join(changed)}", hint="draw from the generator that the factory is given"
        )


@rule("graph")
def forgets_earlier_graphs(subject: GraphSubject) -> None:
    """A graph does not depend on the graphs that were built before it with other seeds or sizes."""
    subject.graph(1)
    first = fingerprint(subject.draw(1))
    if subject.size is not None:
        with suppress(InputError):
            subject.draw(1, size=subject.size + 2)
    subject.draw(2)
    if fingerprint(subject.draw(1)) != first:
        raise ConformanceError(
            "the same seed gives another graph once other graphs were built",
            hint="keep nothing between calls that depends on the seed, the size or the options",
        )


def _importable(subject: Any) -> str:
    plugin = subject.registry.entry(subject.kind, subject.name).plugin
    return "" if plugin.module or plugin.file else "the plugin is an object, registered in this process"


@rule("graph", applies=_importable)
def same_graph_in_another_process(subject: GraphSubject) -> None:
    """A process of its own draws the same graph: no cache, no order of a set and no id of an object decides it."""
    subject.graph(1)
    ours = fingerprint(subject.draw(2))
    factory = subject.registry.entry(subject.kind, subject.name).component.factory
    options = pickle.dumps(subject.options).hex()
    hash_seed = "5" if os.environ.get("PYTHONHASHSEED") != "5" else "6"
    done = ask([*loading(subject), ["draw", factory, options, subject.size, 2]], hash_seed=hash_seed)[-1]
    if done["error"]:
        raise ConformanceError(f"a process of its own fails to build it: {done['error']}")
    if done["result"] != ours:
        raise ConformanceError(
            "another process draws another graph from the same seed",
            hint="sort sets before you iterate, do not use hash() or id(), and keep no cache that ignores the seed",
        )


@rule("graph")
def different_seeds_differ(subject: GraphSubject) -> None:
    """A builder that draws at random does not come back to the same few graphs."""
    times = Counter(fingerprint(subject.graph(seed)) for seed in range(SEEDS))
    if len(times) == 1:
        raise NotApplicable("it builds the same graph from every seed")
    # Where little is random, most seeds may leave the same graph, and another one may come twice by chance.
    (_, *others) = (count for _, count in times.most_common())
    if sum(others) - len(others) >= 2:
        raise ConformanceError(
            f"{SEEDS} seeds give only {len(times)} graphs",
            hint="use the generator as it is; a new one seeded with a small number from it has few states",
        )


@rule("graph")
def builds_share_no_writable_array(subject: GraphSubject) -> None:
    """Two graphs share no array that somebody can write into: a change of one would be a change of both."""
    first, second = arrays_of(subject.graph(1)), arrays_of(subject.graph(2))
    for name, values in first.items():
        for other, others in second.items():
            if np.may_share_memory(values, others) and np.shares_memory(values, others) and _writable(values):
                raise ConformanceError(
                    f"{name} of one graph shares memory with {other} of the next, and its owner can write into it",
                    hint="copy what is kept between calls, or make it read-only with setflags(write=False)",
                )


def _writable(values: NDArray[Any]) -> bool:
    """Whether the array, or one that it is a view of, can be written into."""
    array: Any = values
    while isinstance(array, np.ndarray):
        if array.flags.writeable and array.size:
            return True
        array = array.base
    return array is not None


@rule("graph")
def leaves_its_options_alone(subject: GraphSubject) -> None:
    """Building a graph does not change the options: the next replicate is built from the same ones."""
    subject.graph()
    options = subject.options.model_copy(deep=True)
    before = repr(options)
    subject.factory()(options, subject.size, np.random.default_rng(1))
    if repr(options) != before:
        raise ConformanceError(f"{before} became {options!r}", hint="copy what you change")


@rule("graph", detects="an error of 5 % in the mean degree")
def mean_degree_follows_the_law(subject: GraphSubject) -> None:
    """The mean degree of the graphs is that of the degree law.

    So many graphs are drawn that an error of 5 % is found; a true law is taken for a wrong one with probability 1e-5 at most.
    """
    graph = subject.graph()
    law = graph.degree_law
    if law is None:
        raise NotApplicable("the builder gives no degree law")
    if law_fault(law) or law.mean == 0:
        raise NotApplicable("its degree law says nothing of the mean; see degree_law_is_a_law")
    means = _mean_degrees(subject, _graphs_needed(law.degrees, law.shares, graph.node_count))
    error = float(means.mean()) - law.mean
    noise = float(means.std(ddof=1)) / math.sqrt(len(means))
    # Without noise, as on regular graphs, only rounding is left.
    if abs(error) > max(LIMIT * noise, 1e-9 * law.mean):
        raise ConformanceError(
            f"the mean degree of {len(means)} graphs is {means.mean():.6g} +- {noise:.2g}; that of the law {law.mean:.6g}"
        )


def _graphs_needed(degrees: NDArray[np.float64], shares: NDArray[np.float64], nodes: int) -> int:
    """How many graphs bring the standard error down to the gap over (limit + 2.4).

    The mean degree of a graph has at most twice the variance that independent degrees give it: every edge counts at both
    of its ends, as in the graphs of Erdos and Renyi.
    """
    mean = float(degrees @ shares)
    variance = 2.0 * float((degrees - mean) ** 2 @ shares) / nodes
    return max(30, math.ceil(variance / (GAP * mean / (LIMIT + 2.4)) ** 2))


def _mean_degrees(subject: GraphSubject, count: int) -> NDArray[np.float64]:
    if count > MOST:
        raise NotApplicable(f"it takes {count} graphs of this size to test the mean degree; give a larger size")
    try:
        return np.array([float(subject.draw(100 + seed).degrees.mean()) for seed in range(count)])
    except InputError as error:
        raise NotApplicable(f"some degrees that the law gives are refused: {error}") from error


RANDOM_RULES: tuple[Rule[Any], ...] = (
    same_seed_same_graph,
    leaves_shared_generators_alone,
    forgets_earlier_graphs,
    same_graph_in_another_process,
    different_seeds_differ,
    builds_share_no_writable_array,
    leaves_its_options_alone,
    mean_degree_follows_the_law,
)
