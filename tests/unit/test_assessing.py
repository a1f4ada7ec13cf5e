"""Any policy is held against the mean field: would catch a wrong closure, and values and gains of another flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.integrate import quad

import mesocosm
from mesocosm import InputError, Policy, assess

EFFORT = """
mesocosm: 1
name: effort
seed: 1
time: {end: 120, save_every: 2}
population: {size: 200, initial: {I: 0.01}}
graph: {kind: GRAPH}
game: {kind: sir, beta: 0.3, gamma: 0.1, effort: {cost: 1, infection_cost: 1}}
dynamics:
  nash: {kind: classical_mfg, closure: CLOSURE, step: 0.5}
  none: {kind: classical_mfg, policy: none}
"""

BANK = """
mesocosm: 1
name: bank
seed: 1
time: {end: 1, save_every: 0.25}
population: {size: 10}
graph: {kind: complete}
game: {kind: interbank, correlation: 0.2}
dynamics:
  limit: {kind: classical_mfg, policy: none, cells: 300}
"""


def built(text: str, graph: str = "complete", closure: str = "homogeneous"):
    scenario = mesocosm.parse(text.replace("GRAPH", graph).replace("CLOSURE", closure))
    return scenario, mesocosm.build(scenario)


@dataclass(frozen=True)
class Cautious(Policy):
    """A policy as a stranger writes it: the more infected contacts, the less contact."""

    uses_field = True

    def control(self, t, row, state, field):
        return np.where(state == 0, (1.0 - 2.0 * field[..., 0]).clip(0.0, 1.0), 1.0)


def test_the_policy_of_a_solver_is_valued_as_the_solver_values_it():
    """Against published numbers: u_S(0) = 9.15391 and, without control, cost 9.41, of which .168 can be saved."""
    scenario, problem = built(EFFORT)
    makers = mesocosm.makers_of(scenario)
    contexts = {label: mesocosm.Context(label, problem.streams(label)) for label in makers}
    nash = makers["nash"](problem, contexts["nash"])
    nash.prepare()
    found = assess(problem, nash.policy())
    infected = (1 - np.exp(-0.1 * 120)) / 0.1
    assert found.value == pytest.approx(0.99 * 9.15391 + 0.01 * infected, rel=1e-4)
    assert abs(found.exploitability) < 1e-6
    careless = assess(problem, mesocosm.no_control(problem.finite_game))
    assert careless.exploitability == pytest.approx(0.168, abs=1e-3)


def test_a_policy_that_looks_at_the_field():
    """A stranger's policy with an eye on its contacts is worth less than the best response to its own flow."""
    _, problem = built(EFFORT)
    found = assess(problem, Cautious())
    assert 0.01 < found.exploitability < found.value


def test_the_closure_is_that_of_the_policy():
    """Degree classes are kept apart; a policy for other classes than the graph has is refused."""
    small = EFFORT.replace("size: 200", "size: 60").replace("beta: 0.3", "beta: 0.08")
    scenario, problem = built(small, "erdos_renyi, mean_degree: 4", "degree")
    nash = mesocosm.makers_of(scenario)["nash"](problem, mesocosm.Context("nash", problem.streams("nash")))
    nash.prepare()
    assert nash.policy().row_count > 1
    assert assess(problem, nash.policy()).exploitability == pytest.approx(nash.exploitability, abs=1e-5)
    _, other = built(EFFORT)
    with pytest.raises(InputError, match="types"):
        assess(other, nash.policy())


def test_a_diffusion_against_its_closed_form():
    """Inter-bank lending: the mean-field gain is worth .2463113 from the mean, and nothing is better; idleness is worse."""
    _, problem = built(BANK)
    game = problem.diffusion_game
    best = assess(problem, mesocosm.choose_policy("mean_field", game, 10, 1.0))
    assert best.value == pytest.approx(0.2463113467, rel=2e-3)
    assert abs(best.exploitability) < 1e-4 * best.value
    idle = assess(problem, mesocosm.choose_policy("none", game, 10, 1.0))

    def variance(t):
        return 0.96 * (1 - np.exp(-0.2 * t)) / 0.2

    cost = 0.25 * quad(variance, 0, 1)[0] + 0.25 * variance(1.0)
    assert idle.value == pytest.approx(cost, rel=2e-3)
    assert idle.exploitability == pytest.approx(cost - 0.2463113467, rel=2e-2)


def test_consistency_is_the_distance_from_what_was_recorded():
    _, problem = built(BANK)
    policy = mesocosm.choose_policy("none", problem.game, 10, 1.0)
    scenario, _ = built(BANK)
    recorded = mesocosm.simulate(problem, mesocosm.makers_of(scenario))["limit"].variables["quantile"].values
    assert assess(problem, policy, {"quantile": recorded}).consistency < 1e-3
    moved = assess(problem, policy, {"quantile": recorded + 0.3})
    assert moved.consistency == pytest.approx(0.3, abs=0.01)


def test_every_run_with_costs_says_how_far_from_an_equilibrium_it_is():
    scenario, problem = built(EFFORT)
    found = mesocosm.simulate(problem, mesocosm.makers_of(scenario))
    assert abs(float(found["nash"].array("exploitability"))) < 1e-6
    assert float(found["nash"].array("consistency")) < 1e-4
    assert float(found["none"].array("exploitability")) == pytest.approx(0.168, abs=1e-3)


def test_without_costs_there_is_nothing_to_assess():
    _, problem = built(EFFORT.replace(", effort: {cost: 1, infection_cost: 1}", ""))
    with pytest.raises(InputError, match="no costs"):
        assess(problem, mesocosm.no_control(problem.finite_game))


def test_what_cannot_be_assessed_costs_no_run(monkeypatch, tmp_path):
    """Catches a simulation that is lost because its policy could not be measured, and a reason that nobody is told."""
    from mesocosm import RunError, scheduler

    def fails(*_):
        raise RunError("the flow still changes", where="time grid")

    monkeypatch.setattr(scheduler, "assess", fails)
    text = EFFORT.replace("GRAPH", "complete").replace("CLOSURE", "homogeneous").replace("end: 120", "end: 4")
    scenario = mesocosm.parse(
        text.replace("nash: {kind: classical_mfg, closure: homogeneous, step: 0.5}", "agents: {kind: agent_based}")
    )
    results = mesocosm.run(scenario, tmp_path, report=False)
    assert "exploitability" not in results["agents"]
    assert results["agents"].sizes["time"] == 3
    assert "the flow still changes" in (results.folder / "events.jsonl").read_text()
