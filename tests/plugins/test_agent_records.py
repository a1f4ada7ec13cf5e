"""Agents on a contact graph: policies, costs, what is recorded, and what is refused."""

from __future__ import annotations

import gc
import multiprocessing
import weakref
from typing import ClassVar

import numpy as np
import pytest

from mesocosm import (
    Clock,
    ContactGraph,
    Context,
    Control,
    DynamicsError,
    FiniteStateGame,
    Game,
    InputError,
    Policy,
    Population,
    Problem,
    TabulatedPolicy,
    Transition,
    resolve_device,
)
from mesocosm_agents.dynamics import AgentBased
from mesocosm_agents.options import AgentBasedOptions
from mesocosm_agents.vectorised import VectorisedEngine
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import SIROptions

CERTAIN = 1e9
"""A rate at which every step infects."""


@pytest.fixture
def make():
    """A dynamics on a hand-made problem; `policy` is an option, or a policy that another dynamics found."""

    def build(game, graph, shares, *, end=4.0, policy="none", reports=None, **options):
        found = policy if isinstance(policy, Policy) else None
        problem = Problem(
            name="hand-made",
            seed=5,
            game=game,
            graph=graph,
            population=Population(graph.node_count, np.array(shares, float)),
            clock=Clock(end, 1.0),
            device=resolve_device("cpu"),
            precision="float64",
            draw=lambda replicate: graph,
        )
        context = Context(
            "agents",
            problem.streams("agents"),
            policy_of=lambda label: found,
            trajectories_of=lambda label: None,
            report=lambda *event: None if reports is None else reports.append(event),
        )
        chosen = {"replicates": 1, "policy": policy if found is None else {"from": "other"}} | options
        return AgentBased(problem, AgentBasedOptions(**chosen), context)

    return build


def play(dynamics):
    """The state at every save."""
    dynamics.check()
    dynamics.prepare()
    states = [dynamics.init()]
    for interval in dynamics.problem.clock.intervals():
        states.append(dynamics.advance(states[-1], interval))
    return states


def sir(beta, gamma=0.0, **effort):
    return SIR(SIROptions(beta=beta, gamma=gamma, effort=effort or None))


def ring(size, **attributes):
    nodes = np.arange(size)
    return ContactGraph.from_edges(size, nodes, (nodes + 1) % size, attributes=attributes)


class ByField(Policy):
    """Hide from any infected contact."""

    uses_field: ClassVar[bool] = True

    def control(self, t, row, state, field):
        return np.where((state == 0) & (field[..., 0] > 0), 0.0, 1.0)


class Shielding(FiniteStateGame):
    """Infected agents choose how much they expose to others."""

    states: ClassVar[tuple[str, ...]] = ("S", "I", "R")
    channels: ClassVar[tuple[str, ...]] = ("infected",)
    transitions = (Transition.induced("S", "I", rate=CERTAIN, channel="infected"),)
    control = Control("exposure", ("I",), 0.0, 1.0, neutral=1.0)

    def emission(self, t, state, control):
        return self.stack([(state == 1) * control], like=control)


@pytest.mark.parametrize("engine", ["step", "mesa"])
def test_constant_control_zero_stops_infection(make, engine):
    """Would catch a policy that is not applied to controlled transitions, or applied to all."""
    infected = {}
    for value in (0.0, 1.0):
        dynamics = make(sir(CERTAIN, 0.0, cost=1.0), ring(30), [0.5, 0.5, 0], policy={"constant": value}, engine=engine)
        infected[value] = int((play(dynamics)[-1].states == 1).sum())
    assert infected == {0.0: 15, 1.0: 30}


@pytest.mark.parametrize("engine", ["step", "mesa"])
def test_policy_that_looks_at_the_field(make, engine):
    """Would catch the field of another agent or step reaching the policy: whoever has an infected contact hides."""
    dynamics = make(sir(CERTAIN, 0.0, cost=1.0), ring(30), [0.9, 0.1, 0], policy=ByField(), engine=engine)
    states = play(dynamics)
    assert isinstance(dynamics._engine, VectorisedEngine) == (engine == "step")
    np.testing.assert_array_equal(states[0].states, states[-1].states)
    around = np.roll(states[0].states[0], 1) + np.roll(states[0].states[0], -1)
    share = (around[states[0].states[0] == 0] == 0).mean()
    np.testing.assert_allclose(dynamics.observe(states[-1])["control"], [[share, 1.0, 1.0]])


