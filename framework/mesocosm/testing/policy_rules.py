"""Policies: agents play the policy that they are given, and one that is offered can be played and valued."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mesocosm import (
    Dynamics,
    MeanField,
    Options,
    Policy,
    Problem,
    TabulatedPolicy,
    half_step_grid,
)
from mesocosm.testing.applies import THE_GAME, all_of, option
from mesocosm.testing.check import ConformanceError, NotApplicable, rule
from mesocosm.testing.problems import epidemic, problem, ring
from mesocosm.testing.subject import DynamicsSubject

CHANGE = 3.0


class PlannerOptions(Options):
    """No options."""


class Planner(Dynamics):
    """A companion of the kit: its policy is free contact before time 3, and none at all from then on."""

    stochastic = False
    follows = "own"

    def init(self) -> None:
        return None

    def advance(self, state: None, interval: Any) -> None:
        return None

    def observe(self, state: None) -> dict[str, Any]:
        return {"occupancy": self.problem.population.shares[None]}

    def policy(self) -> Policy:
        mixing = self.problem.graph.mixing("homogeneous")
        times = np.array([0.0, CHANGE - 1e-3, CHANGE, self.problem.clock.end])
        values = np.ones((4, 1, 3))
        values[2:, 0, 0] = 0.0
        return TabulatedPolicy.of(times, values, mixing)


def _effort(name: str) -> Problem:
    return problem(ring(60, 3), epidemic(0.15, 0.2, effort=True), name=name)


@rule("policy", applies=all_of(THE_GAME, option("policy")))
def plays_a_constant_control(subject: DynamicsSubject) -> None:
    """With `policy: {constant: 0}`, no contact at all, nobody is infected; with full contact somebody is."""
    none, full = (
        subject.with_options(policy={"constant": level}).run(_effort("constant")).array("occupancy")[..., 0]
        for level in (0.0, 1.0)
    )
    if np.ptp(none) > 1e-9:
        raise ConformanceError(f"the share in S falls to {none.min():.4g} although nobody has contact")
    if full.min() >= full.max():
        raise ConformanceError("nobody is infected although everybody has full contact")


@rule("policy", applies=all_of(THE_GAME, option("policy")))
def plays_the_policy_of_another(subject: DynamicsSubject) -> None:
    """With `policy: {from: planner}`, agents do at every time what that policy says."""
    given = replace(
        subject.with_options(policy={"from": "planner"}),
        companions={**subject.companions, "planner": (Planner, PlannerOptions())},
    )
    susceptible = given.run(_effort("planned")).array("occupancy")[..., 0].mean(axis=0)
    before, after = np.ptp(susceptible[: int(CHANGE) + 1]), np.ptp(susceptible[int(CHANGE) :])
    if not before > 0:
        raise ConformanceError("nobody is infected while the policy is free contact")
    if after > 1e-6:
        raise ConformanceError(
            f"the share in S falls by {after:.4g} after the policy has ended all contact",
            hint="ask the policy for the control at the time of every step",
        )


@rule("policy", applies=THE_GAME)
def offers_a_policy_that_can_be_played(subject: DynamicsSubject) -> None:
    """A policy that it found has a row for each node, controls within the range of the game, the neutral one where nobody
    chooses, and can be valued; its `value` is what that policy costs."""
    posed = _effort("offered")
    dynamics = subject.make(posed)
    policy = dynamics.policy()
    if policy is None:
        raise NotApplicable("it finds no policy")
    graph, control = posed.graph, posed.finite_game.control
    rows = np.asarray(policy.rows(graph))
    if rows.shape != (graph.node_count,) or rows.min() < 0 or rows.max() >= policy.row_count:
        raise ConformanceError(f"rows has shape {rows.shape}, from {rows.min()} to {rows.max()}, of {policy.row_count}")
    assert control is not None
    nodes = half_step_grid(posed.clock.times, 50)
    table = np.stack([policy.table(float(time), 3) for time in nodes])
    if not ((table[..., 0] >= control.minimum) & (table[..., 0] <= control.maximum)).all():
        raise ConformanceError(
            f"controls lie between {table[..., 0].min():.4g} and {table[..., 0].max():.4g}",
            rule=f"{control.minimum:g} to {control.maximum:g}",
        )
    if not (table[..., 1:] == control.neutral).all():
        raise ConformanceError("agents who cannot choose do not have the neutral control", rule=f"{control.neutral:g}")
    _value(dynamics, policy, table)


def _value(dynamics: Dynamics, policy: Policy, table: Any) -> None:
    posed = dynamics.problem
    closure = policy.closure if isinstance(policy, TabulatedPolicy) else "homogeneous"
    mixing = posed.graph.mixing(closure)
    if len(mixing.types) != table.shape[1]:
        return
    model = MeanField(posed.finite_game, mixing, posed.type_shares(mixing), half_step_grid(posed.clock.times, 50))
    flow = model.flow(table)
    worth, gain = model.mean_cost(model.value(flow, table)), model.exploitability(flow, table)
    if not (np.isfinite(worth) and gain > -1e-6):
        raise ConformanceError(f"its policy has the value {worth:.4g} and the exploitability {gain:.2g}")
    state = dynamics.init()
    for interval in posed.clock.intervals():
        state = dynamics.advance(state, interval)
    found = dynamics.summary(state).get("value")
    if isinstance(found, (int, float)) and abs(found - worth) > 1e-3 * max(1.0, abs(worth)):
        raise ConformanceError(f"value is {found:.6g}", rule=f"its policy costs {worth:.6g}")


RULES = (plays_a_constant_control, plays_the_policy_of_another, offers_a_policy_that_can_be_played)
