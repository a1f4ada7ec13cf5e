"""What a problem may have beyond one game on one graph that stays as it is, and who can express it.

    events           interventions: at a time or on a threshold a layer closes, nodes are vaccinated, a parameter changes
    changing_graph   the contact graph changes in time
    groups           groups of agents with parameters of their own
    rewiring         agents cut and form links as a rule of the game

A dynamics names what it can express (`Dynamics.expresses`); a problem that has more is refused before anything runs.
"""

from __future__ import annotations

from mesocosm.dynamics import Dynamics
from mesocosm.errors import InputError
from mesocosm.problem import Problem

FEATURES = {
    "events": "events",
    "changing_graph": "a contact graph that changes in time",
    "groups": "groups with parameters of their own",
    "rewiring": "agents that rewire their links",
}
"""Every feature, in words."""


def features_of(problem: Problem) -> frozenset[str]:
    """The features that a problem has."""
    found = {
        "events": bool(problem.events),
        "changing_graph": problem.graph.changes is not None,
        "groups": problem.game.has_group_parameters,
        "rewiring": problem.game.rewiring is not None,
    }
    return frozenset(name for name, there in found.items() if there)


def refuse_unexpressed(label: str, kind: str, dynamics: Dynamics) -> None:
    """Raise `InputError` where the problem of a dynamics has a feature that it cannot express."""
    missing = sorted(features_of(dynamics.problem) - dynamics.expresses)
    if missing:
        able = ", ".join(FEATURES[name] for name in sorted(dynamics.expresses))
        raise InputError(
            f"{kind} cannot express {FEATURES[missing[0]]}",
            where=f"dynamics '{label}'",
            rule=f"beyond one game on a graph that stays as it is, it can express {able or 'nothing'}",
            hint="take this dynamics out of the scenario, or what it cannot express",
        )
