"""`classical_mfg` on diffusion games: what it refuses, records, and finds by every method.

Catches options that are silently ignored, a policy that loses something on its way to another dynamics, methods that end at
different points, and an equilibrium that is one in name only.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from mesocosm import (
    Axis,
    Clock,
    ConstantControl,
    ContactGraph,
    Context,
    Control,
    DiffusionGame,
    GridPolicy,
    InputError,
    Interval,
    Normal,
    Population,
    Problem,
    Trajectories,
    Uniform,
    resolve_device,
    simulate,
)
from mesocosm_mfg.classical import ClassicalMFG
from mesocosm_mfg.diffusion import DiffusionMFG
from mesocosm_mfg.options import ClassicalMFGOptions


class Flock(DiffusionGame):
    """Keep to the mean of the others, at a price for steering; the pull of the field can be felt by its strength."""

    channels = ("mean",)
    normalise = "mean"
    axes = (Axis("x", -5.0, 5.0, "open", "open"),)
    control = Control("steering", (), -10.0, 10.0, neutral=0.0)
    start = Normal((1.0,), (0.5,))
    target = 0.0

    def drift(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return control

    def noise(self, t: Any, state: Any, field: Any) -> Any:
        return 0.3 + 0.0 * state

    def emission(self, t: Any, state: Any, control: Any) -> Any:
        return state

    def running_cost(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return (0.5 * control**2 + 0.5 * (state - field) ** 2 + 0.5 * (state - self.target) ** 2)[..., 0]

    def best_control(self, t: Any, state: Any, field: Any, gradient: Any) -> Any:
        return (-gradient).clip(-10.0, 10.0)


class Spreading(Flock):
    """A monotone game of local density on a circle."""

    channels = ("density",)
    interaction = "density"
    axes = (Axis("x", 0.0, 1.0, "periodic", "periodic"),)
    start = Normal((0.5,), (0.1,))

    def running_cost(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return 0.5 * control[..., 0] ** 2 + field[..., 0]


class Drifting(Flock):
    """A flock with a common noise, that only looks at differences and is pushed along."""

    moves_with = "mean"
    common = "gusts"

    def drift(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return 0.8 + control

    def running_cost(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return (0.5 * control**2 + 0.5 * (state - field) ** 2)[..., 0]


COARSE: dict[str, Any] = {"cells": 60, "step": 0.02}


def problem_of(game: DiffusionGame, end: float = 1.0, graph: ContactGraph | None = None) -> Problem:
    graph = graph or ContactGraph.complete(50)
    population = Population(graph.node_count, np.zeros(0))
    clock, device = Clock(end, end / 10), resolve_device("cpu")
    return Problem("test", 1, game, graph, population, clock, device, "float64", lambda _: graph)


def made(game: DiffusionGame, graph: ContactGraph | None = None, **options: Any) -> DiffusionMFG:
    problem = problem_of(game, graph=graph)
    found = ClassicalMFG(problem, ClassicalMFGOptions(**options), Context("nash", problem.streams("nash")))
    assert isinstance(found, DiffusionMFG)
    found.check()
    return found


def solved(game: DiffusionGame, end: float = 1.0, **options: Any) -> Trajectories:
    maker = ClassicalMFG.bind(ClassicalMFGOptions(**COARSE, **options))
    return simulate(problem_of(game, end), {"nash": maker})["nash"]


@cache
def unique(game: type[DiffusionGame]) -> Trajectories:
    """The equilibrium of a game, closely."""
    return solved(game(), tolerance=1e-9)


@pytest.mark.parametrize("method", ["picard", "anderson", "newton", "fictitious_play"])
@pytest.mark.parametrize("game", [Flock(), Spreading()], ids=["flock", "spreading"])
def test_methods_agree(method: str, game: DiffusionGame) -> None:
    """Every method ends at the same unique equilibrium, with exploitability below 1e-4 of the value at every one."""
    # Fictitious play converges like 1/n: it is asked for less.
    tolerance = 3e-3 if method == "fictitious_play" else 1e-7
    found = solved(game, method=method, tolerance=tolerance, iterations=400)
    reference = unique(type(game))
    assert found.array("converged") == 1
    assert found.array("residual")[-1] < tolerance
    assert len(found.array("residual")) == found.array("iterations")
    assert found.array("exploitability_by_iteration").shape == found.array("residual").shape
    assert abs(found.array("exploitability")) < 1e-4 * found.array("value")
    assert found.array("exploitability_by_iteration")[0] > 1e-3 * found.array("value")
    assert found.array("value") == pytest.approx(float(reference.array("value")), rel=1e-3)


def test_converged_is_honest() -> None:
    found = solved(Spreading(), iterations=2)
    assert found.array("converged") == 0
    assert len(found.array("residual")) == 2


def test_linear_quadratic_value() -> None:
    """A flock at its target: u = eta x^2/2 + s with eta' = eta^2 - 2, s = sigma^2/2 int eta; eta = sqrt 2 tanh(sqrt 2 t)."""
    game = Flock()
    game.start = Normal((0.0,), (0.5,))
    found = simulate(problem_of(game), {"nash": ClassicalMFG.bind(ClassicalMFGOptions())})["nash"]
    bend = np.sqrt(2) * np.tanh(np.sqrt(2))
    exact = 0.5 * bend * 0.25 + 0.5 * 0.09 * np.log(np.cosh(np.sqrt(2)))
    assert found.array("value") == pytest.approx(exact, rel=1e-3)
    places = np.array(found.coordinates["x"])
    near = np.abs(places) < 1.5
    assert found.array("policy_map")[0, near, 0] == pytest.approx(-bend * places[near], rel=2e-3, abs=1e-3)
    assert found.variables["value_function"].dims == ("time", "x")
    assert found.variables["policy_map"].dims == ("time", "x", "axis")
    assert found.array("value_function").shape == (11, 60)


