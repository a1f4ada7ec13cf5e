"""One broken dynamics for every rule of the kit about contacts, limits, restarts, devices, errors and policies."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from reference_dynamics import Agents, Reference, Wiring

from mesocosm import Interval, Policy, TabulatedPolicy, no_control


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
