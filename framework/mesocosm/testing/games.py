"""Conformance of a game.

    from mesocosm.testing import check_game, game_checks, parametrize_with_checks

    check_game("sir", options={"beta": 0.3, "gamma": 0.1})

    @parametrize_with_checks(game_checks("sir", options={"beta": 0.3, "gamma": 0.1}))
    def test_conformance(check):
        check()

A game with finitely many states is held to the rules about its table, a diffusion game to those about its box, drift and
choice; every other game to the rules of every component.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mesocosm import DiffusionGame, DiscreteTimeGame, Game, Registry, StageGame
from mesocosm.testing.check import Check, NotApplicable, Outcome, Rule, checks_of, run_checks
from mesocosm.testing.diffusion_rules import DIFFUSION_RULES
from mesocosm.testing.entry import ENTRY_RULES
from mesocosm.testing.game_flow import FLOW_RULES
from mesocosm.testing.game_functions import FUNCTION_RULES
from mesocosm.testing.game_subject import GameSubject, game_subject
from mesocosm.testing.game_table import TABLE_RULES

__all__ = ["GAME_RULES", "GameSubject", "check_game", "game_checks"]

GAME_RULES: tuple[Rule[Any], ...] = (*ENTRY_RULES, *TABLE_RULES, *FUNCTION_RULES, *FLOW_RULES)
"""What a game with a table of transitions must do."""

DIFFUSION_GAME_RULES: tuple[Rule[Any], ...] = (*ENTRY_RULES, *DIFFUSION_RULES)
"""What a diffusion game must do."""


def _rules_for(subject: GameSubject) -> tuple[Rule[Any], ...]:
    """The rules for a kind of game; those about tables where none can be made, which the kit then says."""
    try:
        game: Game = subject.game()
    except NotApplicable:
        return GAME_RULES
    if isinstance(game, DiffusionGame):
        return DIFFUSION_GAME_RULES
    return ENTRY_RULES if isinstance(game, (StageGame, DiscreteTimeGame)) else GAME_RULES


def game_checks(
    name: str,
    *,
    options: Mapping[str, Any] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> list[Check]:
    """The checks of one game.

    Parameters
    ----------
    name, options: as a scenario has them: its `kind`, and what stands beside it.
    expected_failures: name of a check -> why it is known to fail. It must fail then.
    registry: where the game is found; all installed plugins where it is left out.

    Raises `InputError` for a name or an option that is not there, and for an expected failure without a reason.
    """
    subject = game_subject(name, options, registry)
    return checks_of(_rules_for(subject), subject, expected_failures)


def check_game(
    name: str,
    *,
    options: Mapping[str, Any] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> list[Outcome]:
    """Run the checks of `game_checks`, and return how each ended. Raises one `ConformanceError` with every fault."""
    return run_checks(game_checks(name, options=options, expected_failures=expected_failures, registry=registry))
