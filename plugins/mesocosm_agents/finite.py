"""Agents of a finite-state game: every agent on the contact graph, in synchronous time steps (see `engine` for the law)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import (
    InputError,
    Interval,
    Labelled,
    Policy,
)
from mesocosm_agents.arrays import FloatArray, IntArray, StateArray
from mesocosm_agents.contacts import GROUP, Graphs
from mesocosm_agents.deviation import Trials, check_deviations, measure, summarise, trial_count
from mesocosm_agents.dynamics import AgentBased
from mesocosm_agents.engine import Engine, Play, Stretch
from mesocosm_agents.finite_deviation import FiniteRerun
from mesocosm_agents.observation import group_occupancy, mean_control
from mesocosm_agents.selection import choose_engine
from mesocosm_agents.vectorised import respond

LARGEST_COMPLETE_MESA = 2000
"""Agents on a complete graph that the engine `mesa` takes: it writes out every pair."""

STEPS_PER_SAVE = 10
"""Steps in a save interval where the option `step` is left out."""


@dataclass(frozen=True, eq=False)
class Agents:
    """All agents at one time.

    Attributes
    ----------
    time: in the scenario's unit.
    held: the agents of all replicates, in the form of `engine`.
    cost: integral of the running cost so far, averaged over agents, shape [replicate].
    """

    time: float
    engine: Engine
    held: Any
    cost: FloatArray

    @property
    def states(self) -> StateArray:
        """State number of every agent, shape [replicate, N]; not to be changed."""
        return self.engine.unload(self.held)


class FiniteAgents(AgentBased):
    """Any finite-state game, agent by agent on the contact graph.

    Observes `occupancy(replicate, state)`; `control(replicate, state)`, the mean over the agents in a state, where the
    game has a control; `group_occupancy(replicate, group, state)` where nodes have the attribute `group`. At the end:
    `cost(replicate)`, running plus terminal cost per agent, and `final_size(replicate)`, the share that left `at_risk`.
    Where agents choose: `deviation_gain`, what one agent saves by its best response alone, `deviation_gain_error`, its
    standard error, and `deviations`, the number of agents that it was measured for (see `deviation`); without the option
    `deviations` they are left out for the policy none, and for more than 2e7 agents x replicates x steps.
    """

    def check(self) -> None:
        game = self.problem.finite_game
        self.check_policy(self.options.policy)
        if self.options.record_places:
            raise InputError(
                f"record_places {self.options.record_places}",
                where=f"dynamics.{self.context.label}.record_places",
                rule="agents of a game in finite states have no places: leave it out",
            )
        if len(game.states) > np.iinfo(np.int8).max:
            raise InputError(
                f"the game has {len(game.states)} states",
                where=f"dynamics.{self.context.label}",
                rule=f"at most {np.iinfo(np.int8).max}",
            )
        size = self.problem.graph.node_count
        where = f"dynamics.{self.context.label}.deviations"
        check_deviations(self.options.deviations, game, self.replicates, size, where)
        if self.options.engine == "mesa" and self.problem.graph.is_complete and size > LARGEST_COMPLETE_MESA:
            raise InputError(
                f"engine 'mesa' with {size} agents on a complete graph",
                where=f"dynamics.{self.context.label}.engine",
                rule=f"at most {LARGEST_COMPLETE_MESA}: it writes out every pair",
                hint="use engine: step, or a smaller population",
            )

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        names: dict[str, tuple[str, ...]] = {"occupancy": ("replicate", "state")}
        if self.problem.finite_game.control is not None:
            names["control"] = ("replicate", "state")
        if self._group_names:
            names["group_occupancy"] = ("replicate", "group", "state")
        return names

    def coordinates(self) -> dict[str, Sequence[Any]]:
        return {"group": self._group_names} if self._group_names else {}

    def init(self) -> Agents:
        rows = []
        for replicate in range(self.replicates):
            rows.append(self._play.graphs.initial_states(replicate, self.context.streams))
            if self.options.redraw:
                self.context.report("advance", 0.0, f"graph {replicate + 1} of {self.replicates}")
        return Agents(0.0, self._engine, self._engine.load(np.stack(rows)), np.zeros(self.replicates))

    def advance(self, state: Agents, interval: Interval) -> Agents:
        engine, held, cost = state.engine, state.engine.copy(state.held), state.cost
        numbers: IntArray = np.arange(self.replicates, dtype=np.int64)
        cost = cost + engine.advance(held, numbers, Stretch(interval.index, interval.start, interval.stop))
        end = self.problem.clock.end
        if int(100 * interval.stop / end) > int(100 * interval.start / end):
            self.context.report("advance", interval.stop / end, f"time {interval.stop:g}")
        return Agents(interval.stop, engine, held, cost)

    def observe(self, state: Agents) -> dict[str, NDArray[Any]]:
        result: dict[str, NDArray[Any]] = {"occupancy": state.engine.occupancy(state.held)}
        if self._play.game.control is not None:
            result["control"] = mean_control(self._play, state.time, state.states)
        if self._group_names:
            result["group_occupancy"] = group_occupancy(self._play, state.states, len(self._group_names))
        return result

    def summary(self, state: Agents) -> dict[str, float | Labelled]:
        game = self._play.game
        result: dict[str, float | Labelled] = {}
        if game.has_costs:
            result["cost"] = Labelled(("replicate",), state.cost + self._terminal_cost(state))
        if game.at_risk is not None:
            left = (state.states != game.state_index(game.at_risk)).mean(axis=1)
            result["final_size"] = Labelled(("replicate",), left)
        return result | self._deviations()

    def pack(self, state: Agents) -> dict[str, NDArray[Any]]:
        return {"time": np.array(state.time), "states": state.states, "cost": state.cost}

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> Agents:
        held = self._engine.load(arrays["states"])
        return Agents(float(arrays["time"]), self._engine, held, arrays["cost"])

    def _deviations(self) -> dict[str, float | Labelled]:
        """The gain from deviating, where it is measured."""
        options, clock, size = self.options, self.problem.clock, self.problem.graph.node_count
        work = size * self.replicates * clock.end / self._play.step
        count = trial_count(options.deviations, self._play.game, options.policy != "none", self.replicates, work)
        if not count:
            return {}
        self.context.report("advance", 1.0, f"{count} deviations")
        trials = Trials.draw(count, self.replicates, size, self.context.streams)
        return dict(summarise(measure(FiniteRerun(self.problem, self._play), trials)))

    def _terminal_cost(self, state: Agents) -> FloatArray:
        result = np.empty(self.replicates)
        for replicate, row in enumerate(state.states):
            contacts = self._play.graphs.contacts(replicate)
            _, field = respond(self._play, contacts, state.time, row[None])
            result[replicate] = np.mean(self._play.game.terminal_cost(row, field[0]))
        return result

    @cached_property
    def _group_names(self) -> tuple[str, ...]:
        return self.problem.graph.group_index(GROUP)[0] if GROUP in self.problem.graph.attributes else ()

    @cached_property
    def _policy(self) -> Policy:
        return self.played(self.options.policy)

    @cached_property
    def _play(self) -> Play:
        step = self.options.step or self.problem.clock.save_every / STEPS_PER_SAVE
        graphs = Graphs(self.problem, self._policy, self.options.redraw)
        return Play(self.problem.finite_game, self._policy, graphs, self.context.streams, step)

    @cached_property
    def _engine(self) -> Engine:
        return choose_engine(self._play, self.options, self.problem.device, self.problem.precision)
