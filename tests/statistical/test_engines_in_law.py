"""The exact engine against the master equation of few agents, and against the other engines."""

from __future__ import annotations

import itertools
from typing import ClassVar

import networkx
import numpy as np
import pytest
from scipy.linalg import expm
from scipy.stats import chi2, chi2_contingency, ncx2

from mesocosm import (
    Clock,
    ContactGraph,
    Context,
    FiniteStateGame,
    Population,
    Problem,
    TabulatedPolicy,
    Transition,
    constant_control,
    no_control,
    resolve_device,
)
from mesocosm_agents.contacts import Graphs
from mesocosm_agents.dynamics import AgentBased
from mesocosm_agents.engine import Play, Stretch
from mesocosm_agents.exact import ExactEngine
from mesocosm_agents.options import AgentBasedOptions
from mesocosm_games.epidemics import SEIR, SIR, SIS
from mesocosm_games.options import EffortOptions, SEIROptions, SIROptions, SISOptions

ALPHA = 1e-5
COPIES = 200_000
TIMES = (0.4, 1.0, 2.5)

PAIR = [[0, 1.0], [1.0, 0]]
TRIANGLE = [[0, 1.0, 1.0], [1.0, 0, 1.0], [1.0, 1.0, 0]]
STAR = [[0, 1.0, 1.0], [1.0, 0, 0], [1.0, 0, 0]]
WEIGHTED = [[0, 2.0, 0.7], [2.0, 0, 1.3], [0.7, 1.3, 0]]


class Rumour(FiniteStateGame):
    """Those who spread emit twice, can be moved by others and by themselves, and come back: all that a table can say."""

    states: ClassVar[tuple[str, ...]] = ("ignorant", "spreader", "stifler")
    channels: ClassVar[tuple[str, ...]] = ("spreaders", "informed")

    def __init__(self, normalise="sum", factor=1.0):
        self.normalise = normalise
        self.transitions = (
            Transition.spontaneous("spreader", "ignorant", rate=0.3),
            Transition.induced("ignorant", "spreader", rate=0.9 * factor, channel="spreaders"),
            Transition.induced("spreader", "stifler", rate=0.7, channel="informed"),
            Transition.spontaneous("stifler", "ignorant", rate=0.5),
            Transition.induced("ignorant", "stifler", rate=0.2, channel="informed"),
            Transition.spontaneous("spreader", "stifler", rate=0.1),
        )

    def emission(self, t, state, control):
        return self.stack([state == 1, 1.0 * (state == 1) + 0.5 * (state == 2)], like=control)


def sir(factor=1.0):
    return SIR(SIROptions(beta=0.8 * factor, gamma=0.5, effort=EffortOptions(minimum=0.1)))


def sis(factor=1.0):
    return SIS(SISOptions(beta=0.8 * factor, gamma=0.5))


def seir(factor=1.0):
    return SEIR(SEIROptions(beta=1.2 * factor, gamma=0.5, sigma=0.9))


def generator_matrix(game, weights, controls):
    """Rates between all configurations of a few agents, from the game's functions; `controls` [agent][state]."""
    size, count = len(weights), len(game.states)
    configurations = list(itertools.product(range(count), repeat=size))
    place = {configuration: number for number, configuration in enumerate(configurations)}
    rates = np.zeros((len(place), len(place)))
    divisor = [sum(row) if game.normalise == "mean" else 1.0 for row in weights]
    for now in configurations:
        states = np.array(now)
        control = np.array([controls[agent][state] for agent, state in enumerate(now)])
        emission = game.emission(0.0, states, control)
        for agent in range(size):
            field = sum(weights[agent][other] * emission[other] for other in range(size)) / divisor[agent]
            for transition in game.transitions:
                if game.state_index(transition.source) == now[agent]:
                    then = (*now[:agent], game.state_index(transition.target), *now[agent + 1 :])
                    rates[place[now], place[then]] += game.intensity(transition, 0.0, field, control[agent])
    np.fill_diagonal(rates, -rates.sum(axis=1))
    return rates


