"""Agents of a finite-state game: every agent on the contact graph, in synchronous time steps (see `engine` for the law)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mesocosm import Context, FiniteStateGame, InputError, Interval, Labelled, Policy, PolicyFrom, Problem, no_control
from mesocosm_agents.arrays import FloatArray, StateArray
from mesocosm_agents.compiling import announcing_compilation
from mesocosm_agents.contacts import GROUP
from mesocosm_agents.course import Cohort, Course, gather
from mesocosm_agents.deviation import Trials, check_deviations, measure, summarise, trial_count
from mesocosm_agents.dynamics import AgentBased
from mesocosm_agents.engine import Engine, Play, occupancy
from mesocosm_agents.exact import require_exact
from mesocosm_agents.finite_deviation import FiniteRerun
from mesocosm_agents.observation import group_occupancy, mean_control
from mesocosm_agents.options import AgentBasedOptions
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
    cohorts: the agents of all replicates.
    cost: integral of the running cost so far, averaged over agents, shape [replicate].
    fired: when each event fired, shape [replicate, event]; NaN where it has not.
    """

    time: float
    cohorts: tuple[Cohort, ...]
    cost: FloatArray
    fired: FloatArray

    @property
    def states(self) -> StateArray:
        """State number of every agent, shape [replicate, N]; not to be changed."""
        return gather(self.cohorts)


