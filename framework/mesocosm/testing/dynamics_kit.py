"""The conformance kit for dynamics: every rule, and how to run them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mesocosm import Registry
from mesocosm.testing import (
    contact_rules,
    device_rules,
    entry,
    fault_rules,
    invariant_rules,
    limit_rules,
    policy_rules,
    purity_rules,
    restart_rules,
    seed_rules,
    shape_rules,
)
from mesocosm.testing.check import Check, Outcome, Rule, checks_of, run_checks
from mesocosm.testing.subject import dynamics_subject

DYNAMICS_RULES: tuple[Rule[Any], ...] = (
    *entry.ENTRY_RULES,
    *shape_rules.RULES,
    *seed_rules.RULES,
    *purity_rules.RULES,
    *invariant_rules.RULES,
    *contact_rules.RULES,
    *limit_rules.RULES,
    *restart_rules.RULES,
    *device_rules.RULES,
    *fault_rules.RULES,
    *policy_rules.RULES,
)
"""Every rule for dynamics, by group."""


def dynamics_checks(
    name: str,
    *,
    options: Mapping[str, Any] | None = None,
    companions: Mapping[str, Mapping[str, Any]] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> list[Check]:
    """The checks of one dynamics. Which of them apply follows from what it declares, and from what it refuses.

    Parameters
    ----------
    name: what scenarios call it.
    options: those to test it with, as a scenario gives them; required ones must be here. The kit changes `replicates`,
        `step` and `policy` where it has them. It poses SIR with the states S, I and R.
    companions: label -> component, for dynamics that its options refer to.
    expected_failures: name of a check -> why it fails; it must then fail.
    registry: where it is found; by default the installed plugins. `Registry.discover([Path("mine.py")])` loads a file.

    Raises `InputError` for a name, an option or an expected failure that is not right.
    """
    return checks_of(DYNAMICS_RULES, dynamics_subject(name, options, companions, registry), expected_failures)


def check_dynamics(
    name: str,
    *,
    options: Mapping[str, Any] | None = None,
    companions: Mapping[str, Mapping[str, Any]] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> list[Outcome]:
    """Run the checks of `dynamics_checks`, and return how each ended. Raises `ConformanceError` with every fault."""
    return run_checks(
        dynamics_checks(
            name, options=options, companions=companions, expected_failures=expected_failures, registry=registry
        )
    )