@pytest.mark.parametrize("engine", ["step", "mesa"])
def test_emission_that_changes_with_the_control_in_time(make, engine):
    """Would catch fields that are not renewed when a policy changes within an interval.

    On a ring nobody is exposed before time 1.5; then the infected spread by one contact to each side per step.
    """
    values = np.array([0.0, 0.0, 1.0, 1.0])[:, None, None] * np.ones((1, 3))
    policy = TabulatedPolicy(np.array([0, 1.49, 1.5, 9]), values, "homogeneous", ("all",), np.ones(1))
    dynamics = make(Shielding(), ring(20), [0.95, 0.05, 0], policy=policy, engine=engine, step=0.25)
    assert [int((state.states == 1).sum()) for state in play(dynamics)] == [1, 1, 5, 13, 20]


def test_rows_of_a_policy_follow_the_degrees(make):
    """Would catch agents that play the control of another type, in the compiled engine and in what is recorded."""
    star = ContactGraph.from_edges(5, [0, 0, 0, 0], [1, 2, 3, 4])
    values = np.zeros((2, 2, 3))
    values[:, 1] = 1.0
    policy = TabulatedPolicy(np.array([0.0, 9.0]), values, "degree", ("1", "4"), np.array([1.0, 4.0]))
    dynamics = make(sir(CERTAIN, 0.0, cost=1.0), star, [0.8, 0.2, 0], policy=policy, replicates=20, end=1.0)
    first, last = play(dynamics)
    hub_started = first.states[:, 0] == 1
    assert 0 < hub_started.sum() < 20
    np.testing.assert_array_equal((last.states == 1).sum(axis=1), np.where(hub_started, 1, 2))
    recorded = dynamics.observe(first)["control"]
    np.testing.assert_allclose(recorded[:, 0], np.where(hub_started, 0.0, 0.25))
    np.testing.assert_allclose(recorded[:, 1:], 1.0)


def test_control_of_an_empty_state_is_that_of_everyone(make):
    """Would catch NaN, or a mean over nobody, where no agent is in a state that chooses."""
    dynamics = make(sir(1.0, 0.0, cost=1.0), ring(6), [0, 1, 0], policy={"constant": 0.3})
    np.testing.assert_allclose(dynamics.observe(dynamics.init())["control"], [[0.3, 1.0, 1.0]])


@pytest.mark.parametrize("engine", ["step", "mesa"])
def test_cost_of_a_constant_policy(make, engine):
    """Would catch a wrong cost rate, step length, or average: without recovery or infection costs are constant.

    Closed form over T = 4: T (0.8 c_a/2 (1-a)^2 + 0.2 c_I), with a = 0.4, c_a = 2, c_I = 3.
    """
    game = sir(0.0, 0.0, cost=2.0, infection_cost=3.0)
    dynamics = make(game, ring(10), [0.8, 0.2, 0], policy={"constant": 0.4}, engine=engine, replicates=2)
    cost = dynamics.summary(play(dynamics)[-1])["cost"]
    assert cost.dims == ("replicate",)
    np.testing.assert_allclose(cost.values, 4 * (0.8 * 0.36 + 0.2 * 3.0), rtol=1e-12)


def test_cost_of_recovering_agents(make):
    """Would catch a cost that is counted at the wrong end of a step; statistical.

    All infected, recovery at 1 over T = 4 in steps of 0.25: the mean is the left sum of 0.25 e^(-t), 12 % above the
    integral and 28 % above the right sum. 200,000 agents: within 4 standard errors (0.2 %), so 1 % would be seen.
    """
    dynamics = make(sir(0.0, 1.0, cost=1.0, infection_cost=1.0), ring(2000), [0, 1, 0], replicates=100, step=0.25)
    cost = dynamics.summary(play(dynamics)[-1])["cost"].values
    expected = 0.25 * np.exp(-0.25 * np.arange(16)).sum()
    error = cost.std(ddof=1) / 10
    assert abs(cost.mean() - expected) < 4 * error
    assert 4 * error < 0.01 * expected


class Exposure(SIR):
    """Everyone pays the field they receive, and twice that at the end."""

    has_costs: ClassVar[bool] = True

    def running_cost(self, t, state, field, control):
        return field[..., 0]

    def terminal_cost(self, state, field):
        return 2 * field[..., 0] * (state == 0)


