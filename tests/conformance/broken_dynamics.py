"""One broken dynamics for every rule of the kit, each wrong in one way only. `BROKEN` maps the rule to the class."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from reference_dynamics import Agents, Reference, Wiring

from mesocosm import InputError, Interval, Labelled, Policy, Streams, TabulatedPolicy, no_control


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


class InfectsHermits(Reference):
    """Where there are no contacts, one susceptible agent is infected in every interval."""

    def advance(self, state: Agents, interval: Interval) -> Agents:
        found = super().advance(state, interval)
        if not len(self.problem.graph.indices) and not self.problem.graph.is_complete:
            for row in found.states:
                row[np.flatnonzero(row == 0)[:1]] = 1
        return found


class SpillsOver(Reference):
    """On a graph in which all have two contacts, the last contact of a node also counts for the next node."""

    def wiring(self) -> Wiring:
        graph = self.problem.graph
        if graph.is_complete or not (graph.degrees == 2).all():
            return super().wiring()
        rows = graph.indices.reshape(-1, 2)
        wide = np.concatenate([rows, np.arange(-1, len(rows) - 1)[:, None]], axis=1)
        return Wiring(False, np.arange(len(rows) + 1) * 3, wide.ravel() % len(rows), np.ones(wide.size))


class LooksUpward(Reference):
    """A node with more than eight contacts feels only those with a lower number."""

    def wiring(self) -> Wiring:
        found = super().wiring()
        rows = np.repeat(np.arange(len(found.indptr) - 1), np.diff(found.indptr))
        deaf = (np.diff(found.indptr)[rows] > 8) & (found.indices > rows)
        return Wiring(found.complete, found.indptr, found.indices, np.where(deaf, 0.0, found.weights))


class WeighsALittleLess(Reference):
    """Weights count for 5 % less than they should."""

    def wiring(self) -> Wiring:
        found = super().wiring()
        scale = 0.95 if self.problem.graph.weights is not None else 1.0
        return Wiring(found.complete, found.indptr, found.indices, scale * found.weights)


class RecoversAnyway(Reference):
    def rates(self, infect: Any, recover: Any, interval: Interval) -> tuple[Any, Any]:
        infect, recover = super().rates(infect, recover, interval)
        return infect, np.maximum(recover, 0.02)


class InfectsMoreAlongContacts(Reference):
    """5 % too much, on a sparse graph."""

    def rates(self, infect: Any, recover: Any, interval: Interval) -> tuple[Any, Any]:
        infect, recover = super().rates(infect, recover, interval)
        return infect * (1.0 if self.problem.graph.is_complete else 1.05), recover


class MixesMore(Reference):
    """5 % too much, on the complete graph."""

    def rates(self, infect: Any, recover: Any, interval: Interval) -> tuple[Any, Any]:
        infect, recover = super().rates(infect, recover, interval)
        return infect * (1.05 if self.problem.graph.is_complete else 1.0), recover


class WorseWithShortSteps(Reference):
    """Steps of a tenth count for 8 % more than they are."""

    def step_length(self, length: float, interval: Interval) -> float:
        return length * 1.08 if 0.05 < length < 0.15 else length


class LongAfterTheStart(Reference):
    """Where all have four contacts, an interval that does not start at 0 counts for 10 % more than it is."""

    def step_length(self, length: float, interval: Interval) -> float:
        graph = self.problem.graph
        long = not graph.is_complete and (graph.degrees == 4).all() and interval.start > 0
        return length * (1.1 if long else 1.0)


class RemembersItsStart(Reference):
    """An instance that did not make the first state itself has other noise, unless it unpacked one."""

    started = False

    def init(self) -> Agents:
        self.started = True
        return super().init()

    def unpack(self, arrays: Any) -> Agents:
        self.started = True
        return super().unpack(arrays)

    def noise(self, state: Agents, interval: Interval, replicate: int) -> np.random.Generator:
        purpose = "jumps" if self.started else "late"
        return self.streams().generator(purpose, interval=interval.index, replicate=replicate)


class PacksTooLittle(Reference):
    def unpack(self, arrays: Any) -> Agents:
        return Agents(arrays["states"], 0)

    def noise(self, state: Agents, interval: Interval, replicate: int) -> np.random.Generator:
        return self.streams().generator("jumps", interval=state.done, replicate=replicate)


class NamesAnUnknownDevice(Reference):
    devices = ("cpu", "tpu")


class ObservesALentTensor(Reference):
    """What it observes is a tensor."""

    def observe(self, state: Agents) -> dict[str, Any]:
        return {"occupancy": torch.from_numpy(super().observe(state)["occupancy"])}


class KeepsTensors(Reference):
    everything: list[torch.Tensor] = []  # noqa: RUF012

    def prepare(self) -> None:
        self.everything.append(torch.zeros(16))


class DiffersOnADevice(Reference):
    """15 % slower on another device than the CPU."""

    devices = ("cpu", "mps")

    def rates(self, infect: Any, recover: Any, interval: Interval) -> tuple[Any, Any]:
        infect, recover = super().rates(infect, recover, interval)
        scale = 1.0 if self.problem.device.kind == "cpu" else 0.85
        return infect * scale, recover * scale


class TakesNaNForZero(Reference):
    def rates(self, infect: Any, recover: Any, interval: Interval) -> tuple[Any, Any]:
        return super().rates(np.nan_to_num(infect), np.nan_to_num(recover), interval)


class TakesNegativeForZero(Reference):
    def rates(self, infect: Any, recover: Any, interval: Interval) -> tuple[Any, Any]:
        return super().rates(np.maximum(infect, 0), np.maximum(recover, 0), interval)


class RefusesWithAValueError(Reference):
    def check(self) -> None:
        if self.problem.clock.save_every == 0.75:
            raise ValueError("uneven")
        super().check()


class IgnoresAConstant(Reference):
    def played(self) -> Policy:
        found = super().played()
        return found if isinstance(found, TabulatedPolicy) else no_control(self.problem.finite_game)


class AsksThePolicyOnce(Reference):
    def policy_times(self, times: Any) -> Any:
        return np.zeros_like(times)


class OffersTooMuch(Reference):
    def policy(self) -> Policy:
        mixing = self.problem.graph.mixing("homogeneous")
        return TabulatedPolicy.of(np.array([0.0, 6.0]), np.full((2, 1, 3), 1.5), mixing)


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
    "without_contacts_nothing_spreads": InfectsHermits,
    "components_do_not_interact": SpillsOver,
    "relabelled_nodes_change_nothing": LooksUpward,
    "weights_scale_contacts": WeighsALittleLess,
    "zero_rates_change_nothing": RecoversAnyway,
    "two_nodes_have_the_exact_law": InfectsMoreAlongContacts,
    "complete_graph_has_the_mean_field": MixesMore,
    "halving_the_step_converges": WorseWithShortSteps,
    "intervals_add_up": LongAfterTheStart,
    "the_state_is_all_there_is": RemembersItsStart,
    "stops_restores_and_goes_on": PacksTooLittle,
    "names_devices_that_exist": NamesAnUnknownDevice,
    "observes_on_the_host": ObservesALentTensor,
    "frees_device_memory": KeepsTensors,
    "every_device_gives_the_same": DiffersOnADevice,
    "stops_at_a_rate_that_is_not_a_number": TakesNaNForZero,
    "stops_at_a_negative_rate": TakesNegativeForZero,
    "refuses_with_an_input_error": RefusesWithAValueError,
    "plays_a_constant_control": IgnoresAConstant,
    "plays_the_policy_of_another": AsksThePolicyOnce,
    "offers_a_policy_that_can_be_played": OffersTooMuch,
}
