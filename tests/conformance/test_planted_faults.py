"""Faults as authors really make them: the kit finds each, whichever of its rules does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
import reference_dynamics as reference

from mesocosm import Component, Interval, Registry, hookimpl
from mesocosm.testing import dynamics_checks
from mesocosm.testing.check import outcome_of


class FivePercentFaster(reference.Reference):
    """beta is 5 % too large."""

    def rates(self, infect: Any, recover: Any, interval: Interval) -> tuple[Any, Any]:
        infect, recover = super().rates(infect, recover, interval)
        return infect * 1.05, recover


class FivePercentSlower(reference.Reference):
    """gamma is 5 % too small."""

    def rates(self, infect: Any, recover: Any, interval: Interval) -> tuple[Any, Any]:
        infect, recover = super().rates(infect, recover, interval)
        return infect, recover * 0.95


class OneStream(reference.Reference):
    """All replicates and intervals take their numbers from the start of one stream."""

    def noise(self, state: Any, interval: Interval, replicate: int) -> np.random.Generator:
        generator: np.random.Generator = self.context.streams.generator("jumps")
        return generator


class FixedSeed(reference.Reference):
    """A seed in the code."""

    def noise(self, state: Any, interval: Interval, replicate: int) -> np.random.Generator:
        return np.random.default_rng(1000 * interval.index + replicate)


class LosesTheLastAgent(reference.Reference):
    """Counts stop one agent early."""

    def observe(self, state: Any) -> dict[str, Any]:
        return super().observe(reference.Agents(state.states[:, :-1], state.done))  # type: ignore[no-any-return]


class StatesFirst(reference.Reference):
    """The axes of occupancy are swapped, which fits where there are as many replicates as states."""

    def observe(self, state: Any) -> dict[str, Any]:
        return {"occupancy": np.ascontiguousarray(super().observe(state)["occupancy"].T)}


class AlphabeticalStates(reference.Reference):
    """States are counted in the order of the alphabet."""

    def observe(self, state: Any) -> dict[str, Any]:
        return {"occupancy": super().observe(state)["occupancy"][:, [1, 2, 0]]}


class CacheBySize(reference.Reference):
    """The contacts are kept by the number of agents."""

    kept: ClassVar[dict[int, Any]] = {}

    def wiring(self) -> Any:
        return self.kept.setdefault(self.problem.graph.node_count, super().wiring())


class LeaksTensors(reference.Reference):
    """Every state is kept as a tensor."""

    kept: ClassVar[list[Any]] = []

    def advance(self, state: Any, interval: Interval) -> Any:
        import torch

        self.kept.append(torch.from_numpy(state.states.copy()))
        return super().advance(state, interval)


FAULTS = {
    FivePercentFaster: "two_nodes_have_the_exact_law",
    FivePercentSlower: "two_nodes_have_the_exact_law",
    OneStream: "replicates_are_independent",
    FixedSeed: "other_labels_other_noise",
    LosesTheLastAgent: "agents_are_whole",
    StatesFirst: "observes_occupancy",
    AlphabeticalStates: "starts_at_the_initial_shares",
    CacheBySize: "keeps_no_stale_cache",
    LeaksTensors: "frees_device_memory",
}


@pytest.mark.parametrize("cls", FAULTS, ids=[cls.__name__ for cls in FAULTS])
def test_a_planted_fault_is_found(cls: Any) -> None:
    """Catches a kit that lets a usual fault through, and one whose rule for it names something else."""

    class Plugin:
        @hookimpl
        def mesocosm_components(self) -> Iterator[Component]:
            yield Component(
                "dynamics", "planted", "reference_dynamics:Planted", "reference_dynamics:ReferenceOptions", ""
            )

    reference.Planted = cls
    registry = Registry()
    registry.add(Plugin(), "conformance", "conformance-tests", "1.0")
    checks = dynamics_checks("planted", registry=registry)
    (check,) = [check for check in checks if check.name == FAULTS[cls]]
    assert outcome_of(check).status == "failed"
