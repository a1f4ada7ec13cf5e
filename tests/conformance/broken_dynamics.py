"""One broken dynamics for every rule of the kit about shapes, seeds, purity and invariants, each wrong in one way only."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from reference_dynamics import Agents, Reference, Wiring

from mesocosm import InputError, Interval, Labelled, Streams


class RefusesEverything(Reference):
    def check(self) -> None:
        raise InputError("no", where="check")


class CallsStatesOtherwise(Reference):
    def dimensions(self) -> dict[str, tuple[str, ...]]:
        return {"occupancy": ("replicate", "compartment")}

    def coordinates(self) -> dict[str, Sequence[Any]]:
        return {"compartment": ("S", "I", "R")}


class ForgetsLabels(Reference):
    def dimensions(self) -> dict[str, tuple[str, ...]]:
        return {"occupancy": ("replicate", "state"), "group_occupancy": ("replicate", "group", "state")}

    def observe(self, state: Agents) -> dict[str, Any]:
        seen = super().observe(state)["occupancy"]
        return {"occupancy": seen, "group_occupancy": np.stack([seen, seen], axis=1)}


class StartsWithOneTooMany(Reference):
    """The first of R starts in S."""

    def init(self) -> Agents:
        found = super().init()
        for row in found.states:
            row[np.flatnonzero(row == 2)[:1]] = 0
        return found


class RunsTwoAtLeast(Reference):
    @property
    def replicates(self) -> int:
        return max(2, int(self.options.replicates))


class CountsOnlyTheRecovered(Reference):
    def summary(self, state: Agents) -> dict[str, Any]:
        return {"final_size": Labelled(("replicate",), (state.states == 2).mean(axis=1))}


class ListensToGlobalState(Reference):
    """Its seed depends on the state of the global generator, from which it draws nothing."""

    def streams(self) -> Streams:
        return Streams(self.problem.seed + random.getstate()[1][1] % 1000, self.context.label)


class DrawsGlobally(Reference):
    def advance(self, state: Agents, interval: Interval) -> Agents:
        np.random.random()  # noqa: NPY002
        return super().advance(state, interval)


class SharesNoiseBetweenLabels(Reference):
    def streams(self) -> Streams:
        return self.context.streams.relabelled("mine")


class SharesNoiseBetweenReplicates(Reference):
    def noise(self, state: Agents, interval: Interval, replicate: int) -> np.random.Generator:
        return super().noise(state, interval, replicate // 2)


class SharesNoiseBetweenIntervals(Reference):
    """Where there are no contacts, every second interval repeats the noise of the one before."""

    def noise(self, state: Agents, interval: Interval, replicate: int) -> np.random.Generator:
        number = interval.index // 2 * 2 if not len(self.problem.graph.indices) else interval.index
        return self.streams().generator("jumps", interval=number, replicate=replicate)


class WritesOnTheGame(Reference):
    def advance(self, state: Agents, interval: Interval) -> Agents:
        vars(self.problem.game)["latest"] = interval.stop
        return super().advance(state, interval)


class ChangesItsState(Reference):
    def copied(self, state: Agents) -> Any:
        return state.states


class SharesItsClass(Reference):
    """The streams of whichever instance was started last."""

    latest: Streams

    def init(self) -> Agents:
        type(self).latest = self.context.streams
        return super().init()

    def noise(self, state: Agents, interval: Interval, replicate: int) -> np.random.Generator:
        return self.latest.generator("jumps", interval=interval.index, replicate=replicate)


class CachesTheGraph(Reference):
    """Keeps the contacts of a problem by its name."""

    kept: dict[tuple[str, int], Wiring] = {}  # noqa: RUF012

    def wiring(self) -> Wiring:
        return self.kept.setdefault((self.problem.name, self.problem.graph.node_count), super().wiring())


class NeverForgets(Reference):
    everyone: list[Any] = []  # noqa: RUF012

    def prepare(self) -> None:
        self.everyone.append(self)


class LosesMass(Reference):
    def observe(self, state: Agents) -> dict[str, Any]:
        return {"occupancy": super().observe(state)["occupancy"] * (1 - 1e-8)}


class SplitsAnAgent(Reference):
    """Once somebody has recovered, a hundredth of an infected agent counts as recovered."""

    def observe(self, state: Agents) -> dict[str, Any]:
        seen = super().observe(state)["occupancy"]
        start = round(self.problem.population.shares[2] * self.problem.population.size) / self.problem.population.size
        part = 0.01 / state.states.shape[1] * ((seen[:, 1] > 0) & (seen[:, 2] > start + 1e-9))
        return {"occupancy": seen + np.stack([0 * part, -part, part], axis=-1)}


class Resurrects(Reference):
    """At the third save of fewer than 100 agents, the recovered ones of the first replicate count as susceptible."""

    def observe(self, state: Agents) -> dict[str, Any]:
        seen = super().observe(state)["occupancy"]
        problem = self.problem
        plain = len(problem.graph.indices) > 0 and problem.finite_game.control is None
        moving = problem.finite_game.transitions[1].rate > 0
        small = state.states.shape[1] < 100
        if state.done == 2 and small and plain and moving and seen[0, 2] > problem.population.shares[2]:
            seen[0] += np.array([1, 0, -1]) * seen[0, 2]
        return {"occupancy": seen}


BROKEN: dict[str, type[Reference]] = {
    "runs_a_game": RefusesEverything,
    "observes_occupancy": CallsStatesOtherwise,
    "names_every_dimension": ForgetsLabels,
    "starts_at_the_initial_shares": StartsWithOneTooMany,
    "has_the_replicates_that_are_asked_for": RunsTwoAtLeast,
    "sums_up_what_it_ran": CountsOnlyTheRecovered,
    "same_seed_same_bytes": ListensToGlobalState,
    "leaves_global_generators_alone": DrawsGlobally,
    "other_labels_other_noise": SharesNoiseBetweenLabels,
    "replicates_are_independent": SharesNoiseBetweenReplicates,
    "intervals_are_independent": SharesNoiseBetweenIntervals,
    "leaves_the_problem_unchanged": WritesOnTheGame,
    "leaves_the_state_unchanged": ChangesItsState,
    "instances_do_not_disturb_each_other": SharesItsClass,
    "keeps_no_stale_cache": CachesTheGraph,
    "frees_its_memory": NeverForgets,
    "conserves_mass": LosesMass,
    "agents_are_whole": SplitsAnAgent,
    "absorbing_states_absorb": Resurrects,
}
