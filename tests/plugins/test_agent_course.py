"""Agents while the graph and the game change: closed forms for a link that comes and goes, layers, cohorts, and going on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import mesocosm
from mesocosm import ContactGraph, Context, GraphRecord, InputError
from mesocosm_agents.tensors import TensorEngine

ENGINES = ["auto", "step", "exact", "words", "general", "tensors", "mesa"]
PAIRS = 4_000
"""Pairs of one infected and one susceptible agent; the share infected has a standard error of at most .008."""


def pairs(count):
    """The graph of links 0-1, 2-3, ..; the first of each pair is of group `ill`."""
    first = 2 * np.arange(count)
    groups = np.tile(["ill", "well"], count)
    return ContactGraph.from_edges(2 * count, first, first + 1, attributes={"group": groups})


def coming_and_going(count, times, numbers, loop=None):
    """Pairs whose links are there in pieces with number 1, and are not in those with number 0."""
    there = pairs(count)
    nothing = np.zeros(0, np.int64)
    empty = ContactGraph.from_edges(2 * count, nothing, nothing, attributes={"group": there.attributes["group"]})
    changes = GraphRecord(times, numbers, lambda number: there if number else empty, loop=loop, afterwards=0)
    lengths = np.diff(times)
    share = float((lengths * np.array(numbers)).sum() / lengths.sum())
    average = there.scaled(share)
    return replace(average, changes=changes)


@pytest.fixture
def make():
    """Agents of a scenario, with another graph where one is given."""

    def build(
        graph=None, *, kind="sir, beta: 0.7, gamma: 0", end=2.0, engine="step", replicates=1, events="", size=None
    ):
        chosen = engine if engine in ("auto", "step", "exact", "mesa") else "step"
        step = "" if chosen in ("auto", "exact") else ", step: 0.05"
        text = f"""
