"""Equilibria and social optima of finite-state games, against closed forms and against scipy.

Catches a method that ends elsewhere than at the equilibrium, a planner that forgets what agents do to each other, a policy
that does not see the field, and options that are accepted and ignored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import mesocosm
from mesocosm import Context, Control, FiniteStateGame, InputError, MeanField, Policy, Transition, half_step_grid
from mesocosm_mfg.classical import ClassicalMFG
from mesocosm_mfg.options import ClassicalMFGOptions
from mesocosm_mfg.social import Planner

SCENARIO = """
mesocosm: 1
name: test
seed: 1
time: {end: END, save_every: 1}
population: {size: 100, initial: {I: 0.01}}
graph: {kind: complete}
game: {kind: sir, beta: 0.4, gamma: 0.125, effort: {cost: 0.1, infection_cost: 1}}
"""
METHODS = ("picard", "anderson", "newton", "fictitious_play", "mirror_descent")


class Cournot(FiniteStateGame):
    """Firms that leave the market at rate 0.3 sell a: a costs a^2/2, and the price is 1 - z, z what all sell.

    With the share m = exp(-0.3 t) that is left: Nash a = 1 - z = 1/(1 + m); the best for all firms a = 1/(1 + 2 m).
    """

    states = ("in", "out")
    channels = ("sold",)
    control = Control("sales", ("in",), 0.0, 1.0, neutral=0.0)

    def __init__(self):
        self.transitions = (Transition.spontaneous("in", "out", rate=0.3),)

    def emission(self, t, state, control):
        return self.stack([control * (state == 0)], like=control)

    def running_cost(self, t, state, field, control):
        return (0.5 * control**2 - control * (1 - field[..., 0])) * (state == 0)

    def best_control(self, t, field, value):
        price = 1 - field[..., :1] + 0.0 * value
        return price.clip(0.0, 1.0) * np.array([1.0, 0.0])


class Leaving(FiniteStateGame):
    """One leaves at a rate a that costs a^2/2; to stay costs 1, whatever others do. a = sqrt(2) tanh((T - t)/sqrt(2))."""

    states = ("in", "out")
    channels = ("in",)
    control = Control("rate", ("in",), 0.0, 3.0, neutral=0.0)

    def __init__(self):
        self.transitions = (Transition.spontaneous("in", "out", rate=1.0, controlled=True),)

    def emission(self, t, state, control):
        return self.stack([state == 0], like=control)

    def running_cost(self, t, state, field, control):
        return (1.0 + 0.5 * control**2) * (state == 0)

    def best_control(self, t, field, value):
        return (value[..., :1] - value[..., 1:]).clip(0.0, 3.0) * np.array([1.0, 0.0])


@dataclass(frozen=True)
class Careful(Policy):
    """Contacts fall with the field."""

    uses_field = True

    def control(self, t, row, state, field):
        return np.where(state == 0, 1 / (1 + 20 * field[..., 0]), 1.0)


def problem_of(game=None, end=20):
    problem = mesocosm.build(mesocosm.parse(SCENARIO.replace("END", str(end))))
    if game is None:
        return problem
    shares = mesocosm.Population(100, np.array([1.0, 0.0]))
    return mesocosm.Problem(
        "test", 1, game, problem.graph, shares, problem.clock, problem.device, "float64", lambda _: problem.graph
    )


def solved(problem, **options):
    """The dynamics after `prepare`, and what it found at the end."""
    kept = {}

    def maker(*arguments):
        kept["nash"] = ClassicalMFG.bind(ClassicalMFGOptions(**options))(*arguments)
        return kept["nash"]

    found = mesocosm.simulate(problem, {"nash": maker})["nash"]
    return kept["nash"], found


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_equilibrium(method):
    """Emission depends on the control here: catches a field of other controls than those that are played."""
    dynamics, found = solved(problem_of(Cournot(), end=4), method=method, step=0.5, iterations=60, damping=0.9)
    left = np.exp(-0.3 * dynamics.model.nodes)
    exact = 1 / (1 + left)
    tolerance = 1e-5 if method in ("picard", "anderson", "newton") else 1e-2
    assert np.abs(dynamics.control[:, 0, 0] - exact).max() < tolerance
    assert len(found.array("residual")) == len(found.array("exploitability_by_iteration"))
    assert found.array("exploitability_by_iteration")[-1] == pytest.approx(
        float(found.array("exploitability")), abs=1e-12
    )
    assert found.array("converged") == (found.array("residual")[-1] < 1e-7)


def test_strong_epidemic_is_solved_to_1e_8():
    """The default method on cheap effort, where plain iteration overshoots: exploitability relative to doing nothing."""
    problem = problem_of(end=40)
    _, found = solved(problem, step=0.25)
    _, none = solved(problem, policy="none", step=0.25)
    assert found.array("converged") == 1
    assert found.array("iterations") < 25
    assert abs(float(found.array("exploitability"))) < 1e-8 * float(none.array("value"))


def test_where_it_starts():
    """Catches a guess or a continuation that is ignored, or that changes where the iteration ends."""
    notes = []
    problem = problem_of(end=20)
    plain, _ = solved(problem, step=0.5)
    context = Context("nash", problem.streams("nash"), report=lambda phase, fraction, note: notes.append(note))
    options = ClassicalMFGOptions(step=0.5, initial_guess={"constant": 0.4}, continuation=2)
    guessed = ClassicalMFG(problem, options, context)
    guessed.check()
    guessed.prepare()
    assert "from {'constant': 0.4}" in notes[0]
    assert guessed.equilibrium.converged
    assert guessed.equilibrium.residuals[0] != plain.equilibrium.residuals[0]
    assert np.abs(guessed.control - plain.control).max() < 1e-5


def test_a_policy_that_looks_at_the_field():
    """Catches a field that is not that of the flow: the feedback equations solved by scipy, to 1e-6."""

    class Watched(type(problem_of().game)):
        def policies(self, size, horizon):
            return {"careful": Careful()}

    problem = problem_of(end=20)
    game = Watched(problem.game.options)
    problem = mesocosm.Problem(
        "test", 1, game, problem.graph, problem.population, problem.clock, problem.device, "float64", problem.draw
    )
    _, found = solved(problem, policy="careful", step=0.25)

    def slope(t, m):
        infection = 0.4 * m[0] * m[1] / (1 + 20 * m[1])
        return [-infection, infection - 0.125 * m[1], 0.125 * m[1]]

    exact = solve_ivp(slope, (0, 20), [0.99, 0.01, 0], t_eval=np.arange(21), rtol=1e-10, atol=1e-12).y.T
    assert np.abs(found.array("occupancy")[0] - exact).max() < 1e-6


def test_social_optimum_in_closed_form():
    """Catches a planner that forgets that one's sales lower the price for all: 1/(1 + 2 m), and its price of anarchy."""
    problem = problem_of(Cournot(), end=4)
    dynamics, found = solved(problem, step=0.1, social_optimum=True, tolerance=1e-9)
    nodes = dynamics.model.nodes
    exact = 1 / (1 + 2 * np.exp(-0.3 * nodes))
    assert np.abs(dynamics.optimum.control[:, 0, 0] - exact).max() < 1e-4
    fine = np.linspace(0, 4, 20001)
    left = np.exp(-0.3 * fine)
    # C = int m (a^2/2 - a (1 - m a)): at 1/(1 + 2 m) it is -m / (2 (1 + 2 m)), at 1/(1 + m) it is -m / (2 (1 + m)^2).
    social, nash = (np.trapezoid(-left / 2 / q, fine) for q in (1 + 2 * left, (1 + left) ** 2))
    assert float(found.array("social_value")) == pytest.approx(social, rel=1e-6)
    assert float(found.array("price_of_anarchy")) == pytest.approx(nash / social, rel=1e-6)
    assert dynamics.optimum.converged


