"""Agents against the limits that theory gives them: edge-based on random graphs, the mean-field ODE on complete ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.linalg import expm_multiply

import mesocosm
from mesocosm import Registry, Trajectories


def simulate(text: str, **settings: str) -> dict[str, Trajectories]:
    registry = Registry.discover()
    scenario = mesocosm.parse(text, {key.replace("__", "."): value for key, value in settings.items()}, registry)
    return mesocosm.simulate(mesocosm.build(scenario, registry), mesocosm.makers_of(scenario, registry))


RANDOM_GRAPH = """
mesocosm: 1
name: random-graph
seed: 42
time: {end: 100, save_every: 1, unit: day}
population: {size: 100000, initial: {I: 0.01}}
graph: {kind: configuration, degrees: {poisson: 10}}
game: {kind: sir, beta: 0.03, gamma: 0.1}
dynamics:
  agents: {kind: agent_based, replicates: 16, redraw: true, step: 0.02}
  edges: {kind: edge_based, degrees: law}
  homogeneous: {kind: classical_mfg, degrees: law}
"""


def test_agents_on_random_graphs_agree_with_edge_based() -> None:
    """Catches a wrong rate, a lost contact, or a graph with the wrong degrees: 10^5 agents on 16 fresh graphs.

    At the peak and at the end the mean over replicates is within 4 standard errors of edge_based (about 0.0024 in the
    share; the bias of the time step is about 0.0007), and more than 20 from the homogeneous closure. A rate that is 2 %
    off moves the final share by 0.006, 10 standard errors, so this test has power above 0.999 against it.
    """
    found = simulate(RANDOM_GRAPH)
    agents = found["agents"].array("occupancy")
    limit, wrong = found["edges"].array("occupancy")[0], found["homogeneous"].array("occupancy")[0]
    peak, wrong_peak = int(limit[:, 1].argmax()), wrong[:, 1].max()
    cases = {
        "peak": (agents[:, peak, 1], limit[peak, 1], wrong_peak),
        "end": (agents[:, -1, 2], limit[-1, 2], wrong[-1, 2]),
    }
    for name, (sample, expected, refuted) in cases.items():
        error = sample.std(ddof=1) / np.sqrt(len(sample))
        assert error < 0.002, name
        assert abs(sample.mean() - expected) < 4 * error, (name, sample.mean(), expected, error)
        assert abs(sample.mean() - refuted) > 20 * error, (name, sample.mean(), refuted, error)


COMPLETE = """
mesocosm: 1
name: complete
seed: 5
time: {end: 3, save_every: 3}
population: {size: 100, initial: {I: 0.3}}
graph: {kind: complete}
game: {kind: sir, beta: 1.0, gamma: 0.5}
dynamics:
  agents: {kind: agent_based, replicates: 14000, step: 0.01}
  mean: {kind: classical_mfg}
"""


def exact_susceptible(size: int) -> tuple[float, float]:
    """Mean and standard deviation of S(3) for `size` agents: the Kolmogorov equations of the continuous-time chain."""
    pairs = [(s, i) for s in range(size + 1) for i in range(size + 1 - s)]
    number = {pair: index for index, pair in enumerate(pairs)}
    entries = []
    for (s, i), column in number.items():
        infection, recovery = 1.0 * s * i / (size - 1), 0.5 * i
        entries.append((column, column, -infection - recovery))
        if infection > 0:
            entries.append((number[s - 1, i + 1], column, infection))
        if i > 0:
            entries.append((number[s, i - 1], column, recovery))
    rows, columns, values = zip(*entries, strict=True)
    generator = coo_array((values, (rows, columns)), shape=(len(pairs), len(pairs))).tocsr()
    start = np.zeros(len(pairs))
    infected = round(0.3 * size)
    start[number[size - infected, infected]] = 1.0
    law = expm_multiply(3.0 * generator, start)
    share = np.array([s for s, _ in pairs]) / size
    mean = float(law @ share)
    return mean, float(np.sqrt(law @ (share - mean) ** 2))


def _slope(sizes: np.ndarray, values: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """Slope of log(values) against log(sizes) by weighted least squares, and its standard error."""
    x, y, weight = np.log(sizes), np.log(values), (values / errors) ** 2
    centred = x - np.average(x, weights=weight)
    spread = (weight * centred**2).sum()
    return float((weight * centred * y).sum() / spread), float(1 / np.sqrt(spread))


def test_gap_and_spread_on_complete_graphs() -> None:
    """Catches agents that are not the chain that they stand for, and a mean field that is not their limit.

    For 10 to 80 agents, 14,000 replicates each, mean and spread of S are those of the exact chain within 4 standard
    errors (below 0.0018; the bias of the time step is 0.0005). The gap to the mean-field ODE falls like 1/N and the
    spread like N^-1/2: both slopes within 4 standard errors, which are below 0.1 and 0.006, so that slopes of -1/2 and
    -1/4 would be 5 and 40 of them away.
    """
    sizes, gaps, errors, spreads = np.array([10, 20, 40, 80]), [], [], []
    for size in sizes:
        found = simulate(COMPLETE, population__size=str(size))
        ends = found["agents"].array("occupancy")[:, -1, 0]
        spread, error = ends.std(ddof=1), ends.std(ddof=1) / np.sqrt(len(ends))
        mean, exact_spread = exact_susceptible(int(size))
        assert abs(ends.mean() - mean) < 4 * error, (size, ends.mean(), mean, error)
        assert abs(spread / exact_spread - 1) < 4 / np.sqrt(2 * len(ends)), (size, spread, exact_spread)
        gaps.append(ends.mean() - found["mean"].array("occupancy")[0, -1, 0])
        errors.append(error)
        spreads.append(spread)
    slope, error = _slope(sizes, np.array(gaps), np.array(errors))
    assert error < 0.1, error
    assert abs(slope + 1) < 4 * error, (slope, error, gaps, errors)
    slope, error = _slope(sizes, np.array(spreads), np.array(spreads) / np.sqrt(2 * 14_000))
    assert error < 0.006, error
    assert abs(slope + 0.5) < 4 * error, (slope, error, spreads)


@pytest.mark.slow
def test_planted_rate_error_is_seen() -> None:
    """Shows that the first test has power: with beta 2 % off, agents and edge_based part by more than 4 standard errors."""
    found = simulate(RANDOM_GRAPH, game__beta="0.0306")
    truth = simulate(RANDOM_GRAPH.replace("replicates: 16", "replicates: 1"))
    sample = found["agents"].array("occupancy")[:, -1, 2]
    error = sample.std(ddof=1) / np.sqrt(len(sample))
    assert abs(sample.mean() - truth["edges"].array("occupancy")[0, -1, 2]) > 4 * error
