"""Mean fields that change in time: what is refused, the grid, policies that jump, and runs that go on from a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import mesocosm
from mesocosm import (
    Clock,
    ContactGraph,
    Context,
    DegreeLaw,
    Event,
    Events,
    GraphRecord,
    InputError,
    Interval,
    Population,
    Problem,
    Strategy,
    TabulatedPolicy,
    Threshold,
    Timeline,
    Vaccination,
    assess,
    no_control,
    resolve_device,
    saved_shares,
    simulate,
)
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import EffortOptions, SIROptions
from mesocosm_mfg.classical import ClassicalMFG
from mesocosm_mfg.edge_based import EdgeBased
from mesocosm_mfg.options import ClassicalMFGOptions, EdgeBasedOptions
from mesocosm_mfg.social import Planner

HALF = Event("half", at=4.0, parameters={"game.beta": 0.2})
ON_THRESHOLD = Event("late", threshold=Threshold((1,), above=0.2), parameters={"game.beta": 0.1})


class First(Strategy):
    """The first nodes."""

    def choose(self, graph: ContactGraph, count: int, generator: np.random.Generator) -> np.ndarray:
        return np.arange(count)


def doses(strategy: str) -> Event:
    return Event(f"doses by {strategy}", at=2.0, vaccination=Vaccination(2, 2, frozenset({0}), strategy, First()))


def make_game(parameters: dict[str, Any], effort: bool = True) -> SIR:
    cost = EffortOptions(cost=0.5, infection_cost=1.0) if effort else None
    values: dict[str, Any] = {"beta": 0.4, "gamma": 0.1, "effort": cost}
    return SIR(SIROptions(**values | {name.removeprefix("game."): value for name, value in parameters.items()}))


def star() -> ContactGraph:
    return ContactGraph.from_edges(5, [0, 0, 0, 0], [1, 2, 3, 4], attributes={"group": list("abbbb")})


def layered() -> ContactGraph:
    graph = star()
    return replace(graph, layers={"all": ContactGraph.from_edges(5, *graph.edges()[:2])})


def turning(law: DegreeLaw | None = None) -> ContactGraph:
    """A star for 0.3 of every 1, then nobody meets."""
    source, target, _ = star().edges()
    average = ContactGraph.from_edges(5, source, target, [0.3] * 4, star().attributes, law)
    graphs = [star(), ContactGraph.from_edges(5, [], [])]
    return replace(average, changes=GraphRecord([0, 0.3, 1], [0, 1], graphs.__getitem__, loop=True, afterwards=0))


def posed(*items: Event, graph: ContactGraph | None = None, effort: bool = True, infected: float = 0.1) -> Problem:
    graph = graph or ContactGraph.complete(10)
    population, clock = Population(graph.node_count, np.array([1 - infected, infected, 0.0])), Clock(10.0, 1.0)
    events = Events(items, lambda parameters: make_game(parameters, effort))
    game, device = make_game({}, effort), resolve_device("cpu")
    return Problem("test", 3, game, graph, population, clock, device, "float64", lambda _: graph, events)


def made(problem: Problem, **options: object) -> Any:
    context = Context("mfg", problem.streams("mfg"))
    return ClassicalMFG(problem, ClassicalMFGOptions(**options), context)


def solved(problem: Problem, **options: object) -> mesocosm.Trajectories:
    return simulate(problem, {"mfg": ClassicalMFG.bind(ClassicalMFGOptions(**options))})["mfg"]


@pytest.mark.parametrize("event", [ON_THRESHOLD, doses("random")])
@pytest.mark.parametrize("options", [{}, {"policy": "social_optimum"}, {"policy": "none", "social_optimum": True}])
def test_no_equilibrium_with_what_is_not_foreseen(event: Event, options: dict[str, Any]) -> None:
    """Catches an equilibrium in which agents do not foresee what happens to them: it is refused, and says what to do."""
    with pytest.raises(InputError, match=r"events on a threshold, or vaccinations.*policy: none"):
        solved(posed(event), **options)


@pytest.mark.parametrize(
    ("closure", "strategy", "refused"),
    [
        ("homogeneous", "random", False),
        ("homogeneous", "degree", True),
        ("group", "random", False),
        ("group", "degree", True),
        ("degree", "random", False),
        ("degree", "degree", False),
        ("degree", "core", True),
        ("individual", "core", False),
        ("individual", "degree", False),
    ],
)
def test_strategies_that_a_closure_can_tell_apart(closure: str, strategy: str, refused: bool) -> None:
    """Catches a strategy that silently becomes another one; the message names the closure that can express it."""
    problem = posed(doses(strategy), graph=star())
    if refused:
        with pytest.raises(InputError, match=rf"'{strategy}'.*closure: individual"):
            solved(problem, closure=closure, policy="none")
    else:
        solved(problem, closure=closure, policy="none", step=1.0)


def test_types_that_cannot_follow() -> None:
    """Catches degrees of a law on a graph that changes, and an event after which other states choose."""
    law = DegreeLaw(np.array([1.0, 2.0]), np.array([0.5, 0.5]))
    close = Event("close", at=2.0, close=("all",))
    for problem in (posed(graph=turning(law)), posed(close, graph=replace(layered(), degree_law=law))):
        with pytest.raises(InputError, match=r"degrees 'law'.*degrees: graph"):
            solved(problem, closure="degree", degrees="law")
    idle = Event("idle", at=2.0, parameters={"game.effort": None})
    with pytest.raises(InputError, match="'idle' changes in which states agents choose"):
        solved(posed(idle))


def test_edge_based_refuses_events_that_it_cannot_express() -> None:
    """Catches doses and closed layers that edge_based would leave out."""
    cases = ((doses("random"), "vaccinates"), (Event("close", at=2.0, close=("all",)), "closes layers"))
    for event, what in cases:
        with pytest.raises(InputError, match=f"{what}.*classical_mfg"):
            simulate(posed(event, graph=layered(), effort=False), {"edge": EdgeBased.bind(EdgeBasedOptions())})


def test_the_grid_has_both_sides_of_a_change() -> None:
    """Catches steps that cross a change, changes without their step of length zero, and times that drift: beta at 4, and a
    star that turns every 0.3 and 1.0."""
    problem = posed(HALF, graph=turning())
    model = Timeline(problem, problem.graph.mixing("individual")).model(4)
    nodes = model.nodes
    assert (nodes[0], nodes[-1]) == (0.0, 10.0)
    assert (nodes[1::2] == (nodes[:-1:2] + nodes[2::2]) / 2).all()
    jumps = nodes[:-1:2][np.diff(nodes[::2]) == 0]
    expected = sorted({k + 0.3 for k in range(10)} | set(range(1, 10)))
    np.testing.assert_allclose(jumps, expected, atol=1e-12)
    assert np.diff(nodes[::2]).max() <= 0.25 + 1e-12
    for node, t in enumerate(nodes):
        after = node == len(nodes) - 1 or nodes[node + 1] > t
        on = (t % 1 if after else (t - 1e-6) % 1) < 0.3 - 1e-9
        here = model.regime(node)
        if node % 2 == 0 and t < 10:
            assert here.mixing.dense()[0, 1] == float(on), t
            assert here.game.transitions[0].rate == (0.4 if t < 4 or (t == 4 and not after) else 0.2)
    assert model.saves(problem.clock.times)[4] == np.flatnonzero(nodes == 4.0)[-1]


@pytest.mark.parametrize("closure", ["homogeneous", "degree", "group", "individual"])
@pytest.mark.parametrize("normalise", ["sum", "mean"])
def test_the_mixing_of_a_step_that_holds_two_graphs(closure: str, normalise: str) -> None:
    """Catches averages that mix up types or weights, and operators that cannot be scaled or transposed: everyone with
    everyone for 0.4 of a step and a star for the rest, every matrix written here by hand."""
    graphs = [ContactGraph.complete(5), star()]
    record = GraphRecord([0, 0.4, 1], [0, 1], graphs.__getitem__, loop=True, afterwards=0)
    problem = posed(graph=replace(star(), changes=record))
    game = make_game({})
    game.normalise = normalise  # type: ignore[misc]
    problem = replace(problem, game=game)
    everyone = {
        "homogeneous": [[1.0]],
        "degree": [[0.8, 0.2], [0.8, 0.2]],
        "group": [[0.0, 1.0], [0.25, 0.75]],
        "individual": (np.ones((5, 5)) - np.eye(5)) / 4,
    }[closure]
    around = {
        "homogeneous": [[1.6]],
        "degree": np.outer([1.0, 4.0], [0.8, 0.8]) / 1.6,
        "group": [[0.0, 4.0], [1.0, 0.0]],
        "individual": star().adjacency.toarray(),
    }[closure]
    parts = [np.array(everyone), np.array(around)]
    if normalise == "mean":
        parts = [part / part.sum(axis=1, keepdims=True) for part in parts]
    regime = Timeline(problem, problem.graph.mixing(closure, normalise=normalise)).model(1).regime(1)
    expected = 0.4 * parts[0] + 0.6 * parts[1]
    np.testing.assert_allclose(regime.mixing.dense(), expected, atol=1e-14)
    np.testing.assert_allclose(regime.transposed.dense(), expected.T, atol=1e-14)
    np.testing.assert_allclose(regime.scaled(0.5).mixing.dense(), expected / 2, atol=1e-14)


def test_nothing_changes_where_nothing_changes() -> None:
    """Catches a course that differs from the plain equations: an event that sets what holds already, and a graph whose
    pieces are all alike, give the same flow to rounding."""
    plain = solved(posed(graph=star()), closure="individual", step=0.25)
    same = Event("same", at=4.0, parameters={"game.beta": 0.4})
    graphs = [star(), star()]
    record = GraphRecord([0, 0.5, 1], [0, 1], graphs.__getitem__, loop=True, afterwards=0)
    for problem in (posed(same, graph=star()), posed(graph=replace(star(), changes=record))):
        found = solved(problem, closure="individual", step=0.25)
        for name in ("occupancy", "control", "value"):
            np.testing.assert_allclose(found.array(name), plain.array(name), rtol=1e-7, atol=1e-9)


def test_one_agent_among_all() -> None:
    """Catches the law of one agent in the regime or the field of another time: playing like all, it is like all."""
    problem = posed(HALF, graph=turning())
    model = Timeline(problem, problem.graph.mixing("individual")).model(8)
    control = model.neutral() * np.linspace(0.5, 1.0, len(model.nodes))[:, None, None]
    flow = model.flow(control)
    np.testing.assert_allclose(model.law_of_one(flow, control), flow.occupancy, atol=1e-7)


@pytest.mark.parametrize("closure", ["group", "individual"])
def test_slopes_of_the_planner(closure: str) -> None:
    """Catches slopes of another time, or of the transposed mixing: the cost of controls on either side of the one planned,
    by the forward equations alone, differs as the slopes say, to 1e-4 (the error of the grid), before and after the change."""
    problem = posed(HALF, graph=turning(), infected=0.3)
    model = Timeline(problem, problem.graph.mixing(closure)).model(8)
    planner, control = Planner(model), model.neutral()
    control[..., 0] = 0.6
    plan = planner.plan(control)
    for early in (True, False):
        bump = np.sin(np.pi * model.nodes / 4) ** 2 * ((model.nodes < 4) if early else (model.nodes >= 4))
        direction = bump[:, None, None] * np.linspace(0.5, 1.5, len(model.initial))[:, None] * np.array([1.0, 0.0, 0.0])
        ahead, behind = (planner.plan(control + sign * 1e-4 * direction).cost for sign in (1, -1))
        expected = (planner.weights(plan) * planner.slopes(plan) * direction).sum()
        assert (ahead - behind) / 2e-4 == pytest.approx(expected, rel=1e-4)


def test_a_table_that_jumps() -> None:
    """Catches a control that is read before its jump, or between the two: from the time of a jump on the later one holds."""
    times, values = np.array([0.0, 1.0, 1.0, 1.0, 3.0]), np.array([0.0, 1.0, 7.0, 5.0, 9.0])
    policy = TabulatedPolicy(times, values[:, None, None], "homogeneous", ("all",), np.ones(1))
    read = [float(policy.table(t, 1)[0, 0]) for t in (0.5, np.nextafter(1.0, 0), 1.0, 2.0, 3.0, 4.0)]
    assert read == pytest.approx([0.5, 1.0, 5.0, 7.0, 9.0, 9.0])
    for wrong in ([1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 1.0]):
        with pytest.raises(InputError, match="two times in order"):
            TabulatedPolicy(np.array(wrong), np.zeros((len(wrong), 1, 1)), "homogeneous", ("all",), np.ones(1))


@pytest.mark.parametrize("event", [HALF, ON_THRESHOLD])
def test_a_run_goes_on_from_a_checkpoint(event: Event) -> None:
    """Catches a state that forgets which events have happened: packed at every save and gone on from, it ends the same."""
    dynamics = made(posed(event), policy="none")
    dynamics.check()
    dynamics.prepare()
    whole = part = dynamics.init()
    for interval in dynamics.problem.clock.intervals():
        whole = dynamics.advance(whole, interval)
        part = dynamics.advance(dynamics.unpack(dynamics.pack(part)), interval)
    assert (whole.occupancy == part.occupancy).all()
    assert np.isfinite(whole.fired).all()
    assert dynamics.summary(whole)["fired"].values.tolist() == [whole.fired.tolist()]


def test_advance_leaves_the_state_alone() -> None:
    """Catches an event that changes the state it was given: the same interval twice is the same."""
    dynamics = made(posed(doses("random"), graph=star()), policy="none")
    dynamics.check()
    dynamics.prepare()
    state = replace(dynamics.init(), fired=np.array([np.nan]))
    first, second = (dynamics.advance(state, Interval(2, 2.0, 3.0)) for _ in range(2))
    assert np.isnan(state.fired).all()
    assert (first.occupancy == second.occupancy).all()


def test_what_is_not_foreseen_is_not_valued() -> None:
    """Catches a value or an exploitability that leaves out a threshold: none is reported, and `assess` says why."""
    problem = posed(ON_THRESHOLD)
    found = solved(problem, policy="none")
    assert not {"value", "exploitability", "consistency"} & set(found.variables)
    with pytest.raises(InputError, match="events on a threshold"):
        assess(problem, no_control(problem.finite_game))


def test_steps_are_short_enough_for_what_events_bring() -> None:
    """Catches a step that suits only the time before an event: beta rises twentyfold; as with steps of 1/128."""
    storm = Event("storm", threshold=Threshold((1,), above=0.2), parameters={"game.beta": 8.0})
    at = Event("storm", at=3.0, parameters={"game.beta": 8.0})
    for event in (storm, at):
        coarse = solved(posed(event, effort=False)).array("occupancy")
        fine = solved(posed(event, effort=False), step=1 / 128).array("occupancy")
        assert np.abs(coarse - fine).max() < 1e-6
    problem = posed(at, effort=False)
    model = Timeline(problem, problem.graph.mixing("homogeneous")).model(128)
    np.testing.assert_allclose(saved_shares(model, problem.clock.times), fine[0, 1:], atol=1e-12)
