"""The bundled dynamics pass the kit that is offered to strangers, and nothing else is special about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mesocosm.testing import check_dynamics, dynamics_checks, run_checks

NO_OTHER_DEVICE = {"every_device_gives_the_same"}
FOR_AGENTS = {
    "other_labels_other_noise",
    "replicates_are_independent",
    "intervals_are_independent",
    "agents_are_whole",
    "components_do_not_interact",
    "two_nodes_have_the_exact_law",
}
FOR_THE_GAME = {
    "keeps_no_stale_cache",
    "absorbing_states_absorb",
    "without_contacts_nothing_spreads",
    "relabelled_nodes_change_nothing",
    "weights_scale_contacts",
    "zero_rates_change_nothing",
    "complete_graph_has_the_mean_field",
    "halving_the_step_converges",
    "intervals_add_up",
    "stops_at_a_rate_that_is_not_a_number",
    "stops_at_a_negative_rate",
    "plays_a_constant_control",
    "plays_the_policy_of_another",
    "offers_a_policy_that_can_be_played",
}
TEACHER = {"teacher": {"kind": "agent_based", "replicates": 16}}


@dataclass(frozen=True)
class Case:
    """A bundled dynamics with options, and the rules that say nothing about it."""

    name: str
    silent: set[str]
    options: dict[str, Any] = field(default_factory=dict)
    companions: dict[str, Any] = field(default_factory=dict)


CLOSURE = NO_OTHER_DEVICE | FOR_AGENTS
CASES = {
    "agents": Case("agent_based", NO_OTHER_DEVICE | {"offers_a_policy_that_can_be_played"}, {"replicates": 6}),
    "homogeneous": Case("classical_mfg", CLOSURE),
    "degree": Case("classical_mfg", CLOSURE, {"closure": "degree"}),
    "individual": Case("classical_mfg", CLOSURE, {"closure": "individual"}),
    "edge_based": Case(
        "edge_based",
        CLOSURE
        | {"without_contacts_nothing_spreads", "weights_scale_contacts", "complete_graph_has_the_mean_field"}
        | {"halving_the_step_converges", "plays_a_constant_control", "plays_the_policy_of_another"}
        | {"offers_a_policy_that_can_be_played"},
    ),
    "neural_sde": Case(
        "neural_sde",
        NO_OTHER_DEVICE | (FOR_AGENTS - {"other_labels_other_noise"}) | FOR_THE_GAME,
        {"learn": {"from": "teacher"}, "seeds": 2, "paths": 8, "steps": 4},
        TEACHER,
    ),
}


def silent(case: Case) -> set[str]:
    """The names of the rules that say nothing; raises with every fault."""
    outcomes = check_dynamics(case.name, options=case.options, companions=case.companions)
    return {outcome.check.name for outcome in outcomes if outcome.status == "not applicable"}


@pytest.mark.parametrize("label", CASES)
def test_a_bundled_dynamics_passes(label: str) -> None:
    """Catches a fault in a bundled dynamics, and one that begins to refuse what it could run."""
    assert silent(CASES[label]) == CASES[label].silent


def test_an_observed_table_passes(tmp_path: Path) -> None:
    """The same for a record with gaps, which follows no game."""
    (tmp_path / "seen.csv").write_text("ill\n18\n20\n\n15\n9\n")
    options = {"file": str(tmp_path / "seen.csv"), "observable": "occupancy.I", "column": "ill", "scale": 60}
    partial = {"starts_at_the_initial_shares", "sums_up_what_it_ran", "conserves_mass"}
    too_short = {"frees_its_memory"}  # its run has fewer saves than the table has rows
    case = Case("table", NO_OTHER_DEVICE | FOR_AGENTS | FOR_THE_GAME | partial | too_short, options)
    assert silent(case) == case.silent


@pytest.mark.slow
def test_the_engine_of_mesa_passes() -> None:
    """The same for agents that are objects of Mesa. Statistical rules draw samples that would take it hours; the law of its
    steps is compared with that of the other engines elsewhere."""
    checks = dynamics_checks("agent_based", options={"replicates": 3, "engine": "mesa", "step": 0.1})
    outcomes = run_checks(check for check in checks if not check.detects)
    silent_here = {outcome.check.name for outcome in outcomes if outcome.status == "not applicable"}
    assert silent_here == {"offers_a_policy_that_can_be_played"}
