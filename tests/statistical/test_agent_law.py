"""The law of the time step, against an enumeration of all states of three agents that shares no code with the engines."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from scipy.stats import chi2, ncx2

from mesocosm import Clock, ContactGraph, Context, FiniteStateGame, Population, Problem, Transition, resolve_device
from mesocosm_agents import exchangeable
from mesocosm_agents.arrays import Schedule, Table
from mesocosm_agents.compiled import CompiledEngine
from mesocosm_agents.dynamics import AgentBased
from mesocosm_agents.options import AgentBasedOptions
from mesocosm_agents.tensors import TensorEngine
from mesocosm_agents.vectorised import VectorisedEngine

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
ALPHA = 1e-4
STEPS, LENGTH = 4, 0.5
CONFIGURATIONS = list(itertools.product(range(3), repeat=3))


@dataclass(frozen=True)
class Rates:
    """S -> I at infection z0, S -> R at advice z1, I -> R at recovery, R -> S at loss; z0 counts I, z1 counts R by half."""

    infection: float = 0.8
    advice: float = 0.9
    recovery: float = 0.5
    loss: float = 0.3


class Advice(FiniteStateGame):
    """A game with two channels, competing transitions and a cycle."""

    states: ClassVar[tuple[str, ...]] = ("S", "I", "R")
    channels: ClassVar[tuple[str, ...]] = ("infected", "advice")

    def __init__(self, rates, general=False, normalise="sum"):
        self.normalise = normalise
        if general:
            self.transitions = (
                Transition.general("I", "R", lambda t, field, control: rates.recovery * control),
                Transition.general("S", "I", lambda t, field, control: rates.infection * field[..., 0]),
                Transition.general("S", "R", lambda t, field, control: rates.advice * field[..., 1]),
                Transition.general("R", "S", lambda t, field, control: rates.loss * control),
            )
        else:
            self.transitions = (
                Transition.spontaneous("I", "R", rate=rates.recovery),
                Transition.induced("S", "I", rate=rates.infection, channel="infected"),
                Transition.induced("S", "R", rate=rates.advice, channel="advice"),
                Transition.spontaneous("R", "S", rate=rates.loss),
            )

    def emission(self, t, state, control):
        return self.stack([state == 1, 0.5 * (state == 2)], like=control)


def exact_law(weights, normalise, rates, start=(1, 0, 0)):
    """Probability of each of the 27 configurations after all steps, by powers of the enumerated transition matrix."""
    matrix = np.zeros((27, 27))
    for row, now in enumerate(CONFIGURATIONS):
        each = []
        for agent in range(3):
            z0 = sum(weights[agent][other] for other in range(3) if now[other] == 1)
            z1 = sum(0.5 * weights[agent][other] for other in range(3) if now[other] == 2)
            if normalise == "mean":
                z0, z1 = z0 / sum(weights[agent]), z1 / sum(weights[agent])
            q = {
                0: {1: rates.infection * z0, 2: rates.advice * z1},
                1: {2: rates.recovery},
                2: {0: rates.loss},
            }[now[agent]]
            total = sum(q.values())
            chances = [0.0, 0.0, 0.0]
            chances[now[agent]] = np.exp(-total * LENGTH)
            for target, value in q.items():
                chances[target] += (1 - np.exp(-total * LENGTH)) * value / total if total else 0.0
            each.append(chances)
        for column, then in enumerate(CONFIGURATIONS):
            matrix[row, column] = each[0][then[0]] * each[1][then[1]] * each[2][then[2]]
    return np.linalg.matrix_power(matrix, STEPS)[CONFIGURATIONS.index(start)]


def chi_square(counts, law):
    """The p-value of counts against a law; cells with fewer than 5 expected are merged."""
    expected = law * counts.sum()
    small = expected < 5
    observed = np.append(counts[~small], counts[small].sum())
    expected = np.append(expected[~small], expected[small].sum())
    keep = expected > 0
    statistic = ((observed - expected)[keep] ** 2 / expected[keep]).sum()
    return float(chi2.sf(statistic, keep.sum() - 1))


def power(law, other, samples):
    """Chance that the chi-square test at level ALPHA rejects when the truth is `other`."""
    keep = law * samples >= 5
    shift = samples * ((other - law)[keep] ** 2 / law[keep]).sum()
    degrees = int(keep.sum())
    return float(ncx2.sf(chi2.isf(ALPHA, degrees), degrees, shift))


STAR = [[0, 1, 1], [1, 0, 0], [1, 0, 0]]
WEIGHTED = [[0, 2.0, 0.7], [2.0, 0, 1.3], [0.7, 1.3, 0]]
COMPLETE = [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]


def copies(weights, count):
    """Many disjoint copies of a graph of three nodes; the first node of each is of group `seed`."""
    pairs = [(a, b) for a in range(3) for b in range(a) if weights[a][b]]
    source = np.concatenate([3 * np.arange(count) + a for a, _ in pairs])
    target = np.concatenate([3 * np.arange(count) + b for _, b in pairs])
    values = np.concatenate([np.full(count, float(weights[a][b])) for a, b in pairs])
    groups = np.tile(["seed", "rest", "rest"], count)
    return ContactGraph.from_edges(
        3 * count, source, target, None if (values == 1).all() else values, {"group": groups}
    )


@pytest.fixture
def sample():
    """(graph, game, replicates, engine) -> (counts of the 27 configurations at the end, the engine that ran). With
    `tensors`, a device and a precision, the engine for devices runs."""

    def run(graph, game, replicates=1, engine="step", tensors=None):
        shares = {"seed": np.array([0.0, 1.0, 0.0])}
        problem = Problem(
            name="law",
            seed=11,
            game=game,
            graph=graph,
            population=Population(graph.node_count, np.array([1.0, 0.0, 0.0]), shares),
            clock=Clock(STEPS * LENGTH, STEPS * LENGTH / 2),
            device=resolve_device("cpu"),
            precision="float64",
            draw=lambda replicate: graph,
        )
        options = AgentBasedOptions(replicates=replicates, step=LENGTH, engine=engine)
        context = Context("agents", problem.streams("agents"), lambda label: None, lambda label: None)
        dynamics = AgentBased(problem, options, context)
        if tensors:
            dynamics._course.choose = lambda play: TensorEngine(play, *tensors)
        dynamics.check()
        state = dynamics.init()
        for interval in problem.clock.intervals():
            state = dynamics.advance(state, interval)
        triples = state.states.reshape(-1, 3).astype(int)
        return np.bincount(triples @ [9, 3, 1], minlength=27), dynamics._engine

    return run


@pytest.mark.parametrize("general", [False, True], ids=["compiled", "general"])
@pytest.mark.parametrize(
    ("weights", "normalise"), [(STAR, "sum"), (WEIGHTED, "sum"), (WEIGHTED, "mean")], ids=["star", "weighted", "mean"]
)
def test_engines_follow_the_enumerated_law_of_three_agents(sample, weights, normalise, general):
    """Would catch any error in fields, weights, averaging, competition of transitions or simultaneity of moves.

    100,000 independent copies: an infection rate wrong by 5 % is rejected with a probability above 0.99, and is here.
    """
    copies_count = 100_000
    counts, engine = sample(copies(weights, copies_count), Advice(Rates(), general, normalise))
    assert isinstance(engine, VectorisedEngine if general else CompiledEngine)
    law = exact_law(weights, normalise, Rates())
    wrong = exact_law(weights, normalise, Rates(infection=0.84))
    assert power(law, wrong, copies_count) > 0.99
    assert chi_square(counts, law) > ALPHA
    assert chi_square(counts, wrong) < ALPHA


@pytest.mark.parametrize("engine", ["compiled", "counted", "general"])
def test_complete_graph_follows_the_enumerated_law(sample, engine, monkeypatch):
    """Would catch an agent that feels itself, a missing 1/(N-1), or the wrong agents drawn, on the complete graph.

    5,000 replicates of three agents: an infection rate wrong by 20 % is rejected with a probability above 0.99.
    """
    monkeypatch.setattr(exchangeable, "pays", lambda *_: engine == "counted")
    graph = ContactGraph.complete(3, {"group": ["seed", "rest", "rest"]})
    counts, _ = sample(graph, Advice(Rates(), engine == "general"), replicates=5_000)
    law = exact_law(COMPLETE, "sum", Rates())
    wrong = exact_law(COMPLETE, "sum", Rates(infection=0.96))
    assert power(law, wrong, 5_000) > 0.99
    assert chi_square(counts, law) > ALPHA
    assert chi_square(counts, wrong) < ALPHA


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("general", [False, True], ids=["table", "general"])
@pytest.mark.parametrize(
    ("weights", "normalise"), [(STAR, "sum"), (WEIGHTED, "mean"), (COMPLETE, "sum")], ids=["star", "mean", "complete"]
)
def test_tensors_follow_the_same_law(sample, weights, normalise, general, precision, device):
    """Would catch wrong products with the adjacency, a mixed-up batch axis, and targets chosen out of proportion.

    100,000 copies (complete: 20,000 replicates of three agents), in two replicates of half the copies each: an infection
    rate wrong by 15 % is rejected with a probability above 0.99, and is here.
    """
    complete = weights is COMPLETE
    samples = 20_000 if complete else 100_000
    graph = ContactGraph.complete(3, {"group": ["seed", "rest", "rest"]}) if complete else copies(weights, samples // 2)
    counts, engine = sample(
        graph, Advice(Rates(), general, normalise), replicates=samples if complete else 2, tensors=(device, precision)
    )
    assert isinstance(engine, TensorEngine)
    assert counts.sum() == samples
    law = exact_law(weights, normalise, Rates())
    wrong = exact_law(weights, normalise, Rates(infection=0.92))
    assert power(law, wrong, samples) > 0.99
    assert chi_square(counts, law) > ALPHA
    assert chi_square(counts, wrong) < ALPHA


@pytest.mark.parametrize(("weights", "normalise"), [(WEIGHTED, "sum"), (WEIGHTED, "mean")], ids=["weighted", "mean"])
def test_mesa_follows_the_same_law(sample, weights, normalise):
    """Would catch a Mesa engine of another law: its agreement with the others is through the same enumeration.

    1,500 copies: an infection rate wrong by 50 % is rejected with a probability above 0.99.
    """
    counts, _ = sample(copies(weights, 1_500), Advice(Rates(), normalise=normalise), engine="mesa")
    law = exact_law(weights, normalise, Rates())
    wrong = exact_law(weights, normalise, Rates(infection=1.2))
    assert power(law, wrong, 1_500) > 0.99
    assert chi_square(counts, law) > ALPHA
    assert chi_square(counts, wrong) < ALPHA


def test_mesa_on_a_complete_graph_follows_the_same_law(sample):
    """Would catch a complete graph written out with weights other than 1/(N-1); 40 % more infection would be seen."""
    graph = ContactGraph.complete(3, {"group": ["seed", "rest", "rest"]})
    counts, _ = sample(graph, Advice(Rates()), replicates=1_500, engine="mesa")
    law = exact_law(COMPLETE, "sum", Rates())
    wrong = exact_law(COMPLETE, "sum", Rates(infection=1.12))
    assert power(law, wrong, 1_500) > 0.99
    assert chi_square(counts, law) > ALPHA
    assert chi_square(counts, wrong) < ALPHA


def test_counted_agents_choose_targets_in_proportion():
    """Would catch a wrong share of competing transitions where agents are counted: of 10,000 leaving at 3 : 1, 75 % go first.

    The standard error is 0.0043; shares of 73 % and 77 % are more than 4 of them away.
    """
    table = Table(
        first=np.array([0, 2, 2, 2]),
        target=np.array([1, 2], np.int8),
        rate=np.array([3.0, 1.0]),
        channel=np.array([-1, -1]),
        controlled=np.zeros(2, np.bool_),
    )
    shape = (1, 1, 3)
    schedule = Schedule(
        np.ones(shape), np.zeros((*shape, 1)), np.zeros((0, 1, 3)), np.ones(1, bool), np.ones(1, bool), True
    )
    states = np.zeros(10_000, np.int8)
    outcome = exchangeable.advance(states, np.zeros(10_000, np.int64), table, schedule, 100.0, np.random.default_rng(3))
    assert outcome.step == -1
    found = np.bincount(states, minlength=3)
    assert found[0] == 0
    assert abs(found[1] / 10_000 - 0.75) < 4 * np.sqrt(0.75 * 0.25 / 10_000)
