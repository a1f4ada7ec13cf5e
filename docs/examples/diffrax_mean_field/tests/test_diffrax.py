"""The equations in JAX: the solution of classical_mfg, float64 inside only, and clear refusals."""

import gc
import weakref
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

import mesocosm
from mesocosm import DynamicsError, FiniteStateGame, InputError, Transition

PROBLEM = """
mesocosm: 1
name: test
seed: 1
time: {end: 20, save_every: 2}
population: {size: 400, initial: {I: 0.05}}
graph: {kind: configuration, degrees: {poisson: 6}}
game: {kind: seir, beta: 0.1, sigma: 0.5, gamma: 0.2}
dynamics:
  jax: {kind: diffrax_mean_field, closure: CLOSURE}
  numpy: {kind: classical_mfg, closure: CLOSURE, step: 0.05}
"""


class Opinions(FiniteStateGame):
    """Averages over contacts, two channels, an intensity that is a function, and one that changes with time."""

    states = ("no", "maybe", "yes")
    channels = ("yes", "no")
    normalise = "mean"

    def __init__(self, last=lambda t, field, control: 0.1 + 0.05 * t + 0.0 * control):
        self.transitions = (
            Transition.general("no", "maybe", lambda t, field, control: 0.2 + field[..., 0] ** 2),
            Transition.induced("maybe", "yes", rate=0.8, channel="yes"),
            Transition.induced("maybe", "no", rate=0.5, channel="no"),
            Transition.general("yes", "maybe", last),
        )

    def emission(self, t, state, control):
        return self.stack([1.0 * (state == 2), 1.0 * (state == 0)], like=control)


def problem_and_makers(closure="degree", game=None):
    """The problem, with another game where one is given, and what makes both dynamics."""
    scenario = mesocosm.parse(PROBLEM.replace("CLOSURE", closure))
    problem = mesocosm.build(scenario)
    if game is not None:
        shares = mesocosm.Population(problem.graph.node_count, np.array([0.5, 0.2, 0.3]))
        problem = replace(problem, game=game, population=shares)
    return problem, mesocosm.makers_of(scenario)


@pytest.mark.parametrize(("closure", "game"), [("homogeneous", None), ("degree", Opinions())])
def test_it_is_the_solution_of_classical_mfg(closure, game):
    """Catches a term of the equations that is missing, float32, and a cache of JAX that holds on to what is done."""
    problem, makers = problem_and_makers(closure, game)
    made = []

    def maker(problem, context):
        dynamics = makers["jax"](problem, context)
        made.append(weakref.ref(dynamics))
        return dynamics

    found = mesocosm.simulate(problem, {"jax": maker, "numpy": makers["numpy"]})
    ours, theirs = found["jax"].array("occupancy"), found["numpy"].array("occupancy")
    assert np.ptp(theirs[0, :, 0]) > 0.05
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-8)
    assert jnp.ones(1).dtype == np.float32  # the precision of everyone else is as it was
    gc.collect()
    assert made[0]() is None


def test_a_game_that_cannot_be_traced():
    """Catches an error from deep within JAX in place of one that says what to do."""

    def branch(t, field, control):
        return 0.0 * control + (1.0 if t > 3 else 0.5)

    problem, makers = problem_and_makers(game=Opinions(branch))
    with pytest.raises(InputError, match=r"operations that JAX can trace.*use classical_mfg"):
        mesocosm.simulate(problem, {"jax": makers["jax"]})


@pytest.mark.parametrize("value", [np.nan, -0.1, np.inf])
def test_an_intensity_that_is_none(value):
    """Catches a solver that takes ever smaller steps, or that carries a negative rate on."""
    problem, makers = problem_and_makers(game=Opinions(lambda t, field, control: value + 0.0 * control))
    with pytest.raises(DynamicsError, match=r"the intensity of yes -> maybe is"):
        mesocosm.simulate(problem, {"jax": makers["jax"]})
