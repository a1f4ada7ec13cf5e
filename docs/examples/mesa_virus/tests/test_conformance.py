"""What every dynamics and every game must do, by the conformance kit of mesocosm."""

from mesocosm.testing import dynamics_checks, game_checks, parametrize_with_checks

STATES = {"SUSCEPTIBLE": "S", "INFECTED": "I", "RESISTANT": "R"}
"""What Mesa's states are called in the games of the kit."""


@parametrize_with_checks(dynamics_checks("mesa_virus", options={"replicates": 4, "states": STATES}))
def test_conformance(check):
    """Catches whatever the check says, of the dynamics."""
    check()


@parametrize_with_checks(game_checks("virus"))
def test_conformance_of_the_game(check):
    """Catches whatever the check says, of the game."""
    check()
