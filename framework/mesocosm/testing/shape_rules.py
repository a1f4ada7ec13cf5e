"""Shapes and names: what a dynamics observes is what it says, and is called as everyone calls it."""

from __future__ import annotations

import numpy as np

from mesocosm.testing.applies import complete_record
from mesocosm.testing.check import ConformanceError, rule
from mesocosm.testing.problems import STATES, basic, epidemic, problem, ring
from mesocosm.testing.subject import DynamicsSubject

SHARES = (0.6, 0.3, 0.1)
"""Three different shares, so that no two states can be mixed up."""


@rule("shapes")
def runs_a_game(subject: DynamicsSubject) -> None:
    """It runs one of the games that it is offered: SIR with or without effort, on a sparse or on the complete graph."""
    from mesocosm import ContactGraph

    offered = [
        problem(graph, epidemic(effort=effort), SHARES, name="offered")
        for graph in (ring(60, 3), ContactGraph.complete(60))
        for effort in (False, True)
    ]
    accepted = [item for item in offered if subject.accepts(item)]
    if not accepted:
        raise ConformanceError(
            "refuses every game that it is offered, so that nothing can be said about it",
            hint="give the kit options with which it runs SIR with the states S, I and R",
        )
    subject.run(accepted[0])


@rule("shapes")
def observes_occupancy(subject: DynamicsSubject) -> None:
    """It observes `occupancy(replicate, state)` as numbers, with the states of the game in their order."""
    dynamics = subject.make(basic("occupancy"))
    dims = dynamics.dimensions()
    if dims.get("occupancy") != ("replicate", "state"):
        raise ConformanceError(f"dimensions are {dims}", rule="'occupancy' has the dimensions (replicate, state)")
    found = dynamics.observe(dynamics.init())["occupancy"]
    if np.shape(found) != (dynamics.replicates, len(STATES)):
        raise ConformanceError(
            f"occupancy has shape {np.shape(found)}",
            rule=f"({dynamics.replicates} replicates, {len(STATES)} states)",
        )
    if np.asarray(found).dtype.kind != "f":
        raise ConformanceError(f"occupancy has type {np.asarray(found).dtype}", rule="shares are floats")


@rule("shapes")
def names_every_dimension(subject: DynamicsSubject) -> None:
    """Every dimension but replicate, time and state has labels, as many as the axis is long."""
    dynamics = subject.make(basic("dimensions"))
    labels, seen = dynamics.coordinates(), dynamics.observe(dynamics.init())
    for name, dims in dynamics.dimensions().items():
        for axis, dim in enumerate(dims):
            if dim in ("replicate", "time", "state"):
                continue
            length = np.shape(seen[name])[axis]
            if len(labels.get(dim, ())) != length:
                raise ConformanceError(
                    f"dimension '{dim}' of '{name}' has {len(labels.get(dim, ()))} labels and is {length} long",
                    hint="return them from coordinates()",
                )


@rule("shapes", applies=complete_record)
def starts_at_the_initial_shares(subject: DynamicsSubject) -> None:
    """At time 0 each state has the share that the problem gives it, in every replicate."""
    posed = problem(ring(60, 3), epidemic(), SHARES, name="initial")
    dynamics = subject.make(posed)
    found = np.asarray(dynamics.observe(dynamics.init())["occupancy"])
    if np.abs(found - SHARES).max() > 1e-6:
        raise ConformanceError(f"occupancy starts at {found[0].round(6).tolist()}", rule=f"it should be {list(SHARES)}")


@rule("shapes")
def has_the_replicates_that_are_asked_for(subject: DynamicsSubject) -> None:
    """Where it has the option `replicates`, that is the length of the replicate axis."""
    for count in (1, 3) if subject.has("replicates") else ():
        asked = subject.with_options(replicates=count)
        dynamics = asked.make(basic("replicates"))
        found = np.shape(dynamics.observe(dynamics.init())["occupancy"])[0]
        if (dynamics.replicates, found) != (count, count):
            raise ConformanceError(
                f"{count} asked for, {dynamics.replicates} announced, {found} observed",
                hint="override the property `replicates`",
            )


@rule("shapes", applies=complete_record)
def sums_up_what_it_ran(subject: DynamicsSubject) -> None:
    """Its summary has one number for each replicate where it says so, and `final_size` is the share that left S."""
    found = subject.run(basic("summary"))
    replicates = found.array("occupancy").shape[0]
    for name, labelled in found.variables.items():
        for dim, length in zip(labelled.dims, labelled.values.shape, strict=True):
            if dim == "replicate" and length != replicates:
                raise ConformanceError(f"'{name}' has {length} replicates", rule=f"there are {replicates}")
    if "final_size" in found.variables:
        left = 1.0 - found.array("occupancy")[:, -1, 0]
        if np.abs(found.array("final_size") - left).max() > 1e-6:
            raise ConformanceError(
                f"final_size is {found.array('final_size').ravel()[0]:.6g}",
                rule=f"one minus the share in S at the end, {left[0]:.6g}",
            )


RULES = (
    runs_a_game,
    observes_occupancy,
    names_every_dimension,
    starts_at_the_initial_shares,
    has_the_replicates_that_are_asked_for,
    sums_up_what_it_ran,
)
