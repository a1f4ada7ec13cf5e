"""What every dynamics must do, by the conformance kit of mesocosm."""

from mesocosm.testing import dynamics_checks, parametrize_with_checks


@parametrize_with_checks(dynamics_checks("eon_reference", options={"replicates": 8}))
def test_conformance(check):
    """Catches whatever the check says."""
    check()
