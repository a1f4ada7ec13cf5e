"""Purity: a dynamics changes nothing that it was given, shares nothing with others, and leaves nothing behind."""

from __future__ import annotations

import dataclasses
import gc
import tracemalloc
import weakref
from typing import Any

import numpy as np

from mesocosm import Problem
from mesocosm.testing.applies import THE_GAME
from mesocosm.testing.check import ConformanceError, rule
from mesocosm.testing.problems import basic, epidemic, pairs, problem, ring
from mesocosm.testing.subject import DynamicsSubject, as_bytes, observations
from mesocosm.testing.watching import frozen

LEAK = 32 * 1024
"""Bytes that a run may leave behind: caches of libraries, not arrays of agents."""


def picture(posed: Problem) -> Any:
    """A deep picture of a problem; what its parts remember for themselves, such as degrees, is left out."""
    return {
        field.name: frozen(getattr(posed, field.name)) for field in dataclasses.fields(posed) if field.name != "draw"
    }


@rule("purity")
def leaves_the_problem_unchanged(subject: DynamicsSubject) -> None:
    """Game, graph and population are the same after a run as before."""
    posed = problem(ring(60, 3), epidemic(), name="unchanged")
    before = picture(posed)
    for _ in observations(subject.make(posed)):
        pass
    after = picture(posed)
    changed = [name for name in before if before[name] != after[name]]
    if changed:
        raise ConformanceError(f"changes the {' and the '.join(changed)} of the problem", hint="copy before you change")


@rule("purity")
def leaves_the_state_unchanged(subject: DynamicsSubject) -> None:
    """`advance` does not change the state that it was given, and gives the same again."""
    dynamics = subject.make(basic("state"))
    state = dynamics.init()
    intervals = list(dynamics.problem.clock.intervals())
    state = dynamics.advance(state, intervals[0])
    before, *first = as_bytes(map(dynamics.observe, (state, dynamics.advance(state, intervals[1]))))
    after, *second = as_bytes(map(dynamics.observe, (state, dynamics.advance(state, intervals[1]))))
    if before != after:
        raise ConformanceError(
            "advance changes the state that it was given", hint="copy the state before you change it"
        )
    if first != second:
        raise ConformanceError(
            "advance gives another state the second time", hint="name streams by interval.index; keep nothing in self"
        )


@rule("purity")
def instances_do_not_disturb_each_other(subject: DynamicsSubject) -> None:
    """Two instances that run by turns give what each gives alone."""
    alone = [as_bytes(observations(subject.make(basic("instances", seed=seed)))) for seed in (1, 2)]
    one, other = (observations(subject.make(basic("instances", seed=seed))) for seed in (1, 2))
    together: list[list[dict[str, bytes]]] = [[], []]
    for saves in zip(one, other, strict=True):
        for number, save in enumerate(saves):
            together[number] += as_bytes(iter([save]))
    if together != alone:
        raise ConformanceError(
            "two instances that run by turns disturb each other", hint="keep no arrays or generators in the class"
        )


@rule("purity", applies=THE_GAME)
def keeps_no_stale_cache(subject: DynamicsSubject) -> None:
    """It computes anew for another problem of the same name and size: by turns, one in which nobody is infected and one
    in which nearly everybody is."""
    edges = pairs(20)
    quiet = ring(40, 1, {"group": edges.attributes["group"]}) if subject.cls.follows == "closure" else _apart(edges)
    groups = {"first": (0.0, 1.0, 0.0), "second": (1.0, 0.0, 0.0)} if subject.cls.follows == "contacts" else None
    shares = (0.5, 0.5, 0.0)
    for _ in range(2):
        for graph, beta in ((quiet, 0.0 if groups is None else 5.0), (edges, 5.0)):
            posed = problem(graph, epidemic(beta, 0.0), shares, name="cache", groups=groups)
            final = float(subject.run(posed).array("occupancy")[:, -1, 0].mean())
            expected, spreads = (0.5, False) if graph is quiet else (0.3, True)
            if (spreads and final > expected) or (not spreads and abs(final - expected) > 1e-6):
                raise ConformanceError(
                    f"the share in S ends at {final:.3f} with one problem after another",
                    rule=f"it should be {'below' if spreads else 'exactly'} {expected}",
                    hint="keep nothing of a problem outside the instance",
                )


def _apart(edges: Any) -> Any:
    """As many pairs on the same nodes, but nodes of one group meet each other."""
    from mesocosm import ContactGraph

    nodes = np.arange(edges.node_count).reshape(-1, 2, 2)
    source, target = nodes[:, 0, :].ravel(), nodes[:, 1, :].ravel()
    return ContactGraph.from_edges(edges.node_count, source, target, attributes=dict(edges.attributes))


@rule("purity")
def frees_its_memory(subject: DynamicsSubject) -> None:
    """When nobody holds a dynamics any more, it and its problem are gone, and a run leaves no arrays behind."""

    def once(seed: int) -> list[weakref.ref[Any]]:
        posed = problem(ring(3000, 3), epidemic(), name="memory", seed=seed, end=1.0)
        dynamics = subject.make(posed)
        for _ in observations(dynamics):
            pass
        return [weakref.ref(dynamics), weakref.ref(posed)]

    once(1)
    gc.collect()
    tracemalloc.start()
    try:
        held = once(2)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        held += once(3)
        gc.collect()
        left = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    if any(item() is not None for item in held):
        raise ConformanceError("is still in memory when nobody holds it", hint="keep instances in no global container")
    if left > LEAK:
        raise ConformanceError(f"leaves {left} bytes behind after every run", rule=f"at most {LEAK}")


RULES = (
    leaves_the_problem_unchanged,
    leaves_the_state_unchanged,
    instances_do_not_disturb_each_other,
    keeps_no_stale_cache,
    frees_its_memory,
)