def test_policies_cost_more_than_nash() -> None:
    """A deviation costs more against the flow of the equilibrium, and what is given is exploitable."""
    game = Flock()
    given = solved(game, policy=ConstantControl(constant=-0.4))
    assert given.array("exploitability") > 0.05 * given.array("value")
    assert "residual" not in given.variables
    assert given.array("mean")[0, -1, 0] == pytest.approx(1 - 0.4, abs=1e-6)
    none = solved(game, policy="none")
    assert none.array("mean")[0, -1, 0] == pytest.approx(1.0, abs=1e-6)


def test_policy_round_trip() -> None:
    """The policy that it found, played in the same mean field, costs what it costs, and is not exploitable."""
    nash = made(Flock(), **COARSE)
    nash.prepare()
    policy = nash.policy()
    assert isinstance(policy, GridPolicy)
    flow = nash.model.flow(policy)
    np.testing.assert_allclose(flow.control, nash.flow.control, atol=1e-12)
    assert nash.model.exploitability(flow, flow.control) == pytest.approx(0.0, abs=1e-8)


def test_policy_that_moves_with_the_mean() -> None:
    """The population is pushed along; its policy stands relative to the mean of contacts, so it steers nowhere there."""
    nash = made(Drifting(), cells=200, step=0.01)
    nash.prepare()
    policy = nash.policy()
    assert isinstance(policy, GridPolicy)
    assert (policy.channel, policy.origin) == (0, pytest.approx(1.0, abs=1e-9))
    assert nash.flow.field[-1, 0] > 1.5
    row = np.zeros(1, np.int64)
    for mean in (-2.0, 0.0, 1.3):
        here: Any = np.array([[mean], [mean + 0.4]])
        control = policy.control(0.7, row, here, np.array([[mean], [mean]]))
        assert control[0, 0] == pytest.approx(0.0, abs=2e-3)
        assert control[1, 0] == pytest.approx(-0.4 * np.tanh(0.3), abs=3e-3)


def test_mean_degree_multiplies_the_field() -> None:
    """A ring with two contacts each: a game that sums over contacts receives twice the mean."""

    class Summing(Flock):
        normalise = "sum"

    ring = ContactGraph.from_edges(6, [0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 0])
    assert made(Summing(), graph=ring).model.strength == 2
    assert made(Summing()).model.strength == 1
    assert made(Flock(), graph=ring).model.strength == 1


def test_continuation_and_initial_guess_reach_the_same_point() -> None:
    plain = unique(Spreading)
    for options in ({"continuation": 3}, {"initial_guess": ConstantControl(constant=2.0)}):
        found = solved(Spreading(), **options)
        assert found.array("value") == pytest.approx(float(plain.array("value")), rel=1e-6)
        assert found.array("converged") == 1


