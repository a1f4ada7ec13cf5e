"""Conformance of a builder of contact graphs.

from mesocosm.testing import check_graph, graph_checks, parametrize_with_checks

check_graph("erdos_renyi", options={"mean_degree": 4})

@parametrize_with_checks(graph_checks("erdos_renyi", options={"mean_degree": 4}))
def test_conformance(check):
    check()
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mesocosm import Registry
from mesocosm.testing.check import Check, Outcome, Rule, checks_of, run_checks
from mesocosm.testing.entry import ENTRY_RULES
from mesocosm.testing.graph_changes import CHANGE_RULES
from mesocosm.testing.graph_random import RANDOM_RULES
from mesocosm.testing.graph_structure import STRUCTURE_RULES
from mesocosm.testing.graph_subject import GraphSubject, graph_subject

__all__ = ["GRAPH_RULES", "GraphSubject", "check_graph", "graph_checks"]

GRAPH_RULES: tuple[Rule[Any], ...] = (*ENTRY_RULES, *STRUCTURE_RULES, *CHANGE_RULES, *RANDOM_RULES)
"""What every builder of contact graphs must do."""


def graph_checks(
    name: str,
    *,
    options: Mapping[str, Any] | None = None,
    size: int | None = 60,
    expected_failures: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> list[Check]:
    """The checks of one builder of contact graphs.

    Parameters
    ----------
    name, options: as a scenario has them: its `kind`, and what stands beside it.
    size: the population size to test it with; None where the scenario leaves it out.
    expected_failures: name of a check -> why it is known to fail. It must fail then.
    registry: where the builder is found; all installed plugins where it is left out.

    Raises `InputError` for a name or an option that is not there, and for an expected failure without a reason.
    """
    return checks_of(GRAPH_RULES, graph_subject(name, options, size, registry), expected_failures)


def check_graph(
    name: str,
    *,
    options: Mapping[str, Any] | None = None,
    size: int | None = 60,
    expected_failures: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> list[Outcome]:
    """Run the checks of `graph_checks`, and return how each ended. Raises one `ConformanceError` with every fault."""
    return run_checks(
        graph_checks(name, options=options, size=size, expected_failures=expected_failures, registry=registry)
    )
