"""`agent_based`: every agent on the contact graph, with the engine that its kind of game asks for."""

from __future__ import annotations

from typing import Any

from mesocosm import Context, DiffusionGame, DiscreteTimeGame, Dynamics, Policy, Problem, StageGame
from mesocosm_agents.options import AgentBasedOptions


class AgentBased(Dynamics):
    """Any game, agent by agent on the contact graph. Makes an instance of the subclass for the game.

    Finite states: jumps in synchronous steps, `finite.py`. Diffusions: Euler-Maruyama, `diffusion.py`. Stage games: one
    round in every save interval, `stage.py`. Discrete time: one step in every save interval, `discrete.py`.
    """

    options: AgentBasedOptions

    def __new__(cls, problem: Problem, options: AgentBasedOptions, context: Context) -> AgentBased:
        return super().__new__(agents_for(problem.game) if cls is AgentBased else cls)

    @property
    def replicates(self) -> int:
        return self.options.replicates

    def plays(self) -> Policy | None:
        return self.played(self.options.policy)


def agents_for(game: Any) -> type[AgentBased]:
    """The class that simulates games of this kind."""
    if isinstance(game, DiffusionGame):
        from mesocosm_agents.diffusion import DiffusionAgents

        return DiffusionAgents
    if isinstance(game, DiscreteTimeGame):
        from mesocosm_agents.discrete import DiscreteAgents

        return DiscreteAgents
    if isinstance(game, StageGame):
        from mesocosm_agents.stage import StageAgents

        return StageAgents
    from mesocosm_agents.finite import FiniteAgents

    return FiniteAgents
