"""Every rule for dynamics finds the dynamics that breaks it, and no other rule does."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import broken_dynamics as broken
import broken_laws as laws
import pytest
import reference_dynamics as reference

from mesocosm import Component, Device, DeviceError, Registry, hookimpl
from mesocosm.testing import Check, check_dynamics, dynamics_checks, entry
from mesocosm.testing.check import outcome_of
from mesocosm.testing.dynamics_kit import DYNAMICS_RULES

BROKEN: dict[str, type] = {**broken.BROKEN, **laws.BROKEN}
OWN = [item.name for item in DYNAMICS_RULES if item not in entry.ENTRY_RULES]


def registry_of(cls: type) -> Registry:
    """A registry with one dynamics, `subject`."""

    class Plugin:
        @hookimpl
        def mesocosm_components(self) -> Iterator[Component]:
            yield Component(
                kind="dynamics",
                name="subject",
                factory=f"{cls.__module__}:{cls.__qualname__}",
                options="reference_dynamics:ReferenceOptions",
                summary="for tests",
            )

    registry = Registry()
    registry.add(Plugin(), "conformance", "conformance-tests", "1.0")
    return registry


@pytest.fixture
def another_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has mps, for dynamics that compute on the CPU whatever they are told."""

    def resolve(requested: str) -> Device:
        if requested not in ("cpu", "mps"):
            raise DeviceError(f"no {requested}")
        return Device(requested, requested)

    monkeypatch.setattr("mesocosm.testing.device_rules.resolve_device", resolve)


def failing(cls: type, leave_out: Callable[[Check], bool]) -> dict[str, str]:
    """The checks that a dynamics fails, and what they say."""
    checks = dynamics_checks("subject", registry=registry_of(cls))
    outcomes = [outcome_of(check) for check in checks if not leave_out(check)]
    return {outcome.check.name: outcome.message for outcome in outcomes if outcome.status == "failed"}


def test_a_dynamics_that_is_right_passes(another_device: None) -> None:
    """Catches a rule that finds fault with what is right, and rules that say nothing about an ordinary dynamics."""
    outcomes = check_dynamics("subject", registry=registry_of(reference.Reference))
    silent = {outcome.check.name for outcome in outcomes if outcome.status == "not applicable"}
    assert silent == {
        "registers_lightly",
        "options_stay_light",
        "loads_with_only_what_it_declares",
        "every_device_gives_the_same",
        "offers_a_policy_that_can_be_played",
    }


def test_every_rule_has_a_broken_dynamics() -> None:
    """Catches a rule that nobody has seen fail."""
    assert set(BROKEN) == set(OWN)


@pytest.mark.parametrize("rule", sorted(BROKEN))
def test_a_broken_dynamics_fails_its_rule_and_no_other(rule: str, another_device: None) -> None:
    """Catches a rule that overlooks its fault, and one that is not about what it says. Of the statistical rules, which draw
    large samples, only its own is tried here."""
    found = failing(BROKEN[rule], lambda check: bool(check.detects) and check.name != rule)
    assert set(found) == {rule}, found


@pytest.mark.slow
@pytest.mark.parametrize("rule", sorted(BROKEN))
def test_a_broken_dynamics_passes_the_statistical_rules_of_others(rule: str, another_device: None) -> None:
    """The same for the other statistical rules."""
    assert failing(BROKEN[rule], lambda check: not check.detects or check.name == rule) == {}


def test_statistical_rules_say_what_they_detect() -> None:
    """Catches a statistical rule without the smallest fault that it finds."""
    statistical = {item.name for item in DYNAMICS_RULES if item.detects}
    assert statistical == {
        "replicates_are_independent",
        "intervals_are_independent",
        "relabelled_nodes_change_nothing",
        "weights_scale_contacts",
        "two_nodes_have_the_exact_law",
        "complete_graph_has_the_mean_field",
        "halving_the_step_converges",
        "intervals_add_up",
        "every_device_gives_the_same",
    }


POWER = 2.33
"""Standard errors beyond the limit at which a fault is found with probability 0.99."""


class RecoversMore(reference.Reference):  # type: ignore[name-defined,misc]
    """5 % too fast."""

    def rates(self, infect: Any, recover: Any, interval: Any) -> Any:
        infect, recover = super().rates(infect, recover, interval)
        return infect, recover * 1.05


class NeighboursShareAThird(reference.Reference):  # type: ignore[name-defined,misc]
    """Every third replicate has the noise of the one before."""

    def noise(self, state: Any, interval: Any, replicate: int) -> Any:
        return super().noise(state, interval, replicate - (replicate % 3 == 1))


class HubsHearLess(laws.LooksUpward):  # type: ignore[name-defined,misc]
    """A node with more than eight contacts feels those with a higher number by half: 0.11 of the attack rate."""

    def wiring(self) -> Any:
        lower, found = super().wiring(), reference.Reference.wiring(self)
        return reference.Wiring(found.complete, found.indptr, found.indices, (found.weights + lower.weights) / 2)


class StepsOfATenthAreLong(reference.Reference):  # type: ignore[name-defined,misc]
    """Steps of a tenth count for 9 % more than they are: 0.03 in a share."""

    def step_length(self, length: float, interval: Any) -> float:
        return length * 1.09 if 0.05 < length < 0.15 else length


STATED = [
    ("two_nodes_have_the_exact_law", laws.InfectsMoreAlongContacts),
    ("two_nodes_have_the_exact_law", RecoversMore),
    ("complete_graph_has_the_mean_field", laws.MixesMore),
    ("weights_scale_contacts", laws.WeighsALittleLess),
    ("intervals_add_up", laws.LongAfterTheStart),
    ("every_device_gives_the_same", laws.DiffersOnADevice),
    ("replicates_are_independent", NeighboursShareAThird),
    ("relabelled_nodes_change_nothing", HubsHearLess),
    ("halving_the_step_converges", StepsOfATenthAreLong),
]


@pytest.mark.parametrize(("rule", "cls"), STATED, ids=[f"{rule}-{cls.__name__}" for rule, cls in STATED])
def test_the_smallest_fault_is_found_with_the_stated_power(rule: str, cls: type, another_device: None) -> None:
    """Catches a sample that is too small: the stated fault must lie so far beyond the limit that chance hides it in one case
    of a hundred."""
    sys.modules["reference_dynamics"].Subject = cls  # type: ignore[attr-defined]
    cls.__qualname__, cls.__module__ = "Subject", "reference_dynamics"
    (check,) = [item for item in dynamics_checks("subject", registry=registry_of(cls)) if item.name == rule]
    message = outcome_of(check).message
    found = re.search(r"([\d.]+) standard errors .*, ([\d.]+) are allowed", message)
    assert found, message
    assert float(found[1]) >= float(found[2]) + POWER, message
