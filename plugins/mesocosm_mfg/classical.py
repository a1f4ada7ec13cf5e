"""`classical_mfg`: a game in its mean field, with the solver that its kind of game asks for."""

from __future__ import annotations

from typing import Any, ClassVar

from mesocosm import Context, DiffusionGame, DiscreteTimeGame, Dynamics, Problem, StageGame
from mesocosm_mfg.options import ClassicalMFGOptions


class ClassicalMFG(Dynamics):
    """The mean field of a game and, where agents choose, its equilibrium. Makes an instance of the subclass for the game.

    Finite states: ordinary differential equations, `finite.py`. Diffusions: finite differences, `diffusion.py`.
    Stage games: one equation for the action, `stage.py`. Discrete time: `discrete.py`.
    """

    stochastic: ClassVar[bool] = False
    follows: ClassVar[str] = "closure"
    options: ClassicalMFGOptions

    def __new__(cls, problem: Problem, options: ClassicalMFGOptions, context: Context) -> ClassicalMFG:
        return super().__new__(solver_for(problem.game) if cls is ClassicalMFG else cls)


def solver_for(game: Any) -> type[ClassicalMFG]:
    """The class that solves games of this kind."""
    if isinstance(game, DiffusionGame):
        from mesocosm_mfg.diffusion import DiffusionMFG

        return DiffusionMFG
    if isinstance(game, DiscreteTimeGame):
        from mesocosm_mfg.discrete import DiscreteMFG

        return DiscreteMFG
    if isinstance(game, StageGame):
        from mesocosm_mfg.stage import StageMFG

        return StageMFG
    from mesocosm_mfg.finite import FiniteMFG

    return FiniteMFG
