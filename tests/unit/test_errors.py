"""The error tree: parts, exit codes, suggestions."""

from __future__ import annotations

import inspect

import pytest

from mesocosm import errors
from mesocosm.errors import Fault, InputError, MesocosmError, RunError, ScenarioError, suggestion

CLASSES = [item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, MesocosmError)]


def test_a_message_has_its_parts_in_order() -> None:
    """Catches a part that is lost, or that leaves a stray separator when it is empty."""
    assert str(InputError("got 3", where="here", rule="below 2", hint="try 1")) == "here: got 3; below 2; try 1"
    assert str(InputError("got 3")) == "got 3"
    assert str(InputError("got 3", hint="try 1")) == "got 3; try 1"


@pytest.mark.parametrize("kind", CLASSES)
def test_exit_codes_follow_the_tree(kind: type[MesocosmError]) -> None:
    """Catches an input error that exits with 1, or a failed run that exits with 2."""
    assert kind.exit_code == (2 if issubclass(kind, InputError) else 1)
    assert kind is MesocosmError or issubclass(kind, InputError) != issubclass(kind, RunError)


def test_all_faults_are_shown_in_order() -> None:
    """Catches a scenario error that shows only its first fault."""
    error = ScenarioError([Fault("f:1:2", "a.b", "wrong", "  a: {b: 1}"), Fault("", "", "also wrong")])
    assert str(error) == "f:1:2: a.b: wrong\n    a: {b: 1}\nalso wrong"


def test_suggestions() -> None:
    """Catches a suggestion of something far away, and a list of known words that is not sorted."""
    assert suggestion("betta", ["gamma", "beta"]) == "did you mean 'beta'?"
    assert suggestion("zzz", ["gamma", "beta"]) == "known: beta, gamma"
    assert suggestion("zzz", []) == ""
