"""The conformance kit: whether a dynamics, a game, a builder of contact graphs or a strategy of vaccination does what a
scenario may expect of it.

    from mesocosm.testing import dynamics_checks, parametrize_with_checks

    @parametrize_with_checks(dynamics_checks("gillespie"))
    def test_conformance(check):
        check()

`dynamics_checks`, `game_checks`, `graph_checks` and `strategy_checks` give the checks of one component; `check_dynamics`
and so on run them, and raise one `ConformanceError` with every fault. A rule that says nothing about a component ends as not
applicable, with its reason. pytest is needed for `parametrize_with_checks` only.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mesocosm.testing.check import Check as Check
    from mesocosm.testing.check import ConformanceError as ConformanceError
    from mesocosm.testing.check import NotApplicable as NotApplicable
    from mesocosm.testing.check import Outcome as Outcome
    from mesocosm.testing.check import parametrize_with_checks as parametrize_with_checks
    from mesocosm.testing.check import run_checks as run_checks
    from mesocosm.testing.dynamics_kit import check_dynamics as check_dynamics
    from mesocosm.testing.dynamics_kit import dynamics_checks as dynamics_checks
    from mesocosm.testing.games import check_game as check_game
    from mesocosm.testing.games import game_checks as game_checks
    from mesocosm.testing.graphs import check_graph as check_graph
    from mesocosm.testing.graphs import graph_checks as graph_checks
    from mesocosm.testing.strategies import check_strategy as check_strategy
    from mesocosm.testing.strategies import strategy_checks as strategy_checks

_HOME = {
    "check": ("Check", "ConformanceError", "NotApplicable", "Outcome", "parametrize_with_checks", "run_checks"),
    "dynamics_kit": ("check_dynamics", "dynamics_checks"),
    "games": ("check_game", "game_checks"),
    "graphs": ("check_graph", "graph_checks"),
    "strategies": ("check_strategy", "strategy_checks"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_MODULE_OF)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'mesocosm.testing' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"mesocosm.testing.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
