"""The contact-effort game: Nash equilibria against reference numbers of an independent script (relative error 1e-3)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from mesocosm import ContactGraph, InputError, MeanField, Problem, Trajectories, half_step_grid, simulate
from mesocosm_mfg.classical import ClassicalMFG
from mesocosm_mfg.options import ClassicalMFGOptions

Make = Callable[..., Problem]
MILD = {"rates": {"beta": 0.3, "gamma": 0.1}, "effort": {"cost": 1.0, "infection_cost": 1.0}, "end": 120.0}
STRONG = {"rates": {"beta": 0.4, "gamma": 0.125}, "effort": {"cost": 0.1, "infection_cost": 1.0}, "end": 40.0}
SOLVED: dict[str, Trajectories] = {}


def solve(make: Make, name: str, policy: str, save_every: float = 0.2) -> Trajectories:
    key = f"{name} {policy} {save_every}"
    if key not in SOLVED:
        case = MILD if name == "mild" else STRONG
        graph = ContactGraph.complete(100)
        problem = make("sir", case["rates"], graph, end=case["end"], save_every=save_every, effort=case["effort"])
        options = ClassicalMFGOptions(policy=policy, step=0.2)
        SOLVED[key] = simulate(problem, {"nash": ClassicalMFG.bind(options)})["nash"]
    return SOLVED[key]


@cache
def value_of_infected(gamma: float, end: float, cost: float = 1.0) -> float:
    """u_I(0) = c_I (1 - exp(-gamma T)) / gamma: the infected choose nothing."""
    return cost * (1 - np.exp(-gamma * end)) / gamma


def test_mild_case(make_problem: Make) -> None:
    """Catches any error in HJB, Kolmogorov or best response: peak and its time, attack, least contact level, value."""
    found = solve(make_problem, "mild", "nash")
    occupancy, control = found.array("occupancy")[0], found.array("control")[0]
    assert occupancy[:, 1].max() == pytest.approx(0.26810, rel=1e-3)
    assert found.times[occupancy[:, 1].argmax()] == pytest.approx(26.40, abs=0.2)
    assert 1 - occupancy[-1, 0] == pytest.approx(0.89724, rel=1e-3)
    assert control[:, 0].min() == pytest.approx(0.75080, rel=1e-3)
    susceptible = (found.array("value") - 0.01 * value_of_infected(0.1, 120)) / 0.99
    assert susceptible == pytest.approx(9.15391, rel=1e-3)


def test_mild_case_without_control(make_problem: Make) -> None:
    """Catches a control that is not neutral under the policy none: peak and attack of plain SIR."""
    occupancy = solve(make_problem, "mild", "none").array("occupancy")[0]
    assert occupancy[:, 1].max() == pytest.approx(0.30381, rel=1e-3)
    assert 1 - occupancy[-1, 0] == pytest.approx(0.94114, rel=1e-3)


def test_strong_case(make_problem: Make) -> None:
    """Catches a fixed point that only works for weak responses: cheap effort, where agents give up two thirds of contacts."""
    found = solve(make_problem, "strong", "nash")
    occupancy, control = found.array("occupancy")[0], found.array("control")[0]
    assert occupancy[-1, 0] == pytest.approx(0.8145579, rel=1e-5)
    assert control[:, 0].min() == pytest.approx(0.341626, rel=1e-4)
    susceptible = (found.array("value") - 0.01 * value_of_infected(0.125, 40)) / 0.99
    assert susceptible == pytest.approx(1.5406732, rel=1e-5)


@pytest.mark.parametrize("name", ["mild", "strong"])
def test_exploitability(make_problem: Make, name: str) -> None:
    """Catches a policy that is no equilibrium: below 1e-4 of the uncontrolled cost; that of none is above 1e-2 of it."""
    nash, none = solve(make_problem, name, "nash"), solve(make_problem, name, "none")
    uncontrolled = float(none.array("value"))
    assert nash.array("converged") == 1
    assert abs(float(nash.array("exploitability"))) < 1e-4 * uncontrolled
    assert float(none.array("exploitability")) > 1e-2 * uncontrolled
    assert nash.array("residual")[-1] < 1e-7
    assert len(nash.array("residual")) == nash.array("iterations")


def test_converged_is_honest(make_problem: Make) -> None:
    """Catches a flag that is always true: two iterations are not enough, and the result says so."""
    problem = make_problem("sir", STRONG["rates"], ContactGraph.complete(10), end=40, effort=STRONG["effort"])
    options = ClassicalMFGOptions(iterations=2, step=0.5)
    found = simulate(problem, {"nash": ClassicalMFG.bind(options)})["nash"]
    assert found.array("converged") == 0
    assert found.array("iterations") == 2
    assert float(found.array("exploitability")) > 1e-3


def test_best_response_beats_every_constant(make_problem: Make) -> None:
    """Catches a best response that is not the cheapest: against the flow of none, no constant contact level costs less."""
    problem = make_problem("sir", MILD["rates"], ContactGraph.complete(10), end=60, effort=MILD["effort"])
    mixing = problem.graph.mixing("homogeneous")
    model = MeanField(problem.finite_game, mixing, problem.type_shares(mixing), half_step_grid(problem.clock.times, 4))
    flow = model.flow(model.neutral())
    best = model.mean_cost(model.best_response(flow)[0])
    for level in np.linspace(0, 1, 11):
        control = model.neutral()
        control[..., 0] = level
        assert best <= model.mean_cost(model.value(flow, control)) + 1e-9
    never = model.neutral()
    never[..., 0] = 0.0
    # Who meets nobody pays c_a/2 per unit time for as long as the game lasts.
    assert model.value(flow, never)[0, 0] == pytest.approx(0.5 * 60, rel=1e-9)
    assert model.value(flow, never)[0, 1] == pytest.approx(value_of_infected(0.1, 60), rel=1e-6)


def test_degree_closure_has_its_own_equilibrium(make_problem: Make, poisson_10: ContactGraph) -> None:
    """Catches rows mixed up between degrees: nobody of any degree gains by a constant level; who has no contact keeps 1."""
    rates = {"beta": 0.03, "gamma": 0.1}
    problem = make_problem("sir", rates, poisson_10, end=60, effort=MILD["effort"])
    kept = {}

    def maker(*arguments: object) -> ClassicalMFG:
        kept["nash"] = ClassicalMFG.bind(ClassicalMFGOptions(closure="degree", degrees="law", step=0.5))(*arguments)
        return kept["nash"]

    found = simulate(problem, {"nash": maker})["nash"]
    assert abs(float(found.array("exploitability"))) < 1e-6
    model, table = kept["nash"].model, kept["nash"].control
    assert (table[:, 0, 0] == 1.0).all()
    flow = model.flow(table)
    own = model.value(flow, table)[:, 0]
    for level in np.linspace(0.2, 1, 9):
        other = model.neutral()
        other[..., 0] = level
        assert (own <= model.value(flow, other)[:, 0] + 1e-6).all()


def test_one_degree_is_homogeneous(make_problem: Make, law_graph: Callable[..., ContactGraph]) -> None:
    """Catches a degree closure whose weights do not reduce: with one degree it is the homogeneous closure, to 1e-9."""
    graph = law_graph(np.array([8]), np.ones(1))
    problem = make_problem("sir", {"beta": 0.04, "gamma": 0.1}, graph, end=40, effort=MILD["effort"])
    makers = {
        closure: ClassicalMFG.bind(ClassicalMFGOptions(closure=closure, degrees="law", step=0.5))
        for closure in ("homogeneous", "degree")
    }
    found = simulate(problem, makers)
    gap = found["degree"].array("control") - found["homogeneous"].array("control")
    assert np.abs(gap).max() < 1e-9


def test_a_policy_can_be_valued_elsewhere(make_problem: Make) -> None:
    """Catches a policy lost on the way: the Nash policy played by the same mean field costs what Nash costs."""
    problem = make_problem("sir", MILD["rates"], ContactGraph.complete(10), end=60, effort=MILD["effort"])
    makers = {
        "nash": ClassicalMFG.bind(ClassicalMFGOptions(step=0.5)),
        "again": ClassicalMFG.bind(ClassicalMFGOptions(step=0.5, policy={"from": "nash"})),
    }
    found = simulate(problem, makers)
    assert float(found["again"].array("value")) == pytest.approx(float(found["nash"].array("value")), rel=1e-12)
    assert np.array_equal(found["again"].array("occupancy"), found["nash"].array("occupancy"))


def test_nash_needs_a_control(make_problem: Make) -> None:
    """Catches a silent fall back to no control."""
    problem = make_problem("sir", MILD["rates"], ContactGraph.complete(10))
    with pytest.raises(InputError, match="agents choose nothing"):
        simulate(problem, {"nash": ClassicalMFG.bind(ClassicalMFGOptions(policy="nash"))})
