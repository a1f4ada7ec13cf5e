"""The front door: exactly these names, and each can be imported."""

from __future__ import annotations

import importlib

import pytest

import mesocosm

NAMES = [
    "API_VERSION", "Clock", "Component", "ComponentError", "ConstantControl", "ContactGraph", "Context", "Control",
    "DataError", "DataPath", "DegreeLaw", "Device", "DeviceError", "Dynamics", "DynamicsError", "FiniteStateGame", "Flow",
    "Game", "InputError", "Interval", "Labelled", "LearnFrom", "MeanField", "MesocosmError", "Mixing", "Options", "Policy",
    "PolicyFrom", "PolicyOption", "Population", "Problem", "Reference", "Registry", "Results", "RunError", "Scenario",
    "ScenarioError", "StoreError", "Streams", "TabulatedPolicy", "Trajectories", "Transition", "build", "compare",
    "constant_control", "half_step_grid", "hookimpl", "load", "makers_of", "no_control", "open_results", "parse",
    "resolve_device", "resume", "run", "simulate", "substeps",
]  # fmt: skip


def test_the_public_names() -> None:
    """Catches a name that appears or disappears unnoticed: these are what plugins and notebooks rely on."""
    assert mesocosm.__all__ == NAMES
    assert dir(mesocosm) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_name_can_be_imported(name: str) -> None:
    """Catches a name that is announced and not there, under a wrong module."""
    assert getattr(importlib.import_module("mesocosm"), name) is not None


def test_import_everything() -> None:
    """Catches a star import that fails, or brings less than the list."""
    space: dict[str, object] = {}
    exec("from mesocosm import *", space)
    assert set(NAMES) <= set(space)


def test_what_is_not_there() -> None:
    """Catches a module attribute that answers to any name."""
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        mesocosm.nothing  # noqa: B018