def master_equation(game, weights, controls, start):
    """Probability of every configuration at each of `TIMES`."""
    rates = generator_matrix(game, weights, controls)
    first = int(np.ravel_multi_index(start, (len(game.states),) * len(weights)))
    return [expm(rates * time)[first] for time in TIMES]


def copies(weights, count):
    """Disjoint copies of a small graph; the first node of each is of group `seed`, the others of `rest`."""
    size = len(weights)
    pairs = [(a, b) for a in range(size) for b in range(a) if weights[a][b]]
    source = np.concatenate([size * np.arange(count) + a for a, _ in pairs])
    target = np.concatenate([size * np.arange(count) + b for _, b in pairs])
    values = np.concatenate([np.full(count, weights[a][b]) for a, b in pairs])
    groups = {"group": np.tile(["seed", *["rest"] * (size - 1)], count)}
    return ContactGraph.from_edges(size * count, source, target, None if (values == 1).all() else values, groups)


def make_problem(game, graph, infected="I", seed=3, end=1.0, save_every=1.0):
    """Agents of group `seed` start as infected, the others in the first state."""
    first, other = np.zeros(len(game.states)), np.zeros(len(game.states))
    first[0] = other[game.states.index(infected)] = 1.0
    groups = {"seed": other} if "group" in graph.attributes else {}
    population = Population(graph.node_count, first, groups)
    clock = Clock(end, save_every)
    return Problem("law", seed, game, graph, population, clock, resolve_device("cpu"), "float64", lambda _: graph)


def exact_engine(problem, policy=None, step=1.0):
    policy = policy or no_control(problem.game)
    streams = problem.streams("agents")
    return ExactEngine(Play(problem.game, policy, Graphs(problem, policy, False), streams, step))


def configurations(engine, problem, size, replicates=1):
    """Counts of all configurations of the copies at `TIMES`, the state at one time being the start of the next stretch."""
    graphs = engine.play.graphs
    held = engine.load(np.stack([graphs.initial_states(r, engine.play.streams) for r in range(replicates)]))
    shape, before, result = (len(problem.game.states),) * size, 0.0, []
    for index, time in enumerate(TIMES):
        engine.advance(held, np.arange(replicates), Stretch(index, before, time))
        keys = np.ravel_multi_index(held.astype(int).reshape(-1, size).T, shape)
        result.append(np.bincount(keys, minlength=len(problem.game.states) ** size))
        before = time
    return result


def chi_square(counts, law):
    """The p-value of counts against a law; cells with fewer than 5 expected are merged, impossible ones must be empty."""
    assert not counts[law < 1e-14].any()
    expected = law * counts.sum()
    small = expected < 5
    observed, expected = (
        np.append(counts[~small], counts[small].sum()),
        np.append(expected[~small], expected[small].sum()),
    )
    keep = expected > 0
    return float(chi2.sf(((observed - expected)[keep] ** 2 / expected[keep]).sum(), keep.sum() - 1))


def power(law, other, samples):
    """Chance that the chi-square test at level ALPHA rejects when the truth is `other`."""
    keep = law * samples >= 5
    shift = samples * ((other - law)[keep] ** 2 / law[keep]).sum()
    return float(ncx2.sf(chi2.isf(ALPHA, keep.sum()), keep.sum(), shift))


CASES = {
    "sir pair": (sir, PAIR),
    "sir triangle": (sir, TRIANGLE),
    "sis triangle": (sis, TRIANGLE),
    "sis weighted": (sis, WEIGHTED),
    "seir star": (seir, STAR),
    "seir weighted": (seir, WEIGHTED),
    "rumour star": (lambda factor=1.0: Rumour(factor=factor), STAR),
    "rumour averaged": (lambda factor=1.0: Rumour("mean", factor), WEIGHTED),
}


