"""Agents in a box: fields, walls, exits, costs, what is refused, and that replicates and resumed runs repeat bit for bit.

Would catch a field of the wrong contacts, agents that go on emitting or paying after they left, noise that is shared where
it should not be, and random numbers that depend on how many replicates run.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from mesocosm import (
    Axis,
    Clock,
    ContactGraph,
    Context,
    Control,
    DiffusionGame,
    Door,
    DynamicsError,
    Feedback,
    InputError,
    Point,
    Policy,
    Population,
    Problem,
    Uniform,
    resolve_device,
)
from mesocosm_agents import contacts as contacts_module
from mesocosm_agents.dynamics import AgentBased
from mesocosm_agents.options import AgentBasedOptions
from mesocosm_agents.walls import Walls

EXACT = 1e-12


class Line(DiffusionGame):
    """dX = (b + a) dt + sigma dW on [-4, 0]; everyone emits its place; costs 1 per unit time, 10 + t on leaving, s inside."""

    channels: ClassVar[tuple[str, ...]] = ("place",)
    normalise: ClassVar[str] = "mean"
    signals: ClassVar[tuple[str, ...]] = ("half",)
    control = Control("speed", (), -5.0, 5.0, neutral=0.0)

    def __init__(self, start=-1.0, speed=0.0, noise=0.0, sides=("open", "absorbing"), common=0.0):
        self.start = start if not isinstance(start, float) else Point((start,))
        self.axes = (Axis("x", -4.0, 0.0, *sides),)
        self.speed, self.sigma, self.sigma0 = speed, noise, common
        self.common = "weather" if common else None

    def drift(self, t, state, field, control):
        return self.speed + control

    def noise(self, t, state, field):
        return self.sigma + 0.0 * state

    def common_noise(self, t, state, field):
        return self.sigma0 + 0.0 * state

    def emission(self, t, state, control):
        return state + 100.0 * control

    def running_cost(self, t, state, field, control):
        return 1.0 + 0.0 * state[..., 0]

    def exit_cost(self, t, state, signals):
        return 10.0 + t + 0.0 * state[..., 0]

    def terminal_cost(self, t, state, field, signals):
        return signals[0] + 100 * t + 0.0 * state[..., 0]

    def find_signals(self, passage):
        return np.array([passage.time_of(0.5)])


class Square(DiffusionGame):
    """Brownian motion in the unit square, whose right side has a door from 0.4 to 0.6."""

    channels: ClassVar[tuple[str, ...]] = ("density",)
    interaction: ClassVar[str] = "density"
    axes = (Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0, "periodic", "periodic"))
    doors = (Door(0, True, 0.4, 0.6),)
    start = Uniform((0.0, 0.0), (1.0, 1.0))
    bandwidth = 0.2

    def drift(self, t, state, field, control):
        return 0.0 * state

    def noise(self, t, state, field):
        return 0.5 + 0.0 * state


@pytest.fixture
def make():
    """A dynamics on a hand-made problem; `policy` is an option, or a policy that another dynamics found."""

    def build(game, graph, *, end=2.0, policy="none", seed=5, **options):
        found = policy if isinstance(policy, Policy) else None
        problem = Problem(
            name="hand-made",
            seed=seed,
            game=game,
            graph=graph,
            population=Population(graph.node_count, np.zeros(0)),
            clock=Clock(end, 1.0),
            device=resolve_device("cpu"),
            precision="float64",
            draw=lambda replicate: graph,
        )
        context = Context("agents", problem.streams("agents"), policy_of=lambda label: found)
        chosen = {"replicates": 1, "deviations": 0} | options
        chosen["policy"] = policy if found is None else {"from": "other"}
        return AgentBased(problem, AgentBasedOptions(**chosen), context)

    return build


def play(dynamics):
    """The state at every save."""
    dynamics.check()
    states = [dynamics.init()]
    for interval in dynamics.problem.clock.intervals():
        states.append(dynamics.advance(states[-1], interval))
    return states


def ring(size, weights=None):
    nodes = np.arange(size)
    return ContactGraph.from_edges(size, nodes, (nodes + 1) % size, weights)


def summary(dynamics):
    """What it knows at the end: a number for each replicate."""
    found = dynamics.summary(play(dynamics)[-1])
    return {name: item.values for name, item in found.items()}


def test_exit_in_the_middle_of_a_step_and_what_it_costs(make):
    """Without noise an agent at -1 with speed 0.7 reaches 0 at 1/0.7, inside a step, and pays 1/0.7 + 10 + 1/0.7."""
    dynamics = make(Line(speed=0.7), ContactGraph.complete(4), step=0.5)
    states = play(dynamics)
    np.testing.assert_allclose(states[-1].left_at, 1 / 0.7, rtol=EXACT)
    np.testing.assert_array_equal(states[-1].places, 0.0)
    found = summary(dynamics)
    np.testing.assert_allclose(found["cost"], 10 + 2 / 0.7, rtol=EXACT)
    np.testing.assert_allclose(found["half"], 1 / 0.7, rtol=EXACT)
    assert [dynamics.observe(state)["absorbed"][0] for state in states] == [0.0, 0.0, 1.0]


def test_costs_of_those_who_stay_and_a_signal_that_never_comes(make):
    """Time 2 inside, plus the terminal cost at t = 2 with the signal taken as the horizon."""
    found = summary(make(Line(speed=0.0), ContactGraph.complete(4)))
    np.testing.assert_allclose(found["cost"], 2 + 2 + 200, rtol=EXACT)
    np.testing.assert_allclose(found["half"], 2.0)


def test_who_starts_on_an_absorbing_wall_has_left(make):
    """Would catch an agent that diffuses back from the wall at which it starts."""
    dynamics = make(Line(start=0.0, noise=1.0), ContactGraph.complete(4))
    np.testing.assert_array_equal(play(dynamics)[-1].left_at, 0.0)
    np.testing.assert_allclose(summary(dynamics)["cost"], 10.0)


def test_those_who_left_emit_nothing_and_still_count(make):
    """On a ring with averages: two contacts at -2 and one of them gone leave a field of -1."""
    dynamics = make(Line(), ring(5))
    walk, places = dynamics.walk, np.full((1, 5, 1), -2.0)
    inside = np.array([[True, False, True, True, True]])
    _, field = walk.respond(walk.graphs.contacts(0), 0.0, places, inside)
    np.testing.assert_allclose(field[0, :, 0], [-1.0, -2.0, -1.0, -2.0, -2.0])


def test_a_policy_that_looks_at_the_field_sees_it_without_controls(make):
    """The policy answers to neutral contacts; drift and costs then take the field of what they chose."""
    seen = []

    def choose(t, state, field):
        seen.append(field.copy())
        return 0.0 * state + 0.5

    dynamics = make(Line(), ContactGraph.complete(3), policy=Feedback(choose))
    control, field = dynamics.walk.respond(
        dynamics.walk.graphs.contacts(0), 0.0, np.full((2, 3, 1), -1.0), np.ones((2, 3), bool)
    )
    np.testing.assert_allclose(seen[0], -1.0)
    np.testing.assert_allclose(control, 0.5)
    np.testing.assert_allclose(field, -1.0 + 50.0)


class Opinions(Line):
    """Each feels the sum, or the mean, of t (x_j - x_i)^3 + x_j, and of x_i x_j."""

    channels: ClassVar[tuple[str, ...]] = ("pull", "product")
    interaction: ClassVar[str] = "pairwise"

    def influence(self, t, receiver, sender):
        pull, product = t * (sender - receiver) ** 3 + sender, receiver * sender
        return self.stack([pull[..., 0], product[..., 0]], like=(receiver + sender)[..., 0])


@pytest.mark.parametrize("normalise", ["sum", "mean"])
@pytest.mark.parametrize("kind", ["complete", "ring", "weighted", "lonely"])
@pytest.mark.parametrize("most", [1, 7, 2**17])
def test_pairwise_fields_against_a_double_loop(make, monkeypatch, kind, normalise, most):
    """Would catch a wrong pair, weight or divisor, oneself among the contacts, and blocks that lose or repeat an agent."""
    monkeypatch.setattr(contacts_module, "_MOST_PAIRS", most)
    monkeypatch.setattr(Opinions, "normalise", normalise)
    graph = {
        "complete": ContactGraph.complete(6),
        "ring": ring(6),
        "weighted": ring(6, [1.0, 2.0, 0.5, 3.0, 1.5, 0.25]),
        "lonely": ContactGraph.from_edges(6, [0, 0, 4], [2, 4, 2]),
    }[kind]
    weights = np.full((6, 6), 1 / 5) - np.eye(6) / 5 if kind == "complete" else graph.adjacency.toarray()
    random = np.random.default_rng(3)
    places, inside = random.normal(size=(3, 6, 1)), random.random((3, 6)) < 0.7
    walk = make(Opinions(sides=("open", "open")), graph).walk
    _, field = walk.respond(walk.graphs.contacts(0), 0.7, places, inside)
    expected = np.zeros((3, 6, 2))
    for run, i, j in np.ndindex(3, 6, 6):
        x, y = places[run, i, 0], places[run, j, 0]
        expected[run, i] += weights[i, j] * inside[run, j] * np.array([0.7 * (y - x) ** 3 + y, x * y])
    if normalise == "mean":
        expected /= np.where(weights.sum(axis=1) > 0, weights.sum(axis=1), 1.0)[:, None]
    np.testing.assert_allclose(field, expected, rtol=1e-12, atol=1e-12)


def test_reflecting_and_periodic_sides_fold_and_wrap():
    """Places far beyond come back by mirroring, or by whole turns."""
    walls = Walls(Square())
    found = walls.contain(np.array([[1.3, 1.3], [-0.2, -0.2], [2.6, 2.6], [-1.5, -1.5]]))
    np.testing.assert_allclose(found, [[0.7, 0.3], [0.2, 0.8], [0.6, 0.6], [0.5, 0.5]])


def test_agents_leave_through_the_door_alone(make):
    """Everyone who left is on the right side within the door; everyone else is inside the square."""
    dynamics = make(Square(), ContactGraph.complete(400), replicates=2, step=0.05, end=1.0)
    last = play(dynamics)[-1]
    left = last.places[~last.inside]
    assert 20 < len(left) < 400
    np.testing.assert_array_equal(left[:, 0], 1.0)
    assert ((left[:, 1] >= 0.4) & (left[:, 1] <= 0.6)).all()
    assert ((last.places >= 0) & (last.places <= 1)).all()
    gone = dynamics.observe(last)["absorbed"]
    np.testing.assert_allclose(gone, 1 - last.inside.mean(axis=1))


def test_replicates_do_not_depend_on_how_many_there_are(make):
    """The second of two replicates is the second of five, bit for bit; replicates differ."""
    game = Line(noise=1.0, common=0.5)
    few, many = (play(make(game, ContactGraph.complete(50), replicates=count))[-1] for count in (2, 5))
    np.testing.assert_array_equal(few.places[1], many.places[1])
    np.testing.assert_array_equal(few.left_at[1], many.left_at[1])
    assert (many.places[0] != many.places[1]).any()


def test_common_noise_moves_all_agents_of_a_replicate_alike(make):
    """Would catch common noise that is independent, or that is the same in every replicate."""
    game = Line(common=0.5, sides=("open", "open"))
    moved = play(make(game, ContactGraph.complete(5), replicates=3))[-1].places[..., 0] + 1.0
    np.testing.assert_allclose(moved, np.broadcast_to(moved[:, :1], moved.shape))
    assert len(np.unique(moved.round(9))) == 3


def test_a_packed_state_goes_on_bit_for_bit(make):
    """A run that was stopped at the first save ends where the whole run ends."""
    dynamics = make(Line(noise=1.0), ring(30), replicates=2)
    states = play(dynamics)
    again = make(Line(noise=1.0), ring(30), replicates=2)
    resumed = again.advance(again.unpack(dynamics.pack(states[1])), list(again.problem.clock.intervals())[1])
    for name, values in again.pack(resumed).items():
        np.testing.assert_array_equal(values, dynamics.pack(states[2])[name])


def test_places_of_the_first_agents_are_recorded(make):
    """Would catch places of others, of another time, and more agents than there are."""
    dynamics = make(Line(noise=1.0), ring(5), replicates=3, record_places=2)
    last = play(dynamics)[-1]
    np.testing.assert_array_equal(dynamics.observe(last)["place"], last.places[:, :2])
    assert dynamics.dimensions()["place"] == ("replicate", "agent", "axis")
    many = make(Line(noise=1.0), ring(5), record_places=9)
    assert many.observe(play(many)[-1])["place"].shape == (1, 5, 1)
    assert list(many.coordinates()["agent"]) == list(range(5))
    none = make(Line(noise=1.0), ring(5))
    assert "place" not in none.observe(play(none)[-1])


def test_a_place_that_is_not_finite_stops_the_run(make):
    """The error names the replicate and the time."""
    blown_up = Feedback(lambda t, state, field: np.where(t >= 1.0, np.inf, 0.0) + 0.0 * state)
    dynamics = make(Line(), ring(5), replicates=2, policy=blown_up, step=0.5)
    with pytest.raises(DynamicsError, match="not finite in replicate 0") as caught:
        play(dynamics)
    assert "time 1.5" in caught.value.message()


def test_gradient_flow_goes_down_the_running_cost(make):
    """Would catch the myopic policy being refused, or played uphill: the cost x^2 / 2 draws agents to 0."""

    class Hollow(Line):
        def running_cost(self, t, state, field, control):
            return 0.5 * state[..., 0] ** 2

    dynamics = make(Hollow(sides=("open", "open")), ring(5), policy="gradient_flow", step=0.01)
    places = play(dynamics)[-1].places
    np.testing.assert_allclose(places, -((1 - 0.01) ** 200), rtol=1e-6)


@pytest.mark.parametrize(
    ("game", "options", "words"),
    [
        (Line(), {"engine": "mesa"}, "mesa"),
        (Line(), {"deviations": 6, "policy": "gradient_flow"}, "6 deviations"),
        (Line(), {"policy": "nash"}, "nash"),
        (Square(), {"policy": "gradient_flow"}, "no control"),
        (Square(), {"deviations": 1}, "1 deviations"),
    ],
)
def test_what_is_refused(make, game, options, words):
    """An option that agents in a box cannot follow is an input error before anything runs."""
    with pytest.raises(InputError, match=words):
        make(game, ring(5), **options).check()


def test_a_density_without_width_is_refused(make, monkeypatch):
    """Finitely many agents have no density; the error says what to set."""
    monkeypatch.setattr(Square, "bandwidth", 0.0)
    with pytest.raises(InputError, match="bandwidth"):
        make(Square(), ring(5)).check()


def test_an_emission_of_the_wrong_shape_is_named(make):
    """One column for each channel."""

    class Wrong(Line):
        def emission(self, t, state, control):
            return state[..., 0]

    with pytest.raises(InputError, match="emission returned shape"):
        play(make(Wrong(), ring(5)))
