"""Agents of a diffusion game: every agent on the contact graph, in Euler-Maruyama steps (see `euler`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import DiffusionGame, InputError, Interval, Labelled, Marginals, Policy, PolicyFrom, choose_policy
from mesocosm_agents.contacts import Graphs
from mesocosm_agents.deviation import Trials, check_deviations, measure, summarise, trial_count
from mesocosm_agents.dynamics import AgentBased
from mesocosm_agents.euler import Crowd, Walk, passage_of, signals_of, total_costs
from mesocosm_agents.finite import STEPS_PER_SAVE


class DiffusionAgents(AgentBased):
    """Any diffusion game, agent by agent on the contact graph.

    Observes what `mesocosm.Marginals` names and, with `record_places`, `place(replicate, agent, axis)`. At the end:
    `cost(replicate)`, running plus terminal or exit cost per agent; and the scalars of the game, one for each replicate, from
    the passage of its agents through the absorbing sides. Where agents choose: `deviation_gain`, what one agent saves by its
    best response alone, `deviation_gain_error`, its standard error, and `deviations`, the number of agents that it was
    measured for (see `deviation`); without the option `deviations` they are left out for the policy none, and for more than
    2e7 agents x replicates x steps.
    """

    def check(self) -> None:
        game, where = self.problem.diffusion_game, f"dynamics.{self.context.label}"
        self.check_policy(self.options.policy)
        size = self.problem.graph.node_count
        check_deviations(self.options.deviations, game, self.replicates, size, f"{where}.deviations")
        if self.options.engine not in ("auto", "step"):
            raise InputError(
                f"engine '{self.options.engine}' for a diffusion game",
                where=f"{where}.engine",
                rule="engine: step, which computes arrays of places",
                hint="leave engine out",
            )
        if game.interaction == "density" and not game.bandwidth > 0:
            raise InputError(
                f"a density of width {game.bandwidth:g} for agents",
                where=f"game {type(game).__name__}",
                rule="finitely many agents have a density only over a positive width",
                hint="set the game's bandwidth",
            )

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        places = {"place": ("replicate", "agent", "axis")} if self._recorded else {}
        return self._marginals.dimensions | places

    def coordinates(self) -> dict[str, Sequence[Any]]:
        agents = {"agent": range(self._recorded)} if self._recorded else {}
        return {**self._marginals.coordinates, **agents}

    def init(self) -> Crowd:
        return self.walk.begin(np.arange(self.replicates), self.problem.graph.node_count)

    def advance(self, state: Crowd, interval: Interval) -> Crowd:
        result = self.walk.advance(state, interval)
        end = self.problem.clock.end
        if int(100 * interval.stop / end) > int(100 * interval.start / end):
            self.context.report("advance", interval.stop / end, f"time {interval.stop:g}")
        return result

    def observe(self, state: Crowd) -> dict[str, NDArray[Any]]:
        found = dict(self._marginals.of_agents(state.places, state.inside))
        return found | ({"place": state.places[:, : self._recorded]} if self._recorded else {})

    def summary(self, state: Crowd) -> dict[str, float | Labelled]:
        game = self._game
        passages = [passage_of(left_at, state.time) for left_at in state.left_at]
        signals = [signals_of(game, passage) for passage in passages]
        rows = [game.scalars(passage, found) for passage, found in zip(passages, signals, strict=True)]
        result: dict[str, float | Labelled] = {
            name: Labelled(("replicate",), np.array([row[name] for row in rows], np.float64)) for name in rows[0]
        }
        if game.has_costs:
            alone = [state.of(np.array([number])) for number in range(self.replicates)]
            paid = [total_costs(self.walk, number, crowd).mean() for number, crowd in enumerate(alone)]
            result["cost"] = Labelled(("replicate",), np.array(paid))
        return result | self._deviations()

    def pack(self, state: Crowd) -> dict[str, NDArray[Any]]:
        return {
            "time": np.array(state.time),
            "places": state.places,
            "left_at": state.left_at,
            "paid": state.paid,
        }

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> Crowd:
        return Crowd(float(arrays["time"]), arrays["places"], arrays["left_at"], arrays["paid"])

    def _deviations(self) -> dict[str, float | Labelled]:
        """The gain from deviating, where it is measured."""
        options, clock, size = self.options, self.problem.clock, self.problem.graph.node_count
        work = size * self.replicates * clock.end / self.walk.step
        count = trial_count(options.deviations, self._game, options.policy != "none", self.replicates, work)
        if not count:
            return {}
        from mesocosm_agents.diffusion_deviation import DiffusionRerun

        self.context.report("advance", 1.0, f"{count} deviations")
        trials = Trials.draw(count, self.replicates, size, self.context.streams)
        return dict(summarise(measure(DiffusionRerun(self.problem, self.walk), trials)))

    @property
    def _recorded(self) -> int:
        """How many agents are recorded, the first ones."""
        return min(self.options.record_places, self.problem.graph.node_count)

    @cached_property
    def _marginals(self) -> Marginals:
        return Marginals(self.problem.diffusion_game)

    @cached_property
    def _game(self) -> DiffusionGame:
        """The game as this population plays it."""
        game, graph = self.problem.diffusion_game, self.problem.graph
        return game.for_population(graph.node_count) if graph.is_complete else game

    @cached_property
    def _policy(self) -> Policy:
        option, problem = self.options.policy, self.problem
        if isinstance(option, PolicyFrom):
            return self.played(option)
        return choose_policy(option, self._game, problem.graph.node_count, problem.clock.end)

    @cached_property
    def walk(self) -> Walk:
        """What advances the agents."""
        step = self.options.step or self.problem.clock.save_every / STEPS_PER_SAVE
        graphs = Graphs(self.problem, self._policy, self.options.redraw)
        return Walk(self._game, self._policy, graphs, self.context.streams, step)
