"""Every rule for strategies finds the fault that it is for, and no other; those that come with mesocosm have none."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from mesocosm import Component, ContactGraph, InputError, Options, Registry, Strategy, hookimpl
from mesocosm.testing import check_strategy, strategy_checks
from mesocosm.testing.entry import ENTRY_RULES
from mesocosm.testing.strategies import STRATEGY_RULES

RULES = [rule.name for rule in STRATEGY_RULES if rule not in ENTRY_RULES]
IN_PROCESS = {"registers_lightly", "options_stay_light", "loads_with_only_what_it_declares"}


class NoOptions(Options):
    """They have none."""


class Sound(Strategy):
    """Random nodes among those with contacts."""

    def __init__(self, options: NoOptions) -> None:
        """No options."""

    def check(self, graph: ContactGraph, count: int) -> None:
        if count > (graph.degrees > 0).sum():
            raise InputError("too many")

    def choose(self, graph: ContactGraph, count: int, generator: np.random.Generator) -> Any:
        return generator.permutation(np.flatnonzero(graph.degrees > 0))[:count]


class PassesTooMuch(Sound):
    """It fails on graphs that its check lets pass."""

    def choose(self, graph: ContactGraph, count: int, generator: np.random.Generator) -> Any:
        return np.argsort(graph.adjacency.sum(axis=1))[:count]


class ChoosesTwice(Sound):
    """It draws with replacement."""

    def choose(self, graph: ContactGraph, count: int, generator: np.random.Generator) -> Any:
        return generator.choice(np.flatnonzero(graph.degrees > 0), count)


class DrawsElsewhere(Sound):
    """Its chance is not that of the generator."""

    def choose(self, graph: ContactGraph, count: int, generator: np.random.Generator) -> Any:
        return super().choose(graph, count, np.random.default_rng())


class Remembers(Sound):
    """It keeps what it knows of the first graph with so many nodes."""

    def __init__(self, options: NoOptions) -> None:
        self.kept: dict[int, Any] = {}

    def check(self, graph: ContactGraph, count: int) -> None:
        """Anything goes."""

    def choose(self, graph: ContactGraph, count: int, generator: np.random.Generator) -> Any:
        degrees = self.kept.setdefault(graph.node_count, graph.degrees)
        return np.argsort(-degrees, kind="stable")[:count]


BROKEN = {
    "sound": "Sound",
    "what_passes_its_check_can_be_chosen_from": "PassesTooMuch",
    "chooses_as_many_different_nodes": "ChoosesTwice",
    "same_generator_same_nodes": "DrawsElsewhere",
    "knows_graphs_apart": "Remembers",
}


class Plugin:
    """An object that announces them all."""

    kind: ClassVar[str] = "strategy"

    @hookimpl
    def mesocosm_components(self) -> Any:
        for name, cls in BROKEN.items():
            yield Component(self.kind, name, f"{__name__}:{cls}", f"{__name__}:NoOptions", summary="for tests")


@pytest.fixture(scope="module")
def strategies() -> Registry:
    registry = Registry()
    assert registry.add(Plugin(), "strategies", "tests", "").status == "loaded"
    return registry


def test_every_rule_has_a_broken_strategy() -> None:
    """Catches a rule that nothing was ever held against."""
    assert set(BROKEN) == {*RULES, "sound"}


@pytest.mark.parametrize("name", RULES)
def test_a_broken_strategy_breaks_its_rule(strategies: Registry, ended: Any, name: str) -> None:
    """Catches a rule that overlooks its fault, and one that fails for the fault of another."""
    assert ended(strategy_checks(name, registry=strategies))["failed"] == {name}


def test_a_sound_strategy_breaks_none(strategies: Registry, ended: Any) -> None:
    """Catches a false alarm, and a rule that does not apply where it should."""
    found = ended(strategy_checks("sound", registry=strategies))
    assert found["failed"] == set()
    assert found["not applicable"] == IN_PROCESS


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in ("random", "degree", "core", "acquaintance", "betweenness")),
        ("betweenness", {"samples": 20, "seed": 3}),
    ],
)
def test_those_that_come_with_mesocosm_pass(name: str, options: dict[str, Any]) -> None:
    """Catches a bundled strategy with a fault that the kit would find in that of somebody else."""
    assert {outcome.status for outcome in check_strategy(name, options=options)} == {"passed"}
