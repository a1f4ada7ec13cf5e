"""Every rule for games finds the fault that it is for, and blames no other rule for it."""

from __future__ import annotations

from typing import Any

import pytest

from mesocosm import Registry
from mesocosm.testing import ConformanceError, check_game, game_checks
from mesocosm.testing.entry import ENTRY_RULES
from mesocosm.testing.games import DIFFUSION_GAME_RULES, GAME_RULES

RULES = [rule.name for rule in GAME_RULES if rule not in ENTRY_RULES]
DIFFUSION_RULES = [rule.name for rule in DIFFUSION_GAME_RULES if rule not in ENTRY_RULES]
IN_PROCESS = {"registers_lightly", "options_stay_light", "loads_with_only_what_it_declares"}
CHOICE = {"control_is_a_range", "best_control_is_a_control", "best_control_minimises"}


@pytest.mark.parametrize("name", [*RULES, *DIFFUSION_RULES])
def test_a_broken_game_breaks_its_rule(broken: Registry, ended: Any, name: str) -> None:
    """Catches a rule that overlooks its fault, and one that fails for the fault of another."""
    found = ended(game_checks(name, registry=broken))
    assert found["failed"] == {name}


def test_every_rule_has_a_broken_game(broken: Registry) -> None:
    """Catches a rule that nothing was ever held against, and a broken game that is not looked at."""
    names = {entry.component.name for entry in broken.entries("game")}
    assert names == {*RULES, *DIFFUSION_RULES, "sound", "choosing", "no_table", "sound_diffusion", "turning"}


@pytest.mark.parametrize(
    ("name", "silent"),
    [
        ("sound", {"at_risk_is_a_state", *CHOICE}),
        ("choosing", {"at_risk_is_a_state"}),
        ("no_table", set(RULES)),
        ("sound_diffusion", {"a_periodic_axis_has_no_seam"}),
        ("turning", set()),
    ],
)
def test_a_sound_game_breaks_none(broken: Registry, ended: Any, name: str, silent: set[str]) -> None:
    """Catches a false alarm, and a rule that does not apply where it should."""
    found = ended(game_checks(name, registry=broken))
    assert found["failed"] == set()
    assert found["not applicable"] == silent | IN_PROCESS


def test_the_kit_tells_what_is_wrong(broken: Registry) -> None:
    """Catches a message without the component, the rule, what was found, or the next step."""
    with pytest.raises(ConformanceError) as told:
        check_game("best_control_is_a_control", registry=broken)
    assert str(told.value).startswith(
        "1 of 30 checks failed\n- game 'best_control_is_a_control' of plugin 'broken_games'"
    )
    assert "the range is [0.2, 1]" in str(told.value)
    assert "end with .clip(minimum, maximum)" in str(told.value)


def test_a_fault_that_is_expected(broken: Registry) -> None:
    """Catches an expected failure that is reported, and one that has gone unnoticed."""
    reason = {"channels_are_emitted": "known"}
    statuses = {
        outcome.status for outcome in check_game("channels_are_emitted", registry=broken, expected_failures=reason)
    }
    assert statuses == {"passed", "not applicable", "expected failure"}
    with pytest.raises(ConformanceError, match="take it out of expected_failures"):
        check_game("sound", registry=broken, expected_failures=reason)
