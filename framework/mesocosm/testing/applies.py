"""Which rules say something about a dynamics: reasons why not, from what it declares."""

from __future__ import annotations

from collections.abc import Callable

from mesocosm.testing.subject import DynamicsSubject

Reason = Callable[[DynamicsSubject], str]


def follows(*kinds: str) -> Reason:
    """It must follow one of these (see `Dynamics.follows`)."""

    def reason(subject: DynamicsSubject) -> str:
        own = subject.cls.follows
        return "" if own in kinds else f"it follows '{own}', and this is for {' and '.join(kinds)}"

    return reason


def stochastic(subject: DynamicsSubject) -> str:
    """Its replicates must be random draws."""
    return "" if subject.cls.stochastic else "it is deterministic"


def complete_record(subject: DynamicsSubject) -> str:
    """It must know every number that it observes."""
    return "it is partial: a record with gaps" if subject.cls.partial else ""


def option(name: str) -> Reason:
    """It must have an option of this name."""
    return lambda subject: "" if subject.has(name) else f"it has no option '{name}'"


def all_of(*reasons: Reason) -> Reason:
    """The first reason that there is."""
    return lambda subject: next((text for reason in reasons if (text := reason(subject))), "")


THE_GAME = follows("contacts", "closure")
"""For dynamics that follow the game of the problem."""

AGENTS = all_of(follows("contacts"), stochastic)
"""For dynamics that draw every agent on the contact graph."""
