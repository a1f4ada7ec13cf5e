"""Agents of a game in discrete time: everyone draws an action, pays, and draws its next state, once in every save interval.

The mean field is the empirical joint distribution of states and actions of all agents, oneself included:

    L[s, a] = share of agents in s that chose a
    agent i pays c(t, L)[s_i, a_i], and moves to s' with probability P(t, L)[s_i, a_i, s']

Agents draw independently. Actions at save number k come from the stream `actions` with interval k, moves to save k + 1 from
the stream `moves` with interval k, both with the number of the replicate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import DiscretePolicy, InputError, Interval, Labelled, PolicyFrom
from mesocosm_agents.arrays import FloatArray
from mesocosm_agents.dynamics import AgentBased

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Movers:
    """All agents at one save.

    Attributes
    ----------
    number: of the save. states, actions: of every agent, [replicate, N]; the actions are those of this save.
    cost: sum of costs so far, this save included, averaged over agents: [replicate].
    """

    number: int
    states: IntArray
    actions: IntArray
    cost: FloatArray


class DiscreteAgents(AgentBased):
    """Any game in discrete time, agent by agent; all meet the distribution of all, so the contact graph is complete.

    Observes `occupancy(replicate, state)` and `action_shares(replicate, action)`. At the end: `cost(replicate)`, the total
    cost per agent.
    """

    def check(self) -> None:
        options, graph = self.options, self.problem.graph
        for name in ("step", "engine", "redraw", "deviations", "record_places"):
            if name in options.changed:
                raise InputError(
                    f"{name} {getattr(options, name)}",
                    where=self._where(name),
                    rule="agents of a game in discrete time have none: leave it out",
                )
        if not graph.is_complete:
            raise InputError(
                f"a contact graph of {graph.node_count} nodes that is not complete",
                where="graph",
                rule="costs and transitions of a game in discrete time depend on the distribution of all agents, "
                "which they meet on a complete graph only",
                hint="use graph: {kind: complete}",
            )
        count = len(self.problem.discrete_game.states)
        if count > np.iinfo(np.int8).max:
            raise InputError(f"the game has {count} states", where="game", rule=f"at most {np.iinfo(np.int8).max}")
        if not isinstance(options.policy, PolicyFrom):
            self._policy  # noqa: B018  a policy that this game cannot play is found here

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        return {"occupancy": ("replicate", "state"), "action_shares": ("replicate", "action")}

    def coordinates(self) -> dict[str, Sequence[Any]]:
        game = self.problem.discrete_game
        return {"state": game.states, "action": game.actions}

    def init(self) -> Movers:
        return self._act(0, self.initial_agents(), np.zeros(self.replicates))

    def advance(self, state: Movers, interval: Interval) -> Movers:
        game, fields = self.problem.discrete_game, self._fields(state.states, state.actions)
        there = np.empty_like(state.states)
        for replicate, field in enumerate(fields):
            moves = np.broadcast_to(game.transition(interval.start, field), (*field.shape, len(game.states)))
            random = self.context.streams.generator("moves", interval=interval.index, replicate=replicate)
            chances = moves[state.states[replicate], state.actions[replicate]]
            there[replicate] = _draw(random, chances)
        return self._act(interval.index + 1, there, state.cost)

    def observe(self, state: Movers) -> dict[str, NDArray[Any]]:
        fields = self._fields(state.states, state.actions)
        return {"occupancy": fields.sum(axis=2), "action_shares": fields.sum(axis=1)}

    def summary(self, state: Movers) -> dict[str, float | Labelled]:
        return {"cost": Labelled(("replicate",), state.cost)}

    def pack(self, state: Movers) -> dict[str, NDArray[Any]]:
        return {name: np.array(getattr(state, name)) for name in ("number", "states", "actions", "cost")}

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> Movers:
        return Movers(int(arrays["number"]), arrays["states"], arrays["actions"], arrays["cost"])

    def _act(self, number: int, states: IntArray, cost: FloatArray) -> Movers:
        """Everyone draws an action at save `number`, and pays."""
        game, t = self.problem.discrete_game, float(self.problem.clock.times[number])
        actions = np.empty_like(states)
        for replicate, row in enumerate(states):
            random = self.context.streams.generator("actions", interval=number, replicate=replicate)
            actions[replicate] = _draw(random, self._policy[number][row])
        fields = self._fields(states, actions)
        paid = [float((field * game.cost(t, field)).sum()) for field in fields]
        return Movers(number, states, actions, cost + np.array(paid))

    def _fields(self, states: IntArray, actions: IntArray) -> FloatArray:
        """The empirical joint distribution of state and action, [replicate, state, action]."""
        game = self.problem.discrete_game
        shape = (len(game.states), len(game.actions))
        pairs = states * shape[1] + actions
        counts = [np.bincount(row, minlength=shape[0] * shape[1]) for row in pairs]
        return np.asarray(np.stack(counts).reshape(-1, *shape) / states.shape[1], np.float64)

    @cached_property
    def _policy(self) -> FloatArray:
        """Probabilities of actions, [time, state, action]."""
        game, times, option = self.problem.discrete_game, self.problem.clock.times, self.options.policy
        policy = DiscretePolicy.uniform(game, times) if option == "none" else self.played(option)
        if not isinstance(policy, DiscretePolicy):
            raise InputError(
                f"a {type(policy).__name__}",
                where=self._where("policy"),
                rule="in discrete time a policy is a table of probabilities of actions",
            )
        return policy.on(game, times, where=self._where("policy"))

    def _where(self, option: str) -> str:
        return f"dynamics.{self.context.label}.{option}"


def _draw(random: np.random.Generator, chances: FloatArray) -> IntArray:
    """One outcome for each row of probabilities [N, outcome], [N]; outcomes of probability 0 are never drawn."""
    above = random.random(len(chances))
    result = np.zeros(len(chances), np.int64)
    reached = np.zeros(len(chances))
    last = np.zeros(len(chances), np.int64)
    for outcome in range(chances.shape[1]):
        reached += chances[:, outcome]
        last[chances[:, outcome] > 0.0] = outcome
        result += above >= reached
    return np.minimum(result, last)
