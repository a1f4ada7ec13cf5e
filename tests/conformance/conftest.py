"""Plugins that break one rule each, and what the conformance kit says about them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

import pytest

from mesocosm import Registry
from mesocosm.testing import Check
from mesocosm.testing.check import outcome_of

Ended = Callable[[Iterable[Check]], dict[str, set[str]]]


def _module(name: str, prefix: str = "conformance_") -> ModuleType:
    """A file of this folder under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"{prefix}{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


# Components name these modules, and the tests import them.
for _name in ("reference_dynamics", "broken_dynamics", "broken_laws"):
    _module(_name, prefix="")


@pytest.fixture(scope="session")
def broken() -> Registry:
    """The games and builders with one fault each, as objects of this process."""
    registry = Registry()
    for name in ("broken_games", "broken_diffusions", "broken_graphs"):
        assert registry.add(_module(name), name, "tests", "").status == "loaded"
    return registry


@pytest.fixture(scope="session")
def ended() -> Ended:
    """`ended(checks)`: the names of the checks that ended in each way."""

    def run(checks: Iterable[Check]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {"passed": set(), "failed": set(), "not applicable": set()}
        for check in checks:
            found[outcome_of(check).status].add(check.name)
        return found

    return run