mesocosm: 1
name: course
seed: 9
time: {{end: {end}, save_every: 1}}
population: {{size: {size or graph.node_count}, groups: {{ill: {{initial: {{I: 1}}}}}}}}
graph: {{kind: blocks, sizes: [{(size or graph.node_count) // 2}, {(size or graph.node_count) // 2}],
  names: [ill, well], mean_degrees: [[0, 1], [1, 0]]}}
game: {{kind: {kind}}}
{events}
dynamics: {{agents: {{kind: agent_based, replicates: {64 if engine == "words" else replicates}, engine: {chosen}{step}}}}}
"""
        scenario = mesocosm.parse(text)
        problem = mesocosm.build(scenario)
        if graph is not None:
            problem = replace(problem, graph=graph, draw=lambda replicate: graph)
        if engine == "general":
            problem = replace(problem, game=generalised(problem.game))
        dynamics = mesocosm.makers_of(scenario)["agents"](problem, Context("agents", problem.streams("agents")))
        if engine == "tensors":
            dynamics._course.choose = lambda play: TensorEngine(play, "cpu", "float64")
        dynamics.check()
        return dynamics

    return build


def generalised(game):
    """The same game with its infection as a general function."""
    twin = type(game)(game.options)
    infection, *others = game.transitions
    twin.transitions = (
        mesocosm.Transition.general("S", "I", lambda t, field, control: infection.rate * field[..., 0] * control),
        *others,
    )
    return twin


def run(dynamics, state=None):
    state = dynamics.init() if state is None else state
    for interval in dynamics.problem.clock.intervals(round(state.time)):
        state = dynamics.advance(state, interval)
    return state


@pytest.mark.parametrize("engine", ENGINES)
def test_a_link_infects_while_it_is_there(make, engine):
    """Would catch a piece that is left out or taken twice, pieces that share their random numbers, and agents that an
    engine loses when the graph changes.

    Links are there from .3 to .5, 1 to 1.6 and 1.9 to 2: a susceptible partner is infected with 1 - exp(-beta .9), exactly,
    in time steps too. 4,000 pairs (mesa 300; words 64 replicates of 500): a rate 10 % off is 5 standard errors away in 4,000.
    """
    count = {"mesa": 300, "words": 500}.get(engine, PAIRS)
    graph = coming_and_going(count, [0, 0.3, 0.5, 1.0, 1.6, 1.9, 2.0], [0, 1, 0, 1, 0, 1])
    states = run(make(graph, engine=engine)).states
    assert (states[:, ::2] == 1).all()
    expected = -np.expm1(-0.7 * 0.9)
    samples = states.shape[0] * count
    assert abs((states[:, 1::2] == 1).mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / samples)


def test_a_record_that_loops_goes_on(make):
    """Would catch pieces of the second turn that are left out: the links are there for half of every time unit."""
    graph = coming_and_going(PAIRS, [0, 0.5, 1.0], [1, 0], loop=True)
    share = (run(make(graph, end=3.0, engine="exact")).states[:, 1::2] == 1).mean()
    expected = -np.expm1(-0.7 * 1.5)
    assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / PAIRS)
    assert abs(share - -np.expm1(-0.7 * 1.0)) > 10 * np.sqrt(expected * (1 - expected) / PAIRS)


EVENTS = """
events:
  - {name: change, when: {observable: occupancy.I, above: 0.53}, set: {game.gamma: 1.5}}
  - {at: 2, vaccinate: {count: 200, strategy: {kind: random}, into: R}}
  - {name: back, after: change, when: {observable: occupancy.I, below: 0.3}, set: {game.gamma: 0.1}}
"""


@pytest.mark.parametrize("engine", ["step", "exact", "words", "tensors", "mesa"])
def test_replicates_part_when_their_events_differ_and_a_stopped_run_goes_on(make, engine):
    """Would catch cohorts that swap their replicates, a threshold looked at for all replicates at once, an event that acts
    before its save, and a checkpoint that forgets what has happened.

    The share infected decides for every replicate by itself: after each run the saves are looked through again.
    """
    size = 60 if engine == "mesa" else 1_000
    events = EVENTS.replace("200", "12") if engine == "mesa" else EVENTS
    dynamics = make(kind="sir, beta: 0.2, gamma: 0.1", end=6.0, engine=engine, replicates=12, events=events, size=size)
    states, seen = [dynamics.init()], []
    for interval in dynamics.problem.clock.intervals():
        seen.append(dynamics.observe(states[-1])["occupancy"])
        states.append(dynamics.advance(states[-1], interval))
    seen.append(dynamics.observe(states[-1])["occupancy"])
    infected, fired = np.stack(seen)[:, :, 1], states[-1].fired
    for replicate in range(dynamics.replicates):
        above = np.flatnonzero(infected[:-1, replicate] > 0.53)
        assert fired[replicate, 0] == above[0] if len(above) else np.isnan(fired[replicate, 0])
        below = np.flatnonzero(infected[:-1, replicate] < 0.3)
        later = below[below >= fired[replicate, 0]]
        assert fired[replicate, 2] == later[0] if len(later) else np.isnan(fired[replicate, 2])
    assert (fired[:, 1] == 2).all()
    assert len({cohort.history for cohort in states[-1].cohorts}) > 1
    np.testing.assert_allclose(states[-1].states.shape, (dynamics.replicates, size))
    for replicate, row in enumerate(states[-1].states):
        np.testing.assert_allclose(np.bincount(row, minlength=3) / size, np.stack(seen)[-1, replicate])
    half = dynamics.unpack({name: values.copy() for name, values in dynamics.pack(states[3]).items()})
    again = run(dynamics, half)
    np.testing.assert_array_equal(again.states, states[-1].states)
    np.testing.assert_array_equal(again.fired, fired)


def test_a_layer_that_closes_infects_no_more(make):
    """Would catch a layer that stays open, or closes a save early: pairs meet in a layer until time 1.

    Infected with 1 - exp(-beta) by time 2, where without the event it would be 1 - exp(-2 beta).
    """
    links = pairs(PAIRS)
    empty = ContactGraph.from_edges(2 * PAIRS, np.zeros(0, np.int64), np.zeros(0, np.int64))
    graph = replace(links, layers={"school": links, "home": replace(empty, attributes=links.attributes)})
    dynamics = make(graph, engine="exact")
    closing = mesocosm.Events((mesocosm.Event("holidays", at=1.0, close=("school",)),))
    dynamics = type(dynamics)(replace(dynamics.problem, events=closing), dynamics.options, dynamics.context)
    share = (run(dynamics).states[:, 1::2] == 1).mean()
    expected = -np.expm1(-0.7)
    assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / PAIRS)


@pytest.mark.parametrize(("options", "message"), [({"deviations": 3}, "deviations 3"), ({"redraw": True}, "redraw")])
def test_what_makes_no_sense_on_a_changing_graph_is_refused(make, options, message):
    """Would catch a gain from deviating that is measured in another world, and a given graph that is drawn again."""
    graph = coming_and_going(10, [0, 1.0, 2.0], [1, 0])
    dynamics = make(graph, kind="sir, beta: 0.7, gamma: 0, effort: {cost: 1}")
    changed = type(dynamics)(dynamics.problem, dynamics.options.model_copy(update=options), dynamics.context)
    with pytest.raises(InputError, match=message):
        changed.check()