@pytest.mark.parametrize("case", CASES)
def test_exact_engine_follows_the_master_equation(case):
    """Would catch a wrong rate, weight, average or target, an event out of order, and whatever is lost between windows.

    Chi-square over all configurations at three times of 200,000 copies: an infection rate wrong by 3 % is rejected at time 1
    with a probability above 0.97, and is here.
    """
    make, weights = CASES[case]
    game = make()
    infected = "spreader" if isinstance(game, Rumour) else "I"
    problem = make_problem(game, copies(weights, COPIES), infected)
    start = (game.states.index(infected), *[0] * (len(weights) - 1))
    controls = [[1.0] * len(game.states)] * len(weights)
    law = master_equation(game, weights, controls, start)
    wrong = master_equation(make(1.03), weights, controls, start)
    counts = configurations(exact_engine(problem), problem, len(weights))
    assert all(chi_square(*pair) > ALPHA for pair in zip(counts, law, strict=True))
    assert power(law[1], wrong[1], COPIES) > 0.97
    assert chi_square(counts[1], wrong[1]) < ALPHA


def test_control_scales_by_row_and_state():
    """Would catch a control read in the wrong row or state, or not thinned: two rows that are both infected again and again,
    and one control for all; 200,000 triangles, on which an infection rate wrong by 5 % is seen."""

    def game(factor=1.0):
        return SIS(SISOptions(beta=1.5 * factor, gamma=0.5, effort=EffortOptions(minimum=0.1)))

    problem = make_problem(game(), copies(TRIANGLE, COPIES))
    values = np.array([[0.4, 1.0], [0.8, 1.0]])
    policy = TabulatedPolicy(np.array([0.0, 9.0]), np.stack([values] * 2), "group", ("rest", "seed"), np.zeros(2))
    for chosen, controls in (
        (policy, [values[1], values[0], values[0]]),
        (constant_control(problem.game, 0.4), [values[0]] * 3),
    ):
        counts = configurations(exact_engine(problem, chosen), problem, 3)
        law = master_equation(game(), TRIANGLE, controls, (1, 0, 0))
        wrong = master_equation(game(1.05), TRIANGLE, controls, (1, 0, 0))
        assert all(chi_square(*pair) > ALPHA for pair in zip(counts, law, strict=True))
        assert power(law[1], wrong[1], COPIES) > 0.99
        assert chi_square(counts[1], wrong[1]) < ALPHA


def test_complete_graph_leaves_oneself_out():
    """Would catch a missing 1/(N-1), an agent that meets itself, or uneven choice: 10,000 complete graphs of three agents,
    on which an infection rate wrong by 15 % is seen."""
    game = sis()
    graph = ContactGraph.complete(3, {"group": ["seed", "rest", "rest"]})
    problem, half = make_problem(game, graph), (np.array(TRIANGLE) / 2).tolist()
    counts = configurations(exact_engine(problem), problem, 3, replicates=10_000)
    law = master_equation(game, half, [[1.0] * 2] * 3, (1, 0, 0))
    wrong = master_equation(sis(1.15), half, [[1.0] * 2] * 3, (1, 0, 0))
    assert all(chi_square(*pair) > ALPHA for pair in zip(counts, law, strict=True))
    assert power(law[-1], wrong[-1], 10_000) > 0.95


def play(problem, **options):
    """States at the end of a run of the whole dynamics, [replicate, N]."""
    context = Context("agents", problem.streams("agents"), lambda label: None, lambda label: None)
    dynamics = AgentBased(problem, AgentBasedOptions(**options), context)
    dynamics.check()
    state = dynamics.init()
    for interval in problem.clock.intervals():
        state = dynamics.advance(state, interval)
    return state.states


