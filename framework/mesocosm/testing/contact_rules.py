"""The contact graph: infection goes along contacts, in proportion to their weights, and numbers of nodes mean nothing."""

from __future__ import annotations

import numpy as np

from mesocosm import ContactGraph
from mesocosm.testing.applies import THE_GAME, follows
from mesocosm.testing.check import ConformanceError, rule
from mesocosm.testing.problems import empty, epidemic, pairs, problem
from mesocosm.testing.statistics import require_equal_means
from mesocosm.testing.subject import DynamicsSubject

ROUNDING = 1e-9
STEP = 0.01
"""Longest time step where a law is compared."""


@rule("graph", applies=THE_GAME)
def without_contacts_nothing_spreads(subject: DynamicsSubject) -> None:
    """On a graph without edges nobody is infected."""
    found = subject.run(problem(empty(60), epidemic(5.0, 0.2), name="empty")).array("occupancy")[..., 0]
    if np.ptp(found) > ROUNDING:
        raise ConformanceError(f"the share in S goes from {found[0, 0]:.4g} to {found.min():.4g}")


@rule("graph", applies=follows("contacts"))
def components_do_not_interact(subject: DynamicsSubject) -> None:
    """Where only one component of the graph has infected agents, the other stays as it is, and the first is swept."""
    small, large = 10, 50
    nodes = np.arange(small + large)
    source, target = nodes, np.where(nodes < small, (nodes + 1) % small, small + (nodes - small + 1) % large)
    group = np.where(nodes < small, "small", "large")
    graph = ContactGraph.from_edges(small + large, source, target, attributes={"group": group})
    groups = {"small": (0.5, 0.5, 0.0), "large": (1.0, 0.0, 0.0)}
    posed = problem(graph, epidemic(8.0, 0.0), (1.0, 0.0, 0.0), name="components", groups=groups)
    final = subject.run(posed).array("occupancy")[:, -1, 0]
    if np.abs(final - large / (small + large)).max() > 1e-6:
        raise ConformanceError(
            f"{final[np.abs(final - large / (small + large)).argmax()] * (small + large):.4g} agents stay susceptible",
            rule=f"{large}: those of the component in which nobody was infected",
        )


@rule(
    "graph", detects="a change of 0.1 in the attack rate when nodes are numbered the other way round", applies=THE_GAME
)
def relabelled_nodes_change_nothing(subject: DynamicsSubject) -> None:
    """With nodes numbered in the opposite order, and their groups with them, shares have the same law: equal for a
    deterministic dynamics."""
    groups = {"seed": (0.0, 1.0, 0.0), "rest": (1.0, 0.0, 0.0)} if subject.cls.follows == "contacts" else None
    shares = (1.0, 0.0, 0.0) if groups else (0.9, 0.1, 0.0)
    one, other = (
        problem(graph, epidemic(1.0, 0.5), shares, name=f"relabelled {seed}", seed=seed, end=4.0, groups=groups)
        for seed, graph in enumerate((_stars(10, 9), _stars(10, 9, backwards=True)), 1)
    )
    _same(subject, one, other, 250, "the share in S, I or R with one numbering")


def _stars(count: int, leaves: int, *, backwards: bool = False) -> ContactGraph:
    """Separate stars; the first leaf of each is in group `seed`, all else in `rest`. A hub has the lowest number of its
    star, or with `backwards` the highest."""
    size = leaves + 1
    hubs = np.repeat(np.arange(count) * size, leaves)
    tips = hubs + np.tile(np.arange(1, size), count)
    group = np.where(np.arange(count * size) % size == 1, "seed", "rest")
    if not backwards:
        return ContactGraph.from_edges(count * size, hubs, tips, attributes={"group": group})
    last = count * size - 1
    return ContactGraph.from_edges(count * size, last - hubs, last - tips, attributes={"group": group[::-1]})


@rule("graph", detects="weights that count for 5 % more or less than they should", applies=THE_GAME)
def weights_scale_contacts(subject: DynamicsSubject) -> None:
    """A contact of weight 2 is worth twice the rate: the same law, and equal for a deterministic dynamics."""
    groups = {"first": (0.0, 1.0, 0.0), "second": (1.0, 0.0, 0.0)} if subject.cls.follows == "contacts" else None
    shares = (0.5, 0.5, 0.0)
    one, other = (
        problem(
            pairs(100, weight),
            epidemic(beta, 0.25),
            shares,
            name=f"weights {seed}",
            seed=seed,
            end=1.5,
            save_every=1.5,
            groups=groups,
        )
        for seed, (weight, beta) in enumerate(((2.0, 0.5), (None, 1.0)), 1)
    )
    _same(subject, one, other, 900, "the share in S, I or R with weights of 2")


def _same(subject: DynamicsSubject, one: object, other: object, draws: int, what: str) -> None:
    """Two problems have the same answer, in law or to rounding."""
    fine = subject.with_options(step=STEP)
    first, second = (fine.sample(posed, draws) for posed in (one, other))  # type: ignore[arg-type]
    if subject.cls.stochastic:
        require_equal_means(first[:, 1:], second[:, 1:], what)
    elif np.abs(first - second).max() > ROUNDING:
        raise ConformanceError(f"{what} differs by {np.abs(first - second).max():.2g}", rule=f"at most {ROUNDING:g}")


RULES = (
    without_contacts_nothing_spreads,
    components_do_not_interact,
    relabelled_nodes_change_nothing,
    weights_scale_contacts,
)