def test_alone_there_is_no_anarchy():
    """Catches an externality out of nothing: where nobody feels anybody, Nash is best for all, a = sqrt(2) tanh."""
    dynamics, found = solved(problem_of(Leaving(), end=3), step=0.1, social_optimum=True, tolerance=1e-9)
    exact = np.sqrt(2) * np.tanh((3 - dynamics.model.nodes) / np.sqrt(2))
    assert np.abs(dynamics.control[:, 0, 0] - exact).max() < 1e-5
    assert float(found.array("value")) == pytest.approx(exact[0], rel=1e-6)
    assert float(found.array("price_of_anarchy")) == pytest.approx(1.0, abs=1e-6)


def test_gradient_of_the_planner():
    """Catches a missing term of the adjoint: the slope of the cost along a smooth change, against a finite difference."""
    problem = problem_of(end=20)
    mixing = problem.graph.mixing("homogeneous")
    model = MeanField(problem.finite_game, mixing, problem.type_shares(mixing), half_step_grid(problem.clock.times, 2))
    planner, phase = Planner(model), model.nodes / 20
    control, change = model.neutral(), np.zeros_like(model.neutral())
    control[:, 0, 0], change[:, 0, 0] = 0.7 + 0.2 * np.sin(5 * phase), 0.3 + np.cos(3 * phase)
    plan = planner.plan(control)
    predicted = float((planner.weights(plan) * planner.slopes(plan) * change).sum())

    def cost(control):
        return model.mean_cost(model.value(model.flow(control), control))

    measured = (cost(control + 1e-4 * change) - cost(control - 1e-4 * change)) / 2e-4
    assert predicted == pytest.approx(measured, rel=1e-5)


def test_social_optimum_of_the_epidemic():
    """Catches a descent that stops too early: no small change is cheaper, Nash is dearer, and the policy can be played."""
    problem = problem_of(end=20)
    dynamics, found = solved(problem, policy="social_optimum", step=0.5)
    _, nash = solved(problem, step=0.5)
    model, best = dynamics.model, dynamics.control
    lowest = float(found.array("social_value"))
    assert float(nash.array("value")) > 1.02 * lowest
    assert dynamics.optimum.converged
    generator = np.random.default_rng(5)
    for wave in range(5):
        change = np.zeros_like(best)
        change[:, 0, 0] = 0.02 * generator.normal() * np.cos(wave * model.nodes / 5 + generator.normal())
        control = (best + change).clip(0, 1)
        assert model.mean_cost(model.value(model.flow(control), control)) > lowest - 1e-7
    nodes = model.nodes[:3]
    assert np.array_equal(np.stack([dynamics.policy().table(t, 3) for t in nodes]), best[:3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cells": 100}, "it is for diffusion games, and SIR has finitely many states"),
        ({"horizon": "ergodic"}, "it is for diffusion games"),
        ({"initial_guess": "carefull"}, "option initial_guess: policy 'carefull'"),
        ({"policy": "nonsense"}, "policy 'nonsense'"),
    ],
)
def test_what_is_refused(options, message):
    """Catches options that are accepted and do nothing."""
    with pytest.raises(InputError, match=message):
        solved(problem_of(), **options)


@pytest.mark.parametrize("options", [{"policy": "social_optimum"}, {"social_optimum": True}])
def test_a_planner_needs_a_control(options):
    """Catches an optimum of nothing."""
    scenario = mesocosm.parse(SCENARIO.replace("END", "5").replace(", effort: {cost: 0.1, infection_cost: 1}", ""))
    with pytest.raises(InputError, match="agents choose nothing"):
        solved(mesocosm.build(scenario), **options)