def test_steps_converge_to_the_exact_engine():
    """Would catch an exact engine that follows a step law, and steps that converge elsewhere.

    Infected agents of 200,000 weighted triangles at time 2. The bias of steps is linear in the step up to a square: the value
    extrapolated from three steps, of standard error 0.003, agrees with the exact engine and with the master equation within 4
    standard errors; the exact engine, of standard error 0.0009, with the master equation. The largest step is off by 0.018.
    """
    game, end = sis(), 2.0
    graph = copies(WEIGHTED, COPIES)
    steps = np.array([0.2, 0.1, 0.05])
    means, errors = [], []
    for number, options in enumerate(
        [{"engine": "step", "step": float(step)} for step in steps] + [{"engine": "exact"}]
    ):
        states = play(make_problem(game, graph, seed=number, end=end, save_every=end), replicates=1, **options)
        infected = (states.reshape(-1, 3) == 1).sum(axis=1) / 3
        means.append(infected.mean())
        errors.append(infected.std() / np.sqrt(len(infected)))
    # Lagrange's polynomial through the three steps, at 0.
    shares = np.array([np.prod([b / (b - a) for b in steps if b != a]) for a in steps])
    limit, limit_error = shares @ means[:3], np.sqrt(shares**2 @ np.square(errors[:3]))
    law = expm(end * generator_matrix(game, WEIGHTED, [[1.0] * 2] * 3))[4]
    truth = law @ np.array(list(itertools.product(range(2), repeat=3))).mean(axis=1)
    assert max(errors) < 0.00095
    assert abs(means[3] - truth) < 4 * errors[3]
    assert abs(limit - truth) < 4 * limit_error < 0.0125
    assert abs(limit - means[3]) < 4 * np.hypot(limit_error, errors[3])
    bias = np.abs(np.array(means[:3]) - truth)
    assert bias[0] > 20 * errors[0]
    assert abs(np.log2(bias[0] / bias[1]) - 1.0) < 0.3


def karate(count):
    """Disjoint copies of Zachary's karate club; node 0 of each is of group `seed`."""
    edges = np.array(networkx.karate_club_graph().edges())
    both = (edges[None] + 34 * np.arange(count)[:, None, None]).reshape(-1, 2)
    groups = np.tile(["seed", *["rest"] * 33], count)
    return ContactGraph.from_edges(34 * count, both[:, 0], both[:, 1], attributes={"group": groups})


def club_sizes(count, beta=0.3, replicates=1, **options):
    """Final sizes of epidemics from node 0 of the karate club, recovery rate 1."""
    game = SIR(SIROptions(beta=beta, gamma=1.0))
    problem = make_problem(game, karate(count), end=12.0, save_every=12.0, seed=int(1000 * beta))
    return (play(problem, replicates=replicates, **options).reshape(-1, 34) != 0).sum(axis=1)


def same_law(first, second):
    """The p-value of a two-sample chi-square test of final sizes; sizes with fewer than 10 in all are merged."""
    table = np.stack([np.bincount(sizes, minlength=35) for sizes in (first, second)])
    small = table.sum(axis=0) < 10
    table = np.concatenate([table[:, ~small], table[:, small].sum(axis=1, keepdims=True)], axis=1)
    return float(chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue)


def test_final_sizes_on_the_karate_club_agree_with_short_steps():
    """Would catch what few agents do not show: 20,000 epidemics of 34 agents, exact and in steps of 0.02. A rate wrong by 10 %
    is seen, shown here; the steps themselves are as a rate wrong by about 1 %."""
    exact, steps = club_sizes(20_000, engine="exact"), club_sizes(20_000, engine="step", step=0.02)
    assert same_law(exact, steps) > ALPHA
    assert same_law(club_sizes(20_000, 0.33, engine="exact"), steps) < ALPHA


def test_final_sizes_of_mesa_on_the_karate_club():
    """Would catch a Mesa engine that follows another law: 120 epidemics against 20,000 with the same steps of 0.5. An
    infection rate half as large is seen, shown here."""
    mesa = club_sizes(1, replicates=120, engine="mesa", step=0.5)
    assert same_law(mesa, club_sizes(20_000, engine="step", step=0.5)) > ALPHA
    assert same_law(mesa, club_sizes(20_000, 0.15, engine="step", step=0.5)) < ALPHA
