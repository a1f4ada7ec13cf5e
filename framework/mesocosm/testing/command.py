"""What `mesocosm plugins check NAME` runs: the checks of a component, with options from the command line or a scenario."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mesocosm import InputError, Registry, load
from mesocosm.testing.check import Check
from mesocosm.testing.dynamics_kit import dynamics_checks
from mesocosm.testing.games import game_checks
from mesocosm.testing.graphs import graph_checks
from mesocosm.testing.strategies import strategy_checks

MAKERS: Mapping[str, Callable[..., list[Check]]] = {
    "dynamics": dynamics_checks,
    "game": game_checks,
    "graph": graph_checks,
    "strategy": strategy_checks,
}


def checks_for(
    registry: Registry,
    name: str,
    kind: str | None,
    options: Mapping[str, Any],
    scenario: Path | None,
    only: Sequence[str],
) -> list[Check]:
    """The checks of the component `name`.

    Parameters
    ----------
    kind: dynamics, game, graph or strategy; None where only one of them has the name.
    options: those to test it with, as a scenario gives them, on top of those of the scenario.
    scenario: a file; the first component in it with this name gives the options, its other dynamics the companions.
    only: names of checks, all where it is empty.

    Raises `InputError` for a name, kind or check that is not there.
    """
    chosen = kind or _kind_of(registry, name)
    given: dict[str, Any] = {"registry": registry}
    base: Mapping[str, Any] = {}
    if scenario is not None:
        base, companions = _from_scenario(registry, chosen, name, scenario)
        if chosen == "dynamics":
            given["companions"] = companions
    checks = MAKERS[chosen](name, options={**base, **options}, **given)
    names = [check.name for check in checks]
    for wanted in only:
        if wanted not in names:
            close = difflib.get_close_matches(wanted, names, n=1)
            hint = f"did you mean '{close[0]}'?" if close else "--list shows them"
            raise InputError(f"no check of '{name}' is called '{wanted}'", where="--only", hint=hint)
    return [check for check in checks if not only or check.name in only]


def _kind_of(registry: Registry, name: str) -> str:
    registry.load_deferred()
    kinds = [kind for kind in MAKERS if any(entry.component.name == name for entry in registry.entries(kind))]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise InputError(f"'{name}' is a {' and a '.join(kinds)}", where="plugins check", hint="say which with --kind")
    every = [entry.component.name for kind in MAKERS for entry in registry.entries(kind)]
    close = difflib.get_close_matches(name, every, n=1)
    hint = f"did you mean '{close[0]}'?" if close else "`mesocosm plugins` lists them"
    raise InputError(f"no dynamics, game, graph or strategy is called '{name}'", where="plugins check", hint=hint)


def _from_scenario(
    registry: Registry, kind: str, name: str, path: Path
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Options of a component in a scenario, and the other dynamics of it, by label, in the order in which they run."""
    found = load(path, registry=registry)
    companions = {label: found.dynamics[label].resolved() for label in found.order()}
    if kind == "dynamics":
        labels = [label for label, choice in found.dynamics.items() if choice.name == name]
        chosen = companions.pop(labels[0]) if labels else None
    else:
        strategies = [event.strategy for event in found.events if event.strategy]
        choices = {"game": [found.game], "graph": [found.graph], "strategy": strategies}[kind]
        chosen = next((choice.resolved() for choice in choices if choice.name == name), None)
    if chosen is None:
        raise InputError(f"no {kind} '{name}'", where=str(path), rule="the scenario must use it")
    chosen.pop("kind")
    return chosen, companions
