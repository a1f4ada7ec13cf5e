"""The tests that come with each example package pass, in an environment in which it is installed."""

from __future__ import annotations

from typing import Any

import pytest

NAMES = ("diffrax_mean_field", "eon_reference", "gillespie_numpy", "mesa_virus")

LONG = (
    "frees_its_memory or weights_scale or two_nodes or complete_graph or intervals_add_up or relabelled or "
    "intervals_are_independent or loads_with_only"
)
"""Checks of the conformance kit that draw much, run large graphs, or start many processes."""

COMPILED = "runs_a_game or complete_graph"
"""Checks that are enough to begin with where each problem is compiled, which takes two seconds."""


@pytest.mark.parametrize("name", NAMES)
def test_its_own_tests_pass(installed: Any, name: str) -> None:
    """Catches a change of the contract that breaks a plugin of someone else; the longest checks of the kit are left out."""
    chosen = f"not conformance or ({COMPILED})" if name == "diffrax_mean_field" else f"not ({LONG})"
    own_tests(installed(name), "-k", chosen)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_all_its_own_tests_pass(installed: Any, name: str) -> None:
    """Catches what the longest checks of the kit find: rates that are a few per cent off, and memory that is kept."""
    own_tests(installed(name))


def own_tests(environment: Any, *arguments: str) -> None:
    """The tests in an example's folder, with pytest in its environment."""
    printed = environment(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, within=environment.folder / "package"
    )
    assert "passed" in printed
    assert "failed" not in printed
