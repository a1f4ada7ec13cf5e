"""Agents that rewire their links, against closed forms, an enumerated step, and the published epidemic threshold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

import mesocosm
from mesocosm import (
    Clock,
    ContactGraph,
    Context,
    InputError,
    Population,
    Problem,
    ScenarioError,
    resolve_device,
)
from mesocosm_agents.dynamics import AgentBased
from mesocosm_agents.options import AgentBasedOptions
from mesocosm_games.epidemics import SIS
from mesocosm_games.options import SISOptions

ALPHA = 1e-4


def random_graph(size, edges, seed):
    rng = np.random.default_rng(seed)
    pairs = np.unique(np.sort(rng.integers(0, size, (2 * edges, 2)), axis=1), axis=0)
    pairs = rng.permutation(pairs[pairs[:, 0] != pairs[:, 1]])[:edges]
    return ContactGraph.from_edges(size, pairs[:, 0], pairs[:, 1])


@pytest.fixture
def make():
    """Adaptive SIS agents on a graph; the first agents are infected, `infected` of them."""

    def build(
        graph, infected, *, beta=0.0, gamma=0.0, rate=1.0, to=("S",), end=1.0, step=None, save_every=None, **more
    ):
        size = graph.node_count
        named = ContactGraph.from_edges(
            size, *graph.edges()[:2], attributes={"group": np.where(np.arange(size) < infected, "ill", "well")}
        )
        problem = Problem(
            name="rewiring",
            seed=3,
            game=SIS(SISOptions(beta=beta, gamma=gamma, rewiring={"rate": rate, "to": list(to)})),
            graph=named,
            population=Population(size, np.array([1.0, 0.0]), {"ill": np.array([0.0, 1.0])}),
            clock=Clock(end, save_every or end),
            device=resolve_device("cpu"),
            precision="float64",
            draw=lambda replicate: named,
        )
        context = Context("agents", problem.streams("agents"))
        dynamics = AgentBased(problem, AgentBasedOptions(step=step, **more), context)
        dynamics.check()
        return dynamics

    return build


def run(dynamics, state=None):
    state = dynamics.init() if state is None else state
    for interval in dynamics.problem.clock.intervals(round(state.time / dynamics.problem.clock.save_every)):
        state = dynamics.advance(state, interval)
    return state


def graphs(dynamics, state):
    """The contact graph of every replicate as it is now."""
    cohort = state.cohorts[0]
    return [cohort.engine.graph(cohort.held, place, place) for place in range(dynamics.replicates)]


def mixed_links(graph, states):
    source, target, _ = graph.edges()
    return int((states[source] != states[target]).sum())


def test_links_to_the_infected_decay_at_the_rate_of_the_rule(make):
    """Would catch a rate per agent instead of per link, links counted twice, and new links to the infected.

    Without infection and recovery each mixed link survives a time 1 with probability exp(-rate): 40 replicates of about
    9,000 mixed links, so that a rate 2 % off is 8 standard errors away; 4 are allowed.
    """
    graph = random_graph(2_000, 20_000, 1)
    dynamics = make(graph, 600, rate=0.7, replicates=40, step=0.1)
    state = run(dynamics)
    before = mixed_links(graph, np.arange(2_000) < 600)
    assert before > 8_000
    left = np.array([mixed_links(now, row) for now, row in zip(graphs(dynamics, state), state.states, strict=True)])
    error = np.sqrt(before * np.exp(-0.7) * (1 - np.exp(-0.7)) / 40)
    assert abs(left.mean() - before * np.exp(-0.7)) < 4 * error
    assert abs(left.mean() - before * np.exp(-0.714)) > 4 * error
    for now in graphs(dynamics, state):
        # Building it again has refused self-loops and parallel links; none is lost, and nobody cuts in place of others.
        assert now.edge_count == graph.edge_count
        assert (now.degrees[:600] <= graph.degrees[:600]).all()


def test_one_step_follows_the_enumerated_law(make):
    """Would catch jumps and rewiring that see each other within a step, a partner that is met already, and partners that
    are not equally likely.

    Agents 1 to 4 are susceptible, agent 0 is infected and meets agent 1, who meets 2 as well: in a step agent 1 is infected
    with 1 - exp(-beta) and, apart from that, moves its link to 3 or 4. 20,000 replicates, six outcomes.
    """
    graph = ContactGraph.from_edges(5, [0, 1], [1, 2])
    dynamics = make(graph, 1, beta=0.9, rate=0.8, replicates=20_000, step=1.0)
    state = run(dynamics)
    infected = state.states[:, 1] == 1
    links = np.array(state.cohorts[0].held.ends).reshape(-1, 2, 2)
    assert (links == [1, 2]).all(axis=-1).any(axis=-1).all()
    other = links[(links != [1, 2]).any(axis=-1)]
    partner = other.sum(axis=-1) - 1
    assert (other == 1).any(axis=-1).all()
    counts = np.array([[(infected == ill) & (partner == to) for to in (0, 3, 4)] for ill in (False, True)]).sum(axis=-1)
    ill, moves = 1 - np.exp(-0.9), 1 - np.exp(-0.8)
    expected = 20_000 * np.outer([1 - ill, ill], [1 - moves, moves / 2, moves / 2])
    assert counts.sum() == 20_000
    assert chi2.sf(((counts - expected) ** 2 / expected).sum(), 5) > ALPHA


def test_a_link_stays_where_there_is_nobody_to_meet(make):
    """Would catch a link that is lost, or a loop, where all who may be met are met or the agent itself."""
    graph = ContactGraph.from_edges(3, [0, 0, 1], [1, 2, 2])
    dynamics = make(graph, 1, rate=1e9, replicates=3, step=0.5)
    for now in graphs(dynamics, run(dynamics)):
        assert now.edge_count == 3


@pytest.mark.parametrize(("ratio", "spreads"), [(0.6, False), (1.8, True)])
def test_an_epidemic_invades_above_the_published_threshold(make, ratio, spreads):
    """Would catch rewiring that does not hold an epidemic back: without it both cases are 4 and 12 times the threshold.

    Gross, D'Lima, Blasius 2006: an epidemic invades for beta above w / (<k> (1 - exp(-w / gamma))), here .01504 at w .3;
    without rewiring for beta above gamma / <k> = .0025.
    """
    graph = random_graph(4_000, 40_000, 2)
    threshold = 0.3 / (20 * (1 - np.exp(-0.3 / 0.05)))
    assert threshold == pytest.approx(0.01504, abs=1e-4)
    dynamics = make(
        graph, 40, beta=ratio * threshold, gamma=0.05, rate=0.3, end=60.0, step=0.25, save_every=20.0, replicates=4
    )
    share = run(dynamics).states.mean(axis=1)
    assert (share > 0.02).all() if spreads else (share < 0.005).all()


def test_a_stopped_run_goes_on_with_its_links(make):
    """Would catch links that a checkpoint forgets: the run would go on with those of the start."""
    dynamics = make(random_graph(300, 900, 4), 60, beta=0.2, gamma=0.1, rate=1.0, end=4.0, save_every=1.0, replicates=3)
    whole = run(dynamics)
    first, second, *_ = dynamics.problem.clock.intervals()
    state = dynamics.advance(dynamics.advance(dynamics.init(), first), second)
    again = run(dynamics, dynamics.unpack({name: values.copy() for name, values in dynamics.pack(state).items()}))
    np.testing.assert_array_equal(again.states, whole.states)
    for one, other in zip(graphs(dynamics, again), graphs(dynamics, whole), strict=True):
        np.testing.assert_array_equal(one.indices, other.indices)


def test_the_state_that_was_given_stays_as_it_is(make):
    """Would catch links that are changed in place in a state that was handed out."""
    dynamics = make(random_graph(300, 900, 4), 60, beta=0.2, gamma=0.1, rate=1.0, end=2.0, save_every=1.0, replicates=1)
    first, second = dynamics.problem.clock.intervals()
    middle = dynamics.advance(dynamics.init(), first)
    before = graphs(dynamics, middle)[0]
    dynamics.advance(middle, second)
    np.testing.assert_array_equal(graphs(dynamics, middle)[0].indices, before.indices)


def simulated(text):
    """Everything that a scenario's dynamics record."""
    scenario = mesocosm.parse(text)
    return mesocosm.simulate(mesocosm.build(scenario), mesocosm.makers_of(scenario))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"graph": {"kind": "complete"}}, "a complete graph"),
        ({"engine": "mesa"}, "engine 'mesa'"),
        ({"rewiring": {"rate": 1, "to": ["Q"]}}, "state 'Q'"),
    ],
)
def test_what_cannot_be_rewired_is_refused(change, message):
    """Would catch a rule that is silently left out."""
    engine = f", engine: {change['engine']}" if "engine" in change else ""
    text = f"""
mesocosm: 1
name: refused
seed: 1
time: {{end: 2, save_every: 1}}
population: {{size: 40, initial: {{I: 0.1}}}}
graph: {change.get("graph", {"kind": "erdos_renyi", "mean_degree": 4})}
game: {{kind: sis, beta: 0.1, gamma: 0.1, rewiring: {change.get("rewiring", {"rate": 1})}}}
dynamics: {{agents: {{kind: agent_based, replicates: 2{engine}}}}}
""".replace("'", '"')
    with pytest.raises((InputError, ScenarioError), match=message):
        simulated(text)


def test_other_dynamics_refuse_it_by_name():
    """Would catch a mean field that quietly leaves the rewiring out."""
    text = """
mesocosm: 1
name: refused
seed: 1
time: {end: 2, save_every: 1}
population: {size: 40, initial: {I: 0.1}}
graph: {kind: erdos_renyi, mean_degree: 4}
game: {kind: sis, beta: 0.1, gamma: 0.1, rewiring: {rate: 1}}
dynamics: {mean_field: {kind: classical_mfg}}
"""
    with pytest.raises(InputError, match="cannot express agents that rewire"):
        simulated(text)
