"""What every dynamics must do, by the conformance kit of mesocosm."""

from mesocosm.testing import dynamics_checks, parametrize_with_checks

EXPECTED = {"frees_its_memory": "JAX keeps what it has compiled, about 2 MB for each problem, until jax.clear_caches()"}
"""The dynamics and its problem are let go all the same."""


@parametrize_with_checks(dynamics_checks("diffrax_mean_field", expected_failures=EXPECTED))
def test_conformance(check):
    """Catches whatever the check says."""
    check()
