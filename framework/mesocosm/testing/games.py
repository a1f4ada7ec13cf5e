"""Conformance of a game.

    from mesocosm.testing import check_game, game_checks, parametrize_with_checks

    check_game("sir", options={"beta": 0.3, "gamma": 0.1})

    @parametrize_with_checks(game_checks("sir", options={"beta": 0.3, "gamma": 0.1}))
    def test_conformance(check):
        check()

The rules about tables do not apply to a game without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mesocosm import Registry
from mesocosm.testing.check import Check, Outcome, Rule, checks_of, run_checks
from mesocosm.testing.entry import ENTRY_RULES
from mesocosm.testing.game_flow import FLOW_RULES
from mesocosm.testing.game_functions import FUNCTION_RULES
from mesocosm.testing.game_subject import GameSubject, game_subject
from mesocosm.testing.game_table import TABLE_RULES

__all__ = ["GAME_RULES", "GameSubject", "check_game", "game_checks"]

GAME_RULES: tuple[Rule[Any], ...] = (*ENTRY_RULES, *TABLE_RULES, *FUNCTION_RULES, *FLOW_RULES)
"""What every game must do."""


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
    return checks_of(GAME_RULES, game_subject(name, options, registry), expected_failures)


def check_game(
    name: str,
    *,
    options: Mapping[str, Any] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> list[Outcome]:
    """Run the checks of `game_checks`, and return how each ended. Raises one `ConformanceError` with every fault."""
    return run_checks(game_checks(name, options=options, expected_failures=expected_failures, registry=registry))