@pytest.mark.parametrize("engine", ["step", "mesa"])
@pytest.mark.parametrize("kind", ["ring", "complete"])
def test_costs_that_depend_on_the_field(make, engine, kind):
    """Would catch costs that see no field, or another step's; nothing moves, so the field is constant."""
    graph = ring(10) if kind == "ring" else ContactGraph.complete(10)
    dynamics = make(Exposure(SIROptions(beta=0, gamma=0)), graph, [0.8, 0.2, 0], engine=engine, replicates=3)
    last = play(dynamics)[-1]
    infected = (last.states == 1).astype(float)
    field = graph.neighbour_sum(infected)
    expected = 4 * field.mean(axis=1) + 2 * (field * (1 - infected)).mean(axis=1)
    np.testing.assert_allclose(dynamics.summary(last)["cost"].values, expected, rtol=1e-12)


@pytest.mark.parametrize("engine", ["step", "mesa"])
@pytest.mark.parametrize(("value", "general"), [(np.nan, False), (-1.0, False), (np.nan, True), (-1.0, True)])
def test_intensities_that_are_not_rates_are_refused(make, engine, value, general):
    """Would catch a run that goes on with NaN or a negative intensity: the error names label, time and transition."""

    class Broken(SIR):
        def emission(self, t, state, control):
            return self.stack([np.where((state == 1) & (t > 2.05), value, 0.0)], like=control)

    game = Broken(SIROptions(beta=1.0, gamma=0.0))
    if general:
        game.transitions = (Transition.general("S", "I", lambda t, field, control: field[..., 0]),)
    dynamics = make(game, ring(10), [0.5, 0.5, 0], engine=engine)
    with pytest.raises(DynamicsError, match=r"'agents' at time 2\.1: the intensity of S -> I is (nan|-[12])"):
        play(dynamics)


def test_what_is_recorded(make):
    """Would catch wrong names, shapes or shares: groups of 3 and 1, the group of 1 infected."""
    graph = ring(4, group=np.array(["b", "a", "b", "b"]))
    dynamics = make(sir(0.0), graph, [0.5, 0.25, 0.25], replicates=3)
    last = play(dynamics)[-1]
    seen = dynamics.observe(last)
    assert set(seen) == set(dynamics.dimensions()) == {"occupancy", "group_occupancy"}
    assert dynamics.dimensions()["group_occupancy"] == ("replicate", "group", "state")
    assert dynamics.coordinates() == {"group": ("a", "b")}
    np.testing.assert_allclose(seen["occupancy"], np.tile([0.5, 0.25, 0.25], (3, 1)))
    for replicate in range(3):
        np.testing.assert_allclose(seen["group_occupancy"][replicate, 0], np.eye(3)[last.states[replicate, 1]])
    whole = (seen["group_occupancy"] * np.array([1, 3])[:, None] / 4).sum(axis=1)
    np.testing.assert_allclose(whole, seen["occupancy"])
    summary = dynamics.summary(last)
    assert set(summary) == {"final_size"}
    np.testing.assert_allclose(summary["final_size"].values, 0.5)


def test_progress_ends_at_one(make):
    """Would catch progress that is missing, goes back, or floods: at most 100 reports."""
    reports = []
    play(make(sir(0.1), ring(5), [0.8, 0.2, 0], end=500.0, step=1.0, reports=reports))
    fractions = [fraction for phase, fraction, _ in reports if phase == "advance"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert len(fractions) == 100


class NoStates(Game):
    """A game that is not finite-state."""


@pytest.mark.parametrize(
    ("game", "options", "message"),
    [
        (NoStates(), {}, "finite-state game"),
        (sir(1.0), {"policy": {"constant": 0.5}}, "no control"),
        (sir(1.0), {"policy": {"from": "nash"}}, "no control"),
        (sir(1.0, cost=1.0), {"policy": {"constant": 1.5}}, "between 0 and 1"),
        (sir(1.0), {"engine": "mesa"}, "at most 2000"),
    ],
    ids=["game", "constant", "from", "range", "mesa"],
)
def test_problems_that_cannot_be_run_are_refused(make, game, options, message):
    """Would catch a wrong problem that is only found, or never found, while it runs."""
    with pytest.raises(InputError, match=message):
        make(game, ContactGraph.complete(2001), [1.0, 0, 0], **options).check()


def test_mesa_leaves_nothing_behind(make):
    """Would catch models kept alive by Mesa, and the start method of multiprocessing that importing it sets."""
    before = multiprocessing.get_start_method(allow_none=True)
    dynamics = make(sir(1.0), ring(5), [0.8, 0.2, 0], engine="mesa")
    play(dynamics)
    assert multiprocessing.get_start_method(allow_none=True) == before
    model = weakref.ref(dynamics._engine._model(0))
    del dynamics
    gc.collect()
    assert model() is None