class FiniteAgents(AgentBased):
    """Any finite-state game, agent by agent on the contact graph.

    Observes `occupancy(replicate, state)`; `control(replicate, state)`, the mean over the agents in a state, where the
    game has a control; `group_occupancy(replicate, group, state)` where nodes have the attribute `group`. At the end:
    `cost(replicate)`, running plus terminal cost per agent, and `final_size(replicate)`, the share that left `at_risk`.
    Where agents choose: `deviation_gain`, what one agent saves by its best response alone, `deviation_gain_error`, its
    standard error, and `deviations`, the number of agents that it was measured for (see `deviation`); without the option
    `deviations` they are left out for the policy none, and for more than 2e7 agents x replicates x steps.
    """

    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda", "mps")
    expresses: ClassVar[frozenset[str]] = frozenset({"events", "changing_graph", "groups", "rewiring"})

    def __init__(self, problem: Problem, options: AgentBasedOptions, context: Context) -> None:
        super().__init__(problem, options, context)
        if options.engine in ("exact", "mesa") or self._rewires:
            self.devices = ("cpu",)  # type: ignore[misc]

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
        on_tensors = self.problem.device.kind in self.devices
        if on_tensors and self.problem.device.kind == "mps" and self.problem.precision == "float64":
            raise InputError("precision float64 on mps", where="precision", rule="mps computes in float32")
        size = self.problem.graph.node_count
        where = f"dynamics.{self.context.label}.deviations"
        check_deviations(self.options.deviations, game, self.replicates, size, where)
        if self.options.deviations and self._is_changing:
            raise InputError(
                f"deviations {self.options.deviations}",
                where=where,
                rule="they are measured where neither events nor the graph change what agents play",
                hint="leave deviations out",
            )
        if self.options.engine == "exact":
            policy = self.options.policy
            known = no_control(game) if isinstance(policy, PolicyFrom) else self.played(policy)
            require_exact(game, known, self.context.label)
        if game.rewiring is not None:
            self._check_rewiring(game)
        if self.options.redraw and self.problem.graph.changes is not None:
            raise InputError(
                "redraw with a contact graph that changes in time",
                where=f"dynamics.{self.context.label}.redraw",
                rule="such a graph is given, not drawn",
                hint="leave redraw out",
            )
        if self.options.engine == "mesa" and self.problem.graph.is_complete and size > LARGEST_COMPLETE_MESA:
            raise InputError(
                f"engine 'mesa' with {size} agents on a complete graph",
                where=f"dynamics.{self.context.label}.engine",
                rule=f"at most {LARGEST_COMPLETE_MESA}: it writes out every pair",
                hint="use engine: step, or a smaller population",
            )

    def _check_rewiring(self, game: FiniteStateGame) -> None:
        """Agents that rewire have links that count alike, which nothing else changes, and one engine."""
        graph, engine = self.problem.graph, self.options.engine
        faults = {
            "a complete graph": graph.is_complete,
            "a weighted graph": graph.weights is not None,
            "a graph that changes in time": graph.changes is not None,
            "events": bool(self.problem.events),
            f"engine '{engine}'": engine not in ("auto", "step"),
            "intensities that are general functions": any(item.intensity is not None for item in game.transitions),
        }
        for what, there in faults.items():
            if there:
                raise InputError(
                    f"agents that rewire their links, with {what}",
                    where=f"dynamics.{self.context.label}",
                    rule="links are simple and belong to the agents alone, and time goes in steps",
                    hint="leave one of the two out",
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
        # One array for all: a row for each replicate beside it would be as large again.
        states: StateArray = np.empty((self.replicates, self.problem.graph.node_count), np.int8)
        for replicate in range(self.replicates):
            states[replicate] = self._play.graphs.initial_states(replicate, self.context.streams)
            if self.options.redraw:
                self.context.report("advance", 0.0, f"graph {replicate + 1} of {self.replicates}")
        cohorts = self._course.begin(0.0, states, [()] * self.replicates)
        fired = np.full((self.replicates, len(self.problem.events.items)), np.nan)
        return Agents(0.0, cohorts, np.zeros(self.replicates), fired)

    def advance(self, state: Agents, interval: Interval) -> Agents:
        cohorts, fired = self._course.intervene(state.time, state.cohorts, state.fired)
        cost, end = state.cost.copy(), self.problem.clock.end
        for stretch, piece in self._course.stretches(interval):
            cohorts = tuple(self._course.move(cohort, piece) for cohort in cohorts)
            with announcing_compilation(partial(self.context.report, "advance", stretch.start / end)):
                for cohort in cohorts:
                    cost[cohort.numbers] += cohort.engine.advance(cohort.held, cohort.numbers, stretch)
        if int(100 * interval.stop / end) > int(100 * interval.start / end):
            self.context.report("advance", interval.stop / end, f"time {interval.stop:g}")
        return Agents(interval.stop, cohorts, cost, fired)

    def observe(self, state: Agents) -> dict[str, NDArray[Any]]:
        def of_all(measure: Callable[[Cohort], FloatArray]) -> FloatArray:
            parts = np.concatenate([measure(cohort) for cohort in state.cohorts])
            result = np.empty_like(parts)
            result[np.concatenate([cohort.numbers for cohort in state.cohorts])] = parts
            return result

        seen: dict[str, NDArray[Any]] = {"occupancy": of_all(lambda cohort: cohort.engine.occupancy(cohort.held))}
        if self._play.game.control is not None:
            seen["control"] = of_all(lambda cohort: mean_control(cohort, state.time))
        if self._group_names:
            seen["group_occupancy"] = of_all(lambda cohort: group_occupancy(cohort, len(self._group_names)))
        return seen

    def summary(self, state: Agents) -> dict[str, float | Labelled]:
        game = self._play.game
        result: dict[str, float | Labelled] = {}
        if game.has_costs:
            result["cost"] = Labelled(("replicate",), state.cost + self._terminal_cost(state))
        if game.at_risk is not None:
            at_risk = game.share_at_risk(occupancy(state.states, len(game.states)))
            result["final_size"] = Labelled(("replicate",), 1.0 - at_risk)
        return result | self.fired(state.fired) | self._deviations()

    def pack(self, state: Agents) -> dict[str, NDArray[Any]]:
        kept: dict[str, NDArray[Any]] = {"time": np.array(state.time), "cost": state.cost, "fired": state.fired}
        for cohort in state.cohorts:
            kept |= cohort.engine.pack(cohort.held)
        return {"states": state.states, **kept}

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> Agents:
        time, fired = float(arrays["time"]), arrays["fired"]
        histories = [self.problem.events.history(row) for row in fired]
        cohorts = tuple(
            replace(cohort, held=cohort.engine.unpack(cohort.held, arrays))
            for cohort in self._course.begin(time, arrays["states"], histories)
        )
        return Agents(time, cohorts, arrays["cost"], fired)

    def _deviations(self) -> dict[str, float | Labelled]:
        """The gain from deviating, where it is measured."""
        if self._is_changing:
            return {}
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
        for cohort in state.cohorts:
            play = cohort.engine.play
            for replicate, row in zip(cohort.numbers.tolist(), cohort.states(), strict=True):
                _, field = respond(play, play.graphs.contacts(replicate), state.time, row[None])
                result[replicate] = np.mean(play.game.terminal_cost(row, field[0]))
        return result

    @property
    def _rewires(self) -> bool:
        return self.problem.finite_game.rewiring is not None

    @property
    def _is_changing(self) -> bool:
        return bool(self.problem.events) or self.problem.graph.changes is not None or self._rewires

    @cached_property
    def _group_names(self) -> tuple[str, ...]:
        return self.problem.graph.group_index(GROUP)[0] if GROUP in self.problem.graph.attributes else ()

    @cached_property
    def _policy(self) -> Policy:
        return self.played(self.options.policy)

    @cached_property
    def _course(self) -> Course:
        options, problem = self.options, self.problem
        step = options.step or problem.clock.save_every / STEPS_PER_SAVE

        def choose(play: Play) -> Engine:
            return choose_engine(play, options, problem.device, problem.precision)

        return Course(problem, self._policy, self.context.streams, step, options.redraw, choose)

    @cached_property
    def _play(self) -> Play:
        """The game on the graph as they are without events; of a graph that changes, on its average."""
        return self._engine.play

    @cached_property
    def _engine(self) -> Engine:
        return self._course.engine((), -1)
