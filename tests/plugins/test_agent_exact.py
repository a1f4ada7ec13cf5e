"""The exact engine: what it takes and refuses, costs, windows, and its queue."""

from __future__ import annotations

import itertools
from typing import ClassVar

import numpy as np
import pytest

from mesocosm import (
    Clock,
    ContactGraph,
    Context,
    InputError,
    Policy,
    Population,
    Problem,
    TabulatedPolicy,
    Transition,
    no_control,
    resolve_device,
)
from mesocosm_agents.contacts import Graphs
from mesocosm_agents.dynamics import AgentBased
from mesocosm_agents.engine import Play, Stretch
from mesocosm_agents.exact import ExactEngine, suits
from mesocosm_agents.exact_queue import push, take_first
from mesocosm_agents.options import AgentBasedOptions
from mesocosm_games.epidemics import SIR, SIS
from mesocosm_games.options import EffortOptions, SIROptions, SISOptions


def sir(beta, gamma=0.0, **effort):
    return SIR(SIROptions(beta=beta, gamma=gamma, effort=EffortOptions(**effort) if effort else None))


def random_graph(size, edges, seed, weights=False):
    rng = np.random.default_rng(seed)
    pairs = np.unique(np.sort(rng.integers(0, size, (edges, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    values = rng.random(len(pairs)) + 0.1 if weights else None
    return ContactGraph.from_edges(size, pairs[:, 0], pairs[:, 1], values)


def make_problem(game, graph, shares=(0.8, 0.2, 0.0), end=4.0, seed=5):
    population = Population(graph.node_count, np.array(shares[: len(game.states)]))
    clock = Clock(end, 1.0)
    return Problem("exact", seed, game, graph, population, clock, resolve_device("cpu"), "float64", lambda _: graph)


def make(game, graph, shares=(0.8, 0.2, 0.0), end=4.0, seed=5, **options):
    """The dynamics with the engine `exact`, unless said otherwise."""
    problem = make_problem(game, graph, shares, end, seed)
    context = Context("agents", problem.streams("agents"), lambda label: None, lambda label: None)
    return AgentBased(problem, AgentBasedOptions(**({"replicates": 1, "engine": "exact"} | options)), context)


def play(dynamics):
    """The state at every save."""
    dynamics.check()
    states = [dynamics.init()]
    for interval in dynamics.problem.clock.intervals():
        states.append(dynamics.advance(states[-1], interval))
    return states


def engine_of(game, graph, policy=None, step=0.1):
    problem = make_problem(game, graph)
    policy = policy or no_control(game)
    return ExactEngine(Play(game, policy, Graphs(problem, policy, False), problem.streams("agents"), step))


@pytest.mark.parametrize("normalise", ["sum", "mean"])
def test_isolated_agents_are_never_infected_and_zero_rates_freeze(normalise):
    """Would catch contacts of the wrong node, a division by a degree of zero, and jumps at rate zero."""

    class Averaging(SIR):
        pass

    Averaging.normalise = normalise
    graph = ContactGraph.from_edges(6, [0, 1], [1, 2])
    engine = engine_of(Averaging(SIROptions(beta=500.0, gamma=0)), graph)
    held = np.array([[1, 0, 0, 0, 0, 2]], np.int8)
    engine.advance(held, np.array([0]), Stretch(0, 0.0, 1.0))
    np.testing.assert_array_equal(held[0], [1, 1, 1, 0, 0, 2])
    frozen = engine_of(sir(0.0), graph)
    frozen.advance(held, np.array([0]), Stretch(0, 0.0, 100.0))
    np.testing.assert_array_equal(held[0], [1, 1, 1, 0, 0, 2])


def test_same_seed_same_bytes_and_replicates_do_not_depend_on_their_number():
    """Would catch randomness from elsewhere, streams shared between replicates, and state carried outside the state."""
    graph, game = random_graph(300, 900, 4, weights=True), sir(0.5, 0.3, cost=1.0)

    def run(replicates, seed=5):
        states = play(make(game, graph, replicates=replicates, seed=seed))
        return np.stack([state.states for state in states]), np.stack([state.cost for state in states])

    first, cost = run(5)
    again, cost_again = run(5)
    assert first.tobytes() == again.tobytes()
    assert cost.tobytes() == cost_again.tobytes()
    np.testing.assert_array_equal(first[:, :2], run(2)[0])
    assert (first != run(5, seed=6)[0]).any()
    assert (first[-1, 0] != first[-1, 1]).any()
    dynamics = make(game, graph, replicates=2)
    states, intervals = play(dynamics), list(dynamics.problem.clock.intervals())
    restarted = make(game, graph, replicates=2)
    resumed = restarted.advance(restarted.unpack(dynamics.pack(states[2])), intervals[2])
    assert resumed.states.tobytes() == states[3].states.tobytes()
    np.testing.assert_array_equal(resumed.cost, states[3].cost)


def test_costs_are_integrated_exactly():
    """Would catch a Riemann sum, a cost rate of the wrong state, and time lost after the last jump.

    100,000 infected agents that only recover pay c (1 - exp(-gamma T)) / gamma on average; the standard error is 0.3 %.
    With steps of the save interval the sum would be off by 20 %. Nobody recovers: c T to rounding, in several pieces too.
    """
    alone = ContactGraph.from_edges(100_000, [], [])
    last = play(make(sir(0.1, 0.5, infection_cost=2.0), alone, (0.0, 1.0, 0.0)))[-1]
    expected = 2.0 * (1 - np.exp(-0.5 * 4.0)) / 0.5
    assert abs(last.cost[0] - expected) < 4 * 0.003 * expected
    few = random_graph(50, 100, 1)
    for game in (sir(0.1, 0.0, infection_cost=2.0), _Seasonal(2.0)):
        assert play(make(game, few, (0.0, 1.0, 0.0)))[-1].cost[0] == pytest.approx(8.0, rel=1e-12)


class _Seasonal(SIR):
    """Infection that depends on the time of year."""

    varies_in_time: ClassVar[bool] = True

    def __init__(self, cost):
        super().__init__(SIROptions(beta=1.0, gamma=0.0, effort=EffortOptions(infection_cost=cost)))

    def emission(self, t, state, control):
        return super().emission(t, state, control) * (t >= 2.0)


def test_what_varies_in_time_is_held_over_pieces():
    """Would catch emissions of the wrong piece: nobody is infected before time 2, when emission begins."""
    graph = random_graph(500, 2000, 2)
    states = play(make(_Seasonal(1.0), graph, (0.9, 0.1, 0.0), step=0.5))
    infected = [int((state.states == 1).sum()) for state in states]
    assert infected[:3] == [50, 50, 50]
    assert infected[3] > 200


def test_a_game_that_varies_without_saying_so_is_refused():
    """Would catch a run with the emission of the start of each interval instead."""

    class Silent(_Seasonal):
        varies_in_time = False

        def emission(self, t, state, control):
            return SIR.emission(self, t, state, control) * (1.0 + t)

    with pytest.raises(InputError, match="varies_in_time"):
        play(make(Silent(1.0), random_graph(20, 40, 2)))


def test_policies_in_time_are_held_over_pieces():
    """Would catch a control of the wrong time: contacts are cut from time 2 on, where a piece begins."""
    game = sir(2.0, 0.0, minimum=0.0)
    values = np.ones((4, 1, 3))
    values[2:, 0, 0] = 0.0
    policy = TabulatedPolicy(np.array([0.0, 1.999999, 2.0, 9.0]), values, "homogeneous", ("all",), np.zeros(1))
    engine = engine_of(game, random_graph(300, 900, 2), policy, step=0.5)
    held = np.zeros((1, 300), np.int8)
    held[0, :3] = 1
    seen = [3]
    for index in range(4):
        engine.advance(held, np.array([0]), Stretch(index, float(index), index + 1.0))
        seen.append(int((held == 1).sum()))
    assert seen[0] < seen[1] < seen[2] == seen[3] == seen[4] < 300


class _General(SIR):
    def __init__(self):
        super().__init__(SIROptions(beta=0.3, gamma=0.1))
        self.transitions = (Transition.general("S", "I", lambda t, field, control: field[..., 0] ** 2),)


class _Soothing(SIR):
    """Recovered contacts lower the field."""

    def __init__(self):
        super().__init__(SIROptions(beta=0.3, gamma=0.1))

    def emission(self, t, state, control):
        return self.stack([1.0 * (state == 1) - 0.1 * (state == 2)], like=control)


@pytest.mark.parametrize(("game", "words"), [(_General(), "functions of its own"), (_Soothing(), "emission")])
def test_what_it_cannot_run_is_refused_by_name(game, words):
    """Would catch a run by another law than the one asked for; `auto` takes steps instead."""
    graph = random_graph(20, 40, 2)
    with pytest.raises(InputError, match=words) as error:
        make(game, graph).check()
    assert "engine" in str(error.value)
    automatic = make(game, graph, engine="auto")
    automatic.check()
    assert not isinstance(automatic.init().cohorts[0].engine, ExactEngine)


class _Watchful(Policy):
    uses_field: ClassVar[bool] = True

    def control(self, t, row, state, field):
        return np.ones(np.broadcast_shapes(np.shape(row), np.shape(state)))


def test_auto_is_exact_where_that_needs_no_steps():
    """Would catch a default that loses the exact engine, or takes it where a policy, a cost or a step needs time steps."""
    graph, game = random_graph(20, 40, 2), sir(0.3, 0.1, cost=1.0)
    assert isinstance(make(game, graph, engine="auto").init().cohorts[0].engine, ExactEngine)
    assert not isinstance(make(game, graph, engine="auto", step=0.1).init().cohorts[0].engine, ExactEngine)
    assert not isinstance(make(game, graph, engine="step").init().cohorts[0].engine, ExactEngine)
    tables = TabulatedPolicy(np.array([0.0, 4.0]), np.ones((2, 1, 3)), "homogeneous", ("all",), np.zeros(1))
    assert suits(engine_of(game, graph).play)
    assert not suits(engine_of(game, graph, tables).play)
    assert not suits(engine_of(game, graph, _Watchful()).play)
    assert not suits(engine_of(_Seasonal(1.0), graph).play)
    assert not suits(engine_of(_Crowded(), graph).play)
    assert not suits(engine_of(sir(1e9), graph).play)


class _Crowded(SIR):
    """What the infected pay grows with the number of infected contacts."""

    def __init__(self):
        super().__init__(SIROptions(beta=0.0, gamma=0.0, effort=EffortOptions()))

    def running_cost(self, t, state, field, control):
        return field[..., 0] * (state == 1)


def test_costs_that_need_the_field_are_summed_over_pieces():
    """Would catch a field of the wrong agents: nobody moves, so that the sum is exact."""
    graph = random_graph(60, 150, 3, weights=True)
    states = play(make(_Crowded(), graph, (0.5, 0.5, 0.0)))
    infected = states[0].states[0] == 1
    expected = 4.0 * (infected @ (graph.adjacency @ infected)) / 60
    assert states[-1].cost[0] == pytest.approx(expected, rel=1e-12)


def test_many_attempts_at_once_need_no_more_room_than_there_is():
    """Would catch events lost or doubled when the queue grows: all pairs written out with weight 1/(N-1), against the
    implicit complete graph. 400 agents, 60 replicates: the mean share infected within 4 standard errors of 0.007."""
    game = SIS(SISOptions(beta=60.0, gamma=30.0))
    pairs = np.array(list(itertools.combinations(range(400), 2)))
    written = ContactGraph.from_edges(400, pairs[:, 0], pairs[:, 1], np.full(len(pairs), 1 / 399))
    shares = []
    for graph in (written, ContactGraph.complete(400)):
        states = play(make(game, graph, (0.5, 0.5), end=2.0, replicates=60))
        shares.append((states[-1].states == 1).mean(axis=1))
    error = np.sqrt(sum(share.var() / 60 for share in shares))
    assert error < 0.008
    assert abs(shares[0].mean() - shares[1].mean()) < 4 * error


def test_one_visit_may_need_the_queue_to_grow():
    """Would catch attempts that are drawn twice or not at all where the queue grows in the middle of an agent's visit.

    A hub infects 20,000 leaves at rate beta each, and makes more attempts than the queue first holds: a leaf stays
    susceptible until T with the chance exp(-beta T); a doubled first half is off by 40 standard errors."""
    leaves, beta = 20_000, 0.25
    graph = ContactGraph.from_edges(leaves + 1, np.zeros(leaves, int), np.arange(1, leaves + 1))
    held = np.zeros((1, leaves + 1), np.int8)
    held[0, 0] = 1
    engine_of(sir(beta), graph).advance(held, np.array([0]), Stretch(0, 0.0, 1.0))
    chance = np.exp(-beta)
    assert abs((held == 0).sum() - leaves * chance) < 5 * np.sqrt(leaves * chance * (1 - chance))


def test_the_queue_gives_events_back_in_order():
    """Would catch a heap out of order, events of a later bucket before those of an earlier one, and slots used twice."""
    generator, buckets = np.random.default_rng(3), 16
    slots, near, head = np.empty((600, 3)), np.empty(600, np.int32), np.full(buckets, -1, np.int32)
    place, nobody = np.array([-1, 0, -1, 0, 0, 0]), np.zeros(0, np.int32)
    waiting = generator.random(300) * buckets
    for code, time in enumerate(waiting):
        push(slots, near, head, place, time, code, 0, nobody)
    expected, now, taken = dict(enumerate(waiting.tolist())), 0.0, 0
    while True:
        slot = take_first(slots, near, head, place)
        if slot < 0:
            break
        time, code = slots[slot, 0], int(slots[slot, 1])
        assert time == expected.pop(code) == min([time, *expected.values()])
        assert time >= now
        now, taken = time, taken + 1
        if taken < 1000:
            later = now + generator.random() * (buckets - now)
            push(slots, near, head, place, later, 1000 + taken, 0, nobody)
            expected[1000 + taken] = later
    assert not expected
    assert taken == 1299
    assert place[1] <= 301
