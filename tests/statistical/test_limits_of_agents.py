"""Agents against the limits that theory gives them: edge-based on random graphs, the mean-field ODE on complete ones."""

from __future__ import annotations

import numpy as np
import pytest

import mesocosm
from mesocosm import Registry, Trajectories
from mesocosm.scheduler import makers_of


def simulate(text: str, **settings: str) -> dict[str, Trajectories]:
    registry = Registry.discover()
    scenario = mesocosm.parse(text, {key.replace("__", "."): value for key, value in settings.items()}, registry)
    return mesocosm.simulate(mesocosm.build(scenario, registry), makers_of(scenario, registry))


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

    At the peak and at the end the mean over replicates is within 4 standard errors of edge_based (about 0.0015 in the
    share; the bias of the time step is about 0.0007), and more than 20 from the homogeneous closure. A rate that is 2 %
    off moves the final share by 0.006, 15 standard errors, so this test has power above 0.999 against it.
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
time: {end: 6, save_every: 6}
population: {size: 100, initial: {I: 0.1}}
graph: {kind: complete}
game: {kind: sir, beta: 1.0, gamma: 0.5}
dynamics:
  agents: {kind: agent_based, replicates: 6000, step: 0.01}
  mean: {kind: classical_mfg}
"""


def _slope(sizes: np.ndarray, values: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """Slope of log(values) against log(sizes) by weighted least squares, and its standard error."""
    x, y, weight = np.log(sizes), np.log(values), (values / errors) ** 2
    centred = x - np.average(x, weights=weight)
    spread = (weight * centred**2).sum()
    return float((weight * centred * y).sum() / spread), float(1 / np.sqrt(spread))


def test_gap_and_spread_on_complete_graphs() -> None:
    """Catches a mean field that is not the limit of the agents: the gap of the mean falls like 1/N, the spread like N^-1/2.

    Sizes 40 to 320, 6000 replicates each. The slopes of log gap and log spread are within 4 standard errors of -1 and
    -1/2; the standard errors are below 0.08 and 0.01, so slopes of -1/2 and -1/4 would be 6 and 25 of them away.
    """
    sizes, gaps, gap_errors, spreads = np.array([40, 80, 160, 320]), [], [], []
    for size in sizes:
        found = simulate(COMPLETE, population__size=str(size))
        ends = found["agents"].array("occupancy")[:, -1, 0]
        gaps.append(abs(ends.mean() - found["mean"].array("occupancy")[0, -1, 0]))
        gap_errors.append(ends.std(ddof=1) / np.sqrt(len(ends)))
        spreads.append(ends.std(ddof=1))
    gap_slope, gap_error = _slope(sizes, np.array(gaps), np.array(gap_errors))
    assert gap_error < 0.08, gap_error
    assert abs(gap_slope + 1) < 4 * gap_error, (gap_slope, gap_error, gaps, gap_errors)
    # The relative standard error of a standard deviation is about 1/sqrt(2 R), a little more with heavy tails.
    spread_slope, spread_error = _slope(sizes, np.array(spreads), np.array(spreads) / np.sqrt(6000))
    assert spread_error < 0.01, spread_error
    assert abs(spread_slope + 0.5) < 4 * spread_error, (spread_slope, spread_error, spreads)


@pytest.mark.slow
def test_planted_rate_error_is_seen() -> None:
    """Shows that the first test has power: with beta 2 % off, agents and edge_based part by more than 4 standard errors."""
    found = simulate(RANDOM_GRAPH, game__beta="0.0306")
    truth = simulate(RANDOM_GRAPH.replace("replicates: 16", "replicates: 1"))
    sample = found["agents"].array("occupancy")[:, -1, 2]
    error = sample.std(ddof=1) / np.sqrt(len(sample))
    assert abs(sample.mean() - truth["edges"].array("occupancy")[0, -1, 2]) > 4 * error