@pytest.mark.slow
def test_ergodic_is_where_time_leads() -> None:
    """Without control, the stationary population is that of a long time; with it, the average cost is what long runs add."""
    stationary = solved(Spreading(), horizon="ergodic", policy="none")
    assert stationary.array("density")[0, -1] == pytest.approx(np.ones(60), rel=1e-6)
    assert stationary.array("value") == pytest.approx(1.0, rel=1e-9)

    class Hill(Spreading):
        def running_cost(self, t: Any, state: Any, field: Any, control: Any) -> Any:
            return super().running_cost(t, state, field, control) + 2 * np.cos(2 * np.pi * state[..., 0])

    average = solved(Hill(), horizon="ergodic")
    long, longer = solved(Hill(), end=3.0, tolerance=1e-5), solved(Hill(), end=4.0, tolerance=1e-5)
    gained = float(longer.array("value")) - float(long.array("value"))
    assert average.array("value") == pytest.approx(gained, rel=1e-3)
    assert average.array("ergodic_constant") == -average.array("value")


def test_two_dimensions() -> None:
    """A separable game: the value in 2-D is the sum of those of the axes."""

    class Square(DiffusionGame):
        channels = ("nothing",)
        normalise = "mean"
        axes = (Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
        control = Control("a", (), -20.0, 20.0, neutral=0.0)
        start = Uniform((0.0, 0.0), (1.0, 1.0))

        def drift(self, t: Any, state: Any, field: Any, control: Any) -> Any:
            return control

        def noise(self, t: Any, state: Any, field: Any) -> Any:
            return 0.8 + 0.0 * state

        def emission(self, t: Any, state: Any, control: Any) -> Any:
            return 0.0 * state[..., :1]

        def running_cost(self, t: Any, state: Any, field: Any, control: Any) -> Any:
            return 0.5 * (control**2).sum(axis=-1)

        def terminal_cost(self, t: Any, state: Any, field: Any, signals: Any) -> Any:
            return -0.64 * np.log(1 + 0.8 * np.cos(np.pi * state)).sum(axis=-1)

        def best_control(self, t: Any, state: Any, field: Any, gradient: Any) -> Any:
            return -gradient

    found = simulate(problem_of(Square(), 0.5), {"nash": ClassicalMFG.bind(ClassicalMFGOptions())})["nash"]
    x = np.array(found.coordinates["x"])
    part = -0.64 * np.log(1 + 0.8 * np.exp(-0.32 * np.pi**2 * 0.5) * np.cos(np.pi * x))
    assert found.array("value_function").shape == (11, 24, 24)
    exact = part[:, None] + part[None, :]
    assert found.array("value_function")[0] == pytest.approx(exact, abs=1e-3 * np.ptp(exact))
    assert found.array("policy_map").shape == (11, 24, 24, 2)


def test_resume() -> None:
    """A state comes back from its arrays, and what is observed is the same."""
    nash = made(Flock(), **COARSE)
    nash.prepare()
    state = nash.advance(nash.init(), Interval(0, 0.0, 0.1))
    again = nash.unpack(nash.pack(state))
    for name, values in nash.observe(state).items():
        np.testing.assert_array_equal(values, nash.observe(again)[name])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"closure": "degree"}, "homogeneous"),
        ({"degrees": "law"}, "mean degree"),
        ({"group": "school"}, "homogeneous"),
        ({"method": "mirror_descent"}, "finite states"),
        ({"social_optimum": True}, "finite states"),
        ({"horizon": "ergodic"}, "nobody leaves"),
        ({"policy": "unheard_of"}, "unheard_of"),
        ({"policy": ConstantControl(constant=99.0)}, "between -10 and 10"),
        ({"initial_guess": "unheard_of"}, "unheard_of"),
        ({"step": 1e-9}, "at most"),
    ],
    ids=str,
)
def test_refusals(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        made(Flock(), **options)


def test_common_noise_is_refused() -> None:
    class Gusty(Flock):
        common = "gusts"

    with pytest.raises(InputError, match="common noise"):
        made(Gusty())


def test_nash_without_a_choice_is_refused() -> None:
    class Idle(Flock):
        control = None

    with pytest.raises(InputError, match="agents choose nothing"):
        made(Idle(), policy="nash")


def test_narrow_box_is_refused() -> None:
    class Narrow(Flock):
        axes = (Axis("x", 0.0, 2.0, "open", "open"),)

    nash = made(Narrow(), **COARSE)
    with pytest.raises(InputError, match="widen the box"):
        nash.prepare()
